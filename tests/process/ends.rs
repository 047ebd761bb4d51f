//! `caal` as a process that runs for a while: a server that becomes ready, and how all of them end,
//! whenever they are told to.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus, Stdio},
};

#[cfg(feature = "embedded-llm")]
use super::no_sound;

const ROOM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/audio/room.wav");

/// A running `caal`; a test that fails leaves none behind.
struct Process(Child, tempfile::TempDir);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        // What the test has not read itself.
        let mut rest = String::new();
        if let Some(log) = &mut self.0.stderr {
            let _ = log.read_to_string(&mut rest);
        }
        if !std::thread::panicking() {
            crate::support::secrets::none_in(&rest, "the log");
        }
    }
}

/// `caal serve` with real models and an Ollama that is not there: the embedded model answers, or
/// nobody.
fn server(arguments: &[&str], environment: &[(&str, &str)]) -> Process {
    start(
        &[&["serve", "--port", "0"], arguments].concat(),
        environment,
    )
}

fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Process {
    let home = tempfile::tempdir().expect("a folder");
    // A shell that runs the tests in the background has them ignore Ctrl-C, and so their children.
    let child = Command::new("/usr/bin/env")
        .args(["--default-signal=INT", env!("CARGO_BIN_EXE_caal")])
        .args(arguments)
        .arg("--models")
        .arg(crate::support::models())
        .env_clear()
        .env("CAAL_HOME", home.path())
        .env("OLLAMA_HOST", "http://127.0.0.1:9")
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    Process(child, home)
}

/// Waits until a server is ready; its address.
fn address(server: &mut Process) -> Option<String> {
    let ready = BufReader::new(server.0.stdout.take().expect("piped"))
        .lines()
        .map_while(Result::ok)
        .find(|line| line.starts_with("Ready"))?;
    let port = ready.split("localhost:").nth(1)?.split(' ').next()?;
    Some(format!("127.0.0.1:{port}"))
}

