//! Pulling a Whisper model that stands in no manifest, by the name of its repository at the hub.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Pull, attempt};
use crate::{
    fault::Fault,
    models::{
        FileEntry, ModelsError, State,
        cache::Snapshot,
        fetch::{self, FetchError, fetch},
        hub::{Promise, Remote, Trouble},
        part::{blocking, part_of},
        record::{Origin, sha256_of},
        room,
        watch::Event,
    },
};

/// Files that make a CTranslate2 Whisper model, as far as a repository has them.
const WHISPER_FILES: [&str; 6] = [
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "vocabulary.json",
    "vocabulary.txt",
    "model.bin",
];

impl Pull<'_> {
    /// A Whisper model of a hub, by the name of its repository.
    pub(super) async fn repo(&mut self, repo: &str) -> Result<(), ModelsError> {
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
                    fetch::pause(&trouble, *asked, failures, &self.hub, self.watch).await;
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
