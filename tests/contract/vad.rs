//! What every [`SpeechModel`] promises, and Silero's agreement with its reference.

use std::{collections::BTreeMap, time::Duration};

use caal::{
    audio::Rechunker,
    clock::At,
    engine::{Device, Runtime},
    vad::{Hysteresis, HysteresisConfig, Silero, SpeechEvent, SpeechModel, VadError},
};

use crate::{
    support::{models, runtime},
    wake::fixture,
};

fn implementations() -> Vec<(&'static str, Box<dyn SpeechModel>)> {
    let silero = Silero::load(&runtime(), &models().join("silero-vad/silero_vad.onnx"));
    vec![("silero", Box::new(silero.expect("Silero loads")))]
}

/// Probabilities of every whole window, the sound coming in pieces of `piece` samples.
fn probabilities(model: &mut dyn SpeechModel, sound: &[f32], piece: usize) -> Vec<f32> {
    let mut rechunker = Rechunker::new(model.window());
    let mut out = Vec::new();
    for samples in sound.chunks(piece) {
        rechunker.push(samples, |w| {
            out.push(model.probability(w).expect("it judges"))
        });
    }
    out
}

#[test]
fn a_model_runs_on_a_runtime_that_was_loaded_before() {
    let first = runtime();
    let library = models().join("onnxruntime/libonnxruntime.so");
    let again = Runtime::load(&library, Device::Cpu, None).expect("the one that is there");
    assert_eq!(again.device(), first.device());
    let file = models().join("silero-vad/silero_vad.onnx");
    let mut model = Silero::load(&again, &file).expect("Silero loads");
    let window = vec![0.0; model.window()];
    model.probability(&window).expect("it judges");
}

#[test]
fn a_window_of_another_length_is_refused_and_does_no_harm() {
    for (name, mut model) in implementations() {
        let window = model.window();
        for got in [0, 1, window - 1, window + 1] {
            let error = model
                .probability(&vec![0.1; got])
                .expect_err("not a window");
            assert!(
                matches!(error, VadError::WindowLength { want, got: g } if want == window && g == got),
                "{name}: {error}"
            );
        }
        model.probability(&vec![0.1; window]).expect("a window");
    }
}

#[test]
fn two_streams_over_one_model_judge_as_each_does_alone() {
    let one = fixture("what_time_is_it.wav");
    let mut other = one.clone();
    other.reverse();
    let load = || Silero::load(&runtime(), &models().join("silero-vad/silero_vad.onnx"));
    let mut first = load().expect("Silero loads");
    let window = first.window();
    let alone = [&one, &other].map(|sound| {
        first.reset();
        probabilities(&mut first, sound, sound.len())
    });
    assert_ne!(alone[0], alone[1]);
    // A new stream of one that has heard something begins at the start.
    let mut second = first.stream().expect("a stream");
    first.reset();
    let mut both = [Vec::new(), Vec::new()];
    for (a, b) in one.chunks_exact(window).zip(other.chunks_exact(window)) {
        both[0].push(first.probability(a).expect("it judges"));
        both[1].push(second.probability(b).expect("it judges"));
    }
    assert_eq!(both, alone);
}

#[test]
fn pieces_and_whole_give_the_same_and_a_reset_begins_anew() {
    let sound = fixture("what_time_is_it.wav");
    for (name, mut model) in implementations() {
        let whole = probabilities(&mut *model, &sound, sound.len());
        for piece in [1, 160, 320, 1000] {
            model.reset();
            assert_eq!(
                probabilities(&mut *model, &sound, piece),
                whole,
                "{name}, {piece}"
            );
        }
    }
}

#[test]
fn speech_is_told_from_silence_and_from_noise() {
    let mut seed = 1u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((seed >> 8) as f32 / (1 << 24) as f32 - 0.5) * 0.02
    };
    let noise: Vec<f32> = (0..16_000 * 3).map(|_| noise()).collect();
    for (name, mut model) in implementations() {
        for quiet in [vec![0.0; 16_000 * 2], noise.clone()] {
            model.reset();
            let worst = probabilities(&mut *model, &quiet, 512)
                .into_iter()
                .fold(0.0, f32::max);
            assert!(worst < 0.5, "{name}: {worst}");
        }
        for clip in ["what_time_is_it.wav", "whats_the_weather_like.wav"] {
            model.reset();
            let best = probabilities(&mut *model, &fixture(clip), 512)
                .into_iter()
                .fold(0.0, f32::max);
            assert!(best > 0.9, "{name}, {clip}: {best}");
        }
    }
}

#[test]
fn any_sound_gives_a_probability_and_what_is_no_number_is_forgotten() {
    let clip = fixture("what_time_is_it.wav");
    for (name, mut model) in implementations() {
        let window = model.window();
        for bad in [f32::NAN, f32::INFINITY, 1e30, -7.0] {
            let p = model.probability(&vec![bad; window]).expect("it judges");
            assert!((0.0..=1.0).contains(&p), "{name}, {bad}: {p}");
        }
        let best = probabilities(&mut *model, &clip, 512)
            .into_iter()
            .fold(0.0, f32::max);
        assert!(best > 0.9, "{name}: {best}");
    }
}

#[test]
fn silero_agrees_with_its_reference() {
    let mut want: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
    for line in include_str!("../fixtures/vad_scores.tsv").lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        want.entry(fields[0])
            .or_default()
            .push(fields[2].parse().expect("a number"));
    }
    assert_eq!(want.len(), 3);
    let (_, mut model) = implementations().remove(0);
    for (clip, want) in want {
        model.reset();
        let got = probabilities(&mut *model, &fixture(clip), 512);
        assert_eq!(got.len(), want.len(), "{clip}");
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            assert!(
                (got - want).abs() < 1e-3,
                "{clip}, window {i}: {got}, not {want}"
            );
        }
    }
}

#[test]
fn a_sentence_between_silences_is_one_start_and_one_end() {
    let (_, mut model) = implementations().remove(0);
    let mut sound = vec![0.0; 16_000];
    sound.extend(fixture("what_time_is_it.wav"));
    sound.extend(vec![0.0; 16_000]);
    let mut hysteresis = Hysteresis::new(HysteresisConfig::default());
    let window = Duration::from_millis(32);
    let events: Vec<SpeechEvent> = probabilities(&mut *model, &sound, 512)
        .into_iter()
        .enumerate()
        .filter_map(|(i, p)| hysteresis.push(At::START + window * i as u32, window, p))
        .collect();
    let [
        SpeechEvent::Started { at: from },
        SpeechEvent::Ended { at: to },
    ] = events[..]
    else {
        panic!("{events:?}");
    };
    // By ear: the words last from 1.5 s to 2.2 s; the clip begins 320 ms before speech was likely.
    assert!(
        (1_000..1_600).contains(&from.elapsed().as_millis()),
        "{from:?}"
    );
    assert!((2_050..2_500).contains(&to.elapsed().as_millis()), "{to:?}");
}

#[test]
fn a_file_that_is_another_model_is_told_so() {
    let load = |file: &str| {
        Silero::load(&runtime(), &models().join(file))
            .expect_err("not Silero")
            .to_string()
    };
    assert!(load("openwakeword/alexa.onnx").contains("another kind"));
    assert!(load("silero-vad/nothing.onnx").contains("caal models pull"));
}
