//! Requests held against the schema of the type they are to become: all problems at once, in pydantic's
//! words, where serde would tell the first in its own. Pure but for the bytes it is given.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::refusal::{Context, Problem, Refusal, Step};
use crate::settings::{MASK, Row};

/// Whether nobody is told the value of a field: a secret of the settings, or one that the wizard tries.
fn is_secret(key: &str) -> bool {
    matches!(key, "api_key" | "token" | "key") || Row::find(key).is_some_and(Row::is_secret)
}

/// What a request's body is to become.
pub(super) struct Shape {
    schema: Value,
    /// A body that is not there counts as `{}`.
    optional: bool,
}

impl Shape {
    /// The shape of `T`; `optional` where a request may come without a body.
    pub(super) fn of<T: JsonSchema>(optional: bool) -> Self {
        let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
        let schema = settings.into_generator().into_root_schema_for::<T>();
        let schema = schema.to_value();
        Self { schema, optional }
    }

    /// The value in `body`, whose media type is `kind` (none: JSON, as for FastAPI).
    ///
    /// # Errors
    ///
    /// Every problem of it.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        kind: Option<&str>,
        body: &[u8],
    ) -> Result<T, Refusal> {
        let root = || vec![Step::from("body")];
        let value = match (body, kind) {
            ([], _) => Value::Null,
            (body, Some(kind)) if !is_json(kind) => {
                Value::String(String::from_utf8_lossy(body).into_owned())
            }
            (body, _) => serde_json::from_slice(body).map_err(|e| not_json(body, &e))?,
        };
        let value = match value {
            Value::Null if self.optional => Value::Object(Map::new()),
            Value::Null => return one("missing", root(), "Field required", Value::Null),
            value @ Value::Object(_) => value,
            other => {
                let shown = match other {
                    Value::String(_) if self.has_secrets() => MASK.into(),
                    other => masked(other),
                };
                let msg = "Input should be a valid dictionary or object to extract fields from";
                return one("model_attributes_type", root(), msg, shown);
            }
        };
        let mut problems = Vec::new();
        check(&self.schema, &value, &root(), &mut problems);
        if !problems.is_empty() {
            return Err(Refusal::Invalid(problems));
        }
        serde_json::from_value(value.clone()).map_err(|e| {
            let msg = e.to_string();
            Refusal::Invalid(vec![problem("value_error", root(), &msg, masked(value))])
        })
    }

    fn has_secrets(&self) -> bool {
        let fields = self.schema["properties"].as_object();
        fields.is_some_and(|fields| fields.keys().any(|key| is_secret(key)))
    }
}

fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let sub = kind.strip_prefix("application/");
    sub.is_some_and(|sub| sub.eq_ignore_ascii_case("json") || sub.ends_with("+json"))
}

fn not_json(body: &[u8], error: &serde_json::Error) -> Refusal {
    // Where it is, in characters from the beginning; the parser counts lines and columns.
    let before = body.split(|b| *b == b'\n').take(error.line() - 1);
    let lines: usize = before.map(|line| line.len() + 1).sum();
    let bytes = (lines + error.column()).min(body.len());
    let Ok(text) = str::from_utf8(body) else {
        let why = "There was an error parsing the body".to_owned();
        return Refusal::Plain(axum::http::StatusCode::BAD_REQUEST, why);
    };
    let mut at = bytes.saturating_sub(1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    let mut found = problem(
        "json_invalid",
        vec!["body".into(), Step::Place(text[..at].chars().count())],
        "JSON decode error",
        Value::Object(Map::new()),
    );
    found.ctx = Some(Context {
        error: said.to_owned(),
    });
    Refusal::Invalid(vec![found])
}

fn one<T>(kind: &'static str, loc: Vec<Step>, msg: &str, input: Value) -> Result<T, Refusal> {
    Err(Refusal::Invalid(vec![problem(kind, loc, msg, input)]))
}

pub(super) fn problem(kind: &'static str, loc: Vec<Step>, msg: &str, input: Value) -> Problem {
    Problem {
        kind,
        loc,
        msg: msg.to_owned(),
        input,
        ctx: None,
    }
}

/// `value` without the secrets in it.
pub(super) fn masked(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| match is_secret(&key) {
                true => (key, MASK.into()),
                false => (key, masked(value)),
            })
            .collect(),
        Value::Array(values) => values.into_iter().map(masked).collect(),
        // An address may hold a password.
        Value::String(text) if text.contains("://") && text.contains('@') => MASK.into(),
        other => other,
    }
}

/// Adds what is wrong with `value`; `at` is where it stands.
fn check(schema: &Value, value: &Value, at: &[Step], problems: &mut Vec<Problem>) {
    let may = |kind: &str| match &schema["type"] {
        Value::String(only) => only == kind,
        Value::Array(all) => all.iter().any(|one| one == kind),
        _ => true,
    };
    let fits = match value {
        Value::Null => may("null"),
        Value::Bool(_) => may("boolean"),
        Value::Number(n) => may("number") || (may("integer") && (n.is_i64() || n.is_u64())),
        Value::String(_) => may("string"),
        Value::Array(_) => may("array"),
        Value::Object(_) => may("object"),
    };
    if !fits {
        let last = at
            .last()
            .map(|step| matches!(step, Step::Key(key) if is_secret(key)));
        let input = match last {
            Some(true) => MASK.into(),
            _ => masked(value.clone()),
        };
        let text = value.is_string() || value.is_number();
        let (kind, msg) = match () {
            () if may("string") => ("string_type", "Input should be a valid string"),
            () if may("boolean") && text => (
                "bool_parsing",
                "Input should be a valid boolean, unable to interpret input",
            ),
            () if may("boolean") => ("bool_type", "Input should be a valid boolean"),
            () if may("object") => ("dict_type", "Input should be a valid dictionary"),
            () if may("array") => ("list_type", "Input should be a valid list"),
            () if may("integer") => ("int_type", "Input should be a valid integer"),
            () => ("float_type", "Input should be a valid number"),
        };
        problems.push(problem(kind, at.to_vec(), msg, input));
        return;
    }
    let step = |step: Step| [at, &[step]].concat();
    if let (Value::Object(fields), Some(known)) = (value, schema["properties"].as_object()) {
        let required = schema["required"].as_array();
        for (key, schema) in known {
            match fields.get(key) {
                Some(value) => check(schema, value, &step(key.as_str().into()), problems),
                None if required.is_some_and(|all| all.iter().any(|one| one == key)) => {
                    let at = step(key.as_str().into());
                    problems.push(problem(
                        "missing",
                        at,
                        "Field required",
                        masked(value.clone()),
                    ));
                }
                None => {}
            }
        }
    }
    if let (Value::Array(values), false) = (value, schema["items"].is_null()) {
        for (place, value) in values.iter().enumerate() {
            check(&schema["items"], value, &step(Step::Place(place)), problems);
        }
    }
}
