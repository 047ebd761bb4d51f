//! CAAL in the rooms of a real livekit-server, with people who use LiveKit's own SDK. Skipped, with a
//! word, where the server or the SDK was not fetched.

mod cluster;
mod cut;
mod programs;
pub(crate) mod real;

use std::{
    f32::consts::TAU,
    time::{Duration, Instant},
};

use caal::{
    audio::{Hz16k, Pcm},
    pii::Pii,
    rtc::{
        AgentState, Closed, Departure, FRAME, Identity, Link, RoomCommand, RoomEvent,
        join::{JoinError, Room, Server, Worker, WorkerConfig},
    },
};
use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use cut::Cut;
use real::{KEY, PATIENCE, RealServer};

/// Our voice in these tests, in Hz, and theirs.
const OURS: i64 = 440;
const THEIRS: u32 = 300;

/// The other end of a link: gives a tone from the first moment somebody can hear it, and waits for what
/// happens.
struct Us {
    link: Link,
    speaks: bool,
    /// From now on nobody leaves.
    all_stay: bool,
    position: usize,
    clock: tokio::time::Interval,
}

impl Us {
    fn new(link: Link) -> Self {
        let mut clock = interval(FRAME);
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        Self {
            link,
            speaks: false,
            all_stay: false,
            position: 0,
            clock,
        }
    }

    /// Runs until something happens that fits.
    async fn sees(&mut self, what: &str, fits: impl Fn(&RoomEvent) -> bool) -> RoomEvent {
        let mut fits = |e: &RoomEvent| fits(e);
        let seen = timeout(PATIENCE, self.until(&mut fits)).await;
        seen.unwrap_or_else(|_| panic!("never seen: {what}"))
    }

    async fn until(&mut self, fits: &mut dyn FnMut(&RoomEvent) -> bool) -> RoomEvent {
        loop {
            tokio::select! {
                event = self.link.events.recv() => {
                    let event = event.expect("a link's last event is Closed");
                    self.speaks |= matches!(event, RoomEvent::Audible);
                    let left = matches!(event, RoomEvent::Left(..));
                    assert!(!(left && self.all_stay), "{event:?}");
                    if fits(&event) {
                        return event;
                    }
                    assert!(!matches!(event, RoomEvent::Closed(_)), "{event:?}");
                }
                _ = self.clock.tick(), if self.speaks => {
                    let wave = (self.position..self.position + 480)
                        .map(|n| 0.3 * (TAU * OURS as f32 * n as f32 / 24_000.0).sin());
                    let frame = Pcm::new(wave.collect());
                    self.position += 480;
                    // A room that has ended tells so by its last event.
                    let _ = self.link.commands.send(RoomCommand::Voice(frame)).await;
                }
            }
        }
    }

    /// Runs until the tone of `who` has been heard for 100 ms without a break.
    async fn hears(&mut self, who: &str) {
        let mut in_a_row = 0;
        let mut fits = |event: &RoomEvent| {
            if let RoomEvent::Sound(from, sound) = event
                && from.as_str() == who
            {
                in_a_row = if is_tone(sound) { in_a_row + 1 } else { 0 };
            }
            in_a_row >= 5
        };
        let heard = timeout(PATIENCE, self.until(&mut fits)).await;
        assert!(heard.is_ok(), "{who} is not heard");
    }

    /// Runs, telling nothing, while `other` is waited for.
    async fn meanwhile<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut nothing = |_: &RoomEvent| false;
        tokio::select! {
            done = other => done,
            _ = self.until(&mut nothing) => unreachable!("nothing fits"),
        }
    }

    async fn does(&self, command: RoomCommand) {
        self.link.commands.send(command).await.expect("a room");
    }

    async fn leaves(mut self) {
        self.does(RoomCommand::Leave).await;
        let left = |e: &RoomEvent| matches!(e, RoomEvent::Closed(Closed::Left));
        self.sees("goodbye", left).await;
    }
}

