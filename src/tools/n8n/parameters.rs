//! What a workflow takes, from what its author wrote in the webhook's notes or in a description. Pure.
//!
//! Notes are prose, a JSON schema, or an example object whose texts describe (`{"action": "on or off"}`);
//! both may stand after prose and a line `---schema`. A description may say `Parameters: room, action
//! (on|off)`.

use serde_json::{Map, Value, json};

/// What the notes of a node say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Notes {
    /// For people and language models.
    pub(super) prose: Option<String>,
    /// A JSON schema of an object.
    pub(super) schema: Option<Value>,
}

/// Reads `notes`.
pub(super) fn notes(notes: &str) -> Notes {
    let notes = notes.trim();
    if let Some(schema) = json_of(notes) {
        return Notes {
            prose: None,
            schema: Some(schema),
        };
    }
    let line = notes
        .lines()
        .find(|line| line.trim().eq_ignore_ascii_case("---schema"));
    let (prose, schema) = match line.and_then(|line| notes.split_once(line)) {
        Some((prose, rest)) => (prose, json_of(rest)),
        None => (notes, None),
    };
    let prose = Some(prose.trim().to_owned()).filter(|prose| !prose.is_empty());
    Notes { prose, schema }
}

/// A schema of `text`, which holds one or an example, in a fence or not.
fn json_of(text: &str) -> Option<Value> {
    let text = text.trim();
    let text = text
        .strip_prefix("```json")
        .or_else(|| text.strip_prefix("```"))
        .unwrap_or(text);
    let text = text.strip_suffix("```").unwrap_or(text);
    match serde_json::from_str(text.trim()).ok()? {
        Value::Object(object) => Some(schema(object)),
        _ => None,
    }
}

fn schema(object: Map<String, Value>) -> Value {
    let is_schema = object.get("type").and_then(Value::as_str) == Some("object")
        && object.get("properties").is_none_or(Value::is_object)
        || object.get("properties").is_some_and(Value::is_object) && !object.contains_key("type");
    if is_schema {
        let mut object = object;
        object.remove("$schema");
        object.insert("type".to_owned(), "object".into());
        return Value::Object(object);
    }
    let properties: Map<_, _> = object
        .into_iter()
        .map(|(name, v)| (name, property(v)))
        .collect();
    json!({"type": "object", "properties": properties})
}

/// One property of an example.
fn property(example: Value) -> Value {
    match example {
        Value::String(text) => json!({"type": "string", "description": text}),
        Value::Number(n) if n.is_f64() => {
            json!({"type": "number", "description": format!("such as {n}")})
        }
        Value::Number(n) => json!({"type": "integer", "description": format!("such as {n}")}),
        Value::Bool(_) => json!({"type": "boolean"}),
        Value::Array(items) => match items.into_iter().next() {
            Some(item) => json!({"type": "array", "items": property(item)}),
            None => json!({"type": "array"}),
        },
        // An object that is a schema itself stays one.
        Value::Object(object) if object.get("type").is_some_and(Value::is_string) => {
            Value::Object(object)
        }
        Value::Object(object) => schema(object),
        Value::Null => json!({}),
    }
}

/// A schema of `description`, where that says `Parameters: a (x|y), b`.
pub(super) fn described(description: &str) -> Option<Value> {
    let lower = description.to_ascii_lowercase();
    let at = lower.find("parameters:")? + "parameters:".len();
    let rest = description[at..].trim_start();
    let rest = rest.lines().next().unwrap_or_default();
    let mut properties = Map::new();
    for part in split(rest) {
        let part = part.trim().trim_end_matches('.');
        let (name, inside) = match part.split_once('(') {
            Some((name, rest)) => (
                name.trim(),
                rest.split_once(')').map_or(rest, |(i, _)| i).trim(),
            ),
            None => (part, ""),
        };
        // The first that is no name ends the list: prose begins there.
        if name.is_empty()
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        {
            break;
        }
        let choices: Vec<&str> = inside
            .split('|')
            .map(str::trim)
            .filter(|c| !c.is_empty())
            .collect();
        let property = match choices.as_slice() {
            [] => json!({"type": "string"}),
            [kind @ ("string" | "number" | "integer" | "boolean")] => json!({"type": kind}),
            [text] => json!({"type": "string", "description": text}),
            choices => json!({"type": "string", "enum": choices}),
        };
        properties.insert(name.to_owned(), property);
    }
    (!properties.is_empty()).then(|| json!({"type": "object", "properties": properties}))
}

/// At commas outside of brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_i32, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth <= 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Of a workflow that says nothing.
pub(super) fn anything() -> Value {
    json!({"type": "object", "additionalProperties": true})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_gives_types_and_descriptions() {
        let got = notes(
            r#"{"action": "on or off", "level": 5, "when": 1.5, "loud": true, "who": ["name"]}"#,
        );
        assert_eq!(got.prose, None);
        let want = json!({"type": "object", "properties": {
            "action": {"type": "string", "description": "on or off"},
            "level": {"type": "integer", "description": "such as 5"},
            "when": {"type": "number", "description": "such as 1.5"},
            "loud": {"type": "boolean"},
            "who": {"type": "array", "items": {"type": "string", "description": "name"}}}});
        assert_eq!(got.schema, Some(want));
    }

    #[test]
    fn a_schema_stays_one_also_after_prose() {
        let schema =
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
        assert_eq!(notes(&schema.to_string()).schema, Some(schema.clone()));
        let both = notes(&format!("Sends a mail.\n---schema\n```json\n{schema}\n```"));
        assert_eq!(
            both,
            Notes {
                prose: Some("Sends a mail.".to_owned()),
                schema: Some(schema)
            }
        );
        let prose = notes("Looks {something} up.");
        assert_eq!(
            (prose.prose.as_deref(), prose.schema),
            (Some("Looks {something} up."), None)
        );
        assert_eq!(notes("  "), Notes::default());
    }

    #[test]
    fn a_description_names_parameters_and_what_they_may_be() {
        let got = described(
            "Switches it. Parameters: action (on|off), room, level (number), to (a, b or c). ",
        );
        let want = json!({"type": "object", "properties": {
            "action": {"type": "string", "enum": ["on", "off"]}, "room": {"type": "string"},
            "level": {"type": "number"}, "to": {"type": "string", "description": "a, b or c"}}});
        assert_eq!(got, Some(want));
        assert_eq!(described("Takes no parameters"), None);
        assert_eq!(described("Parameters: none of this is one"), None);
    }
}
