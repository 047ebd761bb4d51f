//! Settings that are changed over HTTP in the middle of a conversation, with the real ear, Whisper and
//! Kokoro; and changes that cannot be had.

use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use caal::{
    app::{self, App},
    audio::{Hz16k, Hz24k, Pcm},
    llm::{ChatRequest, Delta, Message},
    pii::Pii,
    room,
    rtc::{Identity, Link, Participant, RoomCommand, RoomEvent},
    session::Engines,
    tools::Toolbox,
    tts::{SpeakRequest, Tts, TtsError, Voice},
};
use futures_util::{StreamExt as _, stream::BoxStream};
use serde_json::json;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Duration, MissedTickBehavior, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    conversation,
    http::Caal,
    llm::scripted::{Scripted, answer, response, streamed},
    support,
};

/// A voice that notes what it is asked to say.
struct Noting(Arc<dyn Tts>, Arc<Mutex<Vec<SpeakRequest>>>);

impl Tts for Noting {
    fn speak(&self, request: SpeakRequest) -> BoxStream<'static, Result<Pcm<Hz24k>, TtsError>> {
        self.1.lock().unwrap().push(request.clone());
        self.0.speak(request)
    }

    fn voices(&self) -> Vec<Voice> {
        self.0.voices()
    }

    fn name(&self) -> String {
        self.0.name()
    }
}

/// Anna's side of a room, and what she has heard so far.
struct Anna {
    events: mpsc::Sender<RoomEvent>,
    commands: mpsc::Receiver<RoomCommand>,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    /// The assistant listens, or has.
    listens: bool,
    frames: usize,
    /// What it heard.
    words: Vec<String>,
    replies: usize,
}

/// A failure, not a hang: real models on a busy machine are slow.
const PATIENCE: Duration = Duration::from_secs(120);

impl Anna {
    async fn happens(&self, event: RoomEvent) {
        self.events.send(event).await.expect("the room lives");
    }

    /// Says `sound` as a microphone would, then is silent, until she has seen what is `wanted`.
    async fn says_until(&mut self, sound: &Pcm<Hz16k>, wanted: impl Fn(&Seen) -> bool) {
        let saying = timeout(PATIENCE, self.says(sound, wanted)).await;
        assert!(saying.is_ok(), "it did not come: {:?}", self.seen);
    }

