//! The HTTP API and the page; thin. So far: is the server alive, is it ready to answer, and how to come
//! into a room.

mod connection;
mod page;

pub use connection::{Place, Rooms};

use axum::{
    Json, Router,
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use serde::Serialize;
use tokio::sync::watch;

/// Where the server stands on its way to answering. One whose models cannot be loaded ends with the
/// reason, so there is no state for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Models are being loaded.
    Loading,
    /// Ready to answer.
    Ready(Parts),
    /// Asked to stop; finishing what is under way.
    Draining,
}

/// Which engine does what, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parts {
    /// Speech to text.
    pub stt: String,
    /// Language model.
    pub llm: String,
    /// Text to speech.
    pub tts: String,
    /// The conversation through this machine's own sound; absent where none was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<Local>,
}

/// The conversation through this machine's microphone and loudspeakers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Local {
    /// The wake word that it sleeps for, several with commas; none: it always listens.
    pub wake: Option<String>,
    /// The microphone in use; none while one is waited for.
    pub microphone: Option<String>,
    /// The loudspeaker in use; none while one is waited for.
    pub loudspeaker: Option<String>,
    /// Why the conversation has ended, where it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What the routes know.
#[derive(Clone, Debug)]
pub struct State {
    /// Changes as the server comes up and goes down.
    pub readiness: watch::Receiver<Readiness>,
    /// How people come into a room; none where there is none.
    pub rooms: Option<Rooms>,
}

/// All routes. A function of its state, so that tests call it without a socket.
pub fn router(state: State) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/api/connection-details", post(connection::details))
        .merge(page::routes())
        .with_state(state)
}

/// `GET /health`: 200 while the process lives.
async fn health() -> impl IntoResponse {
    Json(serde_json::json!({ "status": "healthy", "version": env!("CARGO_PKG_VERSION") }))
}

/// `GET /ready`: 200 when models are loaded, else 503.
async fn ready(axum::extract::State(state): axum::extract::State<State>) -> impl IntoResponse {
    let readiness = state.readiness.borrow().clone();
    let (status, body) = match readiness {
        Readiness::Ready(parts) => (
            StatusCode::OK,
            serde_json::json!({ "status": "ready", "engines": parts }),
        ),
        Readiness::Loading => (
            StatusCode::SERVICE_UNAVAILABLE,
            serde_json::json!({ "status": "loading" }),
        ),
        Readiness::Draining => (
            StatusCode::SERVICE_UNAVAILABLE,
            serde_json::json!({ "status": "draining" }),
        ),
    };
    (status, Json(body))
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn get(readiness: Readiness, path: &str) -> (StatusCode, String) {
        let (_keep, receiver) = watch::channel(readiness);
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let answer = router(State {
            readiness: receiver,
            rooms: None,
        })
        .oneshot(request)
        .await
        .expect("infallible");
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn health_is_healthy_while_models_load_and_ready_is_not() {
        let (status, body) = get(Readiness::Loading, "/health").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.contains("\"healthy\""), "{body}");
        let (status, body) = get(Readiness::Loading, "/ready").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(body.contains("loading"), "{body}");
    }

    #[tokio::test]
    async fn ready_names_the_engines_and_the_devices() {
        let parts = Parts {
            stt: "whisper".into(),
            ..Parts::default()
        };
        let (status, body) = get(Readiness::Ready(parts.clone()), "/ready").await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            body.contains("whisper") && !body.contains("microphone"),
            "{body}"
        );
        let local = Some(Local {
            loudspeaker: Some("Speakers".into()),
            ..Local::default()
        });
        let (_, body) = get(Readiness::Ready(Parts { local, ..parts }), "/ready").await;
        assert!(body.contains("\"microphone\":null"), "{body}");
        assert!(body.contains("\"loudspeaker\":\"Speakers\""), "{body}");
    }

    #[tokio::test]
    async fn the_front_page_and_nothing_else() {
        assert_eq!(get(Readiness::Loading, "/").await.0, StatusCode::OK);
        assert_eq!(
            get(Readiness::Loading, "/nothing").await.0,
            StatusCode::NOT_FOUND
        );
    }
}
