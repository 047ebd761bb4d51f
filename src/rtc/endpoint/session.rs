//! One person's place in a room: their line for messages, their one or two peer connections, and the data
//! on its way to them. Lines break and come back (`Stage`); what was on its way waits.
//!
//! Everything that touches a peer connection is fenced: if str0m panics, this session is over and no other.

use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use livekit_protocol as lk;
use livekit_token::Claims;
use lk::{leave_request::Action, signal_response::Message};
use prost::Message as _;
use tokio::sync::mpsc;

use super::{
    limits::{Bucket, Rarely},
    media::{Media, Packet},
    texts,
    words::{self, Person},
};
use crate::rtc::{
    audio::Hearing,
    peer::{
        Channels, Datagram, Event, Label, Mid, Opus, Output, Peer, PeerConfig, Rtp, Sent, Video,
    },
    sdp::{self, Direction, Kind, Msid},
};

/// How long a new person's media may take to come up.
const JOIN_LIMIT: Duration = Duration::from_secs(15);

/// How long a broken line may take to come back.
pub(super) const GRACE: Duration = Duration::from_secs(20);

/// How long a person whose connection has said goodbye may take to say so themselves.
const GOODBYE: Duration = Duration::from_secs(2);

/// Data that waits for a slow reader, and data kept for a line that comes back.
const MOST_WAITING: usize = 1 << 20;
const KEPT: Duration = Duration::from_secs(60);

/// Data that a person may send: bytes a second, and at once. A packet counts as [`SMALLEST`] at least.
const SMALLEST: usize = 256;
const DATA_RATE: (f64, f64) = (256.0 * 1024.0, 1024.0 * 1024.0);

/// Messages a second from a person, and at once.
const MESSAGE_RATE: (f64, f64) = (50.0, 300.0);

/// Where the session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Media is not up yet.
    Joining(Instant),
    /// All is well.
    Active,
    /// The line for messages is gone; media may go on.
    Parked(Instant),
    /// The line is back, media is not.
    Resuming(Instant),
    /// Over.
    Closed,
}

/// What a session has to tell its room.
#[derive(Debug)]
pub(super) enum Happening {
    /// It can hear and write.
    Up,
    /// A packet from its microphone.
    Sound(Rtp),
    /// A data packet.
    Data(Label, Vec<u8>),
    /// It speaks no longer in this section.
    Silent(Mid),
}

/// A published microphone.
pub(super) struct Mic {
    pub(super) info: lk::TrackInfo,
    pub(super) hearing: Hearing,
    pub(super) ssrc: Option<u32>,
    pub(super) mid: Option<Mid>,
    /// Of the last 20 ms, 0 to 1.
    pub(super) loud: f32,
}

/// One data packet that was sent.
#[derive(Debug)]
struct Kept {
    sequence: u32,
    sender: String,
    bytes: Vec<u8>,
    at: Instant,
}

/// The pieces of which a session is made.
pub(super) struct Arrival {
    pub(super) id: u64,
    pub(super) person: Person,
    pub(super) claims: Claims,
    /// One peer connection for both ways (`/rtc/v1`).
    pub(super) single: bool,
    pub(super) out: mpsc::Sender<Message>,
}

pub(super) struct Session {
    pub(super) id: u64,
    pub(super) person: Person,
    pub(super) claims: Claims,
    single: bool,
    /// Counts its lines: what an old one still says is not heard.
    pub(super) connection: u64,
    out: Option<mpsc::Sender<Message>>,
    publisher: Peer,
    subscriber: Option<Peer>,
    pub(super) stage: Stage,
    /// Since when no media has come through.
    down: Option<Instant>,
    /// Since when a peer connection is over.
    ended: Option<Instant>,
    /// Tracks that have no section yet (`/rtc/v1`: the client makes them).
    unplaced: Vec<Msid>,
    /// Sections in which the client would hear somebody.
    free: Vec<Mid>,
    pub(super) mic: Option<Mic>,
    pub(super) reader: texts::Reader,
    sequence: u32,
    waiting: VecDeque<Kept>,
    kept: VecDeque<Kept>,
    /// Number of the last reliable packet that came.
    pub(super) last_seen: u32,
    data: Bucket,
    messages: Bucket,
    complaint: Rarely,
    dirty: bool,
    due: Instant,
    pub(super) refresh_at: Instant,
    known_names: usize,
}

