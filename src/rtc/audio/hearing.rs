//! One remote microphone: Opus packets as the network brings them in, 20 ms of PCM every 20 ms out.
//!
//! There is one timeline, the sender's RTP time. `cursor` is the place on it up to which sound was made;
//! each tick makes what is missing to 20 ms, from the packet that belongs there, from the redundancy in
//! the one after it, by concealment, or as silence. A packet that comes after its place was concealed,
//! with nothing after it played yet, moves the cursor back: the wait grows and no word is lost. Quiet
//! moments are where the wait is changed otherwise ([`super::jitter`]).
//!
//! A sender that pauses (DTX) leaves time out, but no sequence number: silence, not loss.

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use opus::{Channels, Decoder};

use super::{
    AudioError, FRAME_TICKS,
    jitter::{Change, Delay, LONGEST},
    queue::{Arrival, Packet, Queue},
    quiet::{Moment, Quiet},
    red,
};
use crate::audio::{Hz16k, Pcm, rms};

/// Samples of a tick: 20 ms at 16 kHz.
const FRAME: usize = 320;

/// RTP ticks of a sample at 16 kHz.
const TICKS: i64 = 3;

/// Shortest sound Opus knows, 2.5 ms; concealment comes in multiples of it.
const GRAIN: i64 = 120;

/// Longest packet, 120 ms.
const LONGEST_PACKET: i64 = 5_760;

/// Bytes of the largest packet taken: a UDP datagram of the internet holds no more.
const MOST_BYTES: usize = 1_500;

/// How long sound is made up before silence takes its place: three packets, after which concealment
/// is a drone.
const CONCEALED: i64 = 3 * FRAME_TICKS;

/// Longest wait that a late packet may bring about; the bound aimed at, one tick and one packet.
const LONGEST_WAIT: i64 = LONGEST + 2 * FRAME_TICKS;

/// A wait beyond which sound is skipped at once, whatever it is: 400 ms, after a stalled tick or a
/// network that held everything back and then brought it all.
const TOO_LONG: i64 = 19_200;

/// A step of the RTP time against the wall clock that means a new stream: 2 s.
const NEW_STREAM: i64 = 96_000;

/// The same in sequence numbers: a minute.
const NEW_NUMBERS: u64 = 3_000;

/// Samples over which sound that ends is faded, 5 ms: no click.
const FADE: usize = 80;

/// What became of the packets, since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HearingStats {
    /// Packets with sound that came, but for those that came twice.
    pub received: u64,
    /// Packets that were not there when they were due.
    pub lost: u64,
    /// Lost packets whose sound the next one's redundancy brought.
    pub recovered: u64,
    /// Sound made up: for losses, and at the beginning of each pause, which cannot be told from one.
    pub concealed: Duration,
    /// Packets that came too late to be played. They count as lost, too.
    pub late: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that are no Opus.
    pub broken: u64,
    /// How long a packet that came the fastest way and was played in the last tick had waited.
    pub wait: Duration,
    /// The wait aimed at.
    pub target: Duration,
}

/// The ear for one remote microphone.
///
/// Sound comes out about 40 to 60 ms after it came in on an even network, up to 260 ms on a bad one.
/// Memory is bounded whatever comes. Opus of any frame length, mono or stereo (mixed by the decoder), is
/// decoded straight to 16 kHz.
pub struct Hearing {
    decoder: Decoder,
    /// When the stream's first packet came, and its RTP time: zero on both clocks.
    origin: Option<(Instant, u64)>,
    queue: Queue,
    delay: Delay,
    /// End of the sound made, on the sender's clock; none before the stream's first tick.
    cursor: Option<i64>,
    /// End of the last packet played; none before the first.
    played: Option<i64>,
    /// Time of the present tick.
    wall: i64,
    /// Ticks of sound made up or silent since the last packet.
    gap: i64,
    quiet: Quiet,
    /// Sound made and not yet given, less than a packet.
    ready: VecDeque<f32>,
    /// Last sample made.
    last: f32,
    /// Sound left out, which what follows is faded in from.
    left_out: Vec<f32>,
    /// A packet has come at some time.
    begun: bool,
    /// When the last one with sound came, and the highest number of those; of this stream.
    newest: Option<(Instant, u64)>,
    stats: HearingStats,
}

