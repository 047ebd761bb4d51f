//! The contract's bodies, field by field. Those of the errors were taken from FastAPI 0.124.4 with pydantic
//! 2.12.4, which CAAL ran on.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Caal, invalid, without};

const JSON: Option<&str> = Some("application/json");

/// CAAL's settings, in its order.
const KEYS: [&str; 29] = [
    "first_launch_completed",
    "agent_name",
    "prompt",
    "wake_greetings",
    "stt_provider",
    "llm_provider",
    "tts_provider",
    "tts_voice_kokoro",
    "tts_voice_piper",
    "temperature",
    "ollama_host",
    "ollama_model",
    "num_ctx",
    "groq_api_key",
    "groq_model",
    "hass_enabled",
    "hass_host",
    "hass_token",
    "n8n_enabled",
    "n8n_url",
    "n8n_token",
    "max_turns",
    "tool_cache_size",
    "wake_word_enabled",
    "wake_word_model",
    "wake_word_threshold",
    "wake_word_timeout",
    "allow_interruptions",
    "min_endpointing_delay",
];

#[tokio::test]
async fn what_is_told_on_a_fresh_install_has_caals_bodies_at_both_addresses() {
    let caal = Caal::fresh();
    for prefix in ["", "/api"] {
        let at = |path: &str| format!("{prefix}{path}");
        let health = without(caal.get(&at("/health")).await, "version");
        assert_eq!(
            health,
            json!({ "status": "healthy", "active_sessions": [] })
        );
        assert_eq!(caal.get(&at("/models")).await, json!({ "models": [] }));
        assert_eq!(
            caal.get(&at("/setup/status")).await,
            json!({ "completed": false })
        );
        assert_eq!(
            caal.get(&at("/wake-word/models")).await,
            json!({ "models": [] })
        );
        let status = caal.get(&at("/wake-word/status")).await;
        assert_eq!(status["model"], "models/hey_jarvis.onnx");
        assert_eq!(status["threshold"], json!(0.5));
        assert_eq!(status["timeout"], json!(3.0));
        assert!(status["enabled"].is_boolean());
        assert_eq!(
            caal.get(&at("/voices?provider=kokoro")).await,
            json!({ "voices": ["af_heart", "af_bella", "af_sarah", "am_adam", "am_puck"] })
        );
        let piper = caal
            .get(&at("/voices?provider=kokoro&provider=piper"))
            .await;
        let piper = piper["voices"].as_array().unwrap();
        assert_eq!(
            (piper.len(), &piper[0]),
            (19, &json!("speaches-ai/piper-en_US-ryan-high"))
        );
        let prompt = caal.get(&at("/prompt")).await;
        assert_eq!(
            (&prompt["prompt"], &prompt["is_custom"]),
            (&json!("default"), &json!(false))
        );
        assert!(
            prompt["content"]
                .as_str()
                .unwrap()
                .contains("{{ASSISTANT_NAME}}")
        );
        let told = caal.get(&at("/settings")).await;
        assert_eq!(told["prompt_content"], prompt["content"]);
        assert_eq!(told["custom_prompt_exists"], json!(false));
        assert_eq!(told.as_object().unwrap().len(), 3);
        let settings = told["settings"].as_object().unwrap();
        assert_eq!(settings.keys().collect::<Vec<_>>(), KEYS);
    }
}

#[tokio::test]
async fn every_setting_has_the_type_that_clients_read_without_looking() {
    let told = Caal::fresh().get("/settings").await;
    let settings = &told["settings"];
    for key in KEYS {
        let value = &settings[key];
        let right = match key {
            "first_launch_completed"
            | "hass_enabled"
            | "n8n_enabled"
            | "wake_word_enabled"
            | "allow_interruptions" => value.is_boolean(),
            "wake_greetings" => value
                .as_array()
                .is_some_and(|all| all.iter().all(Value::is_string)),
            "num_ctx" | "max_turns" | "tool_cache_size" => value.is_u64(),
            "temperature"
            | "wake_word_threshold"
            | "wake_word_timeout"
            | "min_endpointing_delay" => value.is_f64(),
            _ => value.is_string(),
        };
        assert!(right, "{key}: {value}");
    }
}

