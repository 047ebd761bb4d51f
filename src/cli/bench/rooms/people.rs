//! Many people in rooms of their own, as a process of its own so that what they cost is not counted as the
//! server's: signalling, ICE, DTLS and SRTP are real (our own WebRTC peer), their words were encoded before, what
//! they hear is counted and not decoded.
//!
//! A [`Crowd`] as JSON comes on standard input; [`Up`] goes out when they are in, a line comes in to begin,
//! [`Counted`] goes out after the time asked for.

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol as lk;
use lk::{data_packet::Value, signal_request::Message as Ask, signal_response::Message as Say};
use opus::{Application, Encoder};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::{TcpSocket, TcpStream, UdpSocket},
    sync::watch,
    task::JoinSet,
    time::{sleep_until, timeout},
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite};

use crate::{
    audio::{self, Hz16k, Pcm, wav},
    cli::{Failure, bench::stats, out::say},
    rtc::{
        FRAME,
        pacing::{Lateness, Pace},
        peer::{
            Channels, Datagram, Event, Label, Opus, Output, Peer, PeerConfig, Proto, Redundancy,
            Rtp, Video,
        },
        sdp::Msid,
    },
};

/// How long somebody may take to come in.
const JOINS: Duration = Duration::from_secs(30);

/// How many come in at the same time, and how many from one address: a server lets 60 a minute in from one.
const AT_ONCE: usize = 8;
const FROM_ONE_ADDRESS: usize = 40;

/// Frames between two packets of a microphone that hears nothing: Opus' DTX sends one in 400 ms.
const SILENCE_EVERY: u64 = 20;

/// Frames between two signs of life on the line for messages: 5 s, as LiveKit's clients do.
const PING_EVERY: u64 = 250;

/// Who comes and what they do.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Crowd {
    /// Of the server.
    pub(super) address: SocketAddr,
    /// One for each of them.
    pub(super) tokens: Vec<String>,
    /// What they say, in turn; nobody says anything where there are none.
    pub(super) says: Vec<PathBuf>,
    /// From the beginning of one to the beginning of the next.
    pub(super) every_ms: u64,
    /// How long it is counted.
    pub(super) seconds: u64,
}

/// They are in.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Up {
    pub(super) inside: usize,
    /// Why the others are not, each reason once.
    pub(super) refused: Vec<String>,
}

/// What they saw.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Counted {
    /// Packets of the voice that came, and that did not.
    pub(super) packets: u64,
    pub(super) lost: u64,
    /// How late they came, in milliseconds.
    pub(super) late_p50_ms: f64,
    pub(super) late_p99_ms: f64,
    pub(super) late_max_ms: f64,
    /// Answers that the server told of.
    pub(super) answers: u64,
    /// How often somebody woke it.
    pub(super) woken: u64,
    /// Whose connection ended meanwhile, by reason.
    pub(super) gone: BTreeMap<String, u64>,
    pub(super) cpu_seconds: f64,
}

/// What they all count.
#[derive(Default)]
struct Counters {
    packets: AtomicU64,
    lost: AtomicU64,
    answers: AtomicU64,
    woken: AtomicU64,
    gone: Mutex<BTreeMap<String, u64>>,
    lateness: Lateness,
}

