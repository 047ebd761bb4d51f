//! Writing the settings file and the prompt, so that each is whole at every moment: in the file's
//! folder a fresh file is written, forced to the disk, and renamed over the old one. A process that is
//! killed, or a disk that is full, leaves the old file; a name that begins with a dot may be left
//! beside it, and is taken away by the next writer.
//!
//! Whoever changes a file holds the lock beside it from before it reads until after it has written, so
//! that of two writers neither overwrites what the other wrote. The lock is the kernel's (`flock`): a
//! process that dies gives it back.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use super::resolve::SettingsError;

/// Settings hold secrets: for their owner's eyes.
const MODE: u32 = 0o600;

/// The right to change files of one folder; given back when it is dropped, or the process ends.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for its turn. Blocks: at most as long as other writers take, milliseconds each.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made or written, or its file system knows no locks.
    pub(super) fn of(path: &Path) -> Result<Self, SettingsError> {
        let locked = || {
            let path = real(path)?;
            fs::create_dir_all(folder(&path))?;
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(MODE)
                .open(beside(&path, ".lock"))?;
            file.lock()?;
            Ok(Self { _file: file })
        };
        locked().map_err(|error: io::Error| unwritable(path, &error))
    }
}

/// Gives `path` this content, all of it or nothing; when this returns it is on the disk. A link stays
/// one: what it points to is written. Owner and rights of a file that is there stay.
///
/// # Errors
///
/// When it cannot be written; the old content stands.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), SettingsError> {
    let replaced = || {
        let path = real(path)?;
        let fresh = beside(&path, ".new");
        fs::create_dir_all(folder(&path))?;
        // Of a writer that was killed. Not opened: somebody may have put a link there.
        match fs::remove_file(&fresh) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let written = write(&path, &fresh, content);
        if written.is_err() {
            let _ = fs::remove_file(&fresh); // the first error is the one to tell
        }
        written
    };
    replaced().map_err(|error: io::Error| unwritable(path, &error))
}

fn write(path: &Path, fresh: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(fresh)?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o777))?;
        let new = file.metadata()?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            // The administrator changes settings of the service's user, who must still read them. Who
            // may not give files away writes one of their own.
            let _ = chown(fresh, Some(old.uid()), Some(old.gid()));
        }
    }
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(fresh, path)?;
    match File::open(folder(path))?.sync_all() {
        // Some network file systems cannot; there the rename is on the server's disk, or not ours to say.
        Err(e) if !matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Err(e),
        _ => Ok(()),
    }
}

/// Where a link leads, else the path itself. A link to nothing leads to where the file is to be.
fn real(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = folder(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("its links lead nowhere"))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// `.settings.json.new` beside `settings.json`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(ending);
    folder(path).join(name)
}

fn unwritable(path: &Path, error: &io::Error) -> SettingsError {
    let step = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; free some space and try again",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "; let this user write the file and its folder, or set CAAL_SETTINGS_PATH and CAAL_PROMPT_DIR to others"
        }
        // A file that is mounted by itself cannot be replaced.
        ErrorKind::ResourceBusy => "; mount the folder of the file, not the file",
        _ => "",
    };
    SettingsError::Write {
        path: path.to_owned(),
        reason: format!("{error}{step}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_its_owners_and_an_old_one_keeps_its_rights() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/settings.json");
        replace(&path, b"1").expect("writable");
        let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"2").expect("writable");
        assert_eq!(mode(), 0o640);
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(fs::read_dir(home.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn a_link_stays_one_also_where_it_leads_to_no_file_yet() {
        let home = tempfile::tempdir().unwrap();
        let (link, target) = (home.path().join("link"), home.path().join("real.json"));
        std::os::unix::fs::symlink("real.json", &link).unwrap();
        for content in [b"1", b"2"] {
            replace(&link, content).expect("writable");
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
            assert_eq!(fs::read(&target).unwrap(), content);
        }
    }

    #[test]
    fn what_a_killed_writer_left_is_no_obstacle_and_a_link_in_its_place_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let (path, other) = (home.path().join("s"), home.path().join("other"));
        fs::write(&other, b"mine").unwrap();
        std::os::unix::fs::symlink(&other, home.path().join(".s.new")).unwrap();
        replace(&path, b"1").expect("writable");
        assert_eq!(fs::read(&other).unwrap(), b"mine");
        assert_eq!(fs::read(&path).unwrap(), b"1");
    }

    #[test]
    fn what_cannot_be_written_says_so_and_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("file"), b"").unwrap();
        let error = replace(&home.path().join("file/settings.json"), b"1").unwrap_err();
        assert!(error.to_string().contains("nothing was changed"), "{error}");
    }
}
