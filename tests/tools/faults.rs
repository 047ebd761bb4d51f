//! Servers that refuse, answer nonsense or too much, or not at all: scripted, in as much of MCP as that
//! takes.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use caal::tools::{Connections, ConnectionsConfig, ToolError, Toolbox, mcp::ServerState};
use serde_json::{Value, json};

use super::{TOKEN, call, config, names, one, serve, state, until};

/// Answers as `misbehave` does when a tool is called, else as a server should.
fn server(misbehave: fn(&str) -> Response) -> Router {
    let answer = move |Json(asked): Json<Value>| async move {
        let result = match asked["method"].as_str().unwrap_or_default() {
            "initialize" => json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "scripted", "version": "1"}}),
            "tools/list" => {
                let all = ["huge", "stream", "garbage", "page", "hang", "well"];
                let all = all.map(|name| json!({"name": name, "inputSchema": {"type": "object"}}));
                json!({"tools": all})
            }
            "tools/call" if asked["params"]["name"] != "well" => {
                let name = asked["params"]["name"].as_str().unwrap();
                if name == "hang" {
                    std::future::pending::<()>().await;
                }
                return misbehave(name);
            }
            "tools/call" => json!({"content": [{"type": "text", "text": "well"}]}),
            _ => return StatusCode::ACCEPTED.into_response(),
        };
        Json(json!({"jsonrpc": "2.0", "id": asked["id"], "result": result})).into_response()
    };
    Router::new().route("/mcp", post(answer))
}

fn badly(name: &str) -> Response {
    match name {
        "huge" => (
            [("content-type", "application/json")],
            "x".repeat(10_000_000),
        )
            .into_response(),
        "stream" => (
            [("content-type", "text/event-stream")],
            format!("data: {}\n\n", "x".repeat(10_000_000)),
        )
            .into_response(),
        "garbage" => (
            [("content-type", "application/json")],
            "{\"jsonrpc\": \u{1}",
        )
            .into_response(),
        _ => (StatusCode::BAD_GATEWAY, "<html>Bad gateway</html>").into_response(),
    }
}

#[tokio::test]
async fn a_bad_answer_is_one_honest_sentence_and_the_next_call_works() {
    let (port, _server) = serve(server(badly), 0).await;
    let toolbox = Toolbox::default();
    let url = format!("http://127.0.0.1:{port}/mcp");
    let list = json!([{"name": "s", "url": url, "timeout": 2, "token": TOKEN}]);
    let connections = Connections::start(config(list), toolbox.clone());
    let all = [
        "s__huge",
        "s__stream",
        "s__garbage",
        "s__page",
        "s__hang",
        "s__well",
    ];
    until(&toolbox, &all).await;
    for name in &all[..5] {
        let error = call(&toolbox, name, json!({})).await.unwrap_err();
        let text = error.to_string();
        assert!(
            !text.contains(TOKEN) && !text.contains("xxx") && text.len() < 200,
            "{name}: {text}"
        );
        eprintln!("{name}: {text}");
        match *name {
            "s__huge" => assert!(text.contains("4 MB"), "{text}"),
            "s__hang" => assert!(text.contains("2 s"), "{text}"),
            _ => {}
        }
        // It may be connecting again.
        loop {
            state(&connections, "s", ServerState::Ready).await;
            match call(&toolbox, "s__well", json!({})).await {
                Ok(well) => break assert_eq!(well.content, "well"),
                Err(ToolError::Unreachable(_)) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[tokio::test]
async fn a_refused_token_is_said_and_never_shown() {
    let seen = Arc::new(Mutex::new(String::new()));
    let kept = seen.clone();
    let answer = move |headers: HeaderMap| async move {
        let sent = headers
            .get("authorization")
            .map(|v| v.to_str().unwrap().to_owned());
        *kept.lock().unwrap() = sent.clone().unwrap_or_default();
        (
            StatusCode::UNAUTHORIZED,
            Json(json!({"message": "Unauthorized", "you sent": sent})),
        )
    };
    let (port, _server) = serve(Router::new().route("/mcp", post(answer)), 0).await;
    let config = one("n8n", &format!("http://127.0.0.1:{port}/mcp"));
    assert!(!format!("{config:?}").contains(TOKEN));
    let connections = Connections::start(config, Toolbox::default());
    let detail = state(&connections, "n8n", ServerState::Failed).await;
    assert_eq!(detail, "it refuses the token (HTTP 401); check the token");
    assert_eq!(*seen.lock().unwrap(), format!("Bearer {TOKEN}"));
    let error = connections.status().borrow()[0].error();
    assert_eq!(
        error.as_deref(),
        Some("n8n enabled but could not connect - check URL and token in Settings")
    );
}

#[tokio::test]
async fn servers_that_cannot_be_had_are_told_apart() {
    let page = || async { ([("content-type", "text/html")], "<html></html>") };
    let hang = || async { std::future::pending::<()>().await };
    let router = Router::new()
        .route("/page/mcp", post(page))
        .route("/hang/mcp", post(hang));
    let (port, _server) = serve(router, 0).await;
    let at = |path: &str| format!("http://127.0.0.1:{port}/{path}/mcp");
    let list = json!([
        {"name": "page", "url": at("page")}, {"name": "hang", "url": at("hang"), "timeout": 0.5},
        {"name": "lost", "url": at("lost")}, {"name": "down", "url": "http://127.0.0.1:9/mcp"},
        {"name": "program", "command": "/nowhere/no-such-program"}]);
    let toolbox = Toolbox::default();
    let connections = Connections::start(config(list), toolbox.clone());
    let mut told = Vec::new();
    for name in ["page", "hang", "lost", "down", "program"] {
        told.push(state(&connections, name, ServerState::Failed).await);
    }
    assert_eq!(
        told,
        [
            "what it answers is not MCP; check its address",
            "Connection timed out after 0.5s",
            "it answers with HTTP 404; check its address",
            "it cannot be reached at its address",
            "its program /nowhere/no-such-program cannot be started (entity not found)",
        ]
    );
    assert!(names(&toolbox).is_empty());
    connections.set(ConnectionsConfig::default());
    super::within(connections.close()).await;
    assert!(connections.status().borrow().is_empty());
}
