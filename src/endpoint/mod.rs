//! Is the user done, or only taking a breath? The [`TurnEndModel`] port.

mod policy;
mod smart_turn;

pub use policy::EndpointConfig;
pub use smart_turn::SmartTurn;

use crate::{engine::RuntimeError, fault::Fault};

/// Says from the sound of the last seconds whether the speaker has finished. One per process or per
/// session; not shared.
pub trait TurnEndModel: Send {
    /// Probability in `0.0..=1.0` that the turn is complete. `speech` is the user's turn so far at
    /// 16 kHz, ending in the present pause; the model looks at its last 8 s. Blocks for some tens of
    /// milliseconds: call it off the ear's path.
    ///
    /// # Errors
    ///
    /// When the model fails.
    fn probability(&mut self, speech: &[f32]) -> Result<f32, EndpointError>;
}

/// Why there is no judgement.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The model cannot be loaded.
    #[error(transparent)]
    Load(#[from] RuntimeError),
    /// The model failed while it ran.
    #[error("end-of-turn detection failed ({0}); try again, and report it if it stays")]
    Model(String),
}

impl EndpointError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            EndpointError::Load(e) => e.fault(),
            EndpointError::Model(_) => Fault::Internal,
        }
    }
}
