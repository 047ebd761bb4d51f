//! What is done in a room from outside: say something, wake up, look for tools anew. And whether the
//! server is alive.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Api, Refusal, State, about};
use crate::{
    pii::Pii,
    room::{Order, OrderError},
    rtc::join::SendError,
};

/// Where CAAL's clients are, unless they say otherwise.
const ROOM: &str = "voice_assistant_room";

/// Longest words that are spoken, bytes: about ten minutes.
const LONGEST: usize = 16_000;

/// The data packets that carry commands.
const COMMAND: &str = "webhook_command";

const REFUSES: &[(u16, &str)] = &[
    (404, "Nobody is in the room"),
    (500, "The LiveKit server cannot be asked"),
    (503, "Too much is asked of the room at once"),
];

pub(super) fn write_down(api: &mut Api) {
    api.post(
        about(
            "/announce",
            "Rooms",
            "Says a message in a room, word for word.",
        )
        .refuses(REFUSES),
        announce,
    );
    api.post_or_nothing(
        about(
            "/wake",
            "Rooms",
            "Wakes the assistant in a room and has it say a greeting.",
        )
        .refuses(REFUSES),
        wake,
    );
    api.post_or_nothing(
        about(
            "/reload-tools",
            "Rooms",
            "Tells a room that tools have changed, and says so there.",
        )
        .refuses(REFUSES),
        reload_tools,
    );
    health(api);
}

pub(super) fn health(api: &mut Api) {
    let about = about(
        "/health",
        "Server",
        "Whether the server is alive, and in which rooms people are.",
    );
    api.get(about, |state| async move { Ok(Health::of(&state)) });
}

fn room() -> String {
    ROOM.to_owned()
}

/// Something to say.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AnnounceRequest")]
struct Announce {
    /// The words; nothing is said where there are none.
    message: String,
    /// Name of the room.
    #[serde(default = "room")]
    room_name: String,
}

/// Which room to wake.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "WakeRequest")]
struct Wake {
    /// Name of the room.
    #[serde(default = "room")]
    room_name: String,
}

/// What has changed.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ReloadToolsRequest")]
struct ReloadTools {
    /// The tool that is new; named aloud where there is no message.
    #[serde(default)]
    tool_name: Option<String>,
    /// What to say about it.
    #[serde(default)]
    message: Option<String>,
    /// Name of the room.
    #[serde(default = "room")]
    room_name: String,
}

/// A command is on its way.
#[derive(Serialize, JsonSchema)]
struct Queued {
    /// Always `queued`.
    status: &'static str,
    /// The room.
    room_name: String,
}

/// A command is on its way.
#[derive(Serialize, JsonSchema)]
struct Reloading {
    /// Always `queued`.
    status: &'static str,
    /// How many tools there are now.
    tool_count: usize,
    /// The room.
    room_name: String,
}

/// The server is alive.
#[derive(Serialize, JsonSchema)]
struct Health {
    /// Always `healthy`.
    status: &'static str,
    /// Of this server.
    version: &'static str,
    /// The rooms in which people are.
    active_sessions: Vec<String>,
    /// The servers that tools come from; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    tool_servers: Vec<ToolServer>,
}

/// A server that tools come from.
#[derive(Serialize, JsonSchema)]
struct ToolServer {
    /// Its name in the settings.
    name: String,
    /// `connecting`, `ready` or `failed` (and tried again).
    state: &'static str,
    /// How many tools it offers.
    tools: usize,
}

impl Health {
    fn of(state: &State) -> Self {
        Self {
            status: "healthy",
            version: env!("CARGO_PKG_VERSION"),
            active_sessions: state
                .desk
                .rooms()
                .into_iter()
                .map(|(name, _)| name)
                .collect(),
            tool_servers: state
                .house
                .servers()
                .into_iter()
                .map(|server| ToolServer {
                    name: server.name,
                    state: server.state.name(),
                    tools: server.tools,
                })
                .collect(),
        }
    }
}

async fn announce(state: State, asked: Announce) -> Result<Queued, Refusal> {
    if asked.message.len() > LONGEST {
        let why = format!("the message is longer than {LONGEST} bytes; send it in parts");
        return Err(Refusal::Plain(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let command = json!({ "action": "announce", "message": asked.message });
    let order = Order::Announce(Pii(asked.message));
    order_in(&state, &asked.room_name, order, command).await?;
    Ok(Queued {
        status: "queued",
        room_name: asked.room_name,
    })
}

async fn wake(state: State, asked: Wake) -> Result<Queued, Refusal> {
    order_in(
        &state,
        &asked.room_name,
        Order::Wake,
        json!({ "action": "wake" }),
    )
    .await?;
    Ok(Queued {
        status: "queued",
        room_name: asked.room_name,
    })
}

async fn reload_tools(state: State, asked: ReloadTools) -> Result<Reloading, Refusal> {
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    if length(&asked.message) + length(&asked.tool_name) > LONGEST {
        let why = format!("the message is longer than {LONGEST} bytes");
        return Err(Refusal::Plain(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let order = Order::reload_tools(asked.message.clone(), asked.tool_name.clone());
    let command = json!({
        "action": "reload_tools",
        "message": asked.message,
        "tool_name": asked.tool_name,
    });
    // Those of conversations that go on, too: before it is said there that they are new.
    let tool_count = state.house.reload_tools().await;
    order_in(&state, &asked.room_name, order, command).await?;
    Ok(Reloading {
        status: "queued",
        tool_count,
        room_name: asked.room_name,
    })
}

/// Has `order` carried out in `room`: by a conversation of this process, else, where the rooms are those of
/// a LiveKit server, by whoever sits there: they are told `command`.
async fn order_in(
    state: &State,
    room: &str,
    order: Order,
    command: serde_json::Value,
) -> Result<(), Refusal> {
    let nobody = || Refusal::not_found(format!("No active session in room: {room}"));
    match (state.desk.order(room, order), &state.server) {
        (Ok(()), _) => Ok(()),
        (Err(busy @ OrderError::Busy), _) => Err(Refusal::busy(busy.to_string())),
        (Err(OrderError::NoConversation), None) => Err(nobody()),
        (Err(OrderError::NoConversation), Some(server)) => {
            let payload = command.to_string().into_bytes();
            server
                .send_data(room, COMMAND, payload)
                .await
                .map_err(|error| match error {
                    SendError::NoRoom => nobody(),
                    SendError::Server(_) => Refusal::internal(error.to_string()),
                })
        }
    }
}
