//! Bytes that nobody sane would write, at the places where bytes from outside are read: Whisper's
//! `model.bin`, WAV files, Ollama's stream, and all that strangers can send to our own room.
//!
//! Each target is a function in `targets/`. Here it gets seeded mutations of whole files (`corpus.rs`)
//! in every run of the suite: 3,000 each, with `CAAL_LONG=1` a million. The same functions run under
//! libFuzzer, which follows the branches taken and so gets much further:
//! `tests/fuzz/run model_bin -max_total_time=120` (no nightly compiler needed).

use crate::support::{self, Dice};

mod corpus;
mod targets {
    pub(super) mod door;
    pub(super) mod model_bin;
    pub(super) mod ndjson;
    pub(super) mod room;
    pub(super) mod sdp;
    pub(super) mod sound;
    pub(super) mod wav;
}

/// Runs `target` over its seeds and mutations of them; says which seed it fell over.
fn storm(target: &str, run: fn(&[u8])) {
    let times = if support::long() { 1_000_000 } else { 3_000 };
    gust(target, times, run);
}

/// The same, `inputs` times.
fn gust(target: &str, inputs: u64, run: fn(&[u8])) {
    let seeds = corpus::seeds(target);
    seeds.iter().for_each(|seed| run(seed));
    for number in 1..=inputs {
        let mut dice = Dice::new(number);
        let mut bytes = seeds[dice.below(seeds.len())].clone();
        for _ in 0..1 + dice.below(4) {
            mutate(&mut bytes, &seeds, &mut dice);
        }
        if let Err(panic) = std::panic::catch_unwind(|| run(&bytes)) {
            eprintln!("{target}: it fell over mutation {number}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// One change of the kind that finds mistakes: numbers at their ends, pieces lost, doubled and mixed.
fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    if bytes.is_empty() {
        bytes.push(dice.below(256) as u8);
    }
    // Half of the time near the beginning, where the headers are.
    let reach = match dice.below(2) {
        0 => bytes.len(),
        _ => bytes.len().min(64),
    };
    let at = dice.below(reach);
    let len = 1 + dice.below(16).min(bytes.len() - at - 1);
    match dice.below(8) {
        0 => bytes[at] ^= 1 << dice.below(8),
        1 => bytes[at] = dice.below(256) as u8,
        2 | 3 => {
            let number = [
                0,
                1,
                2,
                0x7f,
                0xff,
                0x7fff,
                0xffff,
                0x7fff_ffff,
                0x8000_0000,
                u32::MAX,
            ];
            let number = number[dice.below(number.len())].to_le_bytes();
            let width = 4.min(bytes.len() - at);
            bytes[at..at + width].copy_from_slice(&number[..width]);
        }
        4 => {
            bytes.drain(at..at + len);
        }
        5 => {
            let piece = bytes[at..at + len].to_vec();
            bytes.splice(at..at, piece);
        }
        6 => bytes.truncate(at),
        _ => {
            let other = &seeds[dice.below(seeds.len())];
            let from = dice.below(other.len());
            bytes.truncate(at);
            bytes.extend(&other[from..]);
        }
    }
}

#[test]
fn no_bytes_make_model_bin_panic_or_take_all_memory() {
    storm("model_bin", targets::model_bin::run);
}

#[test]
fn no_bytes_make_wav_panic() {
    storm("wav", targets::wav::run);
}

#[test]
fn no_bytes_make_the_chat_stream_panic_or_depend_on_how_it_was_cut() {
    storm("ndjson", targets::ndjson::run);
}

#[test]
fn no_description_makes_a_peer_panic() {
    gust(
        "sdp",
        if support::long() { 200_000 } else { 300 },
        targets::sdp::run,
    );
}

#[test]
fn no_words_of_strangers_make_a_room_panic() {
    gust(
        "room",
        if support::long() { 200_000 } else { 300 },
        targets::room::run,
    );
}

#[test]
fn no_text_at_the_door_makes_it_panic() {
    storm("door", targets::door::run);
}

#[test]
fn no_packets_make_a_microphone_panic_or_sound_out_of_range() {
    gust(
        "sound",
        if support::long() { 500_000 } else { 1_000 },
        targets::sound::run,
    );
}

#[test]
fn the_seeds_are_whole_files() {
    use caal::stt::whisper::{Precision, ct2::Weights, rehearse};

    for (i, seed) in corpus::seeds("model_bin").into_iter().enumerate() {
        let mut weights = Weights::open(std::io::Cursor::new(seed)).unwrap();
        for precision in [Precision::Int8, Precision::F32] {
            rehearse(&mut weights, precision).unwrap_or_else(|e| panic!("seed {i}: {e}"));
        }
    }
    for (i, seed) in corpus::seeds("wav").into_iter().enumerate() {
        let sound = caal::audio::wav::decode(seed, "seed").unwrap();
        assert!(
            sound.samples.len() > 20,
            "seed {i}: {}",
            sound.samples.len()
        );
    }
}

#[test]
fn a_matrix_that_fits_no_product_is_told() {
    use caal::stt::whisper::{Precision, ct2::Weights, rehearse};

    let spoiled: [(&str, [u32; 2]); 4] = [
        ("encoder/layer_0/ffn/linear_0/weight", [16, 0]),
        ("encoder/layer_0/ffn/linear_1/weight", [1, 60_000]),
        ("decoder/layer_0/attention/linear_1/weight", [4, 4]),
        ("decoder/layer_0/self_attention/linear_0/weight", [12, 3]),
    ];
    for (name, dims) in spoiled {
        let bytes = corpus::whisper(6, 0, |n, d| {
            if n == name {
                *d = dims.to_vec();
            }
        });
        let mut weights = Weights::open(std::io::Cursor::new(bytes)).unwrap();
        for precision in [Precision::Int8, Precision::F32] {
            let error = rehearse(&mut weights, precision).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
