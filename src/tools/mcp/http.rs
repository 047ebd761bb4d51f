//! MCP over our own HTTP client: streamable HTTP as `rmcp` wants it, and event streams, which the older
//! way uses, too. No answer is longer than [`MOST`], and no error holds an address or a token.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::BoxStream};
use reqwest::{
    Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue},
    redirect,
};
use rmcp::{
    model::{ClientJsonRpcMessage, JsonRpcMessage, ServerJsonRpcMessage},
    transport::streamable_http_client::{
        SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    },
};
use sse_stream::{Sse, SseStream};

/// The longest answer, or event, in bytes.
pub(super) const MOST: usize = 4 * 1024 * 1024;

const SESSION: &str = "mcp-session-id";
const EVENTS: &str = "text/event-stream";
const JSON: &str = "application/json";

/// What is wrong with a server's answer; each reads on from the server's name.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub(in crate::tools) enum HttpError {
    #[error("it cannot be reached at its address")]
    Unreachable,
    #[error("the connection broke off")]
    Broken,
    #[error("it did not answer in time")]
    Slow,
    #[error("it refuses the token (HTTP 401); check the token")]
    Token,
    #[error("it refuses access (HTTP 403); check the token, and that MCP is allowed there")]
    Forbidden,
    #[error("it was asked too often (HTTP 429); it answers again in a few minutes")]
    Busy,
    #[error("it answers with HTTP {0}; check its address")]
    Status(u16),
    #[error("it answers with more than 4 MB")]
    TooLong,
    #[error("what it answers is not MCP; check its address")]
    Nonsense,
}

impl HttpError {
    /// A sentence for ears, of the server `called` so.
    pub(super) fn said_of(&self, called: &str) -> String {
        match self {
            HttpError::Unreachable => format!("{called} cannot be reached at the moment."),
            HttpError::Broken => format!("The connection to {called} broke off."),
            HttpError::Slow => format!("{called} did not answer in time."),
            HttpError::Token => format!("{called} refuses my token. Check it in the settings."),
            HttpError::Forbidden => {
                format!("{called} does not let me in. Check the token in the settings.")
            }
            HttpError::Busy => format!("{called} was asked too often. Try again in a few minutes."),
            HttpError::Status(status) => format!("{called} answers with error {status}."),
            HttpError::TooLong => format!("The answer of {called} is longer than 4 MB."),
            HttpError::Nonsense => format!("{called} gave an answer that I cannot read."),
        }
    }
}

impl From<reqwest::Error> for HttpError {
    fn from(e: reqwest::Error) -> Self {
        match e {
            e if e.is_timeout() => HttpError::Slow,
            e if e.is_connect() => HttpError::Unreachable,
            _ => HttpError::Broken,
        }
    }
}

type Failed = StreamableHttpError<HttpError>;

/// A client for one server. Clones are the same.
#[derive(Clone)]
pub(super) struct Http {
    client: reqwest::Client,
    /// The last failure: what `rmcp` makes of it does not always keep the reason.
    note: Arc<Mutex<Option<HttpError>>>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

/// A client that gives up connecting after `patience`, and follows nobody elsewhere: a token is for one
/// address. `None` where the machine lets nobody make one.
pub(in crate::tools) fn client(url: &reqwest::Url, patience: Duration) -> Option<reqwest::Client> {
    crate::tls::install();
    let mut builder = reqwest::Client::builder()
        .connect_timeout(patience)
        .redirect(redirect::Policy::none());
    let here = match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host
            .parse()
            .is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback()),
        None => false,
    };
    if here {
        // A proxy from the environment cannot reach this machine's own servers.
        builder = builder.no_proxy();
    }
    builder.build().ok()
}

impl Http {
    pub(super) fn new(client: reqwest::Client) -> Self {
        Self {
            client,
            note: Arc::default(),
        }
    }

    /// Why the last request that failed did so; then it is forgotten.
    pub(super) fn take_note(&self) -> Option<HttpError> {
        self.note
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub(super) fn noted(&self, error: HttpError) -> HttpError {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        error
    }

    /// Sends `request`, and judges how its answer begins.
    pub(super) async fn send(
        &self,
        request: reqwest::RequestBuilder,
        token: Option<&str>,
    ) -> Result<Response, HttpError> {
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().await.map_err(|e| self.noted(e.into()))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::UNAUTHORIZED => Err(self.noted(HttpError::Token)),
            StatusCode::FORBIDDEN => Err(self.noted(HttpError::Forbidden)),
            StatusCode::TOO_MANY_REQUESTS => Err(self.noted(HttpError::Busy)),
            status => Err(self.noted(HttpError::Status(status.as_u16()))),
        }
    }

