//! How the servers fare, for health checks and for people.

use std::sync::Arc;

use tokio::sync::watch;

/// How one server fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// Its name.
    pub name: String,
    /// Whether it can be called.
    pub state: ServerState,
    /// How many tools it offers the language model.
    pub tools: usize,
    /// Where it failed: why, reading on from its name. Without secrets.
    pub detail: String,
}

/// Whether a server can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// Not known yet.
    Connecting,
    /// Yes.
    Ready,
    /// No; it is tried again.
    Failed,
}

impl ServerState {
    /// For health checks.
    pub const fn name(self) -> &'static str {
        match self {
            ServerState::Connecting => "connecting",
            ServerState::Ready => "ready",
            ServerState::Failed => "failed",
        }
    }
}

impl ServerStatus {
    /// What clients are told in an `mcp_error` packet, in CAAL's words; `None` unless it failed.
    pub fn error(&self) -> Option<String> {
        if self.state != ServerState::Failed {
            return None;
        }
        let known = |what| {
            format!("{what} enabled but could not connect - check URL and token in Settings")
        };
        Some(match self.name.as_str() {
            "n8n" => known("n8n"),
            "home_assistant" => known("Home Assistant"),
            name => format!("MCP server '{name}' failed to connect: {}", self.detail),
        })
    }
}

/// All of them, by name. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Board(Arc<watch::Sender<Vec<ServerStatus>>>);

impl Board {
    pub(super) fn watch(&self) -> watch::Receiver<Vec<ServerStatus>> {
        self.0.subscribe()
    }

    pub(super) fn set(&self, name: &str, state: ServerState, tools: usize, detail: &str) {
        let status = ServerStatus {
            name: name.to_owned(),
            state,
            tools,
            detail: detail.to_owned(),
        };
        self.0
            .send_if_modified(|all| match all.iter_mut().find(|s| s.name == name) {
                // While a lost server is tried again, it stays failed: nobody wants to hear of every try.
                Some(old)
                    if old.state == ServerState::Failed && state == ServerState::Connecting =>
                {
                    false
                }
                Some(old) if *old == status => false,
                Some(old) => {
                    *old = status;
                    true
                }
                None => {
                    all.push(status);
                    true
                }
            });
    }

    pub(super) fn remove(&self, name: &str) {
        self.0.send_if_modified(|all| {
            let before = all.len();
            all.retain(|status| status.name != name);
            all.len() != before
        });
    }
}
