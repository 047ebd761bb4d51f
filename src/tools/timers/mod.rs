//! Timers, alarms and reminders, which speak up by themselves. [`Timers`] keeps them in the store, waits for
//! the next one by the clock on the wall (so that a machine that slept is not late by its sleep) and gives
//! each as a [`Due`] to whoever makes it heard. What is due when is in `book`, how it is said in `say`, what
//! is asked for in `ask`, which one is meant in `names`; all of these are pure.
//!
//! Nothing is lost: a [`Due`] counts as spoken when its receiver says so and that is on the disk. A process
//! that is killed in between speaks of it once more when it is started again.

mod ask;
mod book;
mod kept;
mod names;
mod say;
mod tool;
pub(in crate::tools) mod words;

pub use book::{Entry, Kind, Repeat};

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use jiff::{SignedDuration, Timestamp, Zoned};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
};
use tracing::warn;

use self::book::{Book, Change};
use super::Tool;
use crate::store::{Store, StoreError};

/// What time it is, in the zone that the settings name; asked every time.
pub type Clock = Arc<dyn Fn() -> Zoned + Send + Sync>;

/// How often it is looked at the clock while something is to come: a clock that was set, or a machine that
/// woke up, is noticed after this time.
const LOOK: Duration = Duration::from_secs(2);

/// Whoever has not looked at the clock for this long was asleep.
const ASLEEP: SignedDuration = SignedDuration::from_secs(60);

/// Before something that nobody spoke is handed out again.
const RETRY: SignedDuration = SignedDuration::from_secs(5);

/// See the module's text. Clones are the same; the last one dropped ends the waiting.
#[derive(Clone)]
pub struct Timers(Arc<Running>);

struct Running {
    inner: Arc<Inner>,
    _task: JoinSet<()>,
}

struct Inner {
    store: Option<Store>,
    clock: Clock,
    /// Never held across an await.
    held: Mutex<Held>,
    /// There is something new in the book.
    changed: Notify,
}

struct Held {
    book: Book,
    /// What was due before was due while nobody waited for it.
    off_until: Timestamp,
}

impl Timers {
    /// Reads what is to come from `store` and waits for it; what is due goes to `out`. When `out` is full
    /// what is due waits in its turn, and nothing is lost; when its receiver is gone nothing speaks up any more.
    /// Without a store nothing outlives the process, and whoever sets something is told so.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn start(
        store: Option<Store>,
        clock: Clock,
        out: mpsc::Sender<Due>,
    ) -> Result<Self, StoreError> {
        let entries = match &store {
            Some(store) => kept::load(store).await?,
            None => Vec::new(),
        };
        let now = clock();
        let inner = Arc::new(Inner {
            held: Mutex::new(Held {
                book: Book::of(entries),
                off_until: now.timestamp(),
            }),
            store,
            clock,
            changed: Notify::new(),
        });
        let mut task = JoinSet::new();
        task.spawn(wait(inner.clone(), out));
        Ok(Self(Arc::new(Running { inner, _task: task })))
    }

    /// The tools of timers, alarms and reminders, in the order in which a language model is told of them.
    pub fn tools(&self) -> Vec<Arc<dyn Tool>> {
        tool::all(self)
    }

    /// All that is to come or rings, by when it is due.
    pub fn all(&self) -> Vec<Entry> {
        self.0.inner.held().book.all()
    }

    /// Those that were spoken once and are spoken again until somebody reacts.
    pub fn ringing(&self) -> Vec<Entry> {
        self.0.inner.held().book.ringing()
    }

    /// What was spoken last and is over since a moment ago, and since when.
    fn just_over(&self, kind: Option<Kind>) -> Option<(Entry, Timestamp)> {
        let now = self.now().timestamp();
        self.0.inner.held().book.just_over(kind, now)
    }

    /// What time it is for them.
    pub fn now(&self) -> Zoned {
        (self.0.inner.clock)()
    }

    /// Ends those of `ids`, before their time or while they ring; how many of them were there.
    ///
    /// # Errors
    ///
    /// When the store does not take it; then they may come back after a restart.
    pub async fn cancel(&self, ids: &[i64]) -> Result<usize, StoreError> {
        let inner = &self.0.inner;
        let gone: Vec<i64> = {
            let mut held = inner.held();
            ids.iter()
                .copied()
                .filter(|id| held.book.remove(*id))
                .collect()
        };
        let ended = gone.len();
        inner.changed.notify_one();
        let change = Change {
            gone,
            ..Change::default()
        };
        inner.write(change).await.map(|()| ended)
    }

    /// Somebody in `place` said something that began at `at`: what was spoken there before has been heard.
    pub async fn quiet(&self, place: &str, at: Timestamp) {
        let inner = &self.0.inner;
        let change = inner.held().book.quiet(place, at);
        if change != Change::default() {
            inner.changed.notify_one();
            inner.note(change).await;
        }
    }

    /// Sets it; with its id. `None` where there are too many.
    async fn set(&self, entry: Entry) -> Result<Option<Entry>, StoreError> {
        let inner = &self.0.inner;
        let Some(entry) = inner.held().book.add(entry) else {
            return Ok(None);
        };
        inner.changed.notify_one();
        let change = Change {
            saved: vec![entry.clone()],
            ..Change::default()
        };
        match inner.write(change).await {
            Ok(()) => Ok(Some(entry)),
            Err(error) => {
                // The user is told that it is not set, so it must not be.
                inner.held().book.remove(entry.id);
                Err(error)
            }
        }
    }

    /// Whether a restart keeps them.
    fn is_kept(&self) -> bool {
        self.0.inner.store.is_some()
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timers({})", self.all().len())
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, Held> {
        // Every change to the book is whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, change: Change) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let writing = self
            .store
            .as_ref()
            .map(|store| kept::write(store, change, (self.clock)().timestamp()));
        async move {
            match writing {
                Some(writing) => writing.await,
                None => Ok(()),
            }
        }
    }

    /// The same for what nobody waits for.
    async fn note(&self, change: Change) {
        if let Err(error) = self.write(change).await {
            warn!("what became of a timer is not kept: {error}");
        }
    }
}

