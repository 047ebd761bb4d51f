//! A remote microphone through a bad network: recorded speech, encoded as a browser does it, through
//! seeded loss, jitter, reordering and doubling into `Hearing`. Time is a number here; nothing waits.

mod network;
mod words;

use std::time::Duration;

use caal::rtc::audio::Hearing;

use crate::{
    contract::stt::recording,
    support::{self, Dice},
};
use network::{Dtx, Heard, Network, Sender, alike, hear, ms};

/// The bound that `Hearing` promises: 200 ms aimed at, a tick and a packet on top.
const LONGEST_WAIT: Duration = Duration::from_millis(260);

/// The recordings one after the other with pauses between them, about 9 s.
fn speech() -> Vec<f32> {
    let mut all = vec![0.0; 4_800];
    for name in ["momentum", "go_forward", "handful"] {
        all.extend(recording(name).into_samples());
        all.extend([0.0; 9_600]);
    }
    all
}

fn report(name: &str, heard: &Heard, alike: f32) {
    eprintln!(
        "{name}: alike {alike:.3}, longest wait {:?}, {:?}",
        heard.longest_wait, heard.stats
    );
}

#[test]
fn speech_survives_loss_jitter_reordering_and_doubling() {
    let speech = speech();
    let packets = Sender::default().packets(&speech);
    let clean = hear(&packets, &Network::default(), 1);
    report("clean", &clean, 1.0);
    assert_eq!(clean.stats.lost + clean.stats.late, 0);
    assert!(clean.longest_wait <= ms(60), "{:?}", clean.longest_wait);
    let bad = [
        (
            "5 % lost",
            0.97,
            Network {
                loss: 5,
                ..Network::default()
            },
        ),
        (
            "10 % lost",
            0.95,
            Network {
                loss: 10,
                ..Network::default()
            },
        ),
        (
            "20 % lost",
            0.88,
            Network {
                loss: 20,
                ..Network::default()
            },
        ),
        (
            "bursts",
            0.88,
            Network {
                loss: 3,
                burst: 3,
                ..Network::default()
            },
        ),
        (
            "doubled",
            0.99,
            Network {
                doubled: 30,
                ..Network::default()
            },
        ),
        (
            "40 ms jitter",
            0.95,
            Network {
                jitter: ms(40),
                ..Network::default()
            },
        ),
        (
            "100 ms jitter",
            0.85,
            Network {
                jitter: ms(100),
                ..Network::default()
            },
        ),
        (
            "spikes",
            0.95,
            Network {
                spike: ms(150),
                ..Network::default()
            },
        ),
        (
            "all of it",
            0.75,
            Network {
                loss: 10,
                burst: 1,
                doubled: 10,
                jitter: ms(60),
                spike: ms(100),
                until: None,
            },
        ),
    ];
    for (name, least, network) in bad {
        for seed in 1..=2 {
            let heard = hear(&packets, &network, seed);
            let alike = alike(&clean.sound, &heard.sound);
            report(name, &heard, alike);
            assert!(alike >= least, "{name}, seed {seed}: {alike}");
            assert!(
                heard.longest_wait <= LONGEST_WAIT,
                "{name}, seed {seed}: {:?}",
                heard.longest_wait
            );
            if network.jitter.is_zero() && network.spike.is_zero() {
                assert_eq!(heard.stats.late, 0, "{name}");
                assert_eq!(heard.stats.lost, heard.never_came, "{name}");
            }
        }
    }
}

#[test]
fn lost_packets_come_back_from_the_next_one() {
    let network = Network {
        loss: 10,
        ..Network::default()
    };
    let plain = Sender {
        fec: false,
        ..Sender::default()
    };
    let without = hear(&plain.packets(&speech()), &network, 7);
    assert_eq!(without.stats.recovered, 0);
    let heard = hear(&Sender::default().packets(&speech()), &network, 7);
    let share = heard.stats.recovered as f32 / heard.stats.lost as f32;
    // Opus gives the pauses no redundancy, and of two lost in a row one comes back.
    assert!(share > 0.4, "{:?}", heard.stats);
    assert!(heard.stats.concealed < without.stats.concealed);
}