/// Runs the crowd that standard input describes.
///
/// # Errors
///
/// When it describes none.
pub(super) async fn run() -> Result<(), Failure> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let crowd = lines.next_line().await.ok().flatten().unwrap_or_default();
    let crowd: Crowd = serde_json::from_str(&crowd).map_err(|e| {
        Failure::request(format!(
            "these are the people of other benches, who are told on standard input what to do ({e}); use: caal bench rooms crowd"
        ))
    })?;
    let says = crowd
        .says
        .iter()
        .map(|path| spoken(&audio::resample(&wav::read(path)?), crowd.every_ms))
        .collect::<Result<Vec<_>, Failure>>()?;
    let counters = Arc::new(Counters::default());
    let (begin, begun) = watch::channel(false);
    let (mut inside, mut refused) = (0, Vec::new());
    let mut coming = JoinSet::new();
    let mut people = JoinSet::new();
    let all = crowd.tokens.len();
    for (n, token) in crowd.tokens.into_iter().enumerate() {
        if coming.len() >= AT_ONCE {
            settle(
                coming.join_next().await,
                &mut people,
                &mut inside,
                &mut refused,
                &counters,
            );
        }
        let words = Words {
            packets: says.get(n % says.len().max(1)).cloned().unwrap_or_default(),
            // Evenly over time.
            offset: crowd.every_ms / 20 * n as u64 / all as u64,
            begun: begun.clone(),
        };
        coming.spawn(async move {
            let joining = Person::join(crowd.address, &token, n, words);
            match timeout(JOINS, joining).await {
                Ok(joined) => joined,
                Err(_) => Err("no voice was heard of in time".to_owned()),
            }
        });
    }
    while let Some(joined) = coming.join_next().await {
        settle(
            Some(joined),
            &mut people,
            &mut inside,
            &mut refused,
            &counters,
        );
    }
    tell(&Up { inside, refused })?;
    if lines.next_line().await.ok().flatten().is_none() {
        return Ok(());
    }
    let _ = begin.send(true);
    let cpu = stats::cpu_seconds().unwrap_or_default();
    for counter in [
        &counters.packets,
        &counters.lost,
        &counters.answers,
        &counters.woken,
    ] {
        counter.store(0, Relaxed);
    }
    counters.lateness.reset();
    sleep_until((Instant::now() + Duration::from_secs(crowd.seconds)).into()).await;
    let late = counters.lateness.summary();
    tell(&Counted {
        packets: counters.packets.load(Relaxed),
        lost: counters.lost.load(Relaxed),
        late_p50_ms: late.p50,
        late_p99_ms: late.p99,
        late_max_ms: late.max,
        answers: counters.answers.load(Relaxed),
        woken: counters.woken.load(Relaxed),
        gone: counters
            .gone
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone(),
        cpu_seconds: stats::cpu_seconds().unwrap_or_default() - cpu,
    })?;
    // Until nobody wants them any more.
    let _ = lines.next_line().await;
    Ok(())
}

fn tell(what: &impl Serialize) -> Result<(), Failure> {
    say(serde_json::to_string(what).expect("numbers and names are JSON"))?;
    let _ = std::io::stdout().flush();
    Ok(())
}

type Joined = Result<Result<Person, String>, tokio::task::JoinError>;

fn settle(
    joined: Option<Joined>,
    people: &mut JoinSet<()>,
    inside: &mut usize,
    refused: &mut Vec<String>,
    counters: &Arc<Counters>,
) {
    match joined {
        Some(Ok(Ok(person))) => {
            *inside += 1;
            let counters = Arc::clone(counters);
            people.spawn(async move {
                let why = person.stay(&counters).await;
                let mut gone = counters.gone.lock().unwrap_or_else(PoisonError::into_inner);
                *gone.entry(why).or_default() += 1;
            });
        }
        Some(Ok(Err(why))) if !refused.contains(&why) => refused.push(why),
        Some(Ok(Err(_)) | Err(_)) | None => {}
    }
}

/// What a microphone sends every 20 ms: a packet, or nothing.
type Packets = Arc<[Option<Arc<[u8]>>]>;

/// One encoded frame each 20 ms of `every_ms`; none where Opus has nothing to send.
fn spoken(clip: &Pcm<Hz16k>, every_ms: u64) -> Result<Packets, Failure> {
    let broken = |e: opus::Error| Failure::internal(format!("no Opus encoder: {e}"));
    let mut encoder =
        Encoder::new(16_000, opus::Channels::Mono, Application::Voip).map_err(broken)?;
    encoder.set_dtx(true).map_err(broken)?;
    let mut samples = clip.samples().to_vec();
    samples.resize(every_ms as usize * 16 / 320 * 320, 0.0);
    let mut packet = [0; 1_275];
    samples
        .chunks(320)
        .map(|frame| {
            let length = encoder.encode_float(frame, &mut packet).map_err(broken)?;
            // Two bytes and less are not worth a packet (RFC 7587, 3.1.3).
            Ok((length > 2).then(|| packet[..length].into()))
        })
        .collect()
}

/// What somebody says, and when.
struct Words {
    packets: Packets,
    offset: u64,
    begun: watch::Receiver<bool>,
}

/// A peer connection with its socket.
struct Side {
    peer: Peer,
    socket: UdpSocket,
    address: SocketAddr,
    due: Instant,
}

