//! Writing the prepared model is cut short: by a full disk, or by the end of the process. Neither leaves
//! anything that the next start would take for whole.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Output},
};

use caal::{
    fault::Fault,
    stt::whisper::{Precision, Whisper, WhisperConfig},
};

use super::synthetic::Synthetic;
use crate::support::{self, SmallDisk};

const BOTH: [Precision; 2] = [Precision::Int8, Precision::F32];

/// Names in a folder that begin as a prepared model's do.
fn prepared(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("onnx-"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_behind() {
    let model = tempfile::tempdir().unwrap();
    Synthetic::default().write(model.path());
    for precision in BOTH {
        // Room for none of it, for some of the encoder, and for all but the end of the decoder.
        for size in ["4k", "200k", "500k"] {
            let Some(disk) = SmallDisk::new(size) else {
                return;
            };
            let cache = disk.path().join("cache");
            let config = WhisperConfig {
                precision: Some(precision),
                cache: Some(cache.clone()),
                ..WhisperConfig::default()
            };
            let load = || Whisper::load(&support::runtime(), model.path(), &config);
            let error = load().err().expect("the disk is full");
            let text = error.to_string();
            assert!(text.contains("No space left"), "{size}: {text}");
            assert!(text.contains("make room there"), "{size}: {text}");
            assert_eq!(error.fault(), Fault::Request);
            let left = if cache.exists() {
                prepared(&cache)
            } else {
                vec![]
            };
            assert!(left.is_empty(), "{size} {precision:?}: {left:?}");
            // With room it goes on as if nothing had been.
            disk.resize("64m");
            load().unwrap_or_else(|e| panic!("{size}: {e}"));
        }
    }
}

/// `caal transcribe` with the model in `model`, in a process that may write files of at most `kilobytes`:
/// at the next byte the system ends it on the spot, as a power cut or `kill -9` would.
fn transcribe_killed(model: &Path, kilobytes: Option<u32>) -> Output {
    let limit = kilobytes.map_or("unlimited".to_owned(), |k| (k * 2).to_string());
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio/momentum.wav");
    Command::new("sh")
        .arg("-c")
        .arg(format!(
            "ulimit -c 0; ulimit -f {limit}; exec \"$0\" transcribe \"$1\" --model \"$2\""
        ))
        .arg(env!("CARGO_BIN_EXE_caal"))
        .arg(clip)
        .arg(model)
        .env("CAAL_MODELS", support::models())
        .env("CAAL_HOME", model)
        .output()
        .unwrap()
}

#[test]
fn a_process_killed_while_it_writes_leaves_a_good_state() {
    let model = tempfile::tempdir().unwrap();
    Synthetic::default().write(model.path());
    // Early and late in the encoder's tensors.
    for kilobytes in [40, 200] {
        let output = transcribe_killed(model.path(), Some(kilobytes));
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(25), "SIGXFSZ: {error}");
        let left = prepared(model.path());
        let [part] = &left[..] else {
            panic!("{kilobytes}: {left:?}");
        };
        assert!(part.starts_with("onnx-v1-int8.part-"), "{part}");
    }
    let output = transcribe_killed(model.path(), None);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    // Whole, and what the killed ones left is gone.
    assert_eq!(prepared(model.path()), ["onnx-v1-int8"]);
    let config = WhisperConfig::default();
    Whisper::load(&support::runtime(), model.path(), &config).unwrap();
}

#[test]
fn what_another_process_is_writing_is_left_alone() {
    let model = tempfile::tempdir().unwrap();
    Synthetic::default().write(model.path());
    let [held, left] =
        ["onnx-v1-int8.part-1-0", "onnx-v1-int8.part-1-1"].map(|n| model.path().join(n));
    for folder in [&held, &left] {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("encoder.bin"), b"half").unwrap();
    }
    let lock = fs::File::open(&held).unwrap();
    lock.try_lock().unwrap();
    Whisper::load(&support::runtime(), model.path(), &WhisperConfig::default()).unwrap();
    assert!(held.exists() && !left.exists());
    drop(lock);
    Whisper::load(&support::runtime(), model.path(), &WhisperConfig::default()).unwrap();
    assert!(!held.exists());
}
