//! The cache that Hugging Face's own programs keep on this machine: what is there need not be fetched.
//!
//! Layout: `<cache>/models--org--name/{refs/<revision>, snapshots/<commit>/<path>, blobs/<digest>}`; the
//! files of a snapshot are links to blobs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    FileEntry,
    part::part_of,
    record::{Origin, sha256_of},
};

/// A snapshot of a repository in the cache.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    folder: PathBuf,
    pub(crate) origin: Origin,
}

impl Snapshot {
    /// The snapshot of `repo` at `revision` (a branch or a commit), if it is there.
    pub(crate) fn find(cache: &Path, repo: &str, revision: &str) -> Option<Self> {
        let home = cache.join(format!("models--{}", repo.replace('/', "--")));
        let commit = fs::read_to_string(home.join("refs").join(revision))
            .map_or_else(|_| revision.to_owned(), |text| text.trim().to_owned());
        let hexadecimal = !commit.is_empty() && commit.chars().all(|c| c.is_ascii_alphanumeric());
        let folder = home.join("snapshots").join(&commit);
        (hexadecimal && folder.is_dir()).then(|| Self {
            folder,
            origin: Origin {
                repo: repo.to_owned(),
                commit,
            },
        })
    }

    /// Names of the files at its top.
    pub(crate) fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        entries
            .filter_map(Result::ok)
            .filter(|e| e.path().is_file())
            .filter_map(|e| e.file_name().into_string().ok())
            .collect()
    }

    /// Takes `path` over to `target` (as a second name of the same bytes where the disk allows it) if
    /// it is what it should be: `expected`, else what the blob's own name says. Blocks.
    pub(crate) fn take(
        &self,
        path: &str,
        expected: Option<&FileEntry>,
        target: &Path,
    ) -> io::Result<Option<FileEntry>> {
        let Ok(blob) = fs::canonicalize(self.folder.join(path)) else {
            return Ok(None);
        };
        let bytes = fs::metadata(&blob)?.len();
        if expected.is_some_and(|e| e.bytes != bytes) {
            return Ok(None);
        }
        let sha256 = sha256_of(&blob)?;
        let named = blob.file_name().and_then(|n| n.to_str()).unwrap_or("");
        let wanted = match expected {
            Some(e) => Some(e.sha256.as_str()),
            None if named.len() == 64 => Some(named),
            None => None,
        };
        if wanted.is_some_and(|w| w != sha256) {
            return Ok(None);
        }
        let part = part_of(target);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        let _ = fs::remove_file(&part); // a leftover would be in the way of the link
        if fs::hard_link(&blob, &part).is_err() {
            fs::copy(&blob, &part)?;
            fs::File::open(&part)?.sync_all()?;
        }
        fs::rename(&part, target)?;
        Ok(Some(FileEntry {
            path: path.to_owned(),
            bytes,
            sha256,
        }))
    }
}
