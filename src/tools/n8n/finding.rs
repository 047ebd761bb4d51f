//! Finds the workflows of an n8n, and keeps the shelf `n8n` as they come, change and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

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
/// How many are asked for in one look, the others in the next: n8n answers 100 questions in five minutes,
/// unless it is set otherwise, and running a workflow takes some.
const MOST: usize = 50;
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

/// What is known.
#[derive(Default)]
struct Known {
    /// By a workflow's id.
    read: BTreeMap<String, Read>,
    /// Somebody wants these read again, whatever their dates say: by id.
    wanted: BTreeSet<String>,
}

/// What was read of a workflow.
struct Read {
    /// How it was listed then.
    entry: Entry,
    /// It may change without another entry.
    drafted: bool,
    /// None: it is not to be called.
    workflow: Option<Arc<Workflow>>,
}

impl Finder {
    /// Runs until it is dropped.
    pub(in crate::tools) async fn run(mut self) {
        let mut rounds = self.link.rounds();
        let mut known = Known::default();
        let mut answered = 0;
        loop {
            let asked = *self.asked.borrow_and_update();
            let all = asked != answered;
            rounds.mark_unchanged();
            let site = self.site.borrow_and_update().clone();
            match site {
                None => {
                    known = Known::default();
                    answered = asked;
                    self.toolbox.put(SHELF, Vec::new());
                }
                Some(site) if self.link.is_up() => match self.look(&mut known, all).await {
                    Ok(()) => {
                        answered = asked;
                        self.fill(&known, &site);
                    }
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

    /// Brings `known` up to date: what is listed otherwise than before, or `all`.
    async fn look(&self, known: &mut Known, all: bool) -> Result<(), ToolError> {
        // 200 is the most that n8n gives, and it has no pages; CAAL's own question is without it.
        let most = json!({"limit": 200});
        let answer = match self.ask("search_workflows", most).await {
            Err(ToolError::Failed(_)) => self.ask("search_workflows", json!({})).await?,
            answer => answer?,
        };
        let entries = workflow::entries(&answer);
        let entries = entries
            .ok_or_else(|| ToolError::Failed("What n8n answers makes no sense.".to_owned()))?;
        let listed = answer.get("data").and_then(Value::as_array);
        let (listed, count) = (
            listed.map(Vec::len),
            answer.get("count").and_then(Value::as_u64),
        );
        if let (Some(listed), Some(count)) = (listed, count)
            && count > listed as u64
        {
            warn!("n8n has {count} workflows, and lists only the {listed} that were changed last");
        }
        let is_listed = |id: &str| entries.iter().any(|entry| entry.id == id);
        known.read.retain(|id, _| is_listed(id));
        match all {
            true => known.wanted = entries.iter().map(|entry| entry.id.clone()).collect(),
            false => known.wanted.retain(|id| is_listed(id)),
        }
        // What is new first, then what may have changed without another date: by being published, or in a
        // list without dates. Taking an older version back shows in neither.
        let (mut asked, rest): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| {
            known
                .read
                .get(&entry.id)
                .is_none_or(|old| old.entry != *entry)
        });
        let wanted = |entry: &Entry| known.wanted.contains(&entry.id);
        let may = |entry: &Entry| {
            let drafted = |old: &Read| old.drafted;
            entry.updated.is_empty() || known.read.get(&entry.id).is_some_and(drafted)
        };
        let (again, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(wanted);
        asked.extend(again);
        asked.extend(rest.into_iter().filter(may));
        if asked.len() > MOST {
            info!(
                later = asked.len() - MOST,
                "workflows of n8n are left for the next look"
            );
            asked.truncate(MOST);
        }
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
                    let read = Read {
                        workflow: workflow::workflow(&entry, &details).map(Arc::new),
                        drafted: workflow::drafted(&details),
                        entry,
                    };
                    known.wanted.remove(&read.entry.id);
                    known.read.insert(read.entry.id.clone(), read);
                }
                // The others would fare no better; they are asked for in the next look.
                Err(error @ ToolError::Unreachable(_)) => {
                    warn!("some workflows of n8n are not known yet: {error}");
                    break;
                }
                Err(error) => {
                    debug!("a workflow of n8n cannot be read: {error}");
                    known.wanted.remove(&entry.id);
                }
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
        let mut workflows: Vec<&Arc<Workflow>> = known
            .read
            .values()
            .filter_map(|read| read.workflow.as_ref())
            .collect();
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
