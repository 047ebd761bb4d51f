//! One WebRTC peer connection: ICE, DTLS, SRTP, data channels. Sans-IO: bytes and time go in, bytes and
//! events come out, and the caller has the socket and the clock. The only file that knows str0m; nothing
//! here knows LiveKit's messages.
//!
//! After anything that changes a peer, [`Peer::poll`] it until it gives a [`Output::Deadline`]. str0m
//! promises no panics from bytes of a stranger, but is young: who drives a peer fences it.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use str0m::{
    Candidate, Event as Inner, IceConnectionState, Input, Output as Drained, Rtc,
    change::{SdpAnswer, SdpApi, SdpOffer, SdpPendingOffer},
    channel::{ChannelConfig, ChannelId, Reliability},
    ice::StunMessage,
    media::{Direction as Flow, MediaKind},
    net::{DatagramRecv, Protocol, Receive, TcpType},
    rtp::{ExtensionValues, RtpPacket, RtpWrite},
};

use super::sdp::{self, Direction, Msid, Role};

/// Longest data message, either way: the real server takes 65,535 bytes.
pub const MAX_MESSAGE: usize = 64_000;

/// Longest description that is read.
pub const MAX_SDP: usize = 256 * 1024;

/// Sections in one connection: an offer with more is refused.
const MAX_SECTIONS: usize = 64;

/// Candidates of the other side that are tried.
const MAX_REMOTE_CANDIDATES: usize = 40;

/// Not before this is a peer asked again, whatever it wants: no peer keeps a processor busy.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Name of a section.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mid(str0m::media::Mid);

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
    fn name(self) -> &'static str {
        match self {
            Self::Reliable => "_reliable",
            Self::Lossy => "_lossy",
        }
    }

    fn named(name: &str) -> Option<Self> {
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
    /// Opus.
    pub payload: Arc<[u8]>,
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

/// What [`Peer::poll`] gives.
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
    /// Longer than [`MAX_MESSAGE`].
    TooLong,
}

/// What the next offer must say.
#[derive(Clone, Debug)]
enum Change {
    Channels,
    Speak(Msid),
    Direction(Mid, Flow),
    IceRestart,
}

/// One peer connection.
#[derive(Debug)]
pub struct Peer {
    rtc: Rtc,
    wanted: Vec<Change>,
    in_flight: Option<InFlight>,
    next_offer: u32,
    tracks: BTreeMap<String, Msid>,
    channels: HashMap<Label, ChannelId>,
    sequence: HashMap<Mid, u64>,
    remote_candidates: usize,
    ufrags: Vec<String>,
    link: LinkState,
    /// A change since time was last told: str0m sends what was queued when time moves.
    stirred: bool,
    due: Instant,
}

#[derive(Debug)]
struct InFlight {
    id: u32,
    pending: SdpPendingOffer,
    changes: Vec<Change>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LinkState {
    /// Never up.
    New,
    /// Up.
    Up,
    /// Was up; packets are still sent the old way.
    Mending,
    /// Over.
    Closed,
}

impl Peer {
    /// A peer that knows where it can be reached. Addresses that cannot be candidates (unspecified,
    /// multicast) are left out.
    pub fn new(config: &PeerConfig<'_>, now: Instant) -> Self {
        let mut builder = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(config.video == Video::Accept)
            .set_rtp_mode(true)
            .set_rtcp_report_interval_audio(Duration::from_secs(2));
        if let Some(tries) = config.max_stun_retransmits {
            builder.set_max_stun_retransmits(tries);
        }
        let mut rtc = builder.build(now);
        for addr in config.udp {
            if let Ok(candidate) = Candidate::host(*addr, Protocol::Udp) {
                rtc.add_local_candidate(candidate);
            }
        }
        for addr in config.tcp {
            let passive = Candidate::builder().tcp().host(*addr);
            if let Ok(candidate) = passive.tcptype(TcpType::Passive).build() {
                rtc.add_local_candidate(candidate);
            }
        }
        let wanted = match config.channels {
            Channels::Create => vec![Change::Channels],
            Channels::Await => Vec::new(),
        };
        Self {
            rtc,
            wanted,
            in_flight: None,
            next_offer: 1,
            tracks: BTreeMap::new(),
            channels: HashMap::new(),
            sequence: HashMap::new(),
            remote_candidates: 0,
            ufrags: Vec::new(),
            link: LinkState::New,
            stirred: true,
            due: now,
        }
    }

