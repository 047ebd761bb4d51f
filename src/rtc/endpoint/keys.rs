//! The key and secret of the embedded room, and the tokens that they sign. A token is the only way in,
//! on loopback too: any page in a browser can reach loopback.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use livekit_token::{AccessToken, Claims, TokenVerifier, VideoGrants};

use crate::{fault::Fault, pii::Pii, rtc::Inviter};

/// Longest identity that gets in.
const MAX_IDENTITY: usize = 256;

/// Longest token that is read.
const MAX_TOKEN: usize = 16 * 1024;

/// How long a minted token lets in.
const TTL: Duration = Duration::from_secs(15 * 60);

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the room's key file {} cannot be used", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is none of ours.
    #[error("{} does not hold a key and a secret; delete it to have new ones made", path.display())]
    Content {
        /// Which.
        path: PathBuf,
    },
    /// The machine gives no random numbers.
    #[error("the machine gives no random numbers")]
    Chance,
    /// An empty key, or a secret too short to protect anything.
    #[error("the API key is empty or the API secret has fewer than 16 letters")]
    Weak,
}

impl KeyError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            Self::File { .. } | Self::Content { .. } | Self::Weak => Fault::Request,
            Self::Chance => Fault::Internal,
        }
    }
}

/// Why a token does not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// None was sent.
    #[error("no token was sent")]
    Missing,
    /// Another key, a bad signature, too old or not valid yet.
    #[error("the token is not valid here: wrong key, or too old")]
    Invalid,
    /// It is for something else.
    #[error("the token does not allow this")]
    NotAllowed,
    /// Its identity is empty or longer than 256 bytes.
    #[error("the token's identity is empty or too long")]
    Identity,
}

/// Key and secret.
pub struct Keys {
    key: String,
    secret: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// Keys that somebody chose.
    ///
    /// # Errors
    /// [`KeyError::Weak`].
    pub fn new(key: &str, secret: &str) -> Result<Self, KeyError> {
        if key.is_empty() || secret.len() < 16 {
            return Err(KeyError::Weak);
        }
        Ok(Self {
            key: key.to_owned(),
            secret: secret.to_owned(),
        })
    }

    /// The keys kept at `path`; made and kept there, for the owner's eyes only, when there is no such
    /// file.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn kept(path: &Path) -> Result<Self, KeyError> {
        let file = |source| KeyError::File {
            path: path.to_owned(),
            source,
        };
        match fs::read_to_string(path) {
            Ok(text) => {
                let broken = || KeyError::Content {
                    path: path.to_owned(),
                };
                let (key, secret) = text.trim().split_once('\n').ok_or_else(broken)?;
                Self::new(key.trim(), secret.trim()).map_err(|_| broken())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let made = Self {
                    key: format!("API{}", letters(12)?),
                    secret: letters(43)?,
                };
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder).map_err(file)?;
                }
                let mut options = fs::OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                match options.open(path) {
                    Ok(mut out) => {
                        writeln!(out, "{}\n{}", made.key, made.secret)
                            .and_then(|()| out.sync_all())
                            .map_err(file)?;
                        Ok(made)
                    }
                    // Another process of ours was quicker.
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Self::kept(path),
                    Err(e) => Err(file(e)),
                }
            }
            Err(e) => Err(file(e)),
        }
    }

    /// What writes invitations into `room` with these keys.
    pub fn inviter(&self, room: &str) -> Inviter {
        Inviter {
            key: self.key.clone(),
            secret: Pii(self.secret.clone()),
            room: room.to_owned(),
            agent_name: String::new(),
        }
    }

    /// A token for a user of a chosen identity: joins `room`, speaks, hears, writes, sets their own
    /// attributes; 15 minutes.
    ///
    /// # Errors
    /// Identity or room is empty.
    pub fn mint(&self, identity: &str, name: &str, room: &str) -> Result<String, Refused> {
        if identity.is_empty() {
            return Err(Refused::Identity);
        }
        if room.is_empty() {
            return Err(Refused::NotAllowed);
        }
        let grants = VideoGrants {
            room_join: true,
            room: room.to_owned(),
            can_publish: Some(true),
            can_subscribe: Some(true),
            can_publish_data: Some(true),
            can_update_own_metadata: Some(true),
            ..Default::default()
        };
        Ok(self.sign(
            AccessToken::with_api_key(&self.key, &self.secret)
                .with_identity(identity)
                .with_name(name)
                .with_grants(grants)
                .with_ttl(TTL),
        ))
    }

    /// A token for the server side: lists rooms and sends data into `room`.
    pub fn mint_admin(&self, room: &str) -> String {
        let grants = VideoGrants {
            room_list: true,
            room_admin: true,
            room: room.to_owned(),
            ..Default::default()
        };
        self.sign(
            AccessToken::with_api_key(&self.key, &self.secret)
                .with_grants(grants)
                .with_ttl(TTL),
        )
    }

    /// The same rights for 15 minutes more.
    pub(super) fn renew(&self, claims: &Claims) -> String {
        self.sign(
            AccessToken::with_api_key(&self.key, &self.secret)
                .with_identity(&claims.sub)
                .with_name(&claims.name)
                .with_kind(&claims.kind)
                .with_metadata(&claims.metadata)
                .with_grants(claims.video.clone())
                .with_ttl(TTL),
        )
    }

    fn sign(&self, token: AccessToken) -> String {
        token
            .to_jwt()
            .expect("keys, identity and room are not empty, and strings can be signed")
    }

    /// What a token allows, when it is ours and of now.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn verify(&self, token: &str) -> Result<Claims, Refused> {
        if token.is_empty() {
            return Err(Refused::Missing);
        }
        if token.len() > MAX_TOKEN {
            return Err(Refused::Invalid);
        }
        TokenVerifier::with_api_key(&self.key, &self.secret)
            .verify(token)
            .map_err(|_| Refused::Invalid)
    }

    /// What a token that lets into a room allows.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn verify_join(&self, token: &str) -> Result<Claims, Refused> {
        let claims = self.verify(token)?;
        let room = &claims.video.room;
        if !claims.video.room_join || room.is_empty() || room.len() > MAX_IDENTITY {
            return Err(Refused::NotAllowed);
        }
        if claims.sub.is_empty() || claims.sub.len() > MAX_IDENTITY || claims.name.len() > 1024 {
            return Err(Refused::Identity);
        }
        Ok(claims)
    }
}

/// `n` random letters and digits.
///
/// # Errors
/// [`KeyError::Chance`].
pub(super) fn letters(n: usize) -> Result<String, KeyError> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789xy";
    let mut bytes = vec![0; n];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| KeyError::Chance)?;
    Ok(bytes
        .iter()
        .map(|b| char::from(ALPHABET[usize::from(b & 63)]))
        .collect())
}
