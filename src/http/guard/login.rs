//! How our page logs in: it sends the key once and gets a cookie that it cannot read. Three routes, open to
//! everybody, for they tell nothing else.

use axum::{
    Extension, Json, Router,
    body::{Body, to_bytes},
    extract,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};

use super::{Caller, Guard, refusals::Problem, sessions};
use crate::pii::Pii;

/// Longest body with a key, bytes.
const LONGEST: usize = 8 << 10;

pub(super) fn routes(guard: Guard) -> Router {
    Router::new()
        .route("/api/session", get(session))
        .route("/api/login", post(login))
        .route("/api/logout", post(logout))
        .with_state(guard)
}

/// Whether the key is asked for.
#[derive(Serialize)]
struct Session {
    /// There is a key.
    key_needed: bool,
    /// Whoever asks is in.
    logged_in: bool,
}

#[derive(Deserialize)]
struct Login {
    key: String,
}

impl Session {
    fn answer(self, cookie: Option<String>) -> Response {
        let mut response = Json(self).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(cookie) = cookie {
            let cookie = HeaderValue::from_str(&cookie).expect("made of plain letters");
            headers.insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

async fn session(
    extract::State(guard): extract::State<Guard>,
    Extension(caller): Extension<Caller>,
) -> Response {
    let session = Session {
        key_needed: guard.0.lock.is_some(),
        logged_in: caller.entered,
    };
    session.answer(None)
}

async fn login(
    extract::State(guard): extract::State<Guard>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(lock) = &guard.0.lock else {
        let session = Session {
            key_needed: false,
            logged_in: true,
        };
        return session.answer(None);
    };
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|k| k.to_str().ok());
    let kind = kind.and_then(|k| k.split(';').next()).unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("application/json") {
        // A form of another page cannot send that.
        let why = "send the key as JSON: {\"key\": \"…\"}";
        return Problem::answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, "no_json", why);
    }
    let Ok(body) = to_bytes(body, LONGEST).await else {
        let why = "this is longer than any key";
        return Problem::answer(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", why);
    };
    // The parser's error would quote what was sent.
    let Ok(login) = serde_json::from_slice::<Login>(&body) else {
        let why = "send the key as JSON: {\"key\": \"…\"}";
        return Problem::answer(StatusCode::UNPROCESSABLE_ENTITY, "no_login", why);
    };
    let shown = Pii(login.key);
    if let Err(reason) = guard.opens(lock, shown.0.trim(), caller.address) {
        return guard.refuse(reason);
    }
    lock.sessions.end(&headers);
    let cookie = sessions::cookie(Some(&lock.sessions.begin()), caller.secure);
    keep(&guard).await;
    let session = Session {
        key_needed: true,
        logged_in: true,
    };
    session.answer(Some(cookie))
}

async fn logout(
    extract::State(guard): extract::State<Guard>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    let Some(lock) = &guard.0.lock else {
        let why = "nobody logs in where there is no key";
        return Problem::answer(StatusCode::NOT_FOUND, "no_login", why);
    };
    if lock.sessions.end(&headers) {
        keep(&guard).await;
    }
    let session = Session {
        key_needed: true,
        logged_in: false,
    };
    session.answer(Some(sessions::cookie(None, caller.secure)))
}

/// Keeps who is logged in; the answer waits for that.
async fn keep(guard: &Guard) {
    let guard = guard.clone();
    let written = tokio::task::spawn_blocking(move || {
        if let Some(lock) = &guard.0.lock {
            lock.sessions.write();
        }
    });
    // It says itself what goes wrong.
    let _ = written.await;
}
