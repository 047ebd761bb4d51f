//! One participation in a room: from the server's welcome until we leave, are sent away, or must join
//! anew. One task drives both peer connections, signalling and the 20 ms clock; nothing in it waits for
//! anything but the next of those.

mod signalling;

use std::{
    collections::HashMap,
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use livekit_protocol::{
    AddTrackRequest, AudioTrackFeature, JoinResponse, TrackInfo, TrackSource, TrackType,
    UpdateParticipantMetadata, signal_request::Message as Request,
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{sleep_until, timeout},
};

use super::{
    JoinError, dice,
    mend::{Act, Broken, Mend, Side},
    packets::{Inbox, Received},
    room::Seat,
    side::{DATAGRAM, Line, poll_both},
    signal::{Ask, Opened, Tell},
};
use crate::{
    audio::{Hz24k, Pcm},
    rtc::{
        AgentState, Closed, FRAME, RoomCommand, RoomEvent,
        audio::{Hearing, Outgoing},
        peer::{Channels, Event, Label, Mid, Opus, Rtp, Sent},
        sdp::Msid,
    },
};

/// Requests and answers between this task and signalling's. A server says little at once, and we less.
const ASKS: usize = 256;

/// What the track is called, by LiveKit's own agents.
const TRACK_NAME: &str = "roomio_audio";

/// Ticks that are caught up after a stall; more are left out.
const CATCH_UP: Duration = Duration::from_millis(400);

/// When a fresh participation looks for an elder twin: a dead agent is gone after 21 s.
const FRESH_TWIN: Duration = Duration::from_secs(25);

/// When one that joined anew does.
const AGAIN_TWIN: Duration = Duration::from_secs(2);

/// How long after a connection's end the server may take to say why.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// How a participation ended.
#[derive(Debug)]
pub(super) enum End {
    /// For good.
    Closed(Closed),
    /// It must begin anew; why, for the log.
    Rejoin(String),
}

/// One participation.
pub(super) struct Session<'a> {
    seat: &'a mut Seat,
    asks: mpsc::Sender<Ask>,
    tells: mpsc::Receiver<Tell>,
    publisher: Line,
    subscriber: Line,
    mend: Mend,
    inbox: Inbox,
    /// Our track's name before the server gave it one.
    cid: String,
    published: Option<TrackInfo>,
    /// An administrator has switched our microphone off.
    hushed: bool,
    /// Which track each section of the subscriber carries.
    mids: HashMap<Mid, String>,
    ears: HashMap<Mid, Ear>,
    last_offer: String,
    last_answer: String,
    tick: Instant,
    /// Our track has been subscribed to by somebody.
    subscribed: bool,
    audible: bool,
    audible_at: Option<Instant>,
    twin_at: Option<Instant>,
    /// A connection has ended for good. The reason is on its way, or there is none.
    ended_at: Option<Instant>,
    /// The next list of participants is the whole one of a resume.
    expects_all: bool,
    our_sid: String,
    joined_at_ms: i64,
    token_kept: Instant,
    next_request: u32,
    /// RTP time of the voice's zero.
    time_base: u32,
    tasks: JoinSet<()>,
}

/// One microphone as it comes.
struct Ear {
    track: String,
    ssrc: u32,
    hearing: Hearing,
}

/// What the loop waited for.
enum Heard {
    Tell(Option<Tell>),
    Command(Option<RoomCommand>),
    Datagram(usize, usize, usize, SocketAddr),
    Stop,
    Time,
}

