//! The stamp `.verified` in a model's folder: which files were found right, so that their sha256 need
//! not be computed at every start.
//!
//! A stamp speaks for a file as long as its size and its time of change are the stamped ones. For a
//! model that was fetched from a hub by name it is also the only list of what belongs to it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::FileEntry;

/// Name of the stamp.
pub(crate) const STAMP: &str = ".verified";

/// What is in a stamp.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Where the files came from, for a model that is not in the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<Origin>,
    /// The files found right.
    pub(crate) files: Vec<Stamped>,
}

/// A repository of a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) repo: String,
    pub(crate) commit: String,
}

/// A file that was right when it had this size and this time of change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamped {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// Nanoseconds since 1970.
    pub(crate) changed: u64,
}

impl Stamped {
    pub(crate) fn entry(&self) -> FileEntry {
        FileEntry {
            path: self.path.clone(),
            bytes: self.bytes,
            sha256: self.sha256.clone(),
        }
    }
}

impl Record {
    /// The stamp in `folder`; `None` if there is none that can be read.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let text = fs::read(folder.join(STAMP)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Writes the stamp whole: others see the old one or the new one.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let draft = folder.join(format!("{STAMP}.{}", std::process::id()));
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        fs::write(&draft, text)?;
        fs::rename(&draft, folder.join(STAMP))
    }

    /// Whether the stamp vouches for the file as it is on the disk now.
    pub(crate) fn vouches(&self, folder: &Path, file: &FileEntry) -> bool {
        self.files.iter().any(|s| {
            s.path == file.path
                && s.sha256 == file.sha256
                && stamp_of(&folder.join(&file.path)) == Some((s.bytes, s.changed))
        })
    }

    /// Adds `file`, which was just found right.
    pub(crate) fn add(&mut self, folder: &Path, file: &FileEntry) {
        self.files.retain(|s| s.path != file.path);
        if let Some((bytes, changed)) = stamp_of(&folder.join(&file.path)) {
            self.files.push(Stamped {
                path: file.path.clone(),
                bytes,
                sha256: file.sha256.clone(),
                changed,
            });
        }
    }
}

/// Size and time of change.
fn stamp_of(path: &PathBuf) -> Option<(u64, u64)> {
    let meta = fs::metadata(path).ok()?;
    let since = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((meta.len(), u64::try_from(since.as_nanos()).ok()?))
}

/// The sha256 of a file. Blocks: about a second for 300 MB.
pub(crate) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = io::Read::read(&mut file, &mut buffer)?;
        if n == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..n]);
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}"); // a String takes everything
        text
    })
}
