//! Whoever an answer depends on dies, hangs, answers garbage or 10 MB in the middle of a turn: the user hears
//! one honest sentence, the session lives, and the next turn works. Ears, voice and, but for its own rows, the
//! language model are the fakes of these stories; what fails is behind the real clients, over sockets: a
//! scripted Ollama, a scripted MCP server, the stand-ins of n8n and Home Assistant, and a SearXNG.

use std::{io, sync::Arc};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use caal::{
    llm::{
        Delta, Llm, ToolCall,
        ollama::{Ollama, OllamaConfig},
    },
    tools::{
        Connections, ConnectionsConfig, Tool, Toolbox,
        hass::Hass,
        mcp::{ServerConfig, ServerState},
        web_search::{SearXng, WebSearch},
    },
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::support::{Story, Told, ms};
use crate::{
    llm::scripted::{Scripted, Step, answer, line, streamed},
    tools::{TOKEN, n8n, serve, state},
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bad {
    Dies,
    Hangs,
    Garbage,
    Huge,
}

const ALL: [Bad; 4] = [Bad::Dies, Bad::Hangs, Bad::Garbage, Bad::Huge];

/// In place of an answer.
async fn badly(bad: Bad) -> Response {
    let kind = [("content-type", "application/json")];
    match bad {
        Bad::Dies => {
            let broken = Err(io::Error::other("the cable is cut"));
            let pieces = [Ok(Bytes::from_static(b"{\"jsonrpc\":")), broken];
            (kind, Body::from_stream(stream::iter(pieces))).into_response()
        }
        Bad::Hangs => std::future::pending().await,
        Bad::Garbage => (kind, "{]\u{1}</html>").into_response(),
        Bad::Huge => (kind, format!("\"{}\"", "x".repeat(10_000_000))).into_response(),
    }
}

/// An MCP server whose `tools` (all but GetLiveContext) are called in vain.
fn mcp(tools: &'static [&'static str], bad: Bad) -> Router {
    let reply = move |Json(asked): Json<Value>| async move {
        let text = |text: String| json!({"content": [{"type": "text", "text": text}]});
        let result = match (
            asked["method"].as_str().unwrap(),
            asked["params"]["name"].as_str().unwrap_or_default(),
        ) {
            ("initialize", _) => {
                json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "scripted", "version": "1"}})
            }
            ("tools/list", _) => {
                let tool = |name| json!({"name": name, "inputSchema": {"type": "object"}});
                json!({"tools": tools.iter().map(tool).collect::<Vec<_>>()})
            }
            ("tools/call", "GetLiveContext") => {
                let office = "Live Context: An overview of the areas and the devices in this smart home:\n\
                    - names: Office Lamp\n  domain: light\n  state: 'off'\n  areas: Office\n";
                text(json!({"success": true, "result": office}).to_string())
            }
            ("tools/call", _) => return badly(bad).await,
            _ => return StatusCode::ACCEPTED.into_response(),
        };
        Json(json!({"jsonrpc": "2.0", "id": asked["id"], "result": result})).into_response()
    };
    Router::new().route("/mcp", post(reply))
}

/// What the story leans on, until it is over.
#[derive(Default)]
struct Neighbours {
    toolbox: Toolbox,
    connections: Option<Connections>,
    tasks: Vec<JoinSet<()>>,
}

impl Neighbours {
    async fn serve(&mut self, router: Router) -> u16 {
        let (port, tasks) = serve(router, 0).await;
        self.tasks.push(tasks);
        port
    }

    /// Connects to the MCP server `name` there; it has been listed.
    async fn connect(&mut self, name: &str, url: &str) -> Connections {
        let config = ConnectionsConfig {
            servers: vec![ServerConfig::streamable(name, url, TOKEN).unwrap()],
            ..ConnectionsConfig::default()
        };
        let connections = Connections::start(config, self.toolbox.clone());
        self.connections = Some(connections.clone());
        state(&connections, name, ServerState::Ready).await;
        connections
    }
}

/// Two questions; the second is asked when the first has long been answered, or given up.
fn story(first: &'static str) -> Story {
    Story::new()
        .says(0, 1_000, first)
        .says(90_000, 91_000, "why is the sky blue")
}

/// The language model calls `tool`, has nothing to say to what came of it, and then answers as ever.
async fn called(bad: Bad, neighbours: &Neighbours, tool: &str, arguments: Value) {
    let call = ToolCall {
        id: "id_1".to_owned(),
        name: tool.to_owned(),
        arguments,
    };
    let story = story("please do that").with(|story| {
        story.tools = neighbours.toolbox.clone();
        story.script = vec![vec![Delta::Call(call)], vec![]];
    });
    let told = story.play().await;
    // A webhook may answer with any words: these are the model's to tell.
    if (tool, bad) != ("office_lamp", Bad::Garbage) {
        told.has("tools: [Failed");
    }
    honest(&told, bad);
}

