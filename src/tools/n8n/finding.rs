//! Finds the workflows of an n8n, and keeps the shelf `n8n` as they come, change and go.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value, json};
use tokio::{sync::watch, time::sleep};
use tracing::{debug, info, warn};

use super::{
    Callable, Site,
    running::structured,
    workflow::{self, Entry, Workflow},
};
use crate::{
    llm::ToolSpec,
    tools::{Remote, Tool, ToolError, Toolbox, mcp::Link},
};

/// How often n8n is asked for its workflows; it says nothing by itself when they change.
const LOOKS: Duration = Duration::from_secs(180);
/// How many are asked for at once.
const AT_ONCE: usize = 4;
const ONE: Duration = Duration::from_secs(10);
const SHELF: &str = "n8n";

/// Keeps the shelf.
pub(in crate::tools) struct Finder {
    pub(in crate::tools) remote: Arc<dyn Remote>,
    pub(in crate::tools) link: Arc<Link>,
    pub(in crate::tools) toolbox: Toolbox,
    /// Where n8n is; none: it is not used.
    pub(in crate::tools) site: watch::Receiver<Option<Site>>,
    /// Counts who wants a look at once.
    pub(in crate::tools) asked: watch::Receiver<u64>,
    /// The count at the beginning of the last look.
    pub(in crate::tools) answered: watch::Sender<u64>,
}

/// What is known, by a workflow's id; with the entry that it was read for.
type Known = BTreeMap<String, (Entry, Option<Arc<Workflow>>)>;

impl Finder {
    /// Runs until it is dropped.
    pub(in crate::tools) async fn run(mut self) {
        let mut rounds = self.link.rounds();
        let mut known = Known::new();
        loop {
            let asked = *self.asked.borrow_and_update();
            rounds.mark_unchanged();
            let site = self.site.borrow_and_update().clone();
            match site {
                None => {
                    known.clear();
                    self.toolbox.put(SHELF, Vec::new());
                }
                Some(site) if self.link.is_up() => match self.look(&mut known).await {
                    Ok(()) => self.fill(&known, &site),
                    // What was known stays: each call says for itself what is the matter.
                    Err(error) => warn!("the workflows of n8n cannot be listed: {error}"),
                },
                Some(_) => {}
            }
            self.answered.send_replace(asked);
            tokio::select! {
                changed = self.asked.changed() => if changed.is_err() { return },
                changed = self.site.changed() => if changed.is_err() { return },
                changed = rounds.changed() => if changed.is_err() { return },
                () = sleep(LOOKS) => {}
            }
        }
    }

    /// Brings `known` up to date.
    async fn look(&self, known: &mut Known) -> Result<(), ToolError> {
        // 200 is the most that n8n gives, and it has no pages; CAAL's own question is without it.
        let most = json!({"limit": 200});
        let answer = match self.ask("search_workflows", most).await {
            Err(ToolError::Failed(_)) => self.ask("search_workflows", json!({})).await?,
            answer => answer?,
        };
        let entries = workflow::entries(&answer);
        let entries = entries
            .ok_or_else(|| ToolError::Failed("What n8n answers makes no sense.".to_owned()))?;
        known.retain(|id, _| entries.iter().any(|entry| entry.id == *id));
        let news = entries.into_iter().filter(|entry| {
            // Without a date nothing says whether it changed.
            entry.updated.is_empty() || known.get(&entry.id).is_none_or(|(old, _)| old != entry)
        });
        let asked: Vec<_> = news.collect();
        let asked = asked.into_iter().map(|entry| async move {
            let details = self
                .ask("get_workflow_details", json!({"workflowId": entry.id}))
                .await;
            (entry, details)
        });
        let mut answers = stream::iter(asked).buffer_unordered(AT_ONCE);
        while let Some((entry, details)) = answers.next().await {
            match details {
                Ok(details) => {
                    let workflow = workflow::workflow(&entry, &details).map(Arc::new);
                    known.insert(entry.id.clone(), (entry, workflow));
                }
                Err(error) => debug!("a workflow of n8n cannot be read: {error}"),
            }
        }
        Ok(())
    }

    async fn ask(&self, tool: &str, arguments: Value) -> Result<Value, ToolError> {
        let arguments = match arguments {
            Value::Object(arguments) => arguments,
            _ => Map::new(),
        };
        structured(self.remote.call(tool, arguments, ONE).await?)
    }

    fn fill(&self, known: &Known, site: &Site) {
        let mut workflows: Vec<&Arc<Workflow>> =
            known.values().filter_map(|(_, w)| w.as_ref()).collect();
        // The same order in every run: what a language model reads stays the same.
        workflows.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        workflows.dedup_by(|b, a| {
            let same = a.name == b.name;
            if same {
                warn!(
                    "two workflows of n8n are called {}; the first counts",
                    a.name
                );
            }
            same
        });
        let tools = workflows.iter().map(|workflow| {
            let spec = ToolSpec {
                name: workflow.name.clone(),
                description: workflow.description.clone(),
                parameters: workflow.parameters.clone(),
            };
            Arc::new(Callable {
                spec: Arc::new(spec),
                workflow: Arc::clone(workflow),
                site: site.clone(),
                remote: self.remote.clone(),
            }) as Arc<dyn Tool>
        });
        let tools: Vec<_> = tools.collect();
        info!(workflows = tools.len(), "n8n's workflows are listed");
        self.link.offers(tools.len());
        self.toolbox.put(SHELF, tools);
    }
}
