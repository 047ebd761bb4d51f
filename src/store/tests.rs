//! Tests of the store that need no second process.

use std::{fs, os::unix::fs::PermissionsExt as _};

use rusqlite::params;

use super::*;

async fn store(folder: &Path) -> Store {
    Store::open(folder).await.expect("it opens")
}

async fn keys(store: &Store) -> Vec<String> {
    let found = store.run(|connection| {
        let mut rows = connection.prepare("SELECT key FROM notes ORDER BY key")?;
        let keys = rows.query_map([], |row| row.get(0))?;
        keys.collect()
    });
    found.await.expect("it reads")
}

fn put(key: &str) -> impl FnOnce(&mut Connection) -> rusqlite::Result<()> + Send + use<> {
    let key = key.to_owned();
    move |connection| {
        connection
            .execute(
                "INSERT INTO notes VALUES (?1, 'v', 0, NULL, 'test')",
                [key.as_str()],
            )
            .map(drop)
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_it_is_opened_again() {
    let home = tempfile::tempdir().unwrap();
    let first = store(home.path()).await;
    first.run(put("a")).await.expect("room enough");
    drop(first.run(put("b"))); // nobody waits for it
    first.post("a note is not kept", put("c"));
    first.settle().await;
    // The first one still has it open.
    let second = store(home.path()).await;
    assert_eq!(keys(&second).await, ["a", "b", "c"]);
    assert_eq!(second.remark(), None);
}

#[tokio::test]
async fn only_its_owner_may_read_the_files() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("not/yet/there");
    let mode = |name: &str| fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    let kept = store(&data).await;
    kept.run(put("a")).await.expect("room enough");
    for name in ["caal.db", "caal.db-wal", "caal.db-shm"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    drop(kept);
    fs::set_permissions(data.join(FILE), fs::Permissions::from_mode(0o644)).unwrap();
    store(&data).await;
    assert_eq!(mode(FILE), 0o600);
}

#[tokio::test]
async fn work_that_fails_or_panics_changes_nothing_and_the_next_is_done() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path()).await;
    let failed = store.run(|connection| {
        let both = connection.transaction()?;
        put_in(&both, "half")?;
        put_in(&both, "half")?;
        both.commit()
    });
    assert!(matches!(failed.await, Err(StoreError::Failed { .. })));
    let panicked = store.run(|connection| {
        connection.execute_batch("BEGIN")?;
        put_in(connection, "half")?;
        #[allow(unreachable_code, reason = "for the type")]
        if true {
            panic!("a bug");
        }
        Ok(())
    });
    assert_eq!(panicked.await, Err(StoreError::Stopped));
    store.run(put("whole")).await.expect("it goes on");
    assert_eq!(keys(&store).await, ["whole"]);
}

fn put_in(connection: &Connection, key: &str) -> rusqlite::Result<usize> {
    connection.execute(
        "INSERT INTO notes VALUES (?1, 'v', 0, NULL, 'test')",
        params![key],
    )
}

#[tokio::test]
async fn more_than_the_queue_holds_is_refused_at_once() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path()).await;
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(0);
    let held = store.run(move |_| {
        let _ = wait.recv();
        Ok(())
    });
    let mut refused = 0;
    let waiting: Vec<_> = (0..QUEUE + 10).map(|_| store.run(|_| Ok(()))).collect();
    drop(go);
    held.await.expect("done");
    for one in waiting {
        refused += usize::from(one.await == Err(StoreError::Busy));
    }
    assert!((9..=10).contains(&refused), "{refused}");
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let kept = store(home.path()).await;
    kept.run(|connection| connection.pragma_update(None, "user_version", 99))
        .await
        .expect("it writes");
    drop(kept);
    let error = Store::open(home.path()).await.expect_err("too new");
    assert!(
        matches!(error, StoreError::Newer { version: 99, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("newer caal"), "{error}");
    let again = Store::open_existing(home.path()).await;
    assert!(again.is_err());
}

#[tokio::test]
async fn a_damaged_file_is_moved_aside_and_a_new_one_begun() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(FILE);
    fs::write(&path, b"this is no database, whatever its name says").unwrap();
    // Whoever only looks leaves it where it is.
    let looked = Store::open_existing(home.path()).await;
    assert!(
        matches!(looked, Err(StoreError::Damaged { .. })),
        "{looked:?}"
    );
    let kept = store(home.path()).await;
    let remark = kept.remark().expect("it says so").to_owned();
    assert!(remark.contains("damaged-"), "{remark}");
    kept.run(put("new")).await.expect("it writes");
    let aside = fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains(".damaged-"))
        .expect("it is there");
    assert!(
        fs::read_to_string(aside)
            .unwrap()
            .starts_with("this is no database")
    );
}

#[tokio::test]
async fn a_page_that_was_overwritten_is_found_when_it_is_opened() {
    let home = tempfile::tempdir().unwrap();
    let kept = store(home.path()).await;
    for n in 0..300 {
        let _ = kept.run(put(&format!("key {n}"))).await;
    }
    kept.run(|connection| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))
        .await
        .expect("it writes");
    drop(kept);
    let path = home.path().join(FILE);
    let mut bytes = fs::read(&path).unwrap();
    let pages = bytes.len() / 4096;
    assert!(pages > 6, "{pages}");
    for page in 5..pages {
        bytes[page * 4096..][..64].fill(0xff);
    }
    fs::write(&path, bytes).unwrap();
    let kept = store(home.path()).await;
    assert!(kept.remark().is_some());
    assert!(keys(&kept).await.is_empty());
}

#[tokio::test]
async fn where_there_is_no_file_whoever_looks_makes_none() {
    let home = tempfile::tempdir().unwrap();
    let looked = Store::open_existing(home.path()).await.expect("no error");
    assert!(looked.is_none());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_one_sentence() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), b"").unwrap();
    let error = Store::open(&home.path().join("file"))
        .await
        .expect_err("a file");
    assert!(error.to_string().contains("are not kept"), "{error}");
}
