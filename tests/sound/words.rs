//! What Whisper understands of a microphone through a bad network.

use caal::{
    audio::{Hz16k, Pcm},
    stt::whisper::{Options, Whisper, WhisperConfig},
};

use super::{
    network::{Network, Sender, hear},
    speech,
};
use crate::support;

const WORDS: &str =
    "but we were without this momentum go forward ten meters he dropped a handful into her lap";

/// Words put in, left out and replaced, the fewest that make `said` of `heard`.
fn errors(said: &[&str], heard: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (i, word) in said.iter().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in heard.iter().enumerate() {
            let same = corner + usize::from(word != other);
            corner = row[j + 1];
            row[j + 1] = same.min(corner + 1).min(row[j] + 1);
        }
    }
    row[heard.len()]
}

#[test]
fn words_are_understood_at_ten_percent_loss() {
    let folder = support::models().join("whisper-base");
    let mut whisper =
        Whisper::load(&support::runtime(), &folder, &WhisperConfig::default()).unwrap();
    let mut understand = |sound: Vec<f32>| -> usize {
        let clip: Pcm<Hz16k> = Pcm::new(sound);
        let (heard, _) = whisper
            .transcribe(&clip, &Options::default(), &|| false)
            .unwrap();
        let plain = heard.text.to_lowercase().replace("10", "ten");
        let letters = |c: char| if c.is_alphanumeric() { c } else { ' ' };
        let plain: String = plain.chars().map(letters).collect();
        let heard: Vec<String> = plain.split_whitespace().map(str::to_owned).collect();
        let said: Vec<&str> = WORDS.split(' ').collect();
        let errors = errors(&said, &heard);
        eprintln!("{errors} of {} wrong: {plain}", said.len());
        errors
    };
    let packets = Sender::default().packets(&speech());
    assert!(understand(hear(&packets, &Network::default(), 1).sound) <= 1);
    for loss in [5, 10] {
        let network = Network {
            loss,
            jitter: super::ms(30),
            ..Network::default()
        };
        let wrong = understand(hear(&packets, &network, 4).sound);
        assert!(wrong <= 3, "{loss} % lost: {wrong} words wrong");
    }
}