    async fn says(&mut self, sound: &Pcm<Hz16k>, wanted: impl Fn(&Seen) -> bool) {
        let mut pieces = sound.samples().chunks(320);
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        // Never faster than it is said, or a busy ear would lose some of it.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !wanted(&self.seen) {
            tokio::select! {
                command = self.commands.recv() => match command.expect("the room lives") {
                    RoomCommand::State(_) => self.seen.listens = true,
                    RoomCommand::Voice(_) => self.seen.frames += 1,
                    RoomCommand::UserText { text, last: true, .. } => self.seen.words.push(text.0),
                    RoomCommand::VoiceText { last: true, .. } => self.seen.replies += 1,
                    _ => {}
                },
                _ = tick.tick() => {
                    let mut piece = pieces.next().unwrap_or_default().to_vec();
                    piece.resize(320, 0.0);
                    let sound = RoomEvent::Sound(Identity::new("anna"), Pcm::new(piece));
                    self.happens(sound).await;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_in_the_middle_of_an_answer_changes_the_next_answers_voice_and_not_this_one() {
    let models = support::models();
    let caal = Caal::in_environment(&[
        ("CAAL_MODELS", models.to_str().unwrap()),
        ("CAAL_FAST_PATH", "false"), // the clock's answer is another every minute
    ]);
    caal.settings.judged_by(app::judge());
    let spoken = Arc::new(Mutex::new(Vec::new()));
    let real = conversation::engines();
    let engines = Engines {
        tts: Arc::new(Noting(real.tts.clone(), spoken.clone())),
        tools: Toolbox::default(),
        shown: Default::default(),
        ..real.clone()
    };
    let settings = (*caal.settings.current()).clone();
    let app = Arc::new(App::with(settings, support::runtime(), engines));
    let host = app::rooms(&app).expect("right");
    let greeting = host.greeting.clone();
    assert_eq!(greeting(), "Hi, I'm Cal. How can I help?");

    let (events, taken) = mpsc::channel(64);
    let (given, commands) = mpsc::channel(64);
    let link = Link {
        room: "kitchen".to_owned(),
        us: Identity::new("agent-1"),
        events: taken,
        commands: given,
    };
    let mut tasks = JoinSet::new();
    let stop = CancellationToken::new();
    let (live, following) = (caal.settings.clone(), app.clone());
    tasks.spawn(async move { following.follow(&live).await });
    tasks.spawn({
        let stop = stop.clone();
        async move { drop(room::host(link, &host, stop).await) }
    });
    let mut anna = Anna {
        events,
        commands,
        seen: Seen::default(),
    };
    anna.happens(RoomEvent::Joined(Participant {
        identity: Identity::new("anna"),
        name: Pii::default(),
        agent: false,
    }))
    .await;
    let question = conversation::fixture("what_time_is_it");
    let nothing = Pcm::default();
    // While its models are loaded nobody listens.
    anna.says_until(&nothing, |seen| seen.listens).await;
    anna.says_until(&question, |seen| seen.frames > 0).await;

    // What is wrong is refused, all at once; what is right is taken over.
    let wrong =
        json!({ "settings": { "tts_voice_kokoro": "nobody", "wake_word_model": "hey_nobody" } });
    let answer = caal.post("/settings", wrong).await;
    assert_eq!(
        answer.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{answer:?}"
    );
    assert_eq!(
        answer.json()["detail"].as_array().unwrap().len(),
        2,
        "{answer:?}"
    );
    let wanted = json!({ "settings": { "tts_voice_kokoro": "bf_emma", "agent_name": "Ada" } });
    let answer = caal.post("/settings", wanted).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let mut in_force = app.watch();
    let taken_over = in_force.wait_for(|settings| settings.voice == "bf_emma");
    tokio::select! {
        taken = taken_over => drop(taken.expect("the app lives")),
        () = anna.says_until(&nothing, |_| false) => {}
    }
    assert_eq!(greeting(), "Hi, I'm Ada. How can I help?");
    anna.says_until(&nothing, |seen| seen.replies == 1).await;
    anna.says_until(&question, |seen| seen.replies == 2).await;

    let spoken = spoken.lock().unwrap().clone();
    let answers: Vec<_> = spoken.iter().filter(|s| s.text != "Hello.").collect();
    let half = answers.len() / 2;
    for (n, clause) in answers.iter().enumerate() {
        let voice = if n < half { "af_heart" } else { "bf_emma" };
        assert_eq!(clause.voice, voice, "{n}: {answers:#?}");
    }
    assert_eq!(answers[0].text, answers[half].text, "the same was answered");
    stop.cancel();
    drop(anna);
    tasks.abort_all();
}

/// Without engines of its own: what is exchanged is asked of the settings alone.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_is_told_and_the_old_goes_on_and_what_can_is_taken_over_all_the_same() {
    let models = support::models();
    let caal = Caal::in_environment(&[
        ("CAAL_MODELS", models.to_str().unwrap()),
        ("LLM_PROVIDER", "ollama"),
    ]);
    let engines = Engines {
        tools: Toolbox::default(),
        shown: Default::default(),
        ..conversation::engines().clone()
    };
    let settings = (*caal.settings.current()).clone();
    let app = Arc::new(App::with(settings, support::runtime(), engines));
    let mut tasks = JoinSet::new();
    let (live, following) = (caal.settings.clone(), app.clone());
    tasks.spawn(async move { following.follow(&live).await });
    let mut troubles = app.troubles();

    // No judge is here: as if the files had gone after the change was made.
    let wanted = json!({ "settings": {
        "tts_voice_kokoro": "nobody", "ollama_model": "gone", "agent_name": "Ada",
        "wake_word_enabled": true, "wake_word_model": "hey_nobody",
    } });
    let answer = caal.post("/settings", wanted).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let all = |t: &std::collections::BTreeMap<&str, String>| t.len() == 3;
    let told = troubles.wait_for(all).await.expect("the app lives").clone();
    for (of, word) in [
        ("voice", "nobody"),
        ("language model", "does not answer"),
        ("wake word", "hey_nobody"),
    ] {
        assert!(told[of].contains(word), "{told:?}");
    }
    let held = app.settings();
    assert_eq!(
        (held.voice.as_str(), held.agent_name.as_str()),
        ("af_heart", "Ada")
    );
    assert!(!held.wake_word_enabled && held.ollama_model.is_empty());
    assert_eq!(app.parts().llm, "parrot");

    let mended = json!({ "settings": {
        "tts_voice_kokoro": "af_sky", "ollama_model": "", "wake_word_model": "models/alexa.onnx",
    } });
    assert_eq!(caal.post("/settings", mended).await.status, StatusCode::OK);
    let none = |t: &std::collections::BTreeMap<&str, String>| t.is_empty();
    troubles.wait_for(none).await.expect("the app lives");
    let held = app.settings();
    assert_eq!(held.voice, "af_sky");
    assert!(held.wake_word_enabled && held.wake_words == ["alexa"]);
}

/// A server that speaks Ollama's protocol, has the model `m` (or none), and answers with its name.
async fn ollama(name: &'static str, has_model: bool) -> Scripted {
    Scripted::with(move |seen| {
        if seen.head.starts_with("GET /api/tags") {
            let tags: &[u8] = match has_model {
                true => br#"{"models":[{"name":"m:latest","size":1}]}"#,
                false => br#"{"models":[]}"#,
            };
            return response("200 OK", "application/json", &[tags]);
        }
        streamed(&[answer(&["I am ", name]).as_bytes()])
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_language_model_is_warmed_before_it_is_asked_and_the_old_answers_until_then() {
    let models = support::models();
    let caal = Caal::in_environment(&[
        ("CAAL_MODELS", models.to_str().unwrap()),
        ("LLM_PROVIDER", "ollama"),
    ]);
    let settings = (*caal.settings.current()).clone();
    let engines = Engines {
        tools: Toolbox::default(),
        shown: Default::default(),
        ..conversation::engines().clone()
    };
    let app = Arc::new(App::with(settings, support::runtime(), engines));
    let mut tasks = JoinSet::new();
    let (live, following) = (caal.settings.clone(), app.clone());
    tasks.spawn(async move { following.follow(&live).await });
    let says = async || {
        let request = ChatRequest::from(vec![Message::User("Who are you?".to_owned())]);
        let words = app.engines().llm.chat(request).map(|delta| match delta {
            Ok(Delta::Text(text)) => text,
            Ok(Delta::Usage(_) | Delta::Call(_) | Delta::BadCall(_)) => String::new(),
            Err(error) => error.to_string(),
        });
        words.collect::<Vec<_>>().await.concat()
    };
    let moves = async |to: &Scripted| {
        let wanted = json!({ "settings": { "ollama_host": to.url() } });
        assert_eq!(caal.post("/settings", wanted).await.status, StatusCode::OK);
    };
    let (first, empty, second) = (
        ollama("the first", true).await,
        ollama("empty", false).await,
        ollama("the second", true).await,
    );
    let mut in_force = app.watch();
    moves(&first).await;
    let there = in_force.wait_for(|settings| settings.ollama_host == first.url());
    there.await.expect("the app lives");
    let warmed = first
        .seen()
        .iter()
        .any(|seen| seen.head.starts_with("POST /api/chat"));
    assert!(warmed, "before anybody asked it: {:?}", first.seen());
    assert_eq!(says().await, "I am the first");

    moves(&empty).await;
    let mut troubles = app.troubles();
    let told = troubles.wait_for(|all| all.contains_key("language model"));
    let told = told.await.expect("the app lives").clone();
    assert!(told["language model"].contains("has no model"), "{told:?}");
    assert_eq!(says().await, "I am the first");
    assert_eq!(app.settings().ollama_host, first.url());

    moves(&second).await;
    let there = in_force.wait_for(|settings| settings.ollama_host == second.url());
    there.await.expect("the app lives");
    assert_eq!(says().await, "I am the second");
    let none = troubles.wait_for(|all| all.is_empty());
    none.await.expect("the app lives");
}
