//! Composition root: the only file (beside `cli` and tests) that names Whisper, Kokoro, Ollama, ….
//! Turns settings into running engines.

mod abilities;
mod answering;
mod chat;
mod following;
mod house;
mod judge;
mod keeping;
mod lacking;
mod speaking_up;
pub mod tools;
mod trial;

use answering::llm_for_long;
pub use answering::{Answers, Chosen, llm, who_answers};
pub use following::Place;
pub use house::{OurHouse, house};
pub use judge::judge;
pub use keeping::Keeping;
pub use lacking::lacking;
pub use speaking_up::speak_up;

use std::{
    hash::{BuildHasher as _, RandomState},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture};
use tokio::{sync::watch, task::JoinSet};
use tracing::{debug, warn};

use self::following::{Followers, Troubles};
use crate::{
    cli::Failure,
    endpoint::SmartTurn,
    engine::{Device, Runtime, RuntimeError},
    http::{PartState, Parts, Progress},
    llm::{
        LlmError,
        exchange::Exchange,
        fallback::Turned,
        history::Limits,
        prompt::{self, Moment},
    },
    models::Store,
    room,
    session::{Ear, EarConfig, EarModels, Engines, Load, Setting, Turns, WakeSource},
    settings::Settings,
    stt::{Language, Stt, WhisperConfig, WhisperStt},
    telemetry::{self, metrics},
    tools::{
        Connections, ConnectionsConfig, Toolbox, hass::Hass, mcp::ServerStatus, memory::Memory,
        timers::Timers,
    },
    tts::{Dictionary, KokoroConfig, KokoroTts, SpeakRequest, Tts, TtsError},
    vad::Silero,
    wake::{self, EnergyConfig, Gated, OpenWakeWord},
};

/// How long running work may take to end when the process is asked to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Which part of the language model's context may be facts that the user asked to remember: one in so many.
const FACTS: usize = 8;

/// The folder of Kokoro in the store.
const VOICE_MODEL: &str = "kokoro-82m";

/// All engines of the process, loaded.
pub struct App {
    /// Those in force.
    settings: watch::Sender<Arc<Settings>>,
    troubles: Troubles,
    followers: Followers,
    runtime: Runtime,
    engines: Engines,
    /// The language model of the engines.
    llm: Arc<Exchange>,
    /// Who answers, and how to get a better one.
    sentence: String,
    /// Who answers, as it changes.
    turned: watch::Sender<Turned>,
    /// The same of the first language model alone.
    first_turned: Option<watch::Receiver<Turned>>,
    ears: Ears,
    /// What outlives it.
    keeping: Keeping,
    /// What speaks up by itself; none where nothing can.
    timers: Option<Timers>,
    /// The servers that tools come from.
    connections: Connections,
    hass: Hass,
    /// The web search that is at hand, and for which settings.
    search: Mutex<Option<abilities::Search>>,
    /// What goes on after the start; ends with the app.
    _warming: JoinSet<()>,
}

/// The models of ears, loaded for the first conversation; those after it share them and have only a
/// state of their own. Each is locked while it is loaded: who comes at the same time waits for the same one.
#[derive(Default)]
struct Ears {
    speech: Mutex<Option<Silero>>,
    /// For which wake words, and they; those that some ear has, and the newest.
    wake: Mutex<Vec<(Vec<String>, WakeSource)>>,
    /// Judges pauses.
    turn_end: Mutex<Option<SmartTurn>>,
}

impl App {
    /// Loads every engine that a conversation needs, all at once. Blocking work runs on threads of
    /// its own.
    ///
    /// Then every engine answers. Two things go on behind it, about a second on two cores: the voice
    /// says a word to nobody, and the language model reads the system prompt. Whoever asks by voice
    /// does not notice: a question takes longer to be said and understood. Only an Ollama that must
    /// first load a large model takes longer, and its first question waits for that.
    ///
    /// # Errors
    ///
    /// The first engine that cannot be had.
    pub async fn build(settings: Settings) -> Result<Self, Failure> {
        Self::build_telling(settings, &Progress::default()).await
    }