impl fmt::Debug for Hearing {
    /// Numbers only: sound is personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hearing").field(&self.stats).finish()
    }
}

impl Hearing {
    /// An ear that has heard nothing yet.
    ///
    /// # Errors
    ///
    /// [`AudioError::Decoder`]: no memory.
    pub fn new() -> Result<Self, AudioError> {
        Ok(Self {
            decoder: Decoder::new(16_000, Channels::Mono).map_err(AudioError::Decoder)?,
            origin: None,
            queue: Queue::default(),
            delay: Delay::default(),
            cursor: None,
            played: None,
            wall: 0,
            gap: CONCEALED,
            quiet: Quiet::default(),
            ready: VecDeque::with_capacity(FRAME + (LONGEST_PACKET / TICKS) as usize),
            last: 0.0,
            left_out: Vec::new(),
            begun: false,
            newest: None,
            stats: HearingStats::default(),
        })
    }

    /// Takes a packet: `seq` and `time` (ticks of 48 kHz) as the RTP header has them, extended to 64
    /// bits; `payload` is Opus, or empty for a packet of padding. A sequence number or a time that is
    /// far from the last ones begins a new stream.
    pub fn push(&mut self, seq: u64, time: u64, payload: &[u8], now: Instant) {
        self.take(seq, time, payload, now, Source::Own);
    }

    /// Takes a packet of RED (RFC 2198) with Opus in it; see [`Self::push`]. The blocks before its own
    /// are taken for the packets directly before it, where those are missing. Empty: padding, as in
    /// [`Self::push`]; browsers send it among the first packets of speech, to see how much the line takes.
    pub fn push_red(&mut self, seq: u64, time: u64, payload: &[u8], now: Instant) {
        if payload.is_empty() {
            return self.push(seq, time, payload, now);
        }
        let Some(blocks) = red::unpack(payload) else {
            self.stats.broken += 1;
            return;
        };
        let older = blocks.len() as u64 - 1;
        for (block, back) in blocks.iter().zip((0..=older).rev()) {
            let (Some(seq), Some(time)) = (
                seq.checked_sub(back),
                time.checked_sub(u64::from(block.offset)),
            ) else {
                continue;
            };
            let source = match back {
                0 => Source::Own,
                _ if self.origin.is_none() || block.payload.is_empty() => continue,
                _ => Source::Repeated,
            };
            self.take(seq, time, block.payload, now, source);
        }
    }

    /// Forgets the stream, for one that has another SSRC: the next packet begins it. [`Self::tick`] goes
    /// on giving sound.
    pub fn restart(&mut self) {
        // Cannot fail on a decoder that exists; one that remembers a little is no harm.
        self.decoder.reset_state().ok();
        self.origin = None;
        self.queue = Queue::default();
        self.delay = Delay::default();
        self.cursor = None;
        self.played = None;
        self.gap = CONCEALED;
        self.newest = None;
    }

    /// The next 20 ms: 320 samples. `None` before the first packet. To be called every 20 ms.
    pub fn tick(&mut self, now: Instant) -> Option<Pcm<Hz16k>> {
        if !self.begun {
            return None;
        }
        if let Some((began, _)) = self.origin {
            self.wall = ticks(now.saturating_duration_since(began));
            self.set_off();
            self.keep_up();
        }
        while self.ready.len() < FRAME {
            match self.cursor {
                Some(cursor) => self.make(cursor),
                None => self.silence(FRAME),
            }
        }
        let out: Vec<f32> = self.ready.drain(..FRAME).collect();
        Some(Pcm::new(out))
    }

    /// What became of the packets so far, and the wait now.
    pub fn stats(&self) -> HearingStats {
        HearingStats {
            // The last tick's sound has left; it is that one's wait which was.
            wait: duration(self.wait().map_or(0, |wait| wait + FRAME_TICKS)),
            target: duration(self.delay.target()),
            ..self.stats
        }
    }