impl Side {
    async fn new(channels: Channels) -> std::io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, now) = (socket.local_addr()?, Instant::now());
        let config = PeerConfig {
            udp: &[address],
            tcp: &[],
            video: Video::Refuse,
            redundancy: Redundancy::Refuse,
            channels,
            max_stun_retransmits: None,
        };
        Ok(Self {
            peer: Peer::new(&config, now),
            socket,
            address,
            due: now,
        })
    }

    fn take(&mut self, source: SocketAddr, bytes: &[u8], now: Instant) {
        let datagram = Datagram {
            proto: Proto::Udp,
            source,
            destination: self.address,
            bytes,
        };
        self.peer.handle_datagram(now, &datagram);
    }

    fn poll(&mut self, now: Instant) -> Option<Event> {
        loop {
            match self.peer.poll(now) {
                Output::Transmit(packet) => {
                    let _ = self.socket.try_send_to(&packet.bytes, packet.destination);
                }
                Output::Event(event) => return Some(event),
                Output::Deadline(due) => {
                    self.due = due;
                    return None;
                }
            }
        }
    }
}

/// Somebody in a room, over two connections (`/rtc`).
struct Person {
    line: WebSocketStream<TcpStream>,
    publisher: Side,
    subscriber: Side,
    track: String,
    words: Words,
    /// 20 ms of silence, as Opus says it.
    silence: Arc<[u8]>,
    next: Instant,
    frames: u64,
    /// Frames since it began to speak.
    spoke: u64,
    /// Number of the last packet heard.
    last: Option<u64>,
    pace: Pace,
}

/// What one round of a person's life brought.
enum Seen {
    Rtp(Rtp),
    Data(Vec<u8>),
}

impl Person {
    /// Comes in; there when the assistant's voice could be heard.
    async fn join(
        server: SocketAddr,
        token: &str,
        number: usize,
        words: Words,
    ) -> Result<Self, String> {
        let said = |e: &dyn std::fmt::Display| e.to_string();
        let socket = TcpSocket::new_v4().map_err(|e| said(&e))?;
        let host = Ipv4Addr::new(127, 0, 1, (number / FROM_ONE_ADDRESS + 1) as u8);
        // Where loopback has one address only, all come from it.
        let _ = socket.bind((host, 0).into());
        let stream = socket.connect(server).await.map_err(|e| said(&e))?;
        let url = format!("ws://{server}/rtc?access_token={token}&protocol=16&auto_subscribe=1");
        let (line, _) = client_async(url, stream).await.map_err(|e| match e {
            tungstenite::Error::Http(answer) => format!("the door says {}", answer.status()),
            other => other.to_string(),
        })?;
        let mut encoder =
            Encoder::new(16_000, opus::Channels::Mono, Application::Voip).map_err(|e| said(&e))?;
        let silence = encoder
            .encode_vec_float(&[0.0; 320], 1_275)
            .map_err(|e| said(&e))?;
        let track = format!("microphone-{number}");
        let mut person = Self {
            line,
            publisher: Side::new(Channels::Create).await.map_err(|e| said(&e))?,
            subscriber: Side::new(Channels::Await).await.map_err(|e| said(&e))?,
            track,
            words,
            silence: silence.into(),
            next: Instant::now(),
            frames: 0,
            spoke: 0,
            last: None,
            pace: Pace::default(),
        };
        let mut nothing = Vec::new();
        while !(person.publisher.peer.is_connected() && person.subscriber.peer.is_connected()) {
            person.step(&mut nothing).await?;
        }
        Ok(person)
    }

    /// Until the connection ends.
    async fn stay(mut self, counters: &Counters) -> String {
        let mut seen = Vec::new();
        loop {
            if let Err(why) = self.step(&mut seen).await {
                return why;
            }
            for what in seen.drain(..) {
                match what {
                    Seen::Rtp(rtp) => self.heard(&rtp, counters),
                    Seen::Data(bytes) => told(&bytes, counters),
                }
            }
        }
    }

    fn heard(&mut self, rtp: &Rtp, counters: &Counters) {
        counters.packets.fetch_add(1, Relaxed);
        let last = self.last.replace(rtp.seq);
        if let Some(last) = last {
            let missing = rtp.seq.saturating_sub(last + 1);
            counters.lost.fetch_add(missing, Relaxed);
        }
        if let Some(late) = self.pace.frame(Instant::now()) {
            counters.lateness.note(late);
        }
    }

