//! Tokens for people: what a page needs to come into the room. The same for a real server's rooms and
//! for our own, because both know key and secret.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use livekit_protocol as proto;
use livekit_token::{AccessToken, VideoGrants};

use crate::pii::Pii;

/// How long a token lets somebody in; who is in stays in, and is given newer ones.
const TTL: Duration = Duration::from_secs(15 * 60);

/// Writes invitations into one room.
#[derive(Clone, Debug)]
pub struct Inviter {
    /// API key.
    pub key: String,
    /// The secret that belongs to it.
    pub secret: Pii<String>,
    /// The room.
    pub room: String,
    /// The agent to send for by name; empty where it comes by itself.
    pub agent_name: String,
}

/// What somebody needs to come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The room.
    pub room: String,
    /// Who they are in it.
    pub identity: String,
    /// What they are called.
    pub name: String,
    /// The signed token.
    pub token: Pii<String>,
}

/// The key and secret cannot sign.
#[derive(Debug, thiserror::Error)]
#[error("no token could be signed with this API key and secret: {0}")]
pub struct InviteError(String);

impl Inviter {
    /// An invitation for somebody new: they speak, hear, write and send data.
    ///
    /// # Errors
    ///
    /// When key or secret is empty.
    pub fn invite(&self) -> Result<Invitation, InviteError> {
        // Unique, not secret.
        let number = RandomState::new().hash_one(0) % 100_000_000;
        let identity = format!("voice_assistant_user_{number}");
        let name = "user".to_owned();
        let grants = VideoGrants {
            room_join: true,
            room: self.room.clone(),
            can_publish: Some(true),
            can_subscribe: Some(true),
            can_publish_data: Some(true),
            ..Default::default()
        };
        let mut token = AccessToken::with_api_key(&self.key, &self.secret.0)
            .with_identity(&identity)
            .with_name(&name)
            .with_grants(grants)
            .with_ttl(TTL);
        if !self.agent_name.is_empty() {
            token = token.with_room_config(proto::RoomConfiguration {
                agents: vec![proto::RoomAgentDispatch {
                    agent_name: self.agent_name.clone(),
                    ..Default::default()
                }],
                ..Default::default()
            });
        }
        let token = token.to_jwt().map_err(|e| InviteError(e.to_string()))?;
        Ok(Invitation {
            room: self.room.clone(),
            identity,
            name,
            token: Pii(token),
        })
    }
}

#[cfg(test)]
mod tests {
    use livekit_token::TokenVerifier;

    use super::*;

    #[test]
    fn an_invitation_lets_one_person_into_one_room_and_sends_for_the_agent() {
        let inviter = Inviter {
            key: "APIkey".to_owned(),
            secret: Pii("a secret that is long enough".to_owned()),
            room: "kitchen".to_owned(),
            agent_name: "caal".to_owned(),
        };
        let invitation = inviter.invite().expect("signed");
        let claims = TokenVerifier::with_api_key("APIkey", &inviter.secret.0)
            .verify(&invitation.token.0)
            .expect("ours");
        assert_eq!(claims.sub, invitation.identity);
        assert_eq!(claims.video.room, "kitchen");
        assert!(claims.video.room_join && !claims.video.room_admin && !claims.video.agent);
        let config = claims.room_config.expect("a room");
        assert_eq!(config.agents[0].agent_name, "caal");
        assert_ne!(
            inviter.invite().expect("signed").identity,
            invitation.identity
        );
        assert!(!format!("{inviter:?} {invitation:?}").contains("secret that"));
    }
}
