//! One room: who is in it (`people`), who hears whom (`sound`), what is written (`data`), and the
//! assistant's seat. A task that owns all of it; what comes in comes through its queues, so that nothing
//! here is shared.

mod data;
mod people;
mod sound;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64},
    },
    time::{Duration, Instant},
};

use livekit_protocol as lk;
use livekit_token::Claims;
use lk::{leave_request::Action, signal_request, signal_response::Message};
use tokio::sync::{mpsc, oneshot};

use super::{
    keys::{self, Keys},
    limits::Rarely,
    media::{Media, Packet},
    session::{Happening, Session, Stage},
    words::{self, About, Person},
};
use crate::rtc::{
    AgentState, Closed, Departure, FRAME, RoomCommand, RoomEvent,
    audio::Voice,
    pacing::{Lateness, Pace},
    texts::Spoken,
};

/// Events that wait for the house; of sound only the newest [`SOUNDS`].
const EVENTS: usize = 1024;
const SOUNDS: usize = 64;

/// How long an empty room stays: LiveKit's default where the token says nothing, and the longest.
const DEPARTURE: Duration = Duration::from_secs(20);
/// What comes to a room.
pub(super) enum Input {
    /// Somebody wants in, or back in.
    Join(Box<Join>),
    /// A message of the session's line number `.1`.
    Request(u64, u64, Box<signal_request::Message>),
    /// That line is gone.
    Gone(u64, u64),
    /// From the server's API.
    Data(lk::SendDataRequest),
    /// The process ends.
    Shutdown,
}

/// Somebody who wants in.
pub(super) struct Join {
    pub(super) claims: Claims,
    pub(super) single: bool,
    /// Resumes the session with this participant sid.
    pub(super) resume: Option<String>,
    pub(super) request: lk::JoinRequest,
    pub(super) out: mpsc::Sender<Message>,
    pub(super) reply: oneshot::Sender<Option<(u64, u64)>>,
}

/// The room's ends for others.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) people: Arc<AtomicU32>,
    pub(super) about: About,
}

pub(super) struct Room {
    about: About,
    people: Arc<AtomicU32>,
    keys: Arc<Keys>,
    media: Arc<Media>,
    inputs: mpsc::Receiver<Input>,
    route: mpsc::Sender<Packet>,
    packets: mpsc::Receiver<Packet>,
    events: mpsc::Sender<RoomEvent>,
    outbox: VecDeque<RoomEvent>,
    commands: mpsc::Receiver<RoomCommand>,
    sessions: BTreeMap<u64, Session>,
    next_session: Arc<AtomicU64>,
    agent: Person,
    voice: Voice,
    pace: Pace,
    lateness: Arc<Lateness>,
    /// A frame of the voice is on its way.
    sending: bool,
    /// How loud the assistant's last sound was.
    loud: f32,
    audible: bool,
    speaking: Vec<String>,
    spoken: Spoken,
    /// Since when nobody is there.
    empty: Option<Instant>,
    departure: Duration,
    ticks: u64,
    complaint: Rarely,
    /// Why the room ends, once it does.
    over: Option<Closed>,
}

/// What a room is made of.
pub(super) struct Parts {
    pub(super) about: About,
    pub(super) agent_identity: String,
    pub(super) people: Arc<AtomicU32>,
    pub(super) keys: Arc<Keys>,
    pub(super) media: Arc<Media>,
    pub(super) lateness: Arc<Lateness>,
    pub(super) inputs: mpsc::Receiver<Input>,
    pub(super) events: mpsc::Sender<RoomEvent>,
    pub(super) commands: mpsc::Receiver<RoomCommand>,
    pub(super) next_session: Arc<AtomicU64>,
}

