//! A workflow, from what n8n's MCP server says of it. Pure.

use reqwest::Url;
use serde_json::{Map, Value};

use super::parameters;
use crate::tools::mcp::legal;

/// A workflow in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: String,
    /// Another one means that the workflow was changed.
    pub(super) updated: String,
}

/// Whether what `get_workflow_details` answers holds changes that are not published: n8n's list does not
/// show when they will be.
pub(super) fn drafted(details: &Value) -> bool {
    let details = details.get("workflow").unwrap_or(details);
    let version = |key| details.get(key).and_then(Value::as_str);
    // An older n8n has one of them only, and shows every change by its date.
    let (Some(draft), Some(published)) = (version("versionId"), version("activeVersionId")) else {
        return false;
    };
    draft != published
}

/// A workflow that can be called.
#[derive(Debug, PartialEq)]
pub(super) struct Workflow {
    pub(super) id: String,
    /// As its author calls it.
    pub(super) title: String,
    /// What language models call it.
    pub(super) name: String,
    pub(super) description: String,
    /// A JSON schema of an object.
    pub(super) parameters: Value,
    pub(super) trigger: Trigger,
}

/// What begins a workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    /// A request.
    Webhook {
        /// In capitals.
        method: String,
        /// Without `/` before it; may have parts such as `:id`.
        path: String,
        /// Stands before a path with such parts.
        id: Option<String>,
    },
    /// A form that is sent.
    Form,
    /// A message.
    Chat,
    /// A time; it takes nothing.
    Schedule,
}

