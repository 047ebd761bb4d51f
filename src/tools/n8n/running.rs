//! Runs a workflow: over its webhook, or through n8n where it has none.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{
    Method, StatusCode,
    header::{HeaderName, HeaderValue},
};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::{
    PATIENCE, Site,
    result::{Progress, progress},
    workflow::{Trigger, Workflow, address, plain},
};
use crate::tools::{
    Outcome, Remote, Reply, ToolError,
    mcp::{bounded, bounded_body, message, outcome, shorten},
};

/// Kept back of the patience, so that the honest sentence comes before the caller gives up.
const RESERVE: Duration = Duration::from_secs(2);
/// For one question to n8n itself.
const ONE: Duration = Duration::from_secs(10);

/// The header that `login` means: `Bearer …`, `Basic user:password`, or `Header-Name: value`. `None` where
/// it is none of them.
pub(super) fn header(login: &str) -> Option<(String, String)> {
    let login = login.trim();
    let authorization = |value: String| Some(("authorization".to_owned(), value));
    let made = match login.split_once(' ') {
        Some((way, token)) if way.eq_ignore_ascii_case("bearer") => {
            authorization(format!("Bearer {}", token.trim()))
        }
        Some((way, pair)) if way.eq_ignore_ascii_case("basic") => {
            let pair = pair.trim();
            let encoded = match pair.contains(':') {
                true => BASE64_STANDARD.encode(pair),
                false => pair.to_owned(),
            };
            authorization(format!("Basic {encoded}"))
        }
        _ => {
            let (name, value) = login.split_once(':')?;
            Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        }
    };
    made.filter(|(name, value)| {
        name.parse::<HeaderName>().is_ok() && value.parse::<HeaderValue>().is_ok()
    })
}

pub(super) async fn run(
    workflow: &Workflow,
    site: &Site,
    remote: &dyn Remote,
    arguments: Map<String, Value>,
) -> Result<Outcome, ToolError> {
    match &workflow.trigger {
        Trigger::Webhook { method, path, id } => {
            knock(workflow, site, (method, path, id.as_deref()), arguments).await
        }
        _ => execute(workflow, remote, arguments).await,
    }
}

async fn knock(
    workflow: &Workflow,
    site: &Site,
    (method, path, id): (&str, &str, Option<&str>),
    mut arguments: Map<String, Value>,
) -> Result<Outcome, ToolError> {
    let title = &workflow.title.replace('_', " ");
    let mut url = address(&site.base.0, path, id, &mut arguments).map_err(ToolError::Refused)?;
    let nonsense = |_| {
        ToolError::Failed(format!(
            "The workflow {title} wants a method that there is not."
        ))
    };
    let method: Method = method.parse().map_err(nonsense)?;
    let bodiless = matches!(method, Method::GET | Method::HEAD);
    if bodiless && !arguments.is_empty() {
        url.query_pairs_mut()
            .extend_pairs(arguments.iter().map(|(name, value)| (name, plain(value))));
    }
    let mut request = site.client.request(method, url).timeout(PATIENCE - RESERVE);
    if !bodiless {
        request = request.json(&arguments);
    }
    if let Some(login) = &site.login {
        request = request.header(&login.0.0, &login.0.1);
    }
    let lost = |e: reqwest::Error| match e {
        e if e.is_connect() => {
            ToolError::Unreachable("n8n cannot be reached at the moment.".to_owned())
        }
        e if e.is_timeout() => ToolError::Unreachable(format!(
            "The workflow {title} was started and has not answered within {} seconds; it may still be running.",
            (PATIENCE - RESERVE).as_secs()
        )),
        _ => ToolError::Unreachable(format!(
            "The connection to n8n broke off while the workflow {title} was running."
        )),
    };
    let response = request.send().await.map_err(lost)?;
    let status = response.status();
    let body = bounded_body(response).await.map_err(|why| {
        ToolError::Failed(format!(
            "The answer of the workflow {title} is of no use: {why}."
        ))
    })?;
    let text = String::from_utf8_lossy(&body).trim().to_owned();
    let json: Option<Value> = serde_json::from_str(&text).ok();
    // A workflow that went well, and whose last node gives nothing.
    let empty = json
        .as_ref()
        .and_then(message)
        .is_some_and(|m| m == "No item to return was found");
    if status == StatusCode::INTERNAL_SERVER_ERROR && empty {
        return Ok(Outcome::of(format!(
            "The workflow {title} ran, and gave nothing."
        )));
    }
    if !status.is_success() {
        return Err(refused(title, status, json.as_ref()));
    }
    Ok(match json {
        Some(value) => told(value),
        None if text.is_empty() => Outcome::of("Done."),
        None => Outcome::of(bounded(text)),
    })
}

