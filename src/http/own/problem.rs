//! How our own endpoints refuse: problem JSON (RFC 9457) with a code for programs and a sentence for people.

use std::collections::BTreeMap;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

/// Why there is no answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::http) struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong and what to do, for people.
    detail: String,
    /// For programs: bad_request, invalid, forbidden, not_found, method_not_allowed, too_long, conflict,
    /// busy, loading, no_room, no_answer or internal.
    code: &'static str,
    /// With `invalid`: what is wrong with which field.
    fields: BTreeMap<&'static str, String>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            fields: BTreeMap::new(),
        }
    }

    /// The request is not as it should be.
    pub(in crate::http) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// The value of `field` cannot be used.
    pub(super) fn invalid(field: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        let detail = format!("{field}: {why}");
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail);
        problem.fields.insert(field, why);
        problem
    }

    /// There is no such thing.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// Not by this method.
    pub(in crate::http) fn wrong_method() -> Self {
        let detail = "this address takes another method; see the header Allow";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    /// The body is longer than `most` bytes, or broke off.
    pub(super) fn too_long(most: usize) -> Self {
        let detail = format!("the body is longer than {most} bytes, or broke off");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", detail)
    }

    /// Something else stands in the way.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// A moment later it may be possible.
    pub(super) fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
    }

    /// Models are on their way.
    pub(super) fn loading(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "loading", detail)
    }

    /// A refusal of CAAL's clients' own endpoint for connections: not there, or not for them.
    pub(in crate::http) fn status(status: StatusCode, code: &'static str, detail: &str) -> Self {
        Self::new(status, code, detail)
    }

    /// A bug, or a broken machine.
    pub(in crate::http) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).expect("made from one");
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
