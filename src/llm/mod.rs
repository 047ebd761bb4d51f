//! Words to words: the [`Llm`] port, its types and its error; history and prompt (pure). One file
//! or folder per engine.

pub mod acts;
pub mod calls;
pub mod choice;
#[cfg(feature = "embedded-llm")]
pub mod embedded;
pub mod exchange;
pub mod fallback;
pub mod history;
pub mod lazy;
pub mod ollama;
pub mod openai;
pub mod pictures;
pub mod prompt;
pub mod stream;
pub mod thoughts;

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture, stream::BoxStream};
use serde_json::Value;

use self::pictures::Picture;
use crate::{engine::EngineError, fault::Fault};

/// Answers a conversation, piece by piece. Dropping the stream cancels: the request to a server is
/// cut, a local model stops at its next token.
pub trait Llm: Send + Sync {
    /// The answer to `request` as it is written.
    fn chat(&self, request: ChatRequest) -> BoxStream<'static, Result<Delta, LlmError>>;

    /// Reads what the next question will begin with, so that its answer comes sooner; says nothing. Dropping
    /// the future stops it.
    fn warm(&self, _request: ChatRequest) -> BoxFuture<'static, Result<(), LlmError>> {
        async { Ok(()) }.boxed()
    }

    /// Whether it can call tools. One that cannot is not told of any.
    fn takes_tools(&self) -> bool {
        true
    }

    /// Whether it sees pictures that come with a question. One that does not says so when it is asked.
    fn sees(&self) -> BoxFuture<'static, bool> {
        std::future::ready(false).boxed()
    }

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
    /// What may be called, in this order; with the same, engines keep what they have read of them.
    pub tools: Vec<Arc<ToolSpec>>,
    /// What comes with the newest question.
    pub pictures: Vec<Picture>,
}

impl From<Vec<Message>> for ChatRequest {
    /// Without tools and pictures.
    fn from(messages: Vec<Message>) -> Self {
        Self {
            messages,
            ..Self::default()
        }
    }
}

/// A tool as a language model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// Letters, digits, `_` and `-`; at most 64.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// JSON schema of its arguments, `"type": "object"`.
    pub parameters: Value,
}

/// What a language model wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The model's own, or made up where it gives none; ties the result to the call.
    pub id: String,
    /// Of the tool, as the model wrote it.
    pub name: String,
    /// As the model wrote them: an object, if all is well.
    pub arguments: Value,
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
    /// What the assistant called, and what it wrote before.
    Calls {
        /// Often empty.
        text: String,
        /// In order; each has a [`Message::Result`] behind.
        calls: Vec<ToolCall>,
    },
    /// What a call brought.
    Result {
        /// The call's.
        id: String,
        /// The tool's.
        name: String,
        /// For the model.
        content: String,
    },
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// The next characters, never thinking text, never a call written as text.
    Text(String),
    /// A tool is to be called, when the answer is over.
    Call(ToolCall),
    /// A call written as text that cannot be read: what is wrong with it, for the model; never the text.
    BadCall(String),
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