    /// The next offer is to have a section in which we speak, under these names (at most 64 letters
    /// each, of those that descriptions allow). [`Peer::mid_of`] tells the section once the offer is made.
    pub fn speak(&mut self, track: Msid) {
        self.wanted.push(Change::Speak(track));
    }

    /// Says in an existing section what `track` has to say: in the answers from now on, or, where we
    /// offer, in the next offer. The old track of the section is forgotten.
    pub fn speak_in(&mut self, mid: Mid, track: Msid) {
        self.tracks.insert(mid.as_str().to_owned(), track);
        if self.rtc.media(mid.0).is_some() {
            let ssrc = self.rtc.direct_api().new_ssrc();
            if self
                .rtc
                .direct_api()
                .reset_stream_tx(mid.0, None, ssrc, None)
                .is_some()
            {
                self.sequence.remove(&mid);
            }
            self.stirred = true;
        }
    }

    /// Forgets what is said in `mid`: its track's name no longer appears.
    pub fn hush(&mut self, mid: Mid) {
        self.tracks.remove(mid.as_str());
    }

    /// Where we offer: the next offer says that we send in `mid`, or do not.
    pub fn turn(&mut self, mid: Mid, direction: Direction) {
        self.wanted.push(Change::Direction(mid, flow(direction)));
    }

    /// The next offer starts ICE anew; media goes on over the old path until the new one works.
    pub fn ice_restart(&mut self) {
        if !self.wanted.iter().any(|c| matches!(c, Change::IceRestart)) {
            self.wanted.push(Change::IceRestart);
        }
    }

    /// The section in which the track of this name is spoken.
    pub fn mid_of(&self, track: &str) -> Option<Mid> {
        let (mid, _) = self.tracks.iter().find(|(_, id)| id.track == track)?;
        Some(Mid::new(mid))
    }

    /// Sections and the tracks that we speak in them.
    pub fn tracks(&self) -> impl Iterator<Item = (Mid, &Msid)> {
        self.tracks.iter().map(|(mid, id)| (Mid::new(mid), id))
    }

    /// An offer, if there is something to offer and none is in flight. What comes up meanwhile waits for
    /// the answer: ask again after [`Peer::apply_answer`].
    pub fn offer(&mut self) -> Option<Offer> {
        if self.in_flight.is_some() || self.wanted.is_empty() || self.link == LinkState::Closed {
            return None;
        }
        let changes = std::mem::take(&mut self.wanted);
        let mut api = self.rtc.sdp_api();
        for change in &changes {
            match change {
                Change::Channels => open_channels(&mut api),
                Change::Speak(id) => {
                    let (stream, track) = (id.stream.clone(), id.track.clone());
                    let mid = api.add_media(
                        MediaKind::Audio,
                        Flow::SendOnly,
                        Some(stream),
                        Some(track),
                        None,
                    );
                    self.tracks.insert(mid.to_string(), id.clone());
                }
                Change::Direction(mid, to) => {
                    // Also when it is so already: the flip makes it something to offer.
                    let other = match to {
                        Flow::Inactive => Flow::SendOnly,
                        _ => Flow::Inactive,
                    };
                    api.set_direction(mid.0, other);
                    api.set_direction(mid.0, *to);
                }
                Change::IceRestart => {
                    api.ice_restart(true);
                }
            }
        }
        let (offer, pending) = api.apply()?;
        let id = self.next_offer;
        self.next_offer += 1;
        self.in_flight = Some(InFlight {
            id,
            pending,
            changes,
        });
        self.stirred = true;
        let sdp = sdp::relabel(&offer.to_sdp_string(), &self.tracks, Role::Offer);
        self.learn_ufrag(&sdp);
        Some(Offer { id, sdp })
    }

