//! The settings of a running process: what is written, what is kept secret, who else writes, and what
//! survives a kill and a full disk.

mod command;
mod effects;
mod following;
mod survives;

use std::{fs, path::Path, sync::Arc};

use caal::settings::{CAAL_ROWS, Live, MASK, Problem, ROWS, SettingsError, Sources};
use serde_json::{Map, Value, json};

pub(crate) fn sources(home: &Path, environment: &[(&str, &str)]) -> Sources {
    crate::support::secrets::watch();
    let file_path = home.join("settings.json");
    let file = fs::read(&file_path).map_or_else(
        |_| Map::new(),
        |bytes| serde_json::from_slice(&bytes).expect("whole"),
    );
    Sources {
        environment: environment
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        file,
        file_path,
        prompt_path: home.join("prompt/custom.md"),
        data_dir: home.to_owned(),
        ..Sources::default()
    }
}

pub(crate) fn live(home: &Path, environment: &[(&str, &str)]) -> Live {
    Live::open(sources(home, environment)).expect("right")
}

pub(crate) fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => panic!("an object"),
    }
}

fn written(home: &Path) -> Value {
    let bytes = fs::read(home.join("settings.json")).unwrap_or_else(|_| b"{}".to_vec());
    serde_json::from_slice(&bytes).expect("whole")
}

