//! What goes into a peer and what comes out of it: values, without any state.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use str0m::{
    ice::StunMessage,
    net::{DatagramRecv, Protocol, Receive},
};

use crate::rtc::sdp::Direction;

/// Name of a section.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mid(pub(super) str0m::media::Mid);

impl Mid {
    /// The section that descriptions call `name`.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name in descriptions.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Mid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One of the two data channels that LiveKit uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Label {
    /// `_reliable`: in order, all of it.
    Reliable,
    /// `_lossy`: each message once or not at all.
    Lossy,
}

impl Label {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reliable => "_reliable",
            Self::Lossy => "_lossy",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Reliable, Self::Lossy]
            .into_iter()
            .find(|l| l.name() == name)
    }
}

/// Who opens the data channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// We, with our first offer.
    Create,
    /// The other side.
    Await,
}

/// Whether sections with pictures are accepted (and stay dark).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Video {
    /// Refused: `m=video 0`.
    Refuse,
    /// Accepted, for clients that trip over a refusal.
    Accept,
}

/// Whether sound that carries what came before it once more (RED, RFC 2198) is agreed to. Where it is, the
/// other side's sound comes so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redundancy {
    /// Not offered, not taken.
    Refuse,
    /// Where the other side can do it.
    Accept,
}

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proto {
    /// One datagram each.
    Udp,
    /// Framed by their length (RFC 4571).
    Tcp,
}

/// How a peer is made.
#[derive(Clone, Copy, Debug)]
pub struct PeerConfig<'a> {
    /// Addresses at which we can be reached over UDP; they go into every description.
    pub udp: &'a [SocketAddr],
    /// Addresses at which we listen for TCP connections.
    pub tcp: &'a [SocketAddr],
    /// Pictures.
    pub video: Video,
    /// Redundant sound.
    pub redundancy: Redundancy,
    /// Data channels.
    pub channels: Channels,
    /// Tries before the other side counts as gone; 9 is about 22 s, 4 about 14 s.
    pub max_stun_retransmits: Option<usize>,
}

/// A description that asks the other side to agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Echoed by the answer; counts up from 1.
    pub id: u32,
    /// The text.
    pub sdp: String,
}

/// What went wrong with a description.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It is no description, or one that cannot be met.
    #[error("the session description cannot be used: {0}")]
    Description(String),
    /// It answers no offer, or an old one.
    #[error("an answer to offer {got}, while {expected:?} is open")]
    Stale {
        /// Its number.
        got: u32,
        /// The open offer's.
        expected: Option<u32>,
    },
}

/// Bytes that must go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// How.
    pub proto: Proto,
    /// From which of our addresses.
    pub source: SocketAddr,
    /// Whither.
    pub destination: SocketAddr,
    /// One datagram.
    pub bytes: Vec<u8>,
}

/// An Opus packet that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtp {
    /// In which section.
    pub mid: Mid,
    /// Whose stream: changes when a section gets a new speaker.
    pub ssrc: u32,
    /// Its number, counted on over 65,535.
    pub seq: u64,
    /// Its time in 48 kHz, counted on over 32 bits.
    pub time: u64,
    /// Opus, or RED with Opus in it.
    pub payload: Arc<[u8]>,
    /// It is RED.
    pub red: bool,
    /// How loud, in dBov: 0 is the loudest, -127 silence; `None`: the sender does not say.
    pub level: Option<i8>,
}

/// An Opus packet that goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opus {
    /// Its time in 48 kHz; goes on over pauses.
    pub time: u32,
    /// Opus.
    pub payload: Arc<[u8]>,
    /// The same as RED, with older packets before it: sent instead to who takes it.
    pub red: Option<Arc<[u8]>>,
    /// The first after a pause.
    pub talkspurt: bool,
    /// How loud, in dBov.
    pub level: Option<i8>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Media and data can flow: at first, and again after each [`Event::Disconnected`] or ICE restart.
    Connected,
    /// Nothing has come through for a while; it may come back, surely after an ICE restart.
    Disconnected,
    /// The connection has ended for good.
    Closed,
    /// A data channel is open.
    ChannelOpen(Label),
    /// A message, at most 256 KiB.
    Data(Label, Vec<u8>),
    /// A packet of sound.
    Rtp(Rtp),
    /// A section appeared; the direction is ours.
    MediaAdded(Mid, Direction),
    /// A section is used otherwise now: perhaps by another speaker.
    MediaChanged(Mid, Direction),
}

/// What [`Peer::poll`](super::Peer::poll) gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// Know this.
    Event(Event),
    /// Nothing to do until then, or until something comes.
    Deadline(Instant),
}

/// What became of a data message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// On its way.
    Sent,
    /// The channel is full: try again after something came in.
    WouldBlock,
    /// No such channel is open.
    NotOpen,
    /// Longer than [`super::MAX_MESSAGE`].
    TooLong,
}

/// Bytes that came, and how.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// How.
    pub proto: Proto,
    /// From whom.
    pub source: SocketAddr,
    /// To which of the addresses that the peer was made with.
    pub destination: SocketAddr,
    /// One datagram.
    pub bytes: &'a [u8],
}

impl<'a> Datagram<'a> {
    pub(super) fn parse(&self) -> Option<Receive<'a>> {
        Some(Receive {
            proto: match self.proto {
                Proto::Udp => Protocol::Udp,
                Proto::Tcp => Protocol::Tcp,
            },
            source: self.source,
            destination: self.destination,
            contents: DatagramRecv::try_from(self.bytes).ok()?,
        })
    }
}

/// For whom a connection's first packet is: the peer with this name among [`Peer::ufrags`](super::Peer::ufrags). `None`: it is
/// no such packet.
pub fn addressee(bytes: &[u8]) -> Option<String> {
    if bytes.len() < 20 || bytes[0] > 1 {
        return None;
    }
    let message = StunMessage::parse(bytes).ok()?;
    let (ours, _) = message.split_username()?;
    Some(ours.to_owned())
}
