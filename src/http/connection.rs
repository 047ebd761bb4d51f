//! `POST /api/connection-details`: where the room is and a token for it, in the body that CAAL's clients
//! read.

use std::net::IpAddr;

use axum::{
    Json,
    body::Bytes,
    extract,
    http::{HeaderMap, StatusCode, header, uri::Authority},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tracing::warn;

use super::{State, guard::Caller, own::Problem};
use crate::rtc::Inviter;

/// Longest body, bytes: what clients write there is not followed.
pub(super) const LONGEST: usize = 64 << 10;

/// Where the rooms are, and who writes invitations.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// Writes them.
    pub inviter: Inviter,
    /// Where the signalling is.
    pub place: Place,
}

/// Where the signalling is, as a browser reaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the address that the browser asked, beside this API.
    Here,
    /// At this URL; a loopback host in it stands for the host that the browser asked.
    Url(String),
}

pub(super) async fn details(
    extract::State(state): extract::State<State>,
    caller: Option<extract::Extension<Caller>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(rooms) = &state.rooms else {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "there is no room on this server",
        );
    };
    // What clients write here (names, a room's configuration) is theirs to say and not followed.
    if !body.is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
        return refuse(StatusCode::BAD_REQUEST, "the body is not JSON; send {}");
    }
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
    let Some(authority) = host.and_then(|h| h.parse::<Authority>().ok()) else {
        return refuse(StatusCode::BAD_REQUEST, "the request has no Host header");
    };
    let secure = caller.is_some_and(|extract::Extension(caller)| caller.secure);
    let invitation = match rooms.inviter.invite() {
        Ok(invitation) => invitation,
        Err(error) => {
            warn!(%error, "no invitation");
            return refuse(
                StatusCode::INTERNAL_SERVER_ERROR,
                "no token could be made; see the log",
            );
        }
    };
    let body = json!({
        "serverUrl": rooms.place.seen_from(&authority, secure),
        "roomName": invitation.room,
        "participantName": invitation.name,
        "participantToken": invitation.token.0,
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// In problem JSON, whose `detail` CAAL's clients read like FastAPI's.
fn refuse(status: StatusCode, why: &'static str) -> Response {
    let code = match status {
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::SERVICE_UNAVAILABLE => "no_room",
        StatusCode::INTERNAL_SERVER_ERROR => "internal",
        _ => "bad_request",
    };
    Problem::status(status, code, why).into_response()
}

impl Place {
    /// The URL for a browser that reached us as `asked`, over TLS or not.
    fn seen_from(&self, asked: &Authority, secure: bool) -> String {
        let scheme = if secure { "wss" } else { "ws" };
        match self {
            Self::Here => format!("{scheme}://{asked}"),
            Self::Url(url) => {
                let Some((own, rest)) = url.split_once("://") else {
                    return url.clone();
                };
                let own = own.replace("http", "ws");
                let (authority, path) = match rest.find('/') {
                    Some(at) => rest.split_at(at),
                    None => (rest, ""),
                };
                let Ok(parsed) = authority.parse::<Authority>() else {
                    return url.clone();
                };
                if !is_loopback(parsed.host()) {
                    return format!("{own}://{rest}");
                }
                let port = parsed.port().map_or(String::new(), |p| format!(":{p}"));
                format!("{own}://{}{port}{path}", asked.host())
            }
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &str) -> Authority {
        host.parse().expect("a host")
    }

    #[test]
    fn the_room_is_where_the_browser_is() {
        let here = Place::Here;
        assert_eq!(
            here.seen_from(&asked("localhost:8889"), false),
            "ws://localhost:8889"
        );
        assert_eq!(
            here.seen_from(&asked("caal.tail1.ts.net"), true),
            "wss://caal.tail1.ts.net"
        );
        let local = Place::Url("http://127.0.0.1:7880".to_owned());
        assert_eq!(
            local.seen_from(&asked("192.168.1.5:8889"), false),
            "ws://192.168.1.5:7880"
        );
        let remote = Place::Url("wss://lk.example.org/livekit".to_owned());
        assert_eq!(
            remote.seen_from(&asked("localhost:8889"), false),
            "wss://lk.example.org/livekit"
        );
    }
}
