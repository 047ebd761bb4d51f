//! The table of settings as the page's form gets it.

use axum::http::StatusCode;
use caal::settings::{MASK, ROWS, Reach};
use serde_json::{Value, json};

use super::Caal;

fn row<'a>(table: &'a Value, key: &str) -> &'a Value {
    let rows = table["settings"].as_array().unwrap();
    rows.iter().find(|row| row["key"] == key).unwrap()
}

#[tokio::test]
async fn the_table_has_every_setting_within_reach_and_what_a_form_needs() {
    let caal = Caal::in_environment(&[("OLLAMA_NUM_CTX", "4096")]);
    let table = caal.get("/api/settings/table").await;
    let keys: Vec<_> = table["settings"].as_array().unwrap().iter().collect();
    let within = ROWS.iter().filter(|row| row.reach == Reach::Api);
    assert!(
        keys.iter()
            .map(|row| &row["key"])
            .eq(within.map(|row| row.key))
    );
    for row in &keys {
        assert!(!row["doc"].as_str().unwrap().is_empty(), "{row}");
        assert!(
            row["kind"] != "choice" || row["choices"].is_array(),
            "{row}"
        );
    }
    let context = row(&table, "num_ctx");
    assert_eq!(context["kind"], "int");
    assert_eq!(
        (&context["minimum"], &context["maximum"]),
        (&json!(1024.0), &json!(131_072.0))
    );
    assert_eq!(context["applies"], "next turn");
    let given = json!({ "value": 4096, "origin": "environment", "variable": "OLLAMA_NUM_CTX" });
    assert_eq!((&context["now"], &context["otherwise"]), (&given, &given));
    assert_eq!(row(&table, "agent_name")["now"]["origin"], "default");
    let default = table["prompts"]["default"].as_str().unwrap();
    assert!(default.contains("{{ASSISTANT_NAME}}"));
    assert_eq!(table["prompts"]["custom"], Value::Null);
}

#[tokio::test]
async fn what_is_taken_out_of_the_file_counts_as_before_also_a_secret() {
    let caal = Caal::in_environment(&[("OLLAMA_NUM_CTX", "4096")]);
    let secret = "s3cret-of-the-house";
    let wanted = json!({ "settings": { "num_ctx": 2048, "hass_token": secret } });
    assert_eq!(caal.post("/settings", wanted).await.status, StatusCode::OK);
    let table = caal.get("/settings/table").await;
    assert_eq!(row(&table, "num_ctx")["now"]["value"], 2048);
    assert_eq!(row(&table, "num_ctx")["otherwise"]["value"], 4096);
    assert_eq!(row(&table, "hass_token")["now"]["value"], MASK);
    assert!(!table.to_string().contains(secret));
    let keys = json!({ "keys": ["num_ctx", "hass_token"] });
    let table = caal.post("/api/settings/unset", keys).await.json();
    assert_eq!(row(&table, "num_ctx")["now"]["value"], 4096);
    assert_eq!(row(&table, "hass_token")["now"]["value"], "");
    assert!(caal.settings.secret("hass_token").is_none());
    assert_eq!(caal.file(), json!({}));
}

#[tokio::test]
async fn what_is_out_of_reach_stays_and_all_wrong_names_are_told() {
    let caal = Caal::fresh();
    let keys = json!({ "keys": ["agent_name", "http_port", "nothing"] });
    let answer = caal.post("/settings/unset", keys).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let told = answer.json();
    assert_eq!(
        told["detail"][0]["loc"],
        json!(["body", "keys", 1]),
        "{told}"
    );
    assert_eq!(
        told["detail"][1]["loc"],
        json!(["body", "keys", 2]),
        "{told}"
    );
}

#[tokio::test]
async fn a_prompt_of_ones_own_is_told_also_while_it_is_not_in_use() {
    let caal = Caal::fresh();
    let own = json!({ "content": "Be brief." });
    assert_eq!(caal.post("/prompt", own).await.status, StatusCode::OK);
    let back = json!({ "settings": { "prompt": "default" } });
    assert_eq!(caal.post("/settings", back).await.status, StatusCode::OK);
    let table = caal.get("/settings/table").await;
    assert_eq!(table["prompts"]["custom"], "Be brief.");
    assert_eq!(row(&table, "prompt")["now"]["value"], "default");
}