impl Session {
    pub(super) fn new(arrival: Arrival, media: &Media, now: Instant) -> Self {
        let Arrival {
            id,
            person,
            claims,
            single,
            out,
        } = arrival;
        let peer = |video, channels| {
            let config = PeerConfig {
                udp: &media.udp_candidates,
                tcp: &media.tcp_candidates,
                video,
                channels,
                max_stun_retransmits: None,
            };
            Peer::new(&config, now)
        };
        let (publisher, subscriber) = match single {
            true => (peer(Video::Accept, Channels::Await), None),
            false => (
                peer(Video::Refuse, Channels::Await),
                Some(peer(Video::Refuse, Channels::Create)),
            ),
        };
        let mut session = Self {
            id,
            person,
            claims,
            single,
            connection: 1,
            out: Some(out),
            publisher,
            subscriber,
            stage: Stage::Joining(now + JOIN_LIMIT),
            down: None,
            ended: None,
            unplaced: Vec::new(),
            free: Vec::new(),
            mic: None,
            reader: texts::Reader::default(),
            sequence: 0,
            waiting: VecDeque::new(),
            kept: VecDeque::new(),
            last_seen: 0,
            data: Bucket::new(DATA_RATE.0, DATA_RATE.1),
            messages: Bucket::new(MESSAGE_RATE.0, MESSAGE_RATE.1),
            complaint: Rarely::default(),
            dirty: true,
            due: now,
            refresh_at: now,
            known_names: 0,
        };
        session.refresh_at = now + session.half_life();
        session
    }

    /// Half of what is left of its token's time.
    pub(super) fn half_life(&self) -> Duration {
        let unix = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let left = Duration::from_secs(self.claims.exp as u64).saturating_sub(unix);
        (left / 2).clamp(Duration::from_secs(1), Duration::from_secs(3600))
    }

    /// Sends a message; a line that takes none any more is given up.
    pub(super) fn say(&mut self, message: Message) {
        if let Some(out) = &self.out
            && out.try_send(message).is_err()
        {
            self.out = None;
        }
    }

    /// The last message.
    pub(super) fn dismiss(&mut self, reason: lk::DisconnectReason, action: Action) {
        self.say(words::leave(reason, action));
        self.out = None;
        self.fence(|s| {
            s.publisher.close();
            if let Some(peer) = &mut s.subscriber {
                peer.close();
            }
        });
        self.stage = Stage::Closed;
    }

    /// The line is gone, whoever's fault it is.
    pub(super) fn park(&mut self, now: Instant) {
        self.out = None;
        self.stage = match self.stage {
            Stage::Joining(_) | Stage::Closed => Stage::Closed,
            Stage::Parked(until) => Stage::Parked(until),
            Stage::Active | Stage::Resuming(_) => Stage::Parked(now + GRACE),
        };
    }

    /// Whether the line is to be taken for gone.
    pub(super) fn is_cut_off(&self) -> bool {
        self.out.is_none() && !matches!(self.stage, Stage::Parked(_) | Stage::Closed)
    }

    /// A new line for the old session.
    pub(super) fn resume(&mut self, out: mpsc::Sender<Message>, now: Instant) {
        self.connection += 1;
        self.out = Some(out);
        self.stage = Stage::Resuming(now + GRACE);
        self.say(words::reconnected(self.last_seen));
        self.fence(|s| {
            s.publisher.forget_offer();
            if let Some(peer) = &mut s.subscriber {
                peer.forget_offer();
                peer.ice_restart();
            }
        });
        self.dirty = true;
    }

    /// Sends again what the client did not get, by what it says it got of each sender.
    pub(super) fn send_again(&mut self, got: &[lk::DataChannelReceiveState]) {
        let missed = |k: &Kept| {
            got.iter()
                .find(|g| g.publisher_sid == k.sender)
                .is_none_or(|g| k.sequence > g.last_seq)
        };
        let again: Vec<Kept> = self.kept.drain(..).filter(missed).collect();
        for kept in again.into_iter().rev() {
            self.waiting.push_front(kept);
        }
        self.dirty = true;
    }

    /// Whether a message may be taken: nobody talks without end.
    pub(super) fn may_talk(&mut self, now: Instant) -> bool {
        self.messages.take(1.0, now)
    }

