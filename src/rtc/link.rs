//! The words between a room and whoever sits in it: the same for a real LiveKit server and for the
//! room that this process is itself.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use crate::{
    audio::{Hz16k, Hz24k, Pcm},
    pii::Pii,
};

/// Length of every piece of sound, in and out.
pub const FRAME: Duration = Duration::from_millis(20);

/// Who a participant is, unique in the room. Chosen by the user's client, so it may be anything;
/// at most 256 bytes get past the door.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(Arc<str>);

impl Identity {
    /// The identity that `text` is.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// It, as it goes over the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Control characters of a stranger do not reach the log.
        write!(f, "{:?}", &*self.0)
    }
}

/// Somebody in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Who.
    pub identity: Identity,
    /// What people call them; may be empty.
    pub name: Pii<String>,
    /// Another assistant: not listened to, or the two would talk with each other.
    pub agent: bool,
}

/// Why somebody is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// They meant to leave, or were sent away.
    Left,
    /// Their line broke, and they did not come back in time.
    Lost,
    /// The same identity joined anew: a page was reloaded. [`RoomEvent::Joined`] follows at once.
    Replaced,
}

/// What the assistant is doing, as CAAL's clients show it: participant attribute `lk.agent.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentState {
    /// Not ready yet.
    Initializing,
    /// Waits for its wake word.
    Idle,
    /// Hears.
    Listening,
    /// Works on an answer.
    Thinking,
    /// Speaks.
    Speaking,
}

impl AgentState {
    /// The attribute's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Idle => "idle",
            Self::Listening => "listening",
            Self::Thinking => "thinking",
            Self::Speaking => "speaking",
        }
    }
}

/// Why a link has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Nobody is there any more, or the room was deleted.
    RoomClosed,
    /// Another participant has taken our identity, or somebody removed us.
    Removed,
    /// The server went away and could not be reached again; a sentence for people.
    Lost(String),
    /// We left.
    Left,
}

/// What happens in the room.
#[derive(Clone, Debug)]
pub enum RoomEvent {
    /// Somebody is there: told for those who are there already, too.
    Joined(Participant),
    /// Somebody is no longer there.
    Left(Identity, Departure),
    /// The first listener's client has our voice's track and can hear it: what is said before is lost.
    /// Told again after a time in which nobody could.
    Audible,
    /// The next 20 ms of somebody's microphone, every 20 ms from the first sound on until they mute,
    /// unpublish or leave. Losses are concealed, pauses of transmission are silence.
    Sound(Identity, Pcm<Hz16k>),
    /// Somebody's microphone is off (or on again). Off ends what they are saying.
    Muted(Identity, bool),
    /// Somebody typed (`lk.chat`).
    Chat(Identity, Pii<String>),
    /// A data packet; from the server side when it has no sender.
    Data {
        /// Who sent it; `None`: the server's API, whose tokens only administrators have.
        from: Option<Identity>,
        /// What about; at most 256 bytes.
        topic: String,
        /// The bytes; at most 64 KiB.
        payload: Vec<u8>,
    },
    /// The line to the room is broken and being mended; nothing sent now arrives for certain.
    Reconnecting,
    /// It is mended.
    Reconnected,
    /// The last event.
    Closed(Closed),
}

/// What the assistant does in the room.
#[derive(Clone, Debug)]
pub enum RoomCommand {
    /// The next 20 ms of our voice, at the moment they are to be heard. Nothing is sent while none
    /// come (after a short tail), and the stream's time goes on.
    Voice(Pcm<Hz24k>),
    /// No sound follows the last one at once: the tail begins where that ends. Without it, the tail begins
    /// when two frames have not come, and who listens has had a gap.
    VoicePause,
    /// What the assistant does.
    State(AgentState),
    /// A reliable data packet.
    Data {
        /// What about.
        topic: &'static str,
        /// JSON.
        payload: Vec<u8>,
        /// To whom; empty: all.
        to: Vec<Identity>,
    },
    /// What a user said, whole, under their identity: again with the same `segment` when more is known.
    UserText {
        /// Who spoke.
        who: Identity,
        /// Which utterance, unique in the room.
        segment: String,
        /// All words of it so far.
        text: Pii<String>,
        /// No more will follow.
        last: bool,
    },
    /// More words of what our voice says, as they are heard.
    VoiceText {
        /// Which utterance.
        segment: String,
        /// The next words, with the space before them.
        more: Pii<String>,
        /// No more will follow: all was said, or the user cut in.
        last: bool,
    },
    /// Leaves; [`RoomEvent::Closed`] follows.
    Leave,
}

/// The assistant's seat in one room. Dropping it leaves the room.
#[derive(Debug)]
pub struct Link {
    /// Name of the room.
    pub room: String,
    /// Who the assistant is there.
    pub us: Identity,
    /// What happens. When the reader is slow, the oldest sound is thrown away first, then it waits.
    pub events: mpsc::Receiver<RoomEvent>,
    /// What to do. When full: the sender waits.
    pub commands: mpsc::Sender<RoomCommand>,
}
