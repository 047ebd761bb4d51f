//! The turns of the last while, for whoever asks how the assistant has been doing: a bounded list in
//! memory, and news of each turn as it is over. Latencies only, unless the owner has words kept.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::SystemTime,
};

use tokio::sync::broadcast;

use super::{answered::Answered, timings::TurnTimings};
use crate::{
    pii::Pii,
    telemetry::{Exporter, Outcome},
};

/// Turns that a slow listener may be behind; beyond that it misses the oldest.
const NEWS: usize = 32;

/// One turn that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// From 1, for the life of the process.
    pub id: u64,
    /// When the question was over.
    pub asked_at: SystemTime,
    /// The name of its room; empty for this machine's own sound.
    pub room: String,
    /// How long the answer took.
    pub timings: TurnTimings,
    /// How it ended.
    pub outcome: Outcome,
    /// What the user said, and what was heard of the answer; where words are kept.
    pub words: Option<(Pii<String>, Pii<String>)>,
}

/// Whether words may be kept, now.
type KeepsWords = Arc<dyn Fn() -> bool + Send + Sync>;

/// Takes a turn and the name of its room, without delay.
type Keeper = Box<dyn Fn(&str, &Answered) + Send + Sync>;

/// See the module's text. Clones are the same list.
#[derive(Clone)]
pub struct Turns(Arc<Inner>);

struct Inner {
    /// Held to add or copy a few hundred rows; never across an await.
    list: Mutex<List>,
    news: broadcast::Sender<Past>,
    keeps_words: KeepsWords,
    /// Who is sent the trace of every turn, where somebody is.
    exporter: Mutex<Option<Exporter>>,
    /// Who writes turns down, where somebody does.
    keeper: OnceLock<Keeper>,
}

#[derive(Default)]
struct List {
    last_id: u64,
    turns: VecDeque<Past>,
}

impl Turns {
    /// How many are remembered; the oldest goes first.
    pub const KEPT: usize = 500;

    /// An empty list. `keeps_words` is asked with every turn, and with every look: as soon as it says
    /// no, the words that were kept are gone.
    pub fn new(keeps_words: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            list: Mutex::default(),
            news: broadcast::Sender::new(NEWS),
            keeps_words: Arc::new(keeps_words),
            exporter: Mutex::default(),
            keeper: OnceLock::new(),
        }))
    }

    /// The trace of every turn from now on goes there, too.
    pub fn export_to(&self, exporter: Exporter) {
        *self.exporter() = Some(exporter);
    }

    /// Every turn from now on is told to `keeper`, too, with its words: whether they may be kept is the
    /// keeper's to know. It must not wait. Once: a later one is not taken.
    pub fn kept_by(&self, keeper: impl Fn(&str, &Answered) + Send + Sync + 'static) {
        let _ = self.0.keeper.set(Box::new(keeper));
    }

    /// Sends the traces that are left, for two seconds at most. No more are sent after that.
    pub async fn close(&self) {
        let exporter = self.exporter().take();
        if let Some(exporter) = exporter {
            exporter.close().await;
        }
    }

    /// A turn in `room` is over.
    pub fn note(&self, room: &str, answered: &Answered) {
        if let Some(exporter) = &*self.exporter() {
            exporter.send(&answered.trace(room));
        }
        if let Some(keeper) = self.0.keeper.get() {
            keeper(room, answered);
        }
        let words = self.keeps_words().then(|| {
            let Answered {
                user, assistant, ..
            } = answered;
            (user.clone(), assistant.clone())
        });
        let mut list = self.list();
        list.last_id += 1;
        let past = Past {
            id: list.last_id,
            asked_at: answered.asked_at,
            room: room.to_owned(),
            timings: answered.timings.clone(),
            outcome: answered.outcome,
            words,
        };
        if list.turns.len() == Self::KEPT {
            list.turns.pop_front();
        }
        list.turns.push_back(past.clone());
        // In the list's order, so that nobody hears of a later one first. Nobody may be listening.
        let _ = self.0.news.send(past);
    }

    /// The last `limit` turns, those of `room` where one is named; newest first.
    pub fn last(&self, limit: usize, room: Option<&str>) -> Vec<Past> {
        let keeps_words = self.keeps_words();
        let mut list = self.list();
        if !keeps_words {
            for past in &mut list.turns {
                past.words = None;
            }
        }
        let newest = list.turns.iter().rev();
        newest
            .filter(|past| room.is_none_or(|room| past.room == room))
            .take(limit)
            .cloned()
            .collect()
    }

    /// Every turn that is over from now on.
    pub fn news(&self) -> broadcast::Receiver<Past> {
        self.0.news.subscribe()
    }

    /// Whether words are kept, now.
    pub fn keeps_words(&self) -> bool {
        (self.0.keeps_words)()
    }

    /// Forgets all turns; ids go on.
    pub fn forget(&self) {
        self.list().turns.clear();
    }

    fn exporter(&self) -> MutexGuard<'_, Option<Exporter>> {
        // Held to hand a tree over, which waits for nobody.
        let exporter = &self.0.exporter;
        exporter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self) -> MutexGuard<'_, List> {
        // Nothing in there can be left half done.
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Turns {
    /// One that keeps no words.
    fn default() -> Self {
        Self::new(|| false)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::{session::Marks, turn::ReplyId};

    fn answered() -> Answered {
        Answered {
            asked_at: SystemTime::UNIX_EPOCH,
            timings: TurnTimings::of(None, ReplyId(1), &Marks::default()),
            outcome: Outcome::Complete,
            user: Pii("who is there".to_owned()),
            assistant: Pii("nobody".to_owned()),
            over_at: SystemTime::UNIX_EPOCH,
            steps: Vec::new(),
        }
    }

    #[test]
    fn the_newest_are_kept_and_the_oldest_go() {
        let turns = Turns::default();
        for _ in 0..=Turns::KEPT {
            turns.note("den", &answered());
        }
        turns.note("attic", &answered());
        let ids = |turns: Vec<Past>| turns.iter().map(|past| past.id).collect::<Vec<_>>();
        let newest = Turns::KEPT as u64 + 2;
        assert_eq!(ids(turns.last(2, None)), [newest, newest - 1]);
        assert_eq!(ids(turns.last(2, Some("den"))), [newest - 1, newest - 2]);
        assert_eq!(turns.last(usize::MAX, None).len(), Turns::KEPT);
        turns.forget();
        assert!(turns.last(1, None).is_empty());
        turns.note("den", &answered());
        assert_eq!(ids(turns.last(1, None)), [newest + 1]);
    }

    #[test]
    fn words_are_kept_only_while_the_owner_has_them_kept() {
        let keeps = Arc::new(AtomicBool::new(false));
        let asked = keeps.clone();
        let turns = Turns::new(move || asked.load(Ordering::Relaxed));
        turns.note("den", &answered());
        assert_eq!(turns.last(1, None)[0].words, None);
        keeps.store(true, Ordering::Relaxed);
        turns.note("den", &answered());
        assert!(turns.last(1, None)[0].words.is_some());
        assert!(turns.last(2, None)[1].words.is_none(), "not in hindsight");
        keeps.store(false, Ordering::Relaxed);
        assert_eq!(turns.last(1, None)[0].words, None);
        keeps.store(true, Ordering::Relaxed);
        assert_eq!(turns.last(1, None)[0].words, None, "gone is gone");
    }

    #[test]
    fn whoever_listens_hears_of_each_turn() {
        let turns = Turns::default();
        let mut news = turns.news();
        turns.note("den", &answered());
        assert_eq!(news.try_recv().expect("one").id, 1);
        assert!(news.try_recv().is_err());
    }
}
