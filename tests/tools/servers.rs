//! Real servers: `rmcp`'s over HTTP in this process, the Python SDK's (scripts/real-parts/mcp-python.sh)
//! over each transport. Where there is no Python SDK, its tests say so and pass.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use caal::tools::{Connections, ToolError, Toolbox, mcp::ServerState};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::json;
use tokio::process::{Child, Command};

use super::{call, config, names, one, serve, state, tool, until, within};

/// A server whose list of tools has two pages and grows by `more` once `grow` was called.
#[derive(Clone, Default)]
struct Growing(Arc<AtomicBool>);

fn listed(name: &'static str) -> Tool {
    let schema = json!({"type": "object", "properties": {}})
        .as_object()
        .unwrap()
        .clone();
    Tool::new(name, "A tool.", schema)
}

impl ServerHandler for Growing {
    fn get_info(&self) -> ServerConfig {
        let tools = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed();
        ServerConfig::new(tools.build())
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if request.and_then(|r| r.cursor).is_none() {
            let mut page = ListToolsResult::with_all_items(vec![listed("grow")]);
            page.next_cursor = Some("2".to_owned());
            return Ok(page);
        }
        let read_only = ToolAnnotations::new().read_only(true);
        let mut tools = vec![listed("look up").with_annotations(read_only)];
        if self.0.load(Ordering::SeqCst) {
            tools.push(listed("more"));
        }
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if request.name == "grow" {
            self.0.store(true, Ordering::SeqCst);
            // A server without sessions has nobody to tell.
            let _ = context.peer.notify_tool_list_changed().await;
        }
        let text = format!("{} was called", request.name);
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}

fn router(sessions: bool, server: Growing) -> axum::Router {
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(sessions);
    let manager = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(server.clone()), manager, config);
    axum::Router::new().route_service("/mcp", service)
}

#[tokio::test]
async fn a_server_with_sessions_is_listed_called_and_tells_of_new_tools() {
    let (port, _server) = serve(router(true, Growing::default()), 0).await;
    let toolbox = Toolbox::default();
    let _connections = Connections::start(
        one("my server", &format!("http://127.0.0.1:{port}/mcp")),
        toolbox.clone(),
    );
    until(&toolbox, &["my_server__grow", "my_server__look_up"]).await;
    assert!(tool(&toolbox, "my_server__grow").changes());
    assert!(!tool(&toolbox, "my_server__look_up").changes());
    let answer = call(&toolbox, "my_server__look_up", json!({}))
        .await
        .unwrap();
    assert_eq!(
        (answer.content.as_str(), answer.say),
        ("look up was called", None)
    );
    call(&toolbox, "my_server__grow", json!({})).await.unwrap();
    until(
        &toolbox,
        &["my_server__grow", "my_server__look_up", "my_server__more"],
    )
    .await;
}

#[tokio::test]
async fn a_server_without_sessions_is_listed_anew_when_that_is_asked_for() {
    let server = Growing::default();
    let (port, _server) = serve(router(false, server.clone()), 0).await;
    let toolbox = Toolbox::default();
    let connections = Connections::start(
        one("s", &format!("http://127.0.0.1:{port}/mcp")),
        toolbox.clone(),
    );
    until(&toolbox, &["s__grow", "s__look_up"]).await;
    server.0.store(true, Ordering::SeqCst);
    within(connections.refresh()).await;
    assert_eq!(names(&toolbox), ["s__grow", "s__look_up", "s__more"]);
    within(connections.close()).await;
    assert!(names(&toolbox).is_empty() && connections.status().borrow().is_empty());
}

#[tokio::test]
async fn a_server_that_ends_and_comes_back_is_connected_again() {
    let (port, server) = serve(router(false, Growing::default()), 0).await;
    let toolbox = Toolbox::default();
    let url = format!("http://127.0.0.1:{port}/mcp");
    let connections = Connections::start(one("s", &url), toolbox.clone());
    let mut rounds = connections.rounds("s");
    let remote = connections.remote("s");
    until(&toolbox, &["s__grow", "s__look_up"]).await;
    drop(server);
    // The first call may find the connection dead, the next ones that there is none.
    let lost = |answer| matches!(answer, Err(ToolError::Unreachable(_)));
    within(async { while !lost(call(&toolbox, "s__grow", json!({})).await) {} }).await;
    state(&connections, "s", ServerState::Failed).await;
    let before = *rounds.borrow_and_update();
    let (_, _server) = serve(router(false, Growing::default()), port).await;
    within(rounds.wait_for(|n| *n > before)).await.unwrap();
    let answer = remote
        .call(
            "grow",
            serde_json::Map::new(),
            std::time::Duration::from_secs(5),
        )
        .await;
    assert_eq!(answer.unwrap().text, "grow was called");
}