impl<'a> Session<'a> {
    /// Begins with what the server said first: our voice and our channels are offered, and all
    /// microphones asked for, at once.
    pub(super) fn start(
        seat: &'a mut Seat,
        opened: Opened,
        ips: &[IpAddr],
    ) -> Result<Self, JoinError> {
        let now = Instant::now();
        let (asks, asked) = mpsc::channel(ASKS);
        let (tell, tells) = mpsc::channel(ASKS);
        let cid = format!("caal-{:016x}", dice());
        let mut publisher = Line::new(ips, Channels::Create, now)?;
        publisher.peer.speak(Msid {
            stream: "agent".to_owned(),
            track: cid.clone(),
        });
        let subscriber = Line::new(ips, Channels::Await, now)?;
        let join = opened.join.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(opened.run(asked, tell));
        let twin = if seat.again { AGAIN_TWIN } else { FRESH_TWIN };
        let mut session = Self {
            seat,
            asks,
            tells,
            publisher,
            subscriber,
            mend: Mend::joining(now),
            inbox: Inbox::default(),
            cid,
            published: None,
            hushed: false,
            mids: HashMap::new(),
            ears: HashMap::new(),
            last_offer: String::new(),
            last_answer: String::new(),
            tick: now,
            subscribed: false,
            audible: false,
            audible_at: None,
            twin_at: Some(now + twin),
            ended_at: None,
            expects_all: false,
            our_sid: String::new(),
            joined_at_ms: 0,
            token_kept: now,
            next_request: 1,
            time_base: dice() as u32,
            tasks,
        };
        session.welcome(&join, now);
        Ok(session)
    }

    fn welcome(&mut self, join: &JoinResponse, now: Instant) {
        let us = join.participant.clone().unwrap_or_default();
        self.joined_at_ms = us.joined_at_ms.max(us.joined_at.saturating_mul(1000));
        self.our_sid.clone_from(&us.sid);
        self.seat.our_track = None;
        self.seat.outbox.renumber();
        self.seat.voice.reset();
        self.seat.spoken.anew();
        self.send(Request::AddTrack(AddTrackRequest {
            cid: self.cid.clone(),
            name: TRACK_NAME.to_owned(),
            r#type: TrackType::Audio as i32,
            source: TrackSource::Microphone as i32,
            disable_red: true,
            audio_features: vec![AudioTrackFeature::TfNoDtx as i32],
            ..Default::default()
        }));
        self.offer();
        self.show(self.seat.state);
        let changes = self.seat.roster.joined(&us, &join.other_participants, now);
        self.apply(changes, now);
    }

    /// Takes part until the end.
    pub(super) async fn run(mut self) -> End {
        let mut bytes = [0; DATAGRAM];
        let end = loop {
            if let Some(end) = self.work(Instant::now()) {
                break end;
            }
            let due = self.due();
            let Self {
                seat,
                tells,
                publisher,
                subscriber,
                ..
            } = &mut self;
            let sides = [&publisher.sockets, &subscriber.sockets];
            let heard = tokio::select! {
                biased;
                () = seat.stop.cancelled() => Heard::Stop,
                tell = tells.recv() => Heard::Tell(tell),
                command = seat.commands.recv() => Heard::Command(command),
                () = seat.teller.flush(), if seat.teller.is_waiting() => Heard::Time,
                (side, socket, length, source) = poll_fn(|cx| poll_both(sides, cx, &mut bytes)) => {
                    Heard::Datagram(side, socket, length, source)
                }
                () = sleep_until(due.into()) => Heard::Time,
            };
            if let Some(end) = self.heard(heard, &bytes) {
                break end;
            }
        };
        if matches!(end, End::Closed(_)) {
            // So that nobody sees us sitting there silently for 20 s.
            if self.asks.send(Ask::Leave).await.is_ok() {
                drop(self.tells);
                let _ = timeout(GOODBYE, self.tasks.join_next()).await;
            }
        }
        end
    }

    fn heard(&mut self, heard: Heard, bytes: &[u8]) -> Option<End> {
        let now = Instant::now();
        match heard {
            Heard::Time => None,
            Heard::Stop => Some(End::Closed(Closed::Left)),
            Heard::Tell(Some(tell)) => self.told(tell, now),
            Heard::Tell(None) => Some(End::Rejoin("signalling has ended".to_owned())),
            Heard::Command(None | Some(RoomCommand::Leave)) => Some(End::Closed(Closed::Left)),
            Heard::Command(Some(command)) => {
                self.command(command, now);
                None
            }
            Heard::Datagram(side, socket, length, source) => {
                let line = match side {
                    0 => &mut self.publisher,
                    _ => &mut self.subscriber,
                };
                line.take(now, socket, source, &bytes[..length]);
                None
            }
        }
    }

