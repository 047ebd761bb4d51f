//! Our voice into somebody's ear, without a network.

use std::time::{Duration, Instant};

use super::*;
use crate::audio::{Hz24k, Pcm};

/// A tone of 440 Hz at a tenth of full scale.
fn tone(samples: usize) -> Vec<f32> {
    let step = std::f32::consts::TAU * 440.0 / 24_000.0;
    (0..samples)
        .map(|i| 0.1 * (step * i as f32).sin())
        .collect()
}

#[test]
fn the_first_and_the_last_20_ms_of_a_tone_arrive() {
    let start = Instant::now();
    let mut voice = Voice::new().unwrap();
    let mut hearing = Hearing::new().unwrap();
    assert!(
        hearing.tick(start).is_none(),
        "nothing before the first packet"
    );
    let mut frames = tone(24_000)
        .chunks(480)
        .map(|c| Pcm::<Hz24k>::new(c.to_vec()))
        .collect::<Vec<_>>()
        .into_iter();
    let mut heard = Vec::new();
    for (seq, at) in (0..100u64).map(|i| (i, start + Duration::from_millis(20 * i))) {
        let packet = match frames.next() {
            Some(frame) => Some(voice.encode(&frame, at)),
            None => voice.idle(at),
        };
        if let Some(packet) = packet {
            hearing.push(seq, packet.time, &packet.payload, at);
        }
        let sound = hearing.tick(at).unwrap();
        assert_eq!(sound.len(), 320);
        heard.extend(sound.into_samples());
    }
    let loud: Vec<usize> = (0..heard.len())
        .filter(|&i| heard[i].abs() > 0.05)
        .collect();
    let (first, last) = (loud[0], *loud.last().unwrap());
    // 40 ms of wait, 6.5 ms of the encoder's own.
    assert!((640..640 + 104 + 80).contains(&first), "{first}");
    assert!((last - first).abs_diff(16_000) < 80, "{}", last - first);
    assert_eq!(hearing.stats().lost, 0);
}