    /// Whether so much data may be taken.
    pub(super) fn may_send(&mut self, bytes: usize, now: Instant) -> bool {
        let fine = self.data.take(bytes.max(SMALLEST) as f64, now);
        if !fine && self.complaint.now(now) {
            tracing::warn!(session = self.id, "sends too much data: dropped");
        }
        fine
    }

    // ---- who is heard

    /// This person is to hear `track`.
    pub(super) fn hear(&mut self, track: Msid) {
        self.dirty = true;
        if self.single {
            self.unplaced.push(track);
            self.ask_for_sections();
            return;
        }
        self.fence(|s| {
            let Some(peer) = &mut s.subscriber else {
                return;
            };
            match s.free.pop() {
                Some(mid) => {
                    peer.speak_in(mid, track);
                    peer.turn(mid, Direction::SendOnly);
                }
                None => peer.speak(track),
            }
        });
    }

    /// `track` is no more.
    pub(super) fn unhear(&mut self, track: &str) {
        self.dirty = true;
        self.unplaced.retain(|id| id.track != track);
        self.fence(|s| {
            let single = s.single;
            let peer = s.speaker();
            let Some(mid) = peer.mid_of(track) else {
                return;
            };
            peer.hush(mid);
            if !single {
                peer.turn(mid, Direction::Inactive);
            }
            s.free.push(mid);
        });
        if self.single {
            self.ask_for_sections();
        }
    }

    /// `/rtc/v1`: only the client can offer; ask it to, with as many sections more as are missing.
    fn ask_for_sections(&mut self) {
        // Before its first offer has come there is nothing to change.
        if self.publisher.ufrags().is_empty() {
            return;
        }
        let missing = self.unplaced.len().saturating_sub(self.free.len());
        self.say(Message::MediaSectionsRequirement(
            lk::MediaSectionsRequirement {
                num_audios: missing as u32,
                num_videos: 0,
            },
        ));
    }

    /// Whether the track reaches them now.
    pub(super) fn hears(&mut self, track: &str) -> bool {
        let connected = self.stage == Stage::Active || matches!(self.stage, Stage::Parked(_));
        let peer = self.speaker();
        connected && peer.is_connected() && peer.mid_of(track).is_some()
    }

    /// Sends them a packet of `track`.
    pub(super) fn play(&mut self, track: &str, opus: &Opus, now: Instant) {
        let sent = self.fence(|s| {
            let peer = s.speaker();
            let mid = peer.mid_of(track)?;
            peer.write_opus(mid, opus, now).then_some(())
        });
        self.dirty |= sent.flatten().is_some();
    }

    // ---- descriptions

    /// Takes the client's offer and answers it.
    pub(super) fn take_offer(&mut self, offer: &lk::SessionDescription) {
        let single = self.single;
        let answered = self.fence(|s| {
            if single {
                s.place(&offer.sdp);
            }
            s.publisher.answer(&offer.sdp)
        });
        self.dirty = true;
        match answered {
            Some(Ok(sdp)) => {
                let tracks = match single {
                    true => tracks_of(&self.publisher),
                    false => HashMap::new(),
                };
                let answer = words::description("answer", offer.id, sdp, tracks);
                self.say(Message::Answer(answer));
                if single && !self.unplaced.is_empty() {
                    self.ask_for_sections();
                }
            }
            Some(Err(e)) => tracing::warn!(session = self.id, "offer refused: {e}"),
            None => {}
        }
    }

    /// Gives the tracks without a section those that the client's offer has to spare.
    fn place(&mut self, offer: &str) {
        let taken: Vec<Mid> = self.publisher.tracks().map(|(mid, _)| mid).collect();
        self.free = sdp::sections(offer)
            .into_iter()
            .filter(|s| s.kind == Kind::Audio && s.direction == Direction::RecvOnly)
            .map(|s| Mid::new(&s.mid))
            .filter(|mid| !taken.contains(mid))
            .collect();
        while !self.free.is_empty() && !self.unplaced.is_empty() {
            let (mid, track) = (self.free.remove(0), self.unplaced.remove(0));
            self.publisher.speak_in(mid, track);
        }
    }

