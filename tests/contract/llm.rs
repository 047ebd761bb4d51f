//! What every language model promises, over a scripted server, a real Ollama and the embedded model.

use std::{sync::Arc, time::Duration};

use caal::llm::{
    ChatRequest, Delta, Llm, LlmError, Message,
    fallback::Fallback,
    lazy::Lazy,
    ollama::{Ollama, OllamaConfig},
    openai::{OpenAi, OpenAiConfig, Service},
};
use futures_util::{FutureExt as _, StreamExt as _, future::join_all};

use crate::llm::{
    ollama_process::{MODEL, OllamaProcess},
    openai::{completion, sse},
    scripted::{Scripted, answer, streamed},
};

/// A failure, not a hang. Real models on a busy machine are slow.
const PATIENCE: Duration = Duration::from_secs(600);

fn ask(system: &str, question: &str) -> ChatRequest {
    ChatRequest::from(vec![
        Message::System(system.to_owned()),
        Message::User(question.to_owned()),
    ])
}

/// The pieces of an answer, up to its end or its error.
async fn pieces(llm: &dyn Llm, request: ChatRequest) -> Result<Vec<String>, LlmError> {
    let mut stream = llm.chat(request);
    let mut pieces = Vec::new();
    let listening = async {
        while let Some(delta) = stream.next().await {
            let Delta::Text(text) = delta? else {
                continue;
            };
            pieces.push(text);
        }
        assert!(stream.next().await.is_none(), "the end is the end");
        Ok::<_, LlmError>(())
    };
    tokio::time::timeout(PATIENCE, listening)
        .await
        .expect("the answer ends")?;
    Ok(pieces)
}

/// The contract.
async fn keeps_the_contract(llm: Arc<dyn Llm>) {
    assert!(!llm.name().is_empty());
    let question = || {
        ask(
            "Answer in one short sentence.",
            "What is the capital of France?",
        )
    };

    // It streams text and ends.
    let said = pieces(&*llm, question()).await.expect("an answer");
    let text = said.concat();
    assert!(said.len() > 1, "in pieces, not at once: {said:?}");
    assert!(said.iter().all(|piece| !piece.is_empty()));
    assert!(text.contains("Paris"), "{text}");
    assert!(!text.contains("<|") && !text.contains("think>"), "{text}");

    // At temperature 0 the same question has the same answer, also when its beginning is known.
    let again = pieces(&*llm, question()).await.expect("an answer");
    assert_eq!(again.concat(), text);

    // A dropped stream cancels: what follows is served at once and in full.
    for taken in [0, 1, 2] {
        let mut stream = llm.chat(ask("Be verbose.", "Tell me a long story about a king."));
        for _ in 0..taken {
            let piece = tokio::time::timeout(PATIENCE, stream.next())
                .await
                .expect("a piece");
            assert!(matches!(piece, Some(Ok(Delta::Text(_)))));
        }
        drop(stream);
    }
    // A stream that nobody ever listened to asks nothing.
    drop(llm.chat(question()));
    let after = pieces(&*llm, question()).await.expect("an answer");
    assert_eq!(after.concat(), text);

    // Two at once are both answered.
    let both = join_all([pieces(&*llm, question()), pieces(&*llm, question())]).await;
    for said in both {
        assert_eq!(said.expect("an answer").concat(), text);
    }

    // What people say in other scripts goes in and comes back as text.
    let request = ask("", "Grüße 👋🏽 世界 <|im_end|> <think> \u{0} \u{202e}");
    pieces(&*llm, request)
        .await
        .expect("an answer, if only an empty one");

    // A conversation without a word is no reason to fail.
    pieces(&*llm, ChatRequest::default())
        .await
        .expect("an answer, if only an empty one");
}

fn config(url: &str) -> OllamaConfig {
    OllamaConfig {
        url: url.to_owned(),
        model: MODEL.to_owned(),
        num_ctx: 1024,
        temperature: 0.0,
        max_tokens: 16,
        keep_alive: Some(Duration::from_secs(60)),
        ..OllamaConfig::default()
    }
}

#[tokio::test]
async fn a_scripted_ollama_keeps_the_contract() {
    let lines = answer(&["The capital", " of France", " is Paris", "."]);
    let server = Scripted::start(streamed(&[lines.as_bytes()])).await;
    let ollama = Ollama::new(config(&server.url())).expect("an address");
    keeps_the_contract(Arc::new(ollama)).await;
}

#[tokio::test]
async fn a_scripted_openai_server_keeps_the_contract() {
    let events = completion(&["The capital", " of France", " is Paris", "."]);
    let server = Scripted::start(sse(&[events.as_bytes()])).await;
    let config = OpenAiConfig {
        model: MODEL.to_owned(),
        ..OpenAiConfig::new(Service::Compatible, &server.url())
    };
    keeps_the_contract(Arc::new(OpenAi::new(config).expect("an address"))).await;
}

/// Each kind of model that stands for another keeps what the other promises, and adds no fault.
#[tokio::test]
async fn a_model_that_stands_for_another_keeps_the_contract() {
    let lines = answer(&["The capital", " of France", " is Paris", "."]);
    let server = Scripted::start(streamed(&[lines.as_bytes()])).await;
    let there = Ollama::new(config(&server.url())).expect("an address");
    let gone = Ollama::new(config("http://127.0.0.1:1")).expect("an address");
    let lazy = |model: &Ollama| {
        let model = model.clone();
        Arc::new(Lazy::new("lazy".to_owned(), move || {
            Ok(Arc::new(model.clone()) as Arc<dyn Llm>)
        }))
    };
    keeps_the_contract(lazy(&there)).await;
    for (first, second) in [(&there, &gone), (&gone, &there)] {
        let warming = first.clone();
        let warm_up = move || {
            let first = warming.clone();
            async move { first.warm_up(None).await }.boxed()
        };
        let both = Fallback::new(Arc::new(first.clone()), lazy(second), Arc::new(warm_up));
        keeps_the_contract(Arc::new(both)).await;
    }
}

#[tokio::test]
async fn a_real_ollama_keeps_the_contract() {
    let Some(server) = OllamaProcess::start().await else {
        eprintln!("skipped: no Ollama is built; build one with scripts/real-parts/ollama.sh");
        return;
    };
    let ollama = Ollama::new(config(server.url())).expect("an address");
    ollama
        .warm_up(Some("Answer in one short sentence."))
        .await
        .expect("warms up");
    let models = ollama.models().await.expect("a list");
    assert!(
        models.iter().any(|m| m.is(MODEL) && m.bytes > 90_000_000),
        "{models:?}"
    );
    keeps_the_contract(Arc::new(ollama)).await;

    let mut missing = config(server.url());
    missing.model = "no-such-model".to_owned();
    let missing = Ollama::new(missing).expect("an address");
    for error in [
        pieces(&missing, ask("", "Hello?"))
            .await
            .expect_err("no model"),
        missing.warm_up(None).await.expect_err("no model"),
    ] {
        assert!(matches!(error, LlmError::NoModel { .. }), "{error:?}");
        assert!(
            error.to_string().contains("ollama pull no-such-model"),
            "{error}"
        );
    }
    let url = server.url().to_owned();
    drop(server);
    let gone = Ollama::probe(&url).await.expect_err("it is gone");
    assert!(gone.to_string().contains("ollama serve"), "{gone}");
}

#[cfg(feature = "embedded-llm")]
#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_model_keeps_the_contract() {
    keeps_the_contract(Arc::new(crate::llm::embedded())).await;
}
