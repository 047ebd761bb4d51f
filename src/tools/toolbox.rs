//! The tools that are there at the moment, by shelf: each source of tools has one, which it fills and
//! empties as its server comes and goes. Conversations look at every question.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::{Caller, Outcome, Tool, ToolError};
use crate::llm::ToolSpec;

/// The tools of one source.
#[derive(Clone)]
pub struct Shelf {
    /// Stands before names that are taken: `n8n`.
    pub name: String,
    /// In the order in which the language model is told of them.
    pub tools: Vec<Arc<dyn Tool>>,
}

/// See the module's text. Clones are the same.
#[derive(Clone)]
pub struct Toolbox {
    held: Arc<watch::Sender<Held>>,
    /// Calls that are brought to their end.
    under_way: TaskTracker,
}

#[derive(Clone, Default)]
struct Held {
    /// In the order of their first filling.
    shelves: Vec<Shelf>,
    /// All of them; no name stands twice.
    all: Arc<[Arc<dyn Tool>]>,
}

impl Default for Toolbox {
    fn default() -> Self {
        Self {
            held: Arc::new(watch::Sender::new(Held::default())),
            under_way: TaskTracker::new(),
        }
    }
}

impl Toolbox {
    /// What is on the shelf `name` from now on; nothing, where `tools` is empty. A shelf keeps its place, so
    /// that what the language model has read of those before it stays the same.
    pub fn put(&self, name: &str, tools: Vec<Arc<dyn Tool>>) {
        self.held.send_if_modified(|held| {
            match held.shelves.iter_mut().find(|shelf| shelf.name == name) {
                Some(shelf) if same(&shelf.tools, &tools) => {
                    shelf.tools = tools; // the same for a model; they may have another connection
                    held.all = all(&held.shelves);
                    return false;
                }
                Some(shelf) => shelf.tools = tools,
                None => held.shelves.push(Shelf {
                    name: name.to_owned(),
                    tools,
                }),
            }
            held.all = all(&held.shelves);
            true
        });
    }

    /// Has `call` brought to its end, whoever drops what waits for it. It has a deadline of its own.
    pub fn see_through(&self, call: impl Future<Output = ()> + Send + 'static) {
        self.under_way.spawn(call);
    }

    /// Waits for what is being brought to its end; nothing may be begun afterwards.
    pub async fn end(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    /// All tools, each name once.
    pub fn all(&self) -> Arc<[Arc<dyn Tool>]> {
        self.held.borrow().all.clone()
    }

    /// The tools by shelf, by their own names.
    pub fn shelves(&self) -> Vec<Shelf> {
        self.held.borrow().shelves.clone()
    }

    /// Resolves once the tools are others than now.
    pub async fn changed(&self) {
        let mut watching = self.held.subscribe();
        // Our own sender lives as long as `self`.
        let _ = watching.changed().await;
    }
}

fn same(one: &[Arc<dyn Tool>], other: &[Arc<dyn Tool>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.spec() == b.spec())
}

/// All tools of `shelves`; a name that is taken gets its shelf's before it.
fn all(shelves: &[Shelf]) -> Arc<[Arc<dyn Tool>]> {
    let mut all: Vec<Arc<dyn Tool>> = Vec::new();
    for shelf in shelves {
        for tool in &shelf.tools {
            let taken = |name: &str| all.iter().any(|known| known.spec().name == name);
            let name = &tool.spec().name;
            if !taken(name) {
                all.push(tool.clone());
                continue;
            }
            let longer = format!("{}__{name}", shelf.name);
            // A source that names two tools alike: the first counts.
            if !taken(&longer) {
                all.push(Arc::new(Renamed::new(longer, tool.clone())));
            }
        }
    }
    all.into()
}

/// A tool by another name.
struct Renamed {
    spec: Arc<ToolSpec>,
    tool: Arc<dyn Tool>,
}

impl Renamed {
    fn new(name: String, tool: Arc<dyn Tool>) -> Self {
        let spec = ToolSpec {
            name,
            ..ToolSpec::clone(tool.spec())
        };
        Self {
            spec: Arc::new(spec),
            tool,
        }
    }
}

impl Tool for Renamed {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    fn changes(&self) -> bool {
        self.tool.changes()
    }

    fn deadline(&self) -> std::time::Duration {
        self.tool.deadline()
    }

    fn call(
        &self,
        arguments: serde_json::Map<String, serde_json::Value>,
        caller: &Caller,
    ) -> futures_util::future::BoxFuture<'static, Result<Outcome, ToolError>> {
        self.tool.call(arguments, caller)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use serde_json::json;

    use super::*;

    struct Named(Arc<ToolSpec>);

    impl Tool for Named {
        fn spec(&self) -> &Arc<ToolSpec> {
            &self.0
        }

        fn call(
            &self,
            _: serde_json::Map<String, serde_json::Value>,
            _: &Caller,
        ) -> futures_util::future::BoxFuture<'static, Result<Outcome, ToolError>> {
            async { Ok(Outcome::default()) }.boxed()
        }
    }

    fn tool(name: &str) -> Arc<dyn Tool> {
        Arc::new(Named(Arc::new(ToolSpec {
            name: name.to_owned(),
            description: String::new(),
            parameters: json!({"type": "object"}),
        })))
    }

    fn names(toolbox: &Toolbox) -> Vec<String> {
        let all = toolbox.all();
        all.iter().map(|tool| tool.spec().name.clone()).collect()
    }

    #[test]
    fn shelves_keep_their_place_and_names_that_are_taken_get_the_shelfs() {
        let toolbox = Toolbox::default();
        toolbox.put("own", vec![tool("timer"), tool("lamp")]);
        toolbox.put("n8n", vec![tool("lamp"), tool("mail"), tool("lamp")]);
        assert_eq!(names(&toolbox), ["timer", "lamp", "n8n__lamp", "mail"]);
        toolbox.put("own", vec![tool("timer")]);
        assert_eq!(names(&toolbox), ["timer", "lamp", "mail", "n8n__lamp"]);
        toolbox.put("n8n", Vec::new());
        assert_eq!(names(&toolbox), ["timer"]);
    }

    #[tokio::test]
    async fn a_change_is_told_and_the_same_again_is_none() {
        let toolbox = Toolbox::default();
        toolbox.put("own", vec![tool("timer")]);
        let mut changed = Box::pin(toolbox.changed());
        assert!((&mut changed).now_or_never().is_none());
        toolbox.put("own", vec![tool("timer")]);
        assert!((&mut changed).now_or_never().is_none());
        toolbox.put("own", vec![tool("alarm")]);
        changed.await;
    }
}
