//! What CAAL promised and did not keep (section 10 of its contract), kept here; and what services beside
//! us say to the wizard.

use axum::http::StatusCode;
use caal::settings::MASK;
use serde_json::{Value, json};

use super::{Caal, neighbour};

#[tokio::test]
async fn commands_without_a_body_are_taken() {
    let caal = Caal::fresh();
    for path in ["/wake", "/reload-tools", "/mute", "/stop"] {
        let answer = caal.ask("POST", path, None, "").await;
        let nobody = "No active session in room: voice_assistant_room";
        assert_eq!(answer.json(), json!({ "detail": nobody }), "{path}");
    }
}

#[tokio::test]
async fn the_first_save_keeps_the_environment_in_force() {
    let caal = Caal::in_environment(&[("OLLAMA_HOST", "http://nas:11434")]);
    let mut all = caal.get("/settings").await["settings"].clone();
    assert_eq!(all["ollama_host"], "http://nas:11434");
    all["agent_name"] = json!("Ada");
    // As CAAL's panel does: everything that it was told.
    let answer = caal.post("/settings", json!({ "settings": all })).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.json()["settings"], all);
    assert_eq!(caal.file(), json!({ "agent_name": "Ada" }));
}

#[tokio::test]
async fn values_that_are_wrong_are_all_told_and_none_is_kept() {
    let caal = Caal::fresh();
    let wanted = json!({ "settings": {
        "temperature": "hot", "max_turns": 0, "agent_name": "Ada", "unknown": 1,
    } });
    let answer = caal.post("/settings", wanted).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let told = answer.json()["detail"].clone();
    let at: Vec<_> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["loc"].clone())
        .collect();
    assert_eq!(at.len(), 2, "{told}");
    assert!(
        at.contains(&json!(["body", "settings", "temperature"])),
        "{told}"
    );
    assert!(
        at.contains(&json!(["body", "settings", "max_turns"])),
        "{told}"
    );
    assert_eq!(caal.get("/settings").await["settings"]["agent_name"], "Cal");
    assert_eq!(caal.file(), Value::Null);
}

#[tokio::test]
async fn secrets_go_in_and_never_come_out() {
    let caal = Caal::fresh();
    let secret = "s3cret-of-the-house";
    let wanted = json!({ "settings": { "hass_token": secret, "hass_host": "http://hass:8123" } });
    let answer = caal.post("/settings", wanted).await;
    assert_eq!(answer.json()["settings"]["hass_token"], MASK);
    for sent in [MASK, ""] {
        let wanted = json!({ "settings": { "hass_token": sent, "n8n_token": sent } });
        let answer = caal.post("/settings", wanted).await;
        assert_eq!(answer.json()["settings"]["hass_token"], MASK);
        assert_eq!(answer.json()["settings"]["n8n_token"], "");
    }
    assert_eq!(caal.settings.secret("hass_token").unwrap().0, secret);
    for path in ["/settings", "/config", "/status", "/openapi.json", "/docs"] {
        let answer = caal.ask("GET", path, None, "").await;
        assert!(!answer.text.contains(secret), "{path}");
    }
    // A refusal quotes what was sent, but for secrets.
    for (path, body) in [
        ("/setup/test-hass", json!({ "token": secret })),
        ("/setup/test-hass", json!({ "host": 1, "token": [secret] })),
        ("/setup/test-groq", json!([{ "api_key": secret }])),
        (
            "/settings",
            json!({ "settings": { "hass_token": format!("{secret}\nx") } }),
        ),
        (
            "/settings",
            json!({ "settings": { "hass_token": [secret] } }),
        ),
    ] {
        let answer = caal.post(path, body).await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{path}: {answer:?}"
        );
        assert!(!answer.text.contains(secret), "{answer:?}");
    }
    let text = format!("token={secret}");
    let answer = caal
        .ask("POST", "/setup/test-hass", Some("text/plain"), &text)
        .await;
    assert!(!answer.text.contains(secret), "{answer:?}");
}