    /// Takes the answer to offer `id`; 0 means the open one.
    ///
    /// # Errors
    /// It fits no open offer ([`PeerError::Stale`]: the open one stays open), or cannot be used.
    pub fn apply_answer(&mut self, id: u32, sdp: &str) -> Result<(), PeerError> {
        let expected = self.in_flight.as_ref().map(|f| f.id);
        if expected.is_none() || (id != 0 && Some(id) != expected) {
            return Err(PeerError::Stale { got: id, expected });
        }
        let answer = SdpAnswer::from_sdp_string(readable(sdp)?).map_err(describe)?;
        self.stirred = true;
        if let Some(open) = self.in_flight.take() {
            self.rtc
                .sdp_api()
                .accept_answer(open.pending, answer)
                .map_err(describe)?;
        }
        Ok(())
    }

    /// Forgets the open offer, because its answer will not come; its changes are in the next offer.
    pub fn forget_offer(&mut self) {
        let Some(open) = self.in_flight.take() else {
            return;
        };
        for change in &open.changes {
            if let Change::Speak(id) = change {
                self.tracks.retain(|_, other| other.track != id.track);
            }
        }
        self.wanted.splice(0..0, open.changes);
    }

    /// Answers an offer. Sections for which [`Peer::speak_in`] was said carry that track; in all others
    /// we do not send.
    ///
    /// # Errors
    /// The offer cannot be read or met; the connection is as before, or closed.
    pub fn answer(&mut self, offer: &str) -> Result<String, PeerError> {
        let parsed = SdpOffer::from_sdp_string(readable(offer)?).map_err(describe)?;
        self.stirred = true;
        let answer = self
            .rtc
            .sdp_api()
            .accept_offer(parsed)
            .map_err(describe)?
            .to_sdp_string();
        let answer = sdp::relabel(&answer, &self.tracks, Role::Answer);
        self.learn_ufrag(&answer);
        Ok(answer)
    }

    /// A candidate of the other side, as in a description (`candidate:…`). What cannot be read is left
    /// out: browsers send names that only they can resolve, and an empty line at the end.
    pub fn add_remote_candidate(&mut self, line: &str) {
        if self.remote_candidates >= MAX_REMOTE_CANDIDATES || line.len() > 512 {
            return;
        }
        if let Ok(candidate) = Candidate::from_sdp_string(line) {
            self.remote_candidates += 1;
            self.rtc.add_remote_candidate(candidate);
            self.stirred = true;
        }
    }

    /// Sends a packet of sound in section `mid`; `false` when nothing can be sent there (not yet
    /// agreed, never connected).
    pub fn write_opus(&mut self, mid: Mid, opus: &Opus, now: Instant) -> bool {
        if matches!(self.link, LinkState::New | LinkState::Closed) {
            return false;
        }
        let Some(media) = self.rtc.media(mid.0) else {
            return false;
        };
        if !media.direction().is_sending() {
            return false;
        }
        let Some(pt) = media.remote_pts().first().copied() else {
            return false;
        };
        let mut direct = self.rtc.direct_api();
        let Some(stream) = direct.stream_tx_by_mid(mid.0, None) else {
            return false;
        };
        let seq = self.sequence.entry(mid).or_insert(0);
        *seq += 1;
        let says = ExtensionValues {
            audio_level: opus.level,
            voice_activity: opus.level.map(|l| l > -50),
            ..Default::default()
        };
        stream.write_rtp(
            RtpWrite::new(pt, (*seq).into(), opus.time, now, Arc::clone(&opus.payload))
                .marker(opus.talkspurt)
                .ext_vals(says),
        );
        self.stirred = true;
        true
    }

    /// Sends one message.
    pub fn send_data(&mut self, label: Label, bytes: &[u8]) -> Sent {
        if bytes.len() > MAX_MESSAGE {
            return Sent::TooLong;
        }
        let Some(id) = self.channels.get(&label) else {
            return Sent::NotOpen;
        };
        let Some(mut channel) = self.rtc.channel(*id) else {
            return Sent::NotOpen;
        };
        self.stirred = true;
        match channel.write(true, bytes) {
            Ok(true) => Sent::Sent,
            Ok(false) => Sent::WouldBlock,
            Err(_) => Sent::NotOpen,
        }
    }

