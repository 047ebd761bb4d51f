//! What the first-run wizard asks of services beside us: are you there, do you take this key, what do you
//! have? One request each, at most ten seconds, no redirects, and of an answer only counts and names are
//! passed on. Which addresses may be asked is in `reach`; whatever fails there is told with the same words, so
//! that nobody learns from them what is on the network. Who may ask, and how often, is decided by who calls.

mod reach;

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, header};
use serde::Deserialize;
use serde_json::json;

use crate::pii::Pii;

/// Longest wait for a service.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest answer that is read, bytes: a large Home Assistant tells of its devices in a few.
const LONGEST: usize = 32 << 20;

/// Groq's list of models.
const GROQ_MODELS: &str = "https://api.groq.com/openai/v1/models";

/// A service to try.
#[derive(Clone, Debug)]
pub enum Service {
    /// An Ollama.
    ModelServer {
        /// Its URL.
        host: String,
    },
    /// Groq.
    Groq {
        /// API key.
        key: Pii<String>,
    },
    /// A server that speaks OpenAI's protocol.
    Compatible {
        /// Its URL; without a path `/v1` is meant.
        url: String,
        /// API key; empty for none.
        key: Pii<String>,
    },
    /// A Home Assistant.
    HomeAssistant {
        /// Its URL.
        host: String,
        /// Long-lived access token.
        token: Pii<String>,
    },
    /// The MCP server of an n8n.
    Workflows {
        /// Its URL, path and all.
        url: String,
        /// Token; empty for none.
        token: Pii<String>,
    },
}

/// What a service has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Models, by name.
    pub models: Option<Vec<String>>,
    /// Devices (entities).
    pub devices: Option<usize>,
}

/// Tries `service`.
///
/// # Errors
///
/// A sentence for people, in the words of CAAL's wizard where it has some. It quotes the address as it
/// was given and no word of the answer.
pub async fn ask(service: &Service) -> Result<Found, String> {
    match service {
        Service::ModelServer { host } => {
            let unreachable = format!("Cannot connect to Ollama at {host}");
            let base = base(host)?;
            let client = client(base).await.ok_or_else(|| unreachable.clone())?;
            let request = client.get(format!("{base}/api/tags"));
            let answer = send(request, &unreachable, None).await?;
            let tags: Tags = read(answer, &unreachable).await?;
            let names = tags.models.into_iter().map(|model| model.name);
            Ok(Found {
                models: Some(names.collect()),
                devices: None,
            })
        }
        Service::Groq { key } => {
            let unreachable = "Cannot connect to Groq";
            let client = reach::builder(PATIENCE).build();
            let request = client
                .map_err(|_| unreachable.to_owned())?
                .get(GROQ_MODELS)
                .header(header::AUTHORIZATION, bearer(key)?);
            listed(request, unreachable).await
        }
        Service::Compatible { url, key } => {
            let unreachable = format!("Cannot connect to the server at {url}");
            let base = base(url)?;
            let client = client(base).await.ok_or_else(|| unreachable.clone())?;
            let bare = Url::parse(base).is_ok_and(|url| url.path() == "/");
            let v1 = if bare { "/v1" } else { "" };
            let mut request = client.get(format!("{base}{v1}/models"));
            if !key.0.is_empty() {
                request = request.header(header::AUTHORIZATION, bearer(key)?);
            }
            listed(request, &unreachable).await
        }
        Service::HomeAssistant { host, token } => {
            let unreachable = format!("Cannot connect to Home Assistant at {host}");
            let (base, token) = (base(host)?, bearer(token)?);
            let client = client(base).await.ok_or_else(|| unreachable.clone())?;
            let request = client
                .get(format!("{base}/api/states"))
                .header(header::AUTHORIZATION, token);
            let answer = send(request, &unreachable, Some("Invalid access token")).await?;
            let states: Vec<serde::de::IgnoredAny> = read(answer, &unreachable).await?;
            Ok(Found {
                models: None,
                devices: Some(states.len()),
            })
        }
        Service::Workflows { url, token } => {
            let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} });
            let unreachable = format!("Cannot connect to n8n at {url}");
            let base = base(url)?;
            let client = client(base).await.ok_or_else(|| unreachable.clone())?;
            let mut request = client
                .post(base)
                .header(header::ACCEPT, "application/json, text/event-stream")
                .json(&call);
            if !token.0.is_empty() {
                request = request.header(header::AUTHORIZATION, bearer(token)?);
            }
            let answer = send(request, &unreachable, Some("Invalid access token")).await?;
            let body = body(answer, &unreachable).await?;
            let text = String::from_utf8_lossy(&body);
            // n8n says so with status 200.
            match !text.contains("search_workflows") && text.contains("Unauthorized") {
                true => Err("Invalid access token".to_owned()),
                false => Ok(Found::default()),
            }
        }
    }
}

