//! Any text at the door of our own room: tokens, and what a client asks for in its address.
#![cfg_attr(fuzzing, no_main)]

use caal::rtc::endpoint::rehearse;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

/// One query, or one token.
pub(crate) fn run(bytes: &[u8]) {
    rehearse::knock(&String::from_utf8_lossy(bytes));
}
