//! The data packets that CAAL's clients know, as JSON. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{mind::Doing, session::TurnTimings};

/// Which tools an answer used.
pub(super) const TOOL_STATUS: &str = "tool_status";
/// Asleep or awake.
pub(super) const WAKE_WORD: &str = "wakeword_state";
/// Servers of tools that cannot be reached.
pub(super) const MCP_ERROR: &str = "mcp_error";
/// Commands of the server's API.
pub(super) const COMMAND: &str = "webhook_command";
/// How long each stage of a turn took: our own page draws it.
pub(super) const TURN: &str = "caal.turn";

/// No tool was used.
pub(super) fn no_tool() -> Vec<u8> {
    br#"{"tool_used":false,"tool_names":[],"tool_params":[]}"#.to_vec()
}

/// What is done with tools for the question `id`. CAAL's clients read the first three fields, two lists side by
/// side, and take parameters for objects only; newer ones the others.
pub(super) fn tools(doing: &Doing, id: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Status<'a> {
        tool_used: bool,
        tool_names: Vec<&'a str>,
        tool_params: Vec<Value>,
        id: &'a str,
        status: &'static str,
    }
    let calls = &doing.calls;
    let object = |value: &Value| match value {
        Value::Object(_) => value.clone(),
        other => serde_json::json!({ "value": other }),
    };
    let status = Status {
        tool_used: true,
        tool_names: calls.iter().map(|(name, _)| &**name).collect(),
        tool_params: calls.iter().map(|(_, params)| object(params)).collect(),
        id,
        status: doing.progress.name(),
    };
    serde_json::to_vec(&status).expect("names and JSON are JSON")
}

/// Servers of tools that cannot be reached, a sentence for each.
pub(super) fn mcp_error(errors: &[String]) -> Vec<u8> {
    let told = serde_json::json!({ "type": "mcp_error", "errors": errors });
    told.to_string().into_bytes()
}

/// Listening for the wake word, or for speech.
pub(super) fn wake_word(awake: bool) -> Vec<u8> {
    let state = if awake { "active" } else { "listening" };
    format!(r#"{{"type":"wakeword_state","state":"{state}"}}"#).into_bytes()
}

/// `{"total_ms":n,"stages":[{"name":…,"ms":n},…]}`.
pub(super) fn turn(timings: &TurnTimings) -> Vec<u8> {
    #[derive(Serialize)]
    struct Stage {
        name: &'static str,
        ms: u32,
    }
    #[derive(Serialize)]
    struct Turn {
        total_ms: Option<u32>,
        stages: Vec<Stage>,
    }
    let turn = Turn {
        total_ms: timings.total_ms,
        stages: timings
            .stages()
            .map(|(name, ms)| Stage { name, ms })
            .collect(),
    };
    serde_json::to_vec(&turn).expect("numbers and names are JSON")
}

/// What the server's API asks for.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub(super) enum Command {
    /// Say this.
    Announce {
        /// The words.
        message: String,
    },
    /// As if the wake word had been said.
    Wake,
    /// The tools have changed.
    ReloadTools {
        /// To be said, if there is something to say.
        #[serde(default)]
        message: Option<String>,
        /// The tool that is new, if it is one.
        #[serde(default)]
        tool_name: Option<String>,
    },
}

impl Command {
    /// What is to be said when tools have changed: `message`, else that `tool_name` is there; none for
    /// nothing.
    pub(super) fn news(message: Option<String>, tool_name: Option<&str>) -> Option<String> {
        let tool = tool_name.filter(|name| !name.is_empty());
        message
            .filter(|message| !message.is_empty())
            .or_else(|| Some(format!("A new tool called '{}' is now available.", tool?)))
    }
}

/// The command in `payload`; none where it is not one.
pub(super) fn command(payload: &[u8]) -> Option<Command> {
    serde_json::from_slice(payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mind::Progress;

    #[test]
    fn tools_are_told_in_two_lists_of_which_one_holds_objects() {
        let doing = Doing {
            progress: Progress::Running,
            calls: vec![
                ("lamp".to_owned(), serde_json::json!({"on": true})),
                ("odd".to_owned(), serde_json::json!("text")),
            ],
        };
        let told: Value = serde_json::from_slice(&tools(&doing, "7")).expect("JSON");
        assert_eq!(
            told,
            serde_json::json!({
                "tool_used": true,
                "tool_names": ["lamp", "odd"],
                "tool_params": [{"on": true}, {"value": "text"}],
                "id": "7",
                "status": "running",
            })
        );
    }

    #[test]
    fn commands_are_read_as_caals_server_writes_them() {
        assert_eq!(
            command(br#"{"action":"announce","message":"Dinner!"}"#),
            Some(Command::Announce {
                message: "Dinner!".into()
            })
        );
        assert_eq!(command(br#"{"action":"wake"}"#), Some(Command::Wake));
        assert_eq!(
            command(br#"{"action":"reload_tools","message":null,"tool_name":null}"#),
            Some(Command::ReloadTools {
                message: None,
                tool_name: None
            })
        );
        assert_eq!(
            command(br#"{"action":"reload_tools"}"#),
            Some(Command::ReloadTools {
                message: None,
                tool_name: None
            })
        );
        for not in [&b"{}"[..], b"", b"\xff", br#"{"action":"format_disk"}"#] {
            assert_eq!(command(not), None);
        }
    }
}
