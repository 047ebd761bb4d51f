//! The assistant's place in one room for as long as it is wanted: from one participation to the next,
//! over server restarts and lost networks, with one conversation at its other end.

use std::{
    collections::VecDeque,
    future::Future,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use livekit_protocol::{DataPacket, data_packet::Value};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    JoinError, Server,
    backoff::Backoff,
    dice,
    jobs::Record,
    packets::{Outbox, user_packet},
    roster::Roster,
    session::{End, Session},
    side::local_ips,
    signal::{self, Refused},
};
use crate::rtc::{
    AgentState, Closed, Identity, Link, RoomCommand, RoomEvent,
    audio::Voice,
    peer::MAX_MESSAGE,
    texts::{self, Spoken},
};

/// Events on their way to the conversation before they wait here.
const EVENTS: usize = 256;

/// Commands on their way to the room: a second of voice and some.
const COMMANDS: usize = 64;

/// Sound that waits for a slow reader, in frames: a second.
const MAX_SOUNDS: usize = 50;

/// Events that wait for a slow reader before strangers' packets are thrown away.
const MAX_WAITING: usize = 512;

/// Bytes of a data packet of ours beside its payload, at most.
const ENVELOPE: usize = 2_048;

/// A participation that lasted so long was a good one: the next wait is short again.
const LASTED: Duration = Duration::from_secs(10);

/// Refusals in a row that count as meant. A server that is being restarted may refuse once.
const REFUSALS: u32 = 3;

/// How long the last event may take to be read.
const FAREWELL: Duration = Duration::from_secs(5);

/// What to join, and as whom.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) server: Server,
    pub(super) room: String,
    pub(super) us: Identity,
    /// What people call us.
    pub(super) name: String,
    pub(super) agent_name: String,
    /// A token to begin with; one is minted where there is none.
    pub(super) token: Option<String>,
    /// We were there before and died: only if the room still is.
    pub(super) again: bool,
    /// What is kept of it on disk.
    pub(super) record: Option<Record>,
}

/// A room's work, to be run for as long as its [`Link`] is used.
#[derive(Debug)]
pub struct Room {
    place: Place,
    seat: Seat,
}

/// What lasts from one participation to the next.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) agent_name: String,
    pub(super) roster: Roster,
    pub(super) voice: Voice,
    pub(super) state: AgentState,
    pub(super) outbox: Outbox,
    pub(super) teller: Teller,
    pub(super) commands: mpsc::Receiver<RoomCommand>,
    pub(super) spoken: Spoken,
    pub(super) stop: CancellationToken,
    /// The newest token of the server.
    pub(super) token: Option<String>,
    pub(super) record: Option<Record>,
    /// We have been in the room before, in this process or in one that died.
    pub(super) again: bool,
    /// The conversation has been told that the line is broken.
    pub(super) broken: bool,
    /// Our track as captions name it.
    pub(super) our_track: Option<String>,
}

impl Room {
    /// A place in the room called `room` on `server`, as `us`, without a worker and a job. `agent_name`
    /// is what explicit dispatches call us, or empty. Nothing happens before [`Room::run`].
    ///
    /// # Errors
    /// [`JoinError::Audio`]: no memory.
    pub fn direct(
        server: &Server,
        room: &str,
        us: Identity,
        agent_name: &str,
    ) -> Result<(Link, Self), JoinError> {
        Self::at(Place {
            server: server.clone(),
            room: room.to_owned(),
            us,
            name: "Agent".to_owned(),
            agent_name: agent_name.to_owned(),
            token: None,
            again: false,
            record: None,
        })
    }

    pub(super) fn at(mut place: Place) -> Result<(Link, Self), JoinError> {
        let (events, told) = mpsc::channel(EVENTS);
        let (orders, commands) = mpsc::channel(COMMANDS);
        let link = Link {
            room: place.room.clone(),
            us: place.us.clone(),
            events: told,
            commands: orders,
        };
        let seat = Seat {
            agent_name: place.agent_name.clone(),
            roster: Roster::default(),
            voice: Voice::new()?,
            state: AgentState::Initializing,
            outbox: Outbox::default(),
            teller: Teller {
                events,
                waiting: VecDeque::new(),
                sounds: 0,
            },
            commands,
            spoken: Spoken::default(),
            stop: CancellationToken::new(),
            token: place.token.take(),
            record: place.record.take(),
            again: place.again,
            broken: false,
            our_track: None,
        };
        Ok((link, Self { place, seat }))
    }