#[test]
fn a_pause_of_the_sender_is_silence_and_what_follows_is_in_its_place() {
    let mut speech = speech();
    speech.extend([0.0; 3 * 16_000]);
    speech.extend(recording("go_forward").into_samples());
    let all = Sender::default().packets(&speech);
    let sparse = Sender {
        dtx: Dtx::On,
        ..Sender::default()
    }
    .packets(&speech);
    assert!(
        sparse.len() + 100 < all.len(),
        "{} of {}",
        sparse.len(),
        all.len()
    );
    let whole = hear(&all, &Network::default(), 1);
    for seed in 1..=3 {
        let network = Network {
            jitter: ms(30),
            ..Network::default()
        };
        let paused = hear(&sparse, &network, seed);
        let alike = alike(&whole.sound, &paused.sound);
        report("pauses", &paused, alike);
        assert_eq!(paused.stats.lost, 0, "seed {seed}");
        assert!(alike > 0.93, "seed {seed}: {alike}");
        assert!(
            paused.longest_wait < ms(130),
            "seed {seed}: {:?}",
            paused.longest_wait
        );
    }
}

#[test]
fn frames_of_every_length_and_stereo_are_heard() {
    let speech = speech();
    let clean = hear(&Sender::default().packets(&speech), &Network::default(), 1);
    for (frame, channels) in [
        (2.5, 1),
        (5.0, 1),
        (10.0, 1),
        (40.0, 1),
        (60.0, 1),
        (20.0, 2),
    ] {
        let sender = Sender {
            frame,
            channels,
            ..Sender::default()
        };
        let heard = hear(&sender.packets(&speech), &Network::default(), 1);
        let alike = alike(&clean.sound, &heard.sound);
        report(&format!("{frame} ms, {channels} channels"), &heard, alike);
        assert_eq!(heard.stats.lost + heard.stats.late + heard.stats.broken, 0);
        assert!(alike > 0.9, "{frame} ms, {channels} channels: {alike}");
    }
}

#[test]
fn a_clock_that_runs_wrong_does_not_move_the_wait_for_ever() {
    let speech = speech();
    let tone: Vec<f32> = (0..160_000).map(|i| (i as f32 * 0.2).sin() * 0.1).collect();
    // 500 ppm for two minutes and a half is what 100 ppm are in twelve: 75 ms.
    for (name, sound, ppm) in [
        ("fast", &speech, 500),
        ("slow", &speech, -500),
        ("a tone, fast", &tone, 500),
        ("a tone, slow", &tone, -500),
    ] {
        let sender = Sender {
            ppm,
            ..Sender::default()
        };
        let packets = sender.repeat(&sender.packets(sound), 7_500);
        let heard = hear(&packets, &Network::default(), 1);
        report(name, &heard, 1.0);
        assert!(
            heard.longest_wait <= ms(140),
            "{name}: {:?}",
            heard.longest_wait
        );
        assert!(heard.stats.wait >= ms(20), "{name}: {:?}", heard.stats);
        assert_eq!(heard.stats.lost + heard.stats.late, 0, "{name}");
    }
}

#[test]
fn after_a_bad_time_the_wait_is_short_again() {
    let sender = Sender::default();
    let packets = sender.repeat(&sender.packets(&speech()), 3_000);
    let network = Network {
        jitter: ms(100),
        until: Some(ms(10_000)),
        ..Network::default()
    };
    let heard = hear(&packets, &network, 3);
    report("a bad time", &heard, 1.0);
    assert!(heard.longest_wait > ms(80));
    assert!(heard.stats.wait <= ms(75), "{:?}", heard.stats);
}

#[test]
fn red_brings_back_what_was_lost() {
    let speech = speech();
    let plain = Sender {
        fec: false,
        ..Sender::default()
    }
    .packets(&speech);
    let clean = hear(&plain, &Network::default(), 1);
    let red = network::in_red(&plain);
    let loss = Network {
        loss: 10,
        ..Network::default()
    };
    let heard = network::hear_red(&red, &loss, 2);
    let without = hear(&plain, &loss, 2);
    let concealed = (heard.stats.concealed, without.stats.concealed);
    assert!(concealed.0 * 4 < concealed.1, "{concealed:?}");
    let (with, without) = (
        alike(&clean.sound, &heard.sound),
        alike(&clean.sound, &without.sound),
    );
    report("RED", &heard, with);
    assert!(heard.stats.lost * 4 < heard.never_came, "{:?}", heard.stats);
    assert!(with > 0.97 && with > without, "{with} {without}");
    assert_eq!(heard.stats.duplicates, 0);
}

