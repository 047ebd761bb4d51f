//! What a conversation leaves in the log where no terminal shows it: who has the floor, and devices.
//! Never what was said. The session itself logs wake words, each answer's latencies and trouble.

use tracing::info;

use crate::session::{Effect, Watch};

/// Writes to the log as things happen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

impl Watch for Log {
    fn effect(&mut self, effect: &Effect) {
        if let Effect::Show(phase) = effect {
            info!(state = phase.name(), "local conversation");
        }
    }

    fn note(&mut self, text: &str) {
        info!("{text}");
    }
}
