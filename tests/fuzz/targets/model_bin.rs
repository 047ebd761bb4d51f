//! Any bytes as a CTranslate2 `model.bin`: an error or tensors, never a panic or a huge allocation.
#![no_main]

use std::io::Cursor;

use caal::stt::whisper::{Sizes, ct2::Weights};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut weights) = Weights::open(Cursor::new(bytes)) else {
        return;
    };
    let _ = Sizes::of(&mut weights);
    let names: Vec<String> = weights.names().map(str::to_owned).collect();
    for name in names {
        let _ = weights.all(&name);
        let _ = weights.integer(&name);
        let _ = weights.rows(&name, 1..2);
    }
});
