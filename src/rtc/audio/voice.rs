//! Our voice on its way out: 20 ms of PCM in, one Opus packet with its RTP time out, and the silence that
//! follows. When sound is sent is the pacer's, when silence is this file's, what to say the session's.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use opus::{Application, Bitrate, Channels, Encoder, Signal};

use super::{AudioError, FRAME_TICKS};
use crate::{
    audio::{Hz24k, Pcm},
    rtc::FRAME as FRAME_TIME,
};

/// Samples of a packet: 20 ms at 24 kHz.
const FRAME: usize = 480;

/// Bits a second. Speech at 12 kHz bandwidth has no more to gain above it, and FEC leaves enough for
/// the sound itself.
const BITRATE: i32 = 32_000;

/// Packets in a hundred that the encoder's redundancy is made for. At 10 Opus still spends most bits on
/// the sound (wifi loses 1 to 5 in bursts).
const EXPECTED_LOSS: i32 = 10;

/// How hard the encoder works, 0 to 10. At 5 a second of speech takes 12 ms of CPU, at 10 it takes 18,
/// at 1 it takes 4 (`what_encoding_and_hearing_cost` in the tests): 20 voices at once are a quarter of a
/// core.
const COMPLEXITY: i32 = 5;

/// Longest packet that Opus makes of one frame.
const PACKET: usize = 1_275;

/// Packets of silence after the last sound: 200 ms, in which clients' jitter buffers play all they hold
/// and find silence to conceal with, instead of the end of a word over and over.
const TAIL: u8 = 10;

/// Samples over which sound that stops is faded, 5 ms: no click.
const FADE: usize = 120;

/// Ticks after the last packet's end from which a missing call counts as a pause: a pacer that is two
/// frames late is catching up.
const PAUSE: u64 = 3 * FRAME_TICKS as u64;

/// How long after it was due sound is waited for, where nobody said that none comes: two frames late is
/// late, three is a pause.
const LATE: Duration = Duration::from_millis(2 * FRAME_TIME.as_millis() as u64);

/// One packet to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// RTP time in ticks of 48 kHz, since the first packet. Never goes back; over a pause it goes on
    /// with the wall clock.
    pub time: u64,
    /// One Opus packet of 20 ms.
    pub payload: Arc<[u8]>,
    /// The first packet after a pause: RTP's marker.
    pub talkspurt: bool,
    /// Loudness in dBov, `-127..=0`, as the audio-level extension has it (and str0m, with the sign).
    pub level: i8,
}

/// The encoder of our voice and its clock.
///
/// Opus mono, 20 ms, 32 kbit/s from 24 kHz (Kokoro's rate, which Opus takes as it is), made for speech
/// (VOIP: always SILK or hybrid at this rate, and only those carry in-band FEC; AUDIO may turn to CELT,
/// where a lost packet is lost), in-band FEC for 10 % loss, no DTX: pauses are ours to send or not.
#[derive(Debug)]
pub struct Voice {
    encoder: Encoder,
    /// When the time was zero.
    origin: Option<Instant>,
    /// RTP time after the last packet.
    end: u64,
    /// The next packet is the first after a pause.
    paused: bool,
    /// Packets of silence still to send.
    tail: u8,
    /// When the next packet is due, by the even clock of those before it; none before the first.
    due: Option<Instant>,
    /// Whoever speaks has said that no sound follows at once.
    over: bool,
    /// Last sample sent.
    last: f32,
}

impl Voice {
    /// An encoder that has not spoken yet.
    ///
    /// # Errors
    ///
    /// [`AudioError::Encoder`]: no memory.
    pub fn new() -> Result<Self, AudioError> {
        Ok(Self {
            encoder: encoder(COMPLEXITY).map_err(AudioError::Encoder)?,
            origin: None,
            end: 0,
            paused: true,
            tail: 0,
            due: None,
            over: false,
            last: 0.0,
        })
    }

    /// The packet of the next 20 ms: 480 samples; what is longer is cut off, what is shorter is faded
    /// and followed by silence. Call it when the sound is due, every 20 ms; `now` is that moment.
    pub fn encode(&mut self, sound: &Pcm<Hz24k>, now: Instant) -> Outgoing {
        let mut frame = [0.0; FRAME];
        let sound = &sound.samples()[..sound.len().min(FRAME)];
        for (to, &from) in frame.iter_mut().zip(sound) {
            *to = if from.is_nan() {
                0.0
            } else {
                from.clamp(-1.0, 1.0)
            };
        }
        if !sound.is_empty() {
            self.last = frame[sound.len() - 1];
        }
        self.fade(&mut frame[sound.len()..]);
        self.tail = TAIL;
        self.over = false;
        self.packet(&frame, now, false)
    }