#[tokio::test]
async fn who_answers_takes_along_who_hears() {
    let caal = Caal::in_environment(&[("LLM_PROVIDER", "ollama")]);
    let mut all = caal.get("/settings").await["settings"].clone();
    all["llm_provider"] = json!("groq");
    let answer = caal.post("/settings", json!({ "settings": all })).await;
    assert_eq!(
        answer.json()["settings"]["stt_provider"],
        "groq",
        "{answer:?}"
    );
    let answer = caal
        .post(
            "/settings",
            json!({ "settings": { "llm_provider": "ollama" } }),
        )
        .await;
    assert_eq!(
        answer.json()["settings"]["stt_provider"],
        "speaches",
        "{answer:?}"
    );
}

#[tokio::test]
async fn the_wizard_keeps_what_was_chosen_and_nothing_else() {
    let caal = Caal::fresh();
    let chosen = json!({ "settings": { "tts_provider": "piper" } });
    assert_eq!(caal.post("/settings", chosen).await.status, StatusCode::OK);
    // As the app does, where somebody typed a key.
    let groq = json!({ "llm_provider": "groq", "groq_api_key": "k", "groq_model": "m", "ollama_host": "http://x" });
    let answer = caal.post("/setup/complete", groq).await;
    let done = json!({ "success": true, "message": "Setup completed successfully" });
    assert_eq!(answer.json(), done);
    assert_eq!(
        caal.get("/setup/status").await,
        json!({ "completed": true })
    );
    let settings = caal.get("/settings").await["settings"].clone();
    for (key, value) in [
        ("tts_provider", "piper"),
        ("llm_provider", "groq"),
        ("stt_provider", "groq"),
        ("groq_model", "m"),
        ("groq_api_key", MASK),
        ("ollama_host", "http://127.0.0.1:9"),
    ] {
        assert_eq!(settings[key], value, "{key}");
    }
    let server = json!({ "llm_provider": "openai_compatible", "openai_base_url": "http://h:1/v1",
        "openai_api_key": "k", "openai_model": "q", "groq_model": "other" });
    let answer = caal.post("/setup/complete", server).await;
    assert_eq!(answer.json(), done);
    let settings = caal.get("/settings").await["settings"].clone();
    for (key, value) in [
        ("llm_provider", "openai_compatible"),
        ("stt_provider", "speaches"),
        ("groq_model", "m"),
    ] {
        assert_eq!(settings[key], value, "{key}");
    }
    let kept = caal.settings.current();
    assert_eq!(kept.openai_base_url, "http://h:1/v1");
    assert_eq!((&*kept.openai_api_key.0, &*kept.openai_model), ("k", "q"));
    let wrong = json!({ "llm_provider": "nobody", "hass_enabled": true, "hass_host": "?" });
    let answer = caal.post("/setup/complete", wrong).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["success"], json!(false));
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("llm_provider"), "{message}");
}

