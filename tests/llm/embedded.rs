//! The embedded model beyond its contract: what it evaluates, when it stops, what it refuses.

use std::{fs, time::Duration};

use caal::{
    engine::EngineError,
    fault::Fault,
    llm::{
        ChatRequest, Delta, Llm as _, LlmError, Message,
        embedded::{EmbeddedConfig, EmbeddedLlm, Run},
        history::{Conversation, Ending, Limits, approximate_tokens},
    },
};
use futures_util::StreamExt as _;

use super::ollama_process::gguf;

/// A failure, not a hang: on a machine whose cores are taken a model is ten times slower.
const PATIENCE: Duration = Duration::from_secs(600);

async fn said(llm: &EmbeddedLlm, request: ChatRequest) -> String {
    let mut stream = llm.chat(request);
    let mut text = String::new();
    let listening = async {
        while let Some(delta) = stream.next().await {
            let Delta::Text(piece) = delta.expect("an answer") else {
                continue;
            };
            text.push_str(&piece);
        }
    };
    tokio::time::timeout(PATIENCE, listening)
        .await
        .expect("the answer ends");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_conversation_that_goes_on_only_the_new_words_are_evaluated() {
    let llm = super::embedded();
    let system = "You are a friendly voice assistant. Answer in one short sentence.";
    llm.warm_up(system).await.expect("warms up");
    let warm = llm.last_run();
    assert!(
        warm.prompt > 15 && warm.evaluated == warm.prompt,
        "{warm:?}"
    );

    let mut talk = Conversation::new(Limits::default());
    talk.user_said("What is the capital of France?");
    let answer = said(&llm, talk.request(system)).await;
    let first = llm.last_run();
    assert_eq!(
        first.prompt - first.evaluated,
        warm.prompt,
        "the beginning is known: {first:?}"
    );

    talk.assistant_heard(&answer, Ending::Complete);
    talk.user_said("And of Spain?");
    said(&llm, talk.request(system)).await;
    let second = llm.last_run();
    // The new question with its marks, and what ends the answer before it.
    assert!(second.prompt > first.prompt + first.answered, "{second:?}");
    assert!(second.evaluated <= 20, "{second:?}");

    // Another conversation starts anew behind the system prompt.
    let mut other = Conversation::new(Limits::default());
    other.user_said("Name a colour.");
    said(&llm, other.request(system)).await;
    let run = llm.last_run();
    assert!(run.prompt - run.evaluated >= warm.prompt, "{run:?}");
    assert!(run.evaluated > 5, "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_beginning_changes_nothing_in_the_answer() {
    let (cold, warm) = (super::embedded(), super::embedded());
    let system = "You are a friendly voice assistant. Answer in one short sentence.";
    let mut talk = Conversation::new(Limits::default());
    for question in [
        "What is the capital of Italy?",
        "Is it a big city?",
        "What is two plus two?",
    ] {
        talk.user_said(question);
        let answer = said(&warm, talk.request(system)).await;
        talk.assistant_heard(&answer, Ending::Interrupted);
    }
    talk.user_said("What is the capital of Germany?");
    let known = said(&warm, talk.request(system)).await;
    let whole = said(&cold, talk.request(system)).await;
    assert!(warm.last_run().evaluated < cold.last_run().evaluated / 2);
    assert_eq!(known, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_answer_stops_within_a_token() {
    let mut config = EmbeddedConfig::new(gguf(), 2);
    config.max_tokens = 1000;
    let llm = EmbeddedLlm::load(config).expect("the model loads");
    let story = ChatRequest::from(vec![Message::User(
        "Tell me a very long story about a king.".to_owned(),
    )]);
    let mut stream = llm.chat(story);
    for _ in 0..3 {
        stream.next().await.expect("a piece").expect("no error");
    }
    drop(stream);
    let ended = async {
        while llm.last_run() == Run::default() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended)
        .await
        .expect("the work ends");
    let run = llm.last_run();
    assert!((3..=6).contains(&run.answered), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_busy_and_a_talk_that_is_too_long_is_cut_or_refused() {
    let mut config = EmbeddedConfig::new(gguf(), 2);
    config.context = 256;
    config.max_tokens = 24;
    let llm = EmbeddedLlm::load(config).expect("the model loads");
    let question = |text: &str| ChatRequest::from(vec![Message::User(text.to_owned())]);
    // One is worked on at most, four wait, one of seven finds no room at least.
    let mut streams: Vec<_> = (0..7)
        .map(|_| llm.chat(question("Count to ten.")))
        .collect();
    let firsts = futures_util::future::join_all(streams.iter_mut().map(|s| s.next())).await;
    let busy = |r: &Option<Result<Delta, LlmError>>| {
        matches!(r, Some(Err(LlmError::Engine(EngineError::Busy(_)))))
    };
    assert!(firsts.iter().any(busy), "{firsts:?}");
    assert!(
        firsts.iter().any(|r| matches!(r, Some(Ok(_)))),
        "{firsts:?}"
    );
    drop(streams);

    let long = "word ".repeat(300);
    let mut stream = llm.chat(question(&long));
    let error = stream.next().await.expect("an end").expect_err("too long");
    assert!(matches!(error, LlmError::TooLong { max: 232 }), "{error:?}");
    assert_eq!(error.fault(), Fault::Request);

    let mut messages = vec![Message::System("Be brief.".to_owned())];
    for _ in 0..15 {
        messages.push(Message::User(
            "What about this and that and the other?".to_owned(),
        ));
        messages.push(Message::Assistant(
            "I do not know anything about it.".to_owned(),
        ));
    }
    messages.push(Message::User("Say yes.".to_owned()));
    said(&llm, ChatRequest::from(messages)).await;
    assert!(llm.last_run().prompt <= 232, "{:?}", llm.last_run());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_estimate_of_tokens_is_seldom_below_the_truth() {
    let llm = super::embedded();
    for text in [
        "You are a friendly voice assistant. Answer in one or two short sentences.",
        "The meeting on 22 November 2026 begins at 16:05 in room 4711, doesn't it?",
        "Grüße aus Köln: schöne Straßen und viele Brücken über den Rhein.",
        "https://example.org/a/b?c=d&e=1",
    ] {
        llm.warm_up(text).await.expect("warms up");
        // The marks and the role: four tokens.
        let truth = llm.last_run().prompt - 4;
        let estimate = approximate_tokens(text);
        assert!(estimate * 10 >= truth * 8, "{estimate} for {truth}: {text}");
        assert!(estimate <= truth * 2, "{estimate} for {truth}: {text}");
    }
}

#[test]
fn a_file_that_is_no_model_is_one_clear_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = fs::read(gguf()).expect("the model");
    let refuse = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("writes");
        let error = EmbeddedLlm::load(EmbeddedConfig::new(&path, 1))
            .err()
            .expect(name);
        assert!(
            matches!(error, LlmError::BadModel { .. }),
            "{name}: {error:?}"
        );
        assert_eq!(error.fault(), Fault::Request);
        let sentence = error.to_string();
        assert!(
            sentence.contains(name) && sentence.contains("caal models verify"),
            "{sentence}"
        );
        assert!(!sentence.contains('\n'), "{sentence}");
        sentence
    };
    refuse("empty.gguf", b"");
    refuse("page.gguf", b"<!doctype html><html><body>404</body></html>");
    refuse("header.gguf", &whole[..100]);
    refuse("vocabulary.gguf", &whole[..1_000_000]);
    refuse("weights.gguf", &whole[..50_000_000]);
    refuse("last_byte.gguf", &whole[..whole.len() - 1]);

    // The same length, other words: the architecture, the alignment, a count.
    let replace = |from: &[u8], to: &[u8]| {
        let at = whole
            .windows(from.len())
            .position(|w| w == from)
            .expect("it is there");
        let mut bytes = whole[..2_000_000].to_vec();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let other = refuse("other.gguf", &replace(b"llama\x0c", b"mamba\x0c"));
    assert!(
        other.contains("mamba") && other.contains("qwen3"),
        "{other}"
    );
    let no_chat = refuse("plain.gguf", &replace(b"<|im_start|>", b"<|im_xxxxx|>"));
    assert!(no_chat.contains("chat"), "{no_chat}");

    let missing = EmbeddedConfig::new(folder.path().join("no.gguf"), 1);
    let sentence = EmbeddedLlm::load(missing)
        .err()
        .expect("missing")
        .to_string();
    assert!(sentence.contains("missing"), "{sentence}");
}