    /// Everything that can be done without waiting.
    fn work(&mut self, now: Instant) -> Option<End> {
        if now > self.tick + CATCH_UP {
            self.tick = now;
        }
        while self.tick <= now {
            self.tick += FRAME;
            self.every_frame(now);
        }
        while let Some(silence) = self.seat.voice.idle(now) {
            self.speak(silence, now);
        }
        loop {
            self.flush_outbox();
            let mut quiet = true;
            for side in [Side::Publisher, Side::Subscriber] {
                while let Some(event) = self.line(side).poll(now) {
                    quiet = false;
                    if let Some(end) = self.event(side, event, now) {
                        return Some(end);
                    }
                }
            }
            if quiet {
                break;
            }
        }
        let changes = self.seat.roster.expire(now);
        self.apply(changes, now);
        if self.audible_at.is_some_and(|at| at <= now) {
            self.audible_at = None;
            self.audible();
        }
        if self.twin_at.is_some_and(|at| at <= now) {
            self.twin_at = None;
            let name = &self.seat.agent_name;
            if self.seat.roster.has_elder_twin(name, self.joined_at_ms) {
                tracing::info!("another assistant of our name was here first; leaving");
                return Some(End::Closed(Closed::Removed));
            }
        }
        if self.ended_at.is_some_and(|at| at <= now) {
            return Some(End::Rejoin("a peer connection has ended".to_owned()));
        }
        let act = self.mend.tick(now)?;
        self.act(act)
    }

    fn due(&self) -> Instant {
        let lines = [self.publisher.due, self.subscriber.due, self.tick];
        let more = [
            self.seat.voice.due(),
            self.mend.deadline(),
            self.seat.roster.deadline(),
            self.audible_at,
            self.twin_at,
            self.ended_at,
        ];
        let all = lines.into_iter().chain(more.into_iter().flatten());
        all.min().unwrap_or(self.tick)
    }

    fn line(&mut self, side: Side) -> &mut Line {
        match side {
            Side::Publisher => &mut self.publisher,
            Side::Subscriber => &mut self.subscriber,
        }
    }

    // The two peer connections

    fn event(&mut self, side: Side, event: Event, now: Instant) -> Option<End> {
        match event {
            Event::Connected => {
                let act = self.mend.peer_up(side)?;
                self.act(act)
            }
            Event::Disconnected => self.broke(Broken::Peer(side), now),
            Event::Closed => {
                // A room that is closed ends both, and its farewell may come a moment later.
                self.ended_at.get_or_insert(now + FAREWELL);
                None
            }
            Event::Data(_, bytes) => {
                match self.inbox.read(&bytes) {
                    Some(Received::Data {
                        from,
                        topic,
                        payload,
                    }) => self.seat.teller.tell(RoomEvent::Data {
                        from,
                        topic,
                        payload,
                    }),
                    Some(Received::Chat(who, text)) => {
                        self.seat.teller.tell(RoomEvent::Chat(who, text));
                    }
                    None => {}
                }
                None
            }
            Event::Rtp(packet) => {
                self.hear(&packet, now);
                None
            }
            // Sections are read from the server's offers.
            Event::ChannelOpen(_) | Event::MediaAdded(..) | Event::MediaChanged(..) => None,
        }
    }

    fn broke(&mut self, what: Broken, now: Instant) -> Option<End> {
        let act = self.mend.broke(what, now)?;
        self.act(act)
    }

    fn act(&mut self, act: Act) -> Option<End> {
        match act {
            Act::Resume(why) => {
                tracing::info!(?why, "the line to the room is broken; resuming");
                self.seat.broke();
                match self.asks.try_send(Ask::Resume(why)) {
                    Ok(()) => None,
                    Err(_) => Some(End::Rejoin("signalling is stuck".to_owned())),
                }
            }
            Act::Up => {
                let _ = self.asks.try_send(Ask::Resumed);
                self.seat.again = true;
                if std::mem::take(&mut self.seat.broken) {
                    tracing::info!("the line to the room is whole again");
                    self.seat.teller.tell(RoomEvent::Reconnected);
                }
                None
            }
            Act::Rejoin => Some(End::Rejoin("the server could not be reached again".into())),
        }
    }