fn refused(title: &str, status: StatusCode, body: Option<&Value>) -> ToolError {
    let said = body.and_then(message).map(|m| shorten(&m, 300));
    // "This webhook is not registered for GET requests." is another matter.
    let unregistered = said
        .as_ref()
        .is_some_and(|m| m.starts_with("The requested webhook") && m.contains("not registered"));
    match status {
        StatusCode::NOT_FOUND if unregistered => inactive(title),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ToolError::Refused(format!(
            "The webhook of the workflow {title} wants a login. Set n8n_webhook_auth to what it asks for."
        )),
        _ => ToolError::Failed(match said {
            Some(said) => format!("The workflow {title} failed: {said}"),
            None => format!("The workflow {title} failed (HTTP {}).", status.as_u16()),
        }),
    }
}

fn inactive(title: &str) -> ToolError {
    ToolError::Refused(format!(
        "The workflow {title} is not active in n8n. Activate it there and try again."
    ))
}

/// What a workflow gave, for the language model; its `message` is said. n8n wraps single items in a list.
fn told(value: Value) -> Outcome {
    let only = match &value {
        Value::Array(items) if items.len() == 1 => items.first(),
        _ => None,
    };
    let say = message(only.unwrap_or(&value));
    let content = match &value {
        Value::Null => "Done.".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Outcome {
        content: bounded(content),
        say,
    }
}

async fn execute(
    workflow: &Workflow,
    remote: &dyn Remote,
    arguments: Map<String, Value>,
) -> Result<Outcome, ToolError> {
    let begun = Instant::now();
    let mut asked = json!({"workflowId": workflow.id});
    match &workflow.trigger {
        Trigger::Form => asked["inputs"] = json!({"type": "form", "formData": arguments}),
        Trigger::Chat => {
            let one = arguments
                .get("message")
                .or_else(|| arguments.values().next());
            let message = one.map(plain).unwrap_or_default();
            asked["inputs"] = json!({"type": "chat", "chatInput": message});
        }
        _ => {}
    }
    let title = &workflow.title.replace('_', " ");
    let started = remote.call("execute_workflow", object(asked), ONE).await;
    // Who gave up waiting does not know.
    let started = started.map_err(|why| match why {
        ToolError::Unreachable(why) if begun.elapsed() >= ONE => ToolError::Unreachable(format!(
            "{why} The workflow {title} may have been started all the same."
        )),
        why => why,
    })?;
    let started = structured(started)?;
    let id = started
        .get("executionId")
        .map(plain)
        .filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| unstarted(title, &started))?;
    let question =
        object(json!({"workflowId": workflow.id, "executionId": id, "includeData": true}));
    let mut wait = Duration::from_millis(100);
    loop {
        let answer = remote.call("get_execution", question.clone(), ONE).await;
        // It was begun: whatever is the matter now, it is not to be begun again.
        let answer = answer.and_then(structured).map_err(|why| match why {
            ToolError::Failed(why) => ToolError::Failed(begun_but(title, &why)),
            why => ToolError::Unreachable(begun_but(title, &why.to_string())),
        })?;
        match progress(&answer) {
            Some(Progress::Done(value)) => return Ok(told(value)),
            Some(Progress::Forgotten) => {
                return Ok(Outcome::of(format!(
                    "The workflow {title} was started; n8n keeps no record of how it ended."
                )));
            }
            Some(Progress::Waiting) => {
                return Ok(Outcome::of(format!(
                    "The workflow {title} was started and is waiting for something; it is not finished."
                )));
            }
            Some(Progress::Failed(why)) => {
                let why =
                    why.map_or_else(|| "it gives no reason".to_owned(), |why| shorten(&why, 300));
                return Err(ToolError::Failed(format!(
                    "The workflow {title} failed: {why}"
                )));
            }
            Some(Progress::Running) if begun.elapsed() + wait + RESERVE < PATIENCE => {}
            Some(Progress::Running) => {
                return Ok(Outcome::of(format!(
                    "The workflow {title} was started and is still running; its result is not there yet."
                )));
            }
            None => {
                return Err(ToolError::Failed(format!(
                    "n8n does not say what became of the workflow {title}."
                )));
            }
        }
        sleep(wait).await;
        // n8n answers 100 questions in five minutes, unless it is set otherwise.
        wait = (wait * 2).min(Duration::from_secs(6));
    }
}

