//! The door: LiveKit's signalling over HTTP and WebSocket. Tokens are checked before anything else; what
//! a stranger sends is bounded before it is read.

use std::{
    io::Read as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{
        ConnectInfo, FromRequestParts, Request, State,
        ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade, close_code},
    },
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::{SinkExt as _, StreamExt as _};
use livekit_protocol as lk;
use livekit_token::Claims;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};

use super::{
    Shared, api,
    keys::Refused,
    room::{Input, Join},
};

/// Longest message from a client: a description with many sections.
const LONGEST_MESSAGE: usize = 256 * 1024;

/// Longest query: a token and a description, in base64.
const LONGEST_QUERY: usize = 96 * 1024;

/// Messages that wait for a client.
const MESSAGES: usize = 256;

/// A client pings every five seconds.
const SILENCE: Duration = Duration::from_secs(15);

/// How long one message may take to be taken.
const SLOWEST: Duration = Duration::from_secs(10);

/// How long a client may take to answer the last word.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let rpc = "/twirp/livekit.RoomService";
    Router::new()
        .route("/", get(async || "OK"))
        .route("/rtc", get(v0))
        .route("/rtc/v1", get(v1))
        .route("/rtc/validate", get(validate_v0))
        .route("/rtc/v1/validate", get(validate_v1))
        .route(&format!("{rpc}/ListRooms"), post(api::list_rooms))
        .route(&format!("{rpc}/SendData"), post(api::send_data))
        .layer(middleware::from_fn(any_origin))
        .layer(axum::extract::DefaultBodyLimit::max(256 * 1024))
        .with_state(shared)
}