/// Whether most of the energy is at [`THEIRS`]: a Goertzel filter over 20 ms.
fn is_tone(sound: &Pcm<Hz16k>) -> bool {
    assert_eq!(sound.len(), 320, "20 ms");
    let step = TAU * THEIRS as f32 / 16_000.0;
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in sound.samples().iter().enumerate() {
        re += sample * (step * n as f32).cos();
        im += sample * (step * n as f32).sin();
    }
    let tone = (re * re + im * im) * 2.0 / 320.0;
    let all: f32 = sound.samples().iter().map(|s| s * s).sum();
    all > 1.0 && tone > 0.8 * all
}

fn data<'a>(topic: &'a str, text: &'a str) -> impl Fn(&RoomEvent) -> bool + 'a {
    move |e| matches!(e, RoomEvent::Data { topic: t, payload, .. } if t == topic && payload == text.as_bytes())
}

fn worker(
    server: &RealServer,
    folder: &std::path::Path,
    name: &str,
) -> (Worker, tokio::sync::mpsc::Receiver<Link>) {
    Worker::new(WorkerConfig {
        server: server.server(),
        agent_name: name.to_owned(),
        capacity: 16,
        folder: folder.to_owned(),
        drain_for: Duration::ZERO,
    })
    .unwrap()
}

