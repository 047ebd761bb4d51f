//! The table of settings over HTTP: our page makes its form from it, and takes values back to what counts
//! without the settings file. What a row means is the table's business, here is only its JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Api, Refusal, State, about, check::problem, refusal::Step, settings::blocking};
use crate::settings::{Explained, Kind, Live, MASK, Origin, Reach, Row, SettingsError};

pub(super) fn write_down(api: &mut Api) {
    api.get(
        about(
            "/settings/table",
            "Settings",
            "Every setting that may be changed over HTTP: what it takes, what it does, when a change counts, its value (secrets as eight stars) and where that was set.",
        ),
        |state| async move { Ok(Table::of(&state.settings)) },
    );
    api.post(
        about(
            "/settings/unset",
            "Settings",
            "Takes settings out of the settings file, secrets too, so that the environment or the default counts again.",
        )
        .refuses(&[(500, "The settings cannot be written")]),
        unset,
    );
}

/// The settings, for a form.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SettingsTable")]
struct Table {
    /// In the order of the documentation.
    settings: Vec<Setting>,
    /// What the assistant may be told about itself.
    prompts: Prompts,
    /// What stands for a secret that is set; sent back, it changes nothing.
    mask: &'static str,
}

/// A setting.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SettingRow")]
struct Setting {
    /// Its name.
    key: &'static str,
    /// What it does.
    doc: &'static str,
    /// What values it takes: `text`, `path`, `url`, `secret`, `bool`, `int`, `number`, `choice`, `words`
    /// (with commas between), `lines` (a list of texts), `map` (of texts), `stay` (`10m`, `-1` for ever),
    /// `zone` or `language`.
    kind: &'static str,
    /// Of a `choice`: the words to choose from.
    choices: Option<&'static [&'static str]>,
    /// Of an `int` or `number`: the smallest.
    minimum: Option<f64>,
    /// Of an `int` or `number`: the largest.
    maximum: Option<f64>,
    /// Whether it may be empty.
    may_be_empty: bool,
    /// When a change counts: `at once`, `next turn` (in conversations that are going on, too) or
    /// `next start` of the program.
    applies: &'static str,
    /// Its variable in the environment; null for none.
    variable: Option<&'static str>,
    /// What counts now.
    now: Given,
    /// What would count if the settings file said nothing of it.
    otherwise: Given,
    /// What is wrong with what was set, where the default counts instead.
    problem: Option<String>,
}

/// A value and where it was set.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SettingGiven")]
struct Given {
    /// Of the setting's type; a secret as eight stars, or empty where there is none.
    value: Value,
    /// `flag` (of the command line), `file` (the settings file), `environment`, `.env`, `secret file` (which
    /// a variable names) or `default`.
    origin: &'static str,
    /// The variable that says so, of the environment's origins.
    variable: Option<&'static str>,
}

/// What the assistant may be told about itself.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SettingPrompts")]
struct Prompts {
    /// The prompt inside the program.
    default: String,
    /// The user's own, in use or not; null where there is none.
    custom: Option<String>,
}

/// Settings to take out of the file.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SettingsUnsetRequest")]
struct Unset {
    /// Their names.
    keys: Vec<String>,
}

impl Table {
    fn of(settings: &Live) -> Self {
        let (default, custom) = settings.prompts();
        let rows = settings.explain().into_iter().zip(settings.beneath());
        Self {
            settings: rows
                .filter(|(now, _)| now.row.reach == Reach::Api)
                .map(|(now, otherwise)| Setting::of(now, otherwise))
                .collect(),
            prompts: Prompts {
                default: default.0,
                custom: custom.map(|text| text.0),
            },
            mask: MASK,
        }
    }
}

impl Setting {
    fn of(now: Explained, otherwise: Explained) -> Self {
        let row = now.row;
        let (minimum, maximum) = match row.kind {
            Kind::Int(low, high) => (Some(f64::from(low)), Some(f64::from(high))),
            Kind::Number(low, high) => (Some(low), Some(high)),
            _ => (None, None),
        };
        let choices = match row.kind {
            Kind::Choice(words) => Some(words),
            _ => None,
        };
        Self {
            key: row.key,
            doc: row.doc,
            kind: name(row.kind),
            choices,
            minimum,
            maximum,
            may_be_empty: !matches!(
                row.kind,
                Kind::Url
                    | Kind::Bool
                    | Kind::Int(..)
                    | Kind::Number(..)
                    | Kind::Choice(_)
                    | Kind::Words
                    | Kind::Stay
            ),
            applies: row.applies.name(),
            variable: Some(row.env).filter(|variable| !variable.is_empty()),
            problem: now.problem.clone(),
            now: Given::of(now),
            otherwise: Given::of(otherwise),
        }
    }
}

impl Given {
    fn of(explained: Explained) -> Self {
        let (origin, variable) = match explained.origin {
            Origin::Flag => ("flag", None),
            Origin::File => ("file", None),
            Origin::Environment(name) => ("environment", Some(name)),
            Origin::DotEnv(name) => (".env", Some(name)),
            Origin::SecretFile(name, _) => ("secret file", Some(name)),
            Origin::Default => ("default", None),
        };
        Self {
            value: explained.value,
            origin,
            variable,
        }
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Language => "language",
        Kind::Path => "path",
        Kind::Url | Kind::OptionalUrl | Kind::SocketUrl => "url",
        Kind::Secret => "secret",
        Kind::Bool => "bool",
        Kind::Int(..) => "int",
        Kind::Number(..) => "number",
        Kind::Choice(_) => "choice",
        Kind::Words => "words",
        Kind::Lines => "lines",
        Kind::Map => "map",
        Kind::Stay => "stay",
        Kind::Zone => "zone",
        // Typed as text; the table judges it.
        _ => "text",
    }
}

async fn unset(state: State, asked: Unset) -> Result<Table, Refusal> {
    let at = |place: usize| vec!["body".into(), "keys".into(), Step::Place(place)];
    let mut wrong = Vec::new();
    let mut keys = Vec::new();
    for (place, key) in asked.keys.into_iter().enumerate() {
        match Row::find(&key) {
            Some(row) if row.reach == Reach::Api => keys.push(row.key),
            Some(_) => {
                let msg = format!(
                    "{key} can be changed on this machine only, in its settings file or environment"
                );
                wrong.push(problem("value_error", at(place), &msg, key.into()));
            }
            None => {
                let msg = "there is no such setting; GET /settings/table has their names";
                wrong.push(problem("value_error", at(place), msg, key.into()));
            }
        }
    }
    if !wrong.is_empty() {
        return Err(Refusal::Invalid(wrong));
    }
    let settings = state.settings.clone();
    let written = blocking(move || settings.unset(&keys)).await?;
    written.map_err(|error| match error {
        SettingsError::Values(problems) => {
            let told = problems.into_iter().map(|wrong| {
                let at = vec!["body".into(), "keys".into(), wrong.key.into()];
                problem("value_error", at, &wrong.text, Value::Null)
            });
            Refusal::Invalid(told.collect())
        }
        other => Refusal::internal(other.to_string()),
    })?;
    Ok(Table::of(&state.settings))
}