/// Why n8n did not start a workflow, from what it answered.
fn unstarted(title: &str, answer: &Value) -> ToolError {
    let why = answer.get("error").and_then(Value::as_str);
    match why.map(str::trim).filter(|why| !why.is_empty()) {
        Some(why) if why.contains("no published (active) version") => inactive(title),
        Some(why) => ToolError::Failed(format!(
            "n8n did not start the workflow {title}: {}",
            shorten(why, 300)
        )),
        None => ToolError::Failed(format!("n8n did not start the workflow {title}.")),
    }
}

fn begun_but(title: &str, why: &str) -> String {
    format!("The workflow {title} was started; what became of it is not known. {why}")
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// The JSON of `reply`.
pub(super) fn structured(reply: Reply) -> Result<Value, ToolError> {
    if reply.failed {
        return Err(outcome(reply).err().unwrap_or_else(nonsense));
    }
    match reply.structured {
        Some(value) => Ok(value),
        None => serde_json::from_str(&reply.text).map_err(|_| nonsense()),
    }
}

fn nonsense() -> ToolError {
    ToolError::Failed("What n8n answers makes no sense.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_one_of_three_kinds() {
        let header = |login| header(login).map(|(name, value)| format!("{name}: {value}"));
        assert_eq!(
            header("Bearer abc").as_deref(),
            Some("authorization: Bearer abc")
        );
        assert_eq!(
            header("Basic a:b").as_deref(),
            Some("authorization: Basic YTpi")
        );
        assert_eq!(header("X-Api-Key: k:1").as_deref(), Some("x-api-key: k:1"));
        assert_eq!(
            (header("nonsense"), header("bad name: x"), header("")),
            (None, None, None)
        );
    }

    #[test]
    fn refusals_say_what_to_do() {
        let body = json!({"message": "The requested webhook \"POST x\" is not registered."});
        let says = |status, body: &Value| refused("lamp", status, Some(body)).to_string();
        assert!(says(StatusCode::NOT_FOUND, &body).contains("not active"));
        let other = json!({"message": "This webhook is not registered for GET requests. Did you mean to make a POST request?"});
        assert!(!says(StatusCode::NOT_FOUND, &other).contains("not active"));
        let error = |why: &str| json!({"executionId": null, "status": "error", "error": why});
        let off = error("Workflow 'x' has no published (active) version to execute");
        assert!(unstarted("lamp", &off).to_string().contains("not active"));
        let other = unstarted("lamp", &error("Only some can be executed."));
        assert_eq!(
            other.to_string(),
            "n8n did not start the workflow lamp: Only some can be executed."
        );
        assert!(says(StatusCode::FORBIDDEN, &json!({})).contains("n8n_webhook_auth"));
        let failed = says(
            StatusCode::INTERNAL_SERVER_ERROR,
            &json!({"message": "Error in workflow"}),
        );
        assert_eq!(failed, "The workflow lamp failed: Error in workflow");
    }

    #[test]
    fn a_message_is_said_also_out_of_a_list_of_one() {
        assert_eq!(told(json!({"message": "On."})).say.as_deref(), Some("On."));
        assert_eq!(
            told(json!([{"message": "On."}])).say.as_deref(),
            Some("On.")
        );
        assert_eq!(told(json!([{"message": "1"}, {"message": "2"}])).say, None);
    }
}