    /// Waits for the next thing and deals with it.
    async fn step(&mut self, seen: &mut Vec<Seen>) -> Result<(), String> {
        let mut first = [0; 2_048];
        let mut second = [0; 2_048];
        let due = self.publisher.due.min(self.subscriber.due).min(self.next);
        tokio::select! {
            message = self.line.next() => match message {
                Some(Ok(tungstenite::Message::Binary(bytes))) => self.signal(&bytes).await?,
                Some(Ok(_)) => {}
                Some(Err(e)) => return Err(e.to_string()),
                None => return Err("the line was closed".to_owned()),
            },
            Ok((n, source)) = self.publisher.socket.recv_from(&mut first) => {
                self.publisher.take(source, &first[..n], Instant::now());
            }
            Ok((n, source)) = self.subscriber.socket.recv_from(&mut second) => {
                self.subscriber.take(source, &second[..n], Instant::now());
            }
            () = sleep_until(due.into()) => {}
        }
        let now = Instant::now();
        while self.next <= now {
            self.next += FRAME;
            self.speak(now);
            if self.frames.is_multiple_of(PING_EVERY) {
                self.ask(Ask::Ping(0)).await?;
            }
        }
        for side in [&mut self.publisher, &mut self.subscriber] {
            while let Some(event) = side.poll(now) {
                match event {
                    Event::Rtp(rtp) => seen.push(Seen::Rtp(rtp)),
                    Event::Data(Label::Reliable, bytes) => seen.push(Seen::Data(bytes)),
                    Event::Closed => return Err("the connection ended".to_owned()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// The next 20 ms of the microphone.
    fn speak(&mut self, now: Instant) {
        self.frames += 1;
        let packets = &self.words.packets;
        let payload = if *self.words.begun.borrow() && !packets.is_empty() {
            self.spoke += 1;
            // Those who come later in the round begin with their silence.
            let at = (self.spoke + packets.len() as u64 - self.words.offset) % packets.len() as u64;
            packets[at as usize].clone()
        } else {
            self.frames
                .is_multiple_of(SILENCE_EVERY)
                .then(|| Arc::clone(&self.silence))
        };
        let Some(mid) = self.publisher.peer.mid_of(&self.track) else {
            return;
        };
        if let Some(payload) = payload {
            let opus = Opus {
                time: (self.frames * 960) as u32,
                payload,
                red: None,
                talkspurt: false,
                level: None,
            };
            self.publisher.peer.write_opus(mid, &opus, now);
        }
    }

    async fn signal(&mut self, bytes: &[u8]) -> Result<(), String> {
        let message = lk::SignalResponse::decode(bytes).map_err(|e| e.to_string())?;
        match message.message {
            Some(Say::Join(_)) => {
                self.ask(Ask::AddTrack(lk::AddTrackRequest {
                    cid: self.track.clone(),
                    name: "microphone".to_owned(),
                    r#type: lk::TrackType::Audio as i32,
                    source: lk::TrackSource::Microphone as i32,
                    ..Default::default()
                }))
                .await?;
                self.publisher.peer.speak(Msid {
                    stream: "crowd".to_owned(),
                    track: self.track.clone(),
                });
                let offer = self.publisher.peer.offer().ok_or("nothing to offer")?;
                self.ask(Ask::Offer(description("offer", offer.id, offer.sdp)))
                    .await
            }
            Some(Say::Answer(answer)) => self
                .publisher
                .peer
                .apply_answer(answer.id, &answer.sdp)
                .map_err(|e| e.to_string()),
            Some(Say::Offer(offer)) => {
                let answer = self.subscriber.peer.answer(&offer.sdp);
                let answer = answer.map_err(|e| e.to_string())?;
                self.ask(Ask::Answer(description("answer", offer.id, answer)))
                    .await
            }
            Some(Say::Leave(leave)) => Err(format!("sent away: {:?}", leave.reason())),
            _ => Ok(()),
        }
    }

    async fn ask(&mut self, message: Ask) -> Result<(), String> {
        let request = lk::SignalRequest {
            message: Some(message),
        };
        let frame = tungstenite::Message::Binary(request.encode_to_vec().into());
        self.line.send(frame).await.map_err(|e| e.to_string())
    }
}

fn description(kind: &str, id: u32, sdp: String) -> lk::SessionDescription {
    lk::SessionDescription {
        r#type: kind.to_owned(),
        sdp,
        id,
        ..Default::default()
    }
}

fn told(bytes: &[u8], counters: &Counters) {
    let Ok(packet) = lk::DataPacket::decode(bytes) else {
        return;
    };
    if let Some(Value::User(user)) = packet.value {
        match user.topic.as_deref() {
            Some("caal.turn") => _ = counters.answers.fetch_add(1, Relaxed),
            Some("wakeword_state") if user.payload.ends_with(br#""active"}"#) => {
                counters.woken.fetch_add(1, Relaxed);
            }
            _ => {}
        }
    }
}