    /// Takes the client's answer to our offer.
    pub(super) fn take_answer(&mut self, answer: &lk::SessionDescription) {
        self.dirty = true;
        let taken = self.fence(|s| match &mut s.subscriber {
            Some(peer) => peer.apply_answer(answer.id, &answer.sdp),
            None => Ok(()),
        });
        if let Some(Err(e)) = taken {
            tracing::warn!(session = self.id, "answer refused: {e}");
        }
    }

    /// Takes a candidate: JSON, as browsers write it.
    pub(super) fn take_candidate(&mut self, trickle: &lk::TrickleRequest) {
        if trickle.candidate_init.len() > 2048 {
            return;
        }
        let Ok(json) = serde_json::from_str::<serde_json::Value>(&trickle.candidate_init) else {
            return;
        };
        let line = json["candidate"].as_str().unwrap_or_default();
        let ours = self.single || trickle.target == lk::SignalTarget::Publisher as i32;
        self.dirty = true;
        self.fence(|s| match (&mut s.subscriber, ours) {
            (Some(peer), false) => peer.add_remote_candidate(line),
            _ => s.publisher.add_remote_candidate(line),
        });
    }

    // ---- data

    /// Sends a data packet. A reliable one waits for its turn; a lossy one goes now or not at all.
    pub(super) fn send(&mut self, label: Label, mut packet: lk::DataPacket, now: Instant) {
        self.dirty = true;
        if label == Label::Lossy {
            let bytes = packet.encode_to_vec();
            self.fence(|s| s.speaker().send_data(label, &bytes));
            return;
        }
        self.sequence += 1;
        packet.sequence = self.sequence;
        let size: usize = self.waiting.iter().map(|k| k.bytes.len()).sum();
        if size > MOST_WAITING {
            if self.complaint.now(now) {
                tracing::warn!(session = self.id, "reads too slowly: data dropped");
            }
            return;
        }
        self.waiting.push_back(Kept {
            sequence: packet.sequence,
            sender: packet.participant_sid.clone(),
            bytes: packet.encode_to_vec(),
            at: now,
        });
    }

    fn flush(&mut self, now: Instant) {
        while let Some(next) = self.waiting.front() {
            let sent = match self.single {
                true => self.publisher.send_data(Label::Reliable, &next.bytes),
                false => match &mut self.subscriber {
                    Some(peer) => peer.send_data(Label::Reliable, &next.bytes),
                    None => Sent::NotOpen,
                },
            };
            match sent {
                Sent::WouldBlock | Sent::NotOpen => break,
                Sent::TooLong => drop(self.waiting.pop_front()),
                Sent::Sent => self.kept.extend(self.waiting.pop_front()),
            }
        }
        let mut size: usize = self.kept.iter().map(|k| k.bytes.len()).sum();
        while let Some(oldest) = self.kept.front()
            && (size > MOST_WAITING || now.duration_since(oldest.at) > KEPT)
        {
            size -= oldest.bytes.len();
            self.kept.pop_front();
        }
    }

    // ---- media

    /// Takes a packet from the network.
    pub(super) fn take_packet(&mut self, packet: &Packet, now: Instant) {
        self.dirty = true;
        let datagram = Datagram {
            proto: packet.proto,
            source: packet.source,
            destination: packet.destination,
            bytes: &packet.bytes,
        };
        self.fence(|s| match &mut s.subscriber {
            Some(peer) if peer.accepts(now, &datagram) => peer.handle_datagram(now, &datagram),
            _ => s.publisher.handle_datagram(now, &datagram),
        });
    }

    /// When it wants to be asked again.
    pub(super) fn due(&self) -> Instant {
        let limit = match self.stage {
            Stage::Joining(t) | Stage::Parked(t) | Stage::Resuming(t) => t,
            Stage::Active | Stage::Closed => self.refresh_at,
        };
        self.due.min(limit)
    }

