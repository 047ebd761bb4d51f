//! Ollama goes down in mid-session, and comes back: who answers, and what is said about it.

use std::{sync::Arc, time::Duration};

use caal::llm::{
    ChatRequest, Delta, Llm, LlmError, Message,
    choice::{Fallback, Turned},
    ollama::{Ollama, OllamaConfig},
};
use futures_util::StreamExt as _;

use super::scripted::{Scripted, Step, answer, line, response, streamed};

fn ollama(url: &str) -> Arc<dyn Llm> {
    let config = OllamaConfig {
        url: url.to_owned(),
        ..OllamaConfig::default()
    };
    Arc::new(Ollama::new(config).expect("an address"))
}

async fn said(llm: &dyn Llm) -> Result<String, LlmError> {
    let request = ChatRequest {
        messages: vec![Message::User("Who are you?".to_owned())],
    };
    let mut stream = llm.chat(request);
    let mut text = String::new();
    while let Some(delta) = stream.next().await {
        let Delta::Text(piece) = delta?;
        text.push_str(&piece);
    }
    Ok(text)
}

async fn saying(word: &str) -> Scripted {
    Scripted::start(streamed(&[answer(&[word]).as_bytes()])).await
}

#[tokio::test]
async fn a_first_that_works_answers_and_nothing_is_said_about_it() {
    let (first, second) = (saying("first").await, saying("second").await);
    let both = Fallback::new(ollama(&first.url()), ollama(&second.url()));
    let turned = both.turned();
    assert_eq!(said(&both).await.expect("an answer"), "first");
    assert!(!turned.has_changed().expect("it lives"));
    assert!(second.seen().is_empty());
}

#[tokio::test]
async fn when_the_first_is_down_the_second_answers_and_it_is_said_once() {
    let second = saying("second").await;
    let both = Fallback::new(ollama("http://127.0.0.1:1"), ollama(&second.url()));
    let mut turned = both.turned();
    assert_eq!(said(&both).await.expect("an answer"), "second");
    assert!(turned.has_changed().expect("it lives"));
    let Turned::Second { why } = turned.borrow_and_update().clone() else {
        panic!("it has turned");
    };
    assert!(
        why.contains("ollama serve") && why.contains("Until then"),
        "{why}"
    );
    assert!(both.name().contains(&second.url()));
    assert_eq!(said(&both).await.expect("an answer"), "second");
    assert!(!turned.has_changed().expect("it lives"), "once");
}

#[tokio::test]
async fn the_first_is_left_alone_for_a_while_and_then_asked_again() {
    let json = "application/json";
    let broken = response("500 Oops", json, &[br#"{"error":"out of memory"}"#]);
    let (first, second) = (Scripted::start(broken).await, saying("second").await);
    let both = Fallback::new(ollama(&first.url()), ollama(&second.url()));
    for _ in 0..3 {
        assert_eq!(said(&both).await.expect("an answer"), "second");
    }
    assert_eq!(first.seen().len(), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    assert_eq!(said(&both).await.expect("an answer"), "second");
    assert_eq!(first.seen().len(), 2);
}

#[tokio::test]
async fn a_sentence_that_one_began_the_other_does_not_end() {
    let mut cut = streamed(&[line("Once").as_bytes()]);
    cut.pop();
    cut.push(Step::Close);
    let (first, second) = (Scripted::start(cut).await, saying("second").await);
    let both = Fallback::new(ollama(&first.url()), ollama(&second.url()));
    said(&both).await.expect_err("it broke off");
    assert!(second.seen().is_empty());
}

/// The models as the program chooses them: an Ollama that is there at the start and gone between two
/// turns, with the real embedded model behind it.
#[cfg(feature = "embedded-llm")]
#[tokio::test]
async fn an_ollama_that_is_lost_between_two_turns_leaves_the_second_to_the_embedded_model() {
    use caal::settings::{Settings, Sources};

    let server = Scripted::with(|seen| {
        if seen.head.starts_with("GET /api/tags") {
            let tags = br#"{"models":[{"name":"m:latest","size":1}]}"#;
            return response("200 OK", "application/json", &[tags]);
        }
        streamed(&[answer(&["I am Ollama."]).as_bytes()])
    })
    .await;
    let settings = |provider: &str| {
        let models = crate::support::models().display().to_string();
        let set = [
            ("OLLAMA_HOST", server.url()),
            ("LLM_PROVIDER", provider.to_owned()),
            ("CAAL_MODELS", models),
        ];
        Settings::resolve(&Sources {
            environment: set.map(|(key, value)| (key.to_owned(), value)).into(),
            ..Sources::default()
        })
        .expect("settings")
    };
    let chosen = caal::app::llm(&settings("auto")).await.expect("a model");
    let alone = caal::app::llm(&settings("ollama")).await.expect("a model");
    assert!(
        alone.turned.is_none(),
        "who wants Ollama only gets no other"
    );
    let mut turned = chosen.turned.expect("there is another");
    assert_eq!(said(&*chosen.llm).await.expect("an answer"), "I am Ollama.");
    assert!(!turned.has_changed().expect("it lives"));

    drop(server);
    // The first words are enough: the rest is its contract's.
    let question = ChatRequest {
        messages: vec![Message::User("Who are you?".to_owned())],
    };
    let begins = async || chosen.llm.chat(question.clone()).next().await;
    assert!(matches!(begins().await, Some(Ok(Delta::Text(_)))));
    assert!(turned.has_changed().expect("it lives"));
    let Turned::Second { why } = turned.borrow_and_update().clone() else {
        panic!("it has turned");
    };
    assert!(
        why.contains("ollama serve") && why.contains("embedded"),
        "{why}"
    );
    assert!(chosen.llm.name().contains("embedded"));
    assert!(matches!(begins().await, Some(Ok(_))));
    assert!(!turned.has_changed().expect("it lives"), "told once");
    let error = said(&*alone.llm).await.expect_err("nobody else");
    assert!(error.to_string().contains("does not answer"), "{error}");
}
