//! The script language of the scenarios, and fakes behind every port.
//!
//! In these stories sound is a number: every utterance has its own amplitude, so that the fake
//! speech recognition can tell from a clip's samples which utterances are in it, and whether whole.
//! The assistant's own voice has the amplitude [`VOICE`].

use std::{
    sync::{Arc, Mutex},
    thread::ThreadId,
    time::Duration,
};

use caal::{
    audio::{Hz16k, Hz24k, Pcm},
    endpoint::{EndpointConfig, EndpointError, TurnEndModel},
    engine::EngineError,
    llm::{
        ChatRequest, Delta, Llm, LlmError, Message,
        history::{Limits, Past},
    },
    local::file::{self, Answer, Options, Speed},
    mind::Rules,
    session::{
        Answered, Clock, Ear, EarConfig, EarModels, Effect, Engines, Load, Manners, SessionConfig,
        Setting, WakeSource, Watch,
    },
    stt::{Language, Stt, SttError, TranscribeRequest, Transcript},
    tools::Toolbox,
    tts::{Clauses, SpeakRequest, Tts, TtsError, Voice, dictionary::Dictionary},
    turn::{Activation, Duplex, TurnConfig},
    vad::{SpeechModel, VadError},
    wake::{WakeError, WakeModel},
};
use futures_util::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::time::{Instant, sleep};

/// Amplitude of the assistant's voice.
pub(crate) const VOICE: f32 = 0.7;
/// Amplitude of the wake word.
const WAKE: f32 = 0.95;

/// What the user does, and how the engines behave.
#[derive(Clone)]
pub(crate) struct Story {
    sound: Vec<f32>,
    words: Vec<(f32, &'static str, usize)>,
    pub(crate) turn: TurnConfig,
    pub(crate) speed: Speed,
    pub(crate) echo: f32,
    pub(crate) stt: Behaviour,
    pub(crate) llm: Behaviour,
    pub(crate) tts: Behaviour,
    /// How sure the judge is that a pause is the end.
    pub(crate) complete: Option<f32>,
    pub(crate) answer: &'static str,
    /// What the language model writes to the first requests instead.
    pub(crate) script: Vec<Vec<Delta>>,
    /// Sound per character of spoken text.
    pub(crate) per_letter: Duration,
    /// Shared with other stories: the same engines.
    pub(crate) load: Load,
    /// What the language model may call.
    pub(crate) tools: Toolbox,
    /// How answers are made; all by the language model, unless the story is about that.
    pub(crate) mind: Rules,
    /// Asked in place of the fake one.
    pub(crate) model: Option<Arc<dyn Llm>>,
    /// Interim words are part of the log.
    pub(crate) hearing: bool,
    requests: Arc<Mutex<Vec<ChatRequest>>>,
    /// What the voice was asked to say.
    spoken: Arc<Mutex<Vec<SpeakRequest>>>,
    /// Said to who says the wake word and no more.
    pub(crate) greeting: &'static str,
    /// What changes meanwhile.
    pub(crate) manners: Option<Manners>,
    /// What was said before.
    pub(crate) past: Vec<Past>,
    /// How much is remembered.
    pub(crate) history: Limits,
    /// What is put around the user's words.
    pub(crate) frame: Arc<dyn Fn(&str) -> String + Send + Sync>,
    /// What the assistant is told about itself.
    pub(crate) system: Arc<dyn Fn() -> String + Send + Sync>,
}

/// How an engine behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Behaviour {
    /// Answers after so long.
    After(Duration),
    /// Fails at once.
    Fails,
    /// Never answers.
    Hangs,
}

/// What came of a story.
pub(crate) struct Told {
    /// A line per event, with milliseconds.
    pub(crate) log: Vec<String>,
    pub(crate) answer: Answer,
    pub(crate) requests: Vec<ChatRequest>,
    pub(crate) spoken: Vec<SpeakRequest>,
    /// What is noted of every question.
    pub(crate) answered: Vec<Answered>,
}

impl Told {
    #[track_caller]
    pub(crate) fn has(&self, line: &str) -> &Self {
        assert!(
            self.log.iter().any(|l| l.contains(line)),
            "no {line:?} in\n{}",
            self.text()
        );
        self
    }

    #[track_caller]
    pub(crate) fn has_not(&self, line: &str) -> &Self {
        assert!(
            !self.log.iter().any(|l| l.contains(line)),
            "{line:?} in\n{}",
            self.text()
        );
        self
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.log.iter().filter(|l| l.contains(what)).count()
    }

    pub(crate) fn text(&self) -> String {
        self.log.join("\n")
    }

