//! Words to words: the [`Llm`] port, its types and its error; history and prompt (pure). One file
//! or folder per engine.

pub mod choice;
#[cfg(feature = "embedded-llm")]
pub mod embedded;
pub mod exchange;
pub mod fallback;
pub mod history;
pub mod lazy;
pub mod ollama;
pub mod prompt;
pub mod stream;

use futures_util::stream::BoxStream;

use crate::{engine::EngineError, fault::Fault};

/// Answers a conversation, piece by piece. Dropping the stream cancels: the request to a server is
/// cut, a local model stops at its next token.
pub trait Llm: Send + Sync {
    /// The answer to `request` as it is written.
    fn chat(&self, request: ChatRequest) -> BoxStream<'static, Result<Delta, LlmError>>;

    /// Which engine and model this is, for people: `Ollama qwen3:8b at http://localhost:11434`.
    fn name(&self) -> String;

    /// The same for programs, as OpenTelemetry's conventions for generative AI tell it: who runs the
    /// model, and which one.
    fn model(&self) -> (&'static str, String) {
        ("caal", self.name())
    }
}

/// A conversation to answer.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ChatRequest {
    /// Oldest first; the last is the one to answer.
    pub messages: Vec<Message>,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// What the assistant is told about itself.
    System(String),
    /// What the user said.
    User(String),
    /// What the user heard of the assistant's answer.
    Assistant(String),
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// The next characters, never thinking text.
    Text(String),
    /// What the answer cost, after its last characters; not every engine knows.
    Usage(Usage),
}

/// Tokens of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the question and what came before.
    pub input: u32,
    /// Of the answer.
    pub output: u32,
}

/// Why there is no answer, or no more of it.
#[derive(Debug, thiserror::Error)]
pub enum LlmError {
    /// The server does not answer, hangs, or broke off.
    #[error("the language model server at {host} {what}; {hint}")]
    Remote {
        /// Without credentials.
        host: String,
        /// As a predicate: `does not answer`.
        what: String,
        /// The next step.
        hint: String,
    },
    /// A setting that cannot be used as it is.
    #[error("the setting {key} is wrong: {reason}")]
    Setting {
        /// As in the settings.
        key: &'static str,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The server does not have the model.
    #[error(
        "the language model server at {host} does not have the model {model:?}; fetch it with: {hint}"
    )]
    NoModel {
        /// Without credentials.
        host: String,
        /// As set.
        model: String,
        /// A command.
        hint: String,
    },
    /// The engine's queue is full, or its thread has ended.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model's file is missing, damaged or of another kind.
    #[error(
        "the language model in {path} cannot be used: {reason}; check it with: caal models verify"
    )]
    BadModel {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The conversation does not fit the model.
    #[error("the conversation is longer than the {max} tokens the language model takes")]
    TooLong {
        /// Tokens.
        max: usize,
    },
    /// The model failed while it ran.
    #[error("the language model failed ({0}); try again, and report it if it stays")]
    Model(String),
}

impl LlmError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            LlmError::Remote { .. } => Fault::Remote,
            LlmError::Setting { .. }
            | LlmError::NoModel { .. }
            | LlmError::BadModel { .. }
            | LlmError::TooLong { .. } => Fault::Request,
            LlmError::Engine(e) => e.fault(),
            LlmError::Model(_) => Fault::Internal,
        }
    }
}
