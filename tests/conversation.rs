//! Conversations with the real ear, Whisper and Kokoro; only the language model is a fake. Fast, so
//! that the timeline does not depend on the machine.

use std::sync::{Arc, OnceLock};

use caal::{
    audio::{self, Hz16k, Pcm, wav},
    endpoint::{EndpointConfig, SmartTurn},
    llm::{ChatRequest, Delta, Llm, LlmError, history::Limits},
    local::file::{self, Answer, Options, Speed},
    mind::Rules,
    session::{
        Clock, Ear, EarConfig, EarModels, Effect, Engines, Load, SessionConfig, Setting, Watch,
    },
    stt::{Language, TranscribeRequest, WhisperConfig, WhisperStt},
    tools::{Toolbox, date_time::DateTime},
    tts::{Clauses, Dictionary, KokoroConfig, KokoroTts},
    turn::{Activation, Duplex, TurnConfig},
    vad::Silero,
    wake::{self, OpenWakeWord, WakeModel},
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use crate::support::{models, runtime};

/// Says the same to everything.
struct Parrot;

const SAYS: &str = "It is a quarter past ten in the morning. The sun is shining over the harbour.";

impl Llm for Parrot {
    fn chat(&self, _: ChatRequest) -> BoxStream<'static, Result<Delta, LlmError>> {
        stream::iter([Ok(Delta::Text(SAYS.to_owned()))]).boxed()
    }

    fn name(&self) -> String {
        "parrot".to_owned()
    }
}

pub(crate) fn engines() -> &'static Engines {
    static ENGINES: OnceLock<Engines> = OnceLock::new();
    ENGINES.get_or_init(|| {
        let whisper = models().join("whisper-base");
        let stt = WhisperStt::load(runtime(), &whisper, WhisperConfig::default()).unwrap();
        let kokoro = models().join("kokoro-82m");
        let tts = KokoroTts::load(&runtime(), &kokoro, &KokoroConfig::default()).unwrap();
        Engines {
            stt: Arc::new(stt),
            llm: Arc::new(Parrot),
            tts: Arc::new(tts),
            tools: Toolbox::default(),
            shown: Default::default(),
            load: Load::default(),
        }
    })
}

#[derive(Default)]
struct Log(Vec<Effect>);

impl Watch for Log {
    fn effect(&mut self, effect: &Effect) {
        self.0.push(effect.clone());
    }
}

impl Log {
    fn user(&self) -> Vec<String> {
        let said = |e: &Effect| match e {
            Effect::UserSaid { text, .. } => Some(text.to_lowercase()),
            _ => None,
        };
        self.0.iter().filter_map(said).collect()
    }
}

pub(crate) fn fixture(name: &str) -> Pcm<Hz16k> {
    let path = format!(
        "{}/tests/fixtures/audio/{name}.wav",
        env!("CARGO_MANIFEST_DIR")
    );
    audio::resample(&wav::read(path.as_ref()).unwrap())
}

fn silence(seconds: f64) -> Pcm<Hz16k> {
    Pcm::silence(std::time::Duration::from_secs_f64(seconds))
}

fn joined(parts: &[Pcm<Hz16k>]) -> Pcm<Hz16k> {
    let mut whole = Pcm::default();
    for part in parts {
        whole.append(part);
    }
    whole
}

async fn talk(sound: &Pcm<Hz16k>, duplex: Duplex, word: Option<&str>, echo: f32) -> (Answer, Log) {
    talk_with(engines().clone(), sound, duplex, word, echo).await
}

async fn talk_with(
    engines: Engines,
    sound: &Pcm<Hz16k>,
    duplex: Duplex,
    word: Option<&str>,
    echo: f32,
) -> (Answer, Log) {
    let wake: Option<Box<dyn WakeModel>> = word.map(|word| {
        let folder = models().join("openwakeword");
        let words = wake::choose(
            &wake::find(std::slice::from_ref(&folder)),
            &[word.to_owned()],
        )
        .unwrap();
        Box::new(OpenWakeWord::load(&runtime(), &folder, &words).unwrap()) as Box<dyn WakeModel>
    });
    let silero = Silero::load(&runtime(), &models().join("silero-vad/silero_vad.onnx")).unwrap();
    let judge = models().join("smart-turn-v3.2/smart-turn-v3.2-cpu.onnx");
    let setting = Setting {
        config: SessionConfig {
            turn: TurnConfig {
                activation: match word {
                    Some(_) => Activation::WakeWord,
                    None => Activation::AlwaysOn,
                },
                duplex,
                ..TurnConfig::default()
            },
            endpoint: EndpointConfig::default(),
            language: Language::default(),
            hints: String::new(),
            system: Arc::new(String::new),
            frame: Arc::new(str::to_owned),
            history: Limits::default(),
            mind: Rules::default(),
            place: String::new(),
            voice: String::new(),
            speed: 1.0,
            clauses: Arc::new(|| Clauses::new(Dictionary::default())),
            woken: Arc::new(String::new),
            clock: Clock::Driven,
        },
        engines,
        turn_end: Some(Box::new(SmartTurn::load(&runtime(), &judge).unwrap())),
        ear: Ear::new(
            EarModels {
                speech: Box::new(silero),
                wake,
                turn_end: None,
            },
            EarConfig::default(),
        ),
        manners: None,
        past: Vec::new(),
    };
    let mut log = Log::default();
    let options = Options {
        speed: Speed::Fast,
        echo,
    };
    let answer = file::talk(sound, setting, options, &mut log).await.unwrap();
    (answer, log)
}

