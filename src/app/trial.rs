//! Trying a voice or a wake word outside of any conversation, for whoever chooses one.

use std::{io::Cursor, time::Duration};

use futures_util::StreamExt as _;

use super::{App, VOICE_MODEL, dictionary, find_wake_words, runtime};
use crate::{
    audio::{Hz16k, Hz24k, Pcm, Rechunker, Resampler, SamplePos, rms, wav},
    http::{Heard, Listening, Say, SayError, TryError},
    models::Store,
    settings::Settings,
    tts::{Clauses, KokoroTts, SpeakRequest, TtsError},
    wake::{GateConfig, OpenWakeWord, WakeError, WakeGate, WakeModel as _},
};

/// How often it is looked whether somebody is being answered.
const LOOKS: Duration = Duration::from_millis(20);

/// The sound of `say` as a WAV file. Gives way to the answers of conversations: as soon as one is made,
/// what was begun is dropped. Dropping the future stops it.
pub(super) async fn say(app: &App, settings: &Settings, say: Say) -> Result<Vec<u8>, SayError> {
    let engines = app.engines();
    let folder = Store::new(&settings.models_dir).path(VOICE_MODEL);
    if let Err(error @ TtsError::Voice(_)) = KokoroTts::check_voice(&folder, &say.voice) {
        return Err(SayError::Voice(error.to_string()));
    }
    let failed = |why: &dyn std::fmt::Display| SayError::Failed(why.to_string());
    let dictionary = dictionary(settings).map_err(|e| failed(&e))?;
    let mut cutter = Clauses::new(dictionary);
    let mut clauses = cutter.push(&say.text);
    clauses.extend(cutter.finish());
    let mut look = tokio::time::interval(LOOKS);
    let mut all = Pcm::<Hz24k>::default();
    for clause in clauses.into_iter().filter(|c| !c.spoken.is_empty()) {
        let mut sound = engines.tts.speak(SpeakRequest {
            text: clause.spoken,
            voice: say.voice.clone(),
            speed: say.speed,
            pause: clause.pause,
        });
        loop {
            tokio::select! {
                biased;
                _ = look.tick() => if engines.load.answering() {
                    return Err(SayError::Busy);
                },
                piece = sound.next() => match piece {
                    Some(piece) => all.append(&piece.map_err(|e| failed(&e))?),
                    None => break,
                },
            }
        }
    }
    let mut file = Cursor::new(Vec::with_capacity(all.len() * 2 + 64));
    wav::encode(&mut file, &all).map_err(|e| failed(&e))?;
    Ok(file.into_inner())
}

/// Listens for `word` in sound of `rate` Hz. Loads the word's models: a fraction of a second. Over the
/// runtime of `app`, where that is there already.
pub(super) fn listen(
    app: Option<&App>,
    settings: &Settings,
    word: &str,
    rate: u32,
) -> Result<Box<dyn Listening>, TryError> {
    let failed = |why: &dyn std::fmt::Display| TryError::Failed(why.to_string());
    let found = find_wake_words(settings, &[word.to_owned()]);
    let found = found.map_err(|e| TryError::Unknown(e.to_string()))?;
    let runtime = match app {
        Some(app) => app.runtime.clone(),
        None => runtime(settings).map_err(|e| failed(&e))?,
    };
    let folder = settings.models_dir.join("openwakeword");
    let model = OpenWakeWord::load(&runtime, &folder, &found).map_err(|e| failed(&e))?;
    let gate = GateConfig {
        threshold: settings.wake_threshold,
        ..GateConfig::default()
    };
    Ok(Box::new(Trial {
        gate: WakeGate::new(model.words().len(), gate),
        threshold: gate.threshold,
        resampler: Resampler::new(rate),
        steps: Rechunker::new(model.step()),
        end: SamplePos::new(0),
        model,
    }))
}

/// One wake word on trial: as a conversation would hear it, but for the energy gate, so that there is a
/// score for silence, too.
struct Trial {
    model: OpenWakeWord,
    gate: WakeGate,
    threshold: f32,
    resampler: Resampler<Hz16k>,
    steps: Rechunker,
    end: SamplePos<Hz16k>,
}

impl Listening for Trial {
    fn push(&mut self, sound: &[f32]) -> Result<Vec<Heard>, String> {
        let mut at_16k = Vec::with_capacity(sound.len());
        self.resampler.push(sound, &mut at_16k);
        let mut told = Ok(Vec::new());
        let Self {
            model, gate, end, ..
        } = self;
        let threshold = self.threshold;
        self.steps.push(&at_16k, |step| {
            let Ok(heard) = &mut told else { return };
            *end = SamplePos::new(end.samples() + step.len() as u64);
            let scores: Result<&[f32], WakeError> = model.score(step);
            match scores {
                Ok(scores) => heard.push(Heard {
                    at_ms: u64::try_from(end.duration().as_millis()).unwrap_or(u64::MAX),
                    score: scores.first().copied().unwrap_or_default(),
                    level: rms(step),
                    heard: gate.push(*end, scores).is_some(),
                    threshold,
                }),
                Err(error) => told = Err(error.to_string()),
            }
        });
        told
    }
}