    /// The same, telling `progress` how far each engine is.
    ///
    /// # Errors
    ///
    /// The first engine that cannot be had.
    pub async fn build_telling(settings: Settings, progress: &Progress) -> Result<Self, Failure> {
        let runtime = runtime(&settings)?;
        let on_thread = |work: Box<dyn FnOnce() -> Result<Loaded, Failure> + Send>| async {
            tokio::task::spawn_blocking(work).await.map_err(|e| {
                Failure::internal(format!("an engine failed while it was loaded: {e}"))
            })?
        };
        let (s, r) = (settings.clone(), runtime.clone());
        let stt = on_thread(Box::new(move || Ok(Loaded::Stt(stt(&s, || Ok(r))?))));
        let (s, r) = (settings.clone(), runtime.clone());
        let tts = on_thread(Box::new(move || Ok(Loaded::Tts(tts(&s, &r)?))));
        let (stt, tts, llm) = futures_util::join!(
            telling(progress, "stt", stt),
            telling(progress, "tts", tts),
            telling(progress, "llm", llm_for_long(&settings)),
        );
        let Chosen {
            llm,
            sentence,
            turned,
            warm_up,
        } = llm?;
        let (Loaded::Stt(stt), Loaded::Tts(tts)) = (stt?, tts?) else {
            unreachable!("each thread loads its own kind")
        };
        let mut warming = JoinSet::new();
        warming.spawn(warm(tts.clone(), warm_up));
        let engines = Engines {
            stt,
            llm,
            tts,
            tools: Toolbox::default(),
            shown: Default::default(),
            load: Load::default(),
        };
        Ok(Self {
            sentence,
            first_turned: turned,
            _warming: warming,
            ..Self::with(settings, runtime, engines)
        })
    }

    /// The app with engines that are there already, and the runtime of the ear's models: for benches and
    /// tests that leave some of them out. To be called in an asynchronous runtime.
    pub fn with(settings: Settings, runtime: Runtime, engines: Engines) -> Self {
        let llm = Arc::new(Exchange::new(engines.llm));
        let connections = Connections::start(ConnectionsConfig::default(), engines.tools.clone());
        Self {
            settings: watch::Sender::new(Arc::new(settings)),
            troubles: Troubles::default(),
            followers: Followers::default(),
            runtime,
            engines: Engines {
                llm: llm.clone(),
                ..engines
            },
            llm,
            sentence: String::new(),
            turned: watch::Sender::new(Turned::First),
            first_turned: None,
            ears: Ears::default(),
            keeping: Keeping::default(),
            timers: None,
            search: Mutex::default(),
            hass: Hass::new(connections.remote("home_assistant")),
            connections,
            _warming: JoinSet::new(),
        }
    }

    /// Which engine does what.
    pub fn parts(&self) -> Parts {
        Parts {
            stt: self.engines.stt.name(),
            llm: self.engines.llm.name(),
            tts: self.engines.tts.name(),
            local: None,
            settings: None,
        }
    }

    /// What the user should know about the language model that was chosen.
    pub fn greeting(&self) -> &str {
        &self.sentence
    }

    /// Which language model answers, as it changes while [`App::follow`] runs.
    pub fn turned(&self) -> watch::Receiver<Turned> {
        self.turned.subscribe()
    }

    /// The engines.
    pub fn engines(&self) -> &Engines {
        &self.engines
    }

    /// What one conversation needs in `place`, without a memory of others ([`Keeping::past`]). It follows the settings while [`App::follow`] runs. Blocks
    /// while models of the ear are loaded, for the first one.
    ///
    /// # Errors
    ///
    /// When a model of the ear cannot be loaded, or the dictionary is wrong.
    pub fn conversation(&self, place: Place) -> Result<Setting, Failure> {
        let speech = Box::new(self.silero()?);
        let manners = self.manners(place)?;
        let manner = manners.borrow().clone();
        let models = EarModels {
            speech,
            wake: manner.wake.as_ref().map(|make| make()).transpose()?,
            turn_end: None,
        };
        Ok(Setting {
            config: manner.config.clone(),
            engines: self.engines.clone(),
            turn_end: Some(Box::new(self.turn_end()?)),
            ear: Ear::new(
                models,
                EarConfig {
                    wake: manner.gate,
                    ..EarConfig::default()
                },
            ),
            manners: Some(manners),
            past: Vec::new(),
        })
    }
}

