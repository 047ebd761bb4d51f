//! One room: who is in it, who hears whom, and the assistant's seat. A task that owns all of it; what
//! comes in comes through its queues, so that nothing here is shared.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use livekit_protocol as lk;
use livekit_token::Claims;
use lk::{data_packet::Value, leave_request::Action, signal_request, signal_response::Message};
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};

use super::{
    keys::{self, Keys},
    limits::Rarely,
    media::{Media, Packet},
    session::{Arrival, Happening, Mic, Session, Stage},
    texts::Writer,
    words::{self, About, Person},
};
use crate::{
    audio::{Hz24k, Pcm},
    pii::Pii,
    rtc::{
        AgentState, Closed, Departure, FRAME, Identity, Participant, RoomCommand, RoomEvent,
        audio::{Hearing, Voice},
        peer::{Label, Opus, Rtp},
        sdp::Msid,
    },
};

/// People in one room.
const PEOPLE: usize = 16;

/// Events that wait for the house; of sound only the newest [`SOUNDS`].
const EVENTS: usize = 1024;
const SOUNDS: usize = 64;

/// How long an empty room stays: LiveKit's default where the token says nothing, and the longest.
const DEPARTURE: Duration = Duration::from_secs(20);
const LONGEST_DEPARTURE: Duration = Duration::from_secs(60);

/// Somebody's attributes together, in bytes.
const ATTRIBUTES: usize = 65_536;

