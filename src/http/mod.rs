//! The HTTP API and the page; thin: requests become calls of the settings, of the desk where rooms take
//! their orders, and of the [`House`]; answers become JSON. CAAL's and VK-Agent's endpoints are in `api`,
//! our own in `own`, how to come into a room is in `connection`, the files of the page are in `page`, and who
//! gets in at all is decided in `guard`.

mod api;
mod connection;
pub mod guard;
mod own;
mod page;

pub use api::{Screens, not_found};
pub use connection::{Place, Rooms};
pub use own::{Fetched, Panel, Part, PartState, Progress, conversation_line};

use std::{sync::Arc, time::SystemTime};

use axum::{Router, extract::DefaultBodyLimit, middleware, routing::post};
use futures_util::{future::BoxFuture, stream::BoxStream};
use serde::Serialize;
use tokio::sync::watch;

use crate::{
    fault::Fault, mind::Doing, pii::Pii, room::Desk, rtc::join::Server, settings::Live,
    tools::mcp::ServerStatus,
};

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
    /// What was set and is not in force, and why; absent where all is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
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

/// What the API asks of the house's engines, without knowing them. Answers also while models are loaded.
pub trait House: Send + Sync {
    /// The models of the language model server that is set, by name; none where it does not answer.
    fn models(&self) -> BoxFuture<'static, Vec<String>>;

    /// Whether the language model that answers sees pictures; no until the house is ready.
    fn sees(&self) -> BoxFuture<'static, bool>;

    /// The voices that are installed, by name.
    fn voices(&self) -> BoxFuture<'static, Vec<String>>;

    /// The wake words that are installed, by the files that CAAL would name: `models/alexa.onnx`.
    fn wake_words(&self) -> BoxFuture<'static, Vec<String>>;

    /// Has the language model loaded by who runs it; does not wait for that.
    fn prewarm(&self) -> Prewarm;

    /// The sound of a sentence as a WAV file: 24 kHz, mono, 16 bit. Dropping the future stops it, and so
    /// does a conversation that needs the voice.
    fn say(&self, say: Say) -> BoxFuture<'static, Result<Vec<u8>, SayError>>;

    /// The servers that tools come from, and how they fare; none until the house is ready.
    fn servers(&self) -> Vec<ServerStatus>;

    /// Looks for tools anew at all of them; how many tools there are then. Takes five seconds at most.
    fn reload_tools(&self) -> BoxFuture<'static, usize>;

    /// Answers a question in writing. Dropping the answer stops it; what was written of it is remembered.
    fn chat(&self, question: ChatQuestion) -> BoxFuture<'static, Result<Chatting, ChatError>>;

    /// The conversations in writing, the last used first.
    fn chats(&self) -> Vec<Chat>;

    /// Forgets one of them, and what is kept of it on the disk; whether there was one of this name.
    fn forget_chat(&self, id: String) -> BoxFuture<'static, bool>;

    /// Something that listens for a wake word in sound of `rate_hz`, outside of any conversation.
    fn listen(
        &self,
        word: String,
        rate_hz: u32,
    ) -> BoxFuture<'static, Result<Box<dyn Listening>, TryError>>;
}

/// A question in writing.
#[derive(Clone, Debug)]
pub struct ChatQuestion {
    /// The conversation; none for a new one, or the last.
    pub chat: Option<String>,
    /// Where none is named: go on with the last.
    pub go_on: bool,
    /// The question.
    pub text: Pii<String>,
}

/// An answer in writing, on its way.
pub struct Chatting {
    /// The conversation.
    pub id: String,
    /// The answer; after a failure no more comes.
    pub pieces: BoxStream<'static, ChatPiece>,
}

/// A piece of an answer in writing.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatPiece {
    /// Its next characters.
    Text(String),
    /// What is done with tools.
    Doing(Doing),
    /// There is no more; why, for people.
    Failed(String),
}

/// A conversation in writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// Its name.
    pub id: String,
    /// When a question was last asked in it.
    pub used_at: SystemTime,
    /// Questions so far.
    pub questions: u64,
}

/// Why there is no answer in writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// The language model is not loaded yet.
    #[error("the models are being loaded")]
    Loading,
}

/// What is to be said, and by whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Say {
    /// A voice or a blend of several.
    pub voice: String,
    /// The words.
    pub text: String,
    /// Speed of speech, 0.5 to 2.
    pub speed: f32,
}

/// Why nothing is said; sentences for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SayError {
    /// The voices are not loaded yet.
    #[error("the voices are being loaded")]
    Loading,
    /// Somebody is being answered.
    #[error("somebody is being answered")]
    Busy,
    /// There is no such voice.
    #[error("{0}")]
    Voice(String),
    /// The voice failed.
    #[error("{0}")]
    Failed(String),
}

impl SayError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Loading | Self::Busy => Fault::Busy,
            Self::Voice(_) => Fault::Request,
            Self::Failed(_) => Fault::Internal,
        }
    }
}

/// Listens for a wake word.
pub trait Listening: Send {
    /// Takes the next sound, mono, `-1.0..=1.0`; a score for every 80 ms that are full. Blocks for a few
    /// milliseconds for each.
    ///
    /// # Errors
    ///
    /// When the model fails; for people.
    fn push(&mut self, sound: &[f32]) -> Result<Vec<Heard>, String>;
}

