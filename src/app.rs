//! Composition root: the only file (beside `cli` and tests) that names Whisper, Kokoro, Ollama, ….
//! Turns settings into running engines.

mod following;
mod house;
mod judge;
mod lacking;
mod trial;

pub use following::Place;
pub use house::{OurHouse, house};
pub use judge::judge;
pub use lacking::lacking;

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
#[cfg(feature = "embedded-llm")]
use crate::llm::{
    embedded::{self, EmbeddedConfig, EmbeddedLlm},
    fallback::Fallback,
    lazy::Lazy,
};
use crate::{
    cli::Failure,
    endpoint::SmartTurn,
    engine::{Device, Runtime, RuntimeError},
    http::{PartState, Parts, Progress},
    llm::{
        Llm, LlmError,
        choice::{Answering, Choice, Embedded, choose, choose_embedded},
        exchange::Exchange,
        fallback::Turned,
        history::Limits,
        ollama::{Ollama, OllamaConfig},
        prompt::{self, Moment},
    },
    models::Store,
    room,
    session::{Ear, EarConfig, EarModels, Engines, Load, Setting, Turns, WakeSource},
    settings::{LlmProvider, Settings},
    stt::{Language, Stt, WhisperConfig, WhisperStt},
    telemetry::{self, metrics},
    tts::{Dictionary, KokoroConfig, KokoroTts, SpeakRequest, Tts, TtsError},
    vad::Silero,
    wake::{self, EnergyConfig, Gated, OpenWakeWord},
};

/// How long running work may take to end when the process is asked to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

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

