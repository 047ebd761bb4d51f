//! Servers that tools come from: real ones of MCP over each transport, n8n and a stand-in of it, and what
//! they do when they fail.

mod faults;
pub(crate) mod n8n;
mod n8n_real;
mod servers;
mod timers;
mod web_search;

use std::{sync::Arc, time::Duration};

use caal::tools::{
    Caller, Connections, ConnectionsConfig, Outcome, Tool, ToolError, Toolbox,
    mcp::{ServerConfig, ServerState, parse},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::timeout};

use super::support::secrets;

pub(crate) const TOKEN: &str = "s3cret-of-the-tools-7a8b9c";

/// What `list` (of `{"servers": …}`) names.
fn config(list: Value) -> ConnectionsConfig {
    secrets::watch();
    let (servers, problems) = parse(&json!({"servers": list}).to_string());
    assert_eq!(problems, Vec::<String>::new());
    ConnectionsConfig {
        servers,
        ..ConnectionsConfig::default()
    }
}

/// Of one server of streamable HTTP.
fn one(name: &str, url: &str) -> ConnectionsConfig {
    let server = ServerConfig::streamable(name, url, TOKEN).unwrap();
    ConnectionsConfig {
        servers: vec![server],
        ..ConnectionsConfig::default()
    }
}

/// Serves `router` at a free port, or at `at`; its address. Ends when the guard is dropped.
pub(crate) async fn serve(router: axum::Router, at: u16) -> (u16, tokio::task::JoinSet<()>) {
    let listener = loop {
        match TcpListener::bind(("127.0.0.1", at)).await {
            Ok(listener) => break listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let port = listener.local_addr().unwrap().port();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (port, tasks)
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), what)
        .await
        .expect("in time")
}

fn names(toolbox: &Toolbox) -> Vec<String> {
    toolbox
        .all()
        .iter()
        .map(|tool| tool.spec().name.clone())
        .collect()
}

fn tool(toolbox: &Toolbox, name: &str) -> Arc<dyn Tool> {
    let all = toolbox.all();
    let found = all.iter().find(|tool| tool.spec().name == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {:?}", names(toolbox)))
        .clone()
}

async fn call(toolbox: &Toolbox, name: &str, arguments: Value) -> Result<Outcome, ToolError> {
    let arguments = arguments.as_object().unwrap().clone();
    within(tool(toolbox, name).call(arguments, &Caller::default())).await
}

/// Waits until the tools are `wanted`.
pub(crate) async fn until(toolbox: &Toolbox, wanted: &[&str]) {
    within(async {
        loop {
            let changed = toolbox.changed();
            if names(toolbox) == wanted {
                return;
            }
            // What changed between the two lines is seen a moment later.
            let _ = timeout(Duration::from_millis(50), changed).await;
        }
    })
    .await;
}

/// Waits until the server `name` is `state`; its detail.
pub(crate) async fn state(connections: &Connections, name: &str, state: ServerState) -> String {
    let mut status = connections.status();
    let is = |all: &Vec<caal::tools::mcp::ServerStatus>| {
        all.iter().any(|s| s.name == name && s.state == state)
    };
    let all = within(status.wait_for(is)).await.unwrap();
    all.iter().find(|s| s.name == name).unwrap().detail.clone()
}
