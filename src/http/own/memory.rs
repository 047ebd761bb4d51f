//! `/memory` and `/facts`: what the assistant was asked to remember, for a while and for good.

use std::time::Duration;

use axum::{
    RequestExt as _,
    extract::{Path, Request},
    http::{Method, StatusCode},
    response::IntoResponse as _,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        State,
        api::{Answer, Api, Input, about},
    },
    body,
    conversations::{BROKEN, BUSY, moment},
    json,
    problem::Problem,
};
use crate::tools::memory::{Fact, Memory, MemoryError, Note};

/// How many minutes something is remembered at most: a year.
const LONGEST_STAY: u64 = 527_040;

/// What is to be noted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MemoryRequest")]
struct Wanted {
    /// A short name.
    #[schemars(length(min = 1, max = 100))]
    key: String,
    /// What is to be remembered.
    #[schemars(length(min = 1, max = 2000))]
    value: String,
    /// For how many minutes; seven days where it is not said.
    #[serde(default)]
    #[schemars(range(min = 1, max = 527_040))]
    ttl_minutes: Option<u64>,
}

/// Short-term memory.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Memory")]
struct Notes {
    /// By key.
    entries: Vec<Entry>,
}

/// Something that is remembered for a while.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MemoryEntry")]
struct Entry {
    /// Its name, in small letters.
    key: String,
    /// What is remembered.
    value: String,
    /// Since when: RFC 3339, UTC.
    stored_at: String,
    /// Until when; null for ever.
    expires_at: Option<String>,
    /// Who stored it: `assistant` or `api`.
    source: String,
}

/// What the user asked to remember for good.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Facts")]
struct Facts {
    /// Whether they are used (setting memory_enabled).
    enabled: bool,
    /// Oldest first.
    facts: Vec<Known>,
}

/// A fact.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Fact")]
struct Known {
    /// From 1; never given twice.
    id: i64,
    /// One line.
    text: String,
    /// Since when: RFC 3339, UTC.
    stored_at: String,
}

impl From<Note> for Entry {
    fn from(note: Note) -> Self {
        Self {
            key: note.key.0,
            value: note.value.0,
            stored_at: moment(note.stored_at),
            expires_at: note.expires_at.map(moment),
            source: note.source,
        }
    }
}

impl From<&Fact> for Known {
    fn from(fact: &Fact) -> Self {
        Self {
            id: fact.id,
            text: fact.text.0.clone(),
            stored_at: moment(fact.stored_at),
        }
    }
}

impl From<MemoryError> for Problem {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Off => Self::conflict(error.to_string()),
            MemoryError::Refused(why) => Self::invalid("value", why),
            MemoryError::Store(error) => error.into(),
        }
    }
}

const NO_NOTE: &str = "Nothing is remembered under this key";
const NO_FACT: &str = "There is no such fact";
const ONE: &[(u16, &str)] = &[(404, NO_NOTE), OFF, BROKEN, BUSY];
const OFF: (u16, &str) = (409, "Memory is switched off");

fn memory(state: &State) -> &Memory {
    &state.panel.memory
}

pub(super) fn write_down(api: &mut Api) {
    notes(api);
    facts(api);
}

fn notes(api: &mut Api) {
    let answer = Answer::Json(200, api.schema::<Notes>());
    let all =
        about("/memory", "Memory", "What is remembered for a while.").refuses(&[OFF, BROKEN, BUSY]);
    api.own(Method::GET, all, (None, answer), |state, _| async move {
        let notes = memory(&state).notes().await?;
        json(Notes {
            entries: notes.into_iter().map(Entry::from).collect(),
        })
    });

    let schema = api.schema::<Wanted>();
    let optional = false;
    let input = Input::Body { schema, optional };
    let answer = Answer::Json(200, api.schema::<Entry>());
    let store = about(
        "/memory",
        "Memory",
        "Remembers a value under a key for a while, in the place of what was there.",
    )
    .refuses(&[OFF, BROKEN, BUSY]);
    let take = |state: State, request: Request| async move {
        let wanted: Wanted = body(request.into_body()).await?;
        if !wanted
            .ttl_minutes
            .is_none_or(|ttl| (1..=LONGEST_STAY).contains(&ttl))
        {
            let why = format!("it is a number from 1 to {LONGEST_STAY}");
            return Err(Problem::invalid("ttl_minutes", why));
        }
        let stay = wanted.ttl_minutes.map(|ttl| Duration::from_secs(60 * ttl));
        let memory = memory(&state);
        let note = memory.store_note(&wanted.key, &wanted.value, stay, "api");
        json(Entry::from(note.await?))
    };
    api.own(Method::POST, store, (Some(input), answer), take);

    let clear = about(
        "/memory",
        "Memory",
        "Forgets everything that is remembered for a while.",
    )
    .refuses(&[BROKEN, BUSY]);
    api.own(
        Method::DELETE,
        clear,
        (None, Answer::Nothing),
        |state, _| async move {
            memory(&state).clear_notes().await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        },
    );

    let answer = Answer::Json(200, api.schema::<Entry>());
    let one = about("/memory/{key}", "Memory", "What is remembered under a key.").refuses(ONE);
    api.own(
        Method::GET,
        one,
        (None, answer),
        move |state, mut request| async move {
            let key = name(&mut request, NO_NOTE).await?;
            let note = memory(&state).note(&key).await?;
            json(Entry::from(note.ok_or_else(|| no_such(NO_NOTE))?))
        },
    );

    let delete = about(
        "/memory/{key}",
        "Memory",
        "Forgets what is remembered under a key.",
    )
    .refuses(ONE);
    api.own(
        Method::DELETE,
        delete,
        (None, Answer::Nothing),
        move |state, mut request| async move {
            let key = name(&mut request, NO_NOTE).await?;
            match memory(&state).delete_note(&key).await? {
                true => Ok(StatusCode::NO_CONTENT.into_response()),
                false => Err(no_such(NO_NOTE)),
            }
        },
    );
}

fn facts(api: &mut Api) {
    let answer = Answer::Json(200, api.schema::<Facts>());
    let all = about(
        "/facts",
        "Memory",
        "What the user asked to remember for good; also while memory is switched off.",
    );
    api.own(Method::GET, all, (None, answer), |state, _| async move {
        let memory = memory(&state);
        json(Facts {
            enabled: memory.is_enabled(),
            facts: memory.facts().iter().map(Known::from).collect(),
        })
    });

    let one =
        about("/facts/{id}", "Memory", "Forgets a fact.").refuses(&[(404, NO_FACT), BROKEN, BUSY]);
    api.own(
        Method::DELETE,
        one,
        (None, Answer::Nothing),
        |state, mut request| async move {
            let id = name(&mut request, NO_FACT).await?;
            let id = id.parse().map_err(|_| no_such(NO_FACT))?;
            match memory(&state).delete_fact(id).await? {
                true => Ok(StatusCode::NO_CONTENT.into_response()),
                false => Err(no_such(NO_FACT)),
            }
        },
    );
}

fn no_such(what: &str) -> Problem {
    let mut what = what.to_owned();
    what[..1].make_ascii_lowercase();
    Problem::not_found(what)
}

async fn name(request: &mut Request, none: &str) -> Result<String, Problem> {
    let name = request.extract_parts::<Path<String>>().await;
    name.map(|Path(name)| name).map_err(|_| no_such(none))
}
