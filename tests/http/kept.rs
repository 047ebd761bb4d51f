//! What is kept on the disk, over HTTP: conversations and memory; and the timers.

use std::time::SystemTime;

use axum::http::StatusCode;
use caal::{pii::Pii, store::conversations::Exchange, tools::Caller};
use serde_json::{Value, json};

use super::Caal;

fn exchange(user: &str, assistant: &str) -> Exchange {
    let now = SystemTime::now();
    Exchange {
        asked_at: now,
        over_at: now,
        user: Pii(user.to_owned()),
        assistant: Pii(assistant.to_owned()),
        complete: false,
        meta: Some(r#"{"outcome":"interrupted"}"#.to_owned()),
    }
}

async fn status(caal: &Caal, method: &str, path: &str) -> StatusCode {
    caal.ask(method, path, None, "").await.status
}

#[tokio::test]
async fn conversations_are_listed_read_exported_and_deleted() {
    let caal = Caal::fresh();
    let kept = &caal.panel.conversations;
    for (room, user) in [("a", "Eat apples."), ("b", "Eat pears."), ("c", "Sleep.")] {
        kept.note(room, exchange(user, "All right"));
    }
    let all = caal.get("/conversations").await;
    assert_eq!(all["kept"], true);
    let titles = |listed: &Value| -> Vec<String> {
        let all = listed["conversations"].as_array().unwrap().iter();
        all.map(|one| one["title"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(titles(&all), ["Sleep.", "Eat pears.", "Eat apples."]);
    let page = caal.get("/api/conversations?limit=1&before=3").await;
    assert_eq!(titles(&page), ["Eat pears."]);
    let found = caal.get("/conversations?q=EAT").await;
    assert_eq!(titles(&found), ["Eat pears.", "Eat apples."]);
    for wrong in ["limit=0", "limit=501", "before=x"] {
        let answer = caal
            .ask("GET", &format!("/conversations?{wrong}"), None, "")
            .await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert!(answer.json()["fields"].is_object());
    }

    let one = caal.get("/conversations/1").await;
    assert_eq!(one["room"], "a");
    assert_eq!(one["message_count"], 2);
    assert_eq!(one["messages"][0]["text"], "Eat apples.");
    assert_eq!(one["messages"][0]["complete"], true);
    assert_eq!(one["messages"][1]["role"], "assistant");
    assert_eq!(one["messages"][1]["complete"], false);
    assert_eq!(one["messages"][1]["meta"]["outcome"], "interrupted");

    let export = caal.ask("GET", "/conversations/export", None, "").await;
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = export
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], one);

    let path = "/api/conversations/1";
    assert_eq!(status(&caal, "DELETE", path).await, StatusCode::NO_CONTENT);
    assert_eq!(status(&caal, "DELETE", path).await, StatusCode::NOT_FOUND);
    assert_eq!(status(&caal, "GET", path).await, StatusCode::NOT_FOUND);
    let odd = "/conversations/one";
    assert_eq!(status(&caal, "GET", odd).await, StatusCode::NOT_FOUND);
    let rest = caal.ask("DELETE", "/conversations", None, "").await.json();
    assert_eq!(rest, json!({ "deleted": 2 }));
    assert_eq!(titles(&caal.get("/conversations").await).len(), 0);
}

#[tokio::test]
async fn switched_off_over_http_nothing_more_is_written_from_that_moment() {
    let caal = Caal::fresh();
    let kept = &caal.panel.conversations;
    kept.note("a", exchange("before", "yes"));
    let off = json!({ "settings": { "conversation_history": false } });
    assert_eq!(caal.post("/settings", off).await.status, StatusCode::OK);
    kept.note("a", exchange("a secret", "yes"));
    let all = caal.get("/conversations").await;
    assert_eq!(all["kept"], false);
    assert_eq!(all["conversations"][0]["message_count"], 2);
}

#[tokio::test]
async fn notes_are_stored_read_and_deleted_and_facts_are_shown() {
    let caal = Caal::fresh();
    let wanted = json!({ "key": "Parking spot", "value": "B 12", "ttl_minutes": 60 });
    let stored = caal.post("/memory", wanted).await.json();
    assert_eq!(stored["key"], "parking spot");
    assert_eq!(stored["source"], "api");
    assert_eq!(caal.get("/memory/Parking%20spot").await, stored);
    assert_eq!(caal.get("/api/memory").await["entries"], json!([stored]));
    for wrong in [
        json!({ "key": "", "value": "x" }),
        json!({ "key": "k", "value": " " }),
        json!({ "key": "k", "value": "x", "ttl_minutes": 0 }),
        json!({ "key": "k" }),
    ] {
        let answer = caal.post("/memory", wrong.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let gone = |path| status(&caal, "DELETE", path);
    assert_eq!(gone("/memory/parking-spot").await, StatusCode::NO_CONTENT);
    assert_eq!(gone("/memory/parking-spot").await, StatusCode::NOT_FOUND);
    assert_eq!(gone("/memory").await, StatusCode::NO_CONTENT);

    let memory = &caal.panel.memory;
    memory.remember("I eat no peanuts.").await.expect("room");
    let facts = caal.get("/facts").await;
    assert_eq!(facts["enabled"], true);
    assert_eq!(facts["facts"][0]["text"], "I eat no peanuts.");
    let off = json!({ "settings": { "memory_enabled": false } });
    caal.post("/settings", off).await;
    assert_eq!(caal.get("/facts").await["enabled"], false);
    assert_eq!(status(&caal, "GET", "/memory").await, StatusCode::CONFLICT);
    assert_eq!(gone("/facts/1").await, StatusCode::NO_CONTENT);
    assert_eq!(gone("/facts/1").await, StatusCode::NOT_FOUND);
    assert_eq!(gone("/facts/x").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn timers_are_listed_and_ended() {
    let caal = Caal::fresh();
    assert_eq!(caal.get("/api/timers").await, json!({"timers": []}));
    for (tool, arguments) in [
        (
            "set_reminder",
            json!({"text": "take out the bread", "hours": 3}),
        ),
        ("set_timer", json!({"minutes": 10, "name": "pasta"})),
    ] {
        let tools = caal.timers.tools();
        let tool = tools.iter().find(|one| one.spec().name == tool).unwrap();
        let arguments = arguments.as_object().unwrap().clone();
        tool.call(arguments, &Caller::default()).await.unwrap();
    }

    let all = caal.get("/api/timers").await;
    let [pasta, bread] = &all["timers"].as_array().unwrap()[..] else {
        panic!("{all}")
    };
    assert_eq!(pasta["kind"], "timer");
    assert_eq!(pasta["name"], "pasta");
    assert_eq!(pasta["seconds"], 600);
    assert_eq!(pasta["ringing"], false);
    let left = pasta["seconds_left"].as_i64().unwrap();
    assert!((590..=600).contains(&left), "{left}");
    assert!(pasta["due_at"].as_str().unwrap().ends_with('Z'), "{pasta}");
    assert_eq!(bread["kind"], "reminder");
    assert_eq!(bread["text"], "take out the bread");

    let path = format!("/api/timers/{}", pasta["id"]);
    assert_eq!(status(&caal, "DELETE", &path).await, StatusCode::NO_CONTENT);
    assert_eq!(status(&caal, "DELETE", &path).await, StatusCode::NOT_FOUND);
    let none = caal.ask("DELETE", "/api/timers/pasta", None, "").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let left = caal.get("/api/timers").await;
    assert_eq!(left["timers"].as_array().unwrap().len(), 1);
    assert_eq!(left["timers"][0]["id"], bread["id"]);
}