    // Sound

    fn every_frame(&mut self, now: Instant) {
        let roster = &self.seat.roster;
        let teller = &mut self.seat.teller;
        self.ears.retain(|_, ear| {
            let Some(who) = roster.speaker(&ear.track) else {
                return false; // muted or gone: begins anew with the next sound
            };
            if let Some(sound) = ear.hearing.tick(now) {
                teller.tell(RoomEvent::Sound(who.clone(), sound));
            }
            true
        });
    }

    fn hear(&mut self, packet: &Rtp, now: Instant) {
        let Some(track) = self.mids.get(&packet.mid) else {
            return;
        };
        if self.seat.roster.speaker(track).is_none() {
            return;
        }
        let known = self.ears.get(&packet.mid);
        if known.is_none_or(|ear| ear.ssrc != packet.ssrc || ear.track != *track) {
            let hearing = match Hearing::new() {
                Ok(hearing) => hearing,
                Err(error) => {
                    tracing::error!(%error, "a microphone cannot be heard");
                    return;
                }
            };
            let ear = Ear {
                track: track.clone(),
                ssrc: packet.ssrc,
                hearing,
            };
            self.ears.insert(packet.mid, ear);
        }
        if let Some(ear) = self.ears.get_mut(&packet.mid) {
            let take = match packet.red {
                true => Hearing::push_red,
                false => Hearing::push,
            };
            take(
                &mut ear.hearing,
                packet.seq,
                packet.time,
                &packet.payload,
                now,
            );
        }
    }

    fn voice(&mut self, sound: &Pcm<Hz24k>, now: Instant) {
        let packet = self.seat.voice.encode(sound, now);
        self.speak(packet, now);
    }

    fn speak(&mut self, packet: Outgoing, now: Instant) {
        if self.hushed {
            return;
        }
        let Some(mid) = self.publisher.peer.mid_of(&self.cid) else {
            return;
        };
        let opus = Opus {
            // Wraps as RTP's time does; begins anywhere (RFC 3550, 5.1), but not at zero, where the
            // server sees it run backwards.
            time: self.time_base.wrapping_add(packet.time as u32),
            payload: packet.payload,
            red: None,
            talkspurt: packet.talkspurt,
            level: Some(packet.level),
        };
        // What cannot go now is not wanted later.
        let _ = self.publisher.peer.write_opus(mid, &opus, now);
    }

    fn audible(&mut self) {
        if !self.audible {
            self.audible = true;
            self.seat.teller.tell(RoomEvent::Audible);
        }
    }

    // Commands and data

    fn command(&mut self, command: RoomCommand, now: Instant) {
        match command {
            RoomCommand::Voice(sound) => self.voice(&sound, now),
            RoomCommand::VoicePause => self.seat.voice.over(),
            RoomCommand::State(state) => {
                self.seat.order(RoomCommand::State(state));
                self.show(state);
            }
            other => self.seat.order(other),
        }
    }

    fn show(&mut self, state: AgentState) {
        let request_id = self.next_request;
        self.next_request += 1;
        self.send(Request::UpdateMetadata(UpdateParticipantMetadata {
            attributes: HashMap::from([("lk.agent.state".to_owned(), state.as_str().to_owned())]),
            request_id,
            ..Default::default()
        }));
    }

    fn flush_outbox(&mut self) {
        while let Some(bytes) = self.seat.outbox.next() {
            match self.publisher.peer.send_data(Label::Reliable, &bytes) {
                Sent::Sent => self.seat.outbox.sent(bytes),
                Sent::TooLong => {
                    tracing::warn!(bytes = bytes.len(), "too long for a data packet; not sent");
                    self.seat.outbox.sent(Vec::new());
                }
                Sent::WouldBlock | Sent::NotOpen => break,
            }
        }
    }

    fn send(&mut self, request: Request) {
        if self.asks.try_send(Ask::Send(Box::new(request))).is_err() {
            tracing::warn!("signalling does not keep up; a request is lost");
        }
    }
}
