//! Tools for a model whose template knows none: offered as text, and what was called told as text. Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::llm::{Message, ToolSpec};

/// The conversation with `tools` offered in what the assistant is told about itself, and without
/// [`Message::Calls`] and [`Message::Result`].
pub fn as_text(messages: &[Message], tools: &[Arc<ToolSpec>]) -> Vec<Message> {
    let mut told = Vec::with_capacity(messages.len() + 1);
    let mut results = false;
    for message in messages {
        let result = matches!(message, Message::Result { .. });
        match message {
            Message::Calls { text, calls } => {
                let mut lines: Vec<String> = Vec::new();
                if !text.trim().is_empty() {
                    lines.push(text.trim().to_owned());
                }
                lines.extend(calls.iter().map(|call| {
                    let (name, arguments) = (line(&json!(call.name)), line(&call.arguments));
                    format!(
                        "<tool_call>{{\"name\": {name}, \"arguments\": {arguments}}}</tool_call>"
                    )
                }));
                told.push(Message::Assistant(lines.join("\n")));
            }
            Message::Result { name, content, .. } => {
                let block = format!("<tool_response>\n{name}: {content}\n</tool_response>");
                match told.last_mut() {
                    Some(Message::User(text)) if results => {
                        text.push('\n');
                        text.push_str(&block);
                    }
                    _ => told.push(Message::User(block)),
                }
            }
            other => told.push(other.clone()),
        }
        results = result;
    }
    if !tools.is_empty() {
        let block = block(tools);
        match told.first_mut() {
            Some(Message::System(text)) => *text = format!("{text}\n\n{block}"),
            _ => told.insert(0, Message::System(block)),
        }
    }
    told
}

fn block(tools: &[Arc<ToolSpec>]) -> String {
    let lines: Vec<String> = tools
        .iter()
        .map(|tool| {
            line(&json!({
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
            }))
        })
        .collect();
    format!(
        "# Tools\nYou have these tools, one on each line:\n<tools>\n{}\n</tools>\nWhen a tool is needed, answer \
         with <tool_call>{{\"name\": the tool's name, \"arguments\": an object}}</tool_call> and nothing else. \
         What it brought comes back in <tool_response></tool_response>.",
        lines.join("\n")
    )
}

/// On one line, so that no tool's text can look like another's.
fn line(value: &Value) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::ToolCall;

    #[test]
    fn tools_calls_and_results_become_text() {
        let lamp = Arc::new(ToolSpec {
            name: "lamp".to_owned(),
            description: "A lamp.\nBright.".to_owned(),
            parameters: json!({"type": "object"}),
        });
        let call = ToolCall {
            id: "1".to_owned(),
            name: "lamp".to_owned(),
            arguments: json!({"on": true}),
        };
        let result = |content: &str| Message::Result {
            id: "1".to_owned(),
            name: "lamp".to_owned(),
            content: content.to_owned(),
        };
        let messages = [
            Message::System("Be brief.".to_owned()),
            Message::User("Light!".to_owned()),
            Message::Calls {
                text: String::new(),
                calls: vec![call],
            },
            result("On."),
            result("Off."),
        ];
        let told = as_text(&messages, std::slice::from_ref(&lamp));
        let Message::System(system) = &told[0] else {
            panic!("{told:?}");
        };
        assert!(system.starts_with("Be brief.\n\n# Tools\n"), "{system}");
        let tool = system.lines().find(|line| line.starts_with('{')).unwrap();
        let tool: Value = serde_json::from_str(tool).unwrap();
        assert_eq!(tool["description"], "A lamp.\nBright.");
        assert_eq!(
            told[2..],
            [
                Message::Assistant(
                    r#"<tool_call>{"name": "lamp", "arguments": {"on":true}}</tool_call>"#
                        .to_owned()
                ),
                Message::User(
                    "<tool_response>\nlamp: On.\n</tool_response>\n\
                     <tool_response>\nlamp: Off.\n</tool_response>"
                        .to_owned()
                ),
            ]
        );
        assert_eq!(as_text(&messages[..2], &[]), messages[..2]);
        assert!(matches!(
            &as_text(&messages[1..2], &[lamp])[0],
            Message::System(_)
        ));
    }
}