/// The models that `request` asks for, in OpenAI's form.
async fn listed(request: RequestBuilder, unreachable: &str) -> Result<Found, String> {
    let answer = send(request, unreachable, Some("Invalid API key")).await?;
    let list: List = read(answer, unreachable).await?;
    let names = list.data.into_iter().map(|model| model.id);
    Ok(Found {
        models: Some(names.collect()),
        devices: None,
    })
}

#[derive(Deserialize)]
struct Tags {
    models: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Identified>,
}

#[derive(Deserialize)]
struct Identified {
    id: String,
}

/// What asks `base`, where that may be asked.
async fn client(base: &str) -> Option<Client> {
    reach::client(&Url::parse(base).ok()?, PATIENCE).await
}

/// `url` without the slash at its end.
fn base(url: &str) -> Result<&str, String> {
    let url = url.trim();
    let scheme = url
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("http" | "https")) {
        return Err("Request URL is missing an 'http://' or 'https://' protocol.".to_owned());
    }
    match Url::parse(url) {
        Ok(parsed) if parsed.has_host() => Ok(url.trim_end_matches('/')),
        _ => Err("This is no URL; it looks like http://192.168.1.5:11434".to_owned()),
    }
}

fn bearer(token: &Pii<String>) -> Result<header::HeaderValue, String> {
    let value = format!("Bearer {}", token.0.trim());
    let mut value = header::HeaderValue::from_str(&value)
        .map_err(|_| "The key or token holds characters that cannot be sent".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The answer with a good status. All others but that of a wrong key are told alike.
async fn send(
    request: RequestBuilder,
    unreachable: &str,
    unauthorized: Option<&str>,
) -> Result<Response, String> {
    let answer = request.send().await.map_err(|_| unreachable.to_owned())?;
    match (answer.status(), unauthorized) {
        (status, _) if status.is_success() => Ok(answer),
        (StatusCode::UNAUTHORIZED, Some(said)) => Err(said.to_owned()),
        _ => Err(unreachable.to_owned()),
    }
}

async fn read<T: for<'a> Deserialize<'a>>(
    answer: Response,
    unreachable: &str,
) -> Result<T, String> {
    let body = body(answer, unreachable).await?;
    serde_json::from_slice(&body).map_err(|_| unreachable.to_owned())
}

async fn body(mut answer: Response, unreachable: &str) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    let broken = |_| unreachable.to_owned();
    while let Some(piece) = answer.chunk().await.map_err(broken)? {
        if body.len() + piece.len() > LONGEST {
            return Err(unreachable.to_owned());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_scheme_and_a_host_and_no_slash_at_its_end() {
        assert_eq!(base(" http://nas:11434/ "), Ok("http://nas:11434"));
        let missing = "Request URL is missing an 'http://' or 'https://' protocol.";
        for bad in ["nas:11434", "", "file:///etc/passwd", "ftp://nas"] {
            assert_eq!(base(bad), Err(missing.to_owned()), "{bad}");
        }
        assert!(base("http://").is_err());
    }

    #[test]
    fn a_token_cannot_add_a_header() {
        assert!(bearer(&Pii("a\r\nHost: b".to_owned())).is_err());
        assert!(!format!("{:?}", bearer(&Pii("s3cret".to_owned()))).contains("s3cret"));
    }
}