    fn take(&mut self, seq: u64, time: u64, payload: &[u8], now: Instant, source: Source) {
        let Some(duration) = length(payload) else {
            self.stats.broken += 1;
            return;
        };
        let heard_now = source == Source::Own && duration > 0;
        if source == Source::Own && self.is_far(seq)
            || heard_now && self.is_elsewhere(seq, time, now)
        {
            self.restart();
        }
        self.begun = true;
        if heard_now {
            let highest = self.newest.map_or(seq, |(_, highest)| highest.max(seq));
            self.newest = Some((now, highest));
        }
        let (began, zero) = *self.origin.get_or_insert((now, time));
        let packet = Packet {
            // Both are less than two seconds from what the stream had so far, or this would be another.
            time: time.wrapping_sub(zero) as i64,
            duration,
            payload: payload.into(),
        };
        let at = packet.time;
        // Padding takes numbers, too: by its number the sound before this packet would be where padding is, or
        // was lost, and be played twice. Its time tells.
        let played = self.played.is_some_and(|end| at < end);
        if source == Source::Repeated && (played || self.queue.holds(at)) {
            return;
        }
        let arrival = self.queue.push(seq, packet);
        if source == Source::Repeated {
            return;
        }
        match arrival {
            Arrival::Twice => self.stats.duplicates += 1,
            Arrival::Late => self.stats.late += 1,
            Arrival::Held => {}
        }
        // Padding says nothing of the way: its time is that of the sound before it, whenever it is sent.
        if arrival != Arrival::Twice && duration > 0 {
            self.stats.received += 1;
            let wall = ticks(now.saturating_duration_since(began));
            self.delay.came(at, wall);
        }
    }

    /// By its number, a packet of another stream.
    fn is_far(&self, seq: u64) -> bool {
        let far = |next: u64| next.abs_diff(seq) > NEW_NUMBERS;
        self.queue.next().is_some_and(far) || self.queue.first().is_some_and(|(seq, _)| far(seq))
    }

    /// By its time, sound of another stream. Padding has the time of the sound before it, whenever it is sent.
    fn is_elsewhere(&self, seq: u64, time: u64, now: Instant) -> bool {
        let Some((began, zero)) = self.origin else {
            return false;
        };
        let offset = ticks(now.saturating_duration_since(began))
            .wrapping_sub(time.wrapping_sub(zero) as i64);
        let floor = self.delay.floor().unwrap_or(offset);
        let step = offset.wrapping_sub(floor);
        step.unsigned_abs() > NEW_STREAM as u64 || step > LONGEST_WAIT && self.stalled(seq, now)
    }

    /// Whether nothing had come for long when the packet `seq` came, the first of what follows. The sender may
    /// have stood still, and its clock with it (a microphone that starts or changes, a busy machine): by the old
    /// clock all that follows would be too late to be heard. If it was the network that stood still, the packets
    /// that it held back come at once now, and all but the last of them are skipped.
    fn stalled(&self, seq: u64, now: Instant) -> bool {
        self.newest.is_some_and(|(came, highest)| {
            seq > highest && ticks(now.saturating_duration_since(came)) > LONGEST_WAIT
        })
    }

    /// How long a packet waits that took the fastest way and is played now.
    fn wait(&self) -> Option<i64> {
        let made = self.ready.len() as i64 * TICKS;
        Some(self.wall - self.delay.floor()? - (self.cursor? - made))
    }

    /// At the stream's first tick: two frames of silence, then its first packet. Whole frames, so that
    /// packets of 20 ms and ticks go in step.
    fn set_off(&mut self) {
        if self.cursor.is_none()
            && let Some((_, first)) = self.queue.first()
        {
            let made = self.ready.len() as i64 * TICKS;
            self.cursor = Some(first.time - (2 * FRAME_TICKS - made).max(0));
        }
    }

    /// Before each tick: sees to it that the wait is near the one aimed at, where that costs nothing or
    /// must be.
    fn keep_up(&mut self) {
        let (Some(cursor), Some(wait)) = (self.cursor, self.wait()) else {
            return;
        };
        self.delay.tick(wait);
        let surplus = wait - self.delay.target();
        if wait > TOO_LONG {
            // Of what is held, as much is kept as may wait; quiet moments shorten that.
            let first = self.queue.first().map_or(i64::MAX, |(_, p)| p.time);
            let ahead = first.saturating_sub(cursor).clamp(wait - LONGEST, surplus);
            self.skip(cursor + ahead / FRAME_TICKS * FRAME_TICKS);
        } else if self.gap >= CONCEALED
            && let Some(played) = self.played
        {
            // In silence the cursor may go where it likes, between what was played and what is next.
            let frames = match surplus {
                FRAME_TICKS.. => surplus / FRAME_TICKS,
                ..=-480 => surplus.div_euclid(FRAME_TICKS),
                _ => 0,
            };
            let first = self.queue.first().map_or(i64::MAX, |(_, p)| p.time);
            let forward = (first.saturating_sub(cursor) / FRAME_TICKS).max(0);
            let back = ((cursor - played) / FRAME_TICKS).max(0);
            self.cursor = Some(cursor + frames.clamp(-back, forward) * FRAME_TICKS);
        }
    }

