//! A stand-in of n8n: it answers with what a real n8n 2.30 was recorded to answer (tests/fixtures/n8n), as
//! it does: no session, one event per answer. Its webhooks are made after the recorded errors.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{MethodRouter, any, post},
};
use caal::{
    pii::Pii,
    tools::{Connections, ToolError, Toolbox},
};
use serde_json::{Value, json};

use super::{TOKEN, call, names, one, serve, tool, until, within};

/// Its workflows: what `search_workflows` lists, and the details.
type Workflows = Arc<Mutex<Vec<(Value, Value)>>>;

/// How often somebody connected to its MCP server.
type Connected = Arc<AtomicUsize>;

fn recorded(name: &str) -> Value {
    let path = format!(
        "{}/tests/fixtures/n8n/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["response"]["result"].clone()
}

fn made(id: &str, name: &str, node: Value) -> (Value, Value) {
    let entry = json!({"id": id, "name": name, "active": true, "availableInMCP": true, "canExecute": true, "updatedAt": id});
    let details = json!({"workflow": {"id": id, "active": true, "nodes": [node]}});
    (entry, details)
}

fn office_lamp() -> (Value, Value) {
    let entry = recorded("search_workflows")["structuredContent"]["data"][0].clone();
    (
        entry,
        recorded("get_workflow_details")["structuredContent"].clone(),
    )
}

async fn mcp(
    State((workflows, connected)): State<(Workflows, Connected)>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Response {
    if headers.get("authorization").map(|v| v.as_bytes())
        != Some(format!("Bearer {TOKEN}").as_bytes())
    {
        return (
            StatusCode::UNAUTHORIZED,
            Json(json!({"message": "Unauthorized"})),
        )
            .into_response();
    }
    let text = |value: Value| json!({"content": [{"type": "text", "text": value.to_string()}]});
    let arguments = &asked["params"]["arguments"];
    let result = match (
        asked["method"].as_str().unwrap(),
        asked["params"]["name"].as_str().unwrap_or_default(),
    ) {
        ("initialize", _) => {
            connected.fetch_add(1, Ordering::Relaxed);
            json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": true}},
            "serverInfo": {"name": "n8n MCP Server", "version": "1.1.0"}})
        }
        ("tools/list", _) => {
            json!({"tools": [{"name": "archive_workflow", "inputSchema": {"type": "object"}}]})
        }
        (_, "search_workflows") => {
            let data: Vec<Value> = workflows
                .lock()
                .unwrap()
                .iter()
                .map(|(entry, _)| entry.clone())
                .collect();
            text(json!({"data": data, "count": data.len()}))
        }
        (_, "get_workflow_details") => {
            let all = workflows.lock().unwrap();
            let found = all
                .iter()
                .find(|(entry, _)| entry["id"] == arguments["workflowId"]);
            found.map_or_else(
                || recorded("get_workflow_details_unknown"),
                |(_, details)| text(details.clone()),
            )
        }
        (_, "execute_workflow")
            if arguments["inputs"] == json!({"type": "form", "formData": {"Name": "Ann"}}) =>
        {
            recorded("execute_workflow")
        }
        (_, "execute_workflow") if arguments["inputs"]["formData"]["Name"] == "Bob" => {
            text(json!({"executionId": "5", "status": "started"}))
        }
        (_, "execute_workflow") if arguments["workflowId"] == "7" => {
            let why = "Workflow '7' has no published (active) version to execute";
            text(json!({"executionId": null, "status": "error", "error": why}))
        }
        (_, "execute_workflow") => text(json!({"executionId": "8", "status": "started"})),
        (_, "get_execution") if arguments["executionId"] == "4" => recorded("get_execution"),
        // What a production n8n answers to more than 100 requests in five minutes.
        (_, "get_execution") if arguments["executionId"] == "5" => {
            let body = json!({"message": "Too many requests"});
            return (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
        }
        (_, "get_execution") => {
            let error = "Execution '8' not found for workflow '8'";
            text(json!({"execution": null, "error": error}))
        }
        ("tools/call", _) => recorded("unknown_tool"),
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
    (
        [("content-type", "text/event-stream")],
        format!("event: message\ndata: {answer}\n\n"),
    )
        .into_response()
}

async fn webhook(method: Method, uri: Uri, headers: HeaderMap, body: String) -> Response {
    match (method.as_str(), uri.path()) {
        ("POST", "/webhook/office-lamp") => {
            let asked: Value = serde_json::from_str(&body).unwrap();
            let message = format!("The office lamp is {}", asked["action"].as_str().unwrap());
            Json(json!({"message": message})).into_response()
        }
        ("GET", "/webhook/w-2/user/7/mail") => Json(json!({"query": uri.query()})).into_response(),
        ("POST", "/webhook/closed") => match headers.get("x-key").map(|v| v.as_bytes()) {
            Some(b"s3cret-of-a-webhook") => Json(json!({"ok": true})).into_response(),
            _ => (StatusCode::FORBIDDEN, "Authorization data is wrong!").into_response(),
        },
        ("POST", "/webhook/fails") => (
            StatusCode::INTERNAL_SERVER_ERROR,
            Json(json!({"message": "Error in workflow"})),
        )
            .into_response(),
        (method, path) => {
            let path = path.trim_start_matches("/webhook/");
            let message = format!("The requested webhook \"{method} {path}\" is not registered.");
            (
                StatusCode::NOT_FOUND,
                Json(json!({"code": 404, "message": message})),
            )
                .into_response()
        }
    }
}

/// An n8n with one workflow, `office_lamp`, whose webhook is `hook`.
pub(crate) fn stand_in_with_lamp(hook: MethodRouter) -> Router {
    let workflows: Workflows = Arc::new(Mutex::new(vec![office_lamp()]));
    Router::new()
        .route("/mcp-server/http", post(mcp))
        .with_state((workflows, Connected::default()))
        .route("/webhook/{*path}", hook)
}

fn hook(id: &str, method: &str, path: &str) -> Value {
    json!({"type": "n8n-nodes-base.webhook", "webhookId": id, "parameters": {"httpMethod": method, "path": path}})
}

#[tokio::test]
async fn workflows_are_tools_and_are_called_where_they_are() {
    let form = json!({"type": "n8n-nodes-base.formTrigger", "parameters": {"formFields": {"values": [{"fieldLabel": "Name"}]}}});
    let schedule = json!({"type": "n8n-nodes-base.scheduleTrigger"});
    let connected = Connected::default();
    let workflows: Workflows = Arc::new(Mutex::new(vec![
        office_lamp(),
        made(
            "2",
            "User Mail",
            json!({"type": "n8n-nodes-base.webhook", "webhookId": "w-2", "parameters": {"path": "user/:id/mail"}}),
        ),
        made("3", "closed", hook("w-3", "POST", "closed")),
        made("4", "fails", hook("w-4", "POST", "fails")),
        made("5", "gone", hook("w-5", "POST", "gone")),
        made("6", "sign-up", form),
        made("7", "off", schedule.clone()),
        made("8", "unsaved", schedule),
        made(
            "9",
            "part",
            json!({"type": "n8n-nodes-base.executeWorkflowTrigger"}),
        ),
    ]));
    let router = Router::new()
        .route("/mcp-server/http", post(mcp))
        .route("/webhook/{*path}", any(webhook))
        .with_state((workflows.clone(), connected.clone()));
    let (port, _server) = serve(router, 0).await;
    let toolbox = Toolbox::default();
    let mut config = one("n8n", &format!("http://127.0.0.1:{port}/mcp-server/http"));
    let connections = Connections::start(config.clone(), toolbox.clone());
    until(
        &toolbox,
        &[
            "closed",
            "fails",
            "gone",
            "off",
            "office_lamp",
            "sign_up",
            "unsaved",
            "user_mail",
        ],
    )
    .await;

    let lamp = tool(&toolbox, "office_lamp");
    assert_eq!(
        lamp.spec().parameters["properties"]["action"]["description"],
        "on or off"
    );
    assert_eq!(
        lamp.spec().description,
        "Switches the office lamp. Parameters: action (on|off)"
    );
    assert!(lamp.changes() && tool(&toolbox, "user_mail").changes());
    let said = call(&toolbox, "office_lamp", json!({"action": "on"}))
        .await
        .unwrap();
    assert_eq!(said.say.as_deref(), Some("The office lamp is on"));
    let mail = call(&toolbox, "user_mail", json!({"id": 7, "unread": true}))
        .await
        .unwrap();
    assert_eq!(mail.content, r#"{"query":"unread=true"}"#);
    let filled = call(&toolbox, "sign_up", json!({"Name": "Ann"}))
        .await
        .unwrap();
    assert_eq!(filled.say.as_deref(), Some("The office lamp is off")); // as recorded

    let limited = call(&toolbox, "sign_up", json!({"Name": "Bob"})).await;
    let honest = "The workflow sign-up was started; what became of it is not known. \
        n8n was asked too often. Try again in a few minutes.";
    assert_eq!(limited, Err(ToolError::Unreachable(honest.to_owned())));
    let unsaved = call(&toolbox, "unsaved", json!({})).await.unwrap();
    assert!(
        unsaved.content.contains("keeps no record"),
        "{}",
        unsaved.content
    );
    let off = call(&toolbox, "off", json!({})).await.unwrap_err();
    assert!(off.to_string().contains("is not active in n8n"), "{off}");

    let missing = call(&toolbox, "user_mail", json!({})).await.unwrap_err();
    assert_eq!(missing.to_string(), "\"id\" is missing.");
    let failed = call(&toolbox, "fails", json!({})).await.unwrap_err();
    assert_eq!(
        failed,
        ToolError::Failed("The workflow fails failed: Error in workflow".to_owned())
    );
    let gone = call(&toolbox, "gone", json!({})).await.unwrap_err();
    assert!(gone.to_string().contains("is not active in n8n"), "{gone}");
    let closed = call(&toolbox, "closed", json!({})).await.unwrap_err();
    assert!(closed.to_string().contains("n8n_webhook_auth"), "{closed}");

    config.n8n_webhook_auth = Some(Pii("X-Key: s3cret-of-a-webhook".to_owned()));
    assert!(!format!("{config:?}").contains("s3cret"));
    connections.set(config);
    within(connections.refresh()).await;
    assert_eq!(
        call(&toolbox, "closed", json!({})).await.unwrap().content,
        r#"{"ok":true}"#
    );

    workflows
        .lock()
        .unwrap()
        .retain(|(entry, _)| entry["id"] == "3" || entry["id"] == "4");
    workflows.lock().unwrap()[0].0["active"] = false.into();
    within(connections.refresh()).await;
    assert_eq!(names(&toolbox), ["fails"]);
    // Too many requests are no reason for more.
    assert_eq!(connected.load(Ordering::Relaxed), 1);
    assert_eq!(connections.status().borrow()[0].tools, 1);
    within(connections.close()).await;
    until(&toolbox, &[]).await;
}
