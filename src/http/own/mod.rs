//! The endpoints that are our own, not CAAL's nor VK-Agent's: how the server is (`/ready`, `/metrics`), and
//! what the page's panel shows and does (past turns, events, downloads, trying a voice or a wake word), and what is kept on the disk (conversations,
//! memory).
//! Their errors are problem JSON. Each is written down in `api`'s list, so that it is in the document, too.

mod chat;
mod conversations;
mod downloads;
mod events;
mod hear;
mod memory;
mod meter;
mod meters;
mod problem;
mod ready;
mod timers;
mod turns;

pub use conversations::conversation_line;
pub use downloads::Fetched;
pub(super) use meters::measure;
pub(super) use problem::Problem;
pub use ready::{Part, PartState, Progress};

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, to_bytes},
    response::{IntoResponse as _, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Semaphore;

use self::downloads::Downloads;
use super::api::Api;
use crate::{
    session::Turns,
    settings::Settings,
    store::Conversations,
    tools::{memory::Memory, timers::Timers},
};

/// Longest body of a request, bytes.
const LONGEST: usize = 16 * 1024;

/// What the page's panel is shown, beside the settings. Clones are the same.
#[derive(Clone)]
pub struct Panel {
    /// The turns of the last while.
    pub turns: Turns,
    /// What was said and is kept.
    pub conversations: Conversations,
    /// What was to be remembered.
    pub memory: Memory,
    /// How far the server is on its way to being ready.
    pub progress: Progress,
    /// What speaks up by itself.
    timers: Option<Timers>,
    downloads: Arc<Downloads>,
    listeners: events::Listeners,
    /// Who tries a voice: one at a time.
    previews: Arc<Semaphore>,
    /// Who tries a wake word: the same.
    tries: Arc<Semaphore>,
}

impl Panel {
    /// One that shows these turns.
    pub fn new(turns: Turns) -> Self {
        Self {
            turns,
            conversations: Conversations::default(),
            memory: Memory::default(),
            progress: Progress::default(),
            timers: None,
            downloads: Arc::default(),
            listeners: events::Listeners::default(),
            previews: Arc::new(Semaphore::new(1)),
            tries: Arc::new(Semaphore::new(1)),
        }
    }

    /// The same, where that is kept on the disk.
    pub fn keeping(mut self, conversations: Conversations, memory: Memory) -> Self {
        (self.conversations, self.memory) = (conversations, memory);
        self
    }

    /// The same, where timers can be asked for.
    pub fn timing(mut self, timers: Timers) -> Self {
        self.timers = Some(timers);
        self
    }

    /// Fetches these models, as the page could, and waits until that is over; where a download is under way
    /// already, for the end of that one. `tell` hears of each model. Dropped, the download goes on.
    pub async fn fetch(
        &self,
        settings: &Settings,
        names: Vec<String>,
        tell: impl FnMut(&str),
    ) -> Fetched {
        self.downloads.fetch(settings, names, tell).await
    }

    /// Resolves when somebody has begun a download.
    pub async fn download_begun(&self) {
        self.downloads.begun().await;
    }
}

impl Default for Panel {
    /// One that shows no words.
    fn default() -> Self {
        Self::new(Turns::default())
    }
}

pub(super) fn write_down(api: &mut Api) {
    ready::write_down(api);
    meters::write_down(api);
    turns::write_down(api);
    conversations::write_down(api);
    memory::write_down(api);
    timers::write_down(api);
    events::write_down(api);
    downloads::write_down(api);
    hear::write_down(api);
    meter::write_down(api);
    chat::write_down(api);
}

/// `value` as the answer.
fn json<T: Serialize>(value: T) -> Result<Response, Problem> {
    Ok(Json(value).into_response())
}

/// The JSON in `body`; nothing counts as `{}`.
async fn body<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let too_long = |_| Problem::too_long(LONGEST);
    let bytes = to_bytes(body, LONGEST).await.map_err(too_long)?;
    let bytes = match bytes.trim_ascii() {
        [] => b"{}",
        bytes => bytes,
    };
    let value: serde_json::Value = serde_json::from_slice(bytes)
        .map_err(|e| Problem::invalid("body", format!("it is not JSON ({e}); send an object")))?;
    if !value.is_object() {
        return Err(Problem::invalid("body", "it is not an object"));
    }
    serde_json::from_value(value).map_err(|e| Problem::invalid("body", e.to_string()))
}
