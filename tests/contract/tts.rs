//! What every speech engine owes its callers; run over Kokoro with the real model.

use std::{fs, sync::OnceLock, time::Duration};

use caal::{
    audio::{Hz24k, Pcm},
    fault::Fault,
    tts::{
        SpeakRequest, Tts, TtsError,
        kokoro::{KokoroConfig, KokoroTts},
    },
};
use futures_util::StreamExt as _;

use crate::support;

/// The engine under test, loaded once.
fn kokoro() -> &'static KokoroTts {
    static ENGINE: OnceLock<KokoroTts> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let folder = support::models().join("kokoro-82m");
        KokoroTts::load(&support::runtime(), &folder, &KokoroConfig::default())
            .expect("Kokoro loads")
    })
}

fn request(text: &str) -> SpeakRequest {
    SpeakRequest {
        text: text.to_owned(),
        voice: String::new(),
        speed: 1.0,
        pause: Duration::ZERO,
    }
}

async fn speak(tts: &dyn Tts, request: SpeakRequest) -> Result<Pcm<Hz24k>, TtsError> {
    let mut sound = Pcm::default();
    let mut pieces = tts.speak(request);
    while let Some(piece) = pieces.next().await {
        sound.append(&piece?);
    }
    Ok(sound)
}

/// Seconds of near silence (under -50 dB of full scale) at both ends.
fn silence_at_ends(sound: &Pcm<Hz24k>) -> (f64, f64) {
    let audible = |s: &f32| s.abs() > 0.003;
    let samples = sound.samples();
    let first = samples.iter().position(audible).unwrap_or(samples.len());
    let last = samples.iter().rposition(audible).unwrap_or(0);
    let seconds = |n: usize| n as f64 / 24_000.0;
    (seconds(first), seconds(samples.len() - last))
}

#[tokio::test]
async fn words_become_sound_of_plausible_length_and_level() {
    for (text, words) in [
        ("Yes.", 1),
        ("Good morning, how are you?", 5),
        (
            "The kitchen lights are off and the front door is locked.",
            11,
        ),
    ] {
        let sound = speak(kokoro(), request(text)).await.unwrap();
        let seconds = sound.duration().as_secs_f64();
        let per_word = seconds / f64::from(words);
        assert!((0.15..0.9).contains(&per_word), "{text}: {seconds} s");
        assert!(sound.rms() > 0.02, "{text}: level {}", sound.rms());
        let peak = sound.samples().iter().fold(0f32, |m, s| m.max(s.abs()));
        assert!(peak < 1.0, "{text}: clips at {peak}");
    }
}

#[tokio::test]
async fn silence_around_words_is_cut_and_quiet_edges_are_kept() {
    for text in ["Yes.", "Half.", "She,", "Safe.", "Fish", "Stop!"] {
        let sound = speak(kokoro(), request(text)).await.unwrap();
        let (before, after) = silence_at_ends(&sound);
        assert!(before < 0.06, "{text}: {before} s of silence before");
        assert!(after < 0.12, "{text}: {after} s of silence after");
        // An s, f or sh of a single word lasts; a clip cut to its vowel would be shorter.
        let seconds = sound.duration().as_secs_f64();
        assert!((0.3..0.9).contains(&seconds), "{text}: {seconds} s");
    }
    // The fricatives are weak: the first and last 60 ms hold sound, but far under the vowel.
    let half = speak(kokoro(), request("Half.")).await.unwrap();
    let tail = Pcm::<Hz24k>::new(half.samples()[half.len() - 2_640..half.len() - 960].to_vec());
    assert!(
        tail.rms() > 0.000_5 && tail.rms() < half.rms() / 3.0,
        "{}",
        tail.rms()
    );
}

#[tokio::test]
async fn the_pause_is_part_of_the_sound() {
    let short = speak(kokoro(), request("Stop.")).await.unwrap();
    let long = SpeakRequest {
        pause: Duration::from_millis(700),
        ..request("Stop.")
    };
    let long = speak(kokoro(), long).await.unwrap();
    let added = long.len() - short.len();
    assert_eq!(added, 700 * 24);
    assert!(long.samples()[short.len()..].iter().all(|s| *s == 0.0));
}

#[tokio::test]
async fn twice_the_speed_is_about_half_the_length() {
    let text = "I have set a timer for the pasta.";
    let plain = speak(kokoro(), request(text)).await.unwrap();
    let fast = SpeakRequest {
        speed: 2.0,
        ..request(text)
    };
    let fast = speak(kokoro(), fast).await.unwrap();
    let ratio = fast.len() as f64 / plain.len() as f64;
    assert!((0.35..0.75).contains(&ratio), "{ratio}");
}

