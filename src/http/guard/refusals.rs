//! Why somebody was refused: the reasons, what the answer says, and how often each was given. Counts only:
//! nothing of a request is kept or logged here.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

/// Why a request, or a connection, was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is a key, and none was sent.
    NoKey,
    /// Another key was sent.
    WrongKey,
    /// Too many wrong keys.
    Failures,
    /// There is no key, and it does not come from this machine.
    NotHere,
    /// There is no key, and somebody else passed it on.
    Forwarded,
    /// It asks for a name that is none of ours.
    Host,
    /// A page of another origin sent it.
    Origin,
    /// Its signature is another, or incomplete.
    Signature,
    /// Its signature is older (or newer) than it may be.
    SignatureAge,
    /// Its signature was seen before.
    Replay,
    /// Its body is too long.
    Body,
    /// Its headers are too long or too many.
    Headers,
    /// Its address is too long.
    Address,
    /// Its headers or body did not come in time.
    Slow,
    /// Too many connections.
    Connections,
    /// Too many connection tests in a minute.
    Tests,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::NoKey,
        Self::WrongKey,
        Self::Failures,
        Self::NotHere,
        Self::Forwarded,
        Self::Host,
        Self::Origin,
        Self::Signature,
        Self::SignatureAge,
        Self::Replay,
        Self::Body,
        Self::Headers,
        Self::Address,
        Self::Slow,
        Self::Connections,
        Self::Tests,
    ];

    /// For programs: a label of metrics, the `code` of answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::WrongKey => "wrong_key",
            Self::Failures => "too_many_failures",
            Self::NotHere => "not_this_machine",
            Self::Forwarded => "forwarded",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Signature => "signature",
            Self::SignatureAge => "signature_age",
            Self::Replay => "replay",
            Self::Body => "body_too_large",
            Self::Headers => "headers_too_large",
            Self::Address => "address_too_long",
            Self::Slow => "too_slow",
            Self::Connections => "too_many_connections",
            Self::Tests => "too_many_tests",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::NoKey | Self::WrongKey | Self::Signature | Self::SignatureAge | Self::Replay => {
                StatusCode::UNAUTHORIZED
            }
            Self::NotHere | Self::Forwarded | Self::Origin => StatusCode::FORBIDDEN,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Failures | Self::Tests => StatusCode::TOO_MANY_REQUESTS,
            Self::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Headers => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Address => StatusCode::URI_TOO_LONG,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Connections => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// For people, with the next step.
    const fn said(self) -> &'static str {
        match self {
            Self::NoKey => {
                "this needs the key of this server: send it as Authorization: Bearer …, or log in on its page"
            }
            Self::WrongKey => {
                "this is not the key of this server; it is what CAAL_API_KEY says there"
            }
            Self::Failures => "too many wrong keys came from there; wait a minute",
            Self::NotHere => {
                "this server has no key, so only its own machine gets in; set CAAL_API_KEY there to let others in"
            }
            Self::Forwarded => {
                "this server has no key, so nothing gets in through a proxy; set CAAL_API_KEY there to let others in"
            }
            Self::Host => {
                "this server does not go by that name; if it should, add the name to CAAL_HOSTS there"
            }
            Self::Origin => {
                "a page of another origin may not ask this; if it should, add its origin to CAAL_ORIGINS on the server"
            }
            Self::Signature => "the signature does not fit the body, or a header of it is missing",
            Self::SignatureAge => {
                "the signature is more than five minutes away from this server's clock, or from before its start; sign again"
            }
            Self::Replay => "this signature was used before; sign each request anew",
            Self::Body => "the body is too long",
            Self::Headers => "the headers are too long",
            Self::Address => "the address is too long",
            Self::Slow => "the body did not come in time",
            Self::Connections => "too many connections; close some",
            Self::Tests => "too many connection tests; wait a minute",
        }
    }
}

/// Problem JSON (RFC 9457). Its `detail` is also where CAAL's clients look.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(in crate::http) struct Problem {
    /// Always `about:blank`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What the status means.
    title: &'static str,
    /// The status.
    status: u16,
    /// Why, for programs.
    code: &'static str,
    /// Why, for people, and the next step.
    detail: &'static str,
}

impl Problem {
    pub(super) fn answer(status: StatusCode, code: &'static str, detail: &'static str) -> Response {
        let problem = Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            code,
            detail,
        };
        let headers = [
            (header::CONTENT_TYPE, "application/problem+json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (status, headers, Json(problem)).into_response()
    }
}

impl IntoResponse for Reason {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = Problem::answer(status, self.name(), self.said());
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: &'static str| {
            headers.insert(name, HeaderValue::from_static(value));
        };
        match status {
            StatusCode::UNAUTHORIZED => set(header::WWW_AUTHENTICATE, "Bearer realm=\"caal\""),
            StatusCode::TOO_MANY_REQUESTS => set(header::RETRY_AFTER, "60"),
            // What is left of the body is not waited for.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                set(header::CONNECTION, "close");
            }
            _ => {}
        }
        response
    }
}

/// How often was refused for each reason since the start. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<[AtomicU64; Reason::ALL.len()]>);

impl Refusals {
    /// One more.
    pub fn count(&self, reason: Reason) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Every reason with its count, also those of none.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let counts = self.0.iter().map(|n| n.load(Ordering::Relaxed));
        Reason::ALL.iter().map(|r| r.name()).zip(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_place_and_a_name_of_its_own() {
        let refusals = Refusals::default();
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason:?}");
            refusals.count(reason);
        }
        refusals.clone().count(Reason::Replay);
        let counted: Vec<_> = refusals.iter().collect();
        let names: std::collections::BTreeSet<_> = counted.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!(counted.contains(&("replay", 2)) && counted.contains(&("no_key", 1)));
    }
}