impl Room {
    /// An empty room; `None` where the machine has no memory or chance for one.
    pub(super) fn new(parts: Parts) -> Option<Self> {
        let (route, packets) = mpsc::channel(1024);
        let track = words::voice(format!("TR_AM{}", keys::letters(12).ok()?));
        let agent = Person {
            sid: format!("PA_{}", keys::letters(12).ok()?),
            identity: parts.agent_identity,
            name: "CAAL".to_owned(),
            agent: true,
            active: true,
            joined_ms: now_ms(),
            version: 1,
            attributes: data::state(AgentState::Initializing),
            tracks: vec![track],
            permission: people::permission(true, true, true, true),
            ..Default::default()
        };
        Some(Self {
            about: parts.about,
            people: parts.people,
            keys: parts.keys,
            media: parts.media,
            inputs: parts.inputs,
            route,
            packets,
            events: parts.events,
            outbox: VecDeque::new(),
            commands: parts.commands,
            sessions: BTreeMap::new(),
            next_session: parts.next_session,
            agent,
            voice: Voice::new().ok()?,
            pace: Pace::default(),
            lateness: parts.lateness,
            sending: false,
            loud: 0.0,
            audible: false,
            speaking: Vec::new(),
            spoken: Spoken::default(),
            empty: Some(Instant::now()),
            departure: DEPARTURE,
            ticks: 0,
            complaint: Rarely::default(),
            over: None,
        })
    }

