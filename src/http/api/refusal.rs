//! How a request is refused, in the words of FastAPI: CAAL's clients read `detail`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::http) enum Refusal {
    /// A status and a sentence.
    Plain(StatusCode, String),
    /// 422 with every problem of the request.
    Invalid(Vec<Problem>),
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ValidationError")]
pub(in crate::http) struct Problem {
    /// Which kind of problem, as pydantic names it: `missing`, `string_type`.
    #[serde(rename = "type")]
    pub(in crate::http) kind: &'static str,
    /// Where: `body` or `query`, then the names of keys.
    pub(in crate::http) loc: Vec<Step>,
    /// What is wrong, for people.
    pub(in crate::http) msg: String,
    /// What was sent there; secrets are masked.
    pub(in crate::http) input: Value,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::http) ctx: Option<Context>,
}

/// More about a [`Problem`].
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ValidationContext")]
pub(in crate::http) struct Context {
    /// What the parser says.
    pub(in crate::http) error: String,
}

/// One step of the way to a problem.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "ValidationStep")]
pub(in crate::http) enum Step {
    /// A key.
    Key(String),
    /// A place in a list, or in the text.
    Place(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

/// The body of a 422.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HTTPValidationError")]
pub(in crate::http) struct InvalidBody {
    /// All of them.
    pub(in crate::http) detail: Vec<Problem>,
}

/// The body of every other refusal.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Detail")]
pub(in crate::http) struct PlainBody {
    /// A sentence.
    pub(in crate::http) detail: String,
}

impl Refusal {
    pub(in crate::http) fn not_found(detail: impl Into<String>) -> Self {
        Self::Plain(StatusCode::NOT_FOUND, detail.into())
    }

    pub(in crate::http) fn internal(detail: impl Into<String>) -> Self {
        Self::Plain(StatusCode::INTERNAL_SERVER_ERROR, detail.into())
    }

    pub(in crate::http) fn busy(detail: impl Into<String>) -> Self {
        Self::Plain(StatusCode::SERVICE_UNAVAILABLE, detail.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(detail) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                Json(InvalidBody { detail }),
            )
                .into_response(),
            Self::Plain(status, detail) => {
                let mut response = (status, Json(PlainBody { detail })).into_response();
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    let soon = HeaderValue::from_static("1");
                    response.headers_mut().insert(header::RETRY_AFTER, soon);
                }
                response
            }
        }
    }
}
