//! A writer that is killed, a disk that is full, two writers at once: what was acknowledged is there, and
//! nothing is there by half.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use caal::store::StoreError;

use super::{conversations, exchange, messages};
use crate::support::{Dice, SmallDisk};

/// Where the next process writes.
const HOME: &str = "CAAL_TEST_STORE_HOME";
/// And who it is.
const ROOM: &str = "CAAL_TEST_STORE_ROOM";

/// Writes exchanges, one after another, until it is killed or has written a thousand; each that is on the
/// disk is told. Run by the tests below in a process of its own.
#[tokio::test]
#[ignore = "writes until it is killed; the tests below run it"]
#[allow(clippy::disallowed_methods, reason = "it is told by its parent")]
async fn a_writer_without_end() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else {
        return;
    };
    let room = std::env::var(ROOM).unwrap_or_default();
    let (store, conversations) = conversations(&home).await;
    let from = messages(&conversations).await.len() / 2;
    for n in from + 1..=from + 1000 {
        let filling = "x".repeat(n % 700);
        conversations.note(
            &room,
            exchange(&format!("{room}{n} {filling}"), &format!("answer {n}")),
        );
        store.settle().await;
        let mut out = std::io::stdout().lock();
        writeln!(out, "done {n}").expect("somebody reads");
        out.flush().expect("somebody reads");
    }
}

fn writer(home: &Path, room: &str) -> Child {
    Command::new(std::env::current_exe().expect("this test has a path"))
        .args([
            "--exact",
            "store::survives::a_writer_without_end",
            "--ignored",
            "--nocapture",
        ])
        .env(HOME, home)
        .env(ROOM, room)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs")
}

/// The number of the last exchange that `line` acknowledges.
fn acknowledged(line: &str) -> Option<usize> {
    let number = line.split("done ").nth(1)?;
    Some(number.trim().parse().expect("a number"))
}

#[tokio::test]
async fn killed_in_mid_write_the_file_is_whole_and_no_acknowledged_exchange_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let mut dice = Dice::new(7);
    for kill in 0..20 {
        let mut child = writer(home.path(), "den");
        let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
        let (mut last, mut here) = (0, 0);
        let wanted = 5 + dice.below(30);
        while here < wanted {
            let line = said.next().expect("it writes on").expect("text");
            if let Some(n) = acknowledged(&line) {
                (last, here) = (n, here + 1);
            }
        }
        // At whatever byte it is: SIGKILL.
        child.kill().expect("it lives");
        last = said
            .map(|line| line.expect("text"))
            .filter_map(|line| acknowledged(&line))
            .last()
            .unwrap_or(last);
        child.wait().expect("it ends");
        // Opening looks at every page.
        let (store, conversations) = conversations(home.path()).await;
        assert_eq!(store.remark(), None, "kill {kill}");
        let all = messages(&conversations).await;
        assert!(all.len() / 2 >= last, "{last} of {}", all.len() / 2);
        for (n, two) in (1..).zip(all.chunks(2)) {
            assert_eq!(two.len(), 2, "an exchange by half");
            let filling = "x".repeat(n % 700);
            assert_eq!(two[0], format!("den{n} {filling}").trim());
            assert_eq!(two[1], format!("answer {n}"));
        }
    }
}

#[tokio::test]
async fn two_processes_write_at_once_and_a_third_reads() {
    let home = tempfile::tempdir().unwrap();
    let mut children = ["a", "b"].map(|room| writer(home.path(), room));
    let (_, conversations) = conversations(home.path()).await;
    for child in &mut children {
        let said = BufReader::new(child.stdout.take().expect("piped")).lines();
        let many = said.filter_map(|line| acknowledged(&line.ok()?)).nth(150);
        assert!(many.is_some(), "it was held up");
        conversations.note("c", exchange("who is there", "two others"));
    }
    for mut child in children {
        child.kill().expect("it lives");
        child.wait().expect("it ends");
    }
    let all = messages(&conversations).await;
    for room in ["a", "b"] {
        let own = all.iter().filter(|text| {
            let number = text.strip_prefix(room);
            number.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        });
        assert!(own.count() >= 150, "{room}");
    }
    assert_eq!(all.iter().filter(|text| *text == "two others").count(), 2);
}

#[tokio::test]
async fn on_a_full_disk_writing_is_refused_in_one_sentence_and_goes_on_when_there_is_room() {
    let Some(disk) = SmallDisk::new("1m") else {
        return;
    };
    let (store, conversations) = conversations(disk.path()).await;
    conversations.note("den", exchange("before", "yes"));
    store.settle().await;
    let filler = disk.path().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
    let long = "words ".repeat(10_000);
    let mut refused = 0;
    for _ in 0..5 {
        // A turn that is over takes no notice.
        conversations.note("den", exchange(&long, "never"));
        let text = long.clone();
        let written = store.run(move |connection| {
            let statement = "INSERT INTO notes VALUES (?1, 'v', 0, NULL, 'test')";
            connection.execute(statement, [text]).map(drop)
        });
        match written.await {
            Ok(()) => panic!("there was room"),
            Err(error) => {
                assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
                assert!(error.to_string().contains("Free some space"), "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 5);
    assert_eq!(messages(&conversations).await, ["before", "yes"]);
    drop(file);
    fs::remove_file(&filler).unwrap();
    conversations.note("den", exchange("after", "yes"));
    let all = messages(&conversations).await;
    assert_eq!(all, ["before", "yes", "after", "yes"]);
}

#[tokio::test]
async fn a_disk_without_any_room_is_no_damage() {
    let Some(disk) = SmallDisk::new("1m") else {
        return;
    };
    drop(conversations(disk.path()).await);
    let mut file = fs::File::create(disk.path().join("filler")).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
    match caal::store::Store::open(disk.path()).await {
        Ok(store) => assert_eq!(store.remark(), None),
        Err(error) => assert!(!matches!(error, StoreError::Damaged { .. }), "{error:?}"),
    }
    let names = fs::read_dir(disk.path()).unwrap();
    let aside = names.filter(|n| {
        let name = n.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("damaged")
    });
    assert_eq!(aside.count(), 0);
}
