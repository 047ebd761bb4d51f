//! whisper.cpp with real weights that were written as ggml files: agreement with our own engine and with
//! CTranslate2, damaged files, cancellation.

use std::{
    fs,
    path::{Path, PathBuf},
};

use caal::{
    cli::bench::{WordErrors, word_errors},
    fault::Fault,
    stt::{
        SttError, WhisperCppConfig,
        whisper::{Context, Whisper, WhisperConfig},
        whisper_cpp::open,
    },
};

use super::whisper::{abandoned_it_stops, agrees, hear};
use crate::{
    contract::stt::recording,
    support::{
        self,
        ggml::{Format, model},
    },
};

fn load(path: &Path) -> Result<Whisper, SttError> {
    open(path, &WhisperCppConfig::new(1))
}

/// As `whisper::probabilities_agree_with_ctranslate2`, whose numbers these are.
#[test]
fn probabilities_agree_with_ctranslate2() {
    // Only base, which knows languages, is told more than one token before it speaks.
    for (name, format, tolerance) in [
        ("whisper-tiny.en", Format::F16, 0.04),
        ("whisper-tiny.en", Format::Q8, 0.09),
        ("whisper-base", Format::F16, 0.04),
    ] {
        let config = WhisperCppConfig {
            context: Context::Full,
            ..WhisperCppConfig::new(1)
        };
        let whisper = open(&model(name, format), &config).unwrap();
        agrees(whisper, name, tolerance, &format!("{format:?}"));
    }
}

#[test]
fn both_engines_hear_the_same_words() {
    let folder = support::models().join("whisper-base");
    let config = WhisperConfig::default();
    let mut ours = Whisper::load(&support::runtime(), &folder, &config).unwrap();
    let mut theirs = load(&model("whisper-base", Format::F16)).unwrap();
    let mut errors = WordErrors::default();
    for clip in [
        "momentum",
        "go_forward",
        "handful",
        "what_time_is_it",
        "whats_the_weather_like",
        "wake_hey_jarvis",
    ] {
        let clip = recording(clip);
        let (a, b) = (hear(&mut ours, &clip), hear(&mut theirs, &clip));
        println!("{:?} {:?}", a.text, b.text);
        errors += &word_errors(&a.text, &b.text);
        assert_eq!(a.segments.len(), b.segments.len());
    }
    assert!(errors.words > 20, "{errors:?}");
    assert!(errors.rate() <= 0.05, "{errors:?}");
}

/// A copy of the tiny model with something done to it.
fn spoilt(spoil: impl FnOnce(&mut Vec<u8>)) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(model("whisper-tiny.en", Format::Q8)).unwrap();
    spoil(&mut bytes);
    let path = folder.path().join("ggml-spoilt.bin");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Where the first tensor begins.
fn tensors(bytes: &[u8]) -> usize {
    let name = b"encoder.positional_embedding";
    let at = bytes.windows(name.len()).position(|w| w == name).unwrap();
    at - (3 + 2) * 4
}

/// whisper.cpp aborts the process, or worse, on most of these.
#[test]
fn a_damaged_file_is_a_clear_error() {
    let put = |at: usize, number: u32| {
        move |b: &mut Vec<u8>| b[at..at + 4].copy_from_slice(&number.to_le_bytes())
    };
    let cut = |at: usize| move |b: &mut Vec<u8>| b.truncate(at);
    let in_tensors = |at: usize, number: u32| {
        move |b: &mut Vec<u8>| {
            let at = tensors(b) + at;
            b[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
    };
    // The header ends with the filters' sides at 48 and 52, the filters themselves with the vocabulary.
    let vocabulary = 56 + 80 * 201 * 4;
    type Spoil = Box<dyn FnOnce(&mut Vec<u8>)>;
    let cases: Vec<(&str, Spoil)> = vec![
        ("too early", Box::new(cut(0))),
        ("too early", Box::new(cut(30))),
        ("mel filters", Box::new(cut(5_000))),
        ("too early", Box::new(cut(vocabulary + 1_000))),
        (
            "is missing",
            Box::new(|b: &mut Vec<u8>| b.truncate(tensors(b))),
        ),
        (
            "inside tensor",
            Box::new(|b: &mut Vec<u8>| b.truncate(b.len() - 1)),
        ),
        ("inside tensor", Box::new(cut(20_000_000))),
        ("does not begin", Box::new(put(0, 7))),
        ("tokens", Box::new(put(4, u32::MAX))),
        ("heads", Box::new(put(16, 0))),
        ("no Whisper", Box::new(put(16, 5))),
        ("layers", Box::new(put(20, 1 << 30))),
        ("of text", Box::new(put(24, 1 << 20))),
        ("mel bands", Box::new(put(40, 1))),
        ("format 99", Box::new(put(44, 99))),
        ("quantise it anew", Box::new(put(44, 7))),
        ("mel bands", Box::new(put(48, 0))),
        ("written tokens", Box::new(put(vocabulary, 3))),
        ("bytes in a token", Box::new(put(vocabulary + 4, 1 << 31))),
        ("sides", Box::new(in_tensors(0, 9))),
        ("name", Box::new(in_tensors(4, 0))),
        ("type", Box::new(in_tensors(8, 1))),
        ("shape", Box::new(in_tensors(12, 385))),
        ("no Whisper's", Box::new(in_tensors(20, 0))),
        ("sides", Box::new(|b: &mut Vec<u8>| b.extend([1; 9]))),
    ];
    for (number, (part, spoil)) in cases.into_iter().enumerate() {
        let (_folder, path) = spoilt(spoil);
        let error = load(&path).err().unwrap();
        let text = error.to_string();
        assert!(text.contains(part), "case {number}, {part}: {text}");
        assert!(text.contains("ggml-spoilt.bin"), "{text}");
        assert_eq!(error.fault(), Fault::Request);
    }
    let error = load(Path::new("/no/such/ggml.bin")).err().unwrap();
    assert!(error.to_string().contains("no such file"), "{error}");
}

#[test]
fn numbers_that_make_no_sense_end_nothing() {
    // Every scale and every number is "not a number".
    let (_folder, path) = spoilt(|b| {
        let name = b"decoder.token_embedding.weight";
        let at = b.windows(name.len()).position(|w| w == name).unwrap();
        b[at + name.len()..at + name.len() + 51_864 * 384 / 32 * 34].fill(0xff);
    });
    let mut whisper = load(&path).unwrap();
    hear(&mut whisper, &recording("momentum"));
}

#[test]
fn an_abandoned_job_stops_at_the_next_step() {
    abandoned_it_stops(load(&model("whisper-tiny.en", Format::Q8)).unwrap());
}