/// Sends `signal` to a process, once for each time named, and waits for its end.
fn ends(mut process: Process, signals: &[&str]) -> ExitStatus {
    use std::{
        sync::mpsc::{RecvTimeoutError, sync_channel},
        thread,
        time::Duration,
    };
    let signal = |signal: &str, id: u32| {
        let sent = Command::new("kill")
            .args([signal, &id.to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    };
    let id = process.0.id();
    // One that lost the signal is killed, so that this fails and does not wait for ever.
    let (ended, end) = sync_channel::<()>(1);
    let watchdog = thread::spawn(move || {
        if end.recv_timeout(Duration::from_secs(20)) == Err(RecvTimeoutError::Timeout) {
            signal("-KILL", id);
        }
    });
    for name in signals {
        signal(name, id);
    }
    let status = process.0.wait().expect("ends");
    drop(ended);
    watchdog.join().expect("the watchdog ends");
    status
}

/// Asks a server to stop and waits for it: 0, within its grace.
fn drains(server: Process) {
    let status = ends(server, &["-TERM"]);
    assert_eq!(
        status.code(),
        Some(0),
        "asked to stop, it ended otherwise or not in 20 s"
    );
}

/// A port that was free a moment ago, and that nobody is given who asks for any.
fn free_port() -> u16 {
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (23_004..24_000).find(free).expect("a free port")
}

/// A server with real models: ready, answering, and gone within its grace when asked to stop.
#[test]
fn serve_becomes_ready_answers_and_drains_on_sigterm() {
    let vk_agent = free_port().to_string();
    let mut server = server(&[], &[("VK_AGENT_PORT", &vk_agent)]);
    let address = address(&mut server);
    if cfg!(not(feature = "embedded-llm")) {
        // Without Ollama and without a model inside nobody can answer: it says so and ends.
        let mut said = String::new();
        let mut log = server.0.stderr.take().expect("piped");
        log.read_to_string(&mut said).expect("text");
        let code = server.0.wait().expect("ends").code();
        assert_eq!((address, code), (None, Some(69)), "{said}");
        assert!(said.contains("embedded-llm"), "{said}");
        return;
    }
    let address = address.unwrap_or_else(|| {
        let mut said = String::new();
        let mut log = server.0.stderr.take().expect("piped");
        log.read_to_string(&mut said).expect("text");
        panic!("never ready: {said}")
    });
    for (path, word) in [("/health", "healthy"), ("/ready", "\"ready\"")] {
        let answer = get(&address, path);
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains(word),
            "{path}: {answer}"
        );
        assert!(!answer.contains("microphone"), "nobody asked for one");
    }
    let vk_agent = format!("127.0.0.1:{vk_agent}");
    for (address, path, status, word) in [
        (&address, "/api/models", 200, "{\"models\":[]}"),
        (
            &address,
            "/api/wake-word/models",
            200,
            "models/hey_jarvis.onnx",
        ),
        (&address, "/nothing", 404, "{\"detail\":\"Not Found\"}"),
        // The room's signalling is on the same port, behind the API.
        (&address, "/rtc/validate", 401, "token"),
        (&vk_agent, "/status", 200, "\"ready\""),
        (&vk_agent, "/settings", 404, "Not Found"),
    ] {
        let answer = get(address, path);
        let right = answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(word);
        assert!(right, "{path}: {answer}");
    }
    drains(server);
}

/// Waits until `server` answers `path` with `word`: what is written is seen within a second.
#[cfg(feature = "embedded-llm")]
fn comes(address: &str, path: &str, word: &str) {
    let patience = std::time::Duration::from_secs(60);
    let started = std::time::Instant::now();
    loop {
        let answer = get(address, path);
        if answer.contains(word) {
            return;
        }
        assert!(started.elapsed() < patience, "no {word} in {answer}");
        std::thread::yield_now();
    }
}

/// The settings file is everybody's: the command, an editor, the server.
#[cfg(feature = "embedded-llm")]
#[test]
fn a_server_follows_what_others_set_and_says_what_it_cannot_follow() {
    let mut server = server(&[], &[]);
    let address = address(&mut server).expect("ready");
    let home = server.1.path();
    let set = Command::new(env!("CARGO_BIN_EXE_caal"))
        .args([
            "settings",
            "set",
            "agent_name=Ada",
            "wake_word_enabled=true",
        ])
        .env_clear()
        .env("CAAL_HOME", home)
        .output()
        .expect("the binary runs");
    assert!(set.status.success(), "{set:?}");
    comes(&address, "/settings", "\"agent_name\":\"Ada\"");
    assert!(!get(&address, "/ready").contains("\"settings\""));

    let file = home.join("settings.json");
    std::fs::write(&file, r#"{"agent_name": "#).expect("writable");
    comes(&address, "/ready", "it is not JSON");
    comes(&address, "/settings", "\"agent_name\":\"Ada\"");
    std::fs::write(&file, r#"{"tts_voice_kokoro": "nobody"}"#).expect("writable");
    comes(&address, "/ready", "there is no voice");
    std::fs::write(&file, r#"{"tts_voice_kokoro": "bf_emma"}"#).expect("writable");
    comes(&address, "/settings", "\"agent_name\":\"Cal\"");
    comes(&address, "/settings", "bf_emma");
    drains(server);
}

/// Waits until a process says that it loads its models. The rest of what it says is read no more: its
/// pipe holds that.
fn loads(process: &mut Process) {
    let log = BufReader::new(process.0.stderr.as_mut().expect("piped"));
    let mut lines = log.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("loading the models")));
}

/// A supervisor may ask at any moment, a person at a terminal more than once. What a signal meets:
/// models that load, or a server that has just said that it is ready.
#[test]
fn a_signal_while_loading_or_right_after_ready_is_a_clean_end() {
    for signals in [&["-TERM"][..], &["-INT", "-INT"]] {
        let mut loading = server(&[], &[]);
        loads(&mut loading);
        assert_eq!(ends(loading, signals).code(), Some(0), "{signals:?}");
    }
    if cfg!(feature = "embedded-llm") {
        let mut ready = server(&[], &[]);
        address(&mut ready).expect("ready");
        drains(ready);
    }
}

/// As a shell's user ends any program: nothing is lost yet, so the signal does it.
#[test]
fn talk_stopped_while_it_loads_ends_by_the_signal() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("answer.wav");
    let out = out.to_str().expect("a path in UTF-8");
    for (signal, number) in [("-INT", 2), ("-TERM", 15)] {
        let mut talk = start(&["talk", "--in", ROOM, "--out", out], &[]);
        loads(&mut talk);
        let ended = ends(talk, &[signal]);
        // On a busy machine the models may be there before the signal is: then it is a clean end.
        let clean = ended
            .code()
            .is_some_and(|code| code == 0 || code == 128 + number);
        assert!(ended.signal() == Some(number) || clean, "{signal}: {ended}");
    }
    assert!(!folder.path().join("answer.wav").exists());
}

/// A thread that still loads or runs a model when its library's destructors run dies of SIGSEGV, now
/// and then. glibc tells what it does with a library.
#[cfg(target_env = "gnu")]
#[test]
fn a_process_leaves_without_the_destructors_of_onnx_runtime() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("loader");
    let environment = [
        ("LD_DEBUG", "files"),
        ("LD_DEBUG_OUTPUT", log.to_str().expect("a path in UTF-8")),
    ];
    let mut wake = start(&["wake", ROOM, "--model", "alexa"], &environment);
    let id = wake.0.id();
    assert!(wake.0.wait().expect("ends").success());
    let log = std::fs::read_to_string(format!("{}.{id}", log.display())).expect("glibc's log");
    let about = |what: &str| {
        log.lines()
            .any(|line| line.contains(what) && line.contains("libonnxruntime"))
    };
    assert!(about("calling init"), "{log}");
    assert!(!about("calling fini"));
}

