//! What a server's answer means: text for the language model, of a length that it can take. Pure.

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::Value;

use crate::tools::{Outcome, Reply, ToolError};

/// Longest result that a language model is given, in bytes.
const LONGEST: usize = 8 * 1024;
/// Longest reason of a failure that is passed on, in bytes.
const LONGEST_REASON: usize = 400;

/// The parts of `result` as one text. What cannot be shown as text is named in one line.
pub(super) fn reply(result: CallToolResult) -> Reply {
    let parts: Vec<String> = result.content.into_iter().filter_map(part).collect();
    let mut text = parts.join("\n");
    if text.is_empty()
        && let Some(structured) = &result.structured_content
    {
        text = structured.to_string();
    }
    Reply {
        text,
        structured: result.structured_content,
        failed: result.is_error == Some(true),
    }
}

fn part(block: ContentBlock) -> Option<String> {
    let hidden = |what: &str, base64: &str| {
        let bytes = base64.len() / 4 * 3;
        Some(format!(
            "[{what} of {} that cannot be shown to you]",
            size(bytes)
        ))
    };
    match block {
        ContentBlock::Text(text) => Some(text.text),
        ContentBlock::Image(image) => hidden("an image", &image.data),
        ContentBlock::Audio(audio) => hidden("a recording", &audio.data),
        ContentBlock::Resource(resource) => match resource.resource {
            ResourceContents::TextResourceContents { text, .. } => Some(text),
            ResourceContents::BlobResourceContents { blob, .. } => hidden("a file", &blob),
            #[allow(unreachable_patterns, reason = "the protocol may have more one day")]
            _ => None,
        },
        ContentBlock::ResourceLink(link) => {
            Some(format!("[a link to {}: {}]", link.name, link.uri))
        }
        _ => Some("[a part of a kind that cannot be shown to you]".to_owned()),
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        _ => format!("{} kB", bytes / 1024),
    }
}

/// What a tool's caller gets of `reply`. A JSON object with a text `message` says that one: CAAL's way.
///
/// # Errors
///
/// [`ToolError::Failed`] where the server says that it failed, with its reason.
pub fn outcome(reply: Reply) -> Result<Outcome, ToolError> {
    if reply.failed {
        let why = shorten(reply.text.trim(), LONGEST_REASON);
        return Err(ToolError::Failed(match why.is_empty() {
            true => "It failed and gives no reason.".to_owned(),
            false => why,
        }));
    }
    let say = match &reply.structured {
        Some(Value::Object(_)) => reply.structured.as_ref().and_then(message),
        _ => serde_json::from_str(&reply.text)
            .ok()
            .as_ref()
            .and_then(message),
    };
    let content = match reply.text.is_empty() {
        true => "Done.".to_owned(),
        false => bounded(reply.text),
    };
    Ok(Outcome { content, say })
}

/// The text `message` of an object; empty is none.
pub fn message(value: &Value) -> Option<String> {
    let text = value.as_object()?.get("message")?.as_str()?.trim();
    (!text.is_empty()).then(|| shorten(text, LONGEST))
}

/// `text`, or its beginning with a notice of how much is missing.
pub(in crate::tools) fn bounded(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let kept = text.floor_char_boundary(LONGEST);
    let missing = size(text.len() - kept);
    format!(
        "{}\n[cut here: {missing} more of this result are not shown]",
        &text[..kept]
    )
}

/// `text`, with `…` for what is over `most` bytes.
pub(in crate::tools) fn shorten(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(most)])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result(value: Value) -> Reply {
        reply(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn parts_are_joined_and_what_is_no_text_is_named() {
        let reply = result(json!({"content": [
            {"type": "text", "text": "one"},
            {"type": "image", "data": "A".repeat(16 * 1024), "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "two"}},
            {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}
        ]}));
        let want = "one\n[an image of 12 kB that cannot be shown to you]\ntwo\n[a recording of 3 bytes that cannot be shown to you]";
        assert_eq!(reply.text, want);
    }

    #[test]
    fn a_long_result_is_cut_between_letters_and_says_so() {
        let text = format!("a{}", "é".repeat(8 * 1024));
        let cut = outcome(Reply {
            text,
            ..Reply::default()
        })
        .unwrap()
        .content;
        assert!(cut.len() < LONGEST + 100);
        assert!(
            cut.ends_with("[cut here: 8 kB more of this result are not shown]"),
            "{cut}"
        );
        let whole = "a".repeat(LONGEST);
        assert_eq!(bounded(whole.clone()), whole);
    }

    #[test]
    fn a_message_is_said_and_a_failure_is_one() {
        let said = outcome(result(
            json!({"content": [{"type": "text", "text": r#"{"message": "The lamp is on", "n": 1}"#}]}),
        ));
        let said = said.unwrap();
        assert_eq!(said.say.as_deref(), Some("The lamp is on"));
        assert_eq!(said.content, r#"{"message": "The lamp is on", "n": 1}"#);
        let failed = outcome(result(
            json!({"isError": true, "content": [{"type": "text", "text": "no such lamp"}]}),
        ));
        assert_eq!(failed, Err(ToolError::Failed("no such lamp".to_owned())));
        let nothing = outcome(result(json!({"content": []}))).unwrap();
        assert_eq!((nothing.content.as_str(), nothing.say), ("Done.", None));
    }
}
