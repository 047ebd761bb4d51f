//! The binary as its user meets it: exit codes, first words, a clean end.

mod ends;
#[cfg(feature = "embedded-llm")] // starts the server whole
mod fresh;
#[cfg(feature = "embedded-llm")] // starts the server whole
mod guard;

use std::process::{Command, Output};

fn caal(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let home = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_caal"))
        .args(arguments)
        .env_clear()
        .env("CAAL_HOME", home.path())
        .current_dir(home.path())
        .envs(environment.iter().copied())
        .output()
        .expect("the binary runs");
    crate::support::secrets::searched(output)
}

/// Goes nowhere for what is missing.
const OFFLINE: (&str, &str) = ("HF_HUB_OFFLINE", "1");

/// A pipe that nobody reads any more.
fn closed() -> std::process::Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_wrong_word_on_the_command_line_is_exit_code_64() {
    let cases = [
        &["frobnicate"][..],
        &["serve", "--port", "many"],
        &["serve", "--headphones"],
        &["serve", "--local", "--wake", "alexa", "--no-wake"],
        &["serve", "--port", "0", "--local", "--wake", "hey_nobody"],
        &["serve", "--port", "0", "--local", "--wake", ""],
        &[],
    ];
    for arguments in cases {
        let output = caal(arguments, &[OFFLINE]);
        assert_eq!(
            output.status.code(),
            Some(64),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let home = tempfile::tempdir().expect("a folder");
    let start = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_caal"));
        command
            .args(arguments)
            .env_clear()
            .env("CAAL_HOME", home.path())
            .envs([OFFLINE]);
        command
    };
    for arguments in [
        &["doctor"][..],
        &["doctor", "--json"],
        &["models", "list"],
        &["talk", "--list-devices", "--json"],
    ] {
        let output = start(arguments)
            .stdout(closed())
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(141), "{arguments:?}");
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
    // And nobody who reads why it fails: the exit code still tells.
    for arguments in [&["serve", "--port", "0"][..], &["models", "rm", "nobody"]] {
        let status = start(arguments)
            .stderr(closed())
            .status()
            .expect("the binary runs");
        assert_eq!(status.code(), Some(64), "{arguments:?}");
    }
}

/// Run by the next test in a process of its own: the hook is the whole process's.
#[test]
#[ignore = "writes panics to standard error; the test below reads them"]
fn two_panics() {
    caal::telemetry::discreet_panics();
    let said = "Grüße an Frau Schmidt";
    let quoting = std::thread::Builder::new().name("quoting".to_owned());
    let quoting = quoting.spawn(move || said[..3].len()).expect("a thread");
    assert!(quoting.join().is_err());
    let literal = std::thread::spawn(|| panic!("the list is empty"));
    assert!(literal.join().is_err());
}

#[test]
fn a_panic_tells_its_place_and_no_words() {
    let program = std::env::current_exe().expect("this test has a path");
    let output = Command::new(program)
        .args(["--exact", "process::two_panics", "--ignored", "--nocapture"])
        .env("RUST_BACKTRACE", "0")
        .output()
        .expect("the tests run");
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stderr(&output);
    assert!(text.contains("thread quoting panicked at "), "{text}");
    assert!(text.contains("process.rs:"), "{text}");
    assert!(text.contains("the list is empty"), "{text}");
    assert!(!text.contains("Schmidt"), "{text}");
}

#[tokio::test]
async fn the_end_of_a_task_is_told_without_the_words_it_ended_over() {
    let mut tasks = tokio::task::JoinSet::new();
    let said = "Schmidt".to_owned();
    tasks.spawn(async move { panic!("cannot cut {said}") });
    let error = tasks.join_next().await.expect("one").expect_err("a panic");
    assert!(error.to_string().contains("Schmidt"), "tokio quotes it");
    assert_eq!(caal::telemetry::ended(&error), "panicked");
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
    let output = caal(&["serve", "--port", "0"], &[OFFLINE]);
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
    let empty = tempfile::NamedTempFile::new().expect("a file");
    let empty = empty.path().to_str().expect("a path in UTF-8");
    let cases: [(&[&str], &str); 10] = [
        (&["transcribe", "no-such.wav"], "give the path of a WAV"),
        (&["transcribe", empty], "is empty"),
        (&["transcribe", ROOM, "--model", "/"], "no model.bin"),
        (
            &["transcribe", ROOM, "--device", "cuda"],
            "caal models pull onnxruntime-cuda",
        ),
        (&["say", "Hello", "-o", "/no/x.wav"], "with --out"),
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

#[cfg(feature = "whisper-cpp")]
#[test]
fn a_ggml_file_is_written_down_without_onnx_runtime_and_without_chatter() {
    use crate::support::ggml::{Format, model};
    const CLIP: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/audio/handful.wav"
    );
    let model = model("whisper-tiny.en", Format::Q8);
    let model = model.to_str().expect("a path in UTF-8");
    let output = caal(&["-vv", "transcribe", CLIP, "--model", model], &[]);
    let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
    let log = stderr(&output);
    assert!(output.status.success(), "{log}");
    assert!(text.contains("handful into her lap"), "{text}");
    for word in ["whisper_", "ggml_", "handful"] {
        assert!(!log.contains(word), "{log}");
    }
    let doctor = caal(&["doctor"], &[("WHISPER_MODEL", model)]);
    let text = String::from_utf8_lossy(&doctor.stdout);
    assert!(text.contains("by whisper.cpp"), "{text}");
}

#[cfg(not(feature = "whisper-cpp"))]
#[test]
fn a_ggml_file_without_the_feature_says_what_to_do() {
    const CLIP: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/audio/handful.wav"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ggml-base.bin");
    std::fs::write(&file, b"lmgg").expect("a file");
    let model = file.to_str().expect("a path in UTF-8");
    let output = caal(&["transcribe", CLIP, "--model", model], &[]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(
        text.contains("--features embedded-llm,whisper-cpp"),
        "{text}"
    );
    let doctor = caal(&["doctor"], &[("WHISPER_MODEL", model)]);
    let text = String::from_utf8_lossy(&doctor.stdout);
    assert!(text.contains("whisper.cpp is not built in"), "{text}");
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

/// Whether doctor says that a conversation is possible, and what it finds of `part`.
fn doctor(environment: &[(&str, &str)], part: &str) -> (bool, serde_json::Value) {
    let output = caal(&["doctor", "--json"], environment);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let ready = report["ready"].as_bool().expect("a verdict");
    assert_eq!(output.status.code(), Some(if ready { 0 } else { 69 }));
    let checks = report["checks"].as_array().expect("a list");
    let check = checks.iter().find(|check| check["part"] == part);
    (ready, check.cloned().unwrap_or_default())
}

/// A model store like the tests' own, without `without`.
fn store(without: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for model in crate::support::models()
        .read_dir()
        .expect("a folder")
        .flatten()
    {
        if without.iter().all(|name| model.file_name() != *name) {
            let link = folder.path().join(model.file_name());
            std::os::unix::fs::symlink(model.path(), link).expect("a link");
        }
    }
    folder
}

#[test]
fn doctor_says_ready_when_and_only_when_serve_would_start() {
    let models = crate::support::models();
    let nobody = ("OLLAMA_HOST", "http://127.0.0.1:9");
    let all = models.to_str().expect("a path in UTF-8");
    let built_in = cfg!(feature = "embedded-llm");
    let whole = [nobody, ("CAAL_MODELS", all)];
    assert_eq!(doctor(&whole, "language model").0, built_in);
    let embedded = [nobody, ("CAAL_MODELS", all), ("LLM_PROVIDER", "embedded")];
    assert_eq!(doctor(&embedded, "language model").0, built_in);
    let ollama = [nobody, ("CAAL_MODELS", all), ("LLM_PROVIDER", "ollama")];
    let (ready, check) = doctor(&ollama, "language model");
    assert!(!ready && check["health"] == "bad", "{check}");

    let silent = store(&["smollm2-135m-instruct"]);
    let silent = silent.path().to_str().expect("a path in UTF-8");
    let (ready, check) = doctor(&[nobody, ("CAAL_MODELS", silent)], "language model");
    assert!(!ready && check["health"] == "bad", "{check}");
    if built_in {
        assert_eq!(check["step"], "caal models pull smollm2-135m-instruct");
    }

    // What the settings name instead of a default counts, and not the default.
    let other = store(&["whisper-base", "onnxruntime"]);
    let other = other.path().to_str().expect("a path in UTF-8");
    let whisper = models.join("whisper-base");
    let library = models.join("onnxruntime/libonnxruntime.so");
    let named = [
        nobody,
        ("CAAL_MODELS", other),
        ("WHISPER_MODEL", whisper.to_str().expect("a path in UTF-8")),
        ("ORT_DYLIB_PATH", library.to_str().expect("a path in UTF-8")),
    ];
    let (ready, check) = doctor(&named, "speech to text");
    assert_eq!(
        (ready, &check["health"]),
        (built_in, &"good".into()),
        "{check}"
    );
    let (ready, check) = doctor(&named[..2], "speech to text");
    assert!(!ready && check["health"] == "bad", "{check}");
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

#[test]
fn a_conversation_that_cannot_begin_leaves_no_answer_behind() {
    const ROOM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/audio/room.wav");
    let folder = tempfile::tempdir().expect("a folder");
    let [new, old] = ["new.wav", "old.wav"].map(|name| folder.path().join(name));
    std::fs::write(&old, "an answer from before").expect("a file");
    for out in [&new, &old] {
        let path = out.to_str().expect("a path in UTF-8");
        let output = caal(&["talk", "--in", ROOM, "--out", path], &[]);
        assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("models pull"),
            "{}",
            stderr(&output)
        );
    }
    assert!(!new.exists(), "there was none before");
    let text = std::fs::read_to_string(&old).expect("it stays");
    assert_eq!(text, "an answer from before");
}

#[test]
fn talk_finds_a_wrong_voice_or_wake_word_before_it_loads_anything() {
    const ROOM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/audio/room.wav");
    let models = crate::support::models().display().to_string();
    let talk = ["--models", &models, "talk", "--in", ROOM, "--out", "a.wav"];
    for (wrong, problem, known) in [
        (
            ["--wake", "alexa,hey_nobody"],
            "no wake word \"hey_nobody\"",
            "alexa",
        ),
        (
            ["--voice", "af_bella+nobody"],
            "no voice \"nobody\"",
            "bm_lewis",
        ),
    ] {
        let output = caal(&[&talk[..], &wrong].concat(), &[]);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert!(text.contains(problem) && text.contains(known), "{text}");
        assert!(!text.contains("loading"), "{text}");
    }
}

#[test]
fn nobody_is_told_what_runs_here() {
    let home = tempfile::tempdir().expect("a folder");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO_BIN_EXE_caal"))
        .args(["wake", "--model", "alexa"])
        .arg(root.join("tests/fixtures/audio/wake_alexa.wav"))
        .env("CAAL_MODELS", crate::support::models())
        .env("HOME", home.path())
        .env_remove("XDG_CACHE_HOME")
        .env_remove("ORT_DISABLE_TELEMETRY")
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let left: Vec<_> = std::fs::read_dir(home.path())
        .expect("a folder")
        .flatten()
        .collect();
    assert!(left.is_empty(), "ONNX Runtime wrote {left:?}");
}
