//! Any bytes as a WAV file: an error or samples, never a panic.
#![no_main]

use caal::audio::wav;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(pcm) = wav::decode(bytes.to_vec(), "fuzz") {
        assert!(pcm.rate_hz > 0);
    }
});
