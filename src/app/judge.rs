//! Judges settings by what is on this machine: is there such a voice, such a wake word? Looks at file
//! names only, so that a change can be refused while somebody waits for the answer. Whether a model can be
//! loaded shows later.

use std::sync::Arc;

use super::{
    VOICE_MODEL,
    answering::{embedded_file, embedded_state},
    dictionary, wake_folders,
};
use crate::{
    llm::choice::{Answering, choose_embedded},
    models::Store,
    settings::{Judge, LlmProvider, Problem, Settings},
    tts::{KokoroTts, TtsError},
    wake,
};

/// The judge of this machine.
pub fn judge() -> Judge {
    Arc::new(problems)
}

fn problems(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |key, text| problems.push(Problem { key, text });
    let voices = Store::new(&settings.models_dir).path(VOICE_MODEL);
    // Before the models are fetched there is no voice at all, and none to compare with.
    if let Err(error @ TtsError::Voice(_)) = KokoroTts::check_voice(&voices, &settings.voice) {
        wrong("tts_voice_kokoro", format!("tts_voice_kokoro: {error}"));
    }
    let words = wake::find(&wake_folders(&settings.models_dir));
    if !words.is_empty()
        && let Err(error) = wake::choose(&words, &settings.wake_words)
    {
        wrong("wake_word_model", format!("wake_word_model: {error}"));
    }
    if let Err(failure) = dictionary(settings) {
        wrong("pronunciation", failure.to_string());
    }
    if settings.llm_provider == LlmProvider::Embedded {
        let choice = choose_embedded(embedded_state(settings));
        if choice.answering == Answering::Nobody {
            let key = match embedded_file(settings).is_file() {
                true => "llm_provider",
                false => "embedded_model",
            };
            wrong(key, format!("{key}: {}", choice.sentence));
        }
    }
    problems
}