/// The workflows in an answer of `search_workflows` that are to be called.
pub(super) fn entries(answer: &Value) -> Option<Vec<Entry>> {
    let list = answer.get("data")?.as_array()?;
    let allowed = |entry: &&Value| {
        ["availableInMCP", "active", "canExecute"]
            .iter()
            .all(|key| entry.get(key).and_then(Value::as_bool) != Some(false))
    };
    let text = |entry: &Value, key: &str| {
        entry
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let entries = list.iter().filter(allowed).map(|entry| Entry {
        id: text(entry, "id"),
        name: text(entry, "name"),
        description: text(entry, "description"),
        updated: text(entry, "updatedAt"),
    });
    Some(
        entries
            .filter(|entry| !entry.id.is_empty() && !entry.name.trim().is_empty())
            .collect(),
    )
}

/// The workflow of `entry`, with what `get_workflow_details` answers; `None` where it may not be called
/// any more, or by nobody but what begins it.
pub(super) fn workflow(entry: &Entry, details: &Value) -> Option<Workflow> {
    let details = details.get("workflow").unwrap_or(details);
    if details.get("active").and_then(Value::as_bool) == Some(false) {
        return None;
    }
    // What is published counts, not what its author is changing at the moment.
    let published = details
        .get("activeVersion")
        .and_then(|v| v.get("nodes"))
        .and_then(Value::as_array);
    let nodes = published.or_else(|| details.get("nodes")?.as_array())?;
    let nodes = || {
        nodes
            .iter()
            .filter(|node| node.get("disabled") != Some(&Value::Bool(true)))
    };
    let runs = |node: &Value| match node.get("type").and_then(Value::as_str)? {
        "n8n-nodes-base.formTrigger" => Some(Trigger::Form),
        "@n8n/n8n-nodes-langchain.chatTrigger" => Some(Trigger::Chat),
        "n8n-nodes-base.scheduleTrigger" => Some(Trigger::Schedule),
        _ => None,
    };
    // Without a webhook n8n takes the first of the others; what begins with none of them it does not run.
    let is_webhook = |node: &&Value| node.get("type") == Some(&"n8n-nodes-base.webhook".into());
    let (node, trigger) = match nodes().find(is_webhook) {
        Some(node) => (node, webhook(node)?),
        None => nodes().find_map(|node| Some((node, runs(node)?)))?,
    };
    let node = Some(node);
    let text = |value: Option<&Value>, key: &str| {
        let text = value?.get(key)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let notes = parameters::notes(&text(node, "notes").unwrap_or_default());
    let whole = text(Some(details), "description")
        .or(Some(entry.description.trim().to_owned()).filter(|d| !d.is_empty()));
    let name = tool_name(&entry.name);
    let description = notes
        .prose
        .or_else(|| text(node, "description"))
        .or_else(|| whole.clone())
        .unwrap_or_else(|| format!("Execute {name} workflow"));
    let parameters = notes
        .schema
        .or_else(|| parameters::described(&description))
        .or_else(|| parameters::described(&whole?))
        .unwrap_or_else(|| assumed(&trigger, node));
    Some(Workflow {
        id: entry.id.clone(),
        title: entry.name.clone(),
        description: crate::tools::mcp::shorten(&description, 1024),
        name,
        parameters,
        trigger,
    })
}

/// What a trigger takes where its author says nothing.
fn assumed(trigger: &Trigger, node: Option<&Value>) -> Value {
    let one = |name: &str, doc: &str| serde_json::json!({"type": "object", "properties": {name: {"type": "string", "description": doc}}, "required": [name]});
    match trigger {
        Trigger::Chat => one("message", "what to tell it"),
        Trigger::Schedule => serde_json::json!({"type": "object", "properties": {}}),
        Trigger::Form => form(node).unwrap_or_else(parameters::anything),
        Trigger::Webhook { path, .. } => {
            let names: Vec<&str> = path
                .split('/')
                .filter_map(|part| part.strip_prefix(':'))
                .collect();
            if names.is_empty() {
                return parameters::anything();
            }
            let properties: Map<_, _> = names
                .iter()
                .map(|n| ((*n).to_owned(), serde_json::json!({"type": "string"})))
                .collect();
            serde_json::json!({"type": "object", "properties": properties, "required": names, "additionalProperties": true})
        }
    }
}

/// The fields of a form.
fn form(node: Option<&Value>) -> Option<Value> {
    let fields = node?.pointer("/parameters/formFields/values")?.as_array()?;
    // A newer form gives its fields names beside what people read.
    let names = node?.get("typeVersion").and_then(Value::as_f64) >= Some(2.4);
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let text = |key: &str| {
            field
                .get(key)
                .and_then(Value::as_str)
                .filter(|t| !t.is_empty())
        };
        let (first, second) = if names {
            ("fieldName", "fieldLabel")
        } else {
            ("fieldLabel", "fieldName")
        };
        let Some(name) = text(first).or_else(|| text(second)) else {
            continue;
        };
        let kind = text("fieldType").unwrap_or("text");
        // A text to look at, something that cannot be said, and what its author has filled in.
        if matches!(kind, "html" | "file" | "hiddenField") {
            continue;
        }
        let options = field
            .pointer("/fieldOptions/values")
            .and_then(Value::as_array);
        let options: Vec<_> = options
            .into_iter()
            .flatten()
            .filter_map(|o| o.get("option").cloned())
            .collect();
        let one = match kind {
            "number" => serde_json::json!({"type": "number"}),
            _ if options.is_empty() => serde_json::json!({"type": "string"}),
            _ => serde_json::json!({"type": "string", "enum": options}),
        };
        let several = kind == "checkbox" || field.get("multiselect") == Some(&Value::Bool(true));
        let property = if several {
            serde_json::json!({"type": "array", "items": one})
        } else {
            one
        };
        if field.get("requiredField") == Some(&Value::Bool(true)) {
            required.push(name.to_owned());
        }
        properties.insert(name.to_owned(), property);
    }
    (!properties.is_empty()).then(
        || serde_json::json!({"type": "object", "properties": properties, "required": required}),
    )
}

fn webhook(node: &Value) -> Option<Trigger> {
    let id = node.get("webhookId").and_then(Value::as_str);
    let given = node.get("parameters");
    let text = |key: &str| given?.get(key)?.as_str();
    // A node may take several methods; one that carries a body is the one for us.
    let methods = given
        .and_then(|p| p.get("httpMethod"))
        .and_then(Value::as_array);
    let several = methods.map(|all| all.iter().filter_map(Value::as_str).collect::<Vec<_>>());
    let method = match &several {
        Some(all) => all.iter().find(|m| **m == "POST").or(all.first()).copied(),
        None => text("httpMethod"),
    };
    let path = text("path").filter(|path| !path.is_empty()).or(id)?;
    Some(Trigger::Webhook {
        method: method.unwrap_or("GET").to_ascii_uppercase(),
        path: path.trim_matches('/').to_owned(),
        id: id.filter(|id| *id != path).map(str::to_owned),
    })
}

/// What a language model calls the workflow `name`.
fn tool_name(name: &str) -> String {
    let name = name.trim().to_lowercase().replace([' ', '-'], "_");
    legal(&name)
}

/// The address to ask, without the arguments that stand in its path.
///
/// # Errors
///
/// A sentence, of an argument that is missing, or that cannot stand there.
pub(super) fn address(
    base: &Url,
    path: &str,
    id: Option<&str>,
    arguments: &mut Map<String, Value>,
) -> Result<Url, String> {
    let mut url = base.clone();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let dynamic = parts.iter().any(|part| part.starts_with(':'));
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push("webhook");
        // n8n wants its own id before a path with parts that vary, and only then.
        if let Some(id) = id.filter(|_| dynamic) {
            segments.push(id);
        }
        for part in parts {
            match part.strip_prefix(':') {
                None => segments.push(part),
                Some(name) => {
                    let given = arguments.remove(name).map(|v| plain(&v));
                    let given = given.filter(|v| !matches!(v.as_str(), "" | "." | ".."));
                    let given = given.ok_or_else(|| format!("\"{name}\" is missing."))?;
                    // n8n would take it for two parts, however it is written, and find no webhook.
                    if given.contains('/') {
                        return Err(format!("\"{name}\" may not have a slash in it."));
                    }
                    segments.push(&given)
                }
            };
        }
    }
    Ok(url)
}

