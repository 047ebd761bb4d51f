//! What every speech-to-text engine owes its callers; run over Whisper base, Whisper tiny.en and, with
//! the feature `whisper-cpp`, whisper.cpp.

use std::{sync::Arc, time::Duration};

use caal::{
    audio::{Hz16k, Pcm, resample, wav},
    engine::EngineError,
    fault::Fault,
    stt::{
        Language, Stt, SttError, TranscribeRequest,
        whisper::{WhisperConfig, WhisperStt},
    },
};

use crate::support;

/// The engines under test, each loaded once.
fn engines() -> Vec<Arc<dyn Stt>> {
    static ENGINES: std::sync::OnceLock<Vec<Arc<dyn Stt>>> = std::sync::OnceLock::new();
    ENGINES
        .get_or_init(|| {
            let whisper = |name: &str| -> Arc<dyn Stt> {
                let folder = support::models().join(name);
                let config = WhisperConfig {
                    // Tests run side by side on these engines.
                    queue: 64,
                    ..WhisperConfig::default()
                };
                Arc::new(WhisperStt::load(support::runtime(), &folder, config).unwrap())
            };
            let mut engines = vec![whisper("whisper-base"), whisper("whisper-tiny.en")];
            engines.extend(ggml_engines());
            engines
        })
        .clone()
}

/// whisper.cpp over the weights of base, quantised as its own tool does it.
#[cfg(feature = "whisper-cpp")]
fn ggml_engines() -> Vec<Arc<dyn Stt>> {
    use caal::stt::{WhisperCpp, WhisperCppConfig};
    use support::ggml::{Format, model};
    let config = WhisperCppConfig {
        queue: 64,
        // Its threads spin while they wait for each other, which starves the tests beside it.
        ..WhisperCppConfig::new(1)
    };
    let file = model("whisper-base", Format::Q8);
    vec![Arc::new(WhisperCpp::load(&file, config).unwrap())]
}

#[cfg(not(feature = "whisper-cpp"))]
fn ggml_engines() -> Vec<Arc<dyn Stt>> {
    Vec::new()
}

/// One of the recordings of `tests/fixtures/audio`.
pub(crate) fn recording(name: &str) -> Pcm<Hz16k> {
    let file = format!(
        "{}/tests/fixtures/audio/{name}.wav",
        env!("CARGO_MANIFEST_DIR")
    );
    resample(&wav::read(file.as_ref()).unwrap())
}

async fn text(engine: &dyn Stt, clip: Pcm<Hz16k>) -> String {
    let request = TranscribeRequest::new(clip);
    engine.transcribe(request).await.unwrap().text
}

fn plain(text: &str) -> String {
    let text = text.to_lowercase().replace("10", "ten");
    let letters = |c: char| if c.is_alphanumeric() { c } else { ' ' };
    let text: String = text.chars().map(letters).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn recordings_become_their_words() {
    for engine in engines() {
        for (name, words) in [
            ("momentum", "but we were without this momentum"),
            ("go_forward", "go forward ten meters"),
            ("handful", "he dropped a handful into her lap"),
        ] {
            let clip = recording(name);
            let duration = clip.duration();
            let heard = engine
                .transcribe(TranscribeRequest::new(clip))
                .await
                .unwrap();
            assert_eq!(plain(&heard.text), words, "{}", engine.name());
            assert_eq!(heard.language, "en");
            assert_eq!(heard.duration, duration);
            assert!(heard.confidence.is_none_or(|c| (-1.0..=0.0).contains(&c)));
            assert!(!heard.segments.is_empty());
            for segment in &heard.segments {
                assert!(segment.start <= segment.end && segment.end <= duration);
                assert!(heard.text.contains(&segment.text));
            }
        }
    }
}

#[tokio::test]
async fn quiet_speech_survives() {
    for engine in engines() {
        let mut clip = recording("handful");
        // 40 dB down: somebody at the far end of a room.
        clip.samples_mut().iter_mut().for_each(|s| *s /= 100.0);
        let heard = text(&*engine, clip).await;
        assert!(
            plain(&heard).contains("handful"),
            "{}: {heard:?}",
            engine.name()
        );
    }
}

#[tokio::test]
async fn silence_and_noise_have_no_words() {
    let mut seed = 1u32;
    let mut hiss = |level: f32, seconds: usize| {
        let samples = (0..seconds * 16_000).map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((seed >> 8) as f32 / 8_388_608.0 - 1.0) * level
        });
        Pcm::new(samples.collect())
    };
    let hum = (0..32_000).map(|i| (i as f32 / 16_000.0 * 50.0 * std::f32::consts::TAU).sin());
    let clips = [
        ("nothing", Pcm::default()),
        ("one sample", Pcm::new(vec![0.5])),
        ("silence", Pcm::silence(Duration::from_secs(2))),
        ("long silence", Pcm::silence(Duration::from_secs(45))),
        ("faint hiss", hiss(0.002, 3)),
        ("loud hiss", hiss(0.3, 3)),
        ("hum", Pcm::new(hum.map(|s| s * 0.1).collect())),
        ("a room", recording("room")),
        ("a quiet room", recording("quiet_room")),
    ];
    for engine in engines() {
        for (name, clip) in &clips {
            let heard = text(&*engine, clip.clone()).await;
            assert_eq!(heard, "", "{name} by {}", engine.name());
        }
    }
}

