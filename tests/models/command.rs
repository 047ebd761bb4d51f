//! `caal models` as its user meets it: words, exit codes, and a process that is killed in the middle.

use std::{path::Path, process::Output, time::Duration};

use tokio::process::Command;

use super::server::{Fault, Hub, TOKEN, large};

/// `caal models ARGUMENTS` with the hub at `endpoint` and its folders in `home`.
fn caal(home: &Path, endpoint: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_caal"));
    command
        .arg("models")
        .args(arguments)
        .env_clear()
        .env("CAAL_HOME", home)
        .env("HF_ENDPOINT", endpoint)
        .env("HF_TOKEN", TOKEN)
        .current_dir(home)
        .kill_on_drop(true);
    command
}

async fn run(home: &Path, endpoint: &str, arguments: &[&str]) -> Output {
    let output = caal(home, endpoint, arguments).output().await.unwrap();
    crate::support::secrets::searched(output)
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_that_is_killed_goes_on_where_it_was() {
    let hub = Hub::start().await;
    hub.put_whisper("acme/tiny");
    hub.spoil("acme/tiny", "model.bin", &[Fault::Silence(400_000)]);
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("models/acme--tiny");
    let part = folder.join("model.bin.part");

    let mut child = caal(home.path(), &hub.address, &["pull", "acme/tiny"])
        .spawn()
        .unwrap();
    let mut look = tokio::time::interval(Duration::from_millis(20));
    while std::fs::metadata(&part).map_or(0, |m| m.len()) < 200_000 {
        look.tick().await;
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    }
    child.kill().await.unwrap(); // SIGKILL
    assert!(!folder.join("model.bin").exists());

    let listed = run(home.path(), &hub.address, &["list", "--json"]).await;
    let json: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let models = json["models"].as_array().unwrap();
    let ours = models.iter().find(|m| m["name"] == "acme/tiny").unwrap();
    assert_eq!(ours["state"], "incomplete");

    let output = run(home.path(), &hub.address, &["pull", "acme/tiny"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("going on after"),
        "{}",
        stderr(&output)
    );
    assert_eq!(
        std::fs::read(folder.join("model.bin")).unwrap(),
        large(600_000)
    );
    assert!(
        hub.ranges("model.bin")[1].is_some(),
        "it asked for the rest only"
    );
    assert!(!part.exists());

    let output = run(home.path(), &hub.address, &["verify", "acme/tiny"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = run(home.path(), &hub.address, &["rm", "acme/tiny"]).await;
    assert!(
        stdout(&output).contains("acme/tiny: deleted, 600.0 kB freed"),
        "{}",
        stdout(&output)
    );
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_wrong_name_is_exit_code_64_with_the_nearest_or_all_names() {
    let home = tempfile::tempdir().unwrap();
    for verb in ["pull", "verify", "rm"] {
        let output = run(home.path(), "", &[verb, "wisper-base"]).await;
        assert_eq!(
            output.status.code(),
            Some(64),
            "{verb}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains("did you mean whisper-base?"),
            "{}",
            stderr(&output)
        );
    }
    let output = run(home.path(), "", &["pull", "quux"]).await;
    assert_eq!(output.status.code(), Some(64));
    for word in [
        "there is no model called \"quux\"",
        "kokoro-82m",
        "org/name",
    ] {
        assert!(
            stderr(&output).contains(word),
            "{word}: {}",
            stderr(&output)
        );
    }
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    assert!(!home.path().join("models").exists(), "nothing was made");
    let output = run(home.path(), "", &["rm", "silero-vad"]).await;
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
}

#[tokio::test]
async fn damage_is_found_named_and_exit_code_64() {
    let hub = Hub::start().await;
    hub.put_whisper("acme/tiny");
    let home = tempfile::tempdir().unwrap();
    let output = run(home.path(), &hub.address, &["pull", "acme/tiny"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let path = home.path().join("models/acme--tiny/model.bin");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[300_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let output = run(home.path(), &hub.address, &["verify"]).await;
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(
        stderr(&output).trim(),
        "caal: acme/tiny is damaged (model.bin); fetch them anew with: caal models pull acme/tiny"
    );
}

#[tokio::test]
async fn a_refusal_never_shows_the_token() {
    let hub = Hub::start().await;
    hub.refuse("acme/private", 401, "");
    let home = tempfile::tempdir().unwrap();
    let output = run(home.path(), &hub.address, &["-vv", "pull", "acme/private"]).await;
    assert_eq!(output.status.code(), Some(64));
    let said = stdout(&output) + &stderr(&output);
    assert!(
        said.contains("token in HF_TOKEN may not read it") && !said.contains(TOKEN),
        "{said}"
    );
    // Debug output of every library, too.
    let mut command = caal(home.path(), &hub.address, &["pull", "acme/private"]);
    let output = command.env("CAAL_LOG", "trace").output().await.unwrap();
    let said = stdout(&output) + &stderr(&output);
    assert!(!said.contains(TOKEN), "{said}");
}

#[tokio::test]
async fn the_list_shows_what_there_is_to_know() {
    let home = tempfile::tempdir().unwrap();
    let output = run(home.path(), "", &["list"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for word in [
        "whisper-base",
        "CC BY-NC-SA 4.0",
        "missing",
        "turn-end",
        "147.9 MB",
    ] {
        assert!(text.contains(word), "{word} is not in:\n{text}");
    }
    let output = run(home.path(), "", &["verify"]).await;
    assert!(
        stdout(&output).contains("caal models pull"),
        "{}",
        stdout(&output)
    );
}