#[tokio::test]
async fn requests_that_are_none_are_refused_as_fastapi_refuses_them() {
    let caal = Caal::fresh();
    let dictionary = "Input should be a valid dictionary or object to extract fields from";
    let required = "Field required";
    let string = "Input should be a valid string";
    for (path, kind, body, expected) in [
        (
            "/announce",
            None,
            "",
            invalid("missing", json!(["body"]), required, json!(null)),
        ),
        (
            "/announce",
            JSON,
            "",
            invalid("missing", json!(["body"]), required, json!(null)),
        ),
        (
            "/announce",
            JSON,
            "null",
            invalid("missing", json!(["body"]), required, json!(null)),
        ),
        (
            "/announce",
            JSON,
            "{}",
            invalid("missing", json!(["body", "message"]), required, json!({})),
        ),
        (
            "/announce",
            JSON,
            "[]",
            invalid(
                "model_attributes_type",
                json!(["body"]),
                dictionary,
                json!([]),
            ),
        ),
        (
            "/announce",
            JSON,
            r#""x""#,
            invalid(
                "model_attributes_type",
                json!(["body"]),
                dictionary,
                json!("x"),
            ),
        ),
        (
            "/announce",
            Some("application/x-www-form-urlencoded"),
            "message=x",
            invalid(
                "model_attributes_type",
                json!(["body"]),
                dictionary,
                json!("message=x"),
            ),
        ),
        (
            "/announce",
            JSON,
            r#"{"message":5}"#,
            invalid("string_type", json!(["body", "message"]), string, json!(5)),
        ),
        (
            "/settings",
            JSON,
            r#"{"settings":[]}"#,
            invalid(
                "dict_type",
                json!(["body", "settings"]),
                "Input should be a valid dictionary",
                json!([]),
            ),
        ),
        (
            "/setup/complete",
            JSON,
            r#"{"llm_provider":"x","hass_enabled":[]}"#,
            invalid(
                "bool_type",
                json!(["body", "hass_enabled"]),
                "Input should be a valid boolean",
                json!([]),
            ),
        ),
        (
            "/setup/complete",
            JSON,
            r#"{"llm_provider":"x","hass_enabled":"maybe"}"#,
            invalid(
                "bool_parsing",
                json!(["body", "hass_enabled"]),
                "Input should be a valid boolean, unable to interpret input",
                json!("maybe"),
            ),
        ),
    ] {
        for path in [path.to_owned(), format!("/api{path}")] {
            let answer = caal.ask("POST", &path, kind, body).await;
            assert_eq!(
                answer.status,
                StatusCode::UNPROCESSABLE_ENTITY,
                "{path} {body}"
            );
            assert_eq!(answer.header("content-type"), "application/json");
            assert_eq!(answer.json(), expected, "{path} {body}");
        }
    }
}

#[tokio::test]
async fn all_problems_of_a_request_are_told_at_once_in_the_order_of_its_fields() {
    let caal = Caal::fresh();
    let answer = caal
        .post("/reload-tools", json!({ "tool_name": 5, "message": ["a"] }))
        .await;
    let problems = answer.json()["detail"].clone();
    let at: Vec<_> = problems
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["loc"][1])
        .collect();
    assert_eq!(at, ["tool_name", "message"], "{answer:?}");
}

#[tokio::test]
async fn what_is_not_json_is_refused_with_its_place() {
    let caal = Caal::fresh();
    let answer = caal.ask("POST", "/announce", JSON, "nonsense").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = &answer.json()["detail"][0];
    assert_eq!(problem["type"], "json_invalid");
    assert_eq!(problem["msg"], "JSON decode error");
    assert_eq!(problem["loc"][0], "body");
    assert_eq!(problem["input"], json!({}));
    let late = caal
        .ask("POST", "/announce", JSON, "{\"message\":\n \"ü\" ?}")
        .await;
    assert_eq!(late.json()["detail"][0]["loc"][1], json!(17), "{late:?}");
}

#[tokio::test]
async fn other_addresses_and_methods_are_answered_as_fastapi_answers_them() {
    let caal = Caal::fresh();
    for path in ["/nothing", "/api/nothing", "/setup", "/api"] {
        let answer = caal.ask("GET", path, None, "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.json(), json!({ "detail": "Not Found" }));
    }
    for (method, path, allow) in [
        ("GET", "/announce", "POST"),
        ("PUT", "/settings", "GET, POST"),
        ("OPTIONS", "/prewarm", "POST"),
        ("DELETE", "/api/health", "GET"),
    ] {
        let answer = caal.ask(method, path, None, "").await;
        assert_eq!(
            answer.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method} {path}"
        );
        assert_eq!(answer.header("allow"), allow);
        assert_eq!(answer.json(), json!({ "detail": "Method Not Allowed" }));
    }
    let head = caal.ask("HEAD", "/settings", None, "").await;
    assert_eq!(
        (head.status, head.text.as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, "")
    );
}

#[tokio::test]
async fn a_slash_too_many_is_a_redirect_within_this_server() {
    let caal = Caal::fresh();
    for (method, path, to) in [
        ("GET", "/settings/?a=b", "/settings?a=b"),
        ("POST", "/api/announce/", "/api/announce"),
        ("PUT", "/setup/status/", "/setup/status"),
    ] {
        let answer = caal.ask(method, path, None, "").await;
        assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT, "{path}");
        assert_eq!(answer.header("location"), to);
    }
    for path in ["//evil.example/", "/nothing/"] {
        let answer = caal.ask("GET", path, None, "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_command_to_a_room_without_people_says_so() {
    let caal = Caal::fresh();
    for (path, body) in [
        (
            "/announce",
            json!({ "message": "Dinner", "room_name": "den" }),
        ),
        ("/wake", json!({ "room_name": "den" })),
        ("/reload-tools", json!({ "room_name": "den" })),
        ("/text", json!({ "text": "Hello", "room_name": "den" })),
        ("/mute", json!({ "room_name": "den" })),
        ("/stop", json!({ "room_name": "den" })),
    ] {
        let answer = caal.post(path, body).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(
            answer.json(),
            json!({ "detail": "No active session in room: den" })
        );
    }
}
