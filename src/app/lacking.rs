//! Which models a server of these settings cannot do without and that are not on its disk, so that a first start
//! fetches them instead of ending.

use super::{
    Store, VOICE_MODEL,
    answering::{embedded_state, who_answers},
    runtime_model,
};
use crate::{
    llm::choice::Embedded,
    models::{ModelsError, State},
    settings::Settings,
    telemetry,
};

/// What every conversation needs, whatever is set.
const ALWAYS: [&str; 4] = ["silero-vad", "smart-turn-v3.2", "openwakeword", VOICE_MODEL];

/// Their names, for [`Store::pull`]. Damaged files are not among them: somebody may want to look at those. Looks at
/// files, and asks Ollama where the language model inside is not there.
pub async fn lacking(settings: &Settings) -> Vec<String> {
    // Of the language models only the one inside can be fetched, and it is only wanted where nobody else answers.
    let inside = match embedded_state(settings) {
        Embedded::NoFile if !who_answers(settings).await.someone() => {
            Some(settings.embedded_model.clone())
        }
        _ => None,
    };
    let settings = settings.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let store = Store::new(&settings.models_dir);
        let away = |name: &str| matches!(store.state(name), State::Missing | State::Incomplete(_));
        let runtime = settings.onnxruntime.is_none();
        let mut names: Vec<String> = runtime
            .then_some(runtime_model(settings.device))
            .into_iter()
            .chain(ALWAYS)
            .filter(|name| away(name))
            .map(str::to_owned)
            .collect();
        if let Err(ModelsError::NotHere {
            name,
            state: State::Missing | State::Incomplete(_),
        }) = store.resolve_whisper(&settings.whisper_model)
        {
            names.push(name);
        }
        names.extend(inside.filter(|name| store.check_pull(name).is_ok()));
        names
    });
    looked.await.unwrap_or_else(|ended| {
        tracing::warn!(
            error = telemetry::ended(&ended),
            "nobody knows which models are missing"
        );
        Vec::new()
    })
}
