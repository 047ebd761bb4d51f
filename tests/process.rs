//! The binary as its user meets it: exit codes, first words, a clean end.

use std::process::{Command, Output};

fn caal(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let home = tempfile::tempdir().expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_caal"))
        .args(arguments)
        .env_clear()
        .env("CAAL_HOME", home.path())
        .current_dir(home.path())
        .envs(environment.iter().copied())
        .output()
        .expect("the binary runs")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_wrong_word_on_the_command_line_is_exit_code_64() {
    for arguments in [&["frobnicate"][..], &["serve", "--port", "many"], &[]] {
        let output = caal(arguments, &[]);
        assert_eq!(
            output.status.code(),
            Some(64),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn help_and_version_teach_and_succeed() {
    let help = caal(&["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8_lossy(&help.stdout);
    for word in ["serve", "doctor", "models pull"] {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
    assert_eq!(caal(&["--version"], &[]).status.code(), Some(0));
}

#[test]
fn wrong_settings_are_told_all_at_once_before_anything_starts() {
    let output = caal(
        &["serve", "--port", "0"],
        &[("CAAL_DEVICE", "gpu"), ("CAAL_THREADS", "-1")],
    );
    assert_eq!(output.status.code(), Some(64));
    let text = stderr(&output);
    assert!(
        text.contains("CAAL_DEVICE") && text.contains("CAAL_THREADS"),
        "{text}"
    );
    assert!(!text.contains("loading"), "{text}");
}

#[test]
fn a_machine_without_models_is_told_the_next_step() {
    let output = caal(&["serve", "--port", "0"], &[]);
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("caal models pull"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_taken_port_is_one_clear_sentence() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let output = caal(&["serve", "--port", &port], &[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("--port"), "{}", stderr(&output));
}

/// A server with real models: ready, answering, and gone within its grace when asked to stop.
#[test]
fn serve_becomes_ready_and_drains_on_sigterm() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    let home = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_caal"))
        .args(["serve", "--port", "0", "--models"])
        .arg(crate::support::models())
        .env_clear()
        .env("CAAL_HOME", home.path())
        // An Ollama that is not there: the embedded model answers, or nobody.
        .env("OLLAMA_HOST", "http://127.0.0.1:9")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let ready = lines
        .by_ref()
        .map_while(Result::ok)
        .find(|line| line.starts_with("Ready"));
    if cfg!(not(feature = "embedded-llm")) {
        // Without Ollama and without a model inside nobody can answer: it says so and ends.
        let output = child.wait_with_output().expect("ends");
        assert_eq!(
            (ready, output.status.code()),
            (None, Some(69)),
            "{}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains("embedded-llm"),
            "{}",
            stderr(&output)
        );
        return;
    }
    let ready = ready.expect("ready");
    let port = ready
        .split("localhost:")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .expect("a port");
    let address = format!("127.0.0.1:{port}");
    for (path, word) in [("/health", "healthy"), ("/ready", "\"ready\"")] {
        let answer = get(&address, path);
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains(word),
            "{path}: {answer}"
        );
    }
    let asked = Instant::now();
    let killed = Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .expect("kill runs");
    assert!(killed.success());
    let status = child.wait().expect("ends");
    assert_eq!(status.code(), Some(0));
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "took {:?}",
        asked.elapsed()
    );
}

/// One HTTP/1.1 GET, whole.
fn get(address: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).expect("connects");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}

/// What `say` writes, `transcribe` reads back: the round trip of both engines through the binary.
#[test]
fn what_is_said_can_be_written_down_again() {
    let home = tempfile::tempdir().expect("a folder");
    let models = crate::support::models();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_caal"))
            .arg("--models")
            .arg(&models)
            .args(arguments)
            .env_clear()
            .env("CAAL_HOME", home.path())
            .current_dir(home.path())
            .output()
            .expect("the binary runs");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            stderr(&output)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    run(&[
        "say",
        "The weather is nice today.",
        "-o",
        "x.wav",
        "--voice",
        "af_bella(2)+af_sky(1)",
    ]);
    let json: serde_json::Value =
        serde_json::from_str(&run(&["transcribe", "x.wav", "--json"])).expect("JSON");
    let text = json["text"].as_str().expect("a text").to_lowercase();
    assert!(text.contains("weather is nice today"), "{text}");
    assert_eq!(json["language"], "en");
    assert!(json["seconds"].as_f64().expect("a number") > 0.8, "{json}");
    assert!(run(&["transcribe", "x.wav", "--srt"]).starts_with("1\n00:00:00,"));
}

#[test]
fn a_users_mistakes_are_one_sentence_with_the_next_step_and_code_64() {
    let models = crate::support::models().display().to_string();
    const NOT_SOUND: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    const ROOM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/audio/room.wav");
    let cases: [(&[&str], &str); 6] = [
        (&["transcribe", "no-such.wav"], "no-such.wav"),
        (&["transcribe", NOT_SOUND], "is not a WAV file"),
        (
            &["say", "Hello", "-o", "x.wav", "--voice", "af_nobody"],
            "af_nobody",
        ),
        (
            &["say", "Hello", "-o", "x.wav", "--speed", "9"],
            "0.5 to 2.0",
        ),
        (&["say", "   ", "-o", "x.wav"], "nothing to say"),
        (&["wake", ROOM, "--model", "hey_nobody"], "hey_nobody"),
    ];
    for (arguments, word) in cases {
        let output = caal(&[&["--models", &models], arguments].concat(), &[]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {text}");
        assert!(text.contains(word), "{arguments:?}: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

#[test]
fn doctor_names_the_one_next_step() {
    let output = caal(
        &["doctor", "--json"],
        &[("OLLAMA_HOST", "http://127.0.0.1:9")],
    );
    assert_eq!(output.status.code(), Some(69), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["ready"], false);
    assert_eq!(report["next"], "caal models pull");
    let plain = caal(&["doctor"], &[("OLLAMA_HOST", "http://127.0.0.1:9")]);
    let text = String::from_utf8_lossy(&plain.stdout);
    assert!(
        !text.contains('\x1b'),
        "no colour where there is no terminal"
    );
    assert!(text.contains("Next step: caal models pull"), "{text}");
}

/// A sound system in which nothing is set up: what a machine without a sound card has.
fn no_sound() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("asound.conf");
    std::fs::write(&path, "").expect("a file");
    let path = path.to_str().expect("a path in UTF-8").to_owned();
    (folder, path)
}

#[test]
fn without_a_microphone_talk_says_so_before_it_loads_anything() {
    let (_folder, alsa) = no_sound();
    let output = caal(&["talk"], &[("ALSA_CONFIG_PATH", &alsa)]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(69), "{text}");
    assert!(
        text.contains("there is no microphone") && text.contains("--in"),
        "{text}"
    );
    assert!(!text.contains("loading"), "{text}");
    let named = caal(
        &["talk", "--input", "Nobody's"],
        &[("ALSA_CONFIG_PATH", &alsa)],
    );
    assert_ne!(named.status.code(), Some(0), "{}", stderr(&named));
    let listed = caal(
        &["talk", "--list-devices", "--json"],
        &[("ALSA_CONFIG_PATH", &alsa)],
    );
    assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "[]");
}

#[test]
fn talk_finds_wrong_files_before_it_loads_anything() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = folder.path().join("notes.wav");
    std::fs::write(&text, "not sound").expect("a file");
    let text = text.to_str().expect("a path in UTF-8");
    for (input, out) in [
        ("nowhere.wav", "a.wav"),
        (text, "a.wav"),
        (text, "no/such/folder.wav"),
    ] {
        let output = caal(&["talk", "--in", input, "--out", out], &[]);
        assert_eq!(
            output.status.code(),
            Some(64),
            "{input} {out}: {}",
            stderr(&output)
        );
        assert!(!stderr(&output).contains("loading"), "{}", stderr(&output));
    }
    assert_eq!(caal(&["talk", "--in", text], &[]).status.code(), Some(64));
}
