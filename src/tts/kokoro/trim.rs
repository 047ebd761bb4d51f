//! Kokoro's silence: every clip comes with 0.2–0.5 s of it on both sides. Found, cut, faded. Pure.
//!
//! Where speech begins and ends is measured against the clip's own loudest stretch, because voices
//! differ in level. Measured on 27 clips of three voices that begin or end in quiet fricatives (s, f,
//! h, ʃ, θ): their outermost 10 ms stand 30–45 dB under the loudest, the silence 55 dB and more.

use std::ops::Range;

use crate::audio::{Hz24k, Pcm, Rate};

/// Length of a measured stretch: 5 ms.
const FRAME: usize = Hz24k::HZ as usize / 200;
/// How far under the loudest stretch speech may lie: 46 dB.
const DEPTH: f32 = 0.005;
/// A clip whose loudest stretch is under this has no speech at all (-60 dBFS).
const NOTHING: f32 = 0.001;
/// Kept before the first audible stretch: breath of a stop or an h.
const BEFORE: usize = Hz24k::HZ as usize / 50; // 20 ms
/// Kept after the last one: the end of a fricative dies slowly.
const AFTER: usize = Hz24k::HZ as usize / 25; // 40 ms
/// Length of the fade at a cut.
const FADE: usize = Hz24k::HZ as usize / 200; // 5 ms
/// Some voices (bf_emma) end short clips in a click after silence: an island this short …
const CLICK: usize = 6; // stretches: 30 ms
/// … behind a gap this long is none of the word's. A final t or k stands nearer and lasts longer.
const GAP: usize = 12; // stretches: 60 ms

/// The samples that hold speech, with a little air around them; empty when there is none.
pub(super) fn speech(samples: &[f32]) -> Range<usize> {
    let levels: Vec<f32> = samples.chunks(FRAME).map(crate::audio::rms).collect();
    let loudest = levels.iter().copied().fold(0.0, f32::max);
    if loudest < NOTHING {
        return 0..0;
    }
    let threshold = loudest * DEPTH;
    let audible = |level: &f32| *level >= threshold;
    let first = levels
        .iter()
        .position(audible)
        .expect("the loudest is audible");
    let mut last = levels
        .iter()
        .rposition(audible)
        .expect("the loudest is audible");
    let island = (first..=last)
        .rev()
        .take_while(|&i| audible(&levels[i]))
        .count();
    if island <= CLICK && last - first > island + GAP {
        let gap_end = last - island;
        if let Some(before) = (first..=gap_end).rev().find(|&i| audible(&levels[i]))
            && gap_end - before >= GAP
        {
            last = before;
        }
    }
    let start = (first * FRAME).saturating_sub(BEFORE);
    let end = ((last + 1) * FRAME + AFTER).min(samples.len());
    start..end
}

/// The speech of `samples` alone, faded over 5 ms at both cuts.
pub(super) fn trimmed(samples: &[f32]) -> Pcm<Hz24k> {
    let mut kept = samples[speech(samples)].to_vec();
    let fade = FADE.min(kept.len() / 2);
    let last = kept.len().saturating_sub(1);
    for i in 0..fade {
        let gain = i as f32 / fade as f32;
        kept[i] *= gain;
        kept[last - i] *= gain;
    }
    Pcm::new(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(ms: usize, amplitude: f32) -> Vec<f32> {
        (0..24 * ms)
            .map(|i| amplitude * (i as f32 * 0.3).sin())
            .collect()
    }

    fn clip(parts: &[(usize, f32)]) -> Vec<f32> {
        parts.iter().flat_map(|&(ms, a)| tone(ms, a)).collect()
    }

    #[test]
    fn silence_and_hiss_hold_no_speech() {
        assert!(speech(&[]).is_empty());
        assert!(speech(&vec![0.0; 24_000]).is_empty());
        assert!(speech(&tone(500, 0.000_5)).is_empty());
        assert!(trimmed(&vec![0.0; 24_000]).is_empty());
    }

    #[test]
    fn a_quiet_fricative_at_either_edge_is_kept() {
        // 400 ms silence, 60 ms at 38 dB under the vowel, vowel, the same again, silence.
        let clip = clip(&[
            (400, 0.0),
            (60, 0.006),
            (200, 0.5),
            (60, 0.006),
            (400, 0.000_2),
        ]);
        let kept = speech(&clip);
        assert_eq!(kept.start / 24, 380);
        assert_eq!(kept.end / 24, 760);
    }

    #[test]
    fn a_click_behind_the_last_word_goes_and_a_final_stop_stays() {
        let click = clip(&[(200, 0.0), (300, 0.5), (100, 0.0), (20, 0.02), (50, 0.0)]);
        assert_eq!(speech(&click).end / 24, 540);
        let stop = clip(&[(200, 0.0), (300, 0.5), (50, 0.0), (60, 0.02), (50, 0.0)]);
        assert_eq!(speech(&stop).end / 24, 650);
        let late_stop = clip(&[(200, 0.0), (300, 0.5), (80, 0.0), (60, 0.02), (50, 0.0)]);
        assert_eq!(speech(&late_stop).end / 24, 680);
    }

    #[test]
    fn the_cuts_fade_to_nothing() {
        let kept = trimmed(&tone(300, 0.5));
        assert_eq!(kept.samples()[0], 0.0);
        assert_eq!(kept.samples()[kept.len() - 1], 0.0);
        assert!(kept.rms() > 0.3);
    }

    #[test]
    fn a_clip_of_a_few_samples_is_no_panic() {
        for n in 0..300 {
            let _ = trimmed(&vec![0.3; n]);
        }
    }
}
