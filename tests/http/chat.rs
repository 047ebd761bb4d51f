//! Conversations in writing: `/api/chat`, with tools, a memory, and pictures of `/screen`.

use std::sync::Arc;

use axum::http::StatusCode;
use caal::{
    app::App,
    llm::{
        Delta, Message, ToolCall, ToolSpec,
        ollama::{Ollama, OllamaConfig},
    },
    tools::{Caller, Outcome, Tool, ToolError, Toolbox},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::{Map, Value, json};

use super::Caal;
use crate::{
    llm::scripted::{Scripted, answer, response, streamed},
    scenario::support::Story,
    support,
};

/// Says what it was asked for.
struct Lamp(Arc<ToolSpec>);

impl Tool for Lamp {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.0
    }

    fn call(
        &self,
        arguments: Map<String, Value>,
        _: &Caller,
    ) -> BoxFuture<'static, Result<Outcome, ToolError>> {
        async move { Ok(Outcome::of(format!("It is {}.", arguments["to"]))) }.boxed()
    }
}

/// A server whose language model writes `script`, and has a lamp.
fn with(script: Vec<Vec<Delta>>) -> (Caal, Story) {
    let caal = Caal::fresh();
    let toolbox = Toolbox::default();
    let lamp = Lamp(Arc::new(ToolSpec {
        name: "lamp".to_owned(),
        description: "A lamp.".to_owned(),
        parameters: json!({"type": "object", "properties": {"to": {"type": "string"}}}),
    }));
    toolbox.put("own", vec![Arc::new(lamp)]);
    let story = Story::new().with(|story| {
        story.tools = toolbox;
        story.script = script;
    });
    let settings = (*caal.settings.current()).clone();
    let app = App::with(settings, support::runtime(), story.engines());
    caal.house.move_in(Arc::new(app));
    (caal, story)
}

fn text(text: &str) -> Delta {
    Delta::Text(text.to_owned())
}

fn call() -> Delta {
    Delta::Call(ToolCall {
        id: "1".to_owned(),
        name: "lamp".to_owned(),
        arguments: json!({"to": "on"}),
    })
}

#[tokio::test]
async fn a_question_in_writing_is_answered_with_tools_and_gone_on_with() {
    let (caal, story) = with(vec![
        vec![text("I will. "), call()],
        vec![text("It is on.")],
        vec![text("A lamp.")],
    ]);
    let answer = caal
        .post("/api/chat", json!({"text": "turn on the lamp"}))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let told = answer.json();
    assert_eq!(told["response"], "I will. It is on.");
    assert_eq!(
        told["tool_calls"],
        json!([{"tool": "lamp", "args": {"to": "on"}}])
    );
    let id = told["session_id"].as_str().unwrap();

    let more = json!({"text": "what is on?", "session_id": id});
    let answer = caal.post("/api/chat", more).await.json();
    assert_eq!(
        (answer["response"].as_str(), answer["session_id"].as_str()),
        (Some("A lamp."), Some(id))
    );
    let requests = story.requests();
    let result =
        |m: &Message| matches!(m, Message::Result { content, .. } if content == "It is \"on\".");
    assert!(requests[2].messages.iter().any(result));
    assert!(requests[2].messages.starts_with(&requests[0].messages));

    let sessions = caal.get("/api/chat/sessions").await;
    assert_eq!(sessions["sessions"][0]["session_id"], id);
    assert_eq!(sessions["sessions"][0]["questions"], 2);
    let forget = format!("/api/chat/{id}");
    let gone = caal.ask("DELETE", &forget, None, "").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let again = caal.ask("DELETE", &forget, None, "").await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_last_conversation_is_gone_on_with_where_that_is_wished_and_else_a_new_one_begun() {
    let (caal, story) = with(vec![
        vec![text("One.")],
        vec![text("Two.")],
        vec![text("Three.")],
    ]);
    let ask = async |body: Value| caal.post("/api/chat", body).await.json()["session_id"].clone();
    let one = ask(json!({"text": "one"})).await;
    let two = ask(json!({"text": "two"})).await;
    assert_ne!(one, two);
    assert_eq!(
        ask(json!({"text": "three", "reuse_session": true})).await,
        two
    );
    let requests = story.requests();
    assert!(requests[1].messages.len() < requests[2].messages.len());
}

#[tokio::test]
async fn an_answer_comes_as_events_where_it_is_asked_for() {
    let (caal, _) = with(vec![
        vec![text("I "), text("will. "), call()],
        vec![text("Done.")],
    ]);
    let answer = caal
        .post("/api/chat", json!({"text": "lamp", "stream": true}))
        .await;
    assert!(
        answer
            .header("content-type")
            .starts_with("text/event-stream")
    );
    let events: Vec<(&str, Value)> = answer
        .text
        .split("\n\n")
        .filter_map(|event| {
            let (name, data) = event.strip_prefix("event: ")?.split_once("\ndata: ")?;
            Some((name, serde_json::from_str(data).unwrap()))
        })
        .collect();
    let names: Vec<&str> = events.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["session", "text", "text", "tools", "tools", "text", "done"]
    );
    assert_eq!(events[1].1["text"], "I ");
    assert_eq!(events[3].1["status"], "running");
    assert_eq!(events[4].1["status"], "complete");
    assert_eq!(events[6].1["response"], "I will. Done.");
}

