//! `caal settings` as its user meets it: what it shows, what it writes, and that it works where values are
//! wrong.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use super::written;

fn caal(home: &Path, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_caal"))
        .arg("settings")
        .args(arguments)
        .env_clear()
        .env("CAAL_HOME", home)
        .envs(environment.iter().copied())
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    crate::support::secrets::searched(child.wait_with_output().expect("it ends"))
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn right(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    assert_eq!(stderr(output), "");
    stdout(output)
}

#[track_caller]
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(64), "{}", stdout(output));
    stderr(output)
}

#[test]
fn every_setting_is_listed_with_where_it_comes_from_and_secrets_are_not_shown() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".env"), "OLLAMA_HOST=http://nas:11434\n").unwrap();
    let environment = [("HASS_TOKEN", "s3cret"), ("TTS_VOICE", "bf_emma")];
    let home = home.path();
    right(&caal(home, &["set", "agent_name=Ada"], &environment, ""));
    let text = right(&caal(home, &["list"], &environment, ""));
    let line = |key: &str| {
        let line = text.lines().find(|l| l.trim().starts_with(key));
        let words = line.expect(key).split_whitespace().collect::<Vec<_>>();
        words.join(" ")
    };
    assert_eq!(line("agent_name"), "agent_name settings file next turn Ada");
    assert_eq!(
        line("ollama_host"),
        "ollama_host OLLAMA_HOST in .env next turn http://nas:11434"
    );
    assert_eq!(line("num_ctx"), "num_ctx default next turn 8192");
    assert_eq!(line("hass_token"), "hass_token HASS_TOKEN at once ********");
    for row in caal::settings::ROWS {
        assert!(text.contains(row.key), "{}", row.key);
    }

    let json: Value =
        serde_json::from_str(&right(&caal(home, &["list", "--json"], &environment, ""))).unwrap();
    let all = json["settings"].as_array().unwrap();
    assert_eq!(all.len(), caal::settings::ROWS.len());
    let token = all.iter().find(|s| s["key"] == "hass_token").unwrap();
    assert_eq!(
        (&token["value"], &token["secret"]),
        (&json!("********"), &json!(true))
    );
    assert!(!json.to_string().contains("s3cret") && !text.contains("s3cret"));
}

#[test]
fn what_is_wrong_is_told_all_at_once_and_can_be_mended_with_the_same_command() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    std::fs::write(
        home.join("settings.json"),
        r#"{"temperature": "hot", "agent_nam": "Ada"}"#,
    )
    .unwrap();
    let environment = [("OLLAMA_NUM_CTX", "many"), ("LIVEKIT_API_KEY", "k")];
    let listed = caal(home, &["list"], &environment, "");
    let why = refused(&listed);
    for part in [
        "OLLAMA_NUM_CTX",
        "temperature",
        "LIVEKIT_API_SECRET",
        "agent_nam",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert!(stdout(&listed).contains("! num_ctx"), "{}", stdout(&listed));
    assert!(refused(&caal(home, &["get", "num_ctx"], &environment, "")).contains("OLLAMA_NUM_CTX"));
    // Each alone, and one to what would be its default.
    right(&caal(home, &["set", "num_ctx=8192"], &environment, ""));
    right(&caal(home, &["unset", "temperature"], &environment, ""));
    right(&caal(
        home,
        &["set", "livekit_api_secret=-"],
        &environment,
        "s3cret\n",
    ));
    let text = right(&caal(home, &["get", "num_ctx"], &environment, ""));
    assert_eq!(text, "8192\n");
    let kept = json!({"agent_nam": "Ada", "num_ctx": 8192, "livekit_api_secret": "s3cret"});
    assert_eq!(written(home), kept);
    let listed = caal(home, &["list"], &environment, "");
    assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
}

