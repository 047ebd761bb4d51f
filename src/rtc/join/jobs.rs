//! Running jobs on disk, one file each, readable by us alone: a server holds a dead agent's place for 21 s
//! and gives the job to nobody else, so an agent that was killed must come back as the same participant.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{JoinError, dice, token::expiry};
use crate::{pii::Pii, rtc::Identity};

/// Largest file that is read: a token is below 4 KiB.
const MAX_FILE: u64 = 64 * 1024;

/// What is kept of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) job: String,
    pub(super) room: String,
    pub(super) us: Identity,
    pub(super) url: String,
    pub(super) token: Pii<String>,
}

#[derive(Serialize, Deserialize)]
struct File {
    job: String,
    room: String,
    identity: String,
    url: String,
    token: String,
}

/// The folder with the files.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

/// One job's file.
#[derive(Clone, Debug)]
pub(super) struct Record {
    path: PathBuf,
    kept: Kept,
}

impl Folder {
    /// The folder at `path`; it is made where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, JoinError> {
        let bad = |source| JoinError::Folder {
            folder: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(bad)?;
        Ok(Self(path.to_owned()))
    }

    /// All jobs whose token is still good. What is stale or unreadable is deleted.
    pub(super) fn all(&self) -> Vec<Record> {
        let Ok(entries) = fs::read_dir(&self.0) else {
            return Vec::new();
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |d| d.as_secs());
        let mut all = Vec::new();
        for path in entries.filter_map(|e| Some(e.ok()?.path())) {
            if path.extension().is_none_or(|e| e != "json") {
                continue;
            }
            match read(&path) {
                Some(kept) if expiry(&kept.token.0).is_some_and(|at| at > now) => {
                    all.push(Record { path, kept });
                }
                stale => {
                    let readable = stale.is_some();
                    tracing::info!(readable, "the record of an old job is deleted");
                    let _ = fs::remove_file(&path);
                }
            }
        }
        all
    }

    /// Keeps a job. Where it cannot be written the job runs all the same.
    pub(super) fn keep(&self, kept: Kept) -> Record {
        let safe = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let plain = !kept.job.is_empty() && kept.job.len() <= 64 && kept.job.chars().all(safe);
        let name = match plain {
            true => kept.job.clone(),
            false => format!("job-{:016x}", dice()),
        };
        let path = self.0.join(format!("{name}.json"));
        let record = Record { path, kept };
        record.write();
        record
    }
}

impl Record {
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Replaces the token. Blocks.
    pub(super) fn renew(&self, token: &str) {
        if self.path.exists() {
            let mut new = self.clone();
            token.clone_into(&mut new.kept.token.0);
            new.write();
        }
    }

    /// The job is over.
    pub(super) fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the record of a job that is over stays");
        }
    }

    fn write(&self) {
        if let Err(error) = self.try_write() {
            tracing::warn!(%error, "a running job is not kept: if CAAL is killed, its room stays without it");
        }
    }

    fn try_write(&self) -> io::Result<()> {
        let file = File {
            job: self.kept.job.clone(),
            room: self.kept.room.clone(),
            identity: self.kept.us.as_str().to_owned(),
            url: self.kept.url.clone(),
            token: self.kept.token.0.clone(),
        };
        let text = serde_json::to_vec(&file)?;
        let temporary = self.path.with_extension(format!("{:016x}.new", dice()));
        let written = create_private(&temporary)
            .and_then(|mut f| {
                f.write_all(&text)?;
                f.sync_all()
            })
            .and_then(|()| fs::rename(&temporary, &self.path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }
}

fn create_private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

fn read(path: &Path) -> Option<Kept> {
    if fs::metadata(path).ok()?.len() > MAX_FILE {
        return None;
    }
    let file: File = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    Some(Kept {
        job: file.job,
        room: file.room,
        us: Identity::new(&file.identity),
        url: file.url,
        token: Pii(file.token),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtc::join::Server;

    fn kept(job: &str) -> Kept {
        let server = Server::new("ws://host:7880", "key", "secret").unwrap();
        let us = Identity::new("agent-1");
        let token = server.room_token("den", &us, "Agent", "").unwrap();
        Kept {
            job: job.into(),
            room: "den".into(),
            us,
            url: server.url().into(),
            token: Pii(token),
        }
    }

    #[test]
    fn a_job_is_found_again_until_it_is_over() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(&home.path().join("jobs")).unwrap();
        let record = folder.keep(kept("AJ_1"));
        folder.keep(kept("../../odd"));
        let mut found: Vec<_> = folder.all().iter().map(|r| r.kept().job.clone()).collect();
        found.sort();
        assert_eq!(found, ["../../odd", "AJ_1"]);
        record.remove();
        assert_eq!(folder.all().len(), 1);
        record.renew("token");
        assert_eq!(folder.all().len(), 1, "what is over stays over");
    }

    #[test]
    fn stale_and_broken_records_are_deleted() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::open(home.path()).unwrap();
        let mut old = kept("AJ_2");
        // {"alg":"HS256"} {"exp":1} and no signature: nobody asks for one here.
        old.token.0 = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.".into();
        folder.keep(old);
        fs::write(home.path().join("broken.json"), "{").unwrap();
        assert!(folder.all().is_empty());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_the_token() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let record = Folder::open(home.path()).unwrap().keep(kept("AJ_3"));
        let mode = fs::metadata(&record.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{record:?}").contains("eyJ"));
    }
}