    /// When cancelled, the room is left as if the conversation had said so.
    pub(super) fn stop(&self) -> CancellationToken {
        self.seat.stop.clone()
    }

    /// Joins, and joins again whenever the line breaks, until the conversation leaves (or drops its
    /// link), the room is closed, or the server refuses us for good. A bug in here ends this room and no
    /// other. Dropping it leaves without a word: the server notices after about 20 s.
    pub async fn run(self) -> Closed {
        let Self { place, mut seat } = self;
        let life = AssertUnwindSafe(live(&place, &mut seat)).catch_unwind();
        let closed = life.await.unwrap_or_else(|_| {
            tracing::error!(room = ?place.room, "a bug ended the line to a room");
            Closed::Lost("a bug in CAAL ended the line to the room; please report it".to_owned())
        });
        seat.teller.tell(RoomEvent::Closed(closed.clone()));
        // A reader that does not read its last event has gone.
        let _ = timeout(FAREWELL, seat.teller.flush()).await;
        closed
    }
}

async fn live(place: &Place, seat: &mut Seat) -> Closed {
    let mut backoff = Backoff::default();
    let mut refusals = 0;
    // Only until we are in: a server that is restarted forgets its rooms, and people come back.
    let mut check = place.again;
    loop {
        let token = match seat.token.take() {
            Some(token) => token,
            None => {
                let minted =
                    place
                        .server
                        .room_token(&place.room, &place.us, &place.name, &place.agent_name);
                match minted {
                    Ok(token) => token,
                    Err(error) => return Closed::Lost(error.to_string()),
                }
            }
        };
        let began = Instant::now();
        let joining = async {
            if check && place.server.has_room(&place.room).await == Some(false) {
                return Ok(None);
            }
            let ips = local_ips(place.server.url())
                .await
                .map_err(|e| Refused::Unreachable(e.to_string()))?;
            let opened = signal::open(place.server.url(), &token).await?;
            Ok(Some((opened, ips)))
        };
        let why = match seat.during(joining).await {
            None => return Closed::Left,
            Some(Ok(None)) => return Closed::RoomClosed,
            Some(Ok(Some((opened, ips)))) => {
                (refusals, check) = (0, false);
                match Session::start(seat, opened, &ips) {
                    Ok(session) => match session.run().await {
                        End::Closed(closed) => return closed,
                        End::Rejoin(why) => why,
                    },
                    Err(error) => error.to_string(),
                }
            }
            Some(Err(Refused::Never(why))) => {
                refusals += 1;
                if refusals >= REFUSALS {
                    return Closed::Lost(why);
                }
                why
            }
            Some(Err(Refused::Unreachable(why))) => why,
        };
        if began.elapsed() > LASTED {
            backoff.reset();
        }
        seat.broke();
        let wait = backoff.next(dice());
        tracing::warn!(room = ?place.room, why, ?wait, "not in the room; joining it again");
        if seat.during(sleep(wait)).await.is_none() {
            return Closed::Left;
        }
    }
}

impl Seat {
    /// The line is broken: the conversation is told once.
    pub(super) fn broke(&mut self) {
        if self.again && !self.broken {
            self.broken = true;
            self.teller.tell(RoomEvent::Reconnecting);
        }
    }