#[test]
fn a_new_stream_and_a_new_numbering_are_heard_from_their_first_sound() {
    let packets = Sender::default().packets(&speech());
    let clean = hear(&packets, &Network::default(), 1);
    for (seq, time) in [(1 << 40, 0), (0, 1 << 40), (3, 1 << 50)] {
        let mut both = packets.clone();
        let last = packets.last().unwrap();
        let (at, end) = (last.at + ms(20), last.seq + 1);
        both.extend(packets.iter().map(|p| network::Packet {
            seq: p.seq + seq + end,
            time: p.time.wrapping_add(time + 960 * packets.len() as u64),
            at: p.at + at,
            payload: p.payload.clone(),
        }));
        let heard = hear(&both, &Network::default(), 1);
        report("a new stream", &heard, 1.0);
        let second = &heard.sound[packets.len() * 320..];
        let alike = alike(&clean.sound, second);
        assert!(alike > 0.97, "{seq} {time}: {alike}");
        assert!(heard.stats.lost == 0 && heard.longest_wait <= ms(100));
    }
}

#[test]
fn whatever_comes_20_ms_of_sound_leave_every_20_ms() {
    let good = Sender::default().packets(&speech());
    let seeds = if support::long() { 2_000 } else { 40 };
    for seed in 1..=seeds {
        let mut dice = Dice::new(seed);
        let mut hearing = Hearing::new().unwrap();
        let start = std::time::Instant::now();
        let mut begun = false;
        for tick in 0..100u64 {
            let now = start + ms(20 * tick + dice.below(15) as u64);
            for _ in 0..dice.below(8) {
                let packet = &good[dice.below(good.len())];
                let mut payload = packet.payload.to_vec();
                for _ in 0..dice.below(4) {
                    let at = dice.below(payload.len());
                    payload[at] = dice.below(256) as u8;
                }
                match dice.below(8) {
                    0 => payload.truncate(dice.below(payload.len())),
                    1 => {
                        payload = (0..dice.below(2_000))
                            .map(|_| dice.below(256) as u8)
                            .collect()
                    }
                    _ => {}
                }
                let far = [0, 1, u64::MAX, 1 << 63, u64::MAX - 1];
                let seq = match dice.below(10) {
                    0 => far[dice.below(far.len())],
                    1 => packet.seq,
                    _ => tick + dice.below(6) as u64,
                };
                let time = match dice.below(10) {
                    0 => far[dice.below(far.len())],
                    1 => dice.below(1 << 20) as u64,
                    _ => seq.wrapping_mul(960).wrapping_add(dice.below(3) as u64 * 7),
                };
                match dice.below(4) {
                    0 => hearing.push_red(seq, time, &payload, now),
                    _ => hearing.push(seq, time, &payload, now),
                }
            }
            if dice.below(40) == 0 {
                hearing.restart();
            }
            match hearing.tick(now) {
                Some(sound) => {
                    begun = true;
                    assert_eq!(sound.len(), 320);
                    assert!(
                        sound.samples().iter().all(|s| s.abs() <= 1.0),
                        "seed {seed}"
                    );
                }
                None => assert!(!begun),
            }
        }
        // And a good stream is heard after all that.
        hearing.restart();
        let before = hearing.stats();
        let mut loudest = 0.0f32;
        for (i, packet) in good.iter().take(100).enumerate() {
            let now = start + ms(3_000 + 20 * i as u64);
            hearing.push(packet.seq, packet.time, &packet.payload, now);
            let sound = hearing.tick(now).unwrap();
            loudest = sound.samples().iter().fold(loudest, |l, s| l.max(s.abs()));
        }
        assert!(loudest > 0.05, "seed {seed}");
        assert_eq!(hearing.stats().lost, before.lost, "seed {seed}");
    }
}
