//! All servers that tools come from, as the settings name them: the one thing to start, to change and to
//! ask how they fare.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::{
    Remote, Toolbox,
    mcp::{Reach, ServerConfig, ServerStatus, Servers},
    n8n::{Finder, Site},
};
use crate::pii::Pii;

/// How long looking for n8n's workflows anew may take.
const LOOK: Duration = Duration::from_secs(15);

/// Which servers there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionsConfig {
    /// All of them; the names `n8n` and `home_assistant` have a meaning.
    pub servers: Vec<ServerConfig>,
    /// What n8n's webhooks want to see: `Bearer …`, `Basic user:password` or `Header-Name: value`.
    pub n8n_webhook_auth: Option<Pii<String>>,
}

/// Connections that are kept. Clones are the same; dropping the last ends them.
#[derive(Clone)]
pub struct Connections(Arc<Inner>);

struct Inner {
    servers: Servers,
    site: watch::Sender<Option<Site>>,
    asked: watch::Sender<u64>,
    answered: watch::Receiver<u64>,
    /// What is set, so that the same again changes nothing.
    config: Mutex<Option<ConnectionsConfig>>,
    /// n8n's finder; ends with this.
    _tasks: JoinSet<()>,
}

impl Connections {
    /// Begins to connect, and waits for none of it. Tools come to `toolbox`. To be called in a runtime.
    pub fn start(config: ConnectionsConfig, toolbox: Toolbox) -> Self {
        let servers = Servers::new(toolbox.clone());
        let (site, asked, answered) = (
            watch::Sender::default(),
            watch::Sender::default(),
            watch::Sender::default(),
        );
        let told = answered.subscribe();
        let finder = Finder {
            remote: servers.remote("n8n"),
            link: servers.link("n8n"),
            toolbox,
            site: site.subscribe(),
            asked: asked.subscribe(),
            answered,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(finder.run());
        let all = Self(Arc::new(Inner {
            servers,
            site,
            asked,
            answered: told,
            config: Mutex::default(),
            _tasks: tasks,
        }));
        all.set(config);
        all
    }

    /// These servers from now on; those that stay as they were keep their connection. To be called in a
    /// runtime.
    pub fn set(&self, config: ConnectionsConfig) {
        {
            let mut held = self
                .0
                .config
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if held.as_ref() == Some(&config) {
                return;
            }
            *held = Some(config.clone());
        }
        let n8n = config.servers.iter().find(|server| server.name == "n8n");
        let site = n8n.and_then(|server| match &server.reach {
            Reach::Http { url, .. } => Site::new(
                &url.0,
                config
                    .n8n_webhook_auth
                    .as_ref()
                    .map(|login| login.0.as_str()),
            ),
            Reach::Program { .. } => None,
        });
        self.0.site.send_replace(site);
        self.0.servers.set(config.servers);
    }

    /// Lists all tools and workflows anew; waits for that, at most half a minute.
    pub async fn refresh(&self) {
        self.0.servers.refresh().await;
        let mut asked = 0;
        self.0.asked.send_modify(|n| {
            *n += 1;
            asked = *n;
        });
        let mut answered = self.0.answered.clone();
        // Who is slower goes on without being waited for.
        let _ = timeout(LOOK, answered.wait_for(|n| *n >= asked)).await;
    }

    /// How the servers fare, now and whenever that changes.
    pub fn status(&self) -> watch::Receiver<Vec<ServerStatus>> {
        self.0.servers.status()
    }

    /// The server of this name; the handle stays good whatever becomes of its connection.
    pub fn remote(&self, name: &str) -> Arc<dyn Remote> {
        self.0.servers.remote(name)
    }

    /// Changes whenever the server of this name was (re)connected, has other tools, or is gone.
    pub fn rounds(&self, name: &str) -> watch::Receiver<u64> {
        self.0.servers.rounds(name)
    }

    /// Ends all connections, and waits until the programs among the servers have ended.
    pub async fn close(&self) {
        self.0.site.send_replace(None);
        self.0.servers.close().await;
    }
}