fn problems(result: Result<(), SettingsError>) -> Vec<Problem> {
    match result {
        Err(SettingsError::Values(problems)) => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_values_are_caals_in_its_order_and_a_change_is_seen_and_kept() {
    let home = tempfile::tempdir().unwrap();
    let live = live(home.path(), &[]);
    let values = live.values();
    let keys: Vec<&str> = values.keys().map(String::as_str).collect();
    let rows: Vec<&str> = ROWS[..CAAL_ROWS].iter().map(|row| row.key).collect();
    assert_eq!(keys, rows);
    assert_eq!(values["wake_word_model"], "models/hey_jarvis.onnx");
    assert_eq!(live.current().wake_words, ["hey_jarvis"]);

    let mut seen = live.watch();
    assert!(!seen.has_changed().unwrap());
    let wanted = json!({"agent_name": "Ada", "temperature": 1, "nobody_knows_this": 5});
    live.change(map(wanted)).expect("right");
    assert!(seen.has_changed().unwrap());
    assert_eq!(seen.borrow_and_update().agent_name, "Ada");
    assert_eq!(live.values()["temperature"], json!(1.0));
    assert_eq!(
        written(home.path()),
        json!({"agent_name": "Ada", "temperature": 1.0})
    );
    let again = super::settings::live(home.path(), &[]);
    assert_eq!(again.current().agent_name, "Ada");
}

#[test]
fn saving_everything_as_it_was_shown_writes_nothing_and_the_environment_goes_on_to_count() {
    let home = tempfile::tempdir().unwrap();
    let environment = [
        ("OLLAMA_HOST", "http://gpu:11434"),
        ("HASS_TOKEN", "s3cret"),
    ];
    let first = live(home.path(), &environment);
    let mut all = first.values();
    first.change(all.clone()).expect("right");
    assert_eq!(written(home.path()), json!({}));
    all.insert("agent_name".to_owned(), "Ada".into());
    first.change(all).expect("right");
    assert_eq!(written(home.path()), json!({"agent_name": "Ada"}));
    let moved = live(home.path(), &[("OLLAMA_HOST", "http://other:1")]);
    assert_eq!(moved.current().ollama_host, "http://other:1");
    // What was set goes back to what the environment says only by unsetting it.
    first
        .change(map(json!({"agent_name": "Cal"})))
        .expect("right");
    assert_eq!(written(home.path()), json!({"agent_name": "Cal"}));
    first
        .unset(&["agent_name", "nobody_knows_this"])
        .expect("right");
    assert_eq!(written(home.path()), json!({}));
}

#[test]
fn all_problems_come_at_once_and_then_nothing_is_changed() {
    let home = tempfile::tempdir().unwrap();
    let live = live(home.path(), &[]);
    let wrong = json!({
        "agent_name": "Ada", "temperature": "hot", "num_ctx": 5, "hass_host": "ftp://me:s3cret@x",
        "onnxruntime": "/evil.so", "wake_greetings": [1],
    });
    let problems = problems(live.change(map(wrong)));
    let keys: Vec<&str> = problems.iter().map(|p| p.key).collect();
    assert_eq!(
        keys,
        [
            "temperature",
            "num_ctx",
            "hass_host",
            "onnxruntime",
            "wake_greetings"
        ]
    );
    assert_eq!(
        problems[0].text,
        "temperature is \"hot\": it must be a number from 0 to 2"
    );
    assert!(problems[3].text.contains("on this machine only"));
    assert!(!format!("{problems:?}").contains("s3cret"));
    assert_eq!(written(home.path()), json!({}));
    assert_eq!(live.current().agent_name, "Cal");
    let set = map(json!({"onnxruntime": "/mine.so"}));
    live.change_as_owner(set).expect("its owner may");
}

#[test]
fn a_secret_is_never_shown_and_neither_its_mask_nor_nothing_takes_it_away() {
    let home = tempfile::tempdir().unwrap();
    let live = live(home.path(), &[("N8N_MCP_TOKEN", "env-s3cret")]);
    live.change(map(json!({"hass_token": "s3cret"})))
        .expect("right");
    for keeps in [json!(MASK), json!(""), json!(null)] {
        let both = json!({"hass_token": keeps, "n8n_token": keeps, "groq_api_key": keeps});
        live.change(map(both)).expect("right");
        let secret = |key| live.secret(key).map(|secret| secret.0);
        assert_eq!(secret("hass_token").as_deref(), Some("s3cret"));
        assert_eq!(secret("n8n_token").as_deref(), Some("env-s3cret"));
        assert_eq!(secret("groq_api_key"), None);
        assert_eq!(secret("agent_name"), None, "that is none");
    }
    let values = live.values();
    assert_eq!(values["hass_token"], MASK);
    assert_eq!(values["groq_api_key"], "");
    let told = format!("{values:?} {:?} {:?}", live.current(), live.explain());
    assert!(!told.contains("s3cret"), "{told}");
    live.unset(&["hass_token"]).expect("right");
    assert_eq!(live.values()["hass_token"], "");
}

#[test]
fn a_password_in_an_address_is_masked_and_survives_being_given_back() {
    let home = tempfile::tempdir().unwrap();
    let live = live(home.path(), &[]);
    live.change(map(json!({"ollama_host": "http://me:s3cret@gpu:1"})))
        .expect("right");
    let values = live.values();
    assert_eq!(values["ollama_host"], "http://me:********@gpu:1");
    live.change(values).expect("right");
    assert_eq!(live.current().ollama_host, "http://me:s3cret@gpu:1");
}

#[test]
fn what_others_write_is_seen_and_what_is_not_ours_in_the_file_stays() {
    let home = tempfile::tempdir().unwrap();
    fs::write(
        home.path().join("settings.json"),
        r#"{"tts_voice": "old", "num_ctx": 2048}"#,
    )
    .unwrap();
    let (server, command) = (live(home.path(), &[]), live(home.path(), &[]));
    command
        .change(map(json!({"agent_name": "Ada"})))
        .expect("right");
    assert_eq!(server.current().agent_name, "Cal");
    assert!(server.reload().expect("right"));
    assert!(!server.reload().expect("right"), "nothing new");
    assert_eq!(server.current().agent_name, "Ada");
    server.change(map(json!({"num_ctx": 4096}))).expect("right");
    let all = json!({"tts_voice": "old", "num_ctx": 4096, "agent_name": "Ada"});
    assert_eq!(written(home.path()), all);

    // What cannot be used is said, and the old settings count.
    fs::write(home.path().join("settings.json"), r#"{"num_ctx": "#).unwrap();
    assert!(
        server
            .reload()
            .unwrap_err()
            .to_string()
            .contains("not JSON")
    );
    assert_eq!(server.current().num_ctx, 4096);
    assert!(
        server.change(map(json!({"num_ctx": 1024}))).is_err(),
        "what is broken is not overwritten"
    );
}

#[test]
fn writers_at_once_in_one_process_and_in_several_lose_nothing() {
    let home = tempfile::tempdir().unwrap();
    // Each its own: what two processes have of each other.
    let writers: Vec<Live> = (0..4).map(|_| live(home.path(), &[])).collect();
    let keys = ["agent_name", "ollama_model", "groq_model", "stt_prompt"];
    std::thread::scope(|scope| {
        for (live, key) in writers.iter().zip(keys) {
            scope.spawn(move || {
                for n in 0..25 {
                    live.change(map(json!({key: format!("{key} {n}")})))
                        .expect("right");
                }
            });
        }
    });
    let all = written(home.path());
    for key in keys {
        assert_eq!(all[key], format!("{key} 24"));
    }
}

#[test]
fn of_two_wrong_values_each_can_be_mended_alone() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("settings.json");
    fs::write(&file, "{}").unwrap();
    let live = live(home.path(), &[]);
    fs::write(&file, r#"{"num_ctx": "many", "temperature": "hot"}"#).unwrap();
    live.unset(&["num_ctx"]).expect("one is mended");
    assert_eq!(written(home.path()), json!({"temperature": "hot"}));
    live.change(map(json!({"temperature": 0.5})))
        .expect("so is the other");
    assert_eq!(live.current().temperature, 0.5);
}

#[test]
fn the_users_prompt_is_used_once_it_is_written_and_kept_when_it_is_not() {
    let home = tempfile::tempdir().unwrap();
    let live = live(home.path(), &[]);
    assert!(!live.prompt().is_custom && !live.has_custom_prompt());
    let default = live.prompt().content.0;
    live.set_prompt("You are a pirate. {{DATE}}")
        .expect("writable");
    assert!(live.prompt().is_custom);
    assert_eq!(live.current().prompt.0, "You are a pirate. {{DATE}}");
    assert_eq!(live.values()["prompt"], "custom");
    live.change(map(json!({"prompt": "default"})))
        .expect("right");
    assert!(live.has_custom_prompt() && !live.prompt().is_custom);
    assert_eq!(live.current().prompt.0, default);
    assert_eq!(problems(live.set_prompt(" \n"))[0].key, "prompt");
    live.change(map(json!({"prompt": "custom"})))
        .expect("right");
    live.set_prompt("Another.").expect("writable");
    assert_eq!(live.current().prompt.0, "Another.");
}

#[test]
fn what_this_machine_does_not_have_is_judged_too() {
    let home = tempfile::tempdir().unwrap();
    let live = live(home.path(), &[]);
    live.judged_by(Arc::new(|settings| match settings.voice.as_str() {
        "nobody" => vec![Problem {
            key: "tts_voice_kokoro",
            text: "there is no voice \"nobody\"".to_owned(),
        }],
        _ => Vec::new(),
    }));
    let refused = problems(live.change(map(json!({"tts_voice_kokoro": "nobody"}))));
    assert_eq!(refused[0].key, "tts_voice_kokoro");
    assert_eq!(written(home.path()), json!({}));
    live.change(map(json!({"tts_voice_kokoro": "bf_emma"})))
        .expect("right");
}