#[test]
fn several_are_changed_at_once_or_none_and_all_that_is_wrong_is_told() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let why = refused(&caal(
        home,
        &[
            "set",
            "agent_name=Ada",
            "num_ctx=5",
            "TTS_VOICE=x=y",
            "agent_nme=Eve",
            "temperature",
        ],
        &[],
        "",
    ));
    assert!(why.contains("did you mean agent_name?"), "{why}");
    assert!(why.contains("write it as KEY=VALUE"), "{why}");
    assert_eq!(written(home), json!({}));
    let why = refused(&caal(
        home,
        &["set", "num_ctx=5", "temperature=hot"],
        &[],
        "",
    ));
    assert!(
        why.contains("num_ctx") && why.contains("temperature"),
        "{why}"
    );
    let text = right(&caal(
        home,
        &[
            "set",
            "OLLAMA_NUM_CTX=4096",
            "wake_greetings=Yes?|Hm?",
            "http_port=9000",
        ],
        &[],
        "",
    ));
    assert!(
        text.contains("num_ctx is now 4096, seen from the next turn on"),
        "{text}"
    );
    assert!(
        text.contains("http_port is now 9000, seen when caal is started again"),
        "{text}"
    );
    assert_eq!(
        right(&caal(home, &["get", "wake_greetings"], &[], "")),
        "Yes? | Hm?\n"
    );
    let text = right(&caal(
        home,
        &["unset", "num_ctx"],
        &[("OLLAMA_NUM_CTX", "2048")],
        "",
    ));
    assert!(
        text.contains("num_ctx is now 2048 (OLLAMA_NUM_CTX)"),
        "{text}"
    );
}

#[test]
fn what_is_so_already_is_not_written() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let text = right(&caal(home, &["set", "agent_name=Cal"], &[], ""));
    assert_eq!(text, "agent_name is Cal already (default)\n");
    assert_eq!(written(home), json!({}));
    // What the command line says for now is not what is kept.
    let folder = home.join("m").display().to_string();
    let change = format!("models_dir={folder}");
    right(&caal(home, &["--models", &folder, "set", &change], &[], ""));
    assert_eq!(written(home), json!({ "models_dir": folder }));
}

#[test]
fn a_secret_is_read_from_standard_input_and_taken_away_on_purpose_only() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let text = right(&caal(home, &["set", "hass_token=-"], &[], "s3cret\n"));
    assert!(text.contains("hass_token is now ********"), "{text}");
    assert_eq!(written(home)["hass_token"], "s3cret");
    for nothing in ["hass_token=", "hass_token=********"] {
        let why = refused(&caal(home, &["set", nothing], &[], ""));
        assert!(why.contains("caal settings unset hass_token"), "{why}");
    }
    let text = right(&caal(home, &["get", "hass_token"], &[], ""));
    assert_eq!(text, "********\n");
    right(&caal(home, &["unset", "hass_token"], &[], ""));
    assert_eq!(written(home), json!({}));
}

#[test]
fn the_help_and_explain_teach() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let text = right(&caal(home, &["--help"], &[], ""));
    for word in ["list", "explain", "set hass_token=-", "unset"] {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
    let text = right(&caal(
        home,
        &["explain", "HASS_TOKEN", "http_port"],
        &[],
        "",
    ));
    for word in [
        "HASS_TOKEN_FILE",
        "not set (default)",
        "WEBHOOK_PORT",
        "on this machine only",
    ] {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
    let text = right(&caal(home, &["explain"], &[], ""));
    assert!(
        caal::settings::ROWS
            .iter()
            .all(|row| text.contains(row.key))
    );
    assert!(refused(&caal(home, &["explain", "qqq"], &[], "")).contains("settings list"));
}

#[test]
fn what_this_machine_does_not_have_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let voices = home.join("models/kokoro-82m/voices");
    std::fs::create_dir_all(&voices).unwrap();
    std::fs::write(voices.join("af_heart.bin"), vec![0; 510 * 256 * 4]).unwrap();
    let words = [
        "pronunciation={\"2\": \"\"}",
        "tts_voice_kokoro=nobody",
        "llm_provider=embedded",
    ];
    let why = refused(&caal(home, &[&["set"], &words[..]].concat(), &[], ""));
    for part in ["nobody", "pronunciation", "caal models pull"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(written(home), json!({}));
}
