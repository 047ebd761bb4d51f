//! CAAL's first-run wizard: was it gone through, are the services there that somebody names, and what they
//! chose.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Api, Refusal, State, about, models::Outcome, settings};
use crate::{
    pii::Pii,
    settings::MASK,
    wizard::{self, Service},
};

pub(super) fn write_down(api: &mut Api) {
    api.get(
        about(
            "/setup/status",
            "Setup",
            "Whether the first-run wizard was gone through.",
        ),
        |state| async move {
            let values = state.settings.values();
            let completed = values.get("first_launch_completed") == Some(&Value::Bool(true));
            Ok(Status { completed })
        },
    );
    api.post(
        about(
            "/setup/complete",
            "Setup",
            "Keeps what was chosen in the wizard.",
        ),
        complete,
    );
    api.post(
        about(
            "/setup/test-ollama",
            "Setup",
            "Whether a language model server answers, and its models.",
        ),
        |_, asked: Host| async move { tried(Service::ModelServer { host: asked.host }).await },
    );
    api.post(
        about(
            "/setup/test-groq",
            "Setup",
            "Whether Groq takes a key, and its models.",
        ),
        |state, asked: Key| async move {
            // There is one Groq: a key that is kept goes nowhere else.
            let key = secret(&state, &asked.api_key, "groq_api_key", None);
            tried(Service::Groq { key }).await
        },
    );
    api.post(
        about(
            "/setup/test-openai-compatible",
            "Setup",
            "Whether an OpenAI-compatible server answers, and its models.",
        ),
        |state, asked: Compatible| async move {
            let to = ("openai_base_url", asked.base_url.as_str());
            let key = if_any(&state, asked.api_key, "openai_api_key", to);
            tried(Service::Compatible {
                url: asked.base_url,
                key,
            })
            .await
        },
    );
    api.post(
        about(
            "/setup/test-hass",
            "Setup",
            "Whether a Home Assistant takes a token, and how many devices it has.",
        ),
        |state, asked: HostToken| async move {
            let token = secret(
                &state,
                &asked.token,
                "hass_token",
                Some(("hass_host", &asked.host)),
            );
            tried(Service::HomeAssistant {
                host: asked.host,
                token,
            })
            .await
        },
    );
    api.post(
        about(
            "/setup/test-n8n",
            "Setup",
            "Whether the MCP server of an n8n answers.",
        ),
        |state, asked: UrlToken| async move {
            let to = ("n8n_url", asked.url.as_str());
            let token = if_any(&state, asked.token, "n8n_token", to);
            tried(Service::Workflows {
                url: asked.url,
                token,
            })
            .await
        },
    );
}

/// How far the wizard is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SetupStatus")]
struct Status {
    /// It was gone through.
    completed: bool,
}

/// Where something is.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TestModelServerRequest")]
struct Host {
    /// Its URL.
    host: String,
}

/// A key.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TestGroqRequest")]
struct Key {
    /// It; eight stars for the one that is kept.
    api_key: String,
}

/// Where something is, and how to get in.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TestCompatibleRequest")]
struct Compatible {
    /// Its URL; without a path `/v1` is meant.
    base_url: String,
    /// A key, if it needs one; eight stars for the one that is kept, which goes to the URL that is kept only.
    #[serde(default)]
    api_key: Option<String>,
}

/// Where something is, and how to get in.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TestHassRequest")]
struct HostToken {
    /// Its URL.
    host: String,
    /// A token; eight stars for the one that is kept, which goes to the host that is kept only.
    token: String,
}

/// Where something is, and how to get in.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TestN8nRequest")]
struct UrlToken {
    /// Its URL.
    url: String,
    /// A token, if it needs one; eight stars for the one that is kept, which goes to the URL that is kept
    /// only.
    #[serde(default)]
    token: Option<String>,
}

/// What a service said.
#[derive(Default, Serialize, JsonSchema)]
#[schemars(rename = "TestConnectionResponse")]
struct TestResult {
    /// It is there and lets us in.
    success: bool,
    /// Why not.
    error: Option<String>,
    /// Its models, where it has such.
    models: Option<Vec<String>>,
    /// Its devices, where it has such.
    device_count: Option<usize>,
    /// Always null, as in CAAL.
    workflow_count: Option<usize>,
}

