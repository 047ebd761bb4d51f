//! What an execution brought, from what `get_execution` answers. Pure.

use serde_json::Value;

/// How far an execution is.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    /// Not at its end.
    Running,
    /// It waits for something: a time, a person.
    Waiting,
    /// At its end, with what its last node gave.
    Done(Value),
    /// It failed; the reason, where it gives one.
    Failed(Option<String>),
    /// n8n has no record of it, as its workflow's settings may say.
    Forgotten,
}

/// How far the execution in `answer` is; `None` where it is no such answer.
pub(super) fn progress(answer: &Value) -> Option<Progress> {
    if answer.get("execution") == Some(&Value::Null) {
        let why = answer.get("error")?.as_str()?;
        return why.contains("not found").then_some(Progress::Forgotten);
    }
    let status = answer.pointer("/execution/status")?.as_str()?;
    let result = answer.pointer("/data/resultData");
    Some(match status {
        "success" => Progress::Done(result.and_then(last).unwrap_or(Value::Null)),
        "waiting" => Progress::Waiting,
        "error" | "crashed" | "canceled" | "failed" => {
            let reason = result
                .and_then(|r| r.pointer("/error/message"))
                .and_then(Value::as_str);
            Progress::Failed(reason.map(str::to_owned))
        }
        _ => Progress::Running,
    })
}

/// What the last node gave: one item as it is, several as a list.
fn last(result: &Value) -> Option<Value> {
    let name = result.get("lastNodeExecuted")?.as_str()?;
    let runs = result.get("runData")?.get(name)?.as_array()?;
    // Of the outputs of a node (an "if" has two), the first with anything in it.
    let outputs = runs.last()?.pointer("/data/main")?.as_array()?;
    let items = outputs
        .iter()
        .filter_map(Value::as_array)
        .find(|items| !items.is_empty())?;
    let mut items: Vec<Value> = items
        .iter()
        .filter_map(|item| item.get("json").cloned())
        .collect();
    match items.len() {
        1 => items.pop(),
        _ => Some(Value::Array(items)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_node_gives_the_result() {
        let run = |items: Value| json!([{"data": {"main": [[], items]}}]);
        let answer = |items: Value| {
            json!({"execution": {"status": "success"},
            "data": {"resultData": {"lastNodeExecuted": "B", "runData": {"A": run(json!([])), "B": run(items)}}}})
        };
        let one = progress(&answer(json!([{"json": {"message": "done"}}])));
        assert_eq!(one, Some(Progress::Done(json!({"message": "done"}))));
        let two = progress(&answer(json!([{"json": {"n": 1}}, {"json": {"n": 2}}])));
        assert_eq!(two, Some(Progress::Done(json!([{"n": 1}, {"n": 2}]))));
    }

    #[test]
    fn what_is_not_done_says_so() {
        let status = |status: &str| progress(&json!({"execution": {"status": status}}));
        assert_eq!(status("running"), Some(Progress::Running));
        assert_eq!(status("waiting"), Some(Progress::Waiting));
        assert_eq!(status("error"), Some(Progress::Failed(None)));
        assert_eq!(progress(&json!({"executionId": "4"})), None);
        let forgotten =
            json!({"execution": null, "error": "Execution '44' not found for workflow 'x'"});
        assert_eq!(progress(&forgotten), Some(Progress::Forgotten));
    }
}
