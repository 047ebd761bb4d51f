//! How the LiveKit crates reach a server: WebSocket over tokio-tungstenite, HTTP over reqwest, both with
//! the process's one TLS library and the system's roots. Tokens travel in headers and appear in no error.

use std::{
    sync::{Arc, Once, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use livekit_net::{
    Header, HttpClient, HttpMethod, HttpResponse, TransportError, WsClient, WsConnectResult,
    WsConnection,
};
use tokio::{net::TcpStream, sync::Mutex, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::{HeaderName, HeaderValue},
        protocol::WebSocketConfig,
    },
};

/// Longest message of a server; its own bound on what clients send is 2 MiB.
const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// How long one message, or one whole HTTP request, may take to get through.
const SEND: Duration = Duration::from_secs(5);

/// How long a goodbye may take.
const CLOSE: Duration = Duration::from_secs(1);

/// Longest HTTP answer that is read.
const MAX_BODY: usize = 1024 * 1024;

/// Makes the LiveKit crates use this transport. Again does nothing.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        crate::tls::install();
        livekit_net::set_ws_client(Arc::new(Net));
        livekit_net::set_http_client(Arc::new(Net));
    });
}

/// Opens a WebSocket with a bearer token; `url` begins with `ws` or `wss`.
pub(super) async fn connect(
    url: &str,
    token: &str,
    within: Duration,
) -> Result<Arc<dyn WsConnection>, TransportError> {
    install();
    let opened = Net.connect(
        url.to_owned(),
        vec![bearer(token)],
        u64::try_from(within.as_millis()).unwrap_or(u64::MAX),
    );
    Ok(opened.await?.connection)
}

/// Posts a protobuf message to `url` (`http` or `https`) with a bearer token.
pub(super) async fn post(
    url: String,
    token: &str,
    body: Vec<u8>,
) -> Result<HttpResponse, TransportError> {
    install();
    let kind = Header {
        name: "content-type".to_owned(),
        value: "application/protobuf".to_owned(),
    };
    let headers = vec![bearer(token), kind];
    Net.request(HttpMethod::Post, url, headers, Some(body))
        .await
}

fn bearer(token: &str) -> Header {
    Header {
        name: "authorization".to_owned(),
        value: format!("Bearer {token}"),
    }
}

struct Net;

#[async_trait]
impl WsClient for Net {
    async fn connect(
        &self,
        url: String,
        headers: Vec<Header>,
        timeout_ms: u64,
    ) -> Result<WsConnectResult, TransportError> {
        let mut request = url.into_client_request().map_err(said)?;
        for Header { name, value } in headers {
            let name = HeaderName::try_from(name).map_err(said)?;
            // The error would not repeat the value, but a token is not even offered to it.
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| TransportError::Other("a header that cannot be sent".to_owned()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let opening = connect_async_with_config(request, Some(config), true);
        let opened = timeout(Duration::from_millis(timeout_ms), opening).await;
        let (socket, _) = match opened {
            Err(_) => return Err(TransportError::Timeout),
            Ok(Err(Error::Http(response))) => {
                let status = response.status().as_u16();
                return Err(TransportError::Http { status });
            }
            Ok(Err(error)) => return Err(said(error)),
            Ok(Ok(opened)) => opened,
        };
        let (sink, stream) = socket.split();
        Ok(WsConnectResult {
            connection: Arc::new(Connection {
                sink: Mutex::new(sink),
                stream: Mutex::new(stream),
            }),
        })
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One open WebSocket. Each half has its own lock, held while one message goes through: the trait takes
/// `&self`, and each half has one user.
struct Connection {
    sink: Mutex<SplitSink<Socket, Message>>,
    stream: Mutex<SplitStream<Socket>>,
}

#[async_trait]
impl WsConnection for Connection {
    async fn send(&self, frame: Vec<u8>) -> Result<(), TransportError> {
        let mut sink = self.sink.lock().await;
        match timeout(SEND, sink.send(Message::Binary(frame.into()))).await {
            Err(_) => Err(TransportError::Timeout),
            Ok(sent) => sent.map_err(said),
        }
    }

    async fn recv(&self) -> Result<Option<Vec<u8>>, TransportError> {
        let mut stream = self.stream.lock().await;
        loop {
            match stream.next().await {
                Some(Ok(Message::Binary(bytes))) => return Ok(Some(bytes.into())),
                Some(Ok(Message::Close(_))) | None => return Ok(None),
                Some(Ok(_)) => {} // pings are answered below us
                Some(Err(error)) => return Err(said(error)),
            }
        }
    }

    async fn close(&self) {
        let mut sink = self.sink.lock().await;
        // Whether it was heard does not matter any more.
        let _ = timeout(CLOSE, sink.close()).await;
    }
}

#[async_trait]
impl HttpClient for Net {
    async fn request(
        &self,
        method: HttpMethod,
        url: String,
        headers: Vec<Header>,
        body: Option<Vec<u8>>,
    ) -> Result<HttpResponse, TransportError> {
        let client = client()?;
        let mut request = match method {
            HttpMethod::Get => client.get(url),
            HttpMethod::Post => client.post(url),
        };
        for Header { name, value } in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let failed = |e: reqwest::Error| said(e.without_url());
        let mut response = request.send().await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > MAX_BODY {
                return Err(TransportError::Other("an answer over 1 MiB".to_owned()));
            }
            body.extend_from_slice(&piece);
        }
        Ok(HttpResponse {
            status: response.status().as_u16(),
            headers: Vec::new(),
            body,
        })
    }
}

fn client() -> Result<&'static reqwest::Client, TransportError> {
    static CLIENT: OnceLock<Result<reqwest::Client, String>> = OnceLock::new();
    CLIENT
        .get_or_init(|| {
            let builder = reqwest::Client::builder()
                .timeout(SEND)
                .redirect(reqwest::redirect::Policy::none());
            builder.build().map_err(|e| e.to_string())
        })
        .as_ref()
        .map_err(|e| TransportError::Other(e.clone()))
}

fn said(error: impl std::fmt::Display) -> TransportError {
    TransportError::Connection(error.to_string())
}
