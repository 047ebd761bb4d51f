//! A browser's microphone, a network with written chances, and the ear at its end.

use std::time::{Duration, Instant};

use caal::{
    audio::{AnyPcm, Hz48k, Pcm, resample},
    rtc::audio::{Hearing, HearingStats},
};
use opus::{Application, Bitrate, Channels, Encoder};

use crate::support::Dice;

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) seq: u64,
    pub(super) time: u64,
    /// When it is sent, since the first.
    pub(super) at: Duration,
    pub(super) payload: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dtx {
    Off,
    On,
}

/// Opus as Chromium makes it: 48 kHz, VOIP, 32 kbit/s.
pub(super) struct Sender {
    /// Milliseconds of a packet.
    pub(super) frame: f64,
    pub(super) channels: usize,
    pub(super) fec: bool,
    pub(super) dtx: Dtx,
    /// How much the sender's clock runs fast, in millionths.
    pub(super) ppm: i32,
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            frame: 20.0,
            channels: 1,
            fec: true,
            dtx: Dtx::Off,
            ppm: 0,
        }
    }
}

impl Sender {
    /// The packets of `speech` at 16 kHz.
    pub(super) fn packets(&self, speech: &[f32]) -> Vec<Packet> {
        let speech: Pcm<Hz48k> = resample(&AnyPcm {
            rate_hz: 16_000,
            samples: speech.to_vec(),
        });
        let channels = [Channels::Mono, Channels::Stereo][self.channels - 1];
        let mut encoder = Encoder::new(48_000, channels, Application::Voip).unwrap();
        encoder.set_bitrate(Bitrate::Bits(32_000)).unwrap();
        encoder.set_inband_fec(self.fec).unwrap();
        encoder.set_packet_loss_perc(10).unwrap();
        encoder.set_dtx(self.dtx == Dtx::On).unwrap();
        let ticks = (self.frame * 48.0) as usize;
        let mut packets = Vec::new();
        for (i, frame) in speech.samples().chunks_exact(ticks).enumerate() {
            let frame: Vec<f32> = frame.iter().flat_map(|s| vec![*s; self.channels]).collect();
            let payload = encoder.encode_vec_float(&frame, 1_400).unwrap();
            // What Opus makes of silence with DTX is not sent.
            if payload.len() > 2 {
                packets.push(Packet {
                    seq: 7 + packets.len() as u64,
                    time: 5_000 + (i * ticks) as u64,
                    at: self.at((i * ticks) as u64),
                    payload,
                });
            }
        }
        packets
    }

    /// The same sound over and over.
    pub(super) fn repeat(&self, packets: &[Packet], times: usize) -> Vec<Packet> {
        let again = (0..times).map(|i| Packet {
            seq: i as u64,
            time: i as u64 * 960,
            at: self.at(i as u64 * 960),
            payload: packets[i % packets.len()].payload.clone(),
        });
        again.collect()
    }

    /// When `ticks` of the sender's clock have passed.
    fn at(&self, ticks: u64) -> Duration {
        Duration::from_secs_f64(ticks as f64 / 48_000.0 / (1.0 + f64::from(self.ppm) * 1e-6))
    }
}

/// Each packet with the one before it, as browsers send RED.
pub(super) fn in_red(packets: &[Packet]) -> Vec<Packet> {
    let mut before: Option<&Packet> = None;
    let mut all = Vec::new();
    for packet in packets {
        let mut payload = Vec::new();
        if let Some(older) = before.replace(packet) {
            let offset = (packet.time - older.time) as u32;
            let head = 1 << 31 | 111 << 24 | offset << 10 | older.payload.len() as u32;
            payload.extend(head.to_be_bytes());
            payload.push(111);
            payload.extend(&older.payload);
        } else {
            payload.push(111);
        }
        payload.extend(&packet.payload);
        all.push(Packet {
            payload,
            ..packet.clone()
        });
    }
    all
}

/// What may happen to a packet, in chances of a hundred.
#[derive(Clone, Default)]
pub(super) struct Network {
    pub(super) loss: usize,
    /// So many more are lost after each that is.
    pub(super) burst: usize,
    pub(super) doubled: usize,
    /// Each is late by up to this: they overtake each other.
    pub(super) jitter: Duration,
    /// Once in two seconds all wait so long, as wifi does it.
    pub(super) spike: Duration,
    /// When jitter ends.
    pub(super) until: Option<Duration>,
}