/// Where and when something was spoken.
struct Spoken {
    place: String,
    at: Zoned,
}

/// Something that is due, to be spoken as soon as somebody is there to hear it. Dropped without
/// [`Due::spoken`] it is given out again after five seconds.
pub struct Due {
    /// Its number, as [`Timers::cancel`] takes it.
    pub id: i64,
    /// What it is.
    pub kind: Kind,
    /// Where it was asked for: the best place to speak of it, if somebody is there.
    pub place: String,
    inner: Arc<Inner>,
    done: oneshot::Sender<Spoken>,
}

impl Due {
    /// What is to be said, from now: `Your pasta timer is done.` None where it was cancelled meanwhile.
    pub fn text(&self) -> Option<String> {
        let now = (self.inner.clock)();
        let held = self.inner.held();
        let entry = held.book.get(self.id)?;
        Some(say::due(entry, entry.due < held.off_until, &now))
    }

    /// It is being said in `place`.
    pub fn spoken(self, place: &str) {
        // Nobody waits for it where the process ends: then it is said once more.
        let _ = self.done.send(Spoken {
            place: place.to_owned(),
            at: (self.inner.clock)(),
        });
    }
}

impl fmt::Debug for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Due({} {})", self.kind.name(), self.id)
    }
}

/// Waits for what is due and hands it out, until its receiver is gone or the task is ended.
async fn wait(inner: Arc<Inner>, out: mpsc::Sender<Due>) {
    let mut handed = FuturesUnordered::new();
    let mut looked = (inner.clock)();
    // The settings may have changed while nobody ran.
    let mut zone = None;
    loop {
        let now = (inner.clock)();
        let mut moved = Change::default();
        let next = {
            let mut held = inner.held();
            if zone.as_ref() != Some(now.time_zone()) {
                zone = Some(now.time_zone().clone());
                moved = held.book.rezone(now.time_zone());
            }
            let unseen = now.duration_since(&looked);
            // With nothing to wait for nobody looks, and nothing can be late.
            if unseen > ASLEEP {
                held.off_until = now.timestamp();
            }
            held.book.next()
        };
        looked = now.clone();
        if moved != Change::default() {
            inner.note(moved).await;
            continue;
        }
        let is_due = next.is_some_and(|next| next <= now.timestamp());
        let left = next.map(|next| next.duration_since(now.timestamp()));
        let left = left.and_then(|left| Duration::try_from(left).ok());
        let pause = left.filter(|_| !is_due).unwrap_or(LOOK).min(LOOK);
        tokio::select! {
            () = inner.changed.notified() => {}
            Some((id, spoken)) = handed.next() => heard(&inner, id, spoken).await,
            permit = out.reserve(), if is_due => {
                let Ok(permit) = permit else { return };
                let entry = inner.held().book.hand(now.timestamp());
                if let Some(entry) = entry {
                    let (done, spoken) = oneshot::channel::<Spoken>();
                    let id = entry.id;
                    handed.push(spoken.map(move |spoken| (id, spoken.ok())));
                    permit.send(Due {
                        id,
                        kind: entry.kind,
                        place: entry.place,
                        inner: inner.clone(),
                        done,
                    });
                }
            }
            () = tokio::time::sleep(pause), if next.is_some() || !handed.is_empty() => {}
        }
    }
}

/// What was handed out was spoken in a place, or not.
async fn heard(inner: &Inner, id: i64, spoken: Option<Spoken>) {
    let change = match spoken {
        Some(Spoken { place, at }) => inner.held().book.spoken(id, &place, &at),
        None => {
            let now = (inner.clock)();
            inner.held().book.give_back(id, now.timestamp(), RETRY);
            return;
        }
    };
    inner.note(change).await;
}

#[cfg(test)]
mod tests;