    /// Milliseconds of the line with `what`.
    #[track_caller]
    pub(crate) fn at(&self, what: &str) -> u64 {
        let line = self.log.iter().find(|l| l.contains(what));
        let line = line.unwrap_or_else(|| panic!("no {what:?} in\n{}", self.text()));
        line.trim()
            .split(' ')
            .next()
            .and_then(|ms| ms.parse().ok())
            .expect("a time")
    }

    /// True where the assistant makes sound, in 20 ms steps of the timeline.
    pub(crate) fn sounds(&self) -> Vec<bool> {
        let loud = |frame: &[f32]| frame.iter().any(|s| *s != 0.0);
        self.answer.sound.samples().chunks(480).map(loud).collect()
    }
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Story {
    /// Always on, headphones, engines that are quick.
    pub(crate) fn new() -> Self {
        Self {
            sound: Vec::new(),
            words: Vec::new(),
            turn: TurnConfig {
                activation: Activation::AlwaysOn,
                duplex: Duplex::Full,
                ..TurnConfig::default()
            },
            speed: Speed::RealTime,
            echo: 0.0,
            stt: Behaviour::After(ms(200)),
            llm: Behaviour::After(ms(100)),
            tts: Behaviour::After(ms(150)),
            complete: Some(0.9),
            answer: "It is noon. ",
            script: Vec::new(),
            per_letter: ms(60),
            load: Load::default(),
            tools: Toolbox::default(),
            mind: Rules {
                fast: false,
                ..Rules::default()
            },
            model: None,
            hearing: false,
            requests: Arc::default(),
            spoken: Arc::default(),
            greeting: "",
            manners: None,
            past: Vec::new(),
            history: Limits::default(),
            frame: Arc::new(str::to_owned),
            system: Arc::new(|| "Be brief.".to_owned()),
        }
    }

    /// The user says `words` from `from` to `to`, in milliseconds.
    pub(crate) fn says(mut self, from: u64, to: u64, words: &'static str) -> Self {
        let amplitude = 0.1 + 0.02 * self.words.len() as f32;
        self.words
            .push((amplitude, words, (to - from) as usize * 16));
        self.put(from, to, amplitude);
        self
    }

    /// A noise that sounds like speech and has no words.
    pub(crate) fn coughs(mut self, from: u64, to: u64) -> Self {
        self.put(from, to, 0.09);
        self
    }

    /// The wake word.
    pub(crate) fn calls(mut self, from: u64, to: u64) -> Self {
        self.turn.activation = Activation::WakeWord;
        self.put(from, to, WAKE);
        self
    }

    pub(crate) fn answers(mut self, answer: &'static str) -> Self {
        self.answer = answer;
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn put(&mut self, from: u64, to: u64, amplitude: f32) {
        let (from, to) = (from as usize * 16, to as usize * 16);
        self.sound.resize(self.sound.len().max(to), 0.0);
        self.sound[from..to].fill(amplitude);
    }

    pub(crate) fn engines(&self) -> Engines {
        Engines {
            stt: Arc::new(FakeStt {
                story: self.clone(),
            }),
            llm: match &self.model {
                Some(model) => model.clone(),
                None => Arc::new(FakeLlm {
                    story: self.clone(),
                }),
            },
            tts: Arc::new(FakeTts {
                story: self.clone(),
            }),
            tools: self.tools.clone(),
            load: self.load.clone(),
        }
    }

    pub(crate) fn config(&self) -> SessionConfig {
        let self_greeting = self.greeting;
        SessionConfig {
            turn: self.turn,
            endpoint: EndpointConfig {
                complete: ms(250),
                incomplete: ms(1_500),
                threshold: 0.5,
            },
            language: Language::default(),
            hints: String::new(),
            system: self.system.clone(),
            frame: self.frame.clone(),
            history: self.history,
            mind: self.mind.clone(),
            place: String::new(),
            voice: String::new(),
            speed: 1.0,
            clauses: Arc::new(|| Clauses::new(Dictionary::default())),
            woken: Arc::new(|| self_greeting.to_owned()),
            clock: Clock::Runtime,
        }
    }

    /// All that a conversation needs.
    pub(crate) fn setting(&self) -> Setting {
        let wake: Option<Box<dyn WakeModel>> = match self.turn.activation {
            Activation::WakeWord => Some(Box::new(FakeWake {
                words: vec!["hey_test".into()],
                score: [0.0],
                room: std::thread::current().id(),
            })),
            Activation::AlwaysOn => None,
        };
        let models = EarModels {
            speech: Box::new(FakeSpeech),
            wake,
            turn_end: None,
        };
        Setting {
            config: self.config(),
            engines: self.engines(),
            turn_end: self
                .complete
                .map(|p| Box::new(FakeJudge(p)) as Box<dyn TurnEndModel>),
            ear: Ear::new(models, EarConfig::default()),
            manners: self.manners.clone(),
            past: self.past.clone(),
        }
    }

    /// What the language model was asked so far.
    pub(crate) fn requests(&self) -> Vec<ChatRequest> {
        self.requests.lock().unwrap().clone()
    }

    /// What the user's microphone hears, 16 kHz.
    pub(crate) fn sound(&self) -> &[f32] {
        &self.sound
    }

    /// Plays it.
    pub(crate) async fn play(self) -> Told {
        crate::support::secrets::watch();
        let setting = self.setting();
        let mut log = Log {
            started: Instant::now(),
            lines: Vec::new(),
            hearing: self.hearing,
            answered: Vec::new(),
        };
        let options = Options {
            speed: self.speed,
            echo: self.echo,
        };
        let answer = file::talk(&Pcm::new(self.sound.clone()), setting, options, &mut log)
            .await
            .expect("the session lives to the end");
        let requests = self.requests.lock().unwrap().clone();
        let spoken = self.spoken.lock().unwrap().clone();
        Told {
            spoken,
            log: log.lines,
            answered: log.answered,
            answer,
            requests,
        }
    }
}

struct Log {
    started: Instant,
    lines: Vec<String>,
    hearing: bool,
    answered: Vec<Answered>,
}

impl Watch for Log {
    fn effect(&mut self, effect: &Effect) {
        // What a server logs about the same conversation.
        caal::local::Log.effect(effect);
        let text = match effect {
            Effect::Settled { .. } => return,
            Effect::Answered(answered) => {
                self.answered.push(answered.as_ref().clone());
                return;
            }
            Effect::Hearing { .. } if !self.hearing => return,
            Effect::Hearing { text, .. } => format!("hearing: {text}"),
            Effect::Play { reply, sound } => format!("play {} {:?}", reply.0, sound.duration()),
            Effect::PlayEnd { reply } => format!("end {}", reply.0),
            Effect::Hush(reply) => format!("hush {}", reply.0),
            Effect::Unhush(reply) => format!("unhush {}", reply.0),
            Effect::Flush(reply) => format!("flush {}", reply.0),
            Effect::Show(phase) => format!("show {}", phase.name()),
            Effect::Attend(attention) => format!("attend {attention:?}"),
            Effect::Woken { word, .. } => format!("woken {word}"),
            Effect::UserSaid { text, .. } => format!("user: {text}"),
            Effect::Saying { text, .. } => format!("saying: {}", text.trim()),
            Effect::AssistantSaid { text, complete, .. } => {
                format!(
                    "said: {}{}",
                    text.trim(),
                    if *complete { "" } else { " --" }
                )
            }
            Effect::Timings(t) => {
                let stages: Vec<_> = t.stages().map(|(n, ms)| format!("{n} {ms}")).collect();
                format!("took {:?}: {}", t.total_ms, stages.join(" "))
            }
            Effect::Doing(doing) => format!("tools: {doing:?}"),
            Effect::Trouble(why) => format!("trouble: {why}"),
        };
        self.lines
            .push(format!("{:>6} {text}", self.started.elapsed().as_millis()));
    }
}

struct FakeSpeech;

impl SpeechModel for FakeSpeech {
    fn window(&self) -> usize {
        512
    }

    fn probability(&mut self, window: &[f32]) -> Result<f32, VadError> {
        let loud = window.iter().filter(|s| s.abs() > 0.05).count();
        Ok(if loud * 2 >= window.len() { 1.0 } else { 0.0 })
    }

    fn reset(&mut self) {}
}

/// Certain in the step in which the word ends.
struct FakeWake {
    words: Vec<String>,
    score: [f32; 1],
    /// The thread of the room's loop, which feeds the loudspeaker.
    room: ThreadId,
}

impl WakeModel for FakeWake {
    fn step(&self) -> usize {
        1280
    }

    fn words(&self) -> &[String] {
        &self.words
    }

    fn score(&mut self, step: &[f32]) -> Result<&[f32], WakeError> {
        assert_ne!(std::thread::current().id(), self.room, "it keeps the room");
        let word = step.contains(&WAKE);
        let ends = word && step.last() != Some(&WAKE);
        self.score = [if ends { 1.0 } else { 0.0 }];
        Ok(&self.score)
    }

    fn reset(&mut self) {}
}

/// The wake word of [`Story::calls`], for ears that are given it later.
pub(crate) fn wake_word() -> WakeSource {
    let room = std::thread::current().id();
    Arc::new(move || {
        Ok(Box::new(FakeWake {
            words: vec!["hey_test".into()],
            score: [0.0],
            room,
        }))
    })
}

struct FakeJudge(f32);

impl TurnEndModel for FakeJudge {
    fn probability(&mut self, _: &[f32]) -> Result<f32, EndpointError> {
        Ok(self.0)
    }
}

/// Recognises utterances by their amplitude; `~` marks one that is not whole.
struct FakeStt {
    story: Story,
}

impl FakeStt {
    fn recognise(&self, clip: &Pcm<Hz16k>) -> String {
        let mut heard = Vec::new();
        let near = |a: f32, b: f32| (a - b).abs() < 0.005;
        for (amplitude, words, samples) in &self.story.words {
            let n = clip
                .samples()
                .iter()
                .filter(|s| near(**s, *amplitude))
                .count();
            match n {
                0 => {}
                n if n == *samples => heard.push((*words).to_owned()),
                _ => heard.push(format!("{words}~")),
            }
        }
        if clip.samples().iter().any(|s| near(*s, WAKE)) {
            heard.insert(0, "(wake)".to_owned());
        }
        heard.join(" ")
    }
}

impl Stt for FakeStt {
    fn transcribe(
        &self,
        request: TranscribeRequest,
    ) -> BoxFuture<'static, Result<Transcript, SttError>> {
        let text = self.recognise(&request.clip);
        let behaviour = self.story.stt;
        Box::pin(async move {
            match behaviour {
                Behaviour::After(delay) => sleep(delay).await,
                Behaviour::Fails => return Err(EngineError::Busy("whisper").into()),
                Behaviour::Hangs => std::future::pending().await,
            }
            Ok(Transcript {
                text,
                ..Transcript::default()
            })
        })
    }

    fn name(&self) -> String {
        "fake".to_owned()
    }
}

/// Writes the story's answer, a word every 20 ms; when it fails, after the first sentence.
struct FakeLlm {
    story: Story,
}

impl Llm for FakeLlm {
    fn chat(&self, request: ChatRequest) -> BoxStream<'static, Result<Delta, LlmError>> {
        self.story.requests.lock().unwrap().push(request);
        let delay = match self.story.llm {
            Behaviour::After(delay) => delay,
            Behaviour::Hangs => return stream::pending().boxed(),
            Behaviour::Fails => {
                let first = self
                    .story
                    .answer
                    .split_inclusive(". ")
                    .next()
                    .unwrap_or_default();
                let error = LlmError::Remote {
                    host: "fake".to_owned(),
                    what: "broke off".to_owned(),
                    hint: "try again".to_owned(),
                };
                let parts = [Ok(Delta::Text(first.to_owned())), Err(error)];
                return stream::iter(parts).boxed();
            }
        };
        let mut wait = delay;
        let asked = self.story.requests.lock().unwrap().len();
        if let Some(script) = self.story.script.get(asked - 1) {
            let deltas: Vec<_> = script.iter().cloned().map(Ok).collect();
            let deltas = stream::once(async move {
                sleep(delay).await;
                stream::iter(deltas)
            });
            return deltas.flatten().boxed();
        }
        stream::iter(self.story.answer.split_inclusive(' '))
            .then(move |word| {
                let wait = std::mem::replace(&mut wait, ms(20));
                async move {
                    sleep(wait).await;
                    Ok(Delta::Text(word.to_owned()))
                }
            })
            .boxed()
    }