async fn tried(service: Service) -> Result<TestResult, Refusal> {
    Ok(match wizard::ask(&service).await {
        Ok(found) => TestResult {
            success: true,
            models: found.models,
            device_count: found.devices,
            ..TestResult::default()
        },
        Err(why) => TestResult {
            error: Some(why),
            ..TestResult::default()
        },
    })
}

/// The secret that was `given`; for the mask (or nothing) the one that is kept under `key`, but only where
/// it goes to the address that is kept beside it.
fn secret(state: &State, given: &str, key: &str, to: Option<(&str, &str)>) -> Pii<String> {
    if !given.is_empty() && given != MASK {
        return Pii(given.to_owned());
    }
    let values = state.settings.all_values();
    let same = to.is_none_or(|(key, address)| {
        let kept = values.get(key).and_then(Value::as_str).unwrap_or_default();
        kept.trim_end_matches('/') == address.trim().trim_end_matches('/')
    });
    let kept = state.settings.secret(key).filter(|_| same);
    kept.unwrap_or_default()
}

/// The same of a service that may want none: nothing is nothing.
fn if_any(state: &State, given: Option<String>, key: &str, to: (&str, &str)) -> Pii<String> {
    let given = given.filter(|given| !given.is_empty());
    given.map_or_else(Pii::default, |given| secret(state, &given, key, Some(to)))
}

/// What was chosen. What is left out (or null) stays as it is.
#[derive(Deserialize, Serialize, JsonSchema)]
#[schemars(rename = "SetupCompleteRequest")]
struct Complete {
    /// Who answers: `ollama`, `groq` or `openai_compatible`.
    llm_provider: String,
    #[serde(default)]
    ollama_host: Option<String>,
    #[serde(default)]
    ollama_model: Option<String>,
    #[serde(default)]
    groq_api_key: Option<String>,
    #[serde(default)]
    groq_model: Option<String>,
    #[serde(default)]
    openai_base_url: Option<String>,
    #[serde(default)]
    openai_api_key: Option<String>,
    #[serde(default)]
    openai_model: Option<String>,
    /// Who speaks.
    #[serde(default)]
    tts_provider: Option<String>,
    #[serde(default)]
    tts_voice_kokoro: Option<String>,
    #[serde(default)]
    tts_voice_piper: Option<String>,
    #[serde(default)]
    hass_enabled: Option<bool>,
    #[serde(default)]
    hass_host: Option<String>,
    #[serde(default)]
    hass_token: Option<String>,
    #[serde(default)]
    n8n_enabled: Option<bool>,
    #[serde(default)]
    n8n_url: Option<String>,
    #[serde(default)]
    n8n_token: Option<String>,
}

impl Complete {
    /// The settings that follow from it.
    fn settings(&self) -> Map<String, Value> {
        let Ok(Value::Object(given)) = serde_json::to_value(self) else {
            return Map::new();
        };
        let (groq, openai, hass, n8n) = (
            self.llm_provider == "groq",
            self.llm_provider == "openai_compatible",
            self.hass_enabled == Some(true),
            self.n8n_enabled == Some(true),
        );
        let mut settings: Map<String, Value> = given
            .into_iter()
            .filter(|(key, value)| match key.as_str() {
                // Of the one that was not chosen nothing was said on purpose.
                "groq_model" => groq,
                "ollama_host" | "ollama_model" => !groq && !openai,
                "openai_base_url" | "openai_api_key" | "openai_model" => openai,
                "hass_host" | "hass_token" => hass && value != "",
                "n8n_url" | "n8n_token" => n8n && value != "",
                _ => true,
            })
            .filter(|(_, value)| !value.is_null() && value != "")
            .collect();
        settings.insert(
            "stt_provider".to_owned(),
            settings::hearing_of(&self.llm_provider).into(),
        );
        settings.insert("first_launch_completed".to_owned(), true.into());
        settings
    }
}

async fn complete(state: State, chosen: Complete) -> Result<Outcome, Refusal> {
    Ok(match settings::write(&state, chosen.settings()).await? {
        Ok(()) => Outcome {
            success: true,
            message: "Setup completed successfully".to_owned(),
        },
        Err(error) => Outcome {
            success: false,
            message: error.to_string(),
        },
    })
}