    /// Runs until the last has left, or the assistant has.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(FRAME);
        let events = self.events.clone();
        while self.over.is_none() {
            let due = self.sessions.values().map(Session::due);
            let due = due.chain(self.voice.due()).min();
            let due = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(1));
            tokio::select! {
                biased;
                input = self.inputs.recv() => match input {
                    Some(input) => self.take(input),
                    None => self.over = Some(Closed::RoomClosed),
                },
                command = self.commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => self.over = Some(Closed::Left),
                },
                permit = events.reserve(), if !self.outbox.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(event) = self.outbox.pop_front() {
                            permit.send(event);
                        }
                    }
                    Err(_) => self.over = Some(Closed::Left),
                },
                _ = tick.tick() => self.tick(Instant::now()),
                packet = self.packets.recv() => {
                    let now = Instant::now();
                    if let Some(packet) = packet {
                        self.packet(&packet, now);
                    }
                    for _ in 0..64 {
                        let Ok(packet) = self.packets.try_recv() else { break };
                        self.packet(&packet, now);
                    }
                }
                () = tokio::time::sleep_until(due.into()) => {}
            }
            self.trail_off(Instant::now());
            self.settle(Instant::now());
            if std::mem::take(&mut self.sending)
                && let Some(late) = self.pace.frame(Instant::now())
            {
                self.lateness.note(late);
            }
        }
        self.end().await;
    }

    async fn end(mut self) {
        self.inputs.close();
        let now = Instant::now();
        for session in self.sessions.values_mut() {
            session.dismiss(lk::DisconnectReason::ServerShutdown, Action::Reconnect);
            session.work(&self.media, &self.route, now);
            self.media.forget(session.id);
        }
        let closed = self.over.take().unwrap_or(Closed::RoomClosed);
        self.outbox.push_back(RoomEvent::Closed(closed));
        for event in self.outbox.drain(..) {
            // A house that no longer reads has let go of its end.
            let sent = self.events.send(event);
            if tokio::time::timeout(Duration::from_secs(5), sent)
                .await
                .is_err()
            {
                break;
            }
        }
    }

    pub(super) fn take(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Join(join) => self.join(*join, now),
            Input::Request(id, line, message) => {
                let current = |s: &&mut Session| s.connection == line;
                if let Some(session) = self.sessions.get_mut(&id).filter(current)
                    && session.may_talk(now)
                {
                    self.request(id, *message, now);
                }
            }
            Input::Gone(id, line) => {
                if let Some(session) = self.sessions.get_mut(&id)
                    && session.connection == line
                {
                    session.park(now);
                }
            }
            Input::Data(request) => self.data_of_api(request, now),
            Input::Shutdown => self.over = Some(Closed::Lost("this server stops".to_owned())),
        }
    }

    /// The session of the person with this identity.
    pub(super) fn number_of(&self, identity: &str) -> Option<u64> {
        let mut sessions = self.sessions.values();
        Some(sessions.find(|s| s.person.identity == identity)?.id)
    }

    pub(super) fn request(&mut self, id: u64, message: signal_request::Message, now: Instant) {
        use signal_request::Message as Ask;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        match message {
            Ask::Offer(offer) => session.take_offer(&offer),
            Ask::Answer(answer) => session.take_answer(&answer),
            Ask::Trickle(trickle) => session.take_candidate(&trickle),
            Ask::AddTrack(request) => self.add_track(id, request),
            Ask::Mute(mute) => self.mute(id, &mute),
            Ask::UpdateMetadata(update) => self.update(id, update),
            Ask::Ping(_) => session.say(Message::Pong(now_ms())),
            Ask::PingReq(ping) => session.say(Message::PongResp(lk::Pong {
                last_ping_timestamp: ping.timestamp,
                timestamp: now_ms(),
            })),
            Ask::SyncState(sync) => session.send_again(&sync.datachannel_receive_states),
            Ask::Leave(_) => {
                session.stage = Stage::Closed;
                session.work(&self.media, &self.route, now);
                self.remove(id, Departure::Left, lk::DisconnectReason::ClientInitiated);
            }
            // What is about pictures, layers and subscriptions has no meaning here.
            _ => {}
        }
    }

    fn tell(&mut self, event: RoomEvent) {
        if matches!(event, RoomEvent::Sound(..)) {
            let sound = |e: &RoomEvent| matches!(e, RoomEvent::Sound(..));
            if self.outbox.iter().filter(|e| sound(e)).count() >= SOUNDS
                && let Some(oldest) = self.outbox.iter().position(sound)
            {
                self.outbox.remove(oldest);
            }
        } else if matches!(event, RoomEvent::Data { .. } | RoomEvent::Chat(..))
            && self.outbox.len() >= EVENTS / 2
        {
            // Room is left for what the house must know.
            if self.complaint.now(Instant::now()) {
                tracing::warn!("people write faster than the house reads: dropped");
            }
            return;
        } else if self.outbox.len() >= EVENTS {
            // A house that has not read for that long is not coming back.
            self.over = Some(Closed::Lost("nobody listens to this room".to_owned()));
            return;
        }
        self.outbox.push_back(event);
    }

    /// Lets every session do what is due, until none has anything more to do now.
    pub(super) fn settle(&mut self, now: Instant) {
        for _ in 0..8 {
            let mut seen = Vec::new();
            for session in self.sessions.values_mut() {
                let happened = session.work(&self.media, &self.route, now);
                seen.extend(happened.into_iter().map(|h| (session.id, h)));
            }
            if seen.is_empty() {
                break;
            }
            for (id, happening) in seen {
                match happening {
                    Happening::Up => self.announce(id),
                    Happening::Sound(rtp) => self.sound(id, rtp, now),
                    Happening::Data(label, bytes) => self.data(id, label, &bytes, now),
                    Happening::Silent(mid) => {
                        let mic = self.sessions.get(&id).and_then(|s| s.mic.as_ref());
                        if mic.is_some_and(|m| m.mid == Some(mid)) {
                            self.unpublish(id);
                        }
                    }
                }
            }
        }
        self.housekeeping(now);
    }

    fn housekeeping(&mut self, now: Instant) {
        for session in self.sessions.values_mut() {
            if session.is_cut_off() {
                session.park(now);
            }
            if session.refresh_at <= now {
                let token = self.keys.renew(&session.claims);
                if let Ok(claims) = self.keys.verify(&token) {
                    session.claims.exp = claims.exp;
                }
                session.refresh_at = now + session.half_life();
                session.say(Message::RefreshToken(token));
            }
        }
        let closed: Vec<u64> = self
            .sessions
            .values()
            .filter(|s| s.stage == Stage::Closed)
            .map(|s| s.id)
            .collect();
        for id in closed {
            self.remove(id, Departure::Lost, lk::DisconnectReason::ConnectionTimeout);
        }
        let track = self.agent.tracks[0].sid.clone();
        let audible = self.sessions.values_mut().any(|s| s.hears(&track));
        if audible && !self.audible {
            self.tell(RoomEvent::Audible);
        }
        self.audible = audible;
        if self
            .empty
            .is_some_and(|t| now.duration_since(t) >= self.departure)
        {
            self.over.get_or_insert(Closed::RoomClosed);
        }
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as i64)
}