#[tokio::test]
async fn auto_hears_english_and_an_unknown_language_is_the_users_mistake() {
    for engine in engines() {
        let request = |language| TranscribeRequest {
            language,
            ..TranscribeRequest::new(recording("handful"))
        };
        let heard = engine.transcribe(request(Language::Auto)).await.unwrap();
        assert_eq!(heard.language, "en", "{}", engine.name());
        assert!(plain(&heard.text).contains("handful"));
        for code in ["klingon", "xx", ""] {
            let error = engine
                .transcribe(request(Language::Code(code.to_owned())))
                .await
                .unwrap_err();
            assert!(matches!(error, SttError::Language { .. }), "{error}");
            assert_eq!(error.fault(), Fault::Request);
        }
    }
}

#[tokio::test]
async fn a_prompt_is_taken_and_is_not_part_of_the_text() {
    for engine in engines() {
        let request = TranscribeRequest {
            prompt: "Miss Ophelia, Emil, Zürich 🎈".to_owned(),
            ..TranscribeRequest::new(recording("handful"))
        };
        let heard = engine.transcribe(request).await.unwrap();
        assert_eq!(plain(&heard.text), "he dropped a handful into her lap");
    }
}

#[tokio::test]
async fn ten_minutes_are_heard_to_their_end_and_more_is_refused() {
    for engine in engines() {
        let speech = recording("handful");
        let mut clip = Pcm::silence(Duration::from_secs(600) - speech.duration());
        clip.append(&speech);
        let heard = engine
            .transcribe(TranscribeRequest::new(clip.clone()))
            .await
            .unwrap();
        assert!(plain(&heard.text).contains("handful"), "{:?}", heard.text);
        assert!(heard.segments[0].start >= Duration::from_secs(590));
        clip.extend(&[0.0]);
        let error = engine
            .transcribe(TranscribeRequest::new(clip))
            .await
            .unwrap_err();
        assert!(matches!(error, SttError::ClipTooLong { .. }), "{error}");
        assert_eq!(error.fault(), Fault::Request);
    }
}

#[tokio::test]
async fn words_across_two_windows_are_heard_once() {
    for engine in engines() {
        let gap = Pcm::silence(Duration::from_secs(13));
        let mut clip = Pcm::default();
        for name in ["momentum", "handful", "momentum"] {
            clip.append(&recording(name));
            clip.append(&gap);
        }
        let heard = plain(&text(&*engine, clip).await);
        assert_eq!(heard.matches("momentum").count(), 2, "{heard}");
        assert_eq!(heard.matches("handful").count(), 1, "{heard}");
    }
}

#[tokio::test]
async fn a_dropped_request_frees_the_engine() {
    for engine in engines() {
        let mut long = Pcm::default();
        for _ in 0..40 {
            long.append(&recording("handful"));
        }
        let request = || TranscribeRequest::new(long.clone());
        for _ in 0..3 {
            let mut call = engine.transcribe(request());
            assert!(futures_util::poll!(&mut call).is_pending());
        }
        let heard = text(&*engine, recording("go_forward")).await;
        assert_eq!(plain(&heard), "go forward ten meters");
    }
}

#[tokio::test]
async fn a_full_queue_is_busy() {
    let folder = support::models().join("whisper-tiny.en");
    let config = WhisperConfig {
        queue: 1,
        ..WhisperConfig::default()
    };
    let engine = WhisperStt::load(support::runtime(), &folder, config).unwrap();
    let mut waiting = Vec::new();
    let refused = (0..3).find_map(|_| {
        let mut call = engine.transcribe(TranscribeRequest::new(recording("handful")));
        let state = futures_util::FutureExt::now_or_never(&mut call);
        waiting.push(call);
        state
    });
    let error = refused.expect("one works, one waits").unwrap_err();
    assert!(
        matches!(error, SttError::Engine(EngineError::Busy(_))),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Busy);
    let heard = waiting.remove(0).await.unwrap();
    assert!(heard.text.contains("handful"));
}
