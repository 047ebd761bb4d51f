//! The arguments of a call: what small models write a little wrong is put right, what stays wrong is told
//! to them. Pure.

use serde_json::{Map, Number, Value};

/// Problems that are told at once.
const TOLD: usize = 5;

/// `arguments` as `schema` wants them.
///
/// # Errors
///
/// What is wrong, for the model.
pub(super) fn checked(arguments: &Value, schema: &Value) -> Result<Map<String, Value>, String> {
    let mut arguments = match arguments {
        Value::Object(map) => map.clone(),
        Value::Null => Map::new(),
        // Some models send the object as the text of one.
        Value::String(text) if text.trim().is_empty() => Map::new(),
        Value::String(text) => match serde_json::from_str(text) {
            Ok(Value::Object(map)) => map,
            _ => return Err("the arguments are no JSON object".to_owned()),
        },
        _ => return Err("the arguments are no JSON object".to_owned()),
    };
    let known = schema.get("properties").and_then(Value::as_object);
    if let Some(known) = known {
        let required = schema.get("required").and_then(Value::as_array);
        let required = |name: &str| required.is_some_and(|all| all.iter().any(|r| r == name));
        arguments = arguments
            .into_iter()
            .filter(|(name, value)| {
                // "Nothing" for what may be left out means that it is left out.
                let nothing = value.is_null() || value.as_str() == Some("");
                !nothing || required(name) || !known.contains_key(name)
            })
            .collect();
        for (name, value) in &mut arguments {
            if let Some(wanted) = known.get(name) {
                *value = one_of(fitted(std::mem::take(value), wanted), wanted);
            }
        }
    }
    let arguments = Value::Object(arguments);
    // A schema that is none lets everything through: its server will say what it does not like.
    if let Ok(validator) = jsonschema::validator_for(schema) {
        let problems: Vec<String> = validator
            .iter_errors(&arguments)
            .take(TOLD)
            .map(|error| match error.instance_path().to_string() {
                path if path.is_empty() => error.to_string(),
                path => format!("{}: {error}", path.trim_start_matches('/')),
            })
            .collect();
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
    }
    match arguments {
        Value::Object(map) => Ok(map),
        _ => Ok(Map::new()),
    }
}

/// `value` in the type that `schema` names, where it plainly says the same.
fn fitted(value: Value, schema: &Value) -> Value {
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => return value,
    };
    let wants = |name: &str| types.contains(&name);
    match value {
        Value::String(text) if !wants("string") => {
            let trimmed = text.trim();
            let number = trimmed.trim_end_matches(['%', '°']).trim();
            if wants("boolean")
                && let Some(yes) = truth(trimmed)
            {
                return Value::Bool(yes);
            }
            if (wants("integer") || wants("number"))
                && let Ok(number) = number.parse::<i64>()
            {
                return number.into();
            }
            if wants("number")
                && let Some(number) = number.parse().ok().and_then(Number::from_f64)
            {
                return Value::Number(number);
            }
            if (wants("array") || wants("object"))
                && let Ok(value) = serde_json::from_str::<Value>(trimmed)
                && (value.is_array() || value.is_object())
            {
                return value;
            }
            if wants("array") {
                return Value::Array(vec![Value::String(text)]);
            }
            Value::String(text)
        }
        Value::Number(number) if !wants("number") && !wants("integer") && wants("string") => {
            Value::String(number.to_string())
        }
        Value::Number(number) if wants("integer") && !wants("number") && !number.is_i64() => {
            let float = number.as_f64().filter(|float| float.fract() == 0.0);
            match float.filter(|float| float.abs() < 9e15) {
                #[allow(
                    clippy::cast_possible_truncation,
                    reason = "a whole number well within i64"
                )]
                Some(whole) => (whole as i64).into(),
                None => Value::Number(number),
            }
        }
        Value::Bool(yes) if !wants("boolean") && wants("string") => Value::String(yes.to_string()),
        value => value,
    }
}

/// The word of the schema's `enum` that `value` is in another case.
fn one_of(value: Value, schema: &Value) -> Value {
    let (Value::String(text), Some(Value::Array(words))) = (&value, schema.get("enum")) else {
        return value;
    };
    let same = |word: &&Value| {
        let word = word.as_str();
        word.is_some_and(|word| word.eq_ignore_ascii_case(text.trim()))
    };
    words.iter().find(same).cloned().unwrap_or(value)
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "action": {"type": "string", "enum": ["turn_on", "turn_off"]},
                "level": {"type": "integer", "minimum": 0, "maximum": 100},
                "factor": {"type": "number"},
                "all": {"type": "boolean"},
                "names": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["action"],
            "additionalProperties": false,
        })
    }

    fn fits(arguments: Value) -> Value {
        Value::Object(checked(&arguments, &schema()).expect("they fit"))
    }

    #[test]
    fn what_is_right_stays_as_it_is() {
        let right =
            json!({"action": "turn_on", "level": 5, "factor": 0.5, "all": false, "names": ["a"]});
        assert_eq!(fits(right.clone()), right);
    }

    #[test]
    fn what_small_models_write_a_little_wrong_is_put_right() {
        for (wrong, right) in [
            (
                json!("{\"action\": \"turn_on\"}"),
                json!({"action": "turn_on"}),
            ),
            (json!({"action": "Turn_On"}), json!({"action": "turn_on"})),
            (
                json!({"action": "turn_on", "level": "50%"}),
                json!({"action": "turn_on", "level": 50}),
            ),
            (
                json!({"action": "turn_on", "level": 50.0}),
                json!({"action": "turn_on", "level": 50}),
            ),
            (
                json!({"action": "turn_on", "factor": "1.5"}),
                json!({"action": "turn_on", "factor": 1.5}),
            ),
            (
                json!({"action": "turn_on", "all": "yes"}),
                json!({"action": "turn_on", "all": true}),
            ),
            (
                json!({"action": "turn_on", "names": "a"}),
                json!({"action": "turn_on", "names": ["a"]}),
            ),
            (
                json!({"action": "turn_on", "level": null, "all": ""}),
                json!({"action": "turn_on"}),
            ),
        ] {
            assert_eq!(fits(wrong.clone()), right, "{wrong}");
        }
    }

    #[test]
    fn what_stays_wrong_is_told_by_its_name() {
        for (wrong, told) in [
            (json!({}), "action"),
            (json!({"action": "explode"}), "action: \"explode\""),
            (json!({"action": "turn_on", "level": 101}), "level: 101"),
            (json!({"action": "turn_on", "colour": 1}), "colour"),
            (json!([1]), "no JSON object"),
            (json!("on"), "no JSON object"),
        ] {
            let problem = checked(&wrong, &schema()).expect_err("they do not fit");
            assert!(problem.contains(told), "{wrong}: {problem}");
        }
    }

    #[test]
    fn a_schema_that_is_none_lets_everything_through() {
        let arguments = json!({"a": 1});
        for schema in [
            json!({}),
            json!(true),
            json!({"type": 7}),
            json!({"$ref": "#/nowhere"}),
        ] {
            assert_eq!(
                Value::Object(checked(&arguments, &schema).unwrap()),
                arguments,
                "{schema}"
            );
        }
    }
}
