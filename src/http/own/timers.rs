//! `GET /api/timers`, `DELETE /api/timers/{id}`: what will speak up by itself.

use axum::{
    RequestExt as _,
    extract::{Path, Request},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    super::{
        State,
        api::{Answer, Api, about},
    },
    json,
    problem::Problem,
};

/// What is to come, or rings.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Timers")]
struct All {
    /// The next one first.
    timers: Vec<Timer>,
}

/// A timer, an alarm or a reminder.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Timer")]
struct Timer {
    /// Its number.
    id: i64,
    /// `timer`, `alarm` or `reminder`.
    kind: &'static str,
    /// As its owner calls it.
    name: Option<String>,
    /// What a reminder is of.
    text: Option<String>,
    /// When it speaks up: RFC 3339, UTC.
    due_at: String,
    /// Until then; 0 where it is due.
    seconds_left: i64,
    /// As asked for, where a length of time was.
    seconds: Option<i64>,
    /// `daily`, `weekdays` or `weekends`, where it comes again.
    repeat: Option<&'static str>,
    /// It was spoken and is spoken again until somebody reacts.
    ringing: bool,
    /// The room or chat that it was asked for in.
    place: String,
}

async fn list(state: State) -> Result<Response, Problem> {
    let Some(timers) = &state.panel.timers else {
        let timers = Vec::new();
        return json(All { timers });
    };
    let (now, ringing) = (timers.now().timestamp(), timers.ringing());
    let all = timers.all().into_iter().map(|entry| Timer {
        id: entry.id,
        kind: entry.kind.name(),
        name: entry.name.map(|name| name.0),
        text: entry.text.map(|text| text.0),
        due_at: entry.due.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        seconds_left: entry.due.duration_since(now).as_secs().max(0),
        seconds: entry.seconds,
        repeat: entry.repeat.map(|repeat| repeat.name()),
        ringing: ringing.iter().any(|ring| ring.id == entry.id),
        place: entry.place,
    });
    let timers = all.collect();
    json(All { timers })
}

async fn cancel(state: State, mut request: Request) -> Result<Response, Problem> {
    let id = request.extract_parts::<Path<i64>>().await;
    let unknown = || {
        Problem::not_found(
            "there is no timer, alarm or reminder with this number; GET /api/timers and the command caal timers list them",
        )
    };
    let Path(id) = id.map_err(|_| unknown())?;
    let timers = state.panel.timers.as_ref().ok_or_else(unknown)?;
    match timers.cancel(&[id]).await {
        Ok(0) => Err(unknown()),
        Ok(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(error) => Err(Problem::internal(format!(
            "it is ended, and may come back after a restart: {error}"
        ))),
    }
}

pub(super) fn write_down(api: &mut Api) {
    let answer = Answer::Json(200, api.schema::<All>());
    let all = about(
        "/api/timers",
        "Timers",
        "Timers, alarms and reminders that are to come or ring.",
    );
    api.own(Method::GET, all, (None, answer), |state, _| list(state));
    let end = about("/api/timers/{id}", "Timers", "Ends one of them.")
        .refuses(&[(404, "There is no such timer")]);
    api.own(Method::DELETE, end, (None, Answer::Nothing), cancel);
}
