//! Any bytes as a WAV file: an error or sound that can be used, never a panic.
#![cfg_attr(fuzzing, no_main)]

use caal::audio::wav;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

/// One input.
pub(crate) fn run(bytes: &[u8]) {
    if let Ok(pcm) = wav::decode(bytes.to_vec(), "fuzz") {
        assert!(pcm.rate_hz > 0);
        let sane = |s: &f32| (-1.0..=1.0).contains(s);
        assert!(pcm.samples.iter().all(sane), "a sample beyond full scale");
    }
}
