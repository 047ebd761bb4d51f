//! How a conversation is held: what a session and its ear are told at the start, and told anew whenever
//! somebody changes it. A change counts from the next turn on: what is going on ends as it began.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Session, SessionConfig};
use crate::{
    turn::{Input, TurnConfig},
    wake::{GateConfig, WakeError, WakeModel},
};

/// Makes the wake word model of one ear: a state of its own over weights that all share. Called on the
/// thread of the ear. The same one as long as the wake words are the same.
pub type WakeSource = Arc<dyn Fn() -> Result<Box<dyn WakeModel>, WakeError> + Send + Sync>;

/// See the module's text.
#[derive(Clone)]
pub struct Manner {
    /// The session's. Its clock is the room's business.
    pub config: SessionConfig,
    /// What the ear sleeps for; none where it always listens, as [`TurnConfig::activation`] says too.
    pub wake: Option<WakeSource>,
    /// When a score is a wake word.
    pub gate: GateConfig,
}

/// The manner now, and whenever it changes.
pub type Manners = watch::Receiver<Arc<Manner>>;

/// What a session has yet to take over.
#[derive(Default)]
pub(super) struct News {
    source: Option<Manners>,
    /// Rules that wait for the turn machine to be at rest.
    rules: Option<TurnConfig>,
}

impl News {
    /// Resolves when there is something new; never, where nothing can come.
    pub(super) async fn wait(&mut self) {
        if let Some(source) = &mut self.source
            && source.changed().await.is_ok()
        {
            source.mark_changed(); // it is taken over between two turns
            return;
        }
        self.source = None;
        std::future::pending().await
    }

    /// Whether [`Self::wait`] may resolve, and has not been heeded yet.
    pub(super) fn unheeded(&self) -> bool {
        let source = self.source.as_ref();
        source.is_some_and(|source| source.has_changed().unwrap_or(false))
    }
}

impl Session {
    /// The same session, which follows `manners` between its turns.
    pub fn following(mut self, manners: Manners) -> Self {
        self.news.source = Some(manners);
        self
    }

    /// Takes over what is new for what is said from now on. Between two turns only. The rules of turn
    /// taking wait for [`Self::new_rules`].
    pub(super) fn follow(&mut self) {
        if !self.news.unheeded() {
            return;
        }
        let Some(source) = &mut self.news.source else {
            return;
        };
        let manner = source.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.config, manner.config.clone());
        self.config.clock = before.clock;
        self.config.place = before.place;
        self.config.turn.default_wait = self.config.endpoint.delay(None);
        self.news.rules = Some(self.config.turn);
        self.history.limit(self.config.history);
        // Made by what counted before, and for a question that was not asked.
        self.prepared = None;
    }

    /// What the turn machine has to be told, where it may be told something.
    pub(super) fn new_rules(&mut self) -> Option<Input> {
        if !self.machine.at_rest() {
            return None;
        }
        self.follow();
        let rules = self.news.rules.take()?;
        Some(Input::Rules(Box::new(rules)))
    }
}
