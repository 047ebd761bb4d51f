//! A writer that is killed, and a disk that is full: the file is whole, and what was acknowledged is
//! in it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use caal::settings::SettingsError;
use serde_json::{Value, json};

use super::{live, map};
use crate::support::{Dice, SmallDisk};

/// Where the next process writes.
const HOME: &str = "CAAL_TEST_WRITER_HOME";

/// Writes, one after another, until it is killed; each that is done is told. Run by the next test in a
/// process of its own.
#[test]
#[ignore = "writes until it is killed; the test below runs it"]
fn a_writer_without_end() {
    let Some(home) = std::env::var_os(HOME).map(PathBuf::from) else {
        return;
    };
    let live = live(&home, &[]);
    let text = |n: u64| format!("{n:06} {}", "x".repeat((n % 2000) as usize));
    let first: u64 = live
        .current()
        .stt_prompt
        .get(..6)
        .map_or(0, |n| n.parse().unwrap());
    for n in first + 1.. {
        live.change(map(json!({"stt_prompt": text(n)})))
            .expect("room enough");
        let mut out = std::io::stdout().lock();
        writeln!(out, "done {n}").expect("somebody reads");
        out.flush().expect("somebody reads");
    }
}

#[test]
fn killed_during_a_thousand_writes_the_file_is_whole_and_no_acknowledged_one_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let mut dice = Dice::new(5);
    let (mut writes, mut kills) = (0, 0);
    while writes < 1000 {
        let mut writer = Command::new(std::env::current_exe().expect("this test has a path"))
            .args([
                "--exact",
                "settings::survives::a_writer_without_end",
                "--ignored",
                "--nocapture",
            ])
            .env(HOME, home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let mut said = BufReader::new(writer.stdout.take().expect("piped")).lines();
        let wanted = 10 + dice.below(40);
        let mut last = 0;
        let mut note = |line: String, writes: &mut u64| {
            if let Some(n) = line.split("done ").nth(1) {
                last = n.trim().parse().expect("a number");
                *writes += 1;
            }
        };
        let mut here = 0;
        for line in said.by_ref().take(wanted + 3) {
            note(line.expect("text"), &mut here);
        }
        // At whatever byte it is: SIGKILL.
        writer.kill().expect("it lives");
        for line in said {
            note(line.expect("text"), &mut here);
        }
        writer.wait().expect("it ends");
        writes += here;
        kills += 1;
        let bytes = fs::read(home.path().join("settings.json")).expect("it is there");
        let whole: Value = serde_json::from_slice(&bytes).expect("it is whole");
        let text = whole["stt_prompt"].as_str().expect("it was set");
        let stands: u64 = text[..6].parse().expect("a number");
        assert_eq!(text.len() as u64, 7 + stands % 2000, "all of it");
        assert!(
            stands >= last,
            "{last} was acknowledged, {stands} stands there"
        );
    }
    assert!(kills > 10, "{kills}");
}

#[test]
fn on_a_full_disk_the_old_settings_stand_whole_and_there_is_one_clear_sentence() {
    let Some(disk) = SmallDisk::new("64k") else {
        return;
    };
    let live = live(disk.path(), &[]);
    live.change(map(json!({"agent_name": "Ada"})))
        .expect("room enough");
    let path = disk.path().join("settings.json");
    let before = fs::read(&path).unwrap();
    let filler = disk.path().join("filler");
    // Ever less room, until there is none at all.
    let mut file = fs::File::create(&filler).unwrap();
    let mut refused = 0;
    for round in 0..32 {
        let full = file.write_all(&[7; 4096]).and_then(|()| file.sync_all());
        // Not on one page: some of it is written before the disk is full.
        let long: Vec<String> = (0..5).map(|n| format!("{n}{}", "x".repeat(4000))).collect();
        match live.change(map(json!({"wake_greetings": long}))) {
            Ok(()) => live.unset(&["wake_greetings"]).expect("less than before"),
            Err(error) => {
                refused += 1;
                assert!(matches!(error, SettingsError::Write { .. }), "{error}");
                assert!(error.to_string().contains("free some space"), "{error}");
                assert_eq!(
                    live.current().wake_greetings.len(),
                    7,
                    "nothing is published"
                );
                assert_eq!(fs::read(&path).unwrap(), before, "round {round}");
                let names = fs::read_dir(disk.path()).unwrap().count();
                assert_eq!(names, 3, "the file, its lock and the filler");
            }
        }
        if full.is_err() {
            assert!(live.set_prompt("You are a pirate.").is_err());
            assert!(!live.prompt().is_custom);
            break;
        }
    }
    assert!(refused > 1, "{refused}");
    // Held open it keeps its room.
    drop(file);
    fs::remove_file(&filler).unwrap();
    live.change(map(json!({"agent_name": "Eve"})))
        .expect("room again");
}
