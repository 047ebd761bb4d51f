//! Speech to words: the [`Stt`] port, its types and its error. One folder or file per engine.

pub mod whisper;
#[cfg(feature = "whisper-cpp")]
pub mod whisper_cpp;

pub use whisper::{WhisperConfig, WhisperStt};
#[cfg(feature = "whisper-cpp")]
pub use whisper_cpp::{WhisperCpp, WhisperCppConfig};

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use crate::{
    audio::{Hz16k, Pcm},
    engine::{EngineError, RuntimeError},
    fault::Fault,
};

/// Turns one complete utterance into text. Dropping the future cancels: the engine stops at the next
/// decoder step.
pub trait Stt: Send + Sync {
    /// Transcribes up to 10 minutes; empty text means there were no words.
    fn transcribe(
        &self,
        request: TranscribeRequest,
    ) -> BoxFuture<'static, Result<Transcript, SttError>>;

    /// Which engine and model this is, for people: `whisper base (int8, CPU)`.
    fn name(&self) -> String;
}

/// One utterance to transcribe.
#[derive(Clone, Debug)]
pub struct TranscribeRequest {
    /// Mono 16 kHz, with its pre-roll.
    pub clip: Arc<Pcm<Hz16k>>,
    /// The language spoken.
    pub language: Language,
    /// Text before the utterance: names and spellings to expect. Empty for none.
    pub prompt: String,
}

impl TranscribeRequest {
    /// English without a prompt.
    pub fn new(clip: Pcm<Hz16k>) -> Self {
        Self {
            clip: Arc::new(clip),
            language: Language::default(),
            prompt: String::new(),
        }
    }
}

/// The language of an utterance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Language {
    /// The model listens and decides.
    Auto,
    /// A Whisper language code: `en`, `de`, `zh`, ….
    Code(String),
}

impl Default for Language {
    fn default() -> Self {
        Language::Code("en".to_owned())
    }
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Transcript {
    /// All words; empty for none.
    pub text: String,
    /// Language code, as asked for or as heard.
    pub language: String,
    /// Length of the clip.
    pub duration: Duration,
    /// The text with its times, in order.
    pub segments: Vec<Segment>,
    /// Mean log-probability per token, at most 0. `None` if the engine has none.
    pub confidence: Option<f32>,
}

/// A stretch of speech with its words.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// Since the start of the clip.
    pub start: Duration,
    /// Since the start of the clip.
    pub end: Duration,
    /// Its words.
    pub text: String,
}

/// Why there is no transcript.
#[derive(Debug, thiserror::Error)]
pub enum SttError {
    /// Longer than the engine takes at once.
    #[error("the recording of {} s is longer than the {} s that can be transcribed at once; cut it into parts", len.as_secs(), max.as_secs())]
    ClipTooLong {
        /// Of the clip.
        len: Duration,
        /// That the engine takes.
        max: Duration,
    },
    /// A language that the model does not know.
    #[error("the model {model} does not know the language {language:?}; {hint}")]
    Language {
        /// The model.
        model: String,
        /// As asked for.
        language: String,
        /// What to ask for instead.
        hint: String,
    },
    /// The engine's queue is full, or its thread has ended.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model cannot be loaded.
    #[error(transparent)]
    Load(#[from] RuntimeError),
    /// The model's files are damaged or of another kind.
    #[error("the model in {path} cannot be used: {reason}; check it with: caal models verify")]
    BadModel {
        /// File or folder.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A ggml file is missing, damaged or of another kind.
    #[error("the ggml model {path} cannot be used: {reason}; fetch or convert the file anew")]
    BadGgml {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The model's files are right, but cannot be prepared for this machine.
    #[error(
        "the model could not be prepared in {path}: {reason}; make room there or set the models folder to another disk"
    )]
    Prepare {
        /// Folder.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The model failed while it ran.
    #[error("speech recognition failed ({0}); try again, and report it if it stays")]
    Model(String),
}

impl SttError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            SttError::ClipTooLong { .. }
            | SttError::Language { .. }
            | SttError::BadModel { .. }
            | SttError::BadGgml { .. }
            | SttError::Prepare { .. } => Fault::Request,
            SttError::Engine(e) => e.fault(),
            SttError::Load(e) => e.fault(),
            SttError::Model(_) => Fault::Internal,
        }
    }
}