/// ALSA's null device stands for a sound card: the path through the sound system is real, and it
/// gives silence as fast as it is taken.
#[cfg(feature = "embedded-llm")]
#[test]
fn a_server_waits_for_its_microphone_and_uses_it_when_it_comes() {
    let (_folder, alsa) = no_sound();
    let environment = [
        ("ALSA_CONFIG_PATH", &*alsa),
        ("CAAL_WAKE_WORD", "hey_jarvis,alexa"),
    ];
    let mut server = server(&["--local"], &environment);
    let address = address(&mut server).expect("ready without a microphone");
    let mut log = BufReader::new(server.0.stderr.take().expect("piped")).lines();
    let mut says = |words: &str| {
        let found = log
            .by_ref()
            .map_while(Result::ok)
            .inspect(|line| assert!(!line.contains("ALSA lib"), "{line}"))
            .find(|line| line.contains(words));
        assert!(found.is_some(), "it never says {words:?}");
    };
    says("there is no microphone; connect one");
    says("there is no loudspeaker; connect one");
    let ready = get(&address, "/ready");
    assert!(
        ready.starts_with("HTTP/1.1 200") && ready.contains("\"microphone\":null"),
        "{ready}"
    );
    assert!(ready.contains("\"wake\":\"hey_jarvis, alexa\""), "{ready}");

    std::fs::write(&alsa, "pcm.default { type null }\n").expect("a file");
    says("loudspeaker: ");
    // The log is a moment ahead of what is served.
    let served = (0..5_000).any(|_| get(&address, "/ready").contains("\"loudspeaker\":\""));
    assert!(served, "{}", get(&address, "/ready"));
    drains(server);
}

