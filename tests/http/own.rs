//! Our own endpoints: meters, readiness, past turns, events, downloads; and their errors.

use std::time::{Duration, SystemTime};

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use caal::{
    app,
    clock::At,
    http::{PartState, Parts, Readiness},
    pii::Pii,
    session::{Answered, Engines, Load, Marks, TurnTimings},
    telemetry::Outcome,
    tools::Toolbox,
    turn::{ReplyId, TurnId},
};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::Caal;

fn answered() -> Answered {
    let at = |ms| Some(At::from_millis(ms));
    let marks = Marks {
        user_stop: at(1_000),
        endpoint: at(1_250),
        transcript: at(1_300),
        first_token: at(1_420),
        first_clause: at(1_500),
        first_sound: at(1_800),
        audible: at(1_812),
    };
    Answered {
        asked_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_415_462_114),
        timings: TurnTimings::of(Some(TurnId(1)), ReplyId(1), &marks),
        outcome: Outcome::Interrupted,
        user: Pii("is the stove off".to_owned()),
        assistant: Pii("It is".to_owned()),
        over_at: SystemTime::now(),
        steps: Vec::new(),
    }
}

#[tokio::test]
async fn past_turns_are_told_with_their_latency_and_without_words() {
    let caal = Caal::fresh();
    assert_eq!(caal.get("/api/turns").await["turns"], json!([]));
    caal.panel.turns.note("den", &answered());
    caal.panel.turns.note("attic", &answered());
    let turns = caal.get("/api/turns?room=den").await;
    let stage = |name: &str, ms: u32| json!({ "name": name, "ms": ms });
    let expected = json!({
        "words": false,
        "kept": 500,
        "turns": [{
            "id": 1,
            "at": "2026-11-23T06:31:02.114Z",
            "room": "den",
            "total_ms": 812,
            "stages": [
                stage("endpoint", 250), stage("stt", 50), stage("llm", 120),
                stage("clause", 80), stage("tts", 300), stage("playout", 12),
            ],
            "spoken": true,
            "interrupted": true,
            "user": null,
            "assistant": null,
        }],
    });
    assert_eq!(turns, expected);
    let newest = caal.get("/api/turns?limit=1").await;
    assert_eq!(newest["turns"][0]["room"], "attic");
    assert_eq!(newest["turns"].as_array().unwrap().len(), 1);

    let forget = caal.ask("DELETE", "/api/turns", None, "").await;
    assert_eq!(forget.status, StatusCode::NO_CONTENT);
    assert_eq!(caal.get("/api/turns").await["turns"], json!([]));
}

#[tokio::test]
async fn words_of_turns_are_told_where_the_owner_has_them_kept() {
    let caal = Caal::fresh();
    let changed = caal
        .post(
            "/settings",
            json!({ "settings": { "keep_turn_words": true } }),
        )
        .await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    caal.panel.turns.note("den", &answered());
    let turns = caal.get("/api/turns").await;
    assert_eq!(turns["words"], true);
    assert_eq!(turns["turns"][0]["user"], "is the stove off");
    assert_eq!(turns["turns"][0]["assistant"], "It is");
}

