//! `/conversations`: what was said and is kept on the disk: listed, read, deleted, and all of it as lines of
//! JSON.

use std::convert::Infallible;

use axum::{
    RequestExt as _,
    body::{Body, Bytes},
    extract::{Path, Request},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tracing::warn;

use super::{
    super::{
        State,
        api::{Answer, Api, Input, about, pairs},
    },
    json,
    problem::Problem,
};
use crate::{
    pii::Pii,
    store::{
        Conversations, StoreError,
        conversations::{Message, Summary, Which},
    },
};

/// Conversations that are told where nobody says how many.
const USUAL: u32 = 50;

/// And at most.
const MOST: u32 = 500;

/// Longest text to look for, characters.
const LONGEST_TEXT: usize = 200;

/// Which conversations.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "read for its schema: a query is text")]
struct Query {
    /// How many at most, from the newest; 50 where it is not said.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Only those that began before the one with this id: the last of the page before.
    #[schemars(range(min = 1))]
    before: Option<i64>,
    /// Only those in which this was said; capitals do not matter.
    #[schemars(length(max = 200))]
    q: Option<String>,
}

/// Conversations that are kept.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Conversations")]
struct Listed {
    /// Whether what is said is kept (setting conversation_history).
    kept: bool,
    /// Newest first.
    conversations: Vec<About>,
}

/// A conversation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Conversation")]
struct About {
    /// From 1; never given twice.
    id: i64,
    /// The room; empty for this machine's own sound.
    room: String,
    /// Its first words.
    title: String,
    /// When it began: RFC 3339, UTC.
    started_at: String,
    /// When its last answer was over.
    updated_at: String,
    /// How many messages it has.
    message_count: i64,
}

/// A conversation with its words.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConversationWithMessages")]
struct Whole {
    #[serde(flatten)]
    about: About,
    /// Oldest first.
    messages: Vec<Said>,
}

/// A message.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConversationMessage")]
struct Said {
    /// When it was over: RFC 3339, UTC.
    at: String,
    /// `user`, `assistant` or `tool`.
    role: String,
    /// What the user said, or heard.
    text: String,
    /// It was heard to its end; else somebody cut in.
    complete: bool,
    /// What else is known: how it ended, how long it took in milliseconds.
    meta: Option<Value>,
}

/// What was deleted.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ConversationsDeleted")]
struct Deleted {
    /// How many conversations.
    deleted: usize,
}

impl From<Summary> for About {
    fn from(summary: Summary) -> Self {
        Self {
            id: summary.id,
            room: summary.room,
            title: summary.title.0,
            started_at: moment(summary.started_at),
            updated_at: moment(summary.updated_at),
            message_count: summary.messages,
        }
    }
}

impl From<Message> for Said {
    fn from(message: Message) -> Self {
        let meta = message.meta;
        Self {
            at: moment(message.at),
            role: message.role,
            text: message.text.0,
            complete: message.complete,
            meta: meta.and_then(|meta| serde_json::from_str(&meta).ok()),
        }
    }
}

impl Whole {
    fn of((about, messages): (Summary, Vec<Message>)) -> Self {
        Self {
            about: about.into(),
            messages: messages.into_iter().map(Said::from).collect(),
        }
    }
}

/// A conversation as `GET /conversations/export` tells it: JSON, and a line's end.
pub fn conversation_line(one: (Summary, Vec<Message>)) -> String {
    let line = serde_json::to_string(&Whole::of(one));
    let mut line = line.expect("text, numbers and JSON are JSON");
    line.push('\n');
    line
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn moment(ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::busy(error.to_string()),
            other => Self::internal(other.to_string()),
        }
    }
}

/// What every endpoint on the store may say.
pub(super) const BROKEN: (u16, &str) = (500, "The file cannot be used");
/// The same.
pub(super) const BUSY: (u16, &str) = (503, "The file is busy");

const NONE: (u16, &str) = (404, "There is no such conversation");