impl Network {
    /// Arrivals in their order, and how many packets never arrive.
    fn carry<'a>(&self, packets: &'a [Packet], seed: u64) -> (Vec<(Duration, &'a Packet)>, u64) {
        let mut dice = Dice::new(seed);
        let (mut arrivals, mut lost, mut burst) = (Vec::new(), 0, 0);
        for (i, packet) in packets.iter().enumerate() {
            // The first and the last come, so that counts are exact.
            let inside = i > 0 && i + 1 < packets.len();
            if inside && (burst > 0 || dice.below(100) < self.loss) {
                burst = if burst > 0 { burst - 1 } else { self.burst };
                lost += 1;
                continue;
            }
            let late = |dice: &mut Dice| {
                let jitter = self.jitter.as_micros() as usize;
                let calm = self.until.is_some_and(|until| packet.at > until);
                let jitter = if calm { 0 } else { dice.below(jitter + 1) };
                // What is sent in the first so many milliseconds of each two seconds comes at their end.
                let spike = self
                    .spike
                    .saturating_sub(ms(packet.at.as_millis() as u64 % 2_000));
                packet.at + ms(30) + Duration::from_micros(jitter as u64) + spike
            };
            arrivals.push((late(&mut dice), packet));
            if dice.below(100) < self.doubled {
                let again = late(&mut dice) + ms(3);
                arrivals.push((again, packet));
            }
        }
        arrivals.sort_by_key(|(at, _)| *at);
        (arrivals, lost)
    }
}

/// What was heard of a stream.
pub(super) struct Heard {
    /// At 16 kHz.
    pub(super) sound: Vec<f32>,
    pub(super) longest_wait: Duration,
    pub(super) never_came: u64,
    pub(super) stats: HearingStats,
}

/// Hears `packets` through `network`.
pub(super) fn hear(packets: &[Packet], network: &Network, seed: u64) -> Heard {
    through(packets, network, seed, Hearing::push)
}

/// Hears packets of RED.
pub(super) fn hear_red(packets: &[Packet], network: &Network, seed: u64) -> Heard {
    through(packets, network, seed, Hearing::push_red)
}

type Push = fn(&mut Hearing, u64, u64, &[u8], Instant);

fn through(packets: &[Packet], network: &Network, seed: u64, push: Push) -> Heard {
    let (arrivals, never_came) = network.carry(packets, seed);
    let mut hearing = Hearing::new().unwrap();
    let start = Instant::now();
    let mut arrivals = arrivals.into_iter().peekable();
    let (mut sound, mut longest_wait, mut ticks) = (Vec::new(), Duration::ZERO, 0);
    let end = packets.last().map_or(Duration::ZERO, |p| p.at) + ms(300);
    for at in (0..)
        .map(|tick| ms(7 + 20 * tick))
        .take_while(|at| *at < end)
    {
        while let Some((came, packet)) = arrivals.next_if(|(came, _)| *came <= at) {
            push(
                &mut hearing,
                packet.seq,
                packet.time,
                &packet.payload,
                start + came,
            );
        }
        let Some(frame) = hearing.tick(start + at) else {
            assert_eq!(ticks, 0, "it goes on once it has begun");
            continue;
        };
        ticks += 1;
        sound.extend(frame.into_samples());
        // Of the last packets there is nothing more to wait for.
        if at < end - ms(300) {
            longest_wait = longest_wait.max(hearing.stats().wait);
        }
    }
    assert_eq!(sound.len(), ticks * 320);
    Heard {
        sound,
        longest_wait,
        never_came,
        stats: hearing.stats(),
    }
}

/// How much of `whole` is in `heard`, 0 to 1: correlation of each 300 ms that sound in `whole` with the
/// place in `heard` that is most alike, from 100 ms before to 300 ms after. At 2 kHz, where the vowels are.
pub(super) fn alike(whole: &[f32], heard: &[f32]) -> f32 {
    const PIECE: usize = 600;
    let slow = |sound: &[f32]| -> Vec<f32> {
        let mean = |eight: &[f32]| eight.iter().sum::<f32>() / 8.0;
        sound.chunks_exact(8).map(mean).collect()
    };
    let (whole, heard) = (slow(whole), slow(heard));
    let energy = |s: &[f32]| s.iter().map(|s| s * s).sum::<f32>();
    let (mut sum, mut weight) = (0.0, 0.0);
    for (i, piece) in whole.chunks_exact(PIECE).enumerate() {
        let loud = energy(piece);
        if loud < 0.02 {
            continue;
        }
        let from = (i * PIECE).saturating_sub(200);
        let mut best = 0.0f32;
        for there in heard.get(from..).unwrap_or(&[]).windows(PIECE).take(800) {
            let (mut product, mut other) = (0.0, 0.0);
            for (a, b) in piece.iter().zip(there) {
                product += a * b;
                other += b * b;
            }
            best = best.max(product / (loud * other).sqrt().max(1e-9));
        }
        sum += best * loud.sqrt();
        weight += loud.sqrt();
    }
    sum / weight
}