    /// Goes on at `to`; the packets before it are not played.
    fn skip(&mut self, to: i64) {
        while let Some((seq, packet)) = self.queue.first()
            && packet.time < to
        {
            self.stats.lost += self.queue.missing_before(seq) + 1;
            self.stats.late += 1;
            self.queue.pop();
        }
        self.cursor = Some(to);
    }

    /// Makes the next piece of sound at `cursor`, or gives up a packet.
    fn make(&mut self, cursor: i64) {
        // Padding only takes a number; what comes after it is no later for it.
        while let Some((seq, packet)) = self.queue.first()
            && packet.duration == 0
            && self.queue.missing_before(seq) == 0
        {
            self.queue.pop();
        }
        let Some((seq, packet)) = self.queue.first() else {
            return self.fill(cursor, FRAME_TICKS);
        };
        let ahead = packet.time - cursor;
        let wait = self.wait().unwrap_or(0);
        let missing = self.queue.missing_before(seq);
        if ahead < 0 && wait - ahead > LONGEST_WAIT {
            self.stats.lost += missing + 1;
            self.stats.late += 1;
            self.queue.pop();
        } else if ahead < GRAIN {
            self.play();
        } else if missing == 0 {
            self.fill(cursor, ahead.min(FRAME_TICKS)); // the sender pauses
        } else if wait + FRAME_TICKS <= self.delay.target() {
            // Packets are this late here: gives the missing one another 20 ms.
            self.fill(cursor, FRAME_TICKS);
            self.cursor = Some(cursor);
        } else {
            let mended = redundant(&packet.payload).filter(|span| ahead / GRAIN * GRAIN >= *span);
            match mended {
                Some(span) if ahead < span + GRAIN => self.mend(seq, cursor, ahead),
                Some(span) => self.fill(cursor, (ahead - span).min(FRAME_TICKS)),
                None => self.fill(cursor, ahead.min(FRAME_TICKS)),
            }
        }
    }

    /// Plays the oldest packet, wherever the cursor is.
    fn play(&mut self) {
        let Some((seq, _)) = self.queue.first() else {
            return;
        };
        self.stats.lost += self.queue.missing_before(seq);
        let Some(packet) = self.queue.pop() else {
            return;
        };
        if packet.duration == 0 {
            return;
        }
        let end = packet.time.saturating_add(packet.duration);
        self.cursor = Some(end);
        self.played = Some(end);
        let mut sound = vec![0.0; (packet.duration / TICKS) as usize];
        match self
            .decoder
            .decode_float(&packet.payload, &mut sound, false)
        {
            Ok(_) => {
                self.gap = 0;
                for piece in sound.chunks(FRAME) {
                    self.add(piece);
                }
            }
            Err(_) => {
                self.stats.broken += 1;
                self.fill(packet.time, packet.duration);
            }
        }
    }

    /// Makes the sound of the packet before `seq` from the redundancy in it.
    fn mend(&mut self, seq: u64, cursor: i64, ahead: i64) {
        let Some((_, packet)) = self.queue.first() else {
            return;
        };
        let mut sound = vec![0.0; (ahead / GRAIN * GRAIN / TICKS) as usize];
        let decoded = self.decoder.decode_float(&packet.payload, &mut sound, true);
        let missing = self.queue.give_up_before(seq);
        self.stats.lost += missing;
        if decoded.is_err() {
            return self.fill(cursor, ahead);
        }
        self.stats.recovered += 1;
        self.gap = 0;
        self.cursor = Some(cursor + ahead);
        for piece in sound.chunks(FRAME) {
            self.add(piece);
        }
    }