pub(super) fn write_down(api: &mut Api) {
    let input = Input::Query(api.schema::<Query>());
    let answer = Answer::Json(200, api.schema::<Listed>());
    let about_list = about(
        "/conversations",
        "Conversations",
        "The conversations that are kept on the disk, newest first; those in which something was said.",
    )
    .refuses(&[BROKEN, BUSY]);
    api.own(Method::GET, about_list, (Some(input), answer), list);

    let answer = Answer::Json(200, api.schema::<Deleted>());
    let about_all = about(
        "/conversations",
        "Conversations",
        "Deletes all conversations from the disk.",
    )
    .refuses(&[BROKEN, BUSY]);
    api.own(
        Method::DELETE,
        about_all,
        (None, answer),
        |state, _| async move {
            let deleted = kept(&state).delete_all().await?;
            json(Deleted { deleted })
        },
    );

    let about_export = about(
        "/conversations/export",
        "Conversations",
        "All conversations with their messages, oldest first: a line of JSON for each.",
    )
    .refuses(&[BROKEN, BUSY]);
    let answer = Answer::Media("application/x-ndjson");
    api.own(Method::GET, about_export, (None, answer), export);

    let answer = Answer::Json(200, api.schema::<Whole>());
    let about_one = about(
        "/conversations/{id}",
        "Conversations",
        "A conversation with its messages, oldest first.",
    )
    .refuses(&[NONE, BROKEN, BUSY]);
    api.own(
        Method::GET,
        about_one,
        (None, answer),
        |state, mut request| async move {
            let id = id(&mut request).await?;
            let found = kept(&state).get(id).await?;
            json(Whole::of(found.ok_or_else(no_such)?))
        },
    );

    let about_delete = about(
        "/conversations/{id}",
        "Conversations",
        "Deletes a conversation from the disk. One that goes on is kept as another from its next words on.",
    )
    .refuses(&[NONE, BROKEN, BUSY]);
    api.own(
        Method::DELETE,
        about_delete,
        (None, Answer::Nothing),
        |state, mut request| async move {
            let id = id(&mut request).await?;
            match kept(&state).delete(id).await? {
                true => Ok(StatusCode::NO_CONTENT.into_response()),
                false => Err(no_such()),
            }
        },
    );
}

fn kept(state: &State) -> &Conversations {
    &state.panel.conversations
}

fn no_such() -> Problem {
    Problem::not_found("there is no such conversation; GET /conversations lists them")
}

/// What is no number is none of ours, either.
async fn id(request: &mut Request) -> Result<i64, Problem> {
    let id = request.extract_parts::<Path<String>>().await;
    let Path(id) = id.map_err(|_| no_such())?;
    id.parse().map_err(|_| no_such())
}

async fn list(state: State, request: Request) -> Result<Response, Problem> {
    let mut which = Which {
        limit: USUAL,
        ..Which::default()
    };
    for (key, value) in pairs(request.uri()) {
        match key.as_str() {
            "limit" => {
                let limit = value.parse().ok().filter(|n| (1..=MOST).contains(n));
                let why = || Problem::invalid("limit", format!("it is a number from 1 to {MOST}"));
                which.limit = limit.ok_or_else(why)?;
            }
            "before" => {
                let before = value.parse().ok().filter(|n| *n >= 1);
                let why = || Problem::invalid("before", "it is the id of a conversation");
                which.before = Some(before.ok_or_else(why)?);
            }
            "q" if value.chars().count() > LONGEST_TEXT => {
                let why = format!("it is longer than {LONGEST_TEXT} characters; look for less");
                return Err(Problem::invalid("q", why));
            }
            "q" if !value.is_empty() => which.text = Some(Pii(value)),
            _ => {}
        }
    }
    let conversations = kept(&state).list(which).await?;
    json(Listed {
        kept: kept(&state).keeps(),
        conversations: conversations.into_iter().map(About::from).collect(),
    })
}

/// One conversation after the other from the file, as fast as somebody takes them. Where the file fails on
/// the way the answer breaks off, which is in the log.
async fn export(state: State, _: Request) -> Result<Response, Problem> {
    let conversations = kept(&state).clone();
    let first = conversations.after(0).await?;
    let lines = stream::unfold((conversations, first), |(conversations, next)| async {
        let next = next?;
        let id = next.0.id;
        let line = conversation_line(next);
        let after = conversations.after(id).await.unwrap_or_else(|error| {
            warn!("not all conversations were exported: {error}");
            None
        });
        Some((
            Ok::<_, Infallible>(Bytes::from(line)),
            (conversations, after),
        ))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"conversations.jsonl\"",
        ),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    Ok((headers, Body::from_stream(lines)).into_response())
}
