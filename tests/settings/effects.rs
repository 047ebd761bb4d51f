//! Every row of the table does what it says: somebody reads it, and who may change it is who it names.

use std::{collections::BTreeMap, fs, path::Path};

use caal::settings::{Kind, ROWS, Reach, Row, Settings};
use serde_json::{Map, Value, json};

use super::{live, map, sources};

/// A value of `row` that is right, and not its default.
fn other(row: &Row) -> Value {
    match (row.key, row.kind) {
        ("prompt", _) => json!("custom"),
        (_, Kind::Bool) => json!(row.default == "false"),
        (_, Kind::Int(low, high)) => json!(
            [low, high]
                .into_iter()
                .find(|n| n.to_string() != row.default)
        ),
        (_, Kind::Number(low, high)) => json!((low + high) / 2.0 + 0.125),
        ("llm_provider", _) => json!("embedded"),
        ("api_key" | "webhook_secret", _) => {
            json!("another of more than 16 letters".replace(' ', "-"))
        }
        (_, Kind::Networks) => json!("192.0.2.0/24"),
        (_, Kind::Hosts) => json!("caal.example.org"),
        (_, Kind::Origins) => json!("https://panel.example.org"),
        (_, Kind::Choice(words)) => json!(words.iter().find(|w| **w != row.default)),
        (_, Kind::Url | Kind::OptionalUrl) => json!("http://other:1"),
        (_, Kind::SocketUrl) => json!("ws://other:1"),
        (_, Kind::Lines) => json!(["Hm?"]),
        (_, Kind::Map) => json!({"Nguyen": "win"}),
        (_, Kind::Stay) => json!("10m"),
        (_, Kind::Addresses) => json!("192.0.2.7"),
        (_, Kind::Zone) => json!("Asia/Tokyo"),
        (_, Kind::Language) => json!("de"),
        _ => json!("other"),
    }
}

/// What some rows cannot be without.
fn beside() -> Map<String, Value> {
    map(json!({
        "livekit_api_key": "k", "livekit_api_secret": "s", "api_key": "a-key-of-more-than-16-letters",
    }))
}

/// The fields of settings with what they hold, as `Debug` shows them.
fn fields(settings: &Settings) -> BTreeMap<String, String> {
    let text = format!("{settings:#?}");
    let (mut fields, mut name) = (BTreeMap::<String, String>::new(), String::new());
    for line in text.lines() {
        let begins = line
            .strip_prefix("    ")
            .filter(|rest| !rest.starts_with([' ', '}', ']', ')']));
        if let Some((field, _)) = begins.and_then(|rest| rest.split_once(':')) {
            name = field.to_owned();
        }
        fields.entry(name.clone()).or_default().push_str(line);
    }
    fields
}

/// All sources but those of the settings themselves, without their tests and comments.
fn code(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("src/settings") {
            code(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
            let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
            lines.for_each(|line| into.extend([line, "\n"]));
        }
    }
}

/// A row that nothing reads is a promise that is not kept: then its text must say so.
#[test]
fn every_setting_is_read_by_somebody_or_says_that_it_is_kept_for_later() {
    let home = tempfile::tempdir().unwrap();
    let mut all = String::new();
    code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let resolved = |row: Option<&Row>| {
        let mut sources = sources(home.path(), &[]);
        sources.custom_prompt = Some(caal::pii::Pii("x".to_owned()));
        sources.file = beside();
        let other = row.map(|row| (row.key.to_owned(), other(row)));
        sources.file.extend(other);
        let settings = Settings::resolve(&sources);
        settings.unwrap_or_else(|e| panic!("{:?}: {e}", row.map(|row| row.key)))
    };
    let before = fields(&resolved(None));
    let mut later = Vec::new();
    for row in ROWS {
        let settings = resolved(Some(row));
        let after = fields(&settings);
        let changed = after
            .iter()
            .filter(|(name, text)| before.get(*name) != Some(text));
        let mut names: Vec<&str> = changed.map(|(name, _)| name.as_str()).collect();
        // What is personal does not show.
        names.push(row.key);
        let read = names.iter().any(|name| {
            let field = format!(".{name}");
            let is_whole = |at: usize| {
                let next = all[at + field.len()..].chars().next();
                next.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            };
            all.match_indices(&field).any(|(at, _)| is_whole(at))
                || all.contains(&format!("\"{name}\""))
        });
        if !read {
            later.push(row.key);
            assert!(
                row.doc.contains("to come") || row.doc.contains("whatever is set"),
                "{} does nothing, and does not say so",
                row.key
            );
        }
    }
    // Others that are kept for later are read by the wizard at least; these have no reader at all.
    later.sort_unstable();
    assert_eq!(later, ["tts_voice_piper"]);
}

#[test]
fn who_may_change_a_setting_is_who_the_table_names() {
    for row in ROWS {
        let home = tempfile::tempdir().unwrap();
        let live = live(home.path(), &[]);
        let wanted = || map(json!({ row.key: other(row) }));
        let over_http = live.change(wanted());
        match row.reach {
            Reach::Api => over_http.expect(row.key),
            Reach::Machine => {
                let why = over_http.expect_err(row.key).to_string();
                assert!(why.contains("on this machine only"), "{why}");
            }
        }
        let mut together = beside();
        together.extend(wanted());
        live.change_as_owner(together).expect(row.key);
        assert!(
            super::written(home.path()).get(row.key).is_some(),
            "{}",
            row.key
        );
    }
}
