//! Any bytes as a CTranslate2 `model.bin`: an error or a Whisper's graphs, never a panic or a huge
//! allocation.
#![cfg_attr(fuzzing, no_main)]

use std::io::Cursor;

use caal::stt::whisper::{Precision, ct2::Weights, rehearse};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| run(bytes));

/// One input.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(mut weights) = Weights::open(Cursor::new(bytes)) else {
        return;
    };
    let names: Vec<String> = weights.names().map(str::to_owned).collect();
    // Thousands of aliases of one tensor would only take time.
    for name in names.into_iter().take(200) {
        let _ = weights.all(&name);
        let _ = weights.integer(&name);
        let _ = weights.rows(&name, 1..2);
    }
    let _ = rehearse(&mut weights, Precision::Int8);
    let _ = rehearse(&mut weights, Precision::F32);
}
