//! Who sets CAAL up in a browser: the wizard and the settings to the end, against a real `caal serve` with
//! real models, at a phone's width and a desk's. `tests/browser/panel.mjs` is the person.

use std::{fs, path::Path, process::Command, sync::Arc};

use serde_json::{Value, json};

use super::{browser::Server, support::alone};

/// The secret that the person types.
const TOKEN: &str = "s3cret-of-the-person";

/// The key of the server, where it has one.
const KEY: &str = "s3cret-key-of-the-server-5eb63bbbe01eeed0";

/// A fresh install, and what the person at a screen of `size` saw.
fn set_up(size: &str, environment: &[(&str, &str)], wishes: &[&str]) -> (Server, Value) {
    let home = Arc::new(tempfile::tempdir().expect("a folder"));
    let environment = [&[("LLM_PROVIDER", "")], environment].concat();
    let server = Server::start_in(home, &environment);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let output = Command::new("node")
        .arg(root.join("browser/panel.mjs"))
        .args([&server.url, size])
        .arg(root.join("fixtures/audio/wake_hey_jarvis.wav"))
        .arg(TOKEN)
        .args(wishes)
        .output()
        .expect("node runs: scripts/test installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let seen = serde_json::from_slice(&output.stdout).expect("one JSON line");
    (server, seen)
}

/// What axe and the browser's console say against the page.
fn is_sound(seen: &Value) {
    assert_eq!(seen["faults"], json!([]), "{seen:#}");
    assert_eq!(seen["complaints"], json!([]), "{seen:#}");
    let looked = seen["looked"].as_array().expect("a list").len();
    assert!(looked >= 22, "every view, in light and dark: {seen:#}");
}

fn kept(server: &Server) -> Value {
    let text = fs::read_to_string(server.home.path().join("settings.json")).expect("settings");
    serde_json::from_str(&text).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_a_phone_sets_everything_up_and_the_values_land() {
    let _alone = alone().await;
    let (server, seen) = tokio::task::block_in_place(|| set_up("390x844", &[], &["try"]));
    is_sound(&seen);
    let chosen = seen["chosen"].as_str().expect("text");
    for words in [
        "Ollama",
        "second:2b",
        "Bella",
        "hey jarvis",
        "Home Assistant",
    ] {
        assert!(chosen.contains(words), "{words} in {chosen}");
    }
    let kept = kept(&server);
    for (key, value) in [
        ("first_launch_completed", json!(true)),
        ("llm_provider", json!("ollama")),
        ("ollama_model", json!("second:2b")),
        ("tts_voice_kokoro", json!("af_bella")),
        ("wake_word_enabled", json!(true)),
        ("hass_enabled", json!(true)),
        ("hass_token", json!(TOKEN)),
        ("agent_name", json!("Ada")),
        ("temperature", json!(1.2)),
        ("wake_greetings", json!(["Yes?", "Here I am."])),
        ("pronunciation", json!({ "Nguyen": "win" })),
        ("min_endpointing_delay", json!(0.4)),
        ("prompt", json!("custom")),
    ] {
        assert_eq!(kept[key], value, "{key} in {kept:#}");
    }
    assert_eq!(kept["max_turns"], Value::Null, "taken out again");
    let prompt = fs::read_to_string(server.home.path().join("prompt/custom.md")).expect("a prompt");
    assert_eq!(prompt.trim(), "You are {{ASSISTANT_NAME}}. Be brief.");
    assert!(!server.log().contains(TOKEN));
    assert!(!seen.to_string().contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_a_desk_logs_in_clears_a_secret_talks_and_finds_the_turn_in_the_log() {
    let _alone = alone().await;
    let wishes = [&*format!("key={KEY}"), "try", "clear", "talk"];
    let environment = [("CAAL_API_KEY", KEY)];
    let (server, seen) = tokio::task::block_in_place(|| set_up("1280x900", &environment, &wishes));
    is_sound(&seen);
    assert!(seen["log"]["rows"].as_u64() >= Some(1), "{seen:#}");
    let kept = kept(&server);
    assert_eq!(kept["hass_token"], Value::Null, "cleared");
    assert_eq!(kept["llm_provider"], "embedded");
    assert!(!server.log().contains(KEY) && !server.log().contains(TOKEN));
}
