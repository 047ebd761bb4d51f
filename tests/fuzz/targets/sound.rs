//! Any packets as a microphone, Opus or RED: 20 ms of sound leave every 20 ms, all of it in range.
#![cfg_attr(fuzzing, no_main)]

use std::time::{Duration, Instant};

use caal::rtc::audio::{Hearing, red};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

/// One stream. A packet of it: a byte for what it is (bit 0: RED; bit 1: the time is far away; bits 2 to
/// 4: milliseconds until it comes, in eights), the sequence number (two bytes), the time in tenths of a
/// frame (two bytes), the payload's length (two bytes) and the payload.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(mut hearing) = Hearing::new() else {
        return;
    };
    let (mut now, mut tick) = (Instant::now(), Instant::now());
    let mut rest = bytes;
    while let [kind, s0, s1, t0, t1, l0, l1, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*l0, *l1])).min(after.len());
        let (payload, later) = after.split_at(length);
        rest = later;
        now += Duration::from_millis(u64::from(kind >> 2 & 7) * 8);
        while tick <= now {
            tick += Duration::from_millis(20);
            if let Some(sound) = hearing.tick(tick) {
                assert_eq!(sound.len(), 320);
                assert!(sound.samples().iter().all(|s| s.abs() <= 1.0));
            }
        }
        let seq = u64::from(u16::from_be_bytes([*s0, *s1]));
        let mut time = u64::from(u16::from_be_bytes([*t0, *t1])) * 96;
        if kind & 2 != 0 {
            time = u64::MAX - time;
        }
        if let Some(again) = red::retype(payload, 111) {
            assert_eq!(red::own(&again), red::own(payload));
        }
        match kind & 1 {
            1 => hearing.push_red(seq, time, payload, now),
            _ => hearing.push(seq, time, payload, now),
        }
    }
}
