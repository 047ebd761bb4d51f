//! What Home Assistant's `GetLiveContext` prints: the things that are exposed to Assist, with their states.
//! Pure.
//!
//! Its text is JSON, `{"success": true, "result": "…"}`, and the result a line of English with a list in
//! YAML behind it, as PyYAML writes it: long names go on in the next line, `'on'` stands in quotes.

use serde_json::Value;

/// A thing of the home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entity {
    /// Its name, then its aliases. Never empty.
    pub(super) names: Vec<String>,
    /// `light`.
    pub(super) domain: String,
    /// `on`.
    pub(super) state: String,
    /// Its area's name, then that one's aliases.
    pub(super) areas: Vec<String>,
    /// `brightness`: `128`.
    pub(super) attributes: Vec<(String, String)>,
    /// As it stood there, for a language model.
    pub(super) block: String,
}

impl Entity {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// Its area's name.
    pub(super) fn area(&self) -> Option<&str> {
        self.areas.first().map(String::as_str)
    }

    /// The value of an attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }
}

/// The things in a reply.
///
/// # Errors
///
/// With Home Assistant's own words, where it says that it failed.
pub(super) fn entities(reply: &str) -> Result<Vec<Entity>, String> {
    let Ok(Value::Object(reply)) = serde_json::from_str::<Value>(reply) else {
        return Ok(read(reply)); // some versions print the list as it is
    };
    if reply.get("success") == Some(&Value::Bool(false)) {
        let error = reply.get("error").and_then(Value::as_str);
        return Err(error.unwrap_or("it gives no reason").to_owned());
    }
    match reply.get("result") {
        Some(Value::String(text)) => Ok(read(text)),
        _ => Err("its answer has no result".to_owned()),
    }
}

/// Its indent, key and value.
type Field = (usize, String, String);

fn read(text: &str) -> Vec<Entity> {
    let mut all: Vec<(Vec<Field>, String)> = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let (line_in, body) = match line.strip_prefix("- ") {
            Some(body) => {
                all.push(Default::default());
                (2, body)
            }
            None => (indent, line.trim()),
        };
        let Some((fields, block)) = all.last_mut() else {
            continue; // the line of English before the list
        };
        if body.is_empty() {
            continue;
        }
        block.push_str(line);
        block.push('\n');
        let inside = fields.iter().rposition(|(indent, ..)| *indent == 2);
        let inside = inside.and_then(|at| fields.get(at));
        let nested = inside.is_some_and(|(_, key, value)| key == "attributes" && value.is_empty());
        let known = if nested { 4 } else { 2 };
        match body
            .split_once(':')
            .filter(|(_, value)| value.is_empty() || value.starts_with(' '))
        {
            Some((key, value)) if line_in <= known => {
                fields.push((line_in, key.trim().to_owned(), value.trim().to_owned()));
            }
            // A long value goes on.
            _ => {
                if let Some((_, _, value)) = fields.last_mut() {
                    value.push(' ');
                    value.push_str(body);
                }
            }
        }
    }
    all.into_iter()
        .filter_map(|(fields, block)| entity(fields, block))
        .collect()
}

fn entity(fields: Vec<Field>, block: String) -> Option<Entity> {
    let mut entity = Entity {
        block,
        ..Entity::default()
    };
    let list = |value: &str| {
        value
            .split(", ")
            .map(|v| v.trim().to_owned())
            .filter(|v| !v.is_empty())
            .collect()
    };
    for (indent, key, value) in fields {
        let value = plain(value.trim());
        match (indent, key.as_str()) {
            (2, "names") => entity.names = list(&value),
            (2, "domain") => entity.domain = value,
            (2, "state") => entity.state = value,
            (2, "areas") => entity.areas = list(&value),
            (2, _) => {}
            _ => entity.attributes.push((key, value)),
        }
    }
    (!entity.names.is_empty()).then_some(entity)
}

/// A scalar without its quotes.
fn plain(value: &str) -> String {
    let single = value
        .strip_prefix('\'')
        .and_then(|value| value.strip_suffix('\''));
    if let Some(inside) = single {
        return inside.replace("''", "'");
    }
    match value.starts_with('"') {
        true => serde_json::from_str(value).unwrap_or_else(|_| value.trim_matches('"').to_owned()),
        false => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_as_home_assistant_prints_it() {
        let text = "Live Context: An overview of the areas and the devices in this smart home:\n\
            - names: Office Lamp, desk light\n  domain: light\n  state: 'on'\n  areas: Office, study\n  \
            attributes:\n    brightness: '128'\n- names: A very long name of a thing that stands in the living\n    \
            room, short\n  domain: switch\n  state: 'off'\n- names: 'Bob''s: TV'\n  domain: media_player\n  \
            state: playing\n  attributes:\n    media_title: \"Caf\\u00e9\"\n    brightness:\n";
        let json = serde_json::json!({"success": true, "result": text}).to_string();
        for reply in [text, &json] {
            let found = entities(reply).unwrap();
            assert_eq!(found.len(), 3, "{found:#?}");
            assert_eq!(found[0].names, ["Office Lamp", "desk light"]);
            assert_eq!(
                (found[0].domain.as_str(), found[0].state.as_str()),
                ("light", "on")
            );
            assert_eq!(found[0].areas, ["Office", "study"]);
            assert_eq!(found[0].attribute("brightness"), Some("128"));
            assert_eq!(
                found[1].names,
                [
                    "A very long name of a thing that stands in the living room",
                    "short"
                ]
            );
            assert_eq!(found[2].names, ["Bob's: TV"]);
            assert_eq!(found[2].attribute("media_title"), Some("Café"));
            assert_eq!(found[2].attribute("brightness"), None);
            assert!(
                found[0]
                    .block
                    .starts_with("- names: Office Lamp, desk light\n  domain: light\n")
            );
        }
    }

    #[test]
    fn a_failure_is_told_and_nothing_makes_it_panic() {
        let failed = entities(r#"{"success": false, "error": "No entities exposed"}"#);
        assert_eq!(failed.unwrap_err(), "No entities exposed");
        assert!(entities(r#"{"success": true}"#).is_err());
        for text in [
            "",
            "- ",
            "- names:",
            "- names: 'a",
            "\u{a0}- names: x",
            "-  : :\n  \n:",
            "- names: \"a",
        ] {
            let _ = entities(text);
        }
    }
}