/// What Whisper hears in the assistant's own sound.
async fn read_back(answer: &Answer) -> String {
    let sound = audio::resample(&audio::AnyPcm {
        rate_hz: 24_000,
        samples: answer.sound.samples().to_vec(),
    });
    let request = TranscribeRequest::new(sound);
    engines()
        .stt
        .transcribe(request)
        .await
        .unwrap()
        .text
        .to_lowercase()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_question_gets_a_spoken_answer_and_its_echo_gets_none() {
    let question = joined(&[silence(0.5), fixture("what_time_is_it")]);
    let (answer, log) = talk(&question, Duplex::Half, None, 0.5).await;
    let heard = log.user();
    assert_eq!(
        heard.len(),
        1,
        "one question, and no echo of the answer: {heard:?}"
    );
    assert!(heard[0].contains("what time is it"), "{heard:?}");
    let said = read_back(&answer).await;
    assert!(
        said.contains("past ten") || said.contains("past 10"),
        "{said}"
    );
    assert!(said.contains("harbo"), "to the end: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_plain_command_is_done_and_told_without_the_language_model() {
    let tools = Toolbox::default();
    let five_past_four = || "2026-11-23T16:05:00[UTC]".parse().unwrap();
    let clock = DateTime::new(Arc::new(five_past_four));
    tools.put("date_time", vec![Arc::new(clock)]);
    let engines = Engines {
        tools,
        shown: Default::default(),
        ..engines().clone()
    };
    let question = joined(&[silence(0.5), fixture("what_time_is_it")]);
    let (answer, log) = talk_with(engines, &question, Duplex::Half, None, 0.0).await;
    let said = |e: &Effect| match e {
        Effect::AssistantSaid { text, .. } => Some(text.clone()),
        _ => None,
    };
    let told: Vec<String> = log.0.iter().filter_map(said).collect();
    assert_eq!(told, ["It's 4:05 PM."]);
    let heard = read_back(&answer).await;
    let time = heard.replace([':', '.', ' ', '-'], "");
    assert!(
        time.contains("405") || heard.contains("four oh five"),
        "{heard}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_interruption_silences_the_answer() {
    let (alone, _) = talk(&fixture("what_time_is_it"), Duplex::Full, None, 0.0).await;
    let begin = alone.begins[0].at.duration().as_secs_f64();
    let question = fixture("what_time_is_it");
    let pause = begin + 1.0 - question.duration().as_secs_f64();
    let sound = joined(&[question, silence(pause), fixture("whats_the_weather_like")]);
    let (_, log) = talk(&sound, Duplex::Full, None, 0.0).await;
    let heard = log.user();
    assert!(heard.last().unwrap().contains("weather"), "{heard:?}");
    let hushed = log.0.iter().position(|e| matches!(e, Effect::Hush(_)));
    let cut = log.0.iter().position(|e| matches!(e, Effect::Flush(_)));
    assert!(hushed.is_some() && hushed < cut, "hushed, then cut");
    let partly = log.0.iter().any(|e| {
        matches!(e, Effect::AssistantSaid { text, complete: false, .. } if text.len() < SAYS.len() / 2)
    });
    assert!(partly, "only what was heard is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn hey_jarvis_what_time_is_it_in_one_breath_loses_nothing() {
    // The pause after the word is cut off: one breath.
    let word = fixture("wake_hey_jarvis");
    let loud = word.samples().iter().rposition(|s| s.abs() > 0.02).unwrap();
    let word = Pcm::new(word.samples()[..loud].to_vec());
    let sound = joined(&[silence(1.5), word.clone(), fixture("what_time_is_it")]);
    let (_, log) = talk(&sound, Duplex::Half, Some("hey_jarvis"), 0.0).await;
    let heard = log.user();
    assert!(
        heard.iter().any(|h| h.contains("what time is it")),
        "{heard:?}"
    );

    let alone = joined(&[silence(1.5), word, silence(2.0)]);
    let (answer, log) = talk(&alone, Duplex::Half, Some("hey_jarvis"), 0.0).await;
    assert!(log.0.iter().any(|e| matches!(e, Effect::Woken { .. })));
    assert!(
        answer.begins.is_empty(),
        "the word alone is no question: {:?}",
        log.user()
    );

    let asleep = joined(&[silence(0.5), fixture("what_time_is_it")]);
    let (answer, _) = talk(&asleep, Duplex::Half, Some("hey_jarvis"), 0.0).await;
    assert!(answer.begins.is_empty(), "asleep it answers nobody");
}
