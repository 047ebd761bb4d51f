//! Which MCP servers there are, as `mcp_servers.json` says it. Pure.
//!
//! Two forms: CAAL's `{"servers": [{"name", "url", "token", "transport", "timeout"}]}`, whose entries may
//! also be programs (`"command"`, `"args"`, `"env"`), and `{"mcpServers": {name: {…}}}` of other programs.

use std::time::Duration;

use reqwest::Url;
use serde_json::{Map, Value};

use crate::pii::Pii;

/// How long a server may take to connect or to answer a call where its entry says nothing.
pub(in crate::tools) const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that an entry may ask for.
const LONGEST_PATIENCE: Duration = Duration::from_secs(120);

/// One server. `Debug` shows no token, no argument and no value of its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Stands before the names of its tools.
    pub name: String,
    /// How it is reached.
    pub reach: Reach,
    /// For connecting, and for a call.
    pub deadline: Duration,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Over HTTP.
    Http {
        /// Its whole address; may hold a password.
        url: Pii<Url>,
        /// Sent as `Authorization: Bearer …`.
        token: Option<Pii<String>>,
        /// Which of the two ways.
        way: Way,
    },
    /// A program that is started, and spoken to over its standard input and output.
    Program {
        /// Its path, or a name that is looked for in `PATH`.
        command: String,
        /// Its arguments, in which people put keys.
        args: Pii<Vec<String>>,
        /// Added to our own environment.
        env: Pii<Vec<(String, String)>>,
    },
}

/// MCP has had two ways over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One address for everything: the way of today.
    Streamable,
    /// An event stream, which names the address to post to: that of 2024.
    Sse,
    /// The first, and the second where that does not work.
    Either,
}

impl ServerConfig {
    /// A server of streamable HTTP; an empty `token` is none.
    ///
    /// # Errors
    ///
    /// A sentence, when `url` is none.
    pub fn streamable(name: &str, url: &str, token: &str) -> Result<Self, String> {
        Ok(Self {
            name: name.to_owned(),
            reach: Reach::Http {
                url: Pii(address(url)?),
                token: Some(token.to_owned()).filter(|t| !t.is_empty()).map(Pii),
                way: Way::Streamable,
            },
            deadline: PATIENCE,
        })
    }
}

/// The servers of `text`, and a sentence for each entry that cannot be used.
pub fn parse(text: &str) -> (Vec<ServerConfig>, Vec<String>) {
    let root: Value = match serde_json::from_str(text) {
        Ok(root) => root,
        Err(e) => {
            return (
                Vec::new(),
                vec![format!("it is not JSON (line {})", e.line())],
            );
        }
    };
    let mut entries: Vec<(Option<&str>, &Value)> = Vec::new();
    if let Some(Value::Array(list)) = root.get("servers") {
        entries.extend(list.iter().map(|entry| (None, entry)));
    }
    if let Some(Value::Object(map)) = root.get("mcpServers") {
        entries.extend(map.iter().map(|(name, entry)| (Some(name.as_str()), entry)));
    }
    let known = root.get("servers").is_some_and(Value::is_array)
        || root.get("mcpServers").is_some_and(Value::is_object);
    let mut problems = Vec::new();
    if !known {
        problems.push(
            r#"it has neither a list "servers" nor an object "mcpServers"; write {"servers": []}"#
                .to_owned(),
        );
    }
    let mut servers: Vec<ServerConfig> = Vec::new();
    for (at, (name, entry)) in entries.into_iter().enumerate() {
        let called = name.or_else(|| entry.get("name")?.as_str());
        let called = called.map(str::trim).filter(|name| !name.is_empty());
        let who = called.map_or_else(|| format!("entry {}", at + 1), |n| format!("\"{n}\""));
        match server(called, entry) {
            Err(why) => problems.push(format!("{who}: {why}")),
            Ok(server) if servers.iter().any(|s| s.name == server.name) => {
                problems.push(format!("{who} stands there twice; the first counts"));
            }
            Ok(server) => servers.push(server),
        }
    }
    (servers, problems)
}