/// How much 80 ms of sound are like a wake word.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Heard {
    /// Where they end, from the beginning of the sound.
    pub at_ms: u64,
    /// `0.0..=1.0`.
    pub score: f32,
    /// Loudness: root mean square, `0.0..=1.0`.
    pub level: f32,
    /// A conversation would wake, here.
    pub heard: bool,
    /// The score from which on it would.
    pub threshold: f32,
}

/// Why nobody listens; sentences for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TryError {
    /// There is no such wake word.
    #[error("{0}")]
    Unknown(String),
    /// Its model cannot be used.
    #[error("{0}")]
    Failed(String),
}

impl TryError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unknown(_) => Fault::Request,
            Self::Failed(_) => Fault::Internal,
        }
    }
}

/// Whether a model is being loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prewarm {
    /// It is, in the background.
    Started,
    /// It is not; why, for people.
    Skipped(&'static str),
}

/// What the routes know.
#[derive(Clone)]
pub struct State {
    /// Changes as the server comes up and goes down.
    pub readiness: watch::Receiver<Readiness>,
    /// How people come into a room; none where there is none.
    pub rooms: Option<Rooms>,
    /// Where conversations take orders.
    pub desk: Desk,
    /// Who is asked about rooms that are not on the desk; none where all rooms are our own.
    pub server: Option<Server>,
    /// The settings.
    pub settings: Live,
    /// The engines.
    pub house: Arc<dyn House>,
    /// The last picture of a screen.
    pub screens: Screens,
    /// Who was refused, and why: what a [`guard::Guard`] counts.
    pub refusals: guard::Refusals,
    /// What the page's panel is shown.
    pub panel: Panel,
}

/// All routes. A function of its state, so that tests call it without a socket. What is not there is
/// answered by [`not_found`], unless the caller gives it another fallback. Nothing is guarded here: that is
/// [`guard::Guard::around`].
pub fn router(state: State) -> Router {
    Router::new()
        .route(
            "/api/connection-details",
            post(connection::details).layer(DefaultBodyLimit::max(connection::LONGEST)),
        )
        .merge(api::routes())
        .merge(page::routes())
        .fallback(not_found)
        .layer(middleware::from_fn(own::measure))
        .with_state(state)
}

/// VK-Agent's routes alone, for the port on which its callers look for them.
pub fn vk_router(state: State) -> Router {
    Router::new()
        .merge(api::vk_routes())
        .fallback(not_found)
        .layer(middleware::from_fn(own::measure))
        .with_state(state)
}

#[cfg(test)]
fn test_state(readiness: watch::Receiver<Readiness>) -> State {
    use futures_util::FutureExt as _;

    use crate::settings::Sources;

    /// Nobody is at home.
    struct Empty;

    impl House for Empty {
        fn models(&self) -> BoxFuture<'static, Vec<String>> {
            async { Vec::new() }.boxed()
        }
        fn voices(&self) -> BoxFuture<'static, Vec<String>> {
            async { Vec::new() }.boxed()
        }
        fn wake_words(&self) -> BoxFuture<'static, Vec<String>> {
            async { Vec::new() }.boxed()
        }
        fn sees(&self) -> BoxFuture<'static, bool> {
            async { false }.boxed()
        }
        fn prewarm(&self) -> Prewarm {
            Prewarm::Skipped("nobody is at home")
        }
        fn chat(&self, _: ChatQuestion) -> BoxFuture<'static, Result<Chatting, ChatError>> {
            async { Err(ChatError::Loading) }.boxed()
        }
        fn servers(&self) -> Vec<ServerStatus> {
            Vec::new()
        }
        fn reload_tools(&self) -> BoxFuture<'static, usize> {
            async { 0 }.boxed()
        }
        fn chats(&self) -> Vec<Chat> {
            Vec::new()
        }
        fn forget_chat(&self, _: String) -> BoxFuture<'static, bool> {
            async { false }.boxed()
        }
        fn say(&self, _: Say) -> BoxFuture<'static, Result<Vec<u8>, SayError>> {
            async { Err(SayError::Loading) }.boxed()
        }
        fn listen(
            &self,
            word: String,
            _: u32,
        ) -> BoxFuture<'static, Result<Box<dyn Listening>, TryError>> {
            async { Err(TryError::Unknown(word)) }.boxed()
        }
    }
    let panel = Panel::default();
    panel.progress.tell("rooms", PartState::Ready, None);
    State {
        readiness,
        rooms: None,
        desk: Desk::default(),
        server: None,
        // Nothing is written: these tests change no setting.
        settings: Live::open(Sources::default()).expect("the defaults are good"),
        house: Arc::new(Empty),
        screens: Screens::default(),
        refusals: guard::Refusals::default(),
        panel,
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::{Request, StatusCode},
    };
    use tower::ServiceExt;

    use super::*;

    async fn get(readiness: Readiness, path: &str) -> (StatusCode, String) {
        let (_keep, receiver) = watch::channel(readiness);
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let answer = router(test_state(receiver))
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