/// Pages of any origin may come: what protects is the token.
async fn any_origin(request: Request, next: Next) -> Response {
    let mut response = match *request.method() {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*, Authorization"),
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, HEAD, POST, OPTIONS",
        ),
        (HeaderName::from_static("access-control-max-age"), "86400"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V0,
    V1,
}

async fn v0(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    connect(shared, request, Version::V0).await
}

async fn v1(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    connect(shared, request, Version::V1).await
}

async fn validate_v0(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    validate(&shared, &request, Version::V0)
}

async fn validate_v1(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    validate(&shared, &request, Version::V1)
}

fn validate(shared: &Shared, request: &Request, version: Version) -> Response {
    if version == Version::V1 && !shared.options.v1 {
        return StatusCode::NOT_FOUND.into_response();
    }
    match admit(shared, request) {
        Ok(_) => "success".into_response(),
        Err(refused) => refuse(refused),
    }
}

/// What the request's token allows.
fn admit(shared: &Shared, request: &Request) -> Result<Claims, Refused> {
    let query = request.uri().query().unwrap_or_default();
    let token = match bearer(request.headers()) {
        Some(token) => token.to_owned(),
        None => parameter(query, "access_token").unwrap_or_default(),
    };
    shared.keys.verify_join(&token)
}

pub(super) fn refuse(refused: Refused) -> Response {
    let status = match refused {
        Refused::Missing | Refused::Invalid => StatusCode::UNAUTHORIZED,
        Refused::NotAllowed => StatusCode::FORBIDDEN,
        Refused::Identity => StatusCode::BAD_REQUEST,
    };
    (status, refused.to_string()).into_response()
}

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

async fn connect(shared: Arc<Shared>, request: Request, version: Version) -> Response {
    let (mut parts, _) = request.into_parts();
    let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await else {
        return (StatusCode::NOT_FOUND, "this is for WebSockets").into_response();
    };
    if version == Version::V1 && !shared.options.v1 {
        return StatusCode::NOT_FOUND.into_response();
    }
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let address = address.map_or(IpAddr::from(Ipv4Addr::UNSPECIFIED), |a| a.0.ip());
    let request = Request::from_parts(parts, axum::body::Body::empty());
    let claims = match admit(&shared, &request) {
        Ok(claims) => claims,
        Err(refused) => return refuse(refused),
    };
    if !shared.may_join(address, &claims.sub) {
        return (
            StatusCode::TOO_MANY_REQUESTS,
            "too many joins: wait a minute",
        )
            .into_response();
    }
    let query = request.uri().query().unwrap_or_default();
    let Some(wish) = wish(query, version) else {
        return (StatusCode::BAD_REQUEST, "the join request cannot be read").into_response();
    };
    upgrade
        .max_message_size(LONGEST_MESSAGE)
        .max_frame_size(LONGEST_MESSAGE)
        .on_upgrade(move |socket| serve(shared, socket, claims, version, wish))
}

/// What a client wants, from its query.
fn wish(query: &str, version: Version) -> Option<lk::JoinRequest> {
    if query.len() > LONGEST_QUERY {
        return None;
    }
    if version == Version::V1 {
        let wrapped = unbase64(&parameter(query, "join_request")?)?;
        let wrapped = lk::WrappedJoinRequest::decode(&wrapped[..]).ok()?;
        let gzip = wrapped.compression == lk::wrapped_join_request::Compression::Gzip as i32;
        let bytes = match gzip {
            true => {
                let mut out = Vec::new();
                flate2::read::GzDecoder::new(&wrapped.join_request[..])
                    .take(LONGEST_MESSAGE as u64)
                    .read_to_end(&mut out)
                    .ok()?;
                out
            }
            false => wrapped.join_request,
        };
        return lk::JoinRequest::decode(&bytes[..]).ok();
    }
    let number = |name| parameter(query, name).and_then(|v| v.parse().ok());
    let capabilities = parameter(query, "capabilities").unwrap_or_default();
    let capabilities = capabilities
        .split(',')
        .filter_map(lk::client_info::Capability::from_str_name)
        .map(|c| c as i32)
        .collect();
    let attributes = parameter(query, "attributes")
        .and_then(|v| unbase64(&v))
        .and_then(|json| serde_json::from_slice(&json).ok());
    Some(lk::JoinRequest {
        client_info: Some(lk::ClientInfo {
            client_protocol: number("client_protocol").unwrap_or(0),
            capabilities,
            ..Default::default()
        }),
        participant_attributes: attributes.unwrap_or_default(),
        reconnect: parameter(query, "reconnect").is_some_and(|v| v == "1"),
        participant_sid: parameter(query, "sid").unwrap_or_default(),
        ..Default::default()
    })
}

/// Reads a query as both doors would.
pub(super) fn rehearse(query: &str) {
    for version in [Version::V0, Version::V1] {
        let _ = wish(query, version);
    }
}

async fn serve(
    shared: Arc<Shared>,
    socket: WebSocket,
    claims: Claims,
    version: Version,
    request: lk::JoinRequest,
) {
    let (out, mut messages) = mpsc::channel(MESSAGES);
    let name = claims.video.room.clone();
    let join = Join {
        claims,
        single: version == Version::V1,
        resume: request.reconnect.then(|| request.participant_sid.clone()),
        request,
        out,
        reply: oneshot::channel().0,
    };
    let entered = shared.enter(join, &name).await;
    let (mut write, mut read) = socket.split();
    let outward = async {
        while let Some(message) = messages.recv().await {
            let response = lk::SignalResponse {
                message: Some(message),
            };
            let frame = Frame::Binary(response.encode_to_vec().into());
            if !matches!(
                tokio::time::timeout(SLOWEST, write.send(frame)).await,
                Ok(Ok(()))
            ) {
                return;
            }
        }
        // The room has said its last word.
        let over = Frame::Close(Some(CloseFrame {
            code: close_code::NORMAL,
            reason: "".into(),
        }));
        let _ = tokio::time::timeout(SLOWEST, write.send(over)).await;
    };
    let Some((room, id, line)) = entered else {
        outward.await;
        return;
    };
    let inward = async {
        while let Ok(Some(Ok(frame))) = tokio::time::timeout(SILENCE, read.next()).await {
            let bytes = match frame {
                Frame::Binary(bytes) => bytes,
                Frame::Close(_) => return,
                _ => continue,
            };
            let request = lk::SignalRequest::decode(&bytes[..]);
            let Some(message) = request.ok().and_then(|r| r.message) else {
                continue;
            };
            let input = Input::Request(id, line, Box::new(message));
            if room.send(input).await.is_err() {
                return;
            }
        }
    };
    // What is still to be said (a goodbye) goes out although the client has stopped talking: the room
    // lets go of its end when it has taken note.
    let mut outward = std::pin::pin!(outward);
    tokio::select! {
        () = &mut outward => {}
        () = inward => {
            let _ = room.send(Input::Gone(id, line)).await;
            let _ = tokio::time::timeout(SLOWEST, outward).await;
        }
    }
    let _ = room.send(Input::Gone(id, line)).await;
    // A connection that is dropped with something unread is reset, and the last words may be lost with it.
    let farewell = async { while let Some(Ok(_)) = read.next().await {} };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

/// The value of a parameter in a query.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|p| p.split_once('='));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    let (mut out, bytes) = (Vec::with_capacity(value.len()), value.as_bytes());
    let mut at = 0;
    while at < bytes.len() {
        let hex = value.get(at + 1..at + 3);
        match (bytes[at], hex.map(|h| u8::from_str_radix(h, 16))) {
            (b'%', Some(Ok(byte))) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).ok()
}

/// Base64 of either alphabet, padded or not; a plus that a query made a blank counts as a plus.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut have) = (0u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' | b' ' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(six)) & 0xff_ffff;
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_and_unescaped() {
        let query = "a=1&access_token=x%2By+z%zz&b=";
        assert_eq!(parameter(query, "access_token").unwrap(), "x+y z%zz");
        assert_eq!(parameter(query, "b").unwrap(), "");
        assert_eq!(parameter(query, "c"), None);
    }

    #[test]
    fn base64_is_read_in_either_alphabet() {
        for text in ["-_8=", "+/8", " _8", "-_8"] {
            assert_eq!(unbase64(text).unwrap(), [0xfb, 0xff]);
        }
        assert_eq!(unbase64("!"), None);
    }
}