/// A value as it stands in an address.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(name: &str, description: &str) -> Entry {
        Entry {
            id: "1".to_owned(),
            name: name.to_owned(),
            description: description.to_owned(),
            updated: String::new(),
        }
    }

    fn made(description: &str, node: Value) -> Workflow {
        workflow(
            &entry("Office-Lamp 2", description),
            &json!({"workflow": {"active": true, "nodes": [node]}}),
        )
        .unwrap()
    }

    #[test]
    fn only_workflows_that_are_to_be_called_are_listed() {
        let list = json!({"data": [
            {"id": "1", "name": "a", "active": true, "availableInMCP": true, "canExecute": true},
            {"id": "2", "name": "b", "active": false}, {"id": "3", "name": "c", "availableInMCP": false},
            {"id": "4", "name": "d", "canExecute": false}, {"id": "5", "name": "e"}, {"name": "f"}]});
        let names: Vec<_> = entries(&list)
            .unwrap()
            .into_iter()
            .map(|e| e.name)
            .collect();
        assert_eq!(names, ["a", "e"]);
        assert_eq!(entries(&json!([])), None);
    }

    #[test]
    fn a_webhook_gives_path_method_and_types() {
        let node = json!({"type": "n8n-nodes-base.webhook", "webhookId": "w", "notes": "{\"action\": \"on or off\"}",
            "parameters": {"httpMethod": "POST", "path": "office-lamp"}});
        let got = made("Switches the lamp.", node);
        assert_eq!(
            (got.name.as_str(), got.description.as_str()),
            ("office_lamp_2", "Switches the lamp.")
        );
        assert_eq!(
            got.parameters["properties"]["action"]["description"],
            "on or off"
        );
        let want = Trigger::Webhook {
            method: "POST".to_owned(),
            path: "office-lamp".to_owned(),
            id: Some("w".to_owned()),
        };
        assert_eq!(got.trigger, want);
        let bare = made(
            "",
            json!({"type": "n8n-nodes-base.webhook", "parameters": {"path": "user/:id"}}),
        );
        assert!(matches!(bare.trigger, Trigger::Webhook { method, .. } if method == "GET"));
        assert_eq!(bare.parameters["required"], json!(["id"]));
        assert_eq!(bare.description, "Execute office_lamp_2 workflow");
    }

    #[test]
    fn a_form_gives_its_fields() {
        let node = json!({"type": "n8n-nodes-base.formTrigger", "parameters": {"formFields": {"values": [
            {"fieldLabel": "Name", "requiredField": true}, {"fieldLabel": "Age", "fieldType": "number"},
            {"fieldType": "html", "fieldName": "text"}, {"fieldLabel": "Food", "fieldType": "checkbox",
             "fieldName": "food", "fieldOptions": {"values": [{"option": "fish"}, {"option": "rice"}]}}]}}});
        let mut newer = node.clone();
        newer["typeVersion"] = json!(2.4);
        let newer = made("A form.", newer).parameters;
        assert_eq!(
            newer["properties"]["food"],
            json!({"type": "array", "items": {"type": "string", "enum": ["fish", "rice"]}})
        );
        let got = made("A form.", node);
        let names: Vec<_> = got.parameters["properties"]
            .as_object()
            .unwrap()
            .keys()
            .collect();
        assert_eq!(names, ["Name", "Age", "Food"]);
        assert_eq!(got.trigger, Trigger::Form);
        assert_eq!(got.parameters["properties"]["Age"]["type"], "number");
        assert_eq!(got.parameters["required"], json!(["Name"]));
    }

    #[test]
    fn what_n8n_does_not_run_is_no_tool() {
        let of = |nodes: Value| {
            let details = json!({"workflow": {"active": true, "nodes": nodes}});
            Some(workflow(&entry("a", ""), &details)?.trigger)
        };
        let (time, form, call) = (
            json!({"type": "n8n-nodes-base.scheduleTrigger"}),
            json!({"type": "n8n-nodes-base.formTrigger"}),
            json!({"type": "n8n-nodes-base.executeWorkflowTrigger"}),
        );
        assert_eq!(of(json!([call, form, time])), Some(Trigger::Form));
        assert_eq!(of(json!([call, time, form])), Some(Trigger::Schedule));
        assert_eq!(of(json!([call])), None);
    }

    #[test]
    fn addresses_take_arguments_into_their_path() {
        let base = Url::parse("http://h:5678/n8n").unwrap();
        let mut arguments = json!({"id": "a b?c", "x": 1}).as_object().unwrap().clone();
        let url = address(&base, "user/:id", Some("w"), &mut arguments).unwrap();
        assert_eq!(url.as_str(), "http://h:5678/n8n/webhook/w/user/a%20b%3Fc");
        assert_eq!(arguments.len(), 1);
        let plain = address(&base, "office-lamp", Some("w"), &mut arguments).unwrap();
        assert_eq!(plain.as_str(), "http://h:5678/n8n/webhook/office-lamp");
        let missing = address(&base, "user/:id", None, &mut arguments).unwrap_err();
        assert_eq!(missing, "\"id\" is missing.");
        arguments.insert("id".to_owned(), "../b".into());
        let parts = address(&base, "user/:id", None, &mut arguments).unwrap_err();
        assert_eq!(parts, "\"id\" may not have a slash in it.");
    }
}