    /// Whether the data channel is open.
    pub fn is_open(&self, label: Label) -> bool {
        self.channels.contains_key(&label)
    }

    /// Whether media and data have ever flowed, and the connection is not over.
    pub fn was_connected(&self) -> bool {
        matches!(self.link, LinkState::Up | LinkState::Mending)
    }

    /// Whether the connection is up now.
    pub fn is_connected(&self) -> bool {
        self.link == LinkState::Up
    }

    /// Whether it is over for good.
    pub fn is_closed(&self) -> bool {
        self.link == LinkState::Closed
    }

    /// The names under which packets for this peer come, newest last: see [`addressee`].
    pub fn ufrags(&self) -> &[String] {
        &self.ufrags
    }

    /// Whether these bytes are for this peer: for sockets that several share.
    pub fn accepts(&self, now: Instant, from: &Datagram<'_>) -> bool {
        match from.parse() {
            Some(receive) => self.rtc.accepts(&Input::Receive(now, receive)),
            None => false,
        }
    }

    /// Takes bytes that came. Bytes that make no sense change nothing.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &Datagram<'_>) {
        if let Some(receive) = datagram.parse() {
            // An error here is a packet that does not fit; a connection that ended says so in `poll`.
            let _ = self.rtc.handle_input(Input::Receive(now, receive));
            self.stirred = true;
        }
    }

    /// Says goodbye (DTLS `close_notify`) and ends; poll once more to have it sent.
    pub fn close(&mut self) {
        let _ = self.rtc.close();
        self.stirred = true;
    }

    /// What is to be done. Call until it gives a deadline; call again when that has come, and after
    /// every other method.
    pub fn poll(&mut self, now: Instant) -> Output {
        if self.link == LinkState::Closed {
            return Output::Deadline(now + Duration::from_secs(3600));
        }
        if self.stirred || self.due <= now {
            self.stirred = false;
            if self.rtc.handle_input(Input::Timeout(now)).is_err() {
                self.rtc.disconnect();
            }
        }
        loop {
            if !self.rtc.is_alive() {
                self.link = LinkState::Closed;
                return Output::Event(Event::Closed);
            }
            match self.rtc.poll_output() {
                Ok(Drained::Timeout(at)) => {
                    if !self.rtc.is_alive() {
                        continue;
                    }
                    self.due = at.max(now + SHORTEST_WAIT);
                    return Output::Deadline(self.due);
                }
                Ok(Drained::Transmit(t)) => {
                    return Output::Transmit(Transmit {
                        proto: match t.proto {
                            Protocol::Udp => Proto::Udp,
                            _ => Proto::Tcp,
                        },
                        source: t.source,
                        destination: t.destination,
                        bytes: t.contents.into(),
                    });
                }
                Ok(Drained::Event(event)) => {
                    if let Some(event) = self.translate(event) {
                        return Output::Event(event);
                    }
                }
                Err(_) => self.rtc.disconnect(),
            }
        }
    }

    fn translate(&mut self, event: Inner) -> Option<Event> {
        match event {
            Inner::Connected => self.came_up(),
            Inner::IceConnectionStateChange(state) => match state {
                IceConnectionState::Connected | IceConnectionState::Completed => self.came_up(),
                IceConnectionState::Disconnected => {
                    let was = self.link;
                    self.link = was.mending();
                    (was == LinkState::Up).then_some(Event::Disconnected)
                }
                IceConnectionState::New | IceConnectionState::Checking => {
                    self.link = self.link.mending();
                    None
                }
            },
            Inner::MediaAdded(m) => Some(Event::MediaAdded(Mid(m.mid), direction(m.direction))),
            Inner::MediaChanged(m) => Some(Event::MediaChanged(Mid(m.mid), direction(m.direction))),
            Inner::ChannelOpen(id, name) => {
                let label = Label::named(&name)?;
                // The first of a name counts; a stranger may open more.
                if self.channels.contains_key(&label) {
                    return None;
                }
                self.channels.insert(label, id);
                Some(Event::ChannelOpen(label))
            }
            Inner::ChannelClose(id) => {
                self.channels.retain(|_, known| *known != id);
                None
            }
            Inner::ChannelData(data) => {
                let (label, _) = self.channels.iter().find(|(_, id)| **id == data.id)?;
                Some(Event::Data(*label, data.data))
            }
            Inner::RtpPacket(packet) => self.sound(packet).map(Event::Rtp),
            Inner::Closed => {
                self.rtc.disconnect();
                None
            }
            _ => None,
        }
    }

