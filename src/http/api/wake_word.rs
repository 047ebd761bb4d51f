//! The wake word over HTTP.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Api, Refusal, State, about, settings};

pub(super) fn write_down(api: &mut Api) {
    const UNWRITTEN: &[(u16, &str)] = &[(500, "The settings cannot be written")];
    api.get(
        about(
            "/wake-word/status",
            "Wake word",
            "Whether the assistant sleeps until its wake word, and until which.",
        ),
        |state| async move { Ok(Status::of(&state)) },
    );
    api.act(
        about(
            "/wake-word/enable",
            "Wake word",
            "Has it sleep until its wake word.",
        )
        .refuses(UNWRITTEN),
        |state| turn(state, true),
    );
    api.act(
        about("/wake-word/disable", "Wake word", "Has it always listen.").refuses(UNWRITTEN),
        |state| turn(state, false),
    );
    api.get(
        about(
            "/wake-word/models",
            "Wake word",
            "The wake words that are installed, by their files.",
        ),
        |state| async move {
            Ok(Models {
                models: state.house.wake_words().await,
            })
        },
    );
}

/// How it is woken.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WakeWordStatus")]
struct Status {
    /// It sleeps until the wake word.
    enabled: bool,
    /// Which, by its file.
    model: String,
    /// Score from which it counts.
    threshold: f64,
    /// Seconds after an answer in which none is needed.
    timeout: f64,
}

impl Status {
    fn of(state: &State) -> Self {
        let values = state.settings.values();
        let number = |key: &str| values.get(key).and_then(Value::as_f64).unwrap_or_default();
        let text = values.get("wake_word_model").and_then(Value::as_str);
        Self {
            enabled: values
                .get("wake_word_enabled")
                .and_then(Value::as_bool)
                .unwrap_or_default(),
            model: text.unwrap_or_default().to_owned(),
            threshold: number("wake_word_threshold"),
            timeout: number("wake_word_timeout"),
        }
    }
}

/// Wake words.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WakeWordModels")]
struct Models {
    /// By their files, sorted.
    models: Vec<String>,
}

async fn turn(state: State, on: bool) -> Result<Status, Refusal> {
    let wanted = Map::from_iter([("wake_word_enabled".to_owned(), on.into())]);
    settings::change(&state, wanted, &["settings"]).await?;
    Ok(Status::of(&state))
}
