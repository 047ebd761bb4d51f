//! A room of two without sockets and tasks, for fuzzing: whatever a stranger can say to it, said in a
//! row. Uses what the real door, room and sockets use.

use std::{
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::{Duration, Instant},
};

use livekit_protocol as lk;
use livekit_token::Claims;
use lk::signal_response::Message;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};

use super::{
    door,
    keys::Keys,
    media::{Media, Packet},
    room::{Input, Join, Parts, Room, now_ms},
    words::About,
};
use crate::rtc::{
    RoomCommand, RoomEvent,
    peer::{Label, Proto},
};

/// Longest time that goes by between two of a stranger's words.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

fn keys() -> &'static Arc<Keys> {
    static KEYS: OnceLock<Arc<Keys>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let made = Keys::new("rehearsal", "the secret of a room that nobody can enter");
        Arc::new(made.expect("a key and a secret of letters, long enough"))
    })
}

/// A token and a query as they come to the door.
pub fn knock(query: &str) {
    let _ = keys().verify_join(query);
    door::rehearse(query);
}

/// Says `script` to a fresh room of one person at each of the two doors (0: `/rtc`, 1: `/rtc/v1`). A word of
/// it is one byte that says what it is, two bytes of length (the larger first), and that many bytes: a
/// message of person 0 or 1 (0, 1), their reliable (2, 3) or lossy data (4, 5), a packet from the network to
/// one of them over UDP (6, 7) or TCP (8, 9), the server API's data (10), silence (11: one byte, in eighths
/// of a second), a join request (12, 13). Other numbers count from 0 again.
pub fn overhear(script: &[u8]) {
    let Some(mut stage) = Stage::new() else {
        return; // no memory
    };
    let mut rest = script;
    while let [kind, high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
        let (bytes, later) = after.split_at(length);
        stage.act(kind % 14, bytes);
        rest = later;
    }
}

struct Stage {
    room: Room,
    now: Instant,
    claims: [Claims; 2],
    /// The ends that somebody else would hold, and nobody reads.
    _others: (
        mpsc::Sender<Input>,
        mpsc::Receiver<RoomEvent>,
        mpsc::Sender<RoomCommand>,
    ),
    lines: Vec<mpsc::Receiver<Message>>,
}

impl Stage {
    fn new() -> Option<Self> {
        let (input, inputs) = mpsc::channel(1);
        let (events, told) = mpsc::channel(1);
        let (order, commands) = mpsc::channel(1);
        let room = Room::new(Parts {
            about: About {
                sid: "RM_rehearsal".to_owned(),
                name: "rehearsal".to_owned(),
                people: 1,
                since_ms: now_ms(),
            },
            agent_identity: "agent".to_owned(),
            people: Arc::default(),
            keys: Arc::clone(keys()),
            media: Arc::new(Media::nowhere()),
            lateness: Arc::default(),
            inputs,
            events,
            commands,
            next_session: Arc::new(AtomicU64::new(0)),
        })?;
        let claims = ["0", "1"].map(|identity| {
            let token = keys().mint(identity, "", "rehearsal").ok()?;
            keys().verify_join(&token).ok()
        });
        let [Some(first), Some(second)] = claims else {
            return None;
        };
        let mut stage = Self {
            room,
            now: Instant::now(),
            claims: [first, second],
            _others: (input, told, order),
            lines: Vec::new(),
        };
        for who in 0..2 {
            stage.join(who, lk::JoinRequest::default());
        }
        Some(stage)
    }

    fn join(&mut self, who: usize, request: lk::JoinRequest) {
        // Nobody reads: a line that is full is one that is cut.
        let (out, messages) = mpsc::channel(256);
        self.lines.push(messages);
        let (reply, _) = oneshot::channel();
        self.room.take(Input::Join(Box::new(Join {
            claims: self.claims[who].clone(),
            single: who == 1,
            resume: request.reconnect.then(|| request.participant_sid.clone()),
            request,
            out,
            reply,
        })));
        self.room.settle(self.now);
    }

    fn act(&mut self, kind: u8, bytes: &[u8]) {
        let who = usize::from(kind % 2);
        // Who was sent away is gone; numbers count on.
        let Some(id) = self.room.number_of(["0", "1"][who]) else {
            return self.join(who, lk::JoinRequest::default());
        };
        match kind {
            0 | 1 => {
                if let Ok(request) = lk::SignalRequest::decode(bytes)
                    && let Some(message) = request.message
                {
                    self.room.request(id, message, self.now);
                }
            }
            2 | 3 => self.room.data(id, Label::Reliable, bytes, self.now),
            4 | 5 => self.room.data(id, Label::Lossy, bytes, self.now),
            6..=9 => {
                let packet = Packet {
                    session: id,
                    proto: match kind {
                        6 | 7 => Proto::Udp,
                        _ => Proto::Tcp,
                    },
                    source: ([192, 0, 2, 2], 50_000).into(),
                    destination: ([192, 0, 2, 1], 7882).into(),
                    bytes: bytes.to_vec(),
                };
                self.room.packet(&packet, self.now);
            }
            10 => {
                if let Ok(request) = lk::SendDataRequest::decode(bytes) {
                    self.room.take(Input::Data(request));
                }
            }
            11 => {
                let eighths = bytes.first().copied().unwrap_or(1);
                let pause = Duration::from_millis(125 * u64::from(eighths));
                self.now += pause.min(LONGEST_PAUSE);
                self.room.tick(self.now);
            }
            _ => {
                if let Ok(request) = lk::JoinRequest::decode(bytes) {
                    self.join(who, request);
                }
            }
        }
        self.room.settle(self.now);
    }
}