/// Louder than this somebody speaks: -45 dBov.
const SPEAKS: f32 = 0.0056;

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
    next_session: Arc<std::sync::atomic::AtomicU64>,
    agent: Person,
    voice: Voice,
    /// When the assistant's sound last came, and how loud it was.
    spoke: Option<Instant>,
    loud: f32,
    audible: bool,
    speaking: Vec<String>,
    writers: HashMap<String, Writer>,
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
    pub(super) inputs: mpsc::Receiver<Input>,
    pub(super) events: mpsc::Sender<RoomEvent>,
    pub(super) commands: mpsc::Receiver<RoomCommand>,
    pub(super) next_session: Arc<std::sync::atomic::AtomicU64>,
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
            attributes: state(AgentState::Initializing),
            tracks: vec![track],
            permission: permission(true, true, true, true),
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
            spoke: None,
            loud: 0.0,
            audible: false,
            speaking: Vec::new(),
            writers: HashMap::new(),
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
            let due = self.sessions.values().map(Session::due).min();
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
            self.settle(Instant::now());
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

    // ---- people

    fn take(&mut self, input: Input) {
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

    fn join(&mut self, join: Join, now: Instant) {
        if let Some(sid) = &join.resume {
            let mut known = self.sessions.values_mut();
            let known =
                known.find(|s| s.person.sid == *sid && s.person.identity == join.claims.sub);
            let Some(session) = known.filter(|s| s.stage != Stage::Closed) else {
                let _ = join.out.try_send(words::leave(
                    lk::DisconnectReason::StateMismatch,
                    Action::Reconnect,
                ));
                let _ = join.reply.send(None);
                return;
            };
            session.claims = join.claims;
            session.refresh_at = now + session.half_life();
            session.resume(join.out, now);
            let (id, line) = (session.id, session.connection);
            let everybody = self.everybody();
            let about = self.about.info();
            if let Some(session) = self.sessions.get_mut(&id) {
                session.say(words::update(everybody));
                session.say(Message::RoomUpdate(lk::RoomUpdate { room: Some(about) }));
                if let Some(sync) = &join.request.sync_state {
                    session.send_again(&sync.datachannel_receive_states);
                }
            }
            tracing::info!(session = id, "a person's line is back");
            let _ = join.reply.send(Some((id, line)));
            return;
        }
        let same = |s: &&Session| s.person.identity == join.claims.sub;
        let before = self.sessions.values().find(same).map(|s| s.id);
        if let Some(id) = before {
            if let Some(old) = self.sessions.get_mut(&id) {
                old.dismiss(lk::DisconnectReason::DuplicateIdentity, Action::Disconnect);
                old.work(&self.media, &self.route, now);
            }
            self.remove(
                id,
                Departure::Replaced,
                lk::DisconnectReason::DuplicateIdentity,
            );
        }
        let sid = keys::letters(12);
        let (true, Ok(sid)) = (self.sessions.len() < PEOPLE, sid) else {
            tracing::warn!(room = ?self.about.name, "the room is full");
            let _ = join.out.try_send(words::leave(
                lk::DisconnectReason::JoinFailure,
                Action::Disconnect,
            ));
            let _ = join.reply.send(None);
            return;
        };
        self.seat(join, format!("PA_{sid}"), now);
    }

    fn seat(&mut self, join: Join, sid: String, now: Instant) {
        let id = self.next_session.fetch_add(1, Ordering::Relaxed);
        let (claims, request) = (join.claims, join.request);
        let client = request.client_info.unwrap_or_default();
        let grants = &claims.video;
        let mut attributes = claims.attributes.clone();
        attributes.extend(request.participant_attributes);
        if size(&attributes) > ATTRIBUTES {
            attributes.clear();
        }
        let person = Person {
            sid,
            identity: claims.sub.clone(),
            name: claims.name.clone(),
            metadata: claims.metadata.clone(),
            attributes,
            agent: claims.kind == "agent" || grants.agent,
            joined_ms: now_ms(),
            version: 1,
            permission: permission(
                grants.can_publish(),
                grants.can_subscribe(),
                grants.can_publish_data(),
                grants.can_update_own_metadata(),
            ),
            client_protocol: client.client_protocol,
            capabilities: client.capabilities.into_iter().take(16).collect(),
            ..Default::default()
        };
        if let Some(config) = &claims.room_config {
            let seconds = u64::from(config.departure_timeout);
            self.departure = match seconds {
                0 => DEPARTURE,
                s => Duration::from_secs(s).min(LONGEST_DEPARTURE),
            };
        }
        let others: Vec<_> = self.everybody();
        let subscribe = grants.can_subscribe();
        let participant = Participant {
            identity: Identity::new(&person.identity),
            name: Pii(person.name.clone()),
            agent: person.agent,
        };
        let info = person.info();
        let arrival = Arrival {
            id,
            person,
            claims,
            single: join.single,
            out: join.out,
        };
        let mut session = Session::new(arrival, &self.media, now);
        self.about.people = self.sessions.len() as u32 + 2;
        session.say(words::join(
            &self.about,
            &session.person,
            others,
            join.single,
        ));
        if subscribe {
            session.hear(label(&self.agent.sid, &self.agent.tracks[0].sid));
            for other in self.sessions.values() {
                if let Some(mic) = &other.mic {
                    session.hear(label(&other.person.sid, &mic.info.sid));
                }
            }
        }
        for other in self.sessions.values_mut() {
            other.say(words::update(vec![info.clone()]));
        }
        let _ = join.reply.send(Some((id, session.connection)));
        self.sessions.insert(id, session);
        self.people
            .store(self.sessions.len() as u32 + 1, Ordering::Relaxed);
        self.empty = None;
        self.tell(RoomEvent::Joined(participant));
        tracing::info!(session = id, single = join.single, "a person joins");
        for request in request.add_track_requests.into_iter().take(8) {
            self.add_track(id, request);
        }
        if let (Some(offer), Some(session)) = (&request.publisher_offer, self.sessions.get_mut(&id))
        {
            session.take_offer(offer);
        }
    }

    fn remove(&mut self, id: u64, why: Departure, reason: lk::DisconnectReason) {
        self.unpublish(id);
        let Some(session) = self.sessions.remove(&id) else {
            return;
        };
        self.media.forget(id);
        let gone = session.person.gone(reason);
        for other in self.sessions.values_mut() {
            other.say(words::update(vec![gone.clone()]));
        }
        self.about.people = self.sessions.len() as u32 + 1;
        self.people.store(self.about.people, Ordering::Relaxed);
        if self.sessions.is_empty() {
            self.empty = Some(Instant::now());
        }
        self.tell(RoomEvent::Left(
            Identity::new(&session.person.identity),
            why,
        ));
        tracing::info!(session = id, ?why, "a person is gone");
    }

    fn everybody(&self) -> Vec<lk::ParticipantInfo> {
        let people = self.sessions.values().map(|s| &s.person);
        people.chain([&self.agent]).map(Person::info).collect()
    }

    /// Tells everybody how `id` is now.
    fn announce(&mut self, id: u64) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.person.version += 1;
        session.person.tracks = session.mic.iter().map(|m| m.info.clone()).collect();
        let info = session.person.info();
        for other in self.sessions.values_mut() {
            other.say(words::update(vec![info.clone()]));
        }
    }

    // ---- messages

    fn request(&mut self, id: u64, message: signal_request::Message, now: Instant) {
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

    fn add_track(&mut self, id: u64, request: lk::AddTrackRequest) {
        use lk::request_response::{Reason, Request};
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let sources = &session.claims.video.can_publish_sources;
        let may = session.claims.video.can_publish()
            && (sources.is_empty() || sources.iter().any(|s| s == "microphone"));
        let microphone = request.r#type == lk::TrackType::Audio as i32
            && matches!(
                lk::TrackSource::try_from(request.source),
                Ok(lk::TrackSource::Microphone | lk::TrackSource::Unknown)
            );
        let made = (keys::letters(12).ok(), Hearing::new().ok());
        let (true, true, (Some(sid), Some(hearing))) =
            (may && request.cid.len() <= 256, microphone, made)
        else {
            session.say(words::answered(
                0,
                Reason::NotAllowed,
                Some(Request::AddTrack(request)),
            ));
            return;
        };
        self.unpublish(id);
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let info = words::microphone(&request, format!("TR_AM{sid}"));
        session.say(Message::TrackPublished(lk::TrackPublishedResponse {
            cid: request.cid,
            track: Some(info.clone()),
        }));
        let label = label(&session.person.sid, &info.sid);
        session.mic = Some(Mic {
            info,
            hearing,
            ssrc: None,
            mid: None,
            loud: 0.0,
        });
        self.announce(id);
        for other in self.sessions.values_mut() {
            if other.id != id && other.claims.video.can_subscribe() {
                other.hear(label.clone());
            }
        }
    }

    fn unpublish(&mut self, id: u64) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(mic) = session.mic.take() else {
            return;
        };
        let who = Identity::new(&session.person.identity);
        for other in self.sessions.values_mut() {
            other.unhear(&mic.info.sid);
        }
        self.announce(id);
        self.tell(RoomEvent::Muted(who, true));
    }

    fn mute(&mut self, id: u64, mute: &lk::MuteTrackRequest) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(mic) = session.mic.as_mut().filter(|m| m.info.sid == mute.sid) else {
            return;
        };
        if mic.info.muted == mute.muted {
            return;
        }
        mic.info.muted = mute.muted;
        mic.hearing.restart();
        mic.loud = 0.0;
        let who = Identity::new(&session.person.identity);
        self.announce(id);
        self.tell(RoomEvent::Muted(who, mute.muted));
    }

    fn update(&mut self, id: u64, update: lk::UpdateParticipantMetadata) {
        use lk::request_response::Reason;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let mut attributes = session.person.attributes.clone();
        attributes.extend(update.attributes);
        attributes.retain(|_, value| !value.is_empty());
        let fits = size(&attributes) <= ATTRIBUTES
            && update.metadata.len() <= ATTRIBUTES
            && update.name.len() <= 256;
        let reason = match session.claims.video.can_update_own_metadata() {
            false => Reason::NotAllowed,
            true if !fits => Reason::LimitExceeded,
            true => Reason::Ok,
        };
        session.say(words::answered(update.request_id, reason, None));
        if reason != Reason::Ok {
            return;
        }
        session.person.attributes = attributes;
        if !update.name.is_empty() {
            session.person.name = update.name;
        }
        if !update.metadata.is_empty() {
            session.person.metadata = update.metadata;
        }
        self.announce(id);
    }

    // ---- sound

    fn packet(&mut self, packet: &Packet, now: Instant) {
        if let Some(session) = self.sessions.get_mut(&packet.session) {
            session.take_packet(packet, now);
        }
    }

    fn sound(&mut self, id: u64, rtp: Rtp, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let Some(mic) = &mut session.mic else {
            return;
        };
        if mic.ssrc != Some(rtp.ssrc) {
            let first = mic.ssrc.is_none();
            mic.hearing.restart();
            (mic.ssrc, mic.mid) = (Some(rtp.ssrc), Some(rtp.mid));
            let track_sid = mic.info.sid.clone();
            if first {
                session.say(Message::TrackSubscribed(lk::TrackSubscribed { track_sid }));
            }
        }
        let Some(mic) = &mut session.mic else {
            return;
        };
        if mic.info.muted {
            return;
        }
        mic.hearing.push(rtp.seq, rtp.time, &rtp.payload, now);
        let track = mic.info.sid.clone();
        let opus = Opus {
            time: rtp.time as u32,
            payload: rtp.payload,
            talkspurt: false,
            level: rtp.level,
        };
        for other in self.sessions.values_mut().filter(|s| s.id != id) {
            other.play(&track, &opus, now);
        }
    }

    fn tick(&mut self, now: Instant) {
        self.ticks += 1;
        let mut heard = Vec::new();
        for session in self.sessions.values_mut() {
            let Some(mic) = session.mic.as_mut().filter(|m| !m.info.muted) else {
                continue;
            };
            if let Some(sound) = mic.hearing.tick(now) {
                mic.loud = sound.rms();
                heard.push((Identity::new(&session.person.identity), sound));
            }
        }
        for (who, sound) in heard {
            self.tell(RoomEvent::Sound(who, sound));
        }
        // The house speaks every 20 ms, give or take; after a longer wait it has stopped.
        let stopped = self
            .spoke
            .is_some_and(|t| now.duration_since(t) > 2 * FRAME);
        if stopped {
            self.loud = 0.0;
            match self.voice.idle(now) {
                Some(packet) => self.speak(&packet, now),
                None => self.spoke = None,
            }
        }
        if self.ticks.is_multiple_of(20) {
            self.speakers();
        }
    }

    fn say(&mut self, sound: &Pcm<Hz24k>, now: Instant) {
        self.loud = sound.rms();
        self.spoke = Some(now);
        let packet = self.voice.encode(sound, now);
        self.speak(&packet, now);
    }

    fn speak(&mut self, packet: &crate::rtc::audio::Outgoing, now: Instant) {
        let opus = Opus {
            time: packet.time as u32,
            payload: Arc::clone(&packet.payload),
            talkspurt: packet.talkspurt,
            level: Some(packet.level),
        };
        let track = &self.agent.tracks[0].sid;
        for session in self.sessions.values_mut() {
            session.play(track, &opus, now);
        }
    }

    /// Tells who speaks, when that has changed.
    fn speakers(&mut self) {
        let people = self.sessions.values();
        let mics = people.filter_map(|s| Some((s.person.sid.clone(), s.mic.as_ref()?.loud)));
        let all: Vec<(String, f32)> = mics.chain([(self.agent.sid.clone(), self.loud)]).collect();
        let loud: Vec<String> = all
            .iter()
            .filter(|(_, l)| *l > SPEAKS)
            .map(|(sid, _)| sid.clone())
            .collect();
        if loud == self.speaking {
            return;
        }
        let changed = all
            .iter()
            .filter(|(sid, _)| loud.contains(sid) != self.speaking.contains(sid));
        let speakers: Vec<_> = changed
            .map(|(sid, level)| lk::SpeakerInfo {
                sid: sid.clone(),
                level: (level * 4.0).min(1.0),
                active: loud.contains(sid),
            })
            .collect();
        for session in self.sessions.values_mut() {
            session.say(Message::SpeakersChanged(lk::SpeakersChanged {
                speakers: speakers.clone(),
            }));
        }
        self.speaking = loud;
    }

    // ---- the assistant

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

    fn obey(&mut self, command: RoomCommand) {
        let now = Instant::now();
        match command {
            RoomCommand::Voice(sound) => self.say(&sound, now),
            RoomCommand::State(new) => {
                self.agent.attributes = state(new);
                self.agent.version += 1;
                let info = self.agent.info();
                for session in self.sessions.values_mut() {
                    session.say(words::update(vec![info.clone()]));
                }
            }
            RoomCommand::Data { topic, payload, to } => {
                let value = Value::User(lk::UserPacket {
                    payload,
                    topic: Some(topic.to_owned()),
                    ..Default::default()
                });
                let to = to.iter().map(|i| i.as_str().to_owned()).collect();
                let packet = packet(&self.agent, value, to);
                self.spread(Label::Reliable, &packet, None, now);
            }
            RoomCommand::UserText {
                who,
                segment,
                text,
                last,
            } => self.user_text(&who, &segment, &text.0, last, now),
            RoomCommand::VoiceText {
                segment,
                more,
                last,
            } => self.voice_text(segment, &more.0, last, now),
            RoomCommand::Leave => self.over = Some(Closed::Left),
        }
    }

    fn user_text(&mut self, who: &Identity, segment: &str, text: &str, last: bool, now: Instant) {
        let same = |s: &&Session| s.person.identity == who.as_str();
        let Some(session) = self.sessions.values().find(same) else {
            return;
        };
        let person = session.person.clone();
        let track = session.mic.as_ref().map(|m| m.info.sid.clone());
        let Ok(id) = keys::letters(20) else { return };
        let track = track.unwrap_or_default();
        let (mut writer, begin) = Writer::begin(id, segment, &track, last, now_ms());
        let more = writer.more(text);
        for value in [begin].into_iter().chain(more).chain([writer.end(last)]) {
            let packet = packet(&person, value, Vec::new());
            self.spread(Label::Reliable, &packet, None, now);
        }
    }

    fn voice_text(&mut self, segment: String, more: &str, last: bool, now: Instant) {
        let mut values = Vec::new();
        let mut writer = match self.writers.remove(&segment) {
            Some(writer) => writer,
            None => {
                let Ok(id) = keys::letters(20) else { return };
                let track = &self.agent.tracks[0].sid;
                let (writer, begin) = Writer::begin(id, &segment, track, false, now_ms());
                values.push(begin);
                writer
            }
        };
        values.extend(writer.more(more));
        if last {
            values.push(writer.end(true));
        } else if self.writers.len() < 64 {
            self.writers.insert(segment, writer);
        }
        for value in values {
            let packet = packet(&self.agent, value, Vec::new());
            self.spread(Label::Reliable, &packet, None, now);
        }
    }

    // ---- data

    /// To all to whom it is addressed, but for `except`.
    fn spread(&mut self, label: Label, packet: &lk::DataPacket, except: Option<u64>, now: Instant) {
        let to = &packet.destination_identities;
        for session in self.sessions.values_mut() {
            let meant = to.is_empty() || to.contains(&session.person.identity);
            if meant && Some(session.id) != except {
                session.send(label, packet.clone(), now);
            }
        }
    }

    fn data(&mut self, id: u64, channel: Label, bytes: &[u8], now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if !session.may_send(bytes.len(), now) || !session.claims.video.can_publish_data() {
            return;
        }
        let Ok(mut packet) = lk::DataPacket::decode(bytes) else {
            return;
        };
        if channel == Label::Reliable && packet.sequence > 0 {
            if packet.sequence <= session.last_seen {
                return; // sent again after a resume
            }
            session.last_seen = packet.sequence;
        }
        // Who it is from is for the room to say.
        packet.participant_identity = session.person.identity.clone();
        packet.participant_sid = session.person.sid.clone();
        packet.sequence = 0;
        let who = Identity::new(&session.person.identity);
        let to = &packet.destination_identities;
        let for_us = to.is_empty() || to.contains(&self.agent.identity);
        let chat = match &packet.value {
            Some(value) if for_us => session.reader.take(value, "lk.chat"),
            _ => None,
        };
        if let Some(text) = chat {
            self.tell(RoomEvent::Chat(who.clone(), Pii(text)));
        }
        if let Some(Value::User(user)) = &packet.value {
            let topic = user.topic.clone().unwrap_or_default();
            if for_us && topic.len() <= 256 && user.payload.len() <= 65_536 {
                self.tell(RoomEvent::Data {
                    from: Some(who),
                    topic,
                    payload: user.payload.clone(),
                });
            }
        }
        // What only a server may say is not passed on.
        let theirs = matches!(
            packet.value,
            Some(
                Value::User(_)
                    | Value::ChatMessage(_)
                    | Value::RpcRequest(_)
                    | Value::RpcAck(_)
                    | Value::RpcResponse(_)
                    | Value::StreamHeader(_)
                    | Value::StreamChunk(_)
                    | Value::StreamTrailer(_)
                    | Value::EncryptedPacket(_)
            )
        );
        if theirs {
            self.spread(channel, &packet, Some(id), now);
        }
    }

    fn data_of_api(&mut self, request: lk::SendDataRequest, now: Instant) {
        let topic = request.topic.clone().unwrap_or_default();
        let to = &request.destination_identities;
        if to.is_empty() || to.contains(&self.agent.identity) {
            self.tell(RoomEvent::Data {
                from: None,
                topic,
                payload: request.data.clone(),
            });
        }
        let packet = lk::DataPacket {
            destination_identities: request.destination_identities,
            value: Some(Value::User(lk::UserPacket {
                payload: request.data,
                topic: request.topic,
                ..Default::default()
            })),
            ..Default::default()
        };
        let label = match request.kind == lk::data_packet::Kind::Lossy as i32 {
            true => Label::Lossy,
            false => Label::Reliable,
        };
        self.spread(label, &packet, None, now);
    }

    // ---- time

    /// Lets every session do what is due, until none has anything more to do now.
    fn settle(&mut self, now: Instant) {
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

/// `PA_…|TR_…`: the form in which every client finds the track.
fn label(person: &str, track: &str) -> Msid {
    Msid {
        stream: format!("{person}|{track}"),
        track: track.to_owned(),
    }
}

fn packet(from: &Person, value: Value, to: Vec<String>) -> lk::DataPacket {
    lk::DataPacket {
        participant_identity: from.identity.clone(),
        participant_sid: from.sid.clone(),
        destination_identities: to,
        value: Some(value),
        ..Default::default()
    }
}

fn state(state: AgentState) -> HashMap<String, String> {
    HashMap::from([("lk.agent.state".to_owned(), state.as_str().to_owned())])
}

fn size(attributes: &HashMap<String, String>) -> usize {
    attributes.iter().map(|(k, v)| k.len() + v.len()).sum()
}

#[expect(
    clippy::fn_params_excessive_bools,
    reason = "LiveKit's four grants, in its order"
)]
fn permission(
    publish: bool,
    subscribe: bool,
    data: bool,
    metadata: bool,
) -> lk::ParticipantPermission {
    lk::ParticipantPermission {
        can_publish: publish,
        can_subscribe: subscribe,
        can_publish_data: data,
        can_update_metadata: metadata,
        ..Default::default()
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as i64)
}
