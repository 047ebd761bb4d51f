//! Which models and voices there are, and getting them ready.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Api, Refusal, State, about};
use crate::http::Prewarm;

/// What CAAL's ids of Piper voices begin with.
const PIPER: &str = "speaches-ai/piper-";

/// CAAL's Piper voices, in its order.
const PIPER_VOICES: [&str; 19] = [
    "en_US-ryan-high",
    "en_US-ljspeech-medium",
    "en_US-hfc_female-medium",
    "en_US-lessac-medium",
    "en_GB-aru-medium",
    "en_GB-alba-medium",
    "de_DE-eva_k-x_low",
    "de_DE-kerstin-low",
    "de_DE-thorsten-high",
    "fr_FR-mls-medium",
    "fr_FR-siwis-medium",
    "es_ES-davefx-medium",
    "es_MX-ald-medium",
    "ru_RU-irina-medium",
    "it_IT-riccardo-x_low",
    "pl_PL-darkman-medium",
    "pt_BR-faber-medium",
    "sk_SK-lili-medium",
    "uk_UA-lada-x_low",
];

/// Told where no voice is installed yet.
const VOICES: [&str; 5] = ["af_heart", "af_bella", "af_sarah", "am_adam", "am_puck"];

pub(super) fn write_down(api: &mut Api) {
    api.get(
        about(
            "/models",
            "Models",
            "The models of the language model server that is set; none where it does not answer.",
        ),
        |state| async move {
            Ok(Models {
                models: state.house.models().await,
            })
        },
    );
    api.ask(
        about("/voices", "Models", "The voices of a provider."),
        voices,
    );
    api.post(
        about(
            "/download-piper-model",
            "Models",
            "Fetches a Piper voice, where something could speak with it.",
        ),
        download,
    );
    api.act(
        about(
            "/prewarm",
            "Models",
            "Has the language model server load its model, in the background.",
        ),
        prewarm,
    );
}

/// Language models.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ModelsResponse")]
struct Models {
    /// By name.
    models: Vec<String>,
}

/// Whose voices.
#[derive(Deserialize, JsonSchema)]
struct Whose {
    /// `kokoro` or `piper`; the one that is set where none is named.
    #[serde(default)]
    provider: Option<String>,
}

/// Voices.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VoicesResponse")]
struct Voices {
    /// By name.
    voices: Vec<String>,
}

/// A voice to fetch.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "DownloadPiperModelRequest")]
struct Download {
    /// Such as `speaches-ai/piper-en_US-ryan-high`.
    model_id: String,
}

/// How it went.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Outcome")]
pub(super) struct Outcome {
    /// It is done.
    pub(super) success: bool,
    /// A sentence about it.
    pub(super) message: String,
}

/// Whether something was begun.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PrewarmResponse")]
struct Begun {
    /// `started` or `skipped`.
    status: &'static str,
    /// A sentence about it.
    message: &'static str,
}

async fn voices(state: State, whose: Whose) -> Result<Voices, Refusal> {
    let set = || {
        let values = state.settings.values();
        values
            .get("tts_provider")
            .and_then(|v| v.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let provider = whose
        .provider
        .filter(|name| !name.is_empty())
        .unwrap_or_else(set);
    let voices = match provider.as_str() {
        "piper" => PIPER_VOICES.map(|voice| format!("{PIPER}{voice}")).to_vec(),
        _ => match state.house.voices().await {
            none if none.is_empty() => VOICES.map(str::to_owned).to_vec(),
            voices => voices,
        },
    };
    Ok(Voices { voices })
}

async fn download(_: State, wanted: Download) -> Result<Outcome, Refusal> {
    let id = wanted.model_id;
    let message = match id.starts_with(PIPER) {
        false => format!("Invalid Piper model ID: {id}"),
        // Nothing here could speak with it: better said than downloaded.
        true => format!(
            "Piper is not in this server yet, so '{id}' was not downloaded; it speaks with the voice that is set for kokoro"
        ),
    };
    Ok(Outcome {
        success: false,
        message,
    })
}

async fn prewarm(state: State) -> Result<Begun, Refusal> {
    Ok(match state.house.prewarm() {
        Prewarm::Started => Begun {
            status: "started",
            message: "Model preloading started in background",
        },
        Prewarm::Skipped(message) => Begun {
            status: "skipped",
            message,
        },
    })
}
