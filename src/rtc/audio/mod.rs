//! Sound on its way through a room: our voice to Opus packets ([`Voice`]), one remote microphone from
//! packets to an even stream of PCM ([`Hearing`]), and RED's wrapping taken off ([`red`]). Used by both
//! ends of `rtc`. Pure: packets, PCM and moments come in as arguments; sockets, RTP headers and
//! encryption are str0m's.

mod hearing;
mod jitter;
mod queue;
mod quiet;
pub mod red;
mod voice;

pub use hearing::{Hearing, HearingStats};
pub use voice::{Outgoing, Voice};

use crate::fault::Fault;

/// RTP ticks of Opus in 20 ms; its clock runs at 48 kHz whatever the sound's rate.
const FRAME_TICKS: i64 = 960;

/// Why there is no Opus.
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// No encoder: no memory, or a broken build.
    #[error("the Opus encoder cannot be made")]
    Encoder(#[source] opus::Error),
    /// No decoder: no memory, or a broken build.
    #[error("the Opus decoder cannot be made")]
    Decoder(#[source] opus::Error),
}

impl AudioError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        Fault::Internal
    }
}

#[cfg(test)]
mod tests;
