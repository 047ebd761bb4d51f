//! The room that the binary is itself, with LiveKit's own Python SDK as the people in it: a venv built by
//! scripts/real-parts/livekit-python.sh. Where there is none, only the tests without people run.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use caal::{
    audio::{Hz24k, Pcm},
    pii::Pii,
    rtc::{
        AgentState, Closed, Departure, Identity, Link, RoomCommand, RoomEvent,
        endpoint::{Endpoint, Keys, Options, Traffic},
    },
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::support::{Bad, Relay, long};

pub(super) const ROOM: &str = "voice_assistant_room";

/// The room server on free ports of loopback.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) keys: Arc<Keys>,
    traffic: Arc<Traffic>,
    router: Router,
    links: mpsc::Receiver<Link>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(super) async fn start(v1: bool) -> Self {
        Self::with(v1, Some(0)).await
    }

    /// Without UDP where there is no port for it.
    async fn with(v1: bool, udp_port: Option<u16>) -> Self {
        let keys = Keys::new("APItest", "a s3cret of the tests, of 16 or more letters").unwrap();
        let (sender, links) = mpsc::channel(8);
        let options = Options {
            addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            udp_port,
            tcp_port: Some(0),
            v1,
            ..Options::default()
        };
        let endpoint = Endpoint::bind(keys, options, sender).await.unwrap();
        let (keys, router) = (endpoint.keys(), endpoint.router());
        let traffic = endpoint.traffic();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        let served = router
            .clone()
            .into_make_service_with_connect_info::<SocketAddr>();
        tasks.spawn(async move { axum::serve(listener, served).await.unwrap() });
        tasks.spawn(endpoint.run(CancellationToken::new()));
        Self {
            url: format!("ws://{address}"),
            keys,
            traffic,
            router,
            links,
            _tasks: tasks,
        }
    }

    pub(super) async fn link(&mut self) -> Link {
        soon(self.links.recv()).await.expect("a room was opened")
    }

    async fn ask(&self, request: Request<Body>) -> (StatusCode, String) {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let body = String::from_utf8_lossy(&body).into_owned();
        crate::support::secrets::none_in(&body, "an answer");
        (status, body)
    }
}

/// What must happen within half a minute, on however busy a machine.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what)
        .await
        .expect("within 30 s")
}

