//! What outlives the process, as it is wired: the store in the data folder, the owner's rules for
//! conversations, and the sweep of what is old.

use std::{
    fs::{File, TryLockError},
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::json;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::there;
use crate::{
    llm::history::{Ending, Past},
    session::{Answered, Turns},
    settings::Live,
    store::{
        Conversations, Store, StoreError,
        conversations::{Exchange, Remembered, Rules},
    },
    telemetry::Outcome,
    tools::{
        memory::Memory,
        timers::{Clock, Due, Timers},
    },
};

/// How often what is old is looked for: a day's words are gone an hour after their time at the latest, also
/// on a machine that sleeps at night.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// How long the end of the process waits for what is still to be written.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// See the module's text. Clones are the same.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// The file, or why there is none.
    pub store: Result<Store, StoreError>,
    /// What was said.
    pub conversations: Conversations,
    /// What was to be remembered.
    pub memory: Memory,
    /// The right to the timers of the data folder; kept until the process ends.
    timers: Arc<OnceLock<File>>,
}

impl Keeping {
    /// Opens the file in the data folder, and follows the settings `live`. Where there is no file to be had
    /// everything else goes on; [`Keeping::remark`] says why.
    pub async fn open(live: &Live) -> Self {
        let store = Store::open(&live.current().data_dir).await;
        Self::with(store, live).await
    }

    /// The same with a file that is open.
    pub async fn with(store: Result<Store, StoreError>, live: &Live) -> Self {
        let asked = live.clone();
        let rules = move || {
            let settings = asked.current();
            Rules {
                keep: settings.conversation_history,
                resume: settings.conversation_resume,
                retention: settings.conversation_retention,
            }
        };
        let asked = live.clone();
        let enabled = move || asked.current().memory_enabled;
        Self {
            conversations: Conversations::new(store.clone(), rules),
            memory: Memory::open(store.clone(), enabled).await,
            store,
            timers: Arc::default(),
        }
    }

    /// What people should know: that there is no file, or that a damaged one was moved aside.
    pub fn remark(&self) -> Option<String> {
        match &self.store {
            Ok(store) => store.remark().map(str::to_owned),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Has every turn that is noted in `turns` written down.
    pub fn follow(&self, turns: &Turns) {
        let conversations = self.conversations.clone();
        turns.kept_by(move |room, answered| conversations.note(room, exchange(answered)));
    }

    /// Timers, alarms and reminders: those that are kept go on. What is due goes to `due`. One process speaks
    /// for a data folder; what is set in another one ends with it.
    pub async fn timers(&self, live: &Live, due: mpsc::Sender<Due>) -> Timers {
        let clock = |live: Live| -> Clock { Arc::new(move || there(&live.current())) };
        let store = self.store.clone().ok();
        let store = match claim(&live.current().data_dir) {
            Ok(claim) => {
                let _ = self.timers.set(claim); // asked for once
                store
            }
            Err(TryLockError::WouldBlock) => {
                warn!(
                    "another caal speaks up for the timers of this data folder; those that are set here end with this process"
                );
                None
            }
            // No lock is to be had there, or the disk is full.
            Err(TryLockError::Error(_)) => store,
        };
        match Timers::start(store, clock(live.clone()), due.clone()).await {
            Ok(timers) => timers,
            Err(error) => {
                warn!("timers are not kept: {error}");
                let timers = Timers::start(None, clock(live.clone()), due).await;
                timers.expect("nothing is read that could fail")
            }
        }
    }

    /// A conversation begins in `room` (empty: this machine's own sound): what was said there lately, for
    /// [`Setting::past`](crate::session::Setting::past).
    pub async fn past(&self, room: &str) -> Vec<Past> {
        let remembered = self.conversations.begin(room).await;
        remembered.into_iter().map(past).collect()
    }

    /// Deletes what is too old, now and every hour, and takes over what other processes change. Never ends;
    /// dropping it stops it.
    pub async fn tend(&self) {
        if self.store.is_err() {
            return std::future::pending().await;
        }
        let sweeping = async {
            loop {
                match self.conversations.sweep().await {
                    Ok(0) => {}
                    Ok(messages) => info!(messages, "old words were deleted"),
                    Err(error) => warn!("what is old was not deleted: {error}"),
                }
                tokio::time::sleep(SWEEP).await;
            }
        };
        tokio::join!(sweeping, self.memory.follow());
    }

    /// Waits until what was said last is on the disk, a moment at most.
    pub async fn settle(&self) {
        if let Ok(store) = &self.store
            && tokio::time::timeout(LAST_WORDS, store.settle())
                .await
                .is_err()
        {
            warn!("the disk takes long; the last words may not be kept");
        }
    }
}

/// The right to speak up for the timers of `folder`; given back when it is dropped or the process ends.
fn claim(folder: &Path) -> Result<File, TryLockError> {
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(false);
    let file = options.open(folder.join(".timers.lock"));
    let file = file.map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}

impl Default for Keeping {
    /// One that keeps nothing.
    fn default() -> Self {
        Self {
            store: Err(StoreError::Stopped),
            conversations: Conversations::default(),
            memory: Memory::default(),
            timers: Arc::default(),
        }
    }
}

fn past(remembered: Remembered) -> Past {
    Past {
        user: remembered.user,
        assistant: remembered.assistant,
        ending: match remembered.complete {
            true => Ending::Complete,
            false => Ending::Interrupted,
        },
    }
}

fn exchange(answered: &Answered) -> Exchange {
    let meta = json!({
        "outcome": answered.outcome.name(),
        "spoken": answered.timings.turn.is_some(),
        "total_ms": answered.timings.total_ms,
    });
    Exchange {
        asked_at: answered.asked_at,
        over_at: answered.over_at,
        user: answered.user.clone(),
        assistant: answered.assistant.clone(),
        complete: answered.outcome == Outcome::Complete,
        meta: Some(meta.to_string()),
    }
}
