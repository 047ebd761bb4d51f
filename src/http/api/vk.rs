//! VK-Agent's endpoints: whoever spoke to its bridge speaks to the assistant in the room. Its document
//! gives a body for `/screen` only (that is in `screen`); the others are ours, with a `status` first.

use std::time::Duration;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::{Api, Refusal, State, about, check::problem, screen};
use crate::{
    http::Readiness,
    pii::Pii,
    room::{Order, OrderError},
    rtc::AgentState,
};

/// Where callers are, unless they say otherwise.
const ROOM: &str = "voice_assistant_room";

/// Longest question, bytes.
const LONGEST: usize = 16_000;

/// How long an answer may take to be made.
const PATIENCE: Duration = Duration::from_secs(120);

const NOBODY: (u16, &str) = (404, "Nobody is in the room");
pub(super) const BUSY: (u16, &str) = (503, "Too much is asked of the room at once");

pub(super) fn write_down(api: &mut Api) {
    api.get(
        about(
            "/status",
            "VK-Agent",
            "What the assistant does in each room.",
        ),
        |state| async move { Ok(status(&state)) },
    );
    api.get(
        about("/stats", "VK-Agent", "How much is going on."),
        |state| async move { Ok(stats(&state)) },
    );
    api.get(
        about(
            "/config",
            "VK-Agent",
            "The settings; secrets as eight stars where they are set.",
        ),
        |state| async move {
            Ok(Config {
                status: "ok",
                config: state.settings.values(),
            })
        },
    );
    api.post(
        about(
            "/text",
            "VK-Agent",
            "Has the assistant answer a text: spoken in the room, and returned.",
        )
        .refuses(&[
            NOBODY,
            BUSY,
            (502, "There was no answer"),
            (504, "The answer took too long"),
        ]),
        text,
    );
    api.post_or_nothing(
        about(
            "/mute",
            "VK-Agent",
            "Has the assistant not listen, or listen again.",
        )
        .refuses(&[NOBODY, BUSY]),
        mute,
    );
    api.post_or_nothing(
        about("/stop", "VK-Agent", "Has the assistant be silent at once.").refuses(&[NOBODY, BUSY]),
        stop,
    );
}

fn room() -> String {
    ROOM.to_owned()
}

/// How it is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BridgeStatus")]
struct Status {
    /// `loading`, `ready` or `draining`.
    status: &'static str,
    /// Of this server.
    version: &'static str,
    /// The rooms in which people are.
    rooms: Vec<Room>,
    /// The picture that is kept, if there is one.
    screen: Option<screen::Screen>,
}

/// A room with people in it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BridgeRoom")]
struct Room {
    /// Its name.
    name: String,
    /// What the assistant does: `initializing`, `idle`, `listening`, `thinking` or `speaking`.
    state: &'static str,
    /// People in it.
    people: usize,
    /// The assistant does not listen.
    muted: bool,
}

/// Counts.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BridgeStats")]
struct Stats {
    /// Always `ok`.
    status: &'static str,
    /// Rooms in which people are.
    rooms: usize,
    /// People in them.
    people: usize,
    /// Rooms in which the assistant speaks.
    speaking: usize,
}

/// The configuration.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BridgeConfig")]
struct Config {
    /// Always `ok`.
    status: &'static str,
    /// The settings by key.
    config: Map<String, Value>,
}

/// A question.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "TextRequest")]
struct Text {
    /// Its words.
    text: String,
    /// Name of the room.
    #[serde(default = "room")]
    room_name: String,
}

/// An answer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TextResponse")]
struct Answer {
    /// Always `ok`.
    status: &'static str,
    /// The room in which it is spoken.
    room_name: String,
    /// Its words.
    response: String,
}

/// Whether to listen.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "MuteRequest")]
struct Mute {
    /// False: listen again.
    #[serde(default = "yes")]
    muted: bool,
    /// Name of the room.
    #[serde(default = "room")]
    room_name: String,
}

fn yes() -> bool {
    true
}

/// Where to be silent.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "StopRequest")]
struct Stop {
    /// Name of the room.
    #[serde(default = "room")]
    room_name: String,
}

/// Whether it listens.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MuteResponse")]
struct Muted {
    /// Always `ok`.
    status: &'static str,
    /// The room.
    room_name: String,
    /// The assistant does not listen.
    muted: bool,
}

/// Silence.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StopResponse")]
struct Stopped {
    /// Always `ok`.
    status: &'static str,
    /// The room.
    room_name: String,
}

fn status(state: &State) -> Status {
    let rooms = state.desk.rooms().into_iter();
    Status {
        status: match &*state.readiness.borrow() {
            Readiness::Loading => "loading",
            Readiness::Ready(_) => "ready",
            Readiness::Draining => "draining",
        },
        version: env!("CARGO_PKG_VERSION"),
        rooms: rooms
            .map(|(name, status)| Room {
                name,
                state: status.state.as_str(),
                people: status.people,
                muted: status.muted,
            })
            .collect(),
        screen: state.screens.kept(),
    }
}

fn stats(state: &State) -> Stats {
    let rooms = state.desk.rooms();
    let speaks = |status: AgentState| status == AgentState::Speaking;
    Stats {
        status: "ok",
        rooms: rooms.len(),
        people: rooms.iter().map(|(_, status)| status.people).sum(),
        speaking: rooms
            .iter()
            .filter(|(_, status)| speaks(status.state))
            .count(),
    }
}

fn order(state: &State, room: &str, order: Order) -> Result<(), Refusal> {
    state.desk.order(room, order).map_err(|error| match error {
        OrderError::NoConversation => {
            Refusal::not_found(format!("No active session in room: {room}"))
        }
        OrderError::Busy => Refusal::busy(error.to_string()),
    })
}

async fn text(state: State, asked: Text) -> Result<Answer, Refusal> {
    let wrong = match asked.text.trim() {
        "" => Some("it is empty; send the words of a question"),
        text if text.len() > LONGEST => Some("it is longer than 16000 bytes; shorten it"),
        _ => None,
    };
    if let Some(msg) = wrong {
        let at = vec!["body".into(), "text".into()];
        return Err(Refusal::Invalid(vec![problem(
            "value_error",
            at,
            msg,
            Value::Null,
        )]));
    }
    let (sender, answer) = oneshot::channel();
    order(
        &state,
        &asked.room_name,
        Order::Ask(Pii(asked.text), sender),
    )?;
    let no_answer = "there was no answer: another question came in between, or the conversation ended; ask again";
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(response)) => Ok(Answer {
            status: "ok",
            room_name: asked.room_name,
            response,
        }),
        Ok(Err(_)) => Err(Refusal::Plain(
            StatusCode::BAD_GATEWAY,
            no_answer.to_owned(),
        )),
        Err(_) => {
            let why = format!(
                "the answer took longer than {} s; see /ready and the log",
                PATIENCE.as_secs()
            );
            Err(Refusal::Plain(StatusCode::GATEWAY_TIMEOUT, why))
        }
    }
}

async fn mute(state: State, asked: Mute) -> Result<Muted, Refusal> {
    order(&state, &asked.room_name, Order::Mute(asked.muted))?;
    Ok(Muted {
        status: "ok",
        room_name: asked.room_name,
        muted: asked.muted,
    })
}

async fn stop(state: State, asked: Stop) -> Result<Stopped, Refusal> {
    order(&state, &asked.room_name, Order::Stop)?;
    Ok(Stopped {
        status: "ok",
        room_name: asked.room_name,
    })
}