#[tokio::test]
async fn our_own_endpoints_refuse_in_problem_json() {
    // Whatever gets through asks nobody for a model.
    let caal = Caal::in_environment(&[("HF_HUB_OFFLINE", "1")]);
    let cases = [
        ("GET", "/api/turns?limit=0", "", 422, "invalid"),
        ("GET", "/api/turns?limit=many", "", 422, "invalid"),
        ("POST", "/api/turns", "", 405, "method_not_allowed"),
        ("POST", "/api/downloads", "{", 422, "invalid"),
        ("POST", "/api/downloads", "[]", 422, "invalid"),
        (
            "POST",
            "/api/downloads",
            r#"{"model":"whisper-base"}"#,
            422,
            "invalid",
        ),
        (
            "POST",
            "/api/downloads",
            "{\"names\":[\"wisper-bas\"]}",
            422,
            "invalid",
        ),
        ("POST", "/api/connection-details", "", 503, "no_room"),
    ];
    for (method, path, body, status, code) in cases {
        let kind = (!body.is_empty()).then_some("application/json");
        let answer = caal.ask(method, path, kind, body).await;
        assert_eq!(answer.status, status, "{method} {path} {body}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["type"], "about:blank");
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        if status == 405 {
            assert_eq!(answer.header("allow"), "GET, DELETE");
        }
    }
    let long = format!("{{\"names\":[\"{}\"]}}", "x".repeat(20_000));
    let answer = caal.ask("POST", "/api/downloads", None, &long).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn ready_tells_every_part_and_what_is_missing() {
    let caal = Caal::fresh();
    let answer = caal.ask("GET", "/ready", None, "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let loading = answer.json();
    assert_eq!(loading["status"], "loading");
    let names = |report: &Value| -> Vec<String> {
        let parts = report["parts"].as_array().unwrap().iter();
        parts
            .map(|part| {
                assert!(part["state"].is_string());
                part["name"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    assert_eq!(names(&loading), ["stt", "llm", "tts", "ears", "rooms"]);

    let progress = &caal.panel.progress;
    let why = "kokoro-82m is not here".to_owned();
    progress.tell("tts", PartState::Missing, Some(why.clone()));
    progress.missing(vec!["kokoro-82m".to_owned()]);
    let report = caal.ask("GET", "/ready", None, "").await.json();
    assert_eq!(report["status"], "missing");
    assert_eq!(report["missing"], json!(["kokoro-82m"]));
    let tts = json!({ "name": "tts", "state": "missing", "detail": why });
    assert_eq!(report["parts"][2], tts);

    progress.missing(Vec::new());
    let engines = Parts {
        tts: "Kokoro".to_owned(),
        ..Parts::default()
    };
    caal.readiness.send_replace(Readiness::Ready(engines));
    let away = caal.ask("GET", "/ready", None, "").await;
    assert_eq!(away.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(away.json()["status"], "no_rooms", "nobody can come in yet");
    progress.tell("rooms", PartState::Ready, None);
    let report = caal.get("/ready").await;
    assert_eq!(report["status"], "ready");
    assert_eq!(report["engines"]["tts"], "Kokoro");
    let tts = json!({ "name": "tts", "state": "ready", "detail": "Kokoro" });
    assert_eq!(report["parts"][2], tts);

    caal.readiness.send_replace(Readiness::Draining);
    let answer = caal.ask("GET", "/ready", None, "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["status"], "draining");
}

/// Server-sent events as they come.
struct Events {
    body: axum::body::BodyDataStream,
    text: String,
}

impl Events {
    async fn of(caal: &Caal) -> Self {
        let request = Request::get("/api/events").body(Body::empty()).unwrap();
        let answer = caal.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self {
            body: answer.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next event of this name; `None` where they have ended.
    async fn next(&mut self, name: &str) -> Option<Value> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |key: &str| event.lines().find_map(|line| line.strip_prefix(key));
                if field("event: ") == Some(name) {
                    return Some(serde_json::from_str(field("data: ").unwrap()).unwrap());
                }
            }
            let piece = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn events_tell_how_it_is_and_then_what_changes() {
    let caal = Caal::fresh();
    let mut events = Events::of(&caal).await;
    assert_eq!(events.next("ready").await.unwrap()["status"], "loading");
    assert_eq!(events.next("download").await.unwrap()["state"], "idle");
    assert_eq!(events.next("rooms").await.unwrap(), json!({ "rooms": [] }));
    caal.panel.turns.note("den", &answered());
    let turn = events.next("turn").await.unwrap();
    assert_eq!(turn, caal.get("/api/turns").await["turns"][0]);
    caal.panel.progress.tell("stt", PartState::Ready, None);
    let report = events.next("ready").await.unwrap();
    assert_eq!(report["parts"][0]["state"], "ready");
    // A server that stops does not wait for its listeners.
    caal.readiness.send_replace(Readiness::Draining);
    assert_eq!(events.next("turn").await, None);
}

#[tokio::test]
async fn no_more_pages_listen_than_there_are_places() {
    let caal = Caal::fresh();
    let mut listening = Vec::new();
    for _ in 0..16 {
        listening.push(Events::of(&caal).await);
    }
    let answer = caal.ask("GET", "/api/events", None, "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["code"], "busy");
    assert_eq!(answer.header("retry-after"), "1");
    listening.pop();
    Events::of(&caal).await;
}

#[tokio::test]
async fn models_are_listed_with_what_is_here_of_them() {
    let caal = Caal::fresh();
    let overview = caal.get("/api/downloads").await;
    assert_eq!(overview["download"]["state"], "idle");
    let models = overview["models"].as_array().unwrap();
    let voice = models.iter().find(|model| model["name"] == "kokoro-82m");
    let voice = voice.expect("the voice");
    assert_eq!(voice["state"], "missing");
    assert_eq!(voice["role"], "tts");
    assert!(voice["bytes"].as_u64().unwrap() > 1_000_000);
    let stop = caal.ask("DELETE", "/api/downloads", None, "").await;
    assert_eq!(
        stop.status,
        StatusCode::NO_CONTENT,
        "nothing to stop is no error"
    );
}

#[tokio::test]
async fn a_download_that_fails_says_why_and_another_may_begin() {
    // A hub that is not there: refused at once.
    let nowhere = [
        ("HF_ENDPOINT", "http://127.0.0.1:9"),
        ("HF_HUB_OFFLINE", "1"),
    ];
    let caal = Caal::in_environment(&nowhere);
    let wanted = json!({ "names": ["acme/no-such-model"] });
    for _ in 0..2 {
        let answer = caal.post("/api/downloads", wanted.clone()).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        assert_eq!(answer.json()["state"], "running");
        let mut events = Events::of(&caal).await;
        let failed = loop {
            let download = events.next("download").await.unwrap();
            if download["state"] == "failed" {
                break download;
            }
        };
        assert!(
            failed["message"]
                .as_str()
                .unwrap()
                .contains("no-such-model"),
            "{failed}"
        );
    }
}

#[tokio::test]
async fn requests_are_counted_by_their_route_and_not_by_what_somebody_typed() {
    let caal = Caal::fresh();
    caal.get("/health").await;
    caal.ask("GET", "/assets/nothing-of-this-name", None, "")
        .await;
    caal.ask("GET", "/nobody/knows/this", None, "").await;
    let answer = caal.ask("GET", "/metrics", None, "").await;
    assert_eq!(
        answer.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let requests: Vec<_> = (answer.text.lines())
        .filter(|line| line.starts_with("http_server_request_duration_seconds_count"))
        .collect();
    let counted = |route: &str, status: u16| {
        let labels = format!(
            "{{http_request_method=\"GET\",http_route=\"{route}\",http_response_status_code=\"{status}\"}}"
        );
        requests.iter().any(|line| line.contains(&labels))
    };
    assert!(counted("/health", 200), "{requests:?}");
    assert!(counted("/assets/{name}", 404), "{requests:?}");
    assert!(counted("", 404), "{requests:?}");
    assert!(!answer.text.contains("nobody") && !answer.text.contains("nothing-of"));
    assert!(answer.text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_voice_is_heard_only_when_it_is_loaded_and_the_request_is_right() {
    let caal = Caal::fresh();
    let path = "/api/voices/af_heart/preview";
    let long = json!({ "text": "la ".repeat(120) });
    let cases = [
        (long, 422, "invalid"),
        (json!({ "speed": 3.0 }), 422, "invalid"),
        (json!({ "speed": "fast" }), 422, "invalid"),
        (json!({}), 503, "loading"),
    ];
    for (body, status, code) in cases {
        let answer = caal.post(path, body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.json()["code"], code);
    }
    let answer = caal.ask("POST", path, None, "").await;
    assert_eq!(answer.header("retry-after"), "1", "a body is not needed");
}

/// The real voice, and the real wake word model.
#[tokio::test(flavor = "multi_thread")]
async fn a_voice_speaks_and_a_wake_word_is_heard() {
    let models = crate::support::models();
    let folder = models.to_str().unwrap();
    let variables = [("CAAL_MODELS", folder), ("LLM_PROVIDER", "embedded")];
    let caal = Caal::in_environment(&variables);
    let settings = caal.settings.current();
    // The runtime of all tests: there is one in a process.
    let runtime = crate::support::runtime();
    let engines = Engines {
        stt: app::stt(&settings, || Ok(runtime.clone())).unwrap(),
        llm: app::llm(&settings).await.unwrap().llm,
        tts: app::tts(&settings, &runtime).unwrap(),
        tools: Toolbox::default(),
        shown: Default::default(),
        load: Load::default(),
    };
    let app = app::App::with(settings.as_ref().clone(), runtime, engines);
    caal.house.move_in(std::sync::Arc::new(app));

    let say = json!({ "text": "Alexa, alexa." });
    let answer = caal.post_bytes("/api/voices/af_heart/preview", say).await;
    let wav = hound::WavReader::new(std::io::Cursor::new(&answer)).unwrap();
    let spec = wav.spec();
    assert_eq!(
        (spec.channels, spec.sample_rate, spec.bits_per_sample),
        (1, 24_000, 16)
    );
    let seconds = f64::from(wav.duration()) / 24_000.0;
    assert!((0.6..6.0).contains(&seconds), "{seconds} s");
    let nobody = caal.post("/api/voices/nobody/preview", json!({})).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND, "{nobody:?}");

    // What was spoken, to the meter of a wake word.
    let sound: Vec<u8> = (wav.into_samples::<i16>())
        .flat_map(|sample| sample.unwrap().to_le_bytes())
        .chain([0; 48_000])
        .collect();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let router = caal.router.clone();
    #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    let url = format!("ws://{at}/api/wake-words/alexa/try?rate=24000");
    let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
    let second = tokio_tungstenite::connect_async(&url).await;
    assert!(second.is_err(), "one at a time");
    for piece in sound.chunks(9_602) {
        let message = tokio_tungstenite::tungstenite::Message::binary(piece.to_vec());
        socket.send(message).await.unwrap();
    }
    let steps = sound.len() / 2 * 2 / 3 / 1_280 - 1; // the resampler holds a little back
    let (mut heard, mut best) = (0, 0.0_f64);
    for step in 1..=steps {
        let message = socket.next().await.unwrap().unwrap();
        let told: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        assert_eq!(told["at_ms"], 80 * step);
        assert_eq!(told["threshold"], 0.5);
        heard += i32::from(told["heard"] == true);
        best = best.max(told["score"].as_f64().unwrap());
    }
    assert!(best > 0.5 && heard > 0, "best score {best}, heard {heard}");
    socket.close(None).await.unwrap();

    let unknown = format!("ws://{at}/api/wake-words/nobody/try");
    let refused = tokio_tungstenite::connect_async(&unknown).await;
    let Err(tokio_tungstenite::tungstenite::Error::Http(refused)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        [404, 503].contains(&refused.status().as_u16()),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_wake_word_is_tried_over_a_socket_with_sound_of_a_known_rate() {
    let caal = Caal::fresh();
    for (path, status) in [
        ("/api/wake-words/alexa/try", 400),
        ("/api/wake-words/alexa/try?rate=12", 400),
    ] {
        let answer = caal.ask("GET", path, None, "").await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}
