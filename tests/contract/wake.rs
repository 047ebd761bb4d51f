//! What every [`WakeModel`] promises, over openWakeWord, plain and behind its energy gate.

use caal::wake::{EnergyConfig, Gated, WakeError, WakeModel};

use crate::wake::{fixture, load};

/// One of each implementation, for the same words.
fn implementations() -> Vec<(&'static str, Box<dyn WakeModel>)> {
    let words = ["hey_jarvis", "alexa"];
    let (inner, memory) = (load(&words), load(&words).memory());
    vec![
        ("openWakeWord", Box::new(load(&words))),
        (
            "gated",
            Box::new(Gated::new(inner, memory, EnergyConfig::default())),
        ),
    ]
}

#[test]
fn a_step_of_another_length_is_refused_and_does_no_harm() {
    for (name, mut model) in implementations() {
        let step = model.step();
        for got in [0, 1, step - 1, step + 1] {
            let error = model.score(&vec![0.1; got]).expect_err("not a step");
            assert!(
                matches!(error, WakeError::StepLength { want, got: g } if want == step && g == got),
                "{name}: {error}"
            );
        }
        model.score(&vec![0.1; step]).expect("a step");
    }
}

#[test]
fn there_is_a_score_between_zero_and_one_per_word_whatever_the_sound() {
    for (name, mut model) in implementations() {
        let step = model.step();
        let square: Vec<f32> = (0..step)
            .map(|i| if i % 32 < 16 { 1.0 } else { -1.0 })
            .collect();
        let sounds = [vec![0.0; step], square, vec![1.0; step], vec![-7.0; step]];
        for sound in sounds.iter().cycle().take(40) {
            let scores = model.score(sound).expect("it scores");
            assert_eq!(scores.len(), 2, "{name}");
            assert!(
                scores.iter().all(|s| (0.0..=1.0).contains(s)),
                "{name}: {scores:?}"
            );
        }
        assert_eq!(model.words(), ["hey_jarvis", "alexa"], "{name}");
    }
}

#[test]
fn sound_that_is_no_number_is_forgotten_again() {
    for (name, mut model) in implementations() {
        let step = model.step();
        let mut peak = |sound: &[f32]| {
            sound
                .chunks_exact(step)
                .filter_map(|s| model.score(s).ok().map(|scores| scores[0]))
                .fold(0.0, f32::max)
        };
        peak(&vec![f32::NAN; step]);
        peak(&vec![0.0; step * 30]);
        assert!(peak(&fixture("wake_hey_jarvis.wav")) > 0.5, "{name}");
    }
}

#[test]
fn the_word_is_heard_and_a_reset_begins_anew() {
    for (name, mut model) in implementations() {
        let step = model.step();
        let sound = fixture("wake_hey_jarvis.wav");
        let mut run = || -> Vec<Vec<f32>> {
            sound
                .chunks_exact(step)
                .map(|s| model.score(s).unwrap().to_vec())
                .collect()
        };
        let first = run();
        let best = |word: usize| first.iter().map(|s| s[word]).fold(0.0, f32::max);
        assert!(
            best(0) > 0.9 && best(1) < 0.5,
            "{name}: {} {}",
            best(0),
            best(1)
        );
        model.reset();
        let mut again = || -> Vec<Vec<f32>> {
            sound
                .chunks_exact(step)
                .map(|s| model.score(s).unwrap().to_vec())
                .collect()
        };
        assert_eq!(again(), first, "{name}");
    }
}
