//! Which servers tools come from: what the settings and `mcp_servers.json` say, followed as they change.

use std::{fs, io, path::Path, time::Duration};

use tokio::time::sleep;
use tracing::{info, warn};

use crate::{
    pii::Pii,
    settings::{Live, Settings},
    tools::{
        Connections, ConnectionsConfig,
        mcp::{self, ServerConfig},
    },
};

/// How often the file is looked at.
const LOOKS: Duration = Duration::from_secs(2);
/// A longer file is none of servers.
const LONGEST: u64 = 1024 * 1024;

/// The servers that `settings` and their file name, and a sentence for each that cannot be used. Reads the
/// file; one that cannot be read as a whole, while it is being written, counts as it was `before`. A server
/// that the settings name counts before one of the same name in the file.
fn servers(
    settings: &Settings,
    before: &mut Vec<ServerConfig>,
) -> (ConnectionsConfig, Vec<String>) {
    let (mut servers, mut problems) = (Vec::new(), Vec::new());
    let mut set = |name: &str, key: &str, url: &str, token: &Option<Pii<String>>| {
        let token = token.as_ref().map_or("", |token| token.0.as_str());
        match ServerConfig::streamable(name, url, token) {
            Ok(server) => servers.push(server),
            Err(why) => problems.push(format!("{key}: {why}")),
        }
    };
    if settings.n8n_enabled {
        set("n8n", "n8n_url", &settings.n8n_url, &settings.n8n_token);
    }
    if settings.hass_enabled {
        let url = format!("{}/api/mcp", settings.hass_host.trim_end_matches('/'));
        set("home_assistant", "hass_host", &url, &settings.hass_token);
    }
    let path = &settings.mcp_servers;
    match read(path) {
        Ok(None) => before.clear(),
        Ok(Some(text)) => {
            let (named, wrong) = mcp::parse(&text);
            if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() {
                *before = named;
            }
            let wrong = wrong.into_iter();
            problems.extend(wrong.map(|why| format!("{}: {why}", path.display())));
        }
        Err(e) => problems.push(format!("{} cannot be read: {e}", path.display())),
    }
    for server in &*before {
        if servers.iter().any(|s| s.name == server.name) {
            let name = &server.name;
            problems.push(format!(
                "{}: \"{name}\" is named by the settings, too; those count",
                path.display()
            ));
        } else {
            servers.push(server.clone());
        }
    }
    let config = ConnectionsConfig {
        servers,
        n8n_webhook_auth: settings.n8n_webhook_auth.clone(),
    };
    (config, problems)
}

/// Keeps `connections` as the settings and the file say; ends when it is dropped.
pub async fn follow(live: Live, connections: Connections) {
    let mut settings = live.watch();
    let (mut told, mut before) = (Vec::new(), Vec::new());
    loop {
        let now = settings.borrow_and_update().clone();
        // Reads a file of a few lines.
        let mut named = before.clone();
        let read = tokio::task::spawn_blocking(move || {
            let read = servers(&now, &mut named);
            (read, named)
        });
        if let Ok(((config, problems), named)) = read.await {
            before = named;
            if problems != told {
                problems.iter().for_each(|problem| warn!("{problem}"));
                if problems.is_empty() {
                    info!("the list of MCP servers is in order again");
                }
                told = problems;
            }
            connections.set(config);
        }
        tokio::select! {
            changed = settings.changed() => if changed.is_err() { return },
            () = sleep(LOOKS) => {}
        }
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::metadata(path) {
        Ok(file) if file.len() > LONGEST => Err(io::Error::other("it is longer than 1 MB")),
        Ok(_) => fs::read_to_string(path).map(Some),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}