/// A language model, chosen.
pub struct Chosen {
    /// It, with the embedded model behind it where that may take over.
    pub llm: Arc<dyn Llm>,
    /// Who answers, for the user.
    pub sentence: String,
    /// Changes when another takes over; none where there is no other.
    pub turned: Option<watch::Receiver<Turned>>,
    /// Makes its first answer as fast as the later ones; for afterwards. Dropped, it is not done.
    pub warm_up: Option<BoxFuture<'static, Result<(), LlmError>>>,
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
            told(progress, "stt", stt),
            told(progress, "tts", tts),
            told(progress, "llm", llm(&settings)),
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
    /// tests that leave some of them out.
    pub fn with(settings: Settings, runtime: Runtime, engines: Engines) -> Self {
        let llm = Arc::new(Exchange::new(engines.llm));
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

    /// What one conversation needs in `place`. It follows the settings while [`App::follow`] runs. Blocks
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
    let (maker, sleeper) = (app.clone(), app.clone());
    Ok(room::Host {
        setting: Arc::new(move || {
            let app = maker.clone();
            async move {
                let loading = tokio::task::spawn_blocking(move || app.conversation(Place::Room));
                match loading.await {
                    Ok(setting) => setting.map_err(|failure| failure.to_string()),
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
async fn told<T>(
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

/// Who would answer.
pub struct Answers {
    /// Who, and what the user is told.
    pub choice: Choice,
    /// The model that Ollama runs or should have; empty where it has none and none is set.
    pub model: String,
    /// Whether an Ollama is there, with or without the model.
    pub ollama: bool,
    /// How it is with the embedded model.
    pub embedded: Embedded,
}

impl Answers {
    /// Somebody does.
    fn someone(&self) -> bool {
        self.choice.answering != Answering::Nobody
    }
}

/// How it is with the embedded model. Looks for its file.
fn embedded_state(settings: &Settings) -> Embedded {
    match (
        cfg!(feature = "embedded-llm"),
        embedded_file(settings).is_file(),
    ) {
        _ if settings.llm_provider == LlmProvider::Ollama => Embedded::NotWanted,
        (false, _) => Embedded::NotBuilt,
        (true, false) => Embedded::NoFile,
        (true, true) => Embedded::Ready,
    }
}

/// Who answers with these settings. Asks Ollama whether it is there, and loads nothing.
pub async fn who_answers(settings: &Settings) -> Answers {
    let embedded = embedded_state(settings);
    if settings.llm_provider == LlmProvider::Embedded {
        return Answers {
            choice: choose_embedded(embedded),
            model: String::new(),
            ollama: false,
            embedded,
        };
    }
    let probe = Ollama::probe(&settings.ollama_host).await;
    let model = match &probe {
        // Nobody named a model: take the first that is there.
        Ok(models) if settings.ollama_model.is_empty() => {
            models.first().map_or_else(String::new, |m| m.name.clone())
        }
        _ => settings.ollama_model.clone(),
    };
    Answers {
        choice: choose(&probe, &model, embedded),
        model,
        ollama: probe.is_ok(),
        embedded,
    }
}

/// Who answers, built. Where it is Ollama, and the provider is `auto`, the embedded model stands behind
/// it, loaded only when it is needed.
///
/// # Errors
///
/// When nobody can answer.
pub async fn llm(settings: &Settings) -> Result<Chosen, Failure> {
    let Answers {
        choice,
        model,
        embedded,
        ..
    } = who_answers(settings).await;
    let file = embedded_file(settings);
    match choice.answering {
        Answering::Ollama => {
            let ollama = Ollama::new(OllamaConfig {
                url: settings.ollama_host.clone(),
                model,
                num_ctx: settings.num_ctx,
                keep_alive: settings.keep_alive,
                temperature: settings.temperature,
                ..OllamaConfig::default()
            })?;
            Ok(match embedded {
                Embedded::Ready => with_fallback(ollama, settings, &file, choice.sentence),
                Embedded::NoFile | Embedded::NotBuilt | Embedded::NotWanted => {
                    alone(ollama, settings, choice.sentence)
                }
            })
        }
        Answering::Embedded => load_embedded(settings, &file, choice.sentence).await,
        Answering::Nobody if settings.llm_provider == LlmProvider::Embedded => {
            Err(Failure::request(choice.sentence))
        }
        Answering::Nobody => Err(Failure::remote(choice.sentence)),
    }
}

/// The GGUF file that is set: a name of the manifest or a path.
fn embedded_file(settings: &Settings) -> std::path::PathBuf {
    let named = Path::new(&settings.embedded_model);
    if named.extension().is_some_and(|e| e == "gguf") {
        return named.to_owned();
    }
    let store = Store::new(&settings.models_dir);
    let file = store
        .manifest()
        .get(&settings.embedded_model)
        .and_then(|m| m.files.iter().find(|f| f.path.ends_with(".gguf")))
        .map(|f| f.path.clone());
    store
        .path(&settings.embedded_model)
        .join(file.unwrap_or_default())
}

#[cfg(feature = "embedded-llm")]
fn embedded_config(settings: &Settings, file: &Path) -> EmbeddedConfig {
    EmbeddedConfig::new(file, crate::engine::cores(settings.threads))
}

/// Ollama, and nobody behind it.
fn alone(ollama: Ollama, settings: &Settings, sentence: String) -> Chosen {
    let warm_up = Some(warming(&ollama, settings)());
    Chosen {
        llm: Arc::new(ollama),
        sentence,
        turned: None,
        warm_up,
    }
}

/// Has Ollama load its model and read the system prompt, whenever it is called.
fn warming(
    ollama: &Ollama,
    settings: &Settings,
) -> impl Fn() -> BoxFuture<'static, Result<(), LlmError>> + Send + Sync + use<> {
    let (ollama, settings) = (ollama.clone(), settings.clone());
    move || {
        let (ollama, system) = (ollama.clone(), system_prompt(&settings));
        async move { ollama.warm_up(Some(&system)).await }.boxed()
    }
}

/// Ollama, and the model in `file` behind it.
#[cfg(feature = "embedded-llm")]
fn with_fallback(ollama: Ollama, settings: &Settings, file: &Path, sentence: String) -> Chosen {
    let config = embedded_config(settings, file);
    let name = embedded::name_of(file);
    let second = Lazy::new(name, move || {
        let model = EmbeddedLlm::load(config.clone())?;
        Ok(Arc::new(model) as Arc<dyn Llm>)
    });
    let warming = Arc::new(warming(&ollama, settings));
    let both = Fallback::new(Arc::new(ollama), Arc::new(second), warming);
    Chosen {
        turned: Some(both.turned()),
        warm_up: Some(both.warm_up()),
        llm: Arc::new(both),
        sentence,
    }
}

#[cfg(not(feature = "embedded-llm"))]
fn with_fallback(ollama: Ollama, settings: &Settings, _: &Path, sentence: String) -> Chosen {
    alone(ollama, settings, sentence)
}

#[cfg(feature = "embedded-llm")]
async fn load_embedded(
    settings: &Settings,
    file: &Path,
    sentence: String,
) -> Result<Chosen, Failure> {
    let config = embedded_config(settings, file);
    let loaded = tokio::task::spawn_blocking(move || EmbeddedLlm::load(config))
        .await
        .map_err(|e| {
            Failure::internal(format!(
                "the language model failed while it was loaded: {e}"
            ))
        })?;
    let model = loaded?;
    let (reader, system) = (model.clone(), system_prompt(settings));
    Ok(Chosen {
        llm: Arc::new(model),
        sentence,
        turned: None,
        warm_up: Some(async move { reader.warm_up(&system).await }.boxed()),
    })
}

#[cfg(not(feature = "embedded-llm"))]
#[allow(
    clippy::unused_async,
    reason = "the same signature as with the feature"
)]
async fn load_embedded(_: &Settings, _: &Path, _: String) -> Result<Chosen, Failure> {
    Err(Failure::request(
        "this caal was built without a language model inside; build it with --features embedded-llm",
    ))
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
        max_tokens: settings.num_ctx as usize / 2,
    }
}

fn system_prompt(settings: &Settings) -> String {
    prompt::system_prompt(&settings.prompt.0, &settings.agent_name, &now(settings))
}

/// Date, time and zone where the assistant stands.
fn now(settings: &Settings) -> Moment {
    let mut now = jiff::Zoned::now();
    if let Ok(there) = now.in_tz(&settings.timezone)
        && !settings.timezone.is_empty()
    {
        now = there;
    }
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