#[tokio::test]
async fn the_wake_word_is_turned_on_and_off_and_named_as_caal_names_it() {
    let caal = Caal::fresh();
    for (path, on) in [("/wake-word/enable", true), ("/wake-word/disable", false)] {
        let answer = caal.ask("POST", path, None, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(answer.json()["enabled"], json!(on));
        assert_eq!(caal.get("/wake-word/status").await["enabled"], json!(on));
    }
    let wanted = json!({ "settings": { "wake_word_model": "models/alexa.onnx" } });
    let answer = caal.post("/settings", wanted).await;
    assert_eq!(
        answer.json()["settings"]["wake_word_model"],
        "models/alexa.onnx",
        "{answer:?}"
    );
    assert_eq!(caal.settings.current().wake_words, ["alexa"]);
}

#[tokio::test]
async fn a_prompt_of_ones_own_is_kept_and_used() {
    let caal = Caal::fresh();
    let answer = caal
        .post("/prompt", json!({ "content": "Be brief." }))
        .await;
    let own = json!({ "prompt": "custom", "content": "Be brief.", "is_custom": true });
    assert_eq!(answer.json(), own);
    assert_eq!(caal.get("/api/prompt").await, own);
    assert_eq!(
        caal.get("/settings").await["custom_prompt_exists"],
        json!(true)
    );
    let answer = caal.post("/prompt", json!({ "content": " " })).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(caal.get("/prompt").await, own);
}

#[tokio::test]
async fn services_that_are_tried_answer_in_caals_words() {
    let caal = Caal::fresh();
    let result = |success: bool, error: Value, models: Value, devices: Value| {
        json!({
            "success": success, "error": error, "models": models,
            "device_count": devices, "workflow_count": null,
        })
    };
    let failed = |why: &str| result(false, json!(why), json!(null), json!(null));
    let (ollama, asked) = neighbour(200, json!({ "models": [{ "name": "qwen3:8b" }] })).await;
    let answer = caal
        .post(
            "/setup/test-ollama",
            json!({ "host": format!("{ollama}/") }),
        )
        .await;
    assert_eq!(
        answer.json(),
        result(true, json!(null), json!(["qwen3:8b"]), json!(null))
    );
    assert_eq!(asked.lock().unwrap()[..], ["GET /api/tags"]);
    let nobody = "http://127.0.0.1:9";
    let answer = caal
        .post("/setup/test-ollama", json!({ "host": nobody }))
        .await;
    assert_eq!(
        answer.json(),
        failed(&format!("Cannot connect to Ollama at {nobody}"))
    );
    let answer = caal
        .post("/setup/test-ollama", json!({ "host": "nas:11434" }))
        .await;
    assert_eq!(
        answer.json(),
        failed("Request URL is missing an 'http://' or 'https://' protocol.")
    );

    let (hass, asked) = neighbour(200, json!([{}, {}, {}])).await;
    let answer = caal
        .post("/setup/test-hass", json!({ "host": hass, "token": "t" }))
        .await;
    assert_eq!(
        answer.json(),
        result(true, json!(null), json!(null), json!(3))
    );
    assert_eq!(asked.lock().unwrap()[..], ["GET /api/states Bearer t"]);
    let (hass, _) = neighbour(401, json!({})).await;
    let answer = caal
        .post("/setup/test-hass", json!({ "host": hass, "token": "t" }))
        .await;
    assert_eq!(answer.json(), failed("Invalid access token"));

    let (n8n, asked) = neighbour(200, json!({ "tools": ["search_workflows"] })).await;
    let answer = caal
        .post(
            "/setup/test-n8n",
            json!({ "url": format!("{n8n}/mcp-server/http") }),
        )
        .await;
    assert_eq!(
        answer.json(),
        result(true, json!(null), json!(null), json!(null))
    );
    assert_eq!(asked.lock().unwrap()[..], ["POST /mcp-server/http"]);
    let (n8n, _) = neighbour(200, json!({ "error": "Unauthorized" })).await;
    let answer = caal
        .post("/setup/test-n8n", json!({ "url": n8n, "token": "t" }))
        .await;
    assert_eq!(answer.json(), failed("Invalid access token"));
}

#[tokio::test]
async fn a_secret_that_is_kept_is_tried_at_its_own_host_only() {
    let caal = Caal::fresh();
    let (home, at_home) = neighbour(200, json!([])).await;
    let (away, elsewhere) = neighbour(200, json!([])).await;
    let wanted = json!({ "settings": { "hass_token": "s3cret", "hass_host": home } });
    assert_eq!(caal.post("/settings", wanted).await.status, StatusCode::OK);
    for host in [&home, &away] {
        caal.post("/setup/test-hass", json!({ "host": host, "token": MASK }))
            .await;
    }
    assert_eq!(
        at_home.lock().unwrap()[..],
        ["GET /api/states Bearer s3cret"]
    );
    assert!(!elsewhere.lock().unwrap().concat().contains("s3cret"));
}

#[tokio::test]
async fn a_server_of_openais_kind_is_tried_with_the_key_that_is_kept_for_it_or_without() {
    let caal = Caal::fresh();
    let list = json!({ "data": [{ "id": "a" }, { "id": "b" }] });
    let (home, at_home) = neighbour(200, list.clone()).await;
    let (away, elsewhere) = neighbour(200, list).await;
    let wanted = json!({ "settings": { "openai_api_key": "s3cret", "openai_base_url": home } });
    assert_eq!(caal.post("/settings", wanted).await.status, StatusCode::OK);
    for base_url in [&home, &away] {
        let asked = json!({ "base_url": base_url, "api_key": MASK });
        let answer = caal.post("/setup/test-openai-compatible", asked).await;
        assert_eq!(answer.json()["models"], json!(["a", "b"]));
    }
    let path = format!("{home}/v1/");
    let answer = caal.post("/setup/test-openai-compatible", json!({ "base_url": path }));
    assert_eq!(answer.await.json()["success"], json!(true));
    assert_eq!(
        at_home.lock().unwrap()[..],
        ["GET /v1/models Bearer s3cret", "GET /v1/models"]
    );
    assert!(!elsewhere.lock().unwrap().concat().contains("s3cret"));
    let (wrong, _) = neighbour(401, json!({})).await;
    let answer = caal.post(
        "/setup/test-openai-compatible",
        json!({ "base_url": wrong }),
    );
    assert_eq!(answer.await.json()["error"], json!("Invalid API key"));
}

#[tokio::test]
async fn the_models_of_the_server_that_is_set_are_told() {
    let tags = json!({ "models": [{ "name": "a" }, { "name": "b" }] });
    let (ollama, _) = neighbour(200, tags).await;
    let caal = Caal::in_environment(&[("OLLAMA_HOST", &ollama)]);
    assert_eq!(
        caal.get("/api/models").await,
        json!({ "models": ["a", "b"] })
    );
}

#[tokio::test]
async fn prewarm_begins_or_says_why_not() {
    let caal = Caal::in_environment(&[("LLM_PROVIDER", "ollama")]);
    let answer = caal.ask("POST", "/prewarm", None, "").await;
    let started =
        json!({ "status": "started", "message": "Model preloading started in background" });
    assert_eq!(answer.json(), started);
    let caal = Caal::in_environment(&[("LLM_PROVIDER", "groq")]);
    let answer = caal.ask("POST", "/prewarm", None, "").await;
    let skipped =
        json!({ "status": "skipped", "message": "Prewarm only applies to Ollama provider" });
    assert_eq!(answer.json(), skipped);
}

#[tokio::test]
async fn a_piper_voice_is_not_said_to_be_there_when_nothing_can_speak_with_it() {
    let caal = Caal::fresh();
    let answer = caal
        .post("/download-piper-model", json!({ "model_id": "kokoro" }))
        .await;
    let wrong = json!({ "success": false, "message": "Invalid Piper model ID: kokoro" });
    assert_eq!(answer.json(), wrong);
    let id = "speaches-ai/piper-en_US-ryan-high";
    let answer = caal
        .post("/download-piper-model", json!({ "model_id": id }))
        .await;
    assert_eq!(answer.json()["success"], json!(false));
}

#[tokio::test]
async fn a_picture_of_the_screen_is_kept_and_nobody_claims_to_have_seen_it() {
    let caal = Caal::fresh();
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let answer = caal
        .post("/screen", json!({ "image": png, "mime_type": "image/png" }))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.json()["seen"], json!(false));
    assert_eq!(caal.get("/status").await["screen"]["width"], json!(1));
    let answer = caal.post("/screen", json!({ "image": png })).await;
    assert_eq!(
        answer.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "it is no JPEG"
    );
    let large = "A".repeat(12 << 20);
    let answer = caal.post("/screen", json!({ "image": large })).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}
