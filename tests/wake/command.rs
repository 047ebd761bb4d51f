//! `caal wake` as its users run it, short of the process around it.

use std::path::{Path, PathBuf};

use caal::{
    cli::{Failure, wake},
    fault::Fault,
};
use clap::Parser;

use crate::support::{models, runtime};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: wake::Args,
}

fn run(arguments: &[&str]) -> Result<(), Failure> {
    run_in(&models(), arguments)
}

fn run_in(store: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let arguments = std::iter::once("wake").chain(arguments.iter().copied());
    let command = Command::try_parse_from(arguments).expect("the arguments are right");
    wake::run(&command.args, store, &runtime()).map(|_| ())
}

fn clip(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio");
    folder.join(name).display().to_string()
}

#[test]
fn it_draws_what_it_heard() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("out.svg").display().to_string();
    run(&[
        &clip("wake_alexa.wav"),
        "--model",
        "Alexa",
        "--json",
        "--plot",
        &plot,
    ])
    .expect("it runs");
    let svg = std::fs::read_to_string(&plot).unwrap();
    assert!(
        svg.contains("alexa at ") && svg.contains("wake_alexa.wav"),
        "{svg}"
    );
}

#[test]
fn a_mistake_is_told_and_is_the_users() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.wav");
    std::fs::write(&text, "no sound").unwrap();
    let alexa = clip("wake_alexa.wav");
    let nowhere = folder
        .path()
        .join("no/such/folder.svg")
        .display()
        .to_string();
    for (arguments, says) in [
        (vec!["nothing.wav"], "nothing.wav"),
        (vec![text.to_str().unwrap()], "not a WAV file"),
        (
            vec![alexa.as_str(), "--model", "marvin"],
            "there are: alexa",
        ),
        (
            vec![
                alexa.as_str(),
                "--model",
                "alexa",
                "--plot",
                nowhere.as_str(),
            ],
            "--plot",
        ),
    ] {
        let failure = run(&arguments).expect_err("it is a mistake");
        assert_eq!(failure.fault, Fault::Request, "{failure}");
        assert!(failure.message.contains(says), "{failure}");
    }
    let failure = run_in(folder.path(), &[&alexa]).expect_err("there is no model");
    assert!(failure.message.contains("caal models pull"), "{failure}");
    for threshold in ["1.5", "-1", "NaN", "loud"] {
        let argument = format!("--threshold={threshold}");
        assert!(Command::try_parse_from(["wake", &alexa, &argument]).is_err());
    }
}

#[test]
fn a_dropped_file_that_is_no_classifier_does_not_keep_the_others_from_listening() {
    let store = tempfile::tempdir().unwrap();
    let folder = store.path().join("openwakeword");
    std::fs::create_dir(&folder).unwrap();
    for file in ["melspectrogram.onnx", "embedding_model.onnx", "alexa.onnx"] {
        std::fs::copy(models().join("openwakeword").join(file), folder.join(file)).unwrap();
    }
    let dropped: PathBuf = store.path().join("broken.onnx");
    std::fs::write(&dropped, "not a model").unwrap();
    run_in(store.path(), &[&clip("wake_alexa.wav")]).expect("it listens for alexa");
    let by_name = run_in(
        store.path(),
        &[&clip("wake_alexa.wav"), "--model", "broken"],
    );
    assert!(
        by_name
            .expect_err("asked for")
            .message
            .contains("broken.onnx")
    );
    // Renamed, and from another folder: still a word.
    let mine = store.path().join("my_word.onnx");
    std::fs::copy(models().join("openwakeword/alexa.onnx"), &mine).unwrap();
    run_in(
        store.path(),
        &[&clip("wake_alexa.wav"), "--model", "my word"],
    )
    .expect("it listens");
    run_in(
        store.path(),
        &[&clip("wake_alexa.wav"), "--model", mine.to_str().unwrap()],
    )
    .expect("it listens");
}

/// Whatever the recording: no sound, one sample, a second, other rates.
#[test]
fn any_wav_is_listened_to() {
    use caal::audio::{Hz24k, Hz48k, Pcm, wav};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.wav");
    for len in [0, 1, 1280, 30_000] {
        wav::write(&path, &Pcm::<Hz48k>::new(vec![0.1; len])).unwrap();
        run(&[path.to_str().unwrap(), "--model", "alexa"]).unwrap_or_else(|e| panic!("{len}: {e}"));
        wav::write(&path, &Pcm::<Hz24k>::new(vec![0.1; len])).unwrap();
        run(&[path.to_str().unwrap(), "--model", "alexa"]).unwrap_or_else(|e| panic!("{len}: {e}"));
    }
}