impl App {
    fn silero(&self) -> Result<Silero, Failure> {
        let mut shared = lock(&self.ears.speech);
        if let Some(model) = &*shared {
            return Ok(model.stream()?);
        }
        let file = Store::new(&self.settings().models_dir)
            .path("silero-vad")
            .join("silero_vad.onnx");
        let model = timed("vad", || Silero::load(&self.runtime, &file))?;
        Ok(shared.insert(model).stream()?)
    }

    fn wake_source(&self, words: &[String]) -> Result<WakeSource, Failure> {
        let mut shared = lock(&self.ears.wake);
        if let Some((_, source)) = shared.iter().find(|(known, _)| known == words) {
            return Ok(source.clone());
        }
        let settings = self.settings();
        let found = find_wake_words(&settings, words)?;
        let folder = settings.models_dir.join("openwakeword");
        let load = || OpenWakeWord::load(&self.runtime, &folder, &found);
        // Behind a mutex because its tensors are one thread's at a time; held while it is copied.
        let model = Mutex::new(timed("wake", load)?);
        let source: WakeSource = Arc::new(move || {
            let model = lock(&model).stream()?;
            let memory = model.memory();
            Ok(Box::new(Gated::new(model, memory, EnergyConfig::default())))
        });
        shared.retain(|(_, source)| Arc::strong_count(source) > 1);
        shared.push((words.to_vec(), source.clone()));
        Ok(source)
    }

    fn turn_end(&self) -> Result<SmartTurn, Failure> {
        let mut shared = lock(&self.ears.turn_end);
        if let Some(model) = &*shared {
            return Ok(model.clone());
        }
        let file = Store::new(&self.settings().models_dir)
            .path("smart-turn-v3.2")
            .join("smart-turn-v3.2-cpu.onnx");
        let model = timed("turn_end", || SmartTurn::load(&self.runtime, &file))?;
        Ok(shared.insert(model).clone())
    }
}

/// What the conversations of rooms are made of, from the app and its settings.
///
/// # Errors
///
/// When a wake word is asked for and there is none of its name, or the dictionary is wrong.
pub fn rooms(app: &Arc<App>) -> Result<room::Host, Failure> {
    let settings = app.settings();
    if settings.wake_word_enabled {
        check_wake_words(&settings, &settings.wake_words)?;
    }
    dictionary(&settings)?;
    let of = |say: fn(&Settings) -> String| -> Arc<dyn Fn() -> String + Send + Sync> {
        let app = app.clone();
        Arc::new(move || say(&app.settings()))
    };
    let (maker, sleeper, asked) = (app.clone(), app.clone(), app.clone());
    Ok(room::Host {
        setting: Arc::new(move |room| {
            let (app, room) = (maker.clone(), room.to_owned());
            async move {
                let past = app.keeping.past(&room).await;
                let loading = tokio::task::spawn_blocking(move || app.conversation(Place::Room));
                match loading.await {
                    Ok(Ok(setting)) => Ok(Setting { past, ..setting }),
                    Ok(Err(failure)) => Err(failure.to_string()),
                    Err(ended) => Err(format!(
                        "the thread that loads the models of an ear {}; see the log",
                        telemetry::ended(&ended)
                    )),
                }
            }
            .boxed()
        }),
        greeting: of(greeting),
        wake_word: Arc::new(move || sleeper.settings().wake_word_enabled),
        woken: of(wake_greeting),
        missing: Arc::new(move || {
            let servers = asked.servers();
            servers.iter().filter_map(ServerStatus::error).collect()
        }),
        desk: room::Desk::default(),
        turns: Turns::default(),
    })
}

/// What is said to whoever comes in.
fn greeting(settings: &Settings) -> String {
    format!("Hi, I'm {}. How can I help?", settings.agent_name)
}

