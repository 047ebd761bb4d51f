//! What the assistant can do beside talking: the [`Tool`] port, and the [`Toolbox`] that holds what is
//! there at the moment. One file or folder per source of tools.

pub mod choice;
mod connections;
pub mod date_time;
pub mod fast;
pub mod hass;
pub mod mcp;
pub mod memory;
mod n8n;
mod spoken;
pub mod timers;
mod toolbox;
pub mod web_search;

pub use connections::{Connections, ConnectionsConfig};
pub use toolbox::{Shelf, Toolbox};

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::{fault::Fault, llm::ToolSpec};

/// How long a call may take where the tool says nothing else.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Something the assistant can do. Dropping the future of a call cancels it, as far as that can be done:
/// who calls does not drop one that [changes](Self::changes) something and was begun.
pub trait Tool: Send + Sync {
    /// What the language model is told of it. The same as long as the tool is in a [`Toolbox`].
    fn spec(&self) -> &Arc<ToolSpec>;

    /// Whether a call changes something in the world: then it is made once, only when it is certain that
    /// the user wants it, and not taken back when the user speaks over it.
    fn changes(&self) -> bool {
        true
    }

    /// How long a call may take.
    fn deadline(&self) -> Duration {
        DEADLINE
    }

    /// Does it. `arguments` have been checked against [`ToolSpec::parameters`].
    fn call(
        &self,
        arguments: Map<String, Value>,
        caller: &Caller,
    ) -> BoxFuture<'static, Result<Outcome, ToolError>>;
}

/// Who wants it done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The room or chat that the question was asked in: what speaks up later does so there.
    pub place: String,
}

/// What a call brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// For the language model: text or JSON.
    pub content: String,
    /// To be spoken as it is, without asking the language model again.
    pub say: Option<String>,
}

impl Outcome {
    /// For the language model, which says it in its words.
    pub fn of(content: impl Into<String>) -> Self {
        Self {
            content: content.into(),
            say: None,
        }
    }

    /// To be spoken as it is.
    pub fn said(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            content: text.clone(),
            say: Some(text),
        }
    }
}

/// A server that has tools, however it is reached. What becomes of them (as they are, or woven into others)
/// is their source's.
pub trait Remote: Send + Sync {
    /// Calls `tool` there. Dropping the future gives up waiting.
    fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Reply, ToolError>>;
}

/// What a [`Remote`] answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// Its parts of text, with line ends between.
    pub text: String,
    /// The same as JSON, where it gives that.
    pub structured: Option<Value>,
    /// It says that it failed; the text says why.
    pub failed: bool,
}

/// Why a call brought nothing. The texts are whole sentences, for the language model as for people, without
/// secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToolError {
    /// The call cannot be carried out as it is: a device that is not there, a time that has passed.
    #[error("{0}")]
    Refused(String),
    /// The service does not answer, or broke off.
    #[error("{0}")]
    Unreachable(String),
    /// The service says that it failed, or its answer makes no sense.
    #[error("{0}")]
    Failed(String),
}

impl ToolError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            ToolError::Refused(_) => Fault::Request,
            ToolError::Unreachable(_) => Fault::Remote,
            ToolError::Failed(_) => Fault::Internal,
        }
    }
}
