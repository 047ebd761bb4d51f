//! Opening the file: for its owner's eyes, checked, and of this program's version. A damaged file is moved
//! aside, never deleted. One process opens it at a time (the kernel's lock beside it), so that no two move
//! aside or change tables.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{StoreError, schema::STEPS};

/// It holds what people said.
const MODE: u32 = 0o600;

/// How long a statement waits for another process that writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// The file's connection, and what people should know of its opening.
type Opened = (Connection, Option<String>);

/// Opens the file, as it is.
pub(super) fn open(path: &Path) -> Result<Opened, StoreError> {
    let _lock = lock(path).map_err(|error| unusable(path, &error))?;
    Ok((connect(path)?, None))
}

/// Opens the file; makes a new one where there is none, or only a damaged one.
pub(super) fn open_or_begin(path: &Path) -> Result<Opened, StoreError> {
    let _lock = lock(path).map_err(|error| unusable(path, &error))?;
    match connect(path) {
        Err(StoreError::Damaged { reason, .. }) => {
            let aside = move_aside(path).map_err(|error| unusable(path, &error))?;
            let remark = format!(
                "{} is damaged ({reason}); it was moved to {} and a new one was begun: conversations, timers and memories from before are not known",
                path.display(),
                aside.display()
            );
            Ok((connect(path)?, Some(remark)))
        }
        other => Ok((other?, None)),
    }
}

fn unusable(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full {
            path: path.to_owned(),
        },
        _ => StoreError::Unusable {
            path: path.to_owned(),
            reason: error.to_string(),
        },
    }
}

/// The right to open the file; given back when it is dropped or the process ends.
fn lock(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(MODE);
    let file = options.open(hidden(path))?;
    file.lock()?;
    Ok(file)
}

/// `.caal.db.lock` beside `caal.db`.
fn hidden(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".lock");
    path.with_file_name(name)
}

/// SQLite gives the files beside it the same rights. A file that is there is not opened for that: closing it
/// would give back the locks that another connection of this process has on it.
fn make_private(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(there) if there.permissions().mode() & 0o077 == 0 => Ok(()),
        Ok(_) => fs::set_permissions(path, fs::Permissions::from_mode(MODE)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).mode(MODE);
            options.open(path).map(drop)
        }
        Err(error) => Err(error),
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    make_private(path).map_err(|error| unusable(path, &error))?;
    let failed = |error: rusqlite::Error| match StoreError::of(path, &error) {
        StoreError::Failed { path, reason } => StoreError::Unusable { path, reason },
        other => other,
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    prepare(&mut connection).map_err(failed)?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let version = version(&connection).map_err(failed)?;
    if version > known {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            version,
            known,
        });
    }
    check(&connection, path).map_err(failed)??;
    migrate(&mut connection).map_err(failed)?;
    Ok(connection)
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    connection.pragma_update(None, "journal_mode", "wal")?;
    // With the journal on the disk before a change counts as done.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is deleted is overwritten.
    connection.pragma_update(None, "secure_delete", true)?;
    // A file that somebody prepared runs nothing here.
    connection.pragma_update(None, "trusted_schema", false)
}

/// SQLite's own look at every page: some milliseconds for each ten thousand messages.
fn check(connection: &Connection, path: &Path) -> rusqlite::Result<Result<(), StoreError>> {
    let found: String =
        connection.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0))?;
    let reason = found.lines().next().unwrap_or_default().to_owned();
    Ok(match reason.as_str() {
        "ok" => Ok(()),
        _ => Err(StoreError::Damaged {
            path: path.to_owned(),
            reason,
        }),
    })
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// All steps that are missing, or none.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let from = version(&transaction)?;
    for (to, step) in (1..).zip(STEPS).filter(|(to, _)| *to > from) {
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", to)?;
    }
    transaction.commit()
}

/// Gives the file, and what SQLite keeps beside it, another name; which.
fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let free = |n: &u32| match n {
        0 => with_end(path, &format!(".damaged-{now}")),
        n => with_end(path, &format!(".damaged-{now}-{n}")),
    };
    let aside = (0..1000)
        .map(|n| free(&n))
        .find(|to| !to.exists())
        .ok_or_else(|| io::Error::other("a thousand damaged files lie beside it"))?;
    for end in ["-wal", "-shm"] {
        match fs::rename(with_end(path, end), with_end(&aside, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, &aside)?;
    Ok(aside)
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}