/// One of the greetings that are set, by chance; empty where there are none.
pub fn wake_greeting(settings: &Settings) -> String {
    let greetings = &settings.wake_greetings;
    let dice = RandomState::new().hash_one(0) as usize;
    match greetings.len() {
        0 => String::new(),
        some => greetings[dice % some].clone(),
    }
}

/// What loading brings, told to `progress` and to the meters.
async fn telling<T>(
    progress: &Progress,
    name: &'static str,
    loading: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let started = Instant::now();
    let loaded = loading.await;
    match &loaded {
        Ok(_) => {
            metrics().model_loaded(name, started.elapsed());
            progress.tell(name, PartState::Ready, None);
        }
        Err(failure) => progress.tell(name, PartState::Failed, Some(failure.to_string())),
    }
    loaded
}

/// The same for the models of an ear, which are loaded where they are first wanted.
fn timed<T>(name: &'static str, load: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let loaded = load();
    metrics().model_loaded(name, started.elapsed());
    loaded
}

/// What nobody waits for at the start. A failure shows again, to whoever asks next.
async fn warm(tts: Arc<dyn Tts>, llm: Option<BoxFuture<'static, Result<(), LlmError>>>) {
    let started = Instant::now();
    let voice = async {
        let request = SpeakRequest {
            text: "Hello.".to_owned(),
            voice: String::new(),
            speed: 1.0,
            pause: Duration::ZERO,
        };
        let mut sound = tts.speak(request);
        while let Some(piece) = sound.next().await {
            if let Err(error) = piece {
                warn!(%error, "the voice could not be warmed up");
            }
        }
    };
    let model = async {
        if let Some(warm_up) = llm
            && let Err(error) = warm_up.await
        {
            warn!(%error, "the language model could not be warmed up");
        }
    };
    futures_util::join!(voice, model);
    debug!(took = ?started.elapsed(), "warm");
}

enum Loaded {
    Stt(Arc<dyn Stt>),
    Tts(Arc<dyn Tts>),
}

/// ONNX Runtime as set.
///
/// # Errors
///
/// When there is no library, or none for the device.
pub fn runtime(settings: &Settings) -> Result<Runtime, RuntimeError> {
    let store = Store::new(&settings.models_dir);
    let library = settings.onnxruntime.clone().unwrap_or_else(|| {
        let model = runtime_model(settings.device);
        store.path(model).join("libonnxruntime.so")
    });
    Runtime::load(&library, settings.device, settings.threads)
}

/// The library for `device`, by its name in the store.
fn runtime_model(device: Device) -> &'static str {
    match device {
        Device::Cpu => "onnxruntime",
        Device::Cuda => "onnxruntime-cuda",
    }
}

/// Speech to text as set. A ggml file does not need the runtime.
///
/// # Errors
///
/// When the model is missing or damaged, or a ggml file and whisper.cpp is not built in.
pub fn stt(
    settings: &Settings,
    runtime: impl FnOnce() -> Result<Runtime, RuntimeError>,
) -> Result<Arc<dyn Stt>, Failure> {
    let model = Store::new(&settings.models_dir).resolve_whisper(&settings.whisper_model)?;
    if model.is_file() {
        return whisper_cpp(settings, &model);
    }
    Ok(Arc::new(WhisperStt::load(
        runtime()?,
        &model,
        WhisperConfig::default(),
    )?))
}

#[cfg(feature = "whisper-cpp")]
fn whisper_cpp(settings: &Settings, file: &Path) -> Result<Arc<dyn Stt>, Failure> {
    use crate::stt::{WhisperCpp, WhisperCppConfig};
    let config = WhisperCppConfig::new(crate::engine::cores(settings.threads));
    Ok(Arc::new(WhisperCpp::load(file, config)?))
}

#[cfg(not(feature = "whisper-cpp"))]
fn whisper_cpp(_: &Settings, file: &Path) -> Result<Arc<dyn Stt>, Failure> {
    Err(no_whisper_cpp(file))
}

/// What to do where a ggml file is named and nothing in the binary runs it.
#[cfg(not(feature = "whisper-cpp"))]
pub fn no_whisper_cpp(file: &Path) -> Failure {
    Failure::request(format!(
        "{} is a ggml model, and this caal was built without whisper.cpp; build it with --features embedded-llm,whisper-cpp, or name a faster-whisper model such as whisper-base",
        file.display()
    ))
}

