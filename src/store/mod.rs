//! What is to outlive the process, in one SQLite file in the data folder. [`Store`] is the one door to it:
//! other rooms bring their statements, the tables are all in `schema`, opening and mending is in `open`.
//!
//! One thread of its own has the file; what is to be done comes to it over a queue, in order. A change whose
//! future resolved is on the disk: neither a killed process nor a lost mains supply takes it back.

mod open;
mod schema;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::SystemTime,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::fault::Fault;

/// The file's name in the data folder.
pub const FILE: &str = "caal.db";

/// Work that may wait for the file. When it is full, more is [refused](StoreError::Busy) at once: the disk
/// stands still, and nobody's conversation is to wait for it.
const QUEUE: usize = 256;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// See the module's text. Clones share the file; the last one dropped ends the thread when it has done what
/// it was given.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    jobs: mpsc::Sender<Job>,
    path: PathBuf,
    remark: Option<String>,
}

impl Store {
    /// The file [`FILE`] in `folder`, made where there is none and brought to this program's tables where it
    /// is older. A damaged one is moved aside (`caal.db.damaged-…`, [`Store::remark`] says so) and a new one
    /// begun.
    ///
    /// # Errors
    ///
    /// When the file cannot be had, or is of a newer program; it is left as it is.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::start(folder.join(FILE), open::open_or_begin).await
    }

    /// The same for a command that looks into the file while a server may have it: `None` where there is
    /// none, and a damaged one is left where it is.
    ///
    /// # Errors
    ///
    /// When the file cannot be had, is damaged or of a newer program.
    pub async fn open_existing(folder: &Path) -> Result<Option<Self>, StoreError> {
        let path = folder.join(FILE);
        match path.try_exists() {
            Ok(false) => Ok(None),
            Ok(true) => Self::start(path, open::open).await.map(Some),
            Err(error) => Err(StoreError::Unusable {
                path,
                reason: error.to_string(),
            }),
        }
    }

    async fn start(
        path: PathBuf,
        open: fn(&Path) -> Result<(Connection, Option<String>), StoreError>,
    ) -> Result<Self, StoreError> {
        let (jobs, inbox) = mpsc::channel::<Job>(QUEUE);
        let (told, opened) = oneshot::channel();
        let its_path = path.clone();
        let thread = thread::Builder::new().name("store".to_owned());
        let thread = thread.spawn(move || match open(&its_path) {
            Ok((connection, remark)) => {
                if told.send(Ok(remark)).is_ok() {
                    work(connection, inbox);
                }
            }
            Err(error) => drop(told.send(Err(error))),
        });
        if let Err(error) = thread {
            let reason = format!("there is no thread for it ({error})");
            return Err(StoreError::Unusable { path, reason });
        }
        let remark = opened.await.map_err(|_| StoreError::Stopped)??;
        Ok(Self(Arc::new(Inner { jobs, path, remark })))
    }

    /// Does `work` on the file, after what was asked before it. It is on its way when this returns: dropping
    /// the future loses the answer, not the work. Several changes that belong together go into one
    /// `connection.transaction()`, which takes the right to write at once.
    ///
    /// # Errors
    ///
    /// What the file says, as [`StoreError`]; [`StoreError::Busy`] where too much waits for it already.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (told, answer) = oneshot::channel();
        let path = self.0.path.clone();
        let job = Box::new(move |connection: &mut Connection| {
            let done = work(connection).map_err(|error| StoreError::of(&path, &error));
            let _ = told.send(done); // nobody may wait for it
        });
        let handed = self.0.jobs.try_send(job);
        async move {
            match handed {
                Ok(()) => answer.await.map_err(|_| StoreError::Stopped)?,
                Err(mpsc::error::TrySendError::Full(_)) => Err(StoreError::Busy),
                Err(mpsc::error::TrySendError::Closed(_)) => Err(StoreError::Stopped),
            }
        }
        .boxed()
    }

    /// The same for what nobody waits for. What fails is in the log, as `what` ("an exchange is not kept").
    pub fn post(
        &self,
        what: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<()> + Send + 'static,
    ) {
        let path = self.0.path.clone();
        let job = Box::new(move |connection: &mut Connection| {
            if let Err(error) = work(connection) {
                warn!("{what}: {}", StoreError::of(&path, &error));
            }
        });
        if self.0.jobs.try_send(job).is_err() {
            warn!("{what}: {}", StoreError::Busy);
        }
    }

    /// Waits until everything that was asked before is done. For the end of the process.
    pub async fn settle(&self) {
        let _ = self.run(|_| Ok(())).await;
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What people should know of its opening: that a damaged file was moved aside, and where to.
    pub fn remark(&self) -> Option<&str> {
        self.0.remark.as_deref()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.0.path.display())
    }
}

/// Does what comes until nobody can ask any more.
fn work(mut connection: Connection, mut inbox: mpsc::Receiver<Job>) {
    while let Some(job) = inbox.blocking_recv() {
        // Whoever asked hears that its answer was dropped; the next one must not suffer for it.
        let done = catch_unwind(AssertUnwindSafe(|| job(&mut connection)));
        if done.is_err() {
            warn!("work on the store panicked; what it had changed is taken back");
        }
        if !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
    }
}

/// Milliseconds since 1970, as the tables have them.
pub fn millis(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// Why the file did not do it. Whole sentences for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such file to be had.
    #[error("{} cannot be used ({reason}); until that is mended conversations, timers and memories are not kept", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// A newer program wrote it.
    #[error("{} was written by a newer caal (its tables are of version {version}, this caal knows {known}); it is left as it is. Start the newer caal, or move the file away", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: i64,
        /// Ours.
        known: i64,
    },
    /// It is not what was written.
    #[error("{} is damaged ({reason}); the server moves it aside and begins a new one when it is started again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No room on the disk.
    #[error("the disk of {} is full; nothing was changed. Free some space and try again", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Too much waits for the file, or another process does not let go of it.
    #[error("the store is busy; nothing was changed. Try again in a moment")]
    Busy,
    /// The work on it failed.
    #[error("{} did not do it ({reason}); nothing was changed", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// SQLite's words, without values.
        reason: String,
    },
    /// The thread is gone, or the work panicked: a bug.
    #[error("the store has stopped; see the log, and start caal again")]
    Stopped,
}

impl StoreError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Busy => Fault::Busy,
            Self::Newer { .. } => Fault::Request,
            _ => Fault::Internal,
        }
    }

    fn of(path: &Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        let reason = reason(error);
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, reason }
            }
            _ => Self::Failed { path, reason },
        }
    }
}

/// What SQLite says, without the statement and its values.
fn reason(error: &rusqlite::Error) -> String {
    match error.sqlite_error() {
        Some(code) => code.to_string(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