/// One sentence that is no program's own words, fillers aside, and an answer to what is asked next.
#[track_caller]
fn honest(told: &Told, bad: Bad) {
    let (first, next) = (told.at("user:"), told.at("user: why is the sky blue"));
    assert!(first < next);
    told.has("said: It is noon.");
    let said = told.log.iter().filter(|line| line.contains(" said: "));
    let said: Vec<&str> = said
        .map(|line| line.split(" said: ").nth(1).unwrap())
        .collect();
    assert_eq!(said.len(), 2, "{bad:?}:\n{}", told.text());
    assert_eq!(said[1], "It is noon.");
    let sentences = said[0].matches(['.', '!', '?']).count();
    assert!((1..=2).contains(&sentences), "{bad:?}: {}", said[0]);
    for odd in [
        "xxx",
        "{",
        "<",
        "json",
        "JSON",
        "error:",
        "127.0.0.1",
        "HTTP",
        TOKEN,
    ] {
        assert!(!said[0].contains(odd), "{bad:?}: {odd} in {}", said[0]);
    }
    eprintln!("{bad:?}: {}", said[0]);
}

#[tokio::test(start_paused = true)]
async fn a_server_of_tools() {
    for bad in ALL {
        let mut neighbours = Neighbours::default();
        let port = neighbours.serve(mcp(&["blender"], bad)).await;
        let url = format!("http://127.0.0.1:{port}/mcp");
        neighbours.connect("kitchen", &url).await;
        called(bad, &neighbours, "kitchen__blender", json!({})).await;
    }
}

#[tokio::test(start_paused = true)]
async fn home_assistant() {
    for bad in ALL {
        let mut neighbours = Neighbours::default();
        let port = neighbours
            .serve(mcp(&["GetLiveContext", "HassTurnOn"], bad))
            .await;
        let url = format!("http://127.0.0.1:{port}/mcp");
        let connections = neighbours.connect("home_assistant", &url).await;
        let hass = Hass::new(connections.remote("home_assistant"));
        neighbours.toolbox.put("home_assistant", hass.tools());
        // Said so plainly that no language model is asked.
        let told = story("turn on the office lamp")
            .with(|story| {
                story.tools = neighbours.toolbox.clone();
                story.mind.fast = true;
            })
            .play()
            .await;
        told.has("tools: [Failed");
        honest(&told, bad);
        let lamp = json!({"action": "turn_on", "target": "office lamp"});
        called(bad, &neighbours, "hass_control", lamp).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_workflow_of_n8n() {
    for bad in ALL {
        let mut neighbours = Neighbours::default();
        let hook = any(move || badly(bad));
        let port = neighbours.serve(n8n::stand_in_with_lamp(hook)).await;
        let url = format!("http://127.0.0.1:{port}/mcp-server/http");
        neighbours.connect("n8n", &url).await;
        called(bad, &neighbours, "office_lamp", json!({"action": "on"})).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_search_engine() {
    for bad in ALL {
        let mut neighbours = Neighbours::default();
        let router = Router::new().route("/search", get(move || badly(bad)));
        let port = neighbours.serve(router).await;
        let engine = SearXng::new(&format!("http://127.0.0.1:{port}")).unwrap();
        let search: Arc<dyn Tool> = Arc::new(WebSearch::new(Arc::new(engine)));
        neighbours.toolbox.put("web_search", vec![search]);
        let asked = json!({"query": "bread"});
        called(bad, &neighbours, "web_search", asked).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_language_model() {
    for bad in ALL {
        let server = Scripted::with(move |seen| {
            let first = seen.body["messages"].as_array().is_some_and(|messages| {
                let asks = |m: &Value| m["role"] == "user";
                messages.iter().filter(|m| asks(m)).count() == 1
            });
            if !seen.head.starts_with("POST /api/chat") || !first {
                return streamed(&[answer(&["It is ", "noon. "]).as_bytes()]);
            }
            // In the middle of an answer.
            let begun = line("Let me think about that for you. ");
            let mut steps = streamed(&[begun.as_bytes()]);
            steps.pop();
            steps.extend(match bad {
                Bad::Dies => vec![Step::Close],
                Bad::Hangs => vec![Step::Hang],
                Bad::Garbage => vec![Step::Send(b"5\r\n{]\x01<<\r\n0\r\n\r\n".to_vec())],
                Bad::Huge => {
                    let mut huge = format!("{:x}\r\n", 10_000_000).into_bytes();
                    huge.extend(vec![b'x'; 10_000_000]);
                    huge.extend_from_slice(b"\r\n0\r\n\r\n");
                    vec![Step::Send(huge)]
                }
            });
            steps
        })
        .await;
        let ollama = Ollama::new(OllamaConfig {
            url: server.url(),
            model: "m".to_owned(),
            ..OllamaConfig::default()
        });
        let model: Arc<dyn Llm> = Arc::new(ollama.unwrap());
        let told = story("what time is it")
            .with(|story| {
                story.model = Some(model);
                story.per_letter = ms(40);
            })
            .play()
            .await;
        let apologies = told.count("Sorry, ");
        assert_eq!(apologies, 1, "{bad:?}:\n{}", told.text());
        assert_eq!(told.count("trouble:"), 1, "{bad:?}:\n{}", told.text());
        told.has("said: It is noon.");
    }
}