    /// Adds `length` ticks for which there is no packet: first made up by the decoder, then silent.
    fn fill(&mut self, cursor: i64, length: i64) {
        self.cursor = Some(cursor.saturating_add(length));
        let left = (CONCEALED - self.gap).clamp(0, length) / GRAIN * GRAIN;
        self.gap = self.gap.saturating_add(length);
        if left > 0 {
            let mut sound = vec![0.0; (left / TICKS) as usize];
            if self.decoder.decode_float(&[], &mut sound, false).is_ok() {
                self.stats.concealed += duration(left);
                self.append(&sound);
                return self.silence(((length - left) / TICKS) as usize);
            }
        }
        self.silence((length / TICKS).max(1) as usize);
    }

    /// Adds a piece of decoded sound, at most 20 ms; leaves it out or adds to it where the wait is to
    /// change and it is quiet.
    fn add(&mut self, piece: &[f32]) {
        let moment = self.quiet.judge(rms(piece));
        let length = piece.len() as i64 * TICKS;
        let change = self.wait().map_or(Change::Keep, |w| self.delay.change(w));
        let least = match self.delay.impatient() {
            true => Moment::Soft,
            false => Moment::Quiet,
        };
        match change {
            Change::Shorten if moment >= least && self.queue.first().is_some() => {
                self.left_out = piece.to_vec();
                self.delay.changed(-length);
            }
            Change::Lengthen if moment == Moment::Quiet => {
                self.append(piece);
                // Backwards: it goes on where it is, without a step.
                let again: Vec<f32> = piece.iter().rev().copied().collect();
                self.append(&again);
                self.delay.changed(length);
            }
            _ => self.append(piece),
        }
    }

    fn append(&mut self, sound: &[f32]) {
        let before = std::mem::take(&mut self.left_out);
        for (i, &sample) in sound.iter().enumerate() {
            let sample = match before.get(i).filter(|_| i < FADE) {
                Some(old) => old + (sample - old) * (i as f32 / FADE as f32),
                None => sample,
            };
            // What a stranger's packet decodes to may be anything.
            self.last = match sample.is_nan() {
                true => 0.0,
                false => sample.clamp(-1.0, 1.0),
            };
            self.ready.push_back(self.last);
        }
    }

    /// Adds silence; the sound before it dies away.
    fn silence(&mut self, samples: usize) {
        self.left_out.clear();
        for i in 0..samples {
            let left = FADE.saturating_sub(i + 1);
            self.ready.push_back(self.last * left as f32 / FADE as f32);
        }
        if samples > 0 {
            self.last = 0.0;
        }
    }
}

/// Where a packet comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// It was sent now.
    Own,
    /// It rode in a later one.
    Repeated,
}

/// Ticks of sound in a packet; `None` when it is no Opus.
fn length(payload: &[u8]) -> Option<i64> {
    if payload.is_empty() {
        return Some(0);
    }
    if payload.len() > MOST_BYTES {
        return None;
    }
    let samples = opus::packet::get_nb_samples(payload, 48_000).ok()? as i64;
    // Of multiples of 2.5 ms only, or the sound made would not fit the time.
    (1..=LONGEST_PACKET)
        .contains(&samples)
        .then_some(samples)
        .filter(|s| s % GRAIN == 0)
}

/// Ticks before a packet that its redundancy (LBRR) can make; `None` when it carries none.
///
/// Only SILK has it. Its first byte holds one bit of voice activity for each 20 ms and then one that
/// tells whether there is redundancy, for the middle and then for the side channel (RFC 6716, 4.2.3).
fn redundant(payload: &[u8]) -> Option<i64> {
    let packet = opus::packet::parse(payload).ok()?;
    let celt = packet.toc & 0x80 != 0;
    let first = *packet.frames.first()?.first()?;
    if celt {
        return None;
    }
    let span = opus::packet::get_samples_per_frame(payload, 48_000).ok()? as i64;
    let frames = (span / FRAME_TICKS).clamp(1, 3);
    let middle = first >> (7 - frames) & 1 != 0;
    let stereo = packet.toc & 0x04 != 0;
    let side = stereo && first >> (6 - 2 * frames) & 1 != 0;
    (middle || side).then_some(span)
}

/// As ticks of 48 kHz.
fn ticks(d: Duration) -> i64 {
    i64::try_from(d.as_micros() * 48 / 1_000).unwrap_or(i64::MAX / 2)
}

/// As time.
fn duration(ticks: i64) -> Duration {
    Duration::from_micros(u64::try_from(ticks).unwrap_or(0) * 1_000 / 48)
}