    /// Does what is due, if anything is; what came of it.
    pub(super) fn work(
        &mut self,
        media: &Media,
        route: &mpsc::Sender<Packet>,
        now: Instant,
    ) -> Vec<Happening> {
        let mut seen = Vec::new();
        if self.stage == Stage::Closed || (!self.dirty && self.due > now) {
            return seen;
        }
        self.dirty = false;
        let offer = self.fence(|s| {
            s.flush(now);
            let offer = s.subscriber.as_mut().and_then(Peer::offer);
            s.due = now + Duration::from_secs(1);
            for second in [false, true] {
                let peer = match second {
                    false => Some(&mut s.publisher),
                    true => s.subscriber.as_mut(),
                };
                let Some(peer) = peer else { continue };
                loop {
                    match peer.poll(now) {
                        Output::Transmit(t) => media.send(t),
                        Output::Deadline(at) => {
                            s.due = s.due.min(at);
                            break;
                        }
                        Output::Event(Event::Rtp(rtp)) => seen.push(Happening::Sound(rtp)),
                        Output::Event(Event::Data(l, bytes)) => {
                            seen.push(Happening::Data(l, bytes))
                        }
                        Output::Event(Event::MediaChanged(mid, to))
                            if !second
                                && matches!(to, Direction::Inactive | Direction::SendOnly) =>
                        {
                            seen.push(Happening::Silent(mid));
                        }
                        Output::Event(_) => {}
                    }
                }
            }
            offer
        });
        if let Some(Some(offer)) = offer {
            let tracks = self.subscriber.as_ref().map(tracks_of).unwrap_or_default();
            let offer = words::description("offer", offer.id, offer.sdp, tracks);
            self.say(Message::Offer(offer));
        }
        self.expect(media, route);
        self.advance(&mut seen, now);
        seen
    }

    /// Packets under names that are new are for us.
    fn expect(&mut self, media: &Media, route: &mpsc::Sender<Packet>) {
        let subscriber = self.subscriber.as_ref().map_or(&[][..], Peer::ufrags);
        let names = self.publisher.ufrags().iter().chain(subscriber);
        // Their number alone would not tell once old names go.
        let mark = names.clone().fold(1usize, |sum, n| {
            n.bytes()
                .fold(sum, |h, b| h.wrapping_mul(31) ^ usize::from(b))
        });
        if mark != self.known_names {
            self.known_names = mark;
            media.expect(self.id, names, route);
        }
    }

    fn advance(&mut self, seen: &mut Vec<Happening>, now: Instant) {
        let peer = self.speaker();
        let (up, open) = (peer.is_connected(), peer.is_open(Label::Reliable));
        let over =
            self.publisher.is_closed() || self.subscriber.as_ref().is_some_and(Peer::is_closed);
        self.ended = over.then(|| self.ended.unwrap_or(now));
        let over = self.ended.is_some_and(|t| now.duration_since(t) >= GOODBYE);
        self.down = match up {
            true => None,
            false => self.down.or(Some(now)),
        };
        let lost = self.down.is_some_and(|t| now.duration_since(t) > GRACE);
        match self.stage {
            Stage::Closed => {}
            _ if over => self.dismiss(lk::DisconnectReason::ConnectionTimeout, Action::Reconnect),
            Stage::Joining(_) | Stage::Resuming(_) if up && open => {
                self.stage = Stage::Active;
                self.person.active = true;
                seen.insert(0, Happening::Up);
            }
            Stage::Joining(until) if until <= now => {
                self.dismiss(lk::DisconnectReason::JoinFailure, Action::Reconnect);
            }
            Stage::Resuming(until) if until <= now => {
                self.dismiss(lk::DisconnectReason::ConnectionTimeout, Action::Reconnect);
            }
            Stage::Parked(until) if until <= now => self.stage = Stage::Closed,
            Stage::Active if lost => {
                self.dismiss(lk::DisconnectReason::ConnectionTimeout, Action::Reconnect);
            }
            _ => {}
        }
    }

    fn speaker(&mut self) -> &mut Peer {
        self.subscriber.as_mut().unwrap_or(&mut self.publisher)
    }

    /// Runs what touches a peer; `None` and the session's end when it panics.
    fn fence<T>(&mut self, touch: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if let Ok(value) = catch_unwind(AssertUnwindSafe(|| touch(self))) {
            return Some(value);
        }
        tracing::error!(
            session = self.id,
            "its connection fell over; it may join again"
        );
        self.stage = Stage::Closed;
        self.say(words::leave(
            lk::DisconnectReason::MediaFailure,
            Action::Reconnect,
        ));
        self.out = None;
        None
    }
}

fn tracks_of(peer: &Peer) -> HashMap<String, String> {
    peer.tracks()
        .map(|(mid, id)| (mid.as_str().to_owned(), id.track.clone()))
        .collect()
}
