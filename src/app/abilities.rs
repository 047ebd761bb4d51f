//! What the assistant can do, as it is wired: which tools are at hand with these settings and these servers.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::time::timeout;
use tracing::warn;

use super::{App, Keeping, SHUTDOWN_GRACE, there, tools};
use crate::{
    llm::pictures::Shown,
    room::Desk,
    settings::{Live, Settings},
    tools::{
        Tool,
        date_time::DateTime,
        mcp::ServerStatus,
        timers::Timers,
        web_search::{DuckDuckGo, SearXng, SearchEngine, SearchError, WebSearch},
    },
};

/// The name under which the settings connect to Home Assistant.
const HOME: &str = "home_assistant";

/// How much of the time at the end is for the servers: programs that were started are to end, too.
const CLOSING: Duration = Duration::from_secs(2);

impl App {
    /// The app whose conversations remember what is kept.
    pub fn keeping(mut self, keeping: Keeping) -> Self {
        self.keeping = keeping;
        self.equip(&self.settings());
        self
    }

    /// The app that can be asked for timers, which somebody has speak up ([`super::speak_up`]).
    pub fn timing(mut self, timers: Timers) -> Self {
        self.timers = Some(timers);
        self.equip(&self.settings());
        self
    }

    /// The app whose questions take along what is shown there.
    pub fn looking_at(mut self, shown: Shown) -> Self {
        self.engines.shown = shown;
        self
    }

    /// What outlives the process.
    pub fn kept(&self) -> &Keeping {
        &self.keeping
    }

    /// The servers that tools come from, and how they fare.
    pub fn servers(&self) -> Vec<ServerStatus> {
        self.connections.status().borrow().clone()
    }

    /// Looks for tools anew at every server; waits for that, at most half a minute.
    pub async fn reload_tools(&self) {
        self.connections.refresh().await;
    }

    /// Looks for tools anew when a room is told to. Never ends; dropping it stops it.
    pub async fn follow_desk(&self, desk: &Desk) {
        loop {
            desk.tools_changed().await;
            self.reload_tools().await;
        }
    }

    /// Brings to its end what was begun with tools, as far as [`SHUTDOWN_GRACE`](super::SHUTDOWN_GRACE) goes,
    /// and ends the connections to their servers.
    pub async fn put_away(&self) {
        let ended = timeout(SHUTDOWN_GRACE - CLOSING, self.engines.tools.end()).await;
        if ended.is_err() {
            warn!("what was begun with a tool may not have been brought to its end");
        }
        // What does not end now is killed with what holds it.
        let _ = timeout(CLOSING, self.connections.close()).await;
    }

    /// Keeps the tools as the settings and the servers say. Never ends; dropping it stops it.
    pub(super) async fn tend_tools(&self, live: &Live) {
        let mut status = self.connections.status();
        let following = tools::follow(live.clone(), self.connections.clone());
        let watching = async {
            // The connections are our own, and with them the sender.
            while status.changed().await.is_ok() {
                self.equip(&self.settings());
            }
        };
        tokio::join!(following, watching);
        std::future::pending().await
    }

    /// Has the tools at hand that `settings` allow. The servers' own are put there by their connections.
    pub(super) fn equip(&self, settings: &Settings) {
        let toolbox = &self.engines.tools;
        let timers = self.timers.as_ref();
        toolbox.put("timers", timers.map(Timers::tools).unwrap_or_default());
        let zone = self.settings.subscribe();
        let clock = Arc::new(move || there(&zone.borrow()));
        toolbox.put("date_time", vec![Arc::new(DateTime::new(clock))]);
        let memory = match settings.memory_enabled {
            true => self.keeping.memory.tools(),
            false => Vec::new(),
        };
        toolbox.put("memory", memory);
        toolbox.put("web_search", self.web_search(settings));
        // Also while it cannot be reached: whoever asks for the lamp is told so.
        let home = self.servers().iter().any(|server| server.name == HOME);
        let home = match home {
            true => self.hass.tools(),
            false => Vec::new(),
        };
        toolbox.put(HOME, home);
    }
}

/// A web search that was made for these settings: which engine, and where.
pub(super) type Search = ((String, Option<String>), Vec<Arc<dyn Tool>>);

impl App {
    /// As the settings say; the same while they say the same, with its connections.
    fn web_search(&self, settings: &Settings) -> Vec<Arc<dyn Tool>> {
        let wanted = (settings.web_search.clone(), settings.web_search_url.clone());
        let mut held = self.search.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Some((made_for, tools)) if *made_for == wanted => tools.clone(),
            _ => {
                let tools = web_search(settings);
                *held = Some((wanted, tools.clone()));
                tools
            }
        }
    }
}

fn web_search(settings: &Settings) -> Vec<Arc<dyn Tool>> {
    let engine: Result<Arc<dyn SearchEngine>, SearchError> = match settings.web_search.as_str() {
        "duckduckgo" => DuckDuckGo::new().map(|engine| Arc::new(engine) as _),
        "searxng" => {
            let url = settings.web_search_url.as_deref().unwrap_or_default();
            SearXng::new(url).map(|engine| Arc::new(engine) as _)
        }
        _ => return Vec::new(),
    };
    match engine {
        Ok(engine) => vec![Arc::new(WebSearch::new(engine))],
        Err(error) => {
            warn!("the web cannot be searched: {error}");
            Vec::new()
        }
    }
}
