//! What Home Assistant's answers mean: whether it has done something, and its errors as sentences. Pure.

use serde_json::Value;

use super::{context::Entity, names, state};
use crate::tools::{Reply, ToolError};

/// Nothing of that name can be meant; `near` are the nearest, `any` says whether there are things of the kind.
pub(super) fn unknown(target: &str, near: &[&Entity], any: bool) -> ToolError {
    ToolError::Refused(if names::is_music(target) {
        "Nothing is playing.".to_owned()
    } else if !near.is_empty() {
        format!(
            "There is no {target} for this. The nearest are: {}.",
            listed(near)
        )
    } else if any {
        format!("There is no {target} for this in Home Assistant.")
    } else {
        "Home Assistant exposes no such device; it can be exposed in its settings under Voice assistants.".to_owned()
    })
}

/// Names for a list.
pub(super) fn listed(things: &[&Entity]) -> String {
    things
        .iter()
        .map(|thing| thing.name())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Whether Home Assistant has done it, by its reply. Its errors are Python's; they become sentences.
pub(super) fn done(reply: &Reply, whom: &str) -> Result<(), ToolError> {
    let text = reply.text.as_str();
    let json: Option<Value> = serde_json::from_str(text).ok();
    let json = json.as_ref().or(reply.structured.as_ref());
    if !reply.failed {
        let at = |path: &str| json.and_then(|json| json.pointer(path));
        let error = at("/response_type").and_then(Value::as_str) == Some("error");
        let some = |path: &str| {
            at(path)
                .and_then(Value::as_array)
                .is_some_and(|all| !all.is_empty())
        };
        let refused = at("/success") == Some(&Value::Bool(false));
        if !error && !refused && (some("/data/success") || !some("/data/failed")) {
            return Ok(());
        }
        let why = at("/speech/plain/speech")
            .or_else(|| at("/error"))
            .and_then(Value::as_str);
        let why = why.unwrap_or("it gives no reason");
        return Err(ToolError::Failed(format!(
            "Home Assistant could not do that to {whom}: {}.",
            cut(why)
        )));
    }
    let reason = |name: &str| text.contains(&format!("MatchFailedReason.{name}"));
    Err(if reason("STATE") {
        ToolError::Refused(format!(
            "Nothing is playing on {whom}, or it is not in a state for that."
        ))
    } else if reason("FEATURE") {
        ToolError::Refused(format!("{} cannot do that.", state::start(whom)))
    } else if reason("ASSISTANT")
        || reason("NAME")
        || reason("AREA")
        || reason("DOMAIN")
        || reason("INVALID_AREA")
    {
        ToolError::Refused(format!(
            "Home Assistant finds {whom} no more; is it still exposed to Assist?"
        ))
    } else if reason("DUPLICATE_NAME") || reason("MULTIPLE_TARGETS") {
        ToolError::Refused(format!(
            "Home Assistant knows several that are called {whom}; say which room."
        ))
    } else {
        ToolError::Failed(format!(
            "Home Assistant could not do that to {whom}: {}.",
            cut(text)
        ))
    })
}

/// The first line, not too long.
pub(super) fn cut(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let line = line
        .trim_start_matches("Error calling tool: ")
        .trim_end_matches('.');
    line.chars().take(200).collect()
}