#[allow(
    clippy::disallowed_methods,
    reason = "tests are told where real parts are"
)]
fn python() -> Option<PathBuf> {
    let cache = || {
        let cache = std::env::var("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || Ok(PathBuf::from(std::env::var("HOME")?).join(".cache"));
        cache.or_else(|_: std::env::VarError| home())
    };
    let told = std::env::var("CAAL_TEST_LIVEKIT_PYTHON").map(PathBuf::from);
    let python = told
        .or_else(|_| Ok::<_, std::env::VarError>(cache()?.join("caal/livekit-python/bin/python")))
        .ok()?;
    if !python.exists() {
        eprintln!("skipped: run scripts/real-parts/livekit-python.sh first");
    }
    python.exists().then_some(python)
}

/// A stock client as a child process.
struct Person {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Person {
    async fn enter(url: &str, token: &str, version: &str) -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rtc/person.py");
        let mut child = Command::new(python()?)
            .arg(script)
            .args([url, token, version])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Some(Self {
            input: child.stdin.take().unwrap(),
            output,
            _child: child,
        })
    }

    async fn go(&mut self, command: Value) {
        let done = command["do"].clone();
        let leaves = done == "leave";
        let line = format!("{command}\n");
        self.input.write_all(line.as_bytes()).await.unwrap();
        if !leaves && done != "measure" {
            self.sees("done", |e| e["do"] == done).await;
        }
    }

    /// The next event of this kind that is so.
    async fn sees(&mut self, event: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut before = Vec::new();
        let waiting = async {
            while let Some(line) = self.output.next_line().await.unwrap() {
                let value: Value = serde_json::from_str(&line).unwrap_or_default();
                if value["event"] == event && is(&value) {
                    return Some(value);
                }
                before.push(line);
            }
            None
        };
        match tokio::time::timeout(Duration::from_secs(30), waiting).await {
            Ok(Some(value)) => value,
            _ => panic!("no {event}, but {before:#?}"),
        }
    }

    async fn measure(&mut self, who: &str, seconds: f64) -> Value {
        self.go(json!({"do": "measure", "who": who, "seconds": seconds}))
            .await;
        self.sees("measured", |_| true).await
    }
}

/// The assistant's end of the room.
pub(super) async fn told(link: &mut Link, is: impl Fn(&RoomEvent) -> bool) -> RoomEvent {
    let mut before = Vec::new();
    let waiting = async {
        while let Some(event) = link.events.recv().await {
            if is(&event) {
                return Some(event);
            }
            if !matches!(event, RoomEvent::Sound(..)) {
                before.push(event);
            }
        }
        None
    };
    match tokio::time::timeout(Duration::from_secs(30), waiting).await {
        Ok(Some(event)) => event,
        _ => panic!("it was not told, but {before:?}"),
    }
}

async fn say(link: &Link, command: RoomCommand) {
    link.commands.send(command).await.unwrap();
}

/// Speaks a tone, 20 ms after 20 ms, until dropped.
fn hum(link: &Link, hz: f32) -> JoinSet<()> {
    let commands = link.commands.clone();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let mut clock = tokio::time::interval(Duration::from_millis(20));
        for n in 0.. {
            clock.tick().await;
            let wave = |i| (std::f32::consts::TAU * hz * i as f32 / 24_000.0).sin() * 0.3;
            let piece = Pcm::<Hz24k>::new((n * 480..(n + 1) * 480).map(wave).collect());
            if commands.send(RoomCommand::Voice(piece)).await.is_err() {
                return;
            }
        }
    });
    task
}

/// Hears half a second of `who` and says its pitch, from how often it crosses zero, and its quietest
/// 20 ms.
async fn listen(link: &mut Link, who: &Identity) -> (f32, f32) {
    let (mut samples, mut quietest) = (Vec::new(), f32::MAX);
    let mut skip = 50;
    while samples.len() < 8_000 {
        let event = told(link, |e| matches!(e, RoomEvent::Sound(w, _) if w == who)).await;
        let RoomEvent::Sound(_, sound) = event else {
            unreachable!("only those were asked for")
        };
        assert_eq!(sound.len(), 320);
        if skip > 0 {
            skip -= 1; // the beginning, while the jitter buffer settles
            continue;
        }
        quietest = quietest.min(sound.rms());
        samples.extend_from_slice(sound.samples());
    }
    let crossings = samples.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0);
    (
        crossings.count() as f32 * 16_000.0 / samples.len() as f32,
        quietest,
    )
}