#[tokio::test]
async fn a_wrong_voice_or_speed_is_the_callers_fault_and_says_what_to_do() {
    let wrong = SpeakRequest {
        voice: "af_hart".to_owned(),
        ..request("Hello.")
    };
    let error = speak(kokoro(), wrong).await.expect_err("no such voice");
    assert_eq!(error.fault(), Fault::Request);
    assert!(error.to_string().contains("af_heart"), "{error}");
    for speed in [0.4, 2.1, f32::NAN, -1.0] {
        let wrong = SpeakRequest {
            speed,
            ..request("Hello.")
        };
        let error = speak(kokoro(), wrong).await.expect_err("no such speed");
        assert_eq!(error.fault(), Fault::Request);
    }
}

#[tokio::test]
async fn nothing_to_say_is_no_sound() {
    for text in ["", "   ", "...", "—", "🎉", "\u{200b}"] {
        let sound = speak(kokoro(), request(text)).await.unwrap();
        assert!(sound.is_empty(), "{text:?}");
    }
}

#[tokio::test]
async fn a_text_longer_than_the_model_takes_is_spoken_whole() {
    let text = "The old lighthouse keeper counted the ships. ".repeat(17);
    let text = SpeakRequest {
        speed: 2.0,
        ..request(&text[..text.len().min(760)])
    };
    let sound = speak(kokoro(), text.clone()).await.unwrap();
    let sentence = SpeakRequest {
        text: "The old lighthouse keeper counted the ships.".to_owned(),
        ..text
    };
    let one = speak(kokoro(), sentence).await.unwrap();
    let sentences = sound.len() as f64 / one.len() as f64;
    assert!((12.0..24.0).contains(&sentences), "{sentences} sentences");
}

#[tokio::test]
async fn a_dropped_stream_frees_the_engine() {
    let long = request(&"This answer is dropped before it is spoken. ".repeat(20));
    for _ in 0..3 {
        let mut pieces = kokoro().speak(long.clone());
        // Polled once, so that the engine has begun.
        let first = futures_util::poll!(pieces.next());
        drop(first);
        drop(pieces);
    }
    let patience = Duration::from_secs(120);
    let next = tokio::time::timeout(patience, speak(kokoro(), request("Yes."))).await;
    assert!(!next.expect("in time").unwrap().is_empty());
}

#[tokio::test]
async fn kokoro_lists_its_54_voices() {
    let voices = kokoro().voices();
    assert_eq!(voices.len(), 54);
    let language = |name: &str| {
        let voice = voices.iter().find(|v| v.name == name);
        voice.map(|v| v.language.as_str())
    };
    assert_eq!(language("af_heart"), Some("en-US"));
    assert_eq!(language("bf_emma"), Some("en-GB"));
    assert_eq!(language("jf_alpha"), Some("ja-JP"));
    assert_eq!(language("af_nobody"), None);
}

#[tokio::test]
async fn a_blend_sounds_like_neither_of_its_parents() {
    let mut sounds = Vec::new();
    for voice in ["af_bella", "af_sky", "af_bella(2) + af_sky(1)"] {
        let wish = SpeakRequest {
            voice: voice.to_owned(),
            ..request("Good evening.")
        };
        sounds.push(speak(kokoro(), wish).await.unwrap());
    }
    assert!(sounds[2] != sounds[0] && sounds[2] != sounds[1]);
    assert!(sounds.iter().all(|s| s.rms() > 0.02));
}

#[test]
fn missing_and_damaged_files_are_told_before_anyone_speaks() {
    let real = support::models().join("kokoro-82m");
    let load = |folder: &std::path::Path| {
        KokoroTts::load(&support::runtime(), folder, &KokoroConfig::default())
            .map(|_| ())
            .expect_err("refused")
    };
    let dir = tempfile::tempdir().expect("a folder");
    let told = |error: TtsError, words: &str| {
        assert_eq!(error.fault(), Fault::Request, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    told(load(dir.path()), "voices");

    let voices = dir.path().join("voices");
    fs::create_dir(&voices).expect("a folder");
    told(load(dir.path()), "no voice file");
    fs::write(voices.join("af_heart.bin"), [0; 64]).expect("writes");
    told(load(dir.path()), "vocab");
    fs::copy(real.join("vocab.json"), dir.path().join("vocab.json")).expect("copies");
    told(load(dir.path()), "is missing");
    fs::write(dir.path().join("model.onnx"), b"no model").expect("writes");
    told(load(dir.path()), "damaged");
    fs::hard_link(real.join("model.onnx"), dir.path().join("whole.onnx"))
        .or_else(|_| fs::copy(real.join("model.onnx"), dir.path().join("whole.onnx")).map(drop))
        .expect("the model is there");
    fs::rename(dir.path().join("whole.onnx"), dir.path().join("model.onnx")).expect("moves");
    told(load(dir.path()), "522240 bytes");
}
