//! What the assistant is told about itself, over HTTP.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Api, Refusal, State, about, check::problem, settings::blocking};
use crate::settings::SettingsError;

pub(super) fn write_down(api: &mut Api) {
    api.get(
        about(
            "/prompt",
            "Settings",
            "What the assistant is told about itself.",
        ),
        |state| async move { Ok(Told::of(&state)) },
    );
    api.post(
        about(
            "/prompt",
            "Settings",
            "Writes a prompt of the user's own, and uses it.",
        )
        .refuses(&[(500, "The prompt cannot be written")]),
        change,
    );
}

/// A prompt of the user's own.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "PromptUpdateRequest")]
struct Wanted {
    /// Its text; `{{ASSISTANT_NAME}}`, `{{CURRENT_DATE_CONTEXT}}`, `{{DATE}}` and `{{TIMEZONE}}` are filled in.
    content: String,
}

/// The prompt in use.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PromptResponse")]
struct Told {
    /// `default` or `custom`.
    prompt: &'static str,
    /// Its text.
    content: String,
    /// Whether it is the user's own.
    is_custom: bool,
}

impl Told {
    fn of(state: &State) -> Self {
        let prompt = state.settings.prompt();
        Self {
            prompt: if prompt.is_custom {
                "custom"
            } else {
                "default"
            },
            content: prompt.content.0,
            is_custom: prompt.is_custom,
        }
    }
}

async fn change(state: State, wanted: Wanted) -> Result<Told, Refusal> {
    let settings = state.settings.clone();
    let written = blocking(move || settings.set_prompt(&wanted.content)).await?;
    written.map_err(|error| match error {
        SettingsError::Values(problems) => {
            let at = vec!["body".into(), "content".into()];
            let wrong = problems
                .iter()
                .map(|wrong| problem("value_error", at.clone(), &wrong.text, "".into()));
            Refusal::Invalid(wrong.collect())
        }
        other => Refusal::internal(other.to_string()),
    })?;
    Ok(Told::of(&state))
}