/// Text to speech as set.
///
/// # Errors
///
/// When the model is missing or damaged, or there is no such voice.
pub fn tts(settings: &Settings, runtime: &Runtime) -> Result<Arc<dyn Tts>, Failure> {
    let folder = Store::new(&settings.models_dir).path(VOICE_MODEL);
    let config = KokoroConfig {
        default_voice: settings.voice.clone(),
        ..KokoroConfig::default()
    };
    Ok(Arc::new(KokoroTts::load(runtime, &folder, &config)?))
}

/// Whether there is this voice; looks at file names only. Where no voices are yet, loading says so.
///
/// # Errors
///
/// When there is none of such a name.
pub fn check_voice(settings: &Settings) -> Result<(), Failure> {
    let folder = Store::new(&settings.models_dir).path(VOICE_MODEL);
    match KokoroTts::check_voice(&folder, &settings.voice) {
        Err(error @ TtsError::Voice(_)) => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The user's pronunciations.
///
/// # Errors
///
/// When one of them cannot be used.
pub fn dictionary(settings: &Settings) -> Result<Dictionary, Failure> {
    Dictionary::new(
        settings
            .pronunciation
            .iter()
            .map(|(word, said)| (word.as_str(), said.as_str())),
    )
    .map_err(|e| Failure::request(format!("setting pronunciation: {e}")))
}

/// `auto` or a code.
pub fn language(code: &str) -> Language {
    match code {
        "auto" => Language::Auto,
        code => Language::Code(code.to_owned()),
    }
}

/// Whether there are these wake words; looks at file names only.
///
/// # Errors
///
/// When there is none of such a name.
pub fn check_wake_words(settings: &Settings, words: &[String]) -> Result<(), Failure> {
    find_wake_words(settings, words).map(drop)
}

fn find_wake_words(settings: &Settings, words: &[String]) -> Result<Vec<wake::WakeWord>, Failure> {
    let known = wake::find(&wake_folders(&settings.models_dir));
    Ok(wake::choose(&known, words)?)
}

/// A model that failed while it was used is not in another state than before.
fn lock<M>(model: &Mutex<M>) -> MutexGuard<'_, M> {
    model.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where wake words are looked for: the store, and a `models` folder beside the user.
pub fn wake_folders(store: &Path) -> Vec<std::path::PathBuf> {
    vec![store.to_owned(), "models".into()]
}

/// Half of the model's context is for what was said; the rest for the prompt and the answer.
fn history_limits(settings: &Settings) -> Limits {
    Limits {
        max_turns: settings.max_turns,
        max_tokens: settings.num_ctx as usize * 2 / 5,
        results: settings.tool_cache_size,
    }
}

fn system_prompt(settings: &Settings) -> String {
    prompt::system_prompt(&settings.prompt.0, &settings.agent_name, &now(settings))
}

/// The same with what the user has asked to remember at its end.
fn told(settings: &Settings, memory: &Memory) -> String {
    let mut prompt = system_prompt(settings);
    let facts = memory.facts_for_prompt(settings.num_ctx as usize / FACTS);
    if !facts.is_empty() {
        prompt.push('\n');
        prompt.push_str(&facts);
    }
    prompt
}

/// The clock in the zone that is set.
fn there(settings: &Settings) -> jiff::Zoned {
    let here = jiff::Zoned::now();
    match here.in_tz(&settings.timezone) {
        Ok(there) if !settings.timezone.is_empty() => there,
        _ => here,
    }
}

/// Date, time and zone where the assistant stands.
fn now(settings: &Settings) -> Moment {
    let now = there(settings);
    let zone = match settings.timezone_display.as_str() {
        "" => now.strftime("%Z").to_string(),
        name => name.to_owned(),
    };
    Moment::new(
        (now.year(), now.month() as u8, now.day() as u8),
        (now.hour() as u8, now.minute() as u8),
        &zone,
    )
    .expect("the clock gives real moments")
}
