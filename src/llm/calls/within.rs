//! A whole answer with the calls found that are written in its text.

use std::{collections::VecDeque, sync::Arc};

use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use super::CallFilter;
use crate::llm::{Delta, LlmError, ToolSpec};

type Answer = BoxStream<'static, Result<Delta, LlmError>>;

/// `answer`, in which what calls one of `tools` is no text any more. Dropping it drops `answer`.
pub fn found(answer: Answer, tools: &[Arc<ToolSpec>]) -> Answer {
    let state = (Some(answer), CallFilter::new(tools), VecDeque::new());
    stream::unfold(state, |(mut answer, mut filter, mut ready)| async move {
        loop {
            if let Some(delta) = ready.pop_front() {
                return Some((delta, (answer, filter, ready)));
            }
            match answer.as_mut()?.next().await {
                Some(Ok(Delta::Text(text))) => ready.extend(filter.push(&text).into_iter().map(Ok)),
                // Text that was held back stands before what comes after it.
                Some(other) => {
                    ready.extend(filter.finish().into_iter().map(Ok));
                    ready.push_back(other);
                }
                None => {
                    ready.extend(filter.finish().into_iter().map(Ok));
                    answer = None;
                }
            }
        }
    })
    .fuse() // an end that is asked for again
    .boxed()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::Usage;

    #[tokio::test]
    async fn a_call_in_the_text_is_found_and_what_comes_behind_stays_behind() {
        let lamp = Arc::new(ToolSpec {
            name: "lamp".to_owned(),
            description: String::new(),
            parameters: json!({"type": "object"}),
        });
        let text = |text: &str| Ok(Delta::Text(text.to_owned()));
        let pieces = vec![
            text("So. <tool_"),
            text("call>{\"name\": \"lamp\", \"arguments\": {}}</tool_call>"),
            text(" 1 <"),
            Ok(Delta::Usage(Usage::default())),
        ];
        let answer = found(stream::iter(pieces).boxed(), &[lamp]);
        let deltas: Vec<Delta> = answer.map(|d| d.expect("no error")).collect().await;
        let words: String = deltas
            .iter()
            .filter_map(|d| match d {
                Delta::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert!(
            words.starts_with("So. ") && words.ends_with("1 <"),
            "{words}"
        );
        assert!(
            deltas
                .iter()
                .any(|d| matches!(d, Delta::Call(call) if call.name == "lamp"))
        );
        assert!(matches!(deltas.last(), Some(Delta::Usage(_))));
    }
}
