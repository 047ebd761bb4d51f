//! Does what the language model calls: finds the tool, puts the arguments right, keeps its deadline. What
//! changes something waits until the user has said all, and is then brought to its end whoever listens.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use serde_json::{Map, Value};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};
use tracing::{debug, info};

use super::arguments;
use crate::{
    llm::{ToolCall, acts::Acts},
    telemetry::{Span, metrics},
    tools::{Caller, Outcome, Tool, ToolError, Toolbox},
};

/// The longest result that the language model is given, bytes.
const RESULT: usize = 8 * 1024;

/// See the module's text.
pub(super) struct Hands<'a> {
    /// Those that were offered.
    pub(super) tools: &'a [Arc<dyn Tool>],
    /// Has what must be brought to its end.
    pub(super) toolbox: &'a Toolbox,
    pub(super) caller: &'a Caller,
    pub(super) sure: &'a watch::Receiver<bool>,
    pub(super) acts: &'a Acts,
    pub(super) round: usize,
}

/// A call's end.
#[derive(Debug)]
pub(super) struct Done {
    /// To be spoken as it is.
    pub(super) say: Option<String>,
    /// What went wrong, as a sentence for people.
    pub(super) problem: Option<String>,
    /// The call itself was wrong.
    pub(super) wrong: bool,
    /// The tool would not have it so.
    pub(super) refused: bool,
    /// For traces.
    pub(super) step: Span,
}

impl Hands<'_> {
    /// `call`, the number `i` of its round, carried out and written down.
    pub(super) fn begin(&self, i: usize, call: &ToolCall) -> BoxFuture<'static, Done> {
        let note = Note {
            acts: self.acts.clone(),
            round: self.round,
            call: i,
            name: call.name.clone(),
            began: SystemTime::now(),
            started: Instant::now(),
            ended: false,
        };
        let Some(tool) = named(self.tools, &call.name) else {
            let names: Vec<&str> = self
                .tools
                .iter()
                .map(|t| &*t.spec().name)
                .take(20)
                .collect();
            let why = format!(
                "there is no tool {:?}; there are: {}",
                call.name,
                names.join(", ")
            );
            return std::future::ready(note.wrong(&why)).boxed();
        };
        let arguments = match arguments::checked(&call.arguments, &tool.spec().parameters) {
            Ok(arguments) => arguments,
            Err(why) => {
                let why = format!("the arguments are wrong: {why}; call it again with right ones");
                return std::future::ready(note.wrong(&why)).boxed();
            }
        };
        let (caller, sure) = (self.caller.clone(), self.sure.clone());
        if !tool.changes() {
            return async move { note.over(within(tool, arguments, caller).await) }.boxed();
        }
        let toolbox = self.toolbox.clone();
        let mut sure = sure;
        async move {
            if sure.wait_for(|sure| *sure).await.is_err() {
                return std::future::pending().await; // the answer is not wanted, and about to be dropped
            }
            let (told, end) = oneshot::channel();
            let name = note.name.clone();
            toolbox.see_through(async move {
                let done = note.over(within(tool, arguments, caller).await);
                if told.send(done).is_err() {
                    info!(name, "a tool ended after its answer was cut off");
                }
            });
            match end.await {
                Ok(done) => done,
                Err(_) => std::future::pending().await, // the process ends
            }
        }
        .boxed()
    }
}

/// The call, with its deadline.
async fn within(
    tool: Arc<dyn Tool>,
    arguments: Map<String, Value>,
    caller: Caller,
) -> Result<Outcome, ToolError> {
    let deadline = tool.deadline();
    match timeout(deadline, tool.call(arguments, &caller)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ToolError::Unreachable(format!(
            "{} gave no answer in {} seconds.",
            tool.spec().name.replace("__", " ").replace('_', " "),
            deadline.as_secs()
        ))),
    }
}

/// The tool that is meant by `name`: models change case and signs, and put words before.
fn named(tools: &[Arc<dyn Tool>], name: &str) -> Option<Arc<dyn Tool>> {
    if let Some(tool) = tools.iter().find(|tool| tool.spec().name == name) {
        return Some(tool.clone());
    }
    let plain = |name: &str| name.trim().to_lowercase().replace(['-', ' ', '.'], "_");
    let wanted = plain(
        name.trim_start_matches("functions.")
            .trim_start_matches("tool."),
    );
    let mut like = tools.iter().filter(|tool| {
        let name = plain(&tool.spec().name);
        name == wanted || name.split_once("__").is_some_and(|(_, own)| own == wanted)
    });
    let tool = like.next()?;
    like.next().is_none().then(|| tool.clone())
}

/// What is written down of one call.
struct Note {
    acts: Acts,
    round: usize,
    call: usize,
    name: String,
    began: SystemTime,
    started: Instant,
    ended: bool,
}

/// What stands in the history for a call that nobody waited for: it is known not to have changed anything.
const CUT_OFF: &str =
    "(The user spoke before this was done; it was stopped and has changed nothing.)";

impl Drop for Note {
    /// What changes something is not dropped once it is begun.
    fn drop(&mut self) {
        if !self.ended {
            self.acts.came(self.round, self.call, CUT_OFF.to_owned());
        }
    }
}

impl Note {
    fn over(mut self, end: Result<Outcome, ToolError>) -> Done {
        let took = self.started.elapsed();
        self.ended = true;
        match end {
            Ok(Outcome { content, say }) => {
                metrics().tool_called("ok", took);
                self.acts.came(self.round, self.call, bounded(content));
                Done {
                    say,
                    problem: None,
                    wrong: false,
                    refused: false,
                    step: self.step(took),
                }
            }
            Err(error) => {
                let fault = error.fault().name();
                metrics().tool_called(fault, took);
                debug!(name = self.name, fault, "a tool failed");
                let why = error.to_string();
                self.acts
                    .came(self.round, self.call, bounded(format!("Error: {why}")));
                let mut step = self.step(took);
                step.failed = Some(fault);
                Done {
                    say: None,
                    problem: Some(why),
                    wrong: false,
                    refused: matches!(error, ToolError::Refused(_)),
                    step,
                }
            }
        }
    }

    /// The language model called wrongly.
    fn wrong(mut self, why: &str) -> Done {
        self.ended = true;
        let took = Duration::ZERO;
        metrics().tool_called("wrong", took);
        self.acts
            .came(self.round, self.call, bounded(format!("Error: {why}")));
        let mut step = self.step(took);
        step.failed = Some("wrong");
        Done {
            say: None,
            problem: Some("Sorry, I could not work out how to do that.".to_owned()),
            wrong: true,
            refused: false,
            step,
        }
    }

    fn step(&self, took: Duration) -> Span {
        Span::new(
            format!("execute_tool {}", self.name),
            self.began,
            self.began + took,
        )
        .named("gen_ai.operation.name", "execute_tool")
        .named("gen_ai.tool.name", self.name.clone())
    }
}

/// `text`, cut where it is too long for a language model, which is told so.
fn bounded(mut text: String) -> String {
    if text.len() <= RESULT {
        return text;
    }
    let all = text.len();
    text.truncate(text.floor_char_boundary(RESULT));
    let missing = all - text.len();
    text.push_str(&format!("\n[{missing} bytes more were left out]"));
    text
}