    /// Waits for `work` while no participation is there to serve the conversation. `None`: it left.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                done = &mut work => return Some(done),
                command = self.commands.recv() => match command {
                    None | Some(RoomCommand::Leave) => return None,
                    Some(command) => self.order(command),
                },
                () = self.teller.flush(), if self.teller.is_waiting() => {}
                () = sleep(Duration::from_secs(1)) => {
                    let changes = self.roster.expire(Instant::now());
                    for change in changes {
                        if let super::roster::Change::Tell(event) = change {
                            self.teller.tell(event);
                        }
                    }
                }
            }
        }
    }

    /// What a command means wherever we are; voice and goodbyes are not for here.
    pub(super) fn order(&mut self, command: RoomCommand) {
        match command {
            RoomCommand::State(state) => self.state = state,
            RoomCommand::Data { topic, payload, to } => {
                if payload.len() + ENVELOPE > MAX_MESSAGE {
                    let bytes = payload.len();
                    tracing::warn!(topic, bytes, "too long for a data packet; not sent");
                    return;
                }
                self.post(user_packet(topic, payload, &to));
            }
            RoomCommand::UserText {
                who,
                segment,
                text,
                last,
            } => {
                let track = self.roster.microphone(&who);
                let id = format!("{:016x}", dice());
                let values = texts::said(id, &segment, track, &text.0, last, now_ms());
                self.write(who.as_str(), values);
            }
            RoomCommand::VoiceText {
                segment,
                more,
                last,
            } => {
                let id = || Some(format!("{:016x}", dice()));
                let track = self.our_track.as_deref();
                let values = self
                    .spoken
                    .more(segment, &more.0, last, track, id, now_ms());
                self.write("", values);
            }
            RoomCommand::Voice(_) | RoomCommand::VoicePause | RoomCommand::Leave => {}
        }
    }

    /// Packets of a text, as said by `who`; by us where it is empty.
    fn write(&mut self, who: &str, values: Vec<Value>) {
        for value in values {
            self.post(DataPacket {
                participant_identity: who.to_owned(),
                value: Some(value),
                ..Default::default()
            });
        }
    }

    pub(super) fn post(&mut self, packet: DataPacket) {
        if !self.outbox.push(packet) {
            tracing::warn!("data comes faster than it goes; the oldest is lost");
        }
    }
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as i64)
}

/// Events on their way to the conversation, in order. Where it reads slowly, the oldest sound goes first.
#[derive(Debug)]
pub(super) struct Teller {
    events: mpsc::Sender<RoomEvent>,
    waiting: VecDeque<RoomEvent>,
    sounds: usize,
}

impl Teller {
    pub(super) fn tell(&mut self, event: RoomEvent) {
        let event = match self.waiting.is_empty() {
            true => match self.events.try_send(event) {
                Err(mpsc::error::TrySendError::Full(event)) => event,
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => return,
            },
            false => event,
        };
        match &event {
            RoomEvent::Sound(..) => {
                self.sounds += 1;
                if self.sounds > MAX_SOUNDS {
                    let is_sound = |e: &RoomEvent| matches!(e, RoomEvent::Sound(..));
                    if let Some(oldest) = self.waiting.iter().position(is_sound) {
                        self.waiting.remove(oldest);
                    }
                    self.sounds -= 1;
                }
            }
            RoomEvent::Data { .. } | RoomEvent::Chat(..) if self.waiting.len() > MAX_WAITING => {
                return;
            }
            _ => {}
        }
        self.waiting.push_back(event);
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Hands over what waits. May be dropped at any moment and called again.
    pub(super) async fn flush(&mut self) {
        while self.is_waiting() {
            let Ok(permit) = self.events.reserve().await else {
                self.waiting.clear();
                return;
            };
            if let Some(event) = self.waiting.pop_front() {
                self.sounds -= usize::from(matches!(event, RoomEvent::Sound(..)));
                permit.send(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Pcm;

    #[test]
    fn a_slow_reader_loses_the_oldest_sound_and_nothing_else() {
        let (events, mut told) = mpsc::channel(1);
        let mut teller = Teller {
            events,
            waiting: VecDeque::new(),
            sounds: 0,
        };
        let anna = Identity::new("anna");
        teller.tell(RoomEvent::Reconnecting);
        for n in 0..80 {
            let sound = Pcm::new(vec![n as f32]);
            teller.tell(RoomEvent::Sound(anna.clone(), sound));
            if n == 10 {
                teller.tell(RoomEvent::Muted(anna.clone(), true));
            }
        }
        let mut heard = Vec::new();
        let mut muted = false;
        loop {
            match told.try_recv() {
                Ok(RoomEvent::Sound(_, pcm)) => heard.push(pcm.samples()[0] as usize),
                Ok(RoomEvent::Muted(..)) => muted = true,
                Ok(_) => {}
                Err(_) if teller.is_waiting() => {
                    teller.flush().now_or_never();
                }
                Err(_) => break,
            }
        }
        assert_eq!(heard, (30..80).collect::<Vec<_>>());
        assert!(muted);
    }
}
