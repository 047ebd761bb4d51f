//! One person's place in a room: their line for messages, their one or two peer connections, and the data
//! on its way to them. Lines break and come back (`Stage`); what was on its way waits.
//!
//! Everything that touches a peer connection is fenced: if str0m panics, this session is over and no other.

mod data;
mod tracks;

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use livekit_protocol as lk;
use livekit_token::Claims;
use lk::{leave_request::Action, signal_response::Message};
use tokio::sync::mpsc;

use self::{
    data::{DATA_RATE, Kept},
    tracks::tracks_of,
};
use super::{
    limits::{Bucket, Rarely},
    media::{Media, Packet},
    words::{self, Person},
};
use crate::rtc::{
    audio::Hearing,
    peer::{
        Channels, Datagram, Event, Label, Mid, Output, Peer, PeerConfig, Redundancy, Rtp, Video,
    },
    sdp::{Direction, Msid},
    texts::Reader,
};

/// How long a new person's media may take to come up.
const JOIN_LIMIT: Duration = Duration::from_secs(15);

/// How long a broken line may take to come back.
pub(super) const GRACE: Duration = Duration::from_secs(20);

/// How long a person whose connection has said goodbye may take to say so themselves.
const GOODBYE: Duration = Duration::from_secs(2);

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
    pub(super) reader: Reader,
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
        let sockets = media.sockets();
        let peer = |video, channels| {
            let config = PeerConfig {
                udp: &sockets.udp_candidates,
                tcp: &sockets.tcp_candidates,
                video,
                redundancy: Redundancy::Accept,
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
            reader: Reader::default(),
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

    /// Whether a message may be taken: nobody talks without end.
    pub(super) fn may_talk(&mut self, now: Instant) -> bool {
        self.messages.take(1.0, now)
    }

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
