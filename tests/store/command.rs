//! `caal conversations` and `caal memory` as their user meets them, beside a server that has the file.

use std::{
    path::Path,
    process::{Command, Output},
};

use caal::tools::memory::Memory;
use serde_json::Value;

use super::{conversations, exchange};

fn caal(home: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_caal"))
        .args(arguments)
        .env_clear()
        .env("CAAL_HOME", home)
        .current_dir(home)
        .output()
        .expect("the binary runs");
    crate::support::secrets::searched(output)
}

#[track_caller]
fn right(home: &Path, arguments: &[&str]) -> String {
    let output = caal(home, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn refused(home: &Path, arguments: &[&str]) -> String {
    let output = caal(home, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(64), "{arguments:?}: {said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_listed_shown_exported_and_deleted_while_a_server_has_them() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    assert_eq!(right(home, &["conversations", "list"]), "");
    assert!(
        !home.join("caal.db").exists(),
        "whoever looks makes no file"
    );
    let (store, kept) = conversations(home).await;
    kept.note(
        "den",
        exchange("I eat no peanuts.", "Good\u{1b}[2J to know."),
    );
    kept.note("", exchange("What time is it?", "Noon."));
    store.settle().await;

    let list = right(home, &["conversations", "list"]);
    assert!(
        list.contains("I eat no peanuts.") && list.contains("(this machine)"),
        "{list}"
    );
    let found = right(home, &["conversations", "list", "--search", "PEANUTS"]);
    assert!(
        found.contains("peanuts") && !found.contains("What time"),
        "{found}"
    );
    let shown = right(home, &["conversations", "show", "1"]);
    assert!(
        shown.contains(" You: I eat no peanuts.\nCAAL: Good[2J to know."),
        "{shown}"
    );
    let lines = right(home, &["conversations", "export"]);
    let lines: Vec<Value> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["messages"][1]["text"], "Noon.");
    right(home, &["conversations", "export", "-o", "said.jsonl"]);
    let file = std::fs::read_to_string(home.join("said.jsonl")).unwrap();
    assert_eq!(file.lines().count(), 2);
    assert!(refused(home, &["conversations", "export", "-o", "said.jsonl"]).contains("--output"));

    refused(home, &["conversations", "delete"]);
    assert_eq!(
        right(home, &["conversations", "delete", "1"]),
        "1 deleted\n"
    );
    assert!(refused(home, &["conversations", "show", "1"]).contains("no conversation 1"));
    assert_eq!(
        right(home, &["conversations", "delete", "--all"]),
        "1 deleted\n"
    );
    // And the server sees it.
    assert_eq!(kept.after(0).await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_listed_and_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    assert_eq!(right(home, &["memory", "list"]), "");
    let (store, _) = conversations(home).await;
    let memory = Memory::open(Ok(store), || true).await;
    for fact in [
        "My sister's birthday is May 3.",
        "My brother's birthday is June 9.",
        "My car is red.",
    ] {
        memory.remember(fact).await.expect("room enough");
    }
    memory
        .store_note("parking", "B 12", None, "test")
        .await
        .expect("room enough");
    let list = right(home, &["memory", "list"]);
    assert!(
        list.contains("   3  My car is red.\n") && list.contains("note  parking: B 12 (until "),
        "{list}"
    );
    assert!(refused(home, &["memory", "forget", "the", "birthday"]).contains("   2  My brother's"));
    assert_eq!(
        right(home, &["memory", "forget", "red car"]),
        "forgotten: My car is red.\n"
    );
    assert_eq!(right(home, &["memory", "forget", "2"]), "2 forgotten\n");
    assert!(refused(home, &["memory", "forget", "2"]).contains("nothing like that"));
    assert_eq!(right(home, &["memory", "clear"]), "2 forgotten\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_one_sentence_and_stays_where_it_is() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("caal.db");
    std::fs::write(&path, "no database at all, and longer than its head is").unwrap();
    let output = caal(home.path(), &["conversations", "list"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(70), "{said}");
    assert!(
        said.contains("is damaged") && said.lines().count() == 1,
        "{said}"
    );
    assert!(path.exists());
}