fn server(name: Option<&str>, entry: &Value) -> Result<ServerConfig, String> {
    let Value::Object(entry) = entry else {
        return Err("it is not an object".to_owned());
    };
    let name = name.ok_or(r#"it has no "name""#)?;
    if name.chars().count() > 48 || name.chars().any(char::is_control) {
        return Err("its name is longer than 48 letters, or no text".to_owned());
    }
    let deadline = match entry.get("timeout") {
        None | Some(Value::Null) => PATIENCE,
        Some(given) => given
            .as_f64()
            .filter(|s| *s > 0.0 && s.is_finite())
            .map(|s| Duration::from_secs_f64(s.min(LONGEST_PATIENCE.as_secs_f64())))
            .ok_or(r#""timeout" is no number of seconds above 0"#)?,
    };
    let reach = match (text(entry, "url")?, text(entry, "command")?) {
        (Some(_), Some(_)) => return Err(r#"it has a "url" and a "command"; give one"#.to_owned()),
        (None, None) => return Err(r#"it has neither a "url" nor a "command""#.to_owned()),
        (Some(url), None) => http(entry, url)?,
        (None, Some(command)) => program(entry, command)?,
    };
    Ok(ServerConfig {
        name: name.to_owned(),
        reach,
        deadline,
    })
}

fn http(entry: &Map<String, Value>, url: &str) -> Result<Reach, String> {
    let url = address(url)?;
    let way = text(entry, "transport")?.or(text(entry, "type")?);
    let way = match way
        .map(|way| way.to_ascii_lowercase().replace('-', "_"))
        .as_deref()
    {
        Some("sse") => Way::Sse,
        Some("streamable_http" | "streamablehttp" | "http") => Way::Streamable,
        Some(_) => return Err(r#""transport" is neither "streamable_http" nor "sse""#.to_owned()),
        None if url.path().trim_end_matches('/').ends_with("mcp") => Way::Streamable,
        None => Way::Either,
    };
    let token = match text(entry, "token")? {
        Some(token) => Some(token.to_owned()),
        None => bearer(entry)?,
    };
    if token
        .as_ref()
        .is_some_and(|t| !t.bytes().all(|b| b.is_ascii_graphic()))
    {
        return Err(r#""token" has spaces or letters that no token has"#.to_owned());
    }
    Ok(Reach::Http {
        url: Pii(url),
        token: token.map(Pii),
        way,
    })
}

/// The token of `"headers": {"Authorization": "Bearer …"}`, as other programs write it.
fn bearer(entry: &Map<String, Value>) -> Result<Option<String>, String> {
    let Some(Value::Object(headers)) = entry.get("headers") else {
        return Ok(None);
    };
    let mut token = None;
    for (name, value) in headers {
        let bearer = value.as_str().and_then(|v| v.strip_prefix("Bearer "));
        match bearer {
            Some(bearer) if name.eq_ignore_ascii_case("authorization") => {
                token = Some(bearer.trim().to_owned());
            }
            _ => {
                return Err(
                    r#"of "headers" only "Authorization": "Bearer …" can be sent"#.to_owned(),
                );
            }
        }
    }
    Ok(token)
}

fn program(entry: &Map<String, Value>, command: &str) -> Result<Reach, String> {
    let args = match entry.get("args") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list
            .iter()
            .map(|arg| arg.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or(r#""args" is not a list of texts"#)?,
        Some(_) => return Err(r#""args" is not a list of texts"#.to_owned()),
    };
    let env = match entry.get("env") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(map)) => map
            .iter()
            .map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect::<Option<_>>()
            .ok_or(r#""env" holds something that is no text"#)?,
        Some(_) => return Err(r#""env" is not an object"#.to_owned()),
    };
    Ok(Reach::Program {
        command: command.to_owned(),
        args: Pii(args),
        env: Pii(env),
    })
}

fn text<'e>(entry: &'e Map<String, Value>, key: &str) -> Result<Option<&'e str>, String> {
    match entry.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim())),
        Some(_) => Err(format!("\"{key}\" is no text")),
    }
}

fn address(url: &str) -> Result<Url, String> {
    let bad = || "its address is none; write it as http://host:port/path".to_owned();
    let url = Url::parse(url.trim()).map_err(|_| bad())?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_each_wrong_entry_has_its_sentence() {
        let (servers, problems) = parse(
            r#"{"servers": [
                {"name": "a", "url": "http://h/mcp", "token": "s3cret", "timeout": 500},
                {"name": "b", "url": "http://h/sse", "transport": "sse"},
                {"name": "c", "url": "http://h/other"},
                {"name": "a", "url": "http://h/mcp"},
                {"url": "http://h/mcp"}, {"name": "d"}, {"name": "e", "url": "nonsense"}, 7],
              "mcpServers": {"f": {"command": "prog", "args": ["--key", "s3cret"], "env": {"K": "s3cret"}}}}"#,
        );
        let names: Vec<_> = servers.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "f"]);
        let ways: Vec<_> = servers
            .iter()
            .filter_map(|s| match &s.reach {
                Reach::Http { way, .. } => Some(*way),
                Reach::Program { .. } => None,
            })
            .collect();
        assert_eq!(ways, [Way::Streamable, Way::Sse, Way::Either]);
        assert_eq!(servers[0].deadline, LONGEST_PATIENCE);
        assert_eq!(problems.len(), 5, "{problems:?}");
        assert!(!format!("{servers:?}{problems:?}").contains("s3cret"));
    }

    #[test]
    fn text_that_is_no_list_of_servers_has_one_sentence() {
        for text in ["", "[]", "{", "7", r#"{"servers": {}}"#] {
            let (servers, problems) = parse(text);
            assert!(servers.is_empty());
            assert_eq!(problems.len(), 1, "{text}");
        }
        assert_eq!(parse(r#"{"servers": []}"#), (vec![], vec![]));
    }
}
