//! One WebRTC peer connection: ICE, DTLS, SRTP, data channels. Sans-IO: bytes and time go in, bytes and
//! events come out, and the caller has the socket and the clock. The only folder that knows str0m; nothing
//! here knows LiveKit's messages.
//!
//! After anything that changes a peer, [`Peer::poll`] it until it gives a [`Output::Deadline`]. str0m
//! promises no panics from bytes of a stranger, but is young: who drives a peer fences it.

mod again;
mod agree;
mod words;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use str0m::{
    Candidate, Event as Inner, IceConnectionState, Input, Output as Drained, Rtc,
    channel::ChannelId,
    media::{Direction as Flow, MediaKind},
    net::{Protocol, TcpType},
    rtp::{ExtensionValues, RtpPacket, RtpWrite},
};

use self::{
    again::Again,
    agree::{Change, InFlight},
};
use super::{
    audio::red,
    sdp::{Direction, Msid},
};

pub use words::{
    Channels, Datagram, Event, Label, Mid, Offer, Opus, Output, PeerConfig, PeerError, Proto,
    Redundancy, Rtp, Sent, Transmit, Video, addressee,
};

/// Longest data message, either way: the real server takes 65,535 bytes.
pub const MAX_MESSAGE: usize = 64_000;

/// Longest description that is read.
pub const MAX_SDP: usize = 256 * 1024;

/// Not before this is a peer asked again, whatever it wants: no peer keeps a processor busy.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

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
    again: Again,
    /// What the packets that came have brought, until the next [`Self::poll`].
    drained: VecDeque<Output>,
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
            .enable_opus(true, config.redundancy == Redundancy::Accept)
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
            again: Again::default(),
            drained: VecDeque::new(),
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
        let Some(plain) = media.remote_pts().first().copied() else {
            return false;
        };
        let mut codecs = self.rtc.codec_config().params().iter();
        let red = codecs.find(|c| c.pt() == plain).and_then(|c| c.red());
        let wrapped = match (red, &opus.red) {
            (Some(pt), Some(payload)) => Some((pt, red::retype(payload, *plain))),
            _ => None,
        };
        let (pt, payload) = match wrapped {
            Some((pt, Some(payload))) => (pt, payload.into()),
            _ => (plain, Arc::clone(&opus.payload)),
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
            RtpWrite::new(pt, (*seq).into(), opus.time, now, payload)
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
            // str0m keeps one packet of sound, and the next one that comes takes its place: those that come
            // together would be lost but for the last.
            while self.link != LinkState::Closed {
                match self.drain(now) {
                    Output::Deadline(_) => break,
                    output => self.drained.push_back(output),
                }
            }
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
        if let Some(output) = self.drained.pop_front() {
            return output;
        }
        if self.link == LinkState::Closed {
            return Output::Deadline(now + Duration::from_secs(3600));
        }
        if self.stirred || self.due <= now {
            self.stirred = false;
            if self.rtc.handle_input(Input::Timeout(now)).is_err() {
                self.rtc.disconnect();
            }
        }
        if self.channels.len() == 2 {
            self.again.settled(now);
        }
        if let Some(packet) = self.again.next(now) {
            return Output::Transmit(packet);
        }
        self.drain(now)
    }

    /// What str0m has to say.
    fn drain(&mut self, now: Instant) -> Output {
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
                    let due = self.again.due().map_or(self.due, |at| at.min(self.due));
                    return Output::Deadline(due);
                }
                Ok(Drained::Transmit(t)) => {
                    let packet = Transmit {
                        proto: match t.proto {
                            Protocol::Udp => Proto::Udp,
                            _ => Proto::Tcp,
                        },
                        source: t.source,
                        destination: t.destination,
                        bytes: t.contents.into(),
                    };
                    self.again.sent(&packet, now);
                    return Output::Transmit(packet);
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
        let pt = packet.header.payload_type;
        let mut codecs = self.rtc.codec_config().params().iter();
        Some(Rtp {
            red: codecs.any(|c| c.red() == Some(pt)),
            mid: Mid(mid),
            ssrc: *ssrc,
            seq: *packet.seq_no,
            time: packet.time.numer(),
            payload: packet.payload,
            level: packet.header.ext_vals.audio_level,
        })
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

fn direction(flow: Flow) -> Direction {
    match flow {
        Flow::SendOnly => Direction::SendOnly,
        Flow::RecvOnly => Direction::RecvOnly,
        Flow::SendRecv => Direction::SendRecv,
        Flow::Inactive => Direction::Inactive,
    }
}