/// One HTTP/1.1 GET, whole.
pub(super) fn get(address: &str, path: &str) -> String {
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

/// Asks by `POST /api/chat`; the answer is to be read.
fn asks(address: &str, body: &str) -> std::net::TcpStream {
    let mut stream = std::net::TcpStream::connect(address).expect("connects");
    write!(
        stream,
        "POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sends");
    stream
}

#[cfg(feature = "embedded-llm")]
#[test]
fn a_server_whose_livekit_server_is_not_there_is_not_ready_and_says_why() {
    let mut server = server(
        &[],
        &[
            ("LIVEKIT_URL", "ws://127.0.0.1:9"),
            ("LIVEKIT_API_KEY", "devkey"),
            (
                "LIVEKIT_API_SECRET",
                "a-s3cret-that-is-long-enough-for-this",
            ),
        ],
    );
    let address = address(&mut server).expect("it starts all the same");
    let told = (0..1_000).map(|_| get(&address, "/ready"));
    let mut told = told.skip_while(|ready| !ready.contains("no line to the LiveKit server"));
    let ready = told.next().expect("it says so");
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(ready.contains(r#""status":"no_rooms""#), "{ready}");
    assert!(
        ready.contains(r#"{"name":"rooms","state":"failed""#),
        "{ready}"
    );
    assert!(!ready.contains("a-s3cret-that"), "{ready}");
    assert!(get(&address, "/health").starts_with("HTTP/1.1 200"));
    drains(server);
}

/// The history is told of an answer when it is over; one that is cut by the end of the server is over, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_answer_had_said_when_the_server_was_stopped_is_kept() {
    use crate::llm::{
        openai::{completion, sse},
        scripted::{Scripted, Step, response},
    };
    let begun = "data: {\"choices\":[{\"delta\":{\"content\":\"Once upon a time.\"}}]}\n\n";
    let model = Scripted::with(move |seen| match &seen.body {
        serde_json::Value::Null => {
            response("200 OK", "application/json", &[br#"{"data":[{"id":"m"}]}"#])
        }
        body if body["max_tokens"] == 1 => sse(&[completion(&["So."]).as_bytes()]),
        _ => {
            let mut steps = sse(&[begun.as_bytes()]);
            steps.pop(); // which says that it is over
            steps.push(Step::Hang);
            steps
        }
    })
    .await;
    let told = tokio::task::spawn_blocking(move || {
        let mut server = server(
            &[],
            &[
                ("LLM_PROVIDER", "openai_compatible"),
                ("OPENAI_BASE_URL", &model.url()),
                ("OPENAI_MODEL", "m"),
            ],
        );
        let address = address(&mut server).expect("ready");
        let answer = asks(
            &address,
            r#"{"text":"Tell me a long story.","stream":true}"#,
        );
        let lines = BufReader::new(answer).lines().map_while(Result::ok);
        let mut lines = lines.skip_while(|line| !line.contains("Once upon"));
        assert!(lines.next().is_some(), "it begins");
        // The folder outlives the process.
        let home = std::mem::replace(&mut server.1, tempfile::tempdir().expect("a folder"));
        drains(server);
        let command = |arguments: &[&str]| {
            let output = Command::new(env!("CARGO_BIN_EXE_caal"))
                .args(arguments)
                .env_clear()
                .env("CAAL_HOME", home.path())
                .output()
                .expect("the binary runs");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        command(&["conversations", "show", "1"])
    });
    let told = told.await.expect("no panic");
    for words in ["Tell me a long story", "Once upon a time"] {
        assert!(told.contains(words), "{told}");
    }
}

/// A house that lost its power starts everything at once: the model's server may come later, or not be well.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_without_the_model_server_that_is_set_and_answers_when_it_has_come() {
    use crate::llm::{
        openai::{completion, sse},
        scripted::{Scripted, response},
    };
    let there = format!("127.0.0.1:{}", free_port());
    let url = format!("http://{there}");
    let asked = |address: &str, text: &str| {
        let mut answer = String::new();
        asks(address, &serde_json::json!({ "text": text }).to_string())
            .read_to_string(&mut answer)
            .expect("text");
        answer
    };
    let (server, address) = tokio::task::spawn_blocking(move || {
        let set = [
            ("LLM_PROVIDER", "openai_compatible"),
            ("OPENAI_BASE_URL", &*url),
            ("OPENAI_MODEL", "m"),
        ];
        let mut server = server(&[], &set);
        let address = address(&mut server).expect("ready");
        // What needs no model goes on.
        let timer = asked(&address, "Set a timer for five minutes.");
        assert!(timer.contains("five minutes"), "{timer}");
        let lost = asked(&address, "Why is the sky blue?");
        assert!(!lost.contains("Because"), "{lost}");
        (server, address)
    })
    .await
    .expect("no panic");
    let model = Scripted::at(&there, |seen| match &seen.body {
        serde_json::Value::Null => {
            response("200 OK", "application/json", &[br#"{"data":[{"id":"m"}]}"#])
        }
        _ => sse(&[completion(&["Because of the air."]).as_bytes()]),
    })
    .await;
    let told = tokio::task::spawn_blocking(move || {
        let told = asked(&address, "Why is the sky blue?");
        drains(server);
        told
    });
    let told = told.await.expect("no panic");
    assert!(told.contains("Because of the air."), "{told}");
    drop(model);
}
