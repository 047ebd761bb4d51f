//! The running server, as commands that work through its HTTP API reach it.

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::Failure;
use crate::settings::Settings;

/// A server that is asked.
pub(super) struct Server {
    client: Client,
    url: String,
    key: Option<String>,
}

impl Server {
    /// The one at `url`, else this machine's; with the key of `settings`.
    pub(super) fn new(url: Option<&str>, settings: &Settings) -> Result<Self, Failure> {
        crate::tls::install();
        let client = Client::builder().build();
        Ok(Self {
            client: client.map_err(|e| Failure::internal(format!("no HTTP client: {e}")))?,
            url: match url {
                Some(url) => with_scheme(url.trim_end_matches('/')),
                None => format!("http://127.0.0.1:{}", settings.http_port),
            },
            key: settings.api_key.as_ref().map(|key| key.0.clone()),
        })
    }

    /// Sends what `with` makes of a request for `path` (from its `/`). Dropping the future cancels it.
    ///
    /// # Errors
    ///
    /// When nobody answers, or the server refuses.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        let mut request = with(self.client.request(method, format!("{}{path}", self.url)));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await.map_err(|_| {
            Failure::remote(format!(
                "no caal answers at {}; start one with: caal serve",
                self.url
            ))
        })?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(refusal(status, &response.json().await.unwrap_or_default())),
        }
    }
}

/// `127.0.0.1:8889` is meant as an address, too.
fn with_scheme(url: &str) -> String {
    match url.contains("://") {
        true => url.to_owned(),
        false => format!("http://{url}"),
    }
}

/// Why the server refused.
fn refusal(status: StatusCode, body: &Value) -> Failure {
    let detail = body.get("detail").and_then(Value::as_str).map(printable);
    match (status, detail) {
        (StatusCode::UNAUTHORIZED, _) => {
            Failure::request("the server wants its key: set CAAL_API_KEY here, too")
        }
        // Our own routes say what is not there; FastAPI's "Not Found" says that there is no such route.
        (StatusCode::NOT_FOUND, Some(detail)) if body.get("code").is_some() => {
            Failure::request(detail)
        }
        (StatusCode::NOT_FOUND, _) => {
            Failure::remote("what answers there is no caal, or an old one; look at --server")
        }
        (_, Some(detail)) => Failure::remote(detail),
        (status, None) => {
            Failure::remote(format!("the server answers with HTTP {}", status.as_u16()))
        }
    }
}

/// Without control characters but line ends: what a model or a person writes must not steer the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_there_is_told_apart_from_a_server_that_does_not_know_the_route() {
        let own = json!({"code": "not_found", "detail": "there is no such timer"});
        let told = refusal(StatusCode::NOT_FOUND, &own);
        assert_eq!(told.to_string(), "there is no such timer");
        let other = refusal(StatusCode::NOT_FOUND, &json!({"detail": "Not Found"}));
        assert!(other.to_string().contains("--server"), "{other}");
    }

    #[test]
    fn an_address_may_lack_its_http() {
        assert_eq!(with_scheme("127.0.0.1:8889"), "http://127.0.0.1:8889");
        assert_eq!(with_scheme("https://caal.lan"), "https://caal.lan");
    }

    #[test]
    fn a_refusal_does_not_steer_the_terminal() {
        let told = refusal(StatusCode::CONFLICT, &json!({"detail": "a\u{1b}[2Jb"}));
        assert_eq!(told.to_string(), "a [2Jb");
    }
}