    fn came_up(&mut self) -> Option<Event> {
        if !self.rtc.is_connected() || self.link == LinkState::Up {
            return None;
        }
        self.link = LinkState::Up;
        Some(Event::Connected)
    }

    fn sound(&mut self, packet: RtpPacket) -> Option<Rtp> {
        let ssrc = packet.header.ssrc;
        let mid = match self.rtc.direct_api().stream_rx(&ssrc) {
            Some(stream) => stream.mid(),
            None => packet.header.ext_vals.mid?,
        };
        if self.rtc.media(mid)?.kind() != MediaKind::Audio {
            return None;
        }
        Some(Rtp {
            mid: Mid(mid),
            ssrc: *ssrc,
            seq: *packet.seq_no,
            time: packet.time.numer(),
            payload: packet.payload,
            level: packet.header.ext_vals.audio_level,
        })
    }

    fn learn_ufrag(&mut self, sdp: &str) {
        let Some(ufrag) = sdp::ufrag(sdp) else {
            return;
        };
        if self.ufrags.iter().any(|known| known == ufrag) {
            return;
        }
        self.ufrags.push(ufrag.to_owned());
        // The path before the newest restart may still be in use.
        let old = self.ufrags.len().saturating_sub(3);
        self.ufrags.drain(..old);
    }
}

impl LinkState {
    fn mending(self) -> Self {
        match self {
            Self::Up => Self::Mending,
            other => other,
        }
    }
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
    fn parse(&self) -> Option<Receive<'a>> {
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

/// For whom a connection's first packet is: the peer with this name among [`Peer::ufrags`]. `None`: it is
/// no such packet.
pub fn addressee(bytes: &[u8]) -> Option<String> {
    if bytes.len() < 20 || bytes[0] > 1 {
        return None;
    }
    let message = StunMessage::parse(bytes).ok()?;
    let (ours, _) = message.split_username()?;
    Some(ours.to_owned())
}

fn open_channels(api: &mut SdpApi<'_>) {
    api.add_channel_with_config(ChannelConfig {
        label: Label::Reliable.name().to_owned(),
        ordered: true,
        ..Default::default()
    });
    api.add_channel_with_config(ChannelConfig {
        label: Label::Lossy.name().to_owned(),
        ordered: false,
        reliability: Reliability::MaxRetransmits { retransmits: 0 },
        ..Default::default()
    });
}

fn readable(sdp: &str) -> Result<&str, PeerError> {
    let fault = match sdp.len() {
        len if len > MAX_SDP => Some(format!("it has {len} bytes, more than {MAX_SDP}")),
        _ if sdp.matches("m=").count() > 4 * MAX_SECTIONS => {
            Some(format!("it has more than {MAX_SECTIONS} sections"))
        }
        _ if sdp::sections(sdp).len() > MAX_SECTIONS => {
            Some(format!("it has more than {MAX_SECTIONS} sections"))
        }
        _ => None,
    };
    fault.map_or(Ok(sdp), |f| Err(PeerError::Description(f)))
}

fn describe(error: impl std::fmt::Display) -> PeerError {
    // A stranger's text may be in it: cut, and no control characters.
    let text: String = error.to_string().chars().take(200).collect();
    PeerError::Description(text.escape_debug().to_string())
}

fn direction(flow: Flow) -> Direction {
    match flow {
        Flow::SendOnly => Direction::SendOnly,
        Flow::RecvOnly => Direction::RecvOnly,
        Flow::SendRecv => Direction::SendRecv,
        Flow::Inactive => Direction::Inactive,
    }
}

fn flow(direction: Direction) -> Flow {
    match direction {
        Direction::SendOnly => Flow::SendOnly,
        Direction::RecvOnly => Flow::RecvOnly,
        Direction::SendRecv => Flow::SendRecv,
        Direction::Inactive => Flow::Inactive,
    }
}
