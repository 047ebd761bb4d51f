//! The settings over HTTP, as CAAL's panel and app read and write them. What a value may be, and which are
//! secrets, is the table's business; here is only what CAAL makes of them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Api, Refusal, State, about,
    check::{masked, problem},
};
use crate::settings::{CAAL_ROWS, Kind, ROWS, SettingsError};

pub(super) fn write_down(api: &mut Api) {
    api.get(
        about(
            "/settings",
            "Settings",
            "The settings; secrets as eight stars where they are set.",
        ),
        |state| async move { Ok(Told::of(&state)) },
    );
    api.post(
        about(
            "/settings",
            "Settings",
            "Changes settings: all that are sent, or none where one is wrong. A secret that is empty or eight stars stays as it is.",
        )
        .refuses(&[(500, "The settings cannot be written")]),
        |state, wanted: Wanted| async move {
            change(&state, wanted.settings, &["body", "settings"]).await?;
            Ok(Told::of(&state))
        },
    );
}

/// Settings to change.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SettingsUpdateRequest")]
struct Wanted {
    /// By key. Keys that are none are left out.
    settings: Map<String, Value>,
}

/// All settings.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SettingsResponse")]
struct Told {
    settings: Values,
    /// What the assistant is told about itself.
    prompt_content: String,
    /// Whether there is a prompt of the user's own.
    custom_prompt_exists: bool,
}

impl Told {
    fn of(state: &State) -> Self {
        Self {
            settings: Values(state.settings.values()),
            prompt_content: state.settings.prompt().content.0,
            custom_prompt_exists: state.settings.has_custom_prompt(),
        }
    }
}

/// Changes settings; `at` is where they stand in the request.
///
/// # Errors
///
/// 422 with every value that is wrong, 500 where nothing can be written.
pub(super) async fn change(
    state: &State,
    wanted: Map<String, Value>,
    at: &'static [&'static str],
) -> Result<(), Refusal> {
    let sent = wanted.clone();
    let written = write(state, wanted).await?;
    written.map_err(|error| match error {
        SettingsError::Values(problems) => Refusal::Invalid(
            problems
                .into_iter()
                .map(|wrong| {
                    let steps = at.iter().copied().chain([wrong.key]).map(Into::into);
                    let field = Map::from_iter(
                        sent.get(wrong.key)
                            .map(|value| (wrong.key.to_owned(), value.clone())),
                    );
                    let input = masked(Value::Object(field));
                    let input = input.get(wrong.key).cloned().unwrap_or_default();
                    problem("value_error", steps.collect(), &wrong.text, input)
                })
                .collect(),
        ),
        other => Refusal::internal(other.to_string()),
    })
}

/// The same, with the error as the settings tell it.
pub(super) async fn write(
    state: &State,
    mut wanted: Map<String, Value>,
) -> Result<Result<(), SettingsError>, Refusal> {
    switch_hearing(&mut wanted, &state.settings.values());
    let settings = state.settings.clone();
    blocking(move || settings.change(wanted)).await
}

/// CAAL's panel says that whoever answers also hears, and sends the old value of `stt_provider` back: a
/// new `llm_provider` takes it along, unless the request names another than there is.
fn switch_hearing(wanted: &mut Map<String, Value>, now: &Map<String, Value>) {
    let Some(llm) = wanted.get("llm_provider").and_then(Value::as_str) else {
        return;
    };
    let same = |key: &str| {
        wanted
            .get(key)
            .is_none_or(|value| Some(value) == now.get(key))
    };
    if same("llm_provider") || !same("stt_provider") {
        return;
    }
    let stt = hearing_of(llm);
    wanted.insert("stt_provider".to_owned(), stt.into());
}

/// Who hears where `llm` answers.
pub(super) fn hearing_of(llm: &str) -> &'static str {
    match llm {
        "groq" => "groq",
        _ => "speaches",
    }
}

/// Runs what waits for the disk on a thread for that.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Refusal::internal("the settings could not be reached; see the log"))
}

/// CAAL's settings, by key; in the document with what the table says about each.
#[derive(Serialize)]
struct Values(Map<String, Value>);

impl JsonSchema for Values {
    fn schema_name() -> Cow<'static, str> {
        "Settings".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let rows = &ROWS[..CAAL_ROWS];
        let fields: Map<String, Value> = rows
            .iter()
            .map(|row| {
                let kind = match row.kind {
                    Kind::Bool => json!({ "type": "boolean" }),
                    Kind::Int(low, high) => {
                        json!({ "type": "integer", "minimum": low, "maximum": high })
                    }
                    Kind::Number(low, high) => {
                        json!({ "type": "number", "minimum": low, "maximum": high })
                    }
                    Kind::Choice(words) => json!({ "type": "string", "enum": words }),
                    Kind::Lines => json!({ "type": "array", "items": { "type": "string" } }),
                    Kind::Map => json!({ "type": "object" }),
                    _ => json!({ "type": "string" }),
                };
                let mut kind = kind;
                kind["description"] = row.doc.into();
                (row.key.to_owned(), kind)
            })
            .collect();
        let keys: Vec<&str> = rows.iter().map(|row| row.key).collect();
        json_schema!({ "type": "object", "properties": fields, "required": keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_takes_along_who_hears() {
        let map = |pairs: &[(&str, &str)]| -> Map<String, Value> {
            pairs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).into()))
                .collect()
        };
        let now = map(&[("llm_provider", "ollama"), ("stt_provider", "speaches")]);
        for (wanted, stt) in [
            (
                &[("llm_provider", "groq"), ("stt_provider", "speaches")][..],
                Some("groq"),
            ),
            (&[("llm_provider", "groq")], Some("groq")),
            (
                &[("llm_provider", "ollama"), ("stt_provider", "groq")],
                Some("groq"),
            ),
            (&[("llm_provider", "ollama")], None),
            (&[("agent_name", "Cal")], None),
        ] {
            let mut wanted = map(wanted);
            switch_hearing(&mut wanted, &now);
            assert_eq!(wanted.get("stt_provider").and_then(Value::as_str), stt);
        }
    }
}
