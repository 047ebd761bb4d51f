//! Composition root: the only file (beside `cli` and tests) that names Whisper, Kokoro, Ollama, ….
//! Turns settings into running engines.

use std::{path::Path, sync::Arc, time::Duration};

use crate::{
    cli::Failure,
    engine::{Device, Runtime, RuntimeError},
    http::Parts,
    models::Store,
    settings::Settings,
    stt::{Language, Stt, WhisperConfig, WhisperStt},
    tts::{Dictionary, KokoroConfig, KokoroTts, Tts},
};

/// How long running work may take to end when the process is asked to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// All engines of the process, loaded.
#[derive(Debug)]
pub struct App {
    /// ONNX Runtime.
    pub runtime: Runtime,
}

impl App {
    /// Loads every engine that a conversation needs.
    ///
    /// # Errors
    ///
    /// The first engine that cannot be had.
    pub async fn build(settings: Settings) -> Result<Self, Failure> {
        Ok(Self {
            runtime: runtime(&settings)?,
        })
    }

    /// Which engine does what.
    pub fn parts(&self) -> Parts {
        Parts::default()
    }

    /// What the user should know about the engines that were chosen.
    pub fn greeting(&self) -> String {
        String::new()
    }
}

/// ONNX Runtime as set.
///
/// # Errors
///
/// When there is no library, or none for the device.
pub fn runtime(settings: &Settings) -> Result<Runtime, RuntimeError> {
    let store = Store::new(&settings.models_dir);
    let library = settings.onnxruntime.clone().unwrap_or_else(|| {
        let model = match settings.device {
            Device::Cpu => "onnxruntime",
            Device::Cuda => "onnxruntime-cuda",
        };
        store.path(model).join("libonnxruntime.so")
    });
    Runtime::load(&library, settings.device, settings.threads)
}

/// Speech to text as set.
///
/// # Errors
///
/// When the model is missing or damaged.
pub fn stt(settings: &Settings, runtime: &Runtime) -> Result<Arc<dyn Stt>, Failure> {
    let folder = Store::new(&settings.models_dir).resolve_whisper(&settings.whisper_model)?;
    Ok(Arc::new(WhisperStt::load(
        runtime.clone(),
        &folder,
        WhisperConfig::default(),
    )?))
}

/// Text to speech as set.
///
/// # Errors
///
/// When the model is missing or damaged, or there is no such voice.
pub fn tts(settings: &Settings, runtime: &Runtime) -> Result<Arc<dyn Tts>, Failure> {
    let folder = Store::new(&settings.models_dir).path("kokoro-82m");
    let config = KokoroConfig {
        default_voice: settings.voice.clone(),
        ..KokoroConfig::default()
    };
    Ok(Arc::new(KokoroTts::load(runtime, &folder, &config)?))
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

/// Where wake words are looked for: the store, and a `models` folder beside the user.
pub fn wake_folders(store: &Path) -> Vec<std::path::PathBuf> {
    vec![store.to_owned(), "models".into()]
}
