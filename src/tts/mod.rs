//! Words to sound: the [`Tts`] port, its types and its error; the pure parts that make text
//! speakable, cut it into clauses and know which words were heard. One folder per engine.

pub mod align;
pub mod clauses;
pub mod dictionary;
pub mod kokoro;
pub mod normalize;

pub use clauses::{Clause, Clauses};
pub use dictionary::{Dictionary, DictionaryError};
pub use kokoro::{KokoroConfig, KokoroTts};

use futures_util::stream::BoxStream;

use crate::{
    audio::{Hz24k, Pcm},
    engine::{EngineError, RuntimeError},
    fault::Fault,
};

/// Speaks one clause. Dropping the stream cancels: the engine stops at its next step.
pub trait Tts: Send + Sync {
    /// Sound of `request` in pieces of any length, in order, the first as early as possible. Silence
    /// around the words is cut, the pause after the clause is part of the sound.
    fn speak(&self, request: SpeakRequest) -> BoxStream<'static, Result<Pcm<Hz24k>, TtsError>>;

    /// The voices there are, by name.
    fn voices(&self) -> Vec<Voice>;

    /// Which engine and model this is, for people.
    fn name(&self) -> String;
}

/// One clause to speak.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeakRequest {
    /// Speakable text: what [`normalize`](self) made of it. Never Markdown, digits or symbols.
    pub text: String,
    /// A voice, or a blend: `af_heart`, `af_bella(2)+af_sky(1)`. Empty for the engine's default.
    pub voice: String,
    /// `0.5..=2.0`, 1 for the voice's own.
    pub speed: f32,
    /// Silence to append.
    pub pause: std::time::Duration,
}

/// A voice of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Its name in settings: `af_heart`.
    pub name: String,
    /// Language tag: `en-US`.
    pub language: String,
}

/// Why there is no sound.
#[derive(Debug, thiserror::Error)]
pub enum TtsError {
    /// No voice of that name, or a blend that cannot be read.
    #[error("{0}")]
    Voice(String),
    /// A speed out of range.
    #[error("the speed {0} is outside 0.5 to 2.0; 1 is the voice's own")]
    Speed(f32),
    /// The engine's queue is full, or its thread has ended.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model cannot be loaded.
    #[error(transparent)]
    Load(#[from] RuntimeError),
    /// The model's files are damaged or of another kind.
    #[error(
        "the voice model in {path} cannot be used: {reason}; check it with: caal models verify"
    )]
    BadModel {
        /// File or folder.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The model failed while it ran.
    #[error("speech synthesis failed ({0}); try again, and report it if it stays")]
    Model(String),
}

impl TtsError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            TtsError::Voice(_) | TtsError::Speed(_) | TtsError::BadModel { .. } => Fault::Request,
            TtsError::Engine(e) => e.fault(),
            TtsError::Load(e) => e.fault(),
            TtsError::Model(_) => Fault::Internal,
        }
    }
}