#[allow(
    clippy::disallowed_methods,
    reason = "tests are told where real parts are"
)]
fn python() -> Option<PathBuf> {
    let home = || std::env::var("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|_| home()).ok()?;
    let python = cache.join("caal/mcp-python/bin/python");
    if !python.exists() {
        eprintln!("skipped: run scripts/real-parts/mcp-python.sh first");
    }
    python.exists().then_some(python)
}

fn script() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/server.py").to_owned()
}

fn start(python: &PathBuf, way: &str) -> (u16, Child) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut command = Command::new(python);
    command.args([&script(), way, &port.to_string()]);
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    (port, child.unwrap())
}

const PYTHONS: [&str; 3] = ["py__add", "py__fail", "py__secret"];

async fn python_works(toolbox: &Toolbox) {
    until(toolbox, &PYTHONS).await;
    let sum = call(toolbox, "py__add", json!({"a": 2, "b": 3}))
        .await
        .unwrap();
    assert_eq!(sum.content, "5");
    let failed = call(toolbox, "py__fail", json!({})).await.unwrap_err();
    assert!(
        matches!(&failed, ToolError::Failed(why) if why == "Error executing tool fail"),
        "{failed:?}"
    );
}

#[tokio::test]
async fn the_python_sdk_over_streamable_http_starts_late_and_is_found() {
    let Some(python) = python() else { return };
    let (port, _child) = start(&python, "http");
    let toolbox = Toolbox::default();
    let _connections = Connections::start(
        one("py", &format!("http://127.0.0.1:{port}/mcp")),
        toolbox.clone(),
    );
    python_works(&toolbox).await;
}

#[tokio::test]
async fn the_python_sdk_over_the_older_event_stream() {
    let Some(python) = python() else { return };
    let (port, mut child) = start(&python, "sse");
    let toolbox = Toolbox::default();
    // Without a transport: the newer way is tried first.
    let list = json!([{"name": "py", "url": format!("http://127.0.0.1:{port}/sse")}]);
    let connections = Connections::start(config(list), toolbox.clone());
    python_works(&toolbox).await;
    child.kill().await.unwrap();
    state(&connections, "py", ServerState::Failed).await;
}

#[tokio::test]
async fn the_python_sdk_as_a_program_that_ends_with_its_connection() {
    let Some(python) = python() else { return };
    let toolbox = Toolbox::default();
    let list = json!([{"name": "py", "command": python, "args": [script(), "stdio"],
        "env": {"SECRET": "s3cret-of-the-program"}, "timeout": 30}]);
    let config = config(list);
    assert!(!format!("{config:?}").contains("s3cret"));
    let connections = Connections::start(config, toolbox.clone());
    python_works(&toolbox).await;
    let has = call(&toolbox, "py__secret", json!({})).await.unwrap();
    assert_eq!(has.content, "True");
    within(connections.close()).await;
    assert!(names(&toolbox).is_empty());
    let mine = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", std::process::id()));
    for child in mine.unwrap_or_default().split_whitespace() {
        let line = std::fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
        assert!(!line.contains("server.py\0stdio"), "{line}");
    }
}

#[tokio::test]
async fn what_a_program_has_started_itself_ends_with_its_connection() {
    let Some(python) = python() else { return };
    let toolbox = Toolbox::default();
    let line = "sleep 61377 & exec \"$0\" \"$1\" stdio";
    let list = json!([{"name": "py", "command": "sh", "args": ["-c", line, python, script()],
        "env": {"SECRET": "s3cret-of-the-program"}, "timeout": 30}]);
    let connections = Connections::start(config(list), toolbox.clone());
    python_works(&toolbox).await;
    let sleeps = || {
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = all.filter_map(|one| std::fs::read_to_string(one.path().join("cmdline")).ok());
        lines.filter(|line| line == "sleep\u{0}61377\u{0}").count()
    };
    assert_eq!(sleeps(), 1);
    within(connections.close()).await;
    within(async {
        while sleeps() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}