/// One person's visit, from the door to the goodbye.
async fn visit(version: &str, v1: bool) {
    let mut server = Server::start(v1).await;
    let token = server.keys.mint("user1", "Ada", ROOM).unwrap();
    let Some(mut ada) = Person::enter(&server.url, &token, version).await else {
        return;
    };
    let mut link = server.link().await;
    let me = Identity::new("user1");
    let us = link.us.as_str().to_owned();
    assert_eq!(link.room, ROOM);
    let joined = told(&mut link, |e| matches!(e, RoomEvent::Joined(_))).await;
    let RoomEvent::Joined(who) = joined else {
        unreachable!("only that was asked for")
    };
    assert_eq!(
        (&who.identity, who.name.0.as_str(), who.agent),
        (&me, "Ada", false)
    );
    let connected = ada.sees("connected", |_| true).await;
    assert_eq!(connected["people"][&us]["kind"], 4, "an agent: {connected}");
    let track = ada.sees("subscribed", |_| true).await;
    assert_eq!(track["who"], us.as_str());
    assert_eq!(
        (&track["name"], &track["source"]),
        (&json!("roomio_audio"), &json!(2))
    );
    told(&mut link, |e| matches!(e, RoomEvent::Audible)).await;

    say(&link, RoomCommand::State(AgentState::Speaking)).await;
    ada.sees("attributes", |e| {
        e["changed"]["lk.agent.state"] == "speaking"
    })
    .await;
    let humming = hum(&link, 440.0);
    ada.go(json!({"do": "publish"})).await;
    ada.go(json!({"do": "tone", "hz": 1000})).await;
    ada.sees("local_track_subscribed", |_| true).await;
    let (hz, quietest) = listen(&mut link, &me).await;
    assert!((hz - 1000.0).abs() < 20.0, "{hz} Hz");
    assert!(quietest > 0.1, "a gap: {quietest}");
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    let (sound, redundant) = (
        count(&server.traffic.sound),
        count(&server.traffic.redundant),
    );
    assert!(
        redundant > 40 && redundant == sound,
        "{redundant} of {sound}"
    );
    let heard = ada.measure(&us, 0.5).await;
    assert!(
        (heard["hz"].as_f64().unwrap() - 440.0).abs() < 5.0,
        "{heard}"
    );
    assert!(heard["rms"].as_f64().unwrap() > 4000.0, "{heard}");
    drop(humming);

    for (more, last) in [("Good", false), (" morning", false), (" Ada.", true)] {
        let more = Pii(more.to_owned());
        let segment = "SG_1".to_owned();
        say(
            &link,
            RoomCommand::VoiceText {
                segment,
                more,
                last,
            },
        )
        .await;
    }
    let text = ada.sees("text", |_| true).await;
    assert_eq!(
        (&text["by"], &text["text"]),
        (&json!(us), &json!("Good morning Ada."))
    );
    assert_eq!(text["attributes"]["lk.segment_id"], "SG_1");
    say(
        &link,
        RoomCommand::UserText {
            who: me.clone(),
            segment: "SG_2".to_owned(),
            text: Pii("Grüße".to_owned()),
            last: true,
        },
    )
    .await;
    let text = ada.sees("text", |_| true).await;
    assert_eq!(
        (&text["by"], &text["text"]),
        (&json!("user1"), &json!("Grüße"))
    );
    assert_eq!(text["attributes"]["lk.transcription_final"], "true");

    let long = "Wie geht’s? ".repeat(3000);
    for words in ["hello", &long] {
        ada.go(json!({"do": "chat", "text": words})).await;
        let chat = told(&mut link, |e| matches!(e, RoomEvent::Chat(..))).await;
        assert!(matches!(chat, RoomEvent::Chat(w, text) if w == me && text.0 == words));
    }
    ada.go(json!({"do": "data", "topic": "webhook_command", "text": "{}"}))
        .await;
    let data = told(&mut link, |e| matches!(e, RoomEvent::Data { .. })).await;
    let RoomEvent::Data {
        from,
        topic,
        payload,
    } = data
    else {
        unreachable!("only that was asked for")
    };
    assert_eq!(
        (from, topic.as_str(), payload),
        (Some(me.clone()), "webhook_command", b"{}".to_vec())
    );
    let data = RoomCommand::Data {
        topic: "tool_status",
        payload: b"{\"tool_used\":false}".to_vec(),
        to: Vec::new(),
    };
    say(&link, data).await;
    let data = ada.sees("data", |_| true).await;
    assert_eq!(
        (&data["by"], &data["topic"]),
        (&json!(us), &json!("tool_status"))
    );
    ada.go(json!({"do": "attributes", "set": {"mood": "good"}}))
        .await;

    ada.go(json!({"do": "mute"})).await;
    told(
        &mut link,
        |e| matches!(e, RoomEvent::Muted(w, true) if *w == me),
    )
    .await;
    ada.go(json!({"do": "unmute"})).await;
    told(
        &mut link,
        |e| matches!(e, RoomEvent::Muted(w, false) if *w == me),
    )
    .await;
    listen(&mut link, &me).await;

    ada.go(json!({"do": "leave"})).await;
    told(
        &mut link,
        |e| matches!(e, RoomEvent::Left(w, Departure::Left) if *w == me),
    )
    .await;
    told(&mut link, |e| {
        matches!(e, RoomEvent::Closed(Closed::RoomClosed))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_client_speaks_hears_and_writes_over_one_connection() {
    visit("v1", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stock_client_speaks_hears_and_writes_over_two_connections() {
    visit("v0", true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_falls_back_where_the_newer_door_is_shut() {
    let mut server = Server::start(false).await;
    let token = server.keys.mint("user1", "Ada", ROOM).unwrap();
    let Some(mut ada) = Person::enter(&server.url, &token, "v1").await else {
        return;
    };
    let mut link = server.link().await;
    ada.sees("connected", |_| true).await;
    told(&mut link, |e| matches!(e, RoomEvent::Audible)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_in_a_room_hear_each_other_and_the_next_takes_the_place_of_who_left() {
    let mut server = Server::start(true).await;
    let token = server.keys.mint("user1", "Ada", ROOM).unwrap();
    let Some(mut ada) = Person::enter(&server.url, &token, "v1").await else {
        return;
    };
    let mut link = server.link().await;
    ada.sees("connected", |_| true).await;
    ada.go(json!({"do": "publish"})).await;
    ada.go(json!({"do": "tone", "hz": 700})).await;
    let token = server.keys.mint("user2", "Bo", ROOM).unwrap();
    let mut bo = Person::enter(&server.url, &token, "v0").await.unwrap();
    bo.sees("connected", |e| e["people"]["user1"]["kind"] == 0)
        .await;
    bo.sees("subscribed", |e| e["who"] == "user1").await;
    ada.sees("participant_connected", |e| e["who"] == "user2")
        .await;
    for (hz, last) in [(500, false), (900, true)] {
        bo.go(json!({"do": "publish"})).await;
        bo.go(json!({"do": "tone", "hz": hz})).await;
        ada.sees("subscribed", |e| e["who"] == "user2").await;
        let two = Identity::new("user2");
        listen(&mut link, &two).await;
        let heard = ada.measure("user2", 0.5).await;
        assert!(
            (heard["hz"].as_f64().unwrap() - f64::from(hz)).abs() < 5.0,
            "{heard}"
        );
        let heard = bo.measure("user1", 0.5).await;
        assert!(
            (heard["hz"].as_f64().unwrap() - 700.0).abs() < 5.0,
            "{heard}"
        );
        bo.go(json!({"do": "chat", "text": "to all"})).await;
        ada.sees("text", |e| e["by"] == "user2" && e["text"] == "to all")
            .await;
        // Who it is from is for the room to say.
        bo.go(json!({"do": "lie", "as": "user1", "text": "not me"}))
            .await;
        ada.sees("text", |e| e["text"] == "not me" && e["by"] == "user2")
            .await;
        bo.go(json!({"do": "leave"})).await;
        told(
            &mut link,
            |e| matches!(e, RoomEvent::Left(w, _) if *w == two),
        )
        .await;
        ada.sees("participant_disconnected", |e| e["who"] == "user2")
            .await;
        if !last {
            ada.go(json!({"do": "forget", "who": "user2"})).await;
            bo = Person::enter(&server.url, &token, "v0").await.unwrap();
            bo.sees("connected", |_| true).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_floods_a_house_that_does_not_read_loses_data_and_the_room_stays() {
    let mut server = Server::start(true).await;
    let token = server.keys.mint("user1", "Ada", ROOM).unwrap();
    let Some(mut ada) = Person::enter(&server.url, &token, "v1").await else {
        return;
    };
    let mut link = server.link().await;
    ada.sees("connected", |_| true).await;
    ada.go(json!({"do": "flood", "times": 3000, "text": "x"}))
        .await;
    let token = server.keys.mint("user2", "Bo", ROOM).unwrap();
    let mut bo = Person::enter(&server.url, &token, "v0").await.unwrap();
    bo.sees("connected", |_| true).await;
    let mut floods = 0;
    let two = Identity::new("user2");
    let waiting = async {
        loop {
            match link.events.recv().await {
                Some(RoomEvent::Data { .. }) => floods += 1,
                Some(RoomEvent::Joined(p)) if p.identity == two => break,
                Some(_) => {}
                None => panic!("the room is gone"),
            }
        }
    };
    soon(waiting).await;
    assert!((100..2500).contains(&floods), "{floods}");
    bo.go(json!({"do": "chat", "text": "still here"})).await;
    told(&mut link, |e| matches!(e, RoomEvent::Chat(..))).await;
}

/// A way to the server that can be cut.
async fn cuttable(server: &str, cut: watch::Receiver<u32>, tasks: &mut JoinSet<()>) -> String {
    let to = server.trim_start_matches("ws://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    tasks.spawn(async move {
        let mut lines = JoinSet::new();
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let (to, mut cut) = (to.clone(), cut.clone());
            cut.mark_unchanged();
            lines.spawn(async move {
                let mut far = TcpStream::connect(to).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = cut.changed() => {}
                }
            });
        }
    });
    format!("ws://{here}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_is_cut_is_taken_up_again_and_nobody_has_left() {
    for version in ["v0", "v1"] {
        let mut server = Server::start(true).await;
        let mut tasks = JoinSet::new();
        let (cut, cuts) = watch::channel(0);
        let url = cuttable(&server.url, cuts, &mut tasks).await;
        let token = server.keys.mint("user1", "Ada", ROOM).unwrap();
        let Some(mut ada) = Person::enter(&url, &token, version).await else {
            return;
        };
        let mut link = server.link().await;
        let me = Identity::new("user1");
        ada.sees("connected", |_| true).await;
        ada.go(json!({"do": "publish"})).await;
        ada.go(json!({"do": "tone", "hz": 1000})).await;
        listen(&mut link, &me).await;
        cut.send(1).unwrap();
        ada.sees("reconnecting", |_| true).await;
        let payload = b"meanwhile".to_vec();
        let data = RoomCommand::Data {
            topic: "tool_status",
            payload,
            to: Vec::new(),
        };
        say(&link, data).await;
        ada.sees("data", |e| e["text"] == "meanwhile").await;
        ada.sees("reconnected", |_| true).await;
        let (hz, _) = listen(&mut link, &me).await;
        assert!((hz - 1000.0).abs() < 20.0, "{hz} Hz");
        ada.go(json!({"do": "leave"})).await;
        let left = |e: &RoomEvent| matches!(e, RoomEvent::Left(..) | RoomEvent::Joined(_));
        told(&mut link, |e| {
            matches!(e, RoomEvent::Left(_, Departure::Left))
        })
        .await;
        while let Ok(event) = link.events.try_recv() {
            assert!(!left(&event), "{event:?}");
        }
    }
}

fn call(path: &str, token: &str, body: &str) -> Request<Body> {
    Request::post(format!("/twirp/livekit.RoomService/{path}"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

#[tokio::test]
async fn only_a_token_of_ours_for_this_opens_the_door() {
    let server = Server::start(true).await;
    let stranger = Keys::new("APItest", "another s3cret of 16 or more letters").unwrap();
    let renamed = Keys::new("APIother", "a s3cret of the tests, of 16 or more letters").unwrap();
    let good = server.keys.mint("user1", "Ada", ROOM).unwrap();
    let long = "x".repeat(257);
    let cases = [
        (good.clone(), StatusCode::OK),
        (String::new(), StatusCode::UNAUTHORIZED),
        ("nonsense".to_owned(), StatusCode::UNAUTHORIZED),
        (format!("{good}x"), StatusCode::UNAUTHORIZED),
        (
            stranger.mint("user1", "Ada", ROOM).unwrap(),
            StatusCode::UNAUTHORIZED,
        ),
        (
            renamed.mint("user1", "Ada", ROOM).unwrap(),
            StatusCode::UNAUTHORIZED,
        ),
        (server.keys.mint_admin(ROOM), StatusCode::FORBIDDEN),
        (
            server.keys.mint(&long, "Ada", ROOM).unwrap(),
            StatusCode::BAD_REQUEST,
        ),
    ];
    for (token, expected) in cases {
        for path in ["/rtc/validate", "/rtc/v1/validate"] {
            let asked = Request::get(format!("{path}?access_token={token}"));
            let (status, _) = server.ask(asked.body(Body::empty()).unwrap()).await;
            assert_eq!(status, expected, "{path} {token}");
        }
    }
    assert!(server.keys.mint("", "Ada", ROOM).is_err());
    assert!(server.keys.mint("user1", "Ada", "").is_err());
    let invited = server.keys.inviter(ROOM).invite().unwrap();
    assert!(server.keys.verify_join(&invited.token.0).is_ok());
    let plain = Request::get(format!("/rtc?access_token={good}"));
    let (status, _) = server.ask(plain.body(Body::empty()).unwrap()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, body) = server
        .ask(Request::get("/").body(Body::empty()).unwrap())
        .await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "OK"));
}

#[tokio::test]
async fn the_rooms_api_wants_its_grants() {
    let server = Server::start(true).await;
    let admin = server.keys.mint_admin(ROOM);
    let user = server.keys.mint("user1", "Ada", ROOM).unwrap();
    let data = json!({"room": ROOM, "data": "e30=", "topic": "webhook_command"}).to_string();
    let other = json!({"room": "another", "data": "e30="}).to_string();
    let cases = [
        ("ListRooms", "", "{}", 401, "unauthenticated"),
        ("ListRooms", &user, "{}", 403, "permission_denied"),
        ("ListRooms", &admin, "{}", 200, "rooms"),
        ("ListRooms", &admin, "[", 400, "malformed"),
        ("SendData", &user, &data, 403, "permission_denied"),
        ("SendData", &admin, &other, 403, "permission_denied"),
        ("SendData", &admin, &data, 404, "not_found"),
    ];
    for (path, token, body, status, says) in cases {
        let (got, text) = server.ask(call(path, token, body)).await;
        assert_eq!(got.as_u16(), status, "{path}: {text}");
        assert!(text.contains(says), "{path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_of_the_api_has_no_sender_and_the_room_is_listed() {
    let mut server = Server::start(true).await;
    let token = server.keys.mint("user1", "Ada", ROOM).unwrap();
    let Some(mut ada) = Person::enter(&server.url, &token, "v1").await else {
        return;
    };
    let mut link = server.link().await;
    ada.sees("connected", |_| true).await;
    let admin = server.keys.mint_admin(ROOM);
    let (_, rooms) = server.ask(call("ListRooms", &admin, "{}")).await;
    assert!(rooms.contains(ROOM), "{rooms}");
    let data = json!({"room": ROOM, "data": "e30=", "topic": "webhook_command"}).to_string();
    let (status, text) = server.ask(call("SendData", &admin, &data)).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let told = told(&mut link, |e| matches!(e, RoomEvent::Data { .. })).await;
    assert!(matches!(told, RoomEvent::Data { from: None, payload, .. } if payload == b"{}"));
    ada.sees("data", |e| {
        e["topic"] == "webhook_command" && e["by"].is_null()
    })
    .await;
}

/// Where no UDP comes through.
async fn visit_over_tcp(version: &str) {
    let mut server = Server::with(true, None).await;
    let token = server.keys.mint("user1", "Ada", ROOM).unwrap();
    let Some(mut ada) = Person::enter(&server.url, &token, version).await else {
        return;
    };
    let mut link = server.link().await;
    let us = link.us.as_str().to_owned();
    ada.sees("subscribed", |_| true).await;
    told(&mut link, |e| matches!(e, RoomEvent::Audible)).await;
    let _humming = hum(&link, 440.0);
    ada.go(json!({"do": "publish"})).await;
    ada.go(json!({"do": "tone", "hz": 1000})).await;
    let (hz, quietest) = listen(&mut link, &Identity::new("user1")).await;
    assert!((hz - 1000.0).abs() < 20.0, "{hz} Hz");
    assert!(quietest > 0.1, "a gap: {quietest}");
    let heard = ada.measure(&us, 0.5).await;
    assert!(
        (heard["hz"].as_f64().unwrap() - 440.0).abs() < 5.0,
        "{heard}"
    );
    let (tcp, sound) = (&server.traffic.tcp, &server.traffic.sound);
    assert!(tcp.load(Ordering::Relaxed) > sound.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_udp_comes_through_both_hear_each_other_over_tcp() {
    visit_over_tcp("v0").await;
    visit_over_tcp("v1").await;
}

#[test]
fn keys_are_made_once_and_are_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rtc").join("keys");
    let made = Keys::kept(&path).unwrap();
    let again = Keys::kept(&path).unwrap();
    assert!(
        again
            .verify_join(&made.mint("a", "b", "c").unwrap())
            .is_ok()
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let secret = std::fs::read_to_string(&path).unwrap();
    let secret = secret.lines().nth(1).unwrap();
    assert!(!format!("{made:?}").contains(secret));
    std::fs::write(&path, "nonsense").unwrap();
    assert!(
        Keys::kept(&path)
            .unwrap_err()
            .to_string()
            .contains("delete it")
    );
}

/// 100 ms of jitter, so that packets overtake each other, and one in twenty doubled.
fn losing(lost: usize) -> Bad {
    Bad {
        lost,
        doubled: 5,
        late_ms: 100,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tones_get_through_a_line_that_loses_doubles_and_reorders_and_is_dead_for_a_while() {
    for version in ["v0", "v1"] {
        let mut server = Server::start(true).await;
        let port = server.url.rsplit(':').next().unwrap().parse().unwrap();
        let relay = Relay::before(port, 4).await;
        let token = server.keys.mint("user1", "Ada", ROOM).unwrap();
        let Some(mut ada) = Person::enter(&relay.url("ws"), &token, version).await else {
            return;
        };
        let mut link = server.link().await;
        let (me, us) = (Identity::new("user1"), link.us.as_str().to_owned());
        ada.sees("subscribed", |_| true).await;
        ada.go(json!({"do": "publish"})).await;
        ada.go(json!({"do": "tone", "hz": 1000})).await;
        let _humming = hum(&link, 440.0);
        for line in [0, 5, 10, 20, 100, 0] {
            match line {
                0 => relay.is(Bad::default()),
                lost => relay.is(losing(lost)),
            }
            if line == 100 {
                // The hole is what is tested: it has to last.
                let hole = Duration::from_secs(if long() { 25 } else { 4 });
                tokio::time::sleep(hole).await;
                while link.events.try_recv().is_ok() {}
                continue;
            }
            let before = relay.passed();
            // The silence of the hole may still be on its way.
            told(
                &mut link,
                |e| matches!(e, RoomEvent::Sound(w, s) if *w == me && s.rms() > 0.05),
            )
            .await;
            let (hz, _) = listen(&mut link, &me).await;
            assert!((hz - 1000.0).abs() < 100.0, "{version}, {line} %: {hz} Hz");
            let heard = ada.measure(&us, 0.5).await;
            assert!(
                (heard["hz"].as_f64().unwrap() - 440.0).abs() < 10.0,
                "{version}, {line} %: {heard}"
            );
            assert!(relay.passed() > before + 50, "sound goes around the relay");
        }
    }
}