/// A registered worker: the server's log is the only sign of it that is not a job.
async fn given(links: &mut tokio::sync::mpsc::Receiver<Link>) -> Us {
    let link = timeout(PATIENCE, links.recv()).await;
    Us::new(link.expect("a job in time").expect("a worker"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_given_a_room_and_talks_with_the_people_in_it() {
    let Some(server) = RealServer::start().await else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let mut tasks = JoinSet::new();
    let (worker, mut links) = worker(&server, home.path(), "caal");
    let drain = worker.drain();
    tasks.spawn(worker.run());
    server.has_logged("worker registered").await;

    let mut anna = server.human("den", "anna", "caal", THEIRS);
    let mut us = given(&mut links).await;
    let name = us.link.us.as_str().to_owned();
    assert_eq!(us.link.room, "den");
    us.sees(
        "anna",
        |e| matches!(e, RoomEvent::Joined(p) if p.identity.as_str() == "anna" && !p.agent),
    )
    .await;
    us.sees("a listener", |e| matches!(e, RoomEvent::Audible))
        .await;
    us.hears("anna").await;
    us.meanwhile(anna.hears(&name, OURS)).await;

    // What we are doing, what was said, and by whom.
    us.does(RoomCommand::State(AgentState::Thinking)).await;
    let thinking = |v: &Value| v["changed"]["lk.agent.state"] == "thinking";
    us.meanwhile(anna.tells("the state", thinking)).await;
    us.does(RoomCommand::UserText {
        who: Identity::new("anna"),
        segment: "SG_1".into(),
        text: Pii("what time is it".into()),
        last: true,
    })
    .await;
    let caption = |v: &Value| v["event"] == "text" && v["topic"] == "lk.transcription";
    let heard = us.meanwhile(anna.tells("her words", caption)).await;
    assert_eq!(heard["text"], "what time is it");
    assert_eq!(heard["who"], "anna", "under her own identity");
    assert_eq!(heard["attributes"]["lk.transcription_final"], "true");
    assert_eq!(heard["attributes"]["lk.segment_id"], "SG_1");
    for (more, last) in [("It is", false), (" noon.", false), ("", true)] {
        us.does(RoomCommand::VoiceText {
            segment: "SG_2".into(),
            more: Pii(more.into()),
            last,
        })
        .await;
    }
    let said = us.meanwhile(anna.tells("our words", caption)).await;
    assert_eq!(
        (&said["text"], &said["who"]),
        (&"It is noon.".into(), &name.as_str().into())
    );
    assert_eq!(said["attributes"]["lk.transcription_final"], "true");

    // Typed words, packets both ways, and who may command.
    anna.does("chat Grüße aus der Küche").await;
    us.sees("chat", |e| matches!(e, RoomEvent::Chat(who, text) if who.as_str() == "anna" && text.0 == "Grüße aus der Küche"))
        .await;
    us.does(RoomCommand::Data {
        topic: "tool_status",
        payload: b"{}".to_vec(),
        to: vec![],
    })
    .await;
    let packet = |v: &Value| v["event"] == "data" && v["topic"] == "tool_status";
    us.meanwhile(anna.tells("a packet", packet)).await;
    anna.does("data webhook_command forged").await;
    let forged = us.sees("a packet", data("webhook_command", "forged")).await;
    assert!(matches!(forged, RoomEvent::Data { from: Some(who), .. } if who.as_str() == "anna"));
    anna.does("api webhook_command real").await;
    let real = us.sees("a command", data("webhook_command", "real")).await;
    assert!(matches!(real, RoomEvent::Data { from: None, .. }));

    // Off, on, gone, and back.
    anna.does("mute").await;
    us.sees("mute", |e| matches!(e, RoomEvent::Muted(_, true)))
        .await;
    anna.does("unmute").await;
    us.sees("unmute", |e| matches!(e, RoomEvent::Muted(_, false)))
        .await;
    us.hears("anna").await;
    anna.does("leave").await;
    us.sees("farewell", |e| {
        matches!(e, RoomEvent::Left(_, Departure::Left))
    })
    .await;
    let mut bert = server.human("den", "bert", "", THEIRS);
    us.sees("a new listener", |e| matches!(e, RoomEvent::Audible))
        .await;
    us.hears("bert").await;
    us.meanwhile(bert.hears(&name, OURS)).await;

    drain.cancel();
    us.sees("the end", |e| matches!(e, RoomEvent::Closed(Closed::Left)))
        .await;
    bert.tells("our farewell", |v| {
        v["event"] == "left" && v["who"] == *name
    })
    .await;
    let ended = timeout(PATIENCE, tasks.join_next()).await;
    ended.expect("drained").unwrap().unwrap().unwrap();
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        0,
        "no job is left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_started_again_keeps_the_conversation() {
    let Some(mut server) = RealServer::start().await else {
        return;
    };
    let name = Identity::new("caal");
    let (link, room) = Room::direct(&server.server(), "den", name, "").unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(room.run());
    let mut us = Us::new(link);
    let mut anna = server.human("den", "anna", "", THEIRS);
    us.hears("anna").await;
    us.meanwhile(anna.hears("caal", OURS)).await;

    server.kill();
    us.sees("the break", |e| matches!(e, RoomEvent::Reconnecting))
        .await;
    // Said while nobody hears; kept.
    us.does(RoomCommand::Data {
        topic: "tool_status",
        payload: b"kept".to_vec(),
        to: vec![],
    })
    .await;
    server.restart().await;
    us.all_stay = true;
    us.sees("the way back", |e| matches!(e, RoomEvent::Reconnected))
        .await;
    us.hears("anna").await;
    us.meanwhile(anna.hears("caal", OURS)).await;
    us.leaves().await;
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), Closed::Left);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_is_cut_is_resumed_as_the_same_participant() {
    let Some(server) = RealServer::start().await else {
        return;
    };
    let mut cut = Cut::before(server.port()).await;
    let through = Server::new(&cut.url(), KEY, real::SECRET).unwrap();
    let (link, room) = Room::direct(&through, "den", Identity::new("caal"), "").unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(room.run());
    let mut us = Us::new(link);
    let mut anna = server.human("den", "anna", "", THEIRS);
    us.hears("anna").await;
    us.meanwhile(anna.hears("caal", OURS)).await;
    for state in [AgentState::Thinking, AgentState::Speaking] {
        cut.now();
        us.sees("the break", |e| matches!(e, RoomEvent::Reconnecting))
            .await;
        us.does(RoomCommand::State(state)).await;
        us.sees("the way back", |e| matches!(e, RoomEvent::Reconnected))
            .await;
        us.hears("anna").await;
        // She never saw us go, and learns what we are doing now.
        let shown = |v: &Value| v["changed"]["lk.agent.state"] == state.as_str();
        let gone = |v: &Value| v["event"] == "left";
        us.meanwhile(anna.tells_before("the state", shown, gone))
            .await;
    }
    us.meanwhile(anna.hears("caal", OURS)).await;
    us.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_is_back_within_two_seconds_as_the_same_participant() {
    let Some(server) = RealServer::start().await else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let (first, mut links) = worker(&server, home.path(), "caal");
    let mut tasks = JoinSet::new();
    tasks.spawn(first.run());
    server.has_logged("worker registered").await;
    let mut anna = server.human("den", "anna", "caal", THEIRS);
    let mut us = given(&mut links).await;
    let name = us.link.us.clone();
    us.hears("anna").await;
    us.meanwhile(anna.hears(name.as_str(), OURS)).await;

    // As a kill does: nobody says goodbye, the sockets close.
    tasks.shutdown().await;
    drop((us, links));
    let killed = Instant::now();
    let (second, mut links) = worker(&server, home.path(), "caal");
    let drain = second.drain();
    tasks.spawn(second.run());
    let mut us = given(&mut links).await;
    assert_eq!(us.link.us, name);
    us.sees(
        "anna",
        |e| matches!(e, RoomEvent::Joined(p) if p.identity.as_str() == "anna"),
    )
    .await;
    let back = killed.elapsed();
    us.hears("anna").await;
    us.meanwhile(anna.hears(name.as_str(), OURS)).await;
    assert!(back < Duration::from_secs(2), "{back:?}");
    drain.cancel();
    us.sees("the end", |e| matches!(e, RoomEvent::Closed(_)))
        .await;
    tasks.join_next().await.unwrap().unwrap().unwrap();

    // A room that is gone is not made again.
    let gone = caal_record(home.path(), &server);
    let (third, mut links) = worker(&server, home.path(), "caal");
    tasks.spawn(third.run());
    let mut us = given(&mut links).await;
    assert_eq!(us.link.room, gone);
    us.sees("the end", |e| {
        matches!(e, RoomEvent::Closed(Closed::RoomClosed))
    })
    .await;
}

/// Writes the record of a job in a room that never was, with a good token.
fn caal_record(folder: &std::path::Path, server: &RealServer) -> &'static str {
    let token = livekit_token::AccessToken::with_api_key(KEY, real::SECRET)
        .with_identity("agent-AJ_gone")
        .to_jwt()
        .unwrap();
    let record = serde_json::json!({
        "job": "AJ_gone", "room": "gone", "identity": "agent-AJ_gone", "url": server.url(), "token": token,
    });
    std::fs::write(folder.join("AJ_gone.json"), record.to_string()).unwrap();
    "gone"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_said_in_a_sentence() {
    let Some(server) = RealServer::start().await else {
        return;
    };
    let wrong = Server::new(
        &server.url(),
        KEY,
        "another secret, as long as secrets have to be",
    )
    .unwrap();
    let (link, room) = Room::direct(&wrong, "den", Identity::new("caal"), "").unwrap();
    let closed = timeout(PATIENCE, room.run()).await.unwrap();
    assert!(matches!(closed, Closed::Lost(why) if why.contains("LIVEKIT_API_SECRET")));
    drop(link);
    let home = tempfile::tempdir().unwrap();
    let (worker, _links) = Worker::new(WorkerConfig {
        server: wrong,
        agent_name: String::new(),
        capacity: 1,
        folder: home.path().to_owned(),
        drain_for: Duration::ZERO,
    })
    .unwrap();
    let ended = timeout(PATIENCE, worker.run()).await.unwrap();
    assert!(matches!(ended, Err(JoinError::Refused(why)) if why.contains("LIVEKIT_API_SECRET")));
}