    pub(super) fn get(&self, url: &str) -> reqwest::RequestBuilder {
        self.client.get(url).header(ACCEPT, EVENTS)
    }

    pub(super) fn post(
        &self,
        url: &str,
        message: &ClientJsonRpcMessage,
    ) -> reqwest::RequestBuilder {
        self.client
            .post(url)
            .header(ACCEPT, "application/json, text/event-stream")
            .json(message)
    }

    /// The events of `response`; the stream ends with an error where one is longer than [`MOST`].
    pub(super) fn events(&self, response: Response) -> BoxStream<'static, Result<Sse, SseError>> {
        let (mut event, mut newline) = (0, false);
        let http = self.clone();
        let bounded = response.bytes_stream().map(move |chunk| {
            let chunk = chunk.map_err(|e| http.noted(e.into()))?;
            for byte in &chunk {
                match byte {
                    b'\n' if newline => (event, newline) = (0, false),
                    b'\n' => newline = true,
                    b'\r' => {}
                    _ => newline = false,
                }
                event += 1;
            }
            match event <= MOST {
                true => Ok(chunk),
                false => Err(http.noted(HttpError::TooLong)),
            }
        });
        // After an error the rest is not read.
        let mut over = false;
        let bounded = bounded.take_while(move |chunk| {
            let go_on = !over;
            over = chunk.is_err();
            std::future::ready(go_on)
        });
        SseStream::from_bytes_stream(bounded.boxed()).boxed()
    }

    /// The body of `response`, at most [`MOST`].
    pub(super) async fn body(&self, response: Response) -> Result<Vec<u8>, HttpError> {
        bounded_body(response).await.map_err(|e| self.noted(e))
    }
}

/// The body of `response`, at most [`MOST`] bytes of it.
pub(in crate::tools) async fn bounded_body(mut response: Response) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MOST {
            return Err(HttpError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn is(response: &Response, kind: &str) -> bool {
    let given = response.headers().get(CONTENT_TYPE);
    let given = given.and_then(|v| v.to_str().ok()).unwrap_or_default();
    given
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case(kind)
}

fn with_headers(
    mut request: reqwest::RequestBuilder,
    session: Option<&str>,
    headers: HashMap<HeaderName, HeaderValue>,
) -> reqwest::RequestBuilder {
    for (name, value) in headers {
        request = request.header(name, value);
    }
    match session {
        Some(session) => request.header(SESSION, session),
        None => request,
    }
}

impl StreamableHttpClient for Http {
    type Error = HttpError;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let failed = |e| Err(StreamableHttpError::Client(e));
        let request = with_headers(self.post(&uri, &message), session.as_deref(), headers);
        let response = match self.send(request, token.as_deref()).await {
            Ok(response) => response,
            Err(HttpError::Status(404)) if session.is_some() => {
                return Err(StreamableHttpError::SessionExpired);
            }
            Err(e) => return failed(e),
        };
        if matches!(
            response.status(),
            StatusCode::ACCEPTED | StatusCode::NO_CONTENT
        ) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        let session = response.headers().get(SESSION);
        let session = session.and_then(|id| id.to_str().ok()).map(str::to_owned);
        if is(&response, EVENTS) {
            return Ok(StreamableHttpPostResponse::Sse(
                self.events(response),
                session,
            ));
        }
        let json = is(&response, JSON);
        let body = match self.body(response).await {
            Ok(body) => body,
            Err(e) => return failed(e),
        };
        match serde_json::from_slice::<ServerJsonRpcMessage>(&body) {
            Ok(answer) if json => Ok(StreamableHttpPostResponse::Json(answer, session)),
            // Some servers answer a notification with something of their own.
            _ if !matches!(message, JsonRpcMessage::Request(_)) => {
                Ok(StreamableHttpPostResponse::Accepted)
            }
            _ => failed(self.noted(HttpError::Nonsense)),
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failed> {
        let request = with_headers(self.client.delete(&*uri), Some(&session), headers);
        // A server that keeps no sessions refuses, which is all the same to us.
        let request = request.timeout(Duration::from_secs(2));
        let _ = self.send(request, token.as_deref()).await;
        self.take_note();
        Ok(())
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last: Option<String>,
        token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        let mut request = with_headers(self.get(&uri), session.as_deref(), headers);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let opened = self.send(request, token.as_deref()).await;
        self.take_note(); // nobody waits for this one
        match opened {
            Ok(response) if is(&response, EVENTS) => Ok(self.events(response)),
            Ok(_) | Err(HttpError::Status(405)) => {
                Err(StreamableHttpError::ServerDoesNotSupportSse)
            }
            Err(HttpError::Status(404)) if session.is_some() => {
                Err(StreamableHttpError::SessionExpired)
            }
            Err(e) => Err(StreamableHttpError::Client(e)),
        }
    }
}
