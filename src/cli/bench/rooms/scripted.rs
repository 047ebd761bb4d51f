//! A language model that always says the same at the same pace, over Ollama's HTTP: what it takes is known,
//! so that everything else in a turn can be compared.

use std::{net::Ipv4Addr, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::cli::Failure;

/// From the question to the first word.
const FIRST: Duration = Duration::from_millis(100);

/// Words a second after it.
const PER_SECOND: f64 = 30.0;

/// What stands in settings as the model's name.
pub(super) const MODEL: &str = "scripted:latest";

/// An ordinary answer.
pub(super) const ANSWER: &str = "It is a quarter past three in the afternoon. The sky is clear, and it should stay dry until the evening.";

/// An answer that is still going on when somebody cuts in.
pub(super) const LONG_ANSWER: &str = "The old lighthouse stands on a narrow strip of rock, a mile away from the village. \
It was built by three brothers, who carried every stone across the water in small boats. \
In the first winter, a storm took the roof away, and they began again in spring. \
Since then, somebody has lit the lamp on every single evening, in war and in peace. \
Today the light turns by itself, and the keeper's house has become a small museum. \
Visitors climb the stairs in the morning, when the wind is still low and the view is wide. \
On a clear day, you can see the mountains on the other side, and sometimes a whale.";

/// The model, for as long as it is kept.
pub(super) struct Scripted {
    /// Where it listens.
    pub(super) url: String,
    _tasks: JoinSet<()>,
}

impl Scripted {
    /// Begins to listen on a free port of loopback; says `answer` to everybody.
    pub(super) async fn start(answer: &'static str) -> Result<Self, Failure> {
        let failed = |e: std::io::Error| {
            Failure::internal(format!("the scripted language model cannot listen: {e}"))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(failed)?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let router = Router::new()
            .route("/api/tags", get(tags))
            .route("/api/chat", post(chat))
            .with_state(answer);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            // It ends with the bench; there is nobody to tell of an earlier end but who asks it.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, _tasks: tasks })
    }
}

async fn tags() -> Json<Value> {
    Json(json!({ "models": [{ "name": MODEL, "size": 1 }] }))
}

async fn chat(State(answer): State<&'static str>, Json(request): Json<Value>) -> Response {
    let asked = request["messages"]
        .as_array()
        .is_some_and(|all| all.iter().any(|m| m["role"] == "user"));
    // A warm-up has no question.
    let words = if asked { answer } else { "" };
    let began = Instant::now();
    let pieces = words
        .split_inclusive(' ')
        .map(|word| json!({ "message": { "role": "assistant", "content": word }, "done": false }))
        .chain([json!({ "message": { "role": "assistant", "content": "" }, "done": true })])
        .enumerate();
    let body = stream::unfold(pieces, move |mut pieces| async move {
        let (n, piece) = pieces.next()?;
        sleep_until(began + FIRST + Duration::from_secs_f64(n as f64 / PER_SECOND)).await;
        let line = Bytes::from(format!("{piece}\n"));
        Some((Ok::<_, std::convert::Infallible>(line), pieces))
    });
    let kind = [("content-type", "application/x-ndjson")];
    (kind, Body::from_stream(body)).into_response()
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;
    use crate::llm::{
        ChatRequest, Delta, Llm as _, Message,
        ollama::{Ollama, OllamaConfig},
    };

    #[tokio::test]
    async fn it_is_an_ollama_to_who_asks_it() {
        let scripted = Scripted::start("Two words.").await.unwrap();
        let models = Ollama::probe(&scripted.url).await.unwrap();
        assert_eq!(models[0].name, MODEL);
        let ollama = Ollama::new(OllamaConfig {
            url: scripted.url.clone(),
            model: MODEL.to_owned(),
            ..OllamaConfig::default()
        })
        .unwrap();
        ollama.warm_up(Some("Be brief.")).await.unwrap();
        let asked = Instant::now();
        let messages = vec![Message::User("Say two words.".to_owned())];
        let said: Vec<_> = ollama.chat(ChatRequest::from(messages)).collect().await;
        let text: String = said
            .into_iter()
            .filter_map(|piece| match piece.unwrap() {
                Delta::Text(text) => Some(text),
                Delta::Usage(_) | Delta::Call(_) | Delta::BadCall(_) => None,
            })
            .collect();
        assert_eq!(text, "Two words.");
        assert!(asked.elapsed() >= FIRST);
    }
}
