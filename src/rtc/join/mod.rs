//! Joining the rooms of a real LiveKit server: as a worker to whom the server gives rooms ([`Worker`]), or
//! straight into one by name ([`Room::direct`]). Either way a room is a [`Link`](crate::rtc::Link), and a
//! [`Room`] to be run beside it.
//!
//! Seen with livekit-server 1.9.12 (signal protocol 16, two peer connections). The files: `transport` and
//! `signal` speak with the server, `side` is a peer connection with its sockets, `session` is one
//! participation from join to end, `room` goes from one to the next, `worker` takes jobs, `jobs` keeps
//! them on disk. `roster`, `packets`, `mend`, `backoff` and `desk` decide and do not wait.

mod backoff;
mod desk;
mod jobs;
mod mend;
mod packets;
mod room;
mod roster;
mod session;
mod side;
mod signal;
mod token;
mod transport;
mod worker;

use std::hash::{BuildHasher, Hasher, RandomState};

pub use room::Room;
pub use token::{SendError, Server};
pub use worker::{Standing, Worker, WorkerConfig};

use super::audio::AudioError;
use crate::fault::Fault;

/// Why there is no place in a room.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The address is none.
    #[error("{0:?} is no address of a LiveKit server; LIVEKIT_URL looks like ws://host:7880")]
    Url(String),
    /// No address of ours can be used.
    #[error("this machine has no network address from which the LiveKit server could be reached")]
    Network,
    /// No token can be made.
    #[error("no token can be made with LIVEKIT_API_KEY and LIVEKIT_API_SECRET: {0}")]
    Token(String),
    /// The server refuses us for good.
    #[error("{0}")]
    Refused(String),
    /// No Opus.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The folder for running jobs cannot be used.
    #[error("the folder {folder} for running jobs cannot be used")]
    Folder {
        /// Which.
        folder: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl JoinError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Url(_) | Self::Token(_) | Self::Refused(_) | Self::Folder { .. } => {
                Fault::Request
            }
            Self::Network => Fault::Remote,
            Self::Audio(error) => error.fault(),
        }
    }
}

/// 64 bits by chance: for waits and names, not for keys.
fn dice() -> u64 {
    RandomState::new().build_hasher().finish()
}