    fn name(&self) -> String {
        "fake".to_owned()
    }
}

/// Speaks [`Story::per_letter`]; takes as long as told for each clause.
struct FakeTts {
    story: Story,
}

impl Tts for FakeTts {
    fn speak(&self, request: SpeakRequest) -> BoxStream<'static, Result<Pcm<Hz24k>, TtsError>> {
        let behaviour = self.story.tts;
        self.story.spoken.lock().unwrap().push(request.clone());
        let length = self.story.per_letter * request.text.len() as u32;
        stream::once(async move {
            match behaviour {
                Behaviour::After(delay) => sleep(delay).await,
                Behaviour::Fails => return Err(EngineError::Gone("kokoro").into()),
                Behaviour::Hangs => std::future::pending().await,
            }
            let mut sound = Pcm::<Hz24k>::silence(length);
            sound.samples_mut().fill(VOICE);
            sound.append(&Pcm::silence(request.pause));
            Ok(sound)
        })
        .boxed()
    }

    fn voices(&self) -> Vec<Voice> {
        Vec::new()
    }

    fn name(&self) -> String {
        "fake".to_owned()
    }
}

/// The last thing a request asks.
pub(crate) fn asked(request: &ChatRequest) -> &str {
    match request.messages.last() {
        Some(Message::User(text)) => text,
        other => panic!("the last message is {other:?}"),
    }
}
