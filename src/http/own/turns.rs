//! `GET /api/turns`: how long the answers of the last while took.

use std::time::SystemTime;

use axum::{
    http::{Method, StatusCode},
    response::IntoResponse as _,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    super::api::{Answer, Api, Input, about, pairs},
    json,
    problem::Problem,
};
use crate::{
    session::{self, Past},
    telemetry::Outcome,
};

/// Turns that are told where nobody says how many.
const USUAL: usize = 100;

/// Which turns.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "read for its schema: a query is text")]
struct Which {
    /// How many at most, from the newest; 100 where it is not said.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
    /// Only those of this room.
    room: Option<String>,
}

/// Past turns.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Turns")]
struct Turns {
    /// Whether words are kept (setting keep_turn_words).
    words: bool,
    /// How many turns are remembered at most.
    kept: usize,
    /// Newest first.
    turns: Vec<Turn>,
}

/// One turn.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Turn {
    /// From 1, since the server was started.
    id: u64,
    /// When the question was over: RFC 3339, UTC.
    at: String,
    /// The room; empty for this machine's own sound.
    room: String,
    /// From the user's last speech to the first sound of the answer; none for a typed question.
    total_ms: Option<u32>,
    /// Its parts, one after the other.
    stages: Vec<Stage>,
    /// Asked by voice.
    spoken: bool,
    /// Somebody cut in.
    interrupted: bool,
    /// What the user said, where words are kept.
    user: Option<String>,
    /// What was heard of the answer, where words are kept.
    assistant: Option<String>,
}

/// A part of a turn.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Stage {
    /// `endpoint`, `stt`, `llm`, `clause`, `tts` or `playout`.
    name: &'static str,
    /// How long it took.
    ms: u32,
}

impl From<Past> for Turn {
    fn from(past: Past) -> Self {
        let stages = past.timings.stages();
        let (user, assistant) = past
            .words
            .map(|(user, assistant)| (user.0, assistant.0))
            .unzip();
        Self {
            id: past.id,
            at: calendar(past.asked_at),
            room: past.room,
            total_ms: past.timings.total_ms,
            stages: stages.map(|(name, ms)| Stage { name, ms }).collect(),
            spoken: past.timings.turn.is_some(),
            interrupted: past.outcome == Outcome::Interrupted,
            user,
            assistant,
        }
    }
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn calendar(at: SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).unwrap_or_default();
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn number(text: &str) -> Result<usize, Problem> {
    let most = session::Turns::KEPT;
    let number = text.parse().ok().filter(|n| (1..=most).contains(n));
    number.ok_or_else(|| Problem::invalid("limit", format!("it is a number from 1 to {most}")))
}

pub(super) fn write_down(api: &mut Api) {
    let input = Input::Query(api.schema::<Which>());
    let answer = Answer::Json(200, api.schema::<Turns>());
    let past = about(
        "/api/turns",
        "Panel",
        "The turns of the last while with their latency; their words only where the owner keeps them.",
    );
    api.own(
        Method::GET,
        past,
        (Some(input), answer),
        |state, request| async move {
            let (mut limit, mut room) = (USUAL, None);
            for (key, value) in pairs(request.uri()) {
                match key.as_str() {
                    "limit" => limit = number(&value)?,
                    "room" => room = Some(value),
                    _ => {}
                }
            }
            let turns = &state.panel.turns;
            let past = turns.last(limit, room.as_deref());
            json(Turns {
                words: turns.keeps_words(),
                kept: session::Turns::KEPT,
                turns: past.into_iter().map(Turn::from).collect(),
            })
        },
    );
    let forget = about("/api/turns", "Panel", "Forgets the past turns.");
    api.own(
        Method::DELETE,
        forget,
        (None, Answer::Nothing),
        |state, _| async move {
            state.panel.turns.forget();
            Ok(StatusCode::NO_CONTENT.into_response())
        },
    );
}