    /// No sound follows the last one at once: silence is due when the next sound would have been. Who
    /// does not say so is taken to have stopped when three frames have not come.
    pub fn over(&mut self) {
        self.over = true;
    }

    /// When [`Self::idle`] has a packet, unless sound comes before.
    pub fn due(&self) -> Option<Instant> {
        let wait = match self.over {
            true => Duration::ZERO,
            false => LATE,
        };
        self.due.filter(|_| self.tail > 0).map(|due| due + wait)
    }

    /// The packet of 20 ms in which there is nothing to say, where one is due: silence for 200 ms after
    /// the last sound, then none. Call it at [`Self::due`], until it gives none.
    pub fn idle(&mut self, now: Instant) -> Option<Outgoing> {
        self.due().filter(|due| *due <= now)?;
        self.tail -= 1;
        let mut frame = [0.0; FRAME];
        self.fade(&mut frame);
        // Sound that stopped without a word was waited for: who listens has had a gap.
        let gap = !self.over;
        self.over = true;
        let packet = self.packet(&frame, now, gap);
        self.paused = self.tail == 0;
        Some(packet)
    }

    /// Forgets the sound so far, for listeners who have not heard it: after a new connection. The time
    /// goes on. Not for cutting a reply short: an encoder that forgets in mid-sound clicks; call
    /// [`Self::idle`] instead, which fades.
    pub fn reset(&mut self) {
        // Cannot fail on an encoder that exists, and one that remembers is no harm.
        self.encoder.reset_state().ok();
        self.paused = true;
        self.tail = 0;
        self.due = None;
        self.last = 0.0;
    }

    /// Lets the last sample die away at the beginning of `rest`.
    fn fade(&mut self, rest: &mut [f32]) {
        let last = self.last;
        for (i, sample) in rest.iter_mut().take(FADE).enumerate() {
            *sample = last * (1.0 - (i + 1) as f32 / FADE as f32);
            self.last = *sample;
        }
    }

    /// `gap`: the one before was to be followed by sound that never came.
    fn packet(&mut self, frame: &[f32; FRAME], now: Instant, gap: bool) -> Outgoing {
        let elapsed = now.saturating_duration_since(*self.origin.get_or_insert(now));
        let wall = (elapsed.as_micros() * 48 / 1_000) as u64;
        let talkspurt = gap || self.paused || wall > self.end + PAUSE;
        let time = match talkspurt {
            true => wall.max(self.end),
            false => self.end,
        };
        self.end = time + FRAME_TICKS as u64;
        // A late packet does not make those after it late; one that goes early makes them early.
        let due = self.due.filter(|_| !talkspurt).unwrap_or(now);
        self.due = Some(due.min(now) + FRAME_TIME);
        self.paused = false;
        let mut packet = [0; PACKET];
        let len = self
            .encoder
            .encode_float(frame, &mut packet)
            .expect("480 samples are 20 ms at 24 kHz, and the buffer holds the longest packet");
        Outgoing {
            time,
            payload: packet[..len].into(),
            talkspurt,
            level: level(crate::audio::rms(frame)),
        }
    }
}

/// An encoder for our voice.
pub(super) fn encoder(complexity: i32) -> Result<Encoder, opus::Error> {
    let mut encoder = Encoder::new(24_000, Channels::Mono, Application::Voip)?;
    encoder.set_bitrate(Bitrate::Bits(BITRATE))?;
    encoder.set_signal(Signal::Voice)?;
    encoder.set_complexity(complexity)?;
    encoder.set_inband_fec(true)?;
    encoder.set_packet_loss_perc(EXPECTED_LOSS)?;
    encoder.set_dtx(false)?;
    Ok(encoder)
}

/// Root mean square as dBov, a square wave of full scale being 0 (RFC 6464).
fn level(rms: f32) -> i8 {
    (20.0 * rms.max(1e-7).log10()).clamp(-127.0, 0.0).round() as i8
}
