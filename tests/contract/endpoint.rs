//! What every [`TurnEndModel`] promises, and Smart Turn's agreement with its reference.

use caal::endpoint::{SmartTurn, TurnEndModel};

use crate::{
    support::{models, runtime},
    wake::fixture,
};

fn smart_turn() -> SmartTurn {
    let path = models().join("smart-turn-v3.2/smart-turn-v3.2-cpu.onnx");
    SmartTurn::load(&runtime(), &path).expect("Smart Turn loads")
}

fn implementations() -> Vec<(&'static str, Box<dyn TurnEndModel>)> {
    vec![("smart turn", Box::new(smart_turn()))]
}

#[test]
fn any_sound_of_any_length_gives_a_probability() {
    for (name, mut model) in implementations() {
        for len in [0, 1, 399, 16_000, 127_999, 128_000, 128_001, 200_000] {
            for level in [0.0, 0.5, f32::NAN, 1e30] {
                let p = model.probability(&vec![level; len]).expect("it judges");
                assert!((0.0..=1.0).contains(&p), "{name}, {len} of {level}: {p}");
            }
        }
    }
}

#[test]
fn only_the_last_eight_seconds_count_and_nothing_is_kept() {
    let clip = fixture("whats_the_weather_like.wav");
    for (name, mut model) in implementations() {
        let mut last = clip.repeat(5);
        last.drain(..last.len() - 128_000);
        let want = model.probability(&last).expect("it judges");
        let mut longer = vec![0.3; 50_000];
        longer.extend(&last);
        assert_eq!(
            model.probability(&longer).expect("it judges"),
            want,
            "{name}"
        );
    }
}

#[test]
fn half_a_question_is_not_a_turn_and_a_whole_one_is() {
    let half = fixture("whats_the_weather_like.wav");
    let half = &half[..half.len() / 2];
    let whole = fixture("what_time_is_it.wav");
    for (name, mut model) in implementations() {
        let half = model.probability(half).expect("it judges");
        let whole = model.probability(&whole).expect("it judges");
        assert!(half < 0.5 && whole > 0.5, "{name}: {half}, {whole}");
    }
}

#[test]
fn smart_turn_agrees_with_its_reference() {
    let mut model = smart_turn();
    let lines = include_str!("../fixtures/turn_end_scores.tsv")
        .lines()
        .skip(1);
    let mut compared = 0;
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let sound = match fields[..2] {
            [clip, "whole"] => fixture(clip),
            [clip, "first half"] => {
                let sound = fixture(clip);
                sound[..sound.len() / 2].to_vec()
            }
            // Longer than what the model looks at: its end decides, not its beginning.
            [clip, "four times, then half a question"] => {
                let half = fixture("whats_the_weather_like.wav");
                [&fixture(clip).repeat(4)[..], &half[..half.len() / 2]].concat()
            }
            _ => panic!("{line}"),
        };
        let want: f32 = fields[2].parse().expect("a number");
        let got = model.probability(&sound).expect("it judges");
        // The weights are int8 and each layer's input is quantised by its own range: noise of 1e-6 moves
        // these decided answers by less than this in the reference itself, undecided ones by a fifth.
        let tolerance = 1e-3;
        assert!((got - want).abs() < tolerance, "{line}: {got}");
        compared += 1;
    }
    assert_eq!(compared, 7);
}

#[test]
fn a_file_that_is_another_model_is_told_so() {
    let load = |file: &str| {
        SmartTurn::load(&runtime(), &models().join(file))
            .expect_err("not Smart Turn")
            .to_string()
    };
    assert!(load("openwakeword/alexa.onnx").contains("another kind"));
    assert!(load("smart-turn-v3.2/nothing.onnx").contains("caal models pull"));
}
