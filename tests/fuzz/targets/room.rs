//! Any words of strangers in our own room: signalling, descriptions, data, texts, packets; at both doors.
#![cfg_attr(fuzzing, no_main)]

use caal::rtc::endpoint::rehearse;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

/// One script: see [`rehearse::overhear`].
pub(crate) fn run(bytes: &[u8]) {
    rehearse::overhear(&bytes[..bytes.len().min(100_000)]);
}
