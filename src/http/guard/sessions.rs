//! Who is logged in on the page: random tokens in a cookie, of which only keyed hashes are kept, in memory and
//! in a file for this user's eyes only, so that a restart logs nobody out. The hashes are keyed with the key of
//! the server: another key logs everybody out.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use axum::http::{HeaderMap, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::key::chance;
use crate::pii::Pii;

/// The cookie's name.
const COOKIE: &str = "caal_session";

/// How long a login lasts.
const LASTS: Duration = Duration::from_secs(30 * 24 * 3600);

/// Logins at once; the oldest is forgotten for a new one.
const MOST: usize = 100;

/// Longest file that is read, bytes.
const LONGEST: u64 = 64 * 1024;

/// Logins, as they are kept.
pub(super) struct Sessions {
    key: hmac::Key,
    file: PathBuf,
    /// Held for moments only. In the order of their logins.
    held: Mutex<Vec<Session>>,
    /// Held while the file is written, so that the last to write has the last state.
    writing: Mutex<()>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Session {
    /// HMAC-SHA256 of the token, base64.
    token: String,
    /// Until when, seconds since 1970.
    until: u64,
}

impl Sessions {
    /// Those that `file` keeps, of whoever logged in with `key`.
    pub(super) fn kept(key: &Pii<String>, file: &Path) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.0.as_bytes());
        let sessions = Self {
            key,
            file: file.to_owned(),
            held: Mutex::default(),
            writing: Mutex::default(),
        };
        match read(file) {
            Ok(kept) => *sessions.held() = kept,
            Err(error) => warn!(%error, "logins of before are forgotten"),
        }
        sessions
    }

    /// A new login: its token. What is kept changes with [`Sessions::write`].
    pub(super) fn begin(&self) -> String {
        let token = URL_SAFE_NO_PAD.encode(chance::<32>());
        let (hash, now) = (self.hash(&token), now());
        let mut held = self.held();
        held.retain(|session| session.until > now);
        if held.len() >= MOST {
            held.remove(0);
        }
        held.push(Session {
            token: hash,
            until: now + LASTS.as_secs(),
        });
        token
    }

    /// Whether somebody with these headers is logged in.
    pub(super) fn has(&self, headers: &HeaderMap) -> bool {
        tokens(headers).any(|token| {
            // Of a hash, so that the time that finding it takes tells nothing about the token.
            let (hash, now) = (self.hash(token), now());
            let held = self.held();
            held.iter().any(|s| s.token == hash && s.until > now)
        })
    }

    /// Ends the logins of these headers. True where there was one.
    pub(super) fn end(&self, headers: &HeaderMap) -> bool {
        let hashes: Vec<String> = tokens(headers).map(|token| self.hash(token)).collect();
        let mut held = self.held();
        let before = held.len();
        held.retain(|session| !hashes.contains(&session.token));
        held.len() < before
    }

    /// Keeps what is so now in the file. Waits for the disk.
    pub(super) fn write(&self) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.held().clone();
        if let Err(error) = replace(&self.file, &held) {
            warn!(%error, file = %self.file.display(), "a restart will log people out");
        }
    }

    fn hash(&self, token: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, token.as_bytes()))
    }

    fn held(&self) -> MutexGuard<'_, Vec<Session>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tokens in cookies of ours: a few, for whatever else a browser sends.
fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    let pairs = cookies
        .filter_map(|c| c.to_str().ok())
        .flat_map(|c| c.split(';'));
    pairs
        .filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
        .filter(|token| token.len() < 100)
        .take(4)
}

/// The cookie of a login, or the one that takes it away. `secure` where the browser came over TLS.
pub(super) fn cookie(token: Option<&str>, secure: bool) -> String {
    let lasts = token.map_or(0, |_| LASTS.as_secs());
    let secure = if secure { "; Secure" } else { "" };
    let token = token.unwrap_or_default();
    format!("{COOKIE}={token}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Strict{secure}")
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn read(file: &Path) -> io::Result<Vec<Session>> {
    let length = match fs::metadata(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found?.len(),
    };
    if length > LONGEST {
        return Err(io::Error::other("the file is too long"));
    }
    let mut kept: Vec<Session> = serde_json::from_slice(&fs::read(file)?)?;
    kept.truncate(MOST);
    Ok(kept)
}

fn replace(file: &Path, sessions: &[Session]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let fresh = file.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&fresh)?;
    serde_json::to_writer(&mut out, sessions)?;
    out.flush()?;
    out.sync_all()?;
    fs::rename(&fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(token: &str) -> HeaderMap {
        let cookie = format!("theme=dark; {COOKIE}={token}; other=1");
        HeaderMap::from_iter([(header::COOKIE, cookie.parse().unwrap())])
    }

    fn key(text: &str) -> Pii<String> {
        Pii(text.to_owned())
    }

    #[test]
    fn a_login_outlives_a_restart_and_ends_with_its_end_or_another_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("logins");
        let sessions = Sessions::kept(&key("one"), &file);
        let (token, other) = (sessions.begin(), sessions.begin());
        sessions.write();
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&token), "only hashes are kept");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert!(!Sessions::kept(&key("two"), &file).has(&with(&token)));
        let again = Sessions::kept(&key("one"), &file);
        assert!(again.has(&with(&token)) && !again.has(&with("x")));
        assert!(!again.has(&HeaderMap::new()));
        assert!(again.end(&with(&token)) && !again.end(&with(&token)));
        again.write();
        let third = Sessions::kept(&key("one"), &file);
        assert!(!third.has(&with(&token)) && third.has(&with(&other)));
    }

    #[test]
    fn the_oldest_login_goes_for_the_newest_and_old_ones_end() {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::kept(&key("k"), &folder.path().join("logins"));
        let tokens: Vec<String> = (0..=MOST).map(|_| sessions.begin()).collect();
        assert!(!sessions.has(&with(&tokens[0])));
        assert!(sessions.has(&with(&tokens[1])) && sessions.has(&with(&tokens[MOST])));
        sessions.held()[0].until = now();
        assert!(!sessions.has(&with(&tokens[1])));
    }

    #[test]
    fn a_file_that_is_none_of_ours_logs_nobody_in_and_is_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("logins");
        fs::write(&file, "[1").unwrap();
        let sessions = Sessions::kept(&key("k"), &file);
        assert!(!sessions.has(&with("")));
        let token = sessions.begin();
        sessions.write();
        assert!(Sessions::kept(&key("k"), &file).has(&with(&token)));
    }
}
