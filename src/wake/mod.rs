//! Is it the wake word? The [`WakeModel`] port, and the pure gates around it.

mod energy;
mod find;
mod gate;
mod gated;
mod openwakeword;
mod streaming;

pub use energy::{EnergyConfig, EnergyGate};
pub use find::{WakeWord, choose, find};
pub use gate::{GateConfig, WakeEvent, WakeGate};
pub use gated::Gated;
pub use openwakeword::OpenWakeWord;

use crate::{engine::RuntimeError, fault::Fault};

/// Scores 80 ms steps of 16 kHz sound against one or more wake words. One per microphone stream; not
/// shared.
pub trait WakeModel: Send {
    /// Step length in samples at 16 kHz (openWakeWord: 1280).
    fn step(&self) -> usize;

    /// Names of the wake words, in the order of the scores.
    fn words(&self) -> &[String];

    /// Scores in `0.0..=1.0`, one per word, after the next `step` (exactly [`Self::step`] samples).
    /// Keeps state between calls; blocks for about two milliseconds.
    ///
    /// # Errors
    ///
    /// When the step has another length, or the model fails.
    fn score(&mut self, step: &[f32]) -> Result<&[f32], WakeError>;

    /// Forgets the stream so far.
    fn reset(&mut self);
}

/// Why there is no score.
#[derive(Debug, thiserror::Error)]
pub enum WakeError {
    /// A bug of the caller.
    #[error("the wake word detector wants {want} samples, got {got}")]
    StepLength {
        /// Samples.
        want: usize,
        /// Samples.
        got: usize,
    },
    /// No model of that name.
    #[error("there is no wake word {name:?}; there are: {known}")]
    Unknown {
        /// As asked for.
        name: String,
        /// The others, with commas.
        known: String,
    },
    /// The model cannot be loaded.
    #[error(transparent)]
    Load(#[from] RuntimeError),
    /// The file is no openWakeWord classifier.
    #[error("{path} is not an openWakeWord classifier: {reason}")]
    BadModel {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The model failed while it ran.
    #[error("wake word detection failed ({0}); try again, and report it if it stays")]
    Model(String),
}

impl WakeError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            WakeError::Load(e) => e.fault(),
            WakeError::Unknown { .. } | WakeError::BadModel { .. } => Fault::Request,
            WakeError::StepLength { .. } | WakeError::Model(_) => Fault::Internal,
        }
    }
}
