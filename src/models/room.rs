//! Room on the disk: looked at before anything is fetched, and recognised when it runs out anyway.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::ModelsError;

/// Left free for everybody else.
const RESERVE: u64 = 8 << 20;

/// Whether `needed` more bytes fit on the disk of `folder`.
///
/// # Errors
///
/// [`ModelsError::DiskFull`] if they do not. A disk that does not tell is believed to have room.
pub(crate) fn check(folder: &Path, needed: u64) -> Result<(), ModelsError> {
    match free(folder) {
        Some(free) if needed > 0 && free < needed.saturating_add(RESERVE) => {
            Err(full(folder, needed, Some(free)))
        }
        _ => Ok(()),
    }
}

/// The error for a disk that ran full although there seemed to be room, or the disk's other error.
pub(crate) fn error(doing: &'static str, folder: &Path, needed: u64, e: io::Error) -> ModelsError {
    match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            full(folder, needed, free(folder))
        }
        _ => ModelsError::disk(doing, folder, e),
    }
}

fn full(folder: &Path, needed: u64, free: Option<u64>) -> ModelsError {
    ModelsError::DiskFull {
        path: PathBuf::from(folder),
        needed,
        free,
    }
}

fn free(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}
