//! A Whisper as large as they come: more weights than a protobuf may hold, in the file beside it.

use std::fs;

use caal::{
    audio::Pcm,
    stt::whisper::{Options, Precision, Whisper, WhisperConfig},
};

use super::synthetic::{Storage, Synthetic};
use crate::support;

/// Loads `shape` as f32, hears a second of it, and returns the bytes of the encoder's tensors and of its
/// protobuf.
fn encoder_of(shape: Synthetic) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    shape.write(folder.path());
    let config = WhisperConfig {
        precision: Some(Precision::F32),
        ..WhisperConfig::default()
    };
    let mut whisper = Whisper::load(&support::runtime(), folder.path(), &config).unwrap();
    assert_eq!(whisper.sizes().mels, 128);
    assert_eq!(whisper.sizes().width, (shape.heads * shape.head) as usize);
    // Not silence: that is not even looked at.
    let tone = (0..16_000).map(|i| (i as f32 * 0.2).sin() * 0.3).collect();
    let asked = std::cell::Cell::new(0);
    let abandoned = || {
        asked.set(asked.get() + 1);
        asked.get() > 3
    };
    let (_, timings) = whisper
        .transcribe(&Pcm::new(tone), &Options::default(), &abandoned)
        .unwrap();
    assert_eq!(timings.encodes, 1);
    assert!(timings.steps > 0, "the decoder heard what the encoder gave");
    let bytes = |name: &str| {
        let file = folder.path().join("onnx-v1-f32").join(name);
        fs::metadata(file).unwrap().len()
    };
    (bytes("encoder.bin"), bytes("encoder.onnx"))
}

const SMALL: Synthetic = Synthetic {
    mels: 128,
    heads: 3,
    head: 16,
    encoder_layers: 2,
    decoder_layers: 1,
    languages: 100,
    storage: Storage::F16,
};

#[test]
fn weights_stand_in_a_file_of_their_own_however_small_the_model() {
    let (tensors, protobuf) = encoder_of(SMALL);
    // 14 matrices of 48 by 48 and wider, as f32.
    assert!(tensors > 14 * 48 * 48 * 4, "{tensors}");
    assert!(protobuf < 40_000, "{protobuf}");
}

/// large-v3 has a width of 1280, 20 heads and 32 layers: 2.5 GB of encoder as f32. Takes 4.5 GB of room
/// for temporary files, 3 GB of memory, and some minutes.
#[test]
fn an_encoder_past_two_gigabytes_loads_and_hears() {
    if !support::long() {
        eprintln!("skipped: a model of 2.5 GB is for CAAL_LONG=1");
        return;
    }
    let (tensors, protobuf) = encoder_of(Synthetic {
        heads: 20,
        head: 64,
        encoder_layers: 32,
        ..SMALL
    });
    assert!(tensors > 1 << 31, "{tensors}");
    assert!(protobuf < 1 << 20, "{protobuf}");
}
