//! `caal serve` and `caal agent` as programs, real models in them, with people at LiveKit's own SDK: at a
//! real server and at our own room, killed, drained, asked to leave, and over lines that lose sound.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::real::{Human, KEY, RealServer, SECRET};
use crate::{
    browser::Server,
    support::{Bad, Relay, alone, long, models},
};

/// What a program needs to know of a server.
fn at(url: &str) -> [(&str, &str); 3] {
    [
        ("LIVEKIT_URL", url),
        ("LIVEKIT_API_KEY", KEY),
        ("LIVEKIT_API_SECRET", SECRET),
    ]
}

/// The words of the next whole caption, of `me` or of the assistant, and whose they are.
async fn caption(human: &mut Human, me: &str, mine: bool) -> (String, String) {
    let fits = |v: &Value| {
        v["event"] == "text"
            && v["topic"] == "lk.transcription"
            && v["attributes"]["lk.transcription_final"] == "true"
            && (v["who"] == me) == mine
    };
    let what = if mine { "my words" } else { "its words" };
    let told = human.tells(what, fits).await;
    let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    (text("text").to_lowercase(), text("who"))
}

/// Waits for the greeting to end; whose it is.
async fn greeted(human: &mut Human, me: &str) -> String {
    let (words, who) = caption(human, me, false).await;
    assert!(words.contains("i'm cal"), "{words}");
    who
}

/// Asks for the time and hears and reads the answer; what was understood.
async fn asks(human: &mut Human, me: &str) -> String {
    let quiet = |v: &Value| v["event"] == "heard" && v["rms"].as_i64().unwrap_or(0) < 20;
    human.tells("silence", quiet).await;
    let question = "tests/fixtures/audio/what_time_is_it.wav";
    let question = Path::new(env!("CARGO_MANIFEST_DIR")).join(question);
    human.does(&format!("play {}", question.display())).await;
    let (words, _) = caption(human, me, true).await;
    let sound = |v: &Value| v["event"] == "heard" && v["rms"].as_i64().unwrap_or(0) > 500;
    human.tells("the answer's sound", sound).await;
    let (answer, _) = caption(human, me, false).await;
    assert!(!answer.trim().is_empty());
    words
}

/// The agents in the room.
async fn agents(human: &mut Human) -> Vec<String> {
    human.does("who").await;
    let told = human
        .tells("who is there", |v| v["event"] == "people")
        .await;
    let there = told["there"].as_array().unwrap().iter();
    there
        .filter(|p| p["kind"] == 4)
        .map(|p| p["who"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_in_a_conversation_is_back_and_drains_when_asked() {
    let _alone = alone().await;
    let Some(server) = RealServer::with("room: {departure_timeout: 1}\n").await else {
        return;
    };
    let url = server.url();
    let mut caal = Server::start(&at(&url));
    let mut anna = server.human("den", "anna", "", 0);
    let agent = greeted(&mut anna, "anna").await;
    let words = asks(&mut anna, "anna").await;
    assert!(words.contains("time"), "{words}");

    caal.kill();
    let home = Arc::clone(&caal.home);
    let mut caal = Server::start_in(home, &at(&url));
    let ready = Instant::now();
    let back = |v: &Value| v["event"] == "joined" && v["who"] == *agent;
    anna.tells("the same agent", back).await;
    let took = ready.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?} after it was ready");
    greeted(&mut anna, "anna").await;
    let words = asks(&mut anna, "anna").await;
    assert!(words.contains("time"), "{words}");
    assert_eq!(agents(&mut anna).await, [&*agent], "no second agent");

    // Asked to end, it first serves who is there.
    caal.terminate();
    anna.does("chat Say hello.").await;
    let (answer, _) = caption(&mut anna, "anna", false).await;
    assert!(!answer.trim().is_empty());
    anna.does("leave").await;
    let ended = tokio::task::block_in_place(|| caal.ended());
    assert!(ended.success(), "{ended}");
}

/// `caal agent` for the room "den".
fn agent(home: &Path, url: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_caal"))
        .args(["agent", "--room", "den"])
        .env("CAAL_HOME", home)
        .env("CAAL_MODELS", models())
        .env("LLM_PROVIDER", "embedded")
        .envs(at(url))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_joins_the_room_it_is_told_replaces_its_dead_self_and_leaves_when_asked() {
    let _alone = alone().await;
    let Some(server) = RealServer::start().await else {
        return;
    };
    let url = server.url();
    let home = tempfile::tempdir().unwrap();
    let mut caal = agent(home.path(), &url);
    let mut anna = server.human("den", "anna", "", 0);
    let who = greeted(&mut anna, "anna").await;

    caal.kill().unwrap();
    caal.wait().unwrap();
    let mut caal = agent(home.path(), &url);
    assert_eq!(greeted(&mut anna, "anna").await, who, "the same agent");
    assert_eq!(agents(&mut anna).await, [&*who], "and no other");

    let id = caal.id().to_string();
    Command::new("kill").args(["-TERM", &id]).status().unwrap();
    let farewell = |v: &Value| v["event"] == "left" && v["who"] == *who;
    anna.tells("its farewell", farewell).await;
    let ended = tokio::task::block_in_place(|| caal.wait()).unwrap();
    assert!(ended.success(), "{ended}");
}

/// 100 ms of jitter, one packet in twenty doubled.
fn losing(lost: usize) -> Bad {
    Bad {
        lost,
        doubled: 5,
        late_ms: 100,
    }
}

/// Questions over a line that gets worse, is dead for some seconds, then is good again.
async fn over_bad_lines(relay: &Relay, human: &mut Human, hole: Duration) {
    for lost in [5, 10, 20] {
        relay.is(losing(lost));
        let before = relay.passed();
        let words = asks(human, "anna").await;
        eprintln!("{lost} % lost: understood {words:?}");
        assert!(relay.passed() > before + 200, "sound goes around the relay");
        // What a fifth of the packets leaves of a word, nobody promises.
        assert!(lost > 10 || words.contains("time"), "{lost} %: {words}");
    }
    relay.is(losing(100));
    // The hole is what is tested: it has to last.
    tokio::time::sleep(hole).await;
    relay.is(Bad::default());
    relay.cut();
    let words = asks(human, "anna").await;
    assert!(words.contains("time"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_over_a_bad_line_to_our_own_room_is_answered() {
    if !long() {
        return; // the tones of `rtc/embedded` go the same way
    }
    let _alone = alone().await;
    let caal = Server::start(&at("")[1..]);
    let relay = Relay::before(caal.port(), 1).await;
    let Some(mut anna) = Human::at(&relay.url("ws"), "voice_assistant_room", "anna") else {
        return;
    };
    greeted(&mut anna, "anna").await;
    over_bad_lines(&relay, &mut anna, Duration::from_secs(6)).await;
    assert_eq!(agents(&mut anna).await.len(), 1);
}

/// The agent's own way to the server is the bad one.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_bad_line_to_a_real_server_answers() {
    if !long() {
        return; // the same line, the joining of the tests of `rtc/join`
    }
    let _alone = alone().await;
    let Some(server) = RealServer::start().await else {
        return;
    };
    let relay = Relay::before(server.port(), 2).await;
    let url = relay.url("ws");
    let _caal = Server::start(&at(&url));
    let mut anna = server.human("den", "anna", "", 0);
    greeted(&mut anna, "anna").await;
    over_bad_lines(&relay, &mut anna, Duration::from_secs(6)).await;
    assert_eq!(agents(&mut anna).await.len(), 1);
}
