//! The server's key and secret, the tokens made with them, and the one question put to its API.

use std::{fmt, time::Duration};

use livekit_protocol::{ListRoomsRequest, ListRoomsResponse, SendDataRequest, data_packet::Kind};
use livekit_token::{AccessToken, Claims, VideoGrants};
use prost::Message;

use super::{JoinError, roster::AGENT_NAME, transport};
use crate::{fault::Fault, pii::Pii, rtc::Identity};

/// How long a token is good for: to get in, and back in.
const LIFE: Duration = Duration::from_secs(3600);

/// How long the server may take to answer its API.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why data was not sent into a room.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nobody holds it.
    #[error("the LiveKit server has no such room")]
    NoRoom,
    /// It was not reached, or refused.
    #[error(
        "the LiveKit server cannot be asked: {0}; check LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET"
    )]
    Server(String),
}

impl SendError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoRoom => Fault::Request,
            Self::Server(_) => Fault::Remote,
        }
    }
}

/// A LiveKit server and our key to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    url: String,
    key: String,
    secret: Pii<String>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.url).finish()
    }
}

impl Server {
    /// The server at `url` (`ws`, `wss`, `http` or `https`, with or without a path).
    ///
    /// # Errors
    /// [`JoinError::Url`]: it is no such address.
    pub fn new(url: &str, key: &str, secret: &str) -> Result<Self, JoinError> {
        let url = url.trim().trim_end_matches('/');
        let bad = || JoinError::Url(url.chars().take(200).collect());
        let url = match url.split_once("://") {
            Some(("ws" | "http", rest)) => format!("ws://{rest}"),
            Some(("wss" | "https", rest)) => format!("wss://{rest}"),
            _ => return Err(bad()),
        };
        let parsed = reqwest::Url::parse(&url).map_err(|_| bad())?;
        // A password in an address would end up in the log.
        if !parsed.has_host() || !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(bad());
        }
        Ok(Self {
            url,
            key: key.to_owned(),
            secret: Pii(secret.to_owned()),
        })
    }

    /// Its address, `ws` or `wss`, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same server's key, another of its addresses.
    pub(super) fn at(&self, url: &str) -> Result<Self, JoinError> {
        Self::new(url, &self.key, &self.secret.0)
    }

    /// A token with which we join `room` as an assistant.
    pub(super) fn room_token(
        &self,
        room: &str,
        us: &Identity,
        name: &str,
        agent_name: &str,
    ) -> Result<String, JoinError> {
        let grants = VideoGrants {
            room_join: true,
            room: room.to_owned(),
            agent: true,
            can_publish: Some(true),
            can_subscribe: Some(true),
            can_publish_data: Some(true),
            can_update_own_metadata: Some(true),
            ..Default::default()
        };
        self.token(grants, |token| {
            token
                .with_identity(us.as_str())
                .with_name(name)
                .with_kind("agent")
                .with_attributes([(AGENT_NAME, agent_name)])
        })
    }

    /// A token with which a worker registers.
    pub(super) fn worker_token(&self) -> Result<String, JoinError> {
        let grants = VideoGrants {
            agent: true,
            ..Default::default()
        };
        self.token(grants, |token| token)
    }

    /// Whether the server has the room now; `None`: it cannot be asked.
    pub(super) async fn has_room(&self, room: &str) -> Option<bool> {
        let grants = VideoGrants {
            room_list: true,
            ..Default::default()
        };
        let token = self.token(grants, |token| token).ok()?;
        let base = self.url.replacen("ws", "http", 1);
        let url = format!("{base}/twirp/livekit.RoomService/ListRooms");
        let request = ListRoomsRequest {
            names: vec![room.to_owned()],
        };
        let answer = transport::post(url, &token, request.encode_to_vec())
            .await
            .ok()?;
        if answer.status != 200 {
            return None;
        }
        let rooms = ListRoomsResponse::decode(&answer.body[..]).ok()?.rooms;
        Some(rooms.iter().any(|r| r.name == room))
    }

    /// Sends a reliable data packet to everybody in `room`, as the server's API does.
    ///
    /// # Errors
    ///
    /// When nobody is in the room, or the server cannot be asked.
    pub async fn send_data(
        &self,
        room: &str,
        topic: &str,
        payload: Vec<u8>,
    ) -> Result<(), SendError> {
        let grants = VideoGrants {
            room_admin: true,
            room: room.to_owned(),
            ..Default::default()
        };
        let failed = |why: String| SendError::Server(why);
        let token = self
            .token(grants, |token| token)
            .map_err(|e| failed(e.to_string()))?;
        let base = self.url.replacen("ws", "http", 1);
        let request = SendDataRequest {
            room: room.to_owned(),
            data: payload,
            kind: Kind::Reliable.into(),
            topic: Some(topic.to_owned()),
            ..Default::default()
        };
        let url = format!("{base}/twirp/livekit.RoomService/SendData");
        let asked = transport::post(url, &token, request.encode_to_vec());
        let answer = tokio::time::timeout(PATIENCE, asked).await;
        let answer = answer.map_err(|_| failed("it does not answer".to_owned()))?;
        match answer.map_err(|e| failed(e.to_string()))?.status {
            200 => Ok(()),
            // "No response from servers": nobody holds the room.
            404 | 503 => Err(SendError::NoRoom),
            status => Err(failed(format!("it answered with status {status}"))),
        }
    }

    fn token(
        &self,
        grants: VideoGrants,
        more: impl FnOnce(AccessToken) -> AccessToken,
    ) -> Result<String, JoinError> {
        let token = AccessToken::with_api_key(&self.key, &self.secret.0)
            .with_ttl(LIFE)
            .with_grants(grants);
        more(token)
            .to_jwt()
            .map_err(|e| JoinError::Token(e.to_string()))
    }
}

/// When a token ends, in seconds since 1970; its signature is the server's business.
pub(super) fn expiry(token: &str) -> Option<u64> {
    let claims = Claims::from_unverified(token).ok()?;
    u64::try_from(claims.exp).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_usual_form_are_taken() {
        for (given, url) in [
            ("ws://host:7880", "ws://host:7880"),
            ("http://host:7880/", "ws://host:7880"),
            ("https://host/livekit/", "wss://host/livekit"),
        ] {
            assert_eq!(Server::new(given, "k", "s").unwrap().url(), url);
        }
        for bad in ["", "host:7880", "ftp://host", "ws://", "ws://me:pw@host"] {
            assert!(Server::new(bad, "k", "s").is_err(), "{bad}");
        }
    }

    #[test]
    fn tokens_name_the_assistant_and_end_within_the_hour() {
        let server = Server::new("ws://host", "key", "secret").unwrap();
        let us = Identity::new("agent-1");
        let token = server.room_token("den", &us, "Caal", "caal").unwrap();
        let claims = Claims::from_unverified(&token).unwrap();
        assert_eq!(
            (claims.sub.as_str(), claims.kind.as_str()),
            ("agent-1", "agent")
        );
        assert_eq!(claims.attributes[AGENT_NAME], "caal");
        assert!(claims.video.room_join && claims.video.room == "den");
        assert_eq!(expiry(&token).unwrap() as usize, claims.exp);
        assert!(!format!("{server:?}").contains("secret"));
    }
}
