//! The workflows of an n8n as tools: found over its MCP server, called at their webhooks, or run by it
//! where they have none. n8n's own tools, which build workflows, are not offered.

mod finding;
mod parameters;
mod result;
mod running;
mod workflow;

pub(super) use finding::Finder;

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use reqwest::Url;
use serde_json::{Map, Value};

use self::workflow::Workflow;
use super::{Caller, Outcome, Remote, Tool, ToolError};
use crate::{llm::ToolSpec, pii::Pii};

/// How long a workflow may take before the user is told that it is still running.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where an n8n is, and what its webhooks want to see.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// The address that `/webhook/…` is behind.
    base: Pii<Url>,
    /// A header, ready to be sent.
    login: Option<Pii<(String, String)>>,
    client: reqwest::Client,
}

impl Site {
    /// The site of the MCP server at `url`: that without its last two parts. `login` is `Bearer …`,
    /// `Basic user:password` or `Header-Name: value`.
    pub(super) fn new(url: &Url, login: Option<&str>) -> Option<Self> {
        let mut base = url.clone();
        base.path_segments_mut().ok()?.pop_if_empty().pop().pop();
        base.set_query(None);
        base.set_fragment(None);
        Some(Self {
            client: super::mcp::client(url, Duration::from_secs(5))?,
            base: Pii(base),
            login: login.and_then(running::header).map(Pii),
        })
    }
}

/// A workflow that can be called.
struct Callable {
    spec: Arc<ToolSpec>,
    workflow: Arc<Workflow>,
    site: Site,
    remote: Arc<dyn Remote>,
}

impl Tool for Callable {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    /// Any may: GET is what n8n gives a webhook whose owner has not chosen a method.
    fn changes(&self) -> bool {
        true
    }

    fn deadline(&self) -> Duration {
        PATIENCE
    }

    fn call(
        &self,
        arguments: Map<String, Value>,
        _: &Caller,
    ) -> BoxFuture<'static, Result<Outcome, ToolError>> {
        let (workflow, site, remote) = (
            self.workflow.clone(),
            self.site.clone(),
            self.remote.clone(),
        );
        async move { running::run(&workflow, &site, remote.as_ref(), arguments).await }.boxed()
    }
}
