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
