//! Ollama goes down in mid-session, and comes back: who answers, and what is said about it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use caal::llm::{
    ChatRequest, Delta, Llm, LlmError, Message,
    fallback::{Fallback, Patience, Turned},
    ollama::{self, Ollama, OllamaConfig},
};
use caal::turn::TurnConfig;
use futures_util::{FutureExt as _, StreamExt as _};

use super::scripted::{Scripted, Step, answer, line, response, streamed};

fn ollama(url: &str) -> Ollama {
    let config = OllamaConfig {
        url: url.to_owned(),
        ..OllamaConfig::default()
    };
    Ollama::new(config).expect("an address")
}

/// The Ollama at `first`, and behind it the one at `second`.
fn both(first: &str, second: &str) -> Fallback {
    let first = ollama(first);
    let warming = first.clone();
    let warm_up = move || {
        let first = warming.clone();
        async move { first.warm_up(None).await }.boxed()
    };
    Fallback::new(Arc::new(first), Arc::new(ollama(second)), Arc::new(warm_up))
}

/// What `asking` gives when `time` passes as soon as `server` has got request number `n`.
async fn after<T>(
    time: Duration,
    (server, n): (&Scripted, usize),
    asking: impl Future<Output = T>,
) -> T {
    let passing = async {
        while server.seen().len() < n {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    };
    tokio::join!(asking, passing).0
}

async fn said(llm: &dyn Llm) -> Result<String, LlmError> {
    let request = ChatRequest::from(vec![Message::User("Who are you?".to_owned())]);
    let mut stream = llm.chat(request);
    let mut text = String::new();
    while let Some(delta) = stream.next().await {
        let Delta::Text(piece) = delta? else {
            continue;
        };
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
    let both = both(&first.url(), &second.url());
    let turned = both.turned();
    assert_eq!(said(&both).await.expect("an answer"), "first");
    assert!(!turned.has_changed().expect("it lives"));
    assert!(second.seen().is_empty());
}

#[tokio::test]
async fn when_the_first_is_down_the_second_answers_and_it_is_said_once() {
    let second = saying("second").await;
    let both = both("http://127.0.0.1:1", &second.url());
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
async fn the_first_is_left_alone_for_a_while_and_then_warmed_up_while_the_second_answers() {
    let up = Arc::new(AtomicBool::new(false));
    let (is_up, second) = (up.clone(), saying("second").await);
    let first = Scripted::with(move |_| match is_up.load(Ordering::Relaxed) {
        true => streamed(&[answer(&["first"]).as_bytes()]),
        false => {
            let reason = br#"{"error":"out of memory"}"#;
            response("500 Oops", "application/json", &[reason])
        }
    })
    .await;
    let both = both(&first.url(), &second.url());
    let mut turned = both.turned();
    for _ in 0..3 {
        assert_eq!(said(&both).await.expect("an answer"), "second");
    }
    assert_eq!(first.seen().len(), 1);
    turned.mark_unchanged();

    // It is still down: nobody notices.
    minutes_pass().await;
    assert_eq!(said(&both).await.expect("an answer"), "second");
    let warmed = async |n| {
        while first.seen().len() < n {
            tokio::task::yield_now().await;
        }
    };
    warmed(2).await;
    assert_eq!(said(&both).await.expect("an answer"), "second");
    assert!(!turned.has_changed().expect("it lives"), "told once");

    // It is back: the question at which that is found out is still the second's.
    up.store(true, Ordering::Relaxed);
    minutes_pass().await;
    assert_eq!(said(&both).await.expect("an answer"), "second");
    let back = turned.wait_for(|turned| *turned == Turned::First);
    tokio::time::timeout(Duration::from_secs(60), back)
        .await
        .expect("it is noticed")
        .expect("it lives");
    assert_eq!(said(&both).await.expect("an answer"), "first");
    let options = &first.seen()[2].body["options"];
    assert_eq!(options["num_predict"], 1, "it was warmed up, not asked");
}

async fn minutes_pass() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(120)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_first_that_takes_the_question_and_stays_silent_is_given_up_in_time() {
    let silent = Arc::new(AtomicBool::new(true));
    let (is_silent, second) = (silent.clone(), saying("second").await);
    let first = Scripted::with(move |_| match is_silent.load(Ordering::Relaxed) {
        true => vec![Step::Hang],
        false => streamed(&[answer(&["first"]).as_bytes()]),
    })
    .await;
    let Patience { cold, warm } = Patience::default();
    let both = self::both(&first.url(), &second.url());
    let mut turned = both.turned();
    let text = after(cold, (&first, 1), said(&both)).await;
    assert_eq!(text.expect("an answer"), "second");
    let Turned::Second { why } = turned.borrow_and_update().clone() else {
        panic!("it has turned");
    };
    assert!(why.contains("gave no answer in 60 s"), "{why}");
    // Nobody waits a second time.
    assert_eq!(said(&both).await.expect("an answer"), "second");
    assert_eq!(first.seen().len(), 1);

    // One that has answered is given less time.
    silent.store(false, Ordering::Relaxed);
    let both = self::both(&first.url(), &second.url());
    assert_eq!(said(&both).await.expect("an answer"), "first");
    silent.store(true, Ordering::Relaxed);
    let text = after(warm, (&first, 3), said(&both)).await;
    assert_eq!(text.expect("an answer"), "second");
}

#[tokio::test]
async fn a_warm_up_that_fails_leaves_the_first_question_to_the_second() {
    let second = saying("second").await;
    let hangs = Scripted::start(vec![Step::Hang]).await;
    let both = both(&hangs.url(), &second.url());
    let mut turned = both.turned();
    let load = ollama::Patience::default().load;
    let warmed = after(load, (&hangs, 1), both.warm_up()).await;
    warmed.expect_err("it hangs");
    assert!(matches!(
        &*turned.borrow_and_update(),
        Turned::Second { .. }
    ));
    assert_eq!(said(&both).await.expect("an answer"), "second");
    assert_eq!(hangs.seen().len(), 1, "it was not asked");
}

/// The turn machine cancels a question that is not answered in time: whoever waits for a server must
/// give up before, with time left for the other model to load, answer and speak.
#[test]
fn every_patience_ends_before_the_turn_does() {
    let limit = TurnConfig::default().think_limit;
    let Patience { cold, warm } = Patience::default();
    assert!(warm < cold);
    assert!(cold + Duration::from_secs(30) <= limit);
    let alone = ollama::Patience::default();
    assert!(alone.connect + alone.first < limit);
}

#[tokio::test]
async fn a_sentence_that_one_began_the_other_does_not_end() {
    let mut cut = streamed(&[line("Once").as_bytes()]);
    cut.pop();
    cut.push(Step::Close);
    let (first, second) = (Scripted::start(cut).await, saying("second").await);
    let both = both(&first.url(), &second.url());
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
    let question = ChatRequest::from(vec![Message::User("Who are you?".to_owned())]);
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
