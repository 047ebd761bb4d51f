//! `GET /ready`: can it answer, and if not, what is missing. 503 until it can, so that whoever sends
//! people here (a container's health check, a proxy) waits.

use std::sync::Arc;

use axum::{
    Json,
    http::{Method, StatusCode},
    response::IntoResponse as _,
};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;

use super::{
    super::{
        Readiness, State,
        api::{Answer, Api, about},
    },
    problem::Problem,
};

/// How it is with a part of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PartState {
    /// On its way.
    Loading,
    /// There.
    Ready,
    /// A model of it is not on the disk.
    Missing,
    /// It cannot be had.
    Failed,
}

/// A part of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Part {
    /// `stt`, `llm`, `tts`, `ears`, `rooms` or `local`.
    pub name: &'static str,
    /// How it is with it.
    pub state: PartState,
    /// Which one it is, or what is wrong and what to do; for people.
    pub detail: Option<String>,
}

/// What there is in every server.
const PARTS: [&str; 5] = ["stt", "llm", "tts", "ears", "rooms"];

/// How far the parts of the server are, told by who loads them. Clones are the same.
#[derive(Clone, Debug)]
pub struct Progress(Arc<watch::Sender<Told>>);

/// The parts, and the models that are missing, by name.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    parts: Vec<Part>,
    missing: Vec<String>,
}

impl Default for Progress {
    /// Everything is on its way.
    fn default() -> Self {
        let loading = |name| Part {
            name,
            state: PartState::Loading,
            detail: None,
        };
        let parts = PARTS.map(loading).to_vec();
        let missing = Vec::new();
        Self(Arc::new(watch::Sender::new(Told { parts, missing })))
    }
}

impl Progress {
    /// How it is with the part `name` now.
    pub fn tell(&self, name: &'static str, state: PartState, detail: Option<String>) {
        let part = Part {
            name,
            state,
            detail,
        };
        self.0.send_if_modified(
            |told| match told.parts.iter_mut().find(|p| p.name == name) {
                Some(known) if *known == part => false,
                Some(known) => {
                    *known = part;
                    true
                }
                None => {
                    told.parts.push(part);
                    true
                }
            },
        );
    }

    /// These models have to be fetched before it can be ready; none: nothing is missing.
    pub fn missing(&self, models: Vec<String>) {
        self.0.send_if_modified(|told| {
            let changed = told.missing != models;
            told.missing = models;
            changed
        });
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Ready")]
pub(super) struct Standing {
    /// `ready`, or `loading`, `missing` (models have to be fetched), `no_rooms` (the LiveKit server gives it
    /// none), `draining` (asked to stop).
    status: &'static str,
    /// Which engine does what; only when ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    engines: Option<super::super::Parts>,
    /// How it is with each part.
    parts: Vec<Part>,
    /// Models that have to be fetched, by name.
    missing: Vec<String>,
}

impl Standing {
    pub(super) fn of(state: &State) -> Self {
        let Told { mut parts, missing } = state.panel.progress.0.borrow().clone();
        let readiness = state.readiness.borrow().clone();
        let status = match &readiness {
            Readiness::Ready(_) if away(&parts) => "no_rooms",
            Readiness::Ready(_) => "ready",
            Readiness::Draining => "draining",
            Readiness::Loading if missing.is_empty() => "loading",
            Readiness::Loading => "missing",
        };
        let engines = match readiness {
            Readiness::Ready(engines) => Some(engines),
            Readiness::Loading | Readiness::Draining => None,
        };
        if let Some(engines) = &engines {
            // Which one it is may change while it runs.
            for part in &mut parts {
                let name = match part.name {
                    "stt" => &engines.stt,
                    "llm" => &engines.llm,
                    "tts" => &engines.tts,
                    _ => continue,
                };
                part.state = PartState::Ready;
                part.detail = Some(name.clone());
            }
            if let Some(local) = &engines.local {
                parts.push(Part {
                    name: "local",
                    state: match (&local.problem, &local.microphone, &local.loudspeaker) {
                        (Some(_), ..) => PartState::Failed,
                        (None, Some(_), Some(_)) => PartState::Ready,
                        (None, ..) => PartState::Loading,
                    },
                    detail: local.problem.clone(),
                });
            }
        }
        Self {
            status,
            engines,
            parts,
            missing,
        }
    }

    fn status(&self) -> StatusCode {
        match self.status {
            "ready" => StatusCode::OK,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Whether nobody can come into a room.
fn away(parts: &[Part]) -> bool {
    let mut rooms = parts.iter().filter(|part| part.name == "rooms");
    rooms.any(|part| part.state != PartState::Ready)
}

pub(super) fn write_down(api: &mut Api) {
    let answer = Answer::Either(api.schema::<Standing>());
    let about = about(
        "/ready",
        "Server",
        "Whether it can answer; if not, what is missing.",
    );
    api.own(Method::GET, about, (None, answer), |state, _| async move {
        let report = Standing::of(&state);
        let response = (report.status(), Json(report)).into_response();
        Ok::<_, Problem>(response)
    });
}