#[tokio::test]
async fn what_is_no_question_is_refused_and_a_model_that_fails_is_told() {
    let (caal, _) = with(Vec::new());
    for wrong in [
        json!({}),
        json!({"text": "  "}),
        json!({"text": 7}),
        json!({"text": "x".repeat(4_001)}),
        json!({"text": "x", "session_id": ""}),
    ] {
        let answer = caal.post("/api/chat", wrong.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let loading = Caal::fresh().post("/api/chat", json!({"text": "x"})).await;
    assert_eq!(loading.status, StatusCode::SERVICE_UNAVAILABLE);

    let caal = Caal::fresh();
    let story = Story::new().with(|story| story.llm = crate::scenario::support::Behaviour::Fails);
    let settings = (*caal.settings.current()).clone();
    let app = App::with(settings, support::runtime(), story.engines());
    caal.house.move_in(Arc::new(app));
    let answer = caal.post("/api/chat", json!({"text": "x"})).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("broke off"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_empty_answer_is_told_and_the_next_question_is_answered() {
    let (caal, _story) = with(vec![vec![text(" ")], vec![text("A lamp.")]]);
    let ask = || caal.post("/api/chat", json!({"text": "what is on?"}));
    let empty = ask().await;
    assert_eq!(empty.status, StatusCode::BAD_GATEWAY, "{empty:?}");
    assert!(format!("{empty:?}").contains("ask again"), "{empty:?}");
    assert_eq!(ask().await.json()["response"], "A lamp.");
}

/// 1 × 1.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A picture is sent to a server whose Ollama's model can do so much, and two questions follow.
async fn two_questions_about_a_picture(abilities: &'static str) -> (Value, Vec<Value>) {
    let ollama = Scripted::with(move |seen| match seen.head.starts_with("POST /api/show") {
        true => response("200 OK", "application/json", &[abilities.as_bytes()]),
        false => streamed(&[answer(&["A ", "lamp. "]).as_bytes()]),
    })
    .await;
    let caal = Caal::fresh();
    let model = Ollama::new(OllamaConfig {
        url: ollama.url(),
        model: "m".to_owned(),
        ..OllamaConfig::default()
    });
    let story = Story::new().with(|story| {
        story.model = Some(Arc::new(model.unwrap()));
        story.shown = caal.shown.clone();
    });
    let settings = (*caal.settings.current()).clone();
    let app = App::with(settings, support::runtime(), story.engines());
    caal.house.move_in(Arc::new(app));

    let screen = json!({ "image": PNG, "mime_type": "image/png" });
    let taken = caal.post("/screen", screen).await.json();
    for text in ["What is that?", "And what colour?"] {
        let asked = json!({ "text": text, "reuse_session": true });
        let answer = caal.post("/api/chat", asked).await;
        assert_eq!(answer.json()["response"], "A lamp.", "{answer:?}");
    }
    let seen = ollama.seen().into_iter();
    let chats = seen.filter(|seen| seen.head.starts_with("POST /api/chat"));
    (
        taken,
        chats.map(|seen| seen.body["messages"].clone()).collect(),
    )
}

#[tokio::test]
async fn the_newest_question_takes_the_picture_along_to_a_model_that_sees() {
    let can = r#"{"capabilities": ["completion", "vision"]}"#;
    let (taken, chats) = two_questions_about_a_picture(can).await;
    assert_eq!(taken["seen"], true, "{taken}");
    assert_eq!(chats.len(), 2);
    for messages in &chats {
        let all = messages.as_array().unwrap();
        let newest = all.last().unwrap();
        assert_eq!(newest["images"], json!([PNG]));
        assert_eq!(
            messages.to_string().matches(PNG).count(),
            1,
            "in no older one"
        );
    }
}

#[tokio::test]
async fn a_model_that_does_not_see_is_told_that_there_is_a_picture() {
    let cannot = r#"{"capabilities": ["completion", "tools"]}"#;
    let (taken, chats) = two_questions_about_a_picture(cannot).await;
    assert_eq!(taken["seen"], false, "{taken}");
    assert!(taken["message"].as_str().unwrap().contains("does not see"));
    for messages in &chats {
        assert!(!messages.to_string().contains("images"));
        let newest = messages.as_array().unwrap().last().unwrap();
        let text = newest["content"].as_str().unwrap();
        assert!(text.contains("you cannot see pictures"), "{text}");
    }
}
