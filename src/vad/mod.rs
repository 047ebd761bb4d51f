//! Speech or not: the [`SpeechModel`] port, and the pure rule that turns scores into two events.

mod hysteresis;
mod silero;

pub use hysteresis::{Hysteresis, HysteresisConfig, SpeechEvent};
pub use silero::Silero;

use crate::{engine::RuntimeError, fault::Fault};

/// Scores 16 kHz windows. One per microphone stream; not shared.
pub trait SpeechModel: Send {
    /// Window length in samples at 16 kHz (Silero: 512, 32 ms).
    fn window(&self) -> usize;

    /// Probability in `0.0..=1.0` that `window` (exactly [`Self::window`] samples) holds speech.
    /// Keeps state between calls; blocks for well under a millisecond.
    ///
    /// # Errors
    ///
    /// When the window has another length, or the model fails.
    fn probability(&mut self, window: &[f32]) -> Result<f32, VadError>;

    /// Forgets the stream so far.
    fn reset(&mut self);
}

/// Why there is no score.
#[derive(Debug, thiserror::Error)]
pub enum VadError {
    /// A bug of the caller.
    #[error("the speech detector wants {want} samples, got {got}")]
    WindowLength {
        /// Samples.
        want: usize,
        /// Samples.
        got: usize,
    },
    /// The model cannot be loaded.
    #[error(transparent)]
    Load(#[from] RuntimeError),
    /// The model failed while it ran.
    #[error("speech detection failed ({0}); try again, and report it if it stays")]
    Model(String),
}

impl VadError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            VadError::Load(e) => e.fault(),
            VadError::WindowLength { .. } | VadError::Model(_) => Fault::Internal,
        }
    }
}
