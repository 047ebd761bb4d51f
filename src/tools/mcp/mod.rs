//! Servers that speak the Model Context Protocol: connected, followed and called. A server's tools stand
//! on the shelf of its name, as `<server>__<tool>`; those of the servers `n8n` and `home_assistant` do not:
//! others make better ones of them, over [`Servers::remote`].

mod answer;
mod backoff;
mod config;
mod http;
mod legacy;
mod link;
mod name;
mod program;
mod status;

pub use answer::{message, outcome};
pub use config::{Reach, ServerConfig, Way, parse};
pub use status::{ServerState, ServerStatus};

pub(super) use answer::{bounded, shorten};
pub(super) use http::{bounded_body, client};
pub(super) use link::Link;
pub(super) use name::legal;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};
use rmcp::model::Tool as Listed;
use serde_json::{Map, Value};
use tokio::{sync::watch, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use self::{link::Handle, status::Board};
use super::{Caller, Outcome, Remote, Tool, ToolError, Toolbox};
use crate::llm::ToolSpec;

/// Servers whose tools are not offered as they are.
const WOVEN: [&str; 2] = ["n8n", "home_assistant"];
/// How long a refresh of all servers may take.
const REFRESH: Duration = Duration::from_secs(20);
/// Longest description of a tool that a language model is told, in bytes.
const LONGEST_DESCRIPTION: usize = 1024;

/// All servers, each with a task that keeps its connection. Dropping it ends them.
pub struct Servers {
    toolbox: Toolbox,
    board: Board,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// By name; also of servers that are not there, for who holds a handle.
    links: BTreeMap<String, Arc<Link>>,
    running: BTreeMap<String, (ServerConfig, CancellationToken)>,
    tasks: JoinSet<()>,
}

impl Servers {
    /// None yet.
    pub fn new(toolbox: Toolbox) -> Self {
        Self {
            toolbox,
            board: Board::default(),
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These servers from now on: others are ended, with their tools; those that stay as they were keep
    /// their connection. To be called in a runtime.
    pub fn set(&self, servers: Vec<ServerConfig>) {
        let mut held = self.held();
        while held.tasks.try_join_next().is_some() {}
        held.running.retain(|_, (config, stop)| {
            let stays = servers.contains(config);
            if !stays {
                stop.cancel(); // the task takes its tools away
            }
            stays
        });
        for config in servers {
            if held.running.contains_key(&config.name) {
                continue;
            }
            let stop = CancellationToken::new();
            let link = self.link_in(&mut held, &config.name);
            let listed = {
                let (toolbox, link, name) =
                    (self.toolbox.clone(), link.clone(), config.name.clone());
                let deadline = config.deadline;
                move |tools: &[Listed]| {
                    if WOVEN.contains(&name.as_str()) {
                        return 0; // who weaves them says how many
                    }
                    let all = tools.len();
                    let tools = tools
                        .iter()
                        .map(|tool| offered(&name, tool, &link, deadline));
                    toolbox.put(&name, tools.collect());
                    all
                }
            };
            let (name, task) = (config.name.clone(), config.clone());
            held.tasks.spawn(link.run(task, stop.clone(), listed));
            held.running.insert(name, (config, stop));
        }
    }

    fn link_in(&self, held: &mut Held, name: &str) -> Arc<Link> {
        let links = &mut held.links;
        links
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Link::new(name, self.board.clone())))
            .clone()
    }

    pub(super) fn link(&self, name: &str) -> Arc<Link> {
        self.link_in(&mut self.held(), name)
    }

    /// The server of this name, whether there is one now or not: the handle stays good.
    pub fn remote(&self, name: &str) -> Arc<dyn Remote> {
        Arc::new(Handle(self.link(name)))
    }

    /// Changes whenever the server of this name was (re)connected, lists other tools, or is gone.
    pub fn rounds(&self, name: &str) -> watch::Receiver<u64> {
        self.link(name).rounds()
    }

    /// How they fare.
    pub fn status(&self) -> watch::Receiver<Vec<ServerStatus>> {
        self.board.watch()
    }

    /// Lists the tools of all servers anew, and tries those that are not connected; waits for that, at most
    /// 20 s.
    pub async fn refresh(&self) {
        let links: Vec<_> = {
            let held = self.held();
            let running = held.running.keys().filter_map(|name| held.links.get(name));
            running.cloned().collect()
        };
        let all = join_all(links.iter().map(|link| link.refresh()));
        // Who is slower goes on without being waited for.
        let _ = timeout(REFRESH, all).await;
    }

    /// Ends all connections, and waits until programs have ended.
    pub async fn close(&self) {
        self.set(Vec::new());
        let mut tasks = std::mem::take(&mut self.held().tasks);
        while tasks.join_next().await.is_some() {}
    }
}

/// `tool` of the server `server`, as the language model is offered it.
fn offered(server: &str, tool: &Listed, link: &Arc<Link>, deadline: Duration) -> Arc<dyn Tool> {
    let description = tool.description.as_deref().or(tool.title.as_deref());
    let mut parameters = Map::clone(&tool.input_schema);
    parameters.remove("$schema");
    parameters.entry("type").or_insert_with(|| "object".into());
    Arc::new(Offered {
        spec: Arc::new(ToolSpec {
            name: name::of(server, &tool.name),
            description: shorten(description.unwrap_or_default().trim(), LONGEST_DESCRIPTION),
            parameters: Value::Object(parameters),
        }),
        tool: tool.name.to_string(),
        changes: tool.annotations.as_ref().and_then(|a| a.read_only_hint) != Some(true),
        deadline,
        remote: Handle(link.clone()),
    })
}

/// A server's tool as it is.
struct Offered {
    spec: Arc<ToolSpec>,
    tool: String,
    changes: bool,
    deadline: Duration,
    remote: Handle,
}

impl Tool for Offered {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    fn changes(&self) -> bool {
        self.changes
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    fn call(
        &self,
        arguments: Map<String, Value>,
        _: &Caller,
    ) -> BoxFuture<'static, Result<Outcome, ToolError>> {
        let call = self.remote.call(&self.tool, arguments, self.deadline);
        async move { outcome(call.await?) }.boxed()
    }
}
