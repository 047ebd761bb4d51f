//! The workflows of a real n8n, made here over its REST API and called as tools. Needs the n8n that
//! scripts/real-parts/n8n.sh starts: its own, for every workflow in it is deleted first.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use caal::{
    pii::Pii,
    tools::{Connections, ConnectionsConfig, Outcome, ToolError, Toolbox, mcp::ServerConfig},
};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{call, names, tool, within};

/// A real n8n, logged in to.
struct N8n {
    url: String,
    cookie: String,
    /// For its MCP server.
    key: String,
}

#[allow(
    clippy::disallowed_methods,
    reason = "tests are told where real parts are"
)]
fn server() -> Value {
    let home = || std::env::var("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|_| home()).unwrap();
    let text = std::fs::read_to_string(cache.join("caal/n8n/server.json"));
    serde_json::from_str(&text.expect("run scripts/real-parts/n8n.sh first")).unwrap()
}

/// The one of all tests, without workflows at first.
async fn n8n() -> &'static N8n {
    static ONE: OnceCell<N8n> = OnceCell::const_new();
    ONE.get_or_init(|| async {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let server = server();
        let mut n8n = N8n {
            url: server["url"].as_str().unwrap().to_owned(),
            cookie: String::new(),
            key: String::new(),
        };
        let (email, password) = (&server["email"], &server["password"]);
        let owner =
            json!({"email": email, "firstName": "Ann", "lastName": "Owner", "password": password});
        // Refused where that was done before.
        let _ = n8n.send(Method::POST, "owner/setup", owner).await;
        let login = json!({"emailOrLdapLoginId": email, "password": password});
        let login = n8n.send(Method::POST, "login", login).await;
        let cookie = login.headers()["set-cookie"].to_str().unwrap();
        n8n.cookie = cookie.split(';').next().unwrap().to_owned();
        n8n.ask(
            Method::PATCH,
            "mcp/settings",
            json!({"mcpAccessEnabled": true}),
        )
        .await;
        let key = n8n.ask(Method::POST, "mcp/api-key/rotate", json!({})).await;
        n8n.key = key["apiKey"].as_str().unwrap().to_owned();
        for old in n8n
            .ask(Method::GET, "workflows", Value::Null)
            .await
            .as_array()
            .unwrap()
        {
            let path = format!("workflows/{}", old["id"].as_str().unwrap());
            if old["isArchived"] != true {
                n8n.ask(Method::POST, &format!("{path}/archive"), json!({}))
                    .await;
            }
            n8n.ask(Method::DELETE, &path, Value::Null).await;
        }
        n8n
    })
    .await
}

impl N8n {
    async fn send(&self, method: Method, path: &str, body: Value) -> reqwest::Response {
        let client = Client::builder().no_proxy().build().unwrap();
        let mut request = client
            .request(method, format!("{}/rest/{path}", self.url))
            .header("cookie", &self.cookie);
        if !body.is_null() {
            request = request.json(&body);
        }
        within(request.send()).await.unwrap()
    }

    /// What n8n's REST API answers.
    async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.send(method, path, body).await;
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status}: {text}");
        serde_json::from_str::<Value>(&text).unwrap_or_default()["data"].take()
    }

    /// An active workflow of `nodes`, one after the other; its id.
    async fn make(&self, name: &str, description: &str, nodes: &[Value]) -> String {
        self.make_with(name, description, nodes, json!({})).await
    }

    async fn make_with(
        &self,
        name: &str,
        description: &str,
        nodes: &[Value],
        settings: Value,
    ) -> String {
        let body = json!({"name": name, "description": description, "nodes": nodes,
            "connections": chain(nodes), "settings": settings});
        let made = self.ask(Method::POST, "workflows", body).await;
        let id = made["id"].as_str().unwrap().to_owned();
        self.activate(&id, &made["versionId"]).await;
        let access = json!({"workflowIds": [id], "availableInMCP": true});
        self.ask(Method::PATCH, "mcp/workflows/toggle-access", access)
            .await;
        id
    }

    async fn activate(&self, id: &str, version: &Value) {
        let path = format!("workflows/{id}/activate");
        self.ask(Method::POST, &path, json!({"versionId": version}))
            .await;
    }

    async fn deactivate(&self, id: &str) {
        let path = format!("workflows/{id}/deactivate");
        self.ask(Method::POST, &path, json!({})).await;
    }

    fn config(&self, login: Option<&str>) -> ConnectionsConfig {
        let url = format!("{}/mcp-server/http", self.url);
        let server = ServerConfig::streamable("n8n", &url, &self.key).unwrap();
        ConnectionsConfig {
            servers: vec![server],
            n8n_webhook_auth: login.map(|login| Pii(login.to_owned())),
        }
    }

    /// The tools that CAAL makes of its workflows, once `wanted` are among them.
    async fn tools(&self, wanted: &[&str]) -> (Connections, Toolbox) {
        let toolbox = Toolbox::default();
        let connections = Connections::start(self.config(None), toolbox.clone());
        let begun = Instant::now();
        within(async {
            loop {
                let changed = toolbox.changed();
                let there = names(&toolbox);
                if wanted.iter().all(|name| there.iter().any(|n| n == name)) {
                    return;
                }
                let _ = tokio::time::timeout(Duration::from_millis(50), changed).await;
            }
        })
        .await;
        eprintln!(
            "connected, {} workflows listed: {:?}",
            names(&toolbox).len(),
            begun.elapsed()
        );
        (connections, toolbox)
    }
}

fn chain(nodes: &[Value]) -> Value {
    let pairs = nodes.iter().zip(nodes.iter().skip(1));
    let name = |node: &Value| node["name"].as_str().unwrap().to_owned();
    let pairs = pairs.map(|(from, to)| {
        let next = json!({"main": [[{"node": to["name"], "type": "main", "index": 0}]]});
        (name(from), next)
    });
    Value::Object(pairs.collect())
}

fn node(name: &str, kind: &str, version: f64, parameters: Value) -> Value {
    json!({"id": name, "name": name, "type": kind, "typeVersion": version, "position": [0, 0],
        "parameters": parameters})
}

/// A webhook that is answered with what the last node gives.
fn webhook(method: &str, path: &str, notes: &str) -> Value {
    let parameters =
        json!({"httpMethod": method, "path": path, "responseMode": "lastNode", "options": {}});
    let mut node = node("Webhook", "n8n-nodes-base.webhook", 2.0, parameters);
    node["webhookId"] = format!("id-of-{}", path.replace(['/', ':'], "-")).into();
    node["notes"] = notes.into();
    node
}

fn schedule() -> Value {
    let rule = json!({"rule": {"interval": [{"field": "months", "monthsInterval": 11}]}});
    node("Schedule", "n8n-nodes-base.scheduleTrigger", 1.2, rule)
}

/// A node that gives `object`, an expression of JavaScript.
fn gives(object: &str) -> Value {
    let parameters =
        json!({"mode": "raw", "jsonOutput": format!("={{{{ {object} }}}}"), "options": {}});
    node("Answer", "n8n-nodes-base.set", 3.4, parameters)
}

fn fails(why: &str) -> Value {
    node(
        "Stop",
        "n8n-nodes-base.stopAndError",
        1.0,
        json!({"errorMessage": why}),
    )
}

/// Calls, and tells how long that took.
async fn timed(toolbox: &Toolbox, name: &str, arguments: Value) -> Result<Outcome, ToolError> {
    let begun = Instant::now();
    let result = call(toolbox, name, arguments).await;
    eprintln!("{name}: {:?}: {result:?}", begun.elapsed());
    result
}

#[tokio::test]
#[ignore = "needs a real n8n: scripts/real-parts/n8n.sh"]
async fn webhooks_are_called_as_their_workflows_say() {
    let n8n = n8n().await;
    let schema = json!({"type": "object", "properties": {
        "action": {"type": "string", "enum": ["on", "off"]}, "level": {"type": "integer"}}, "required": ["action"]});
    let notes = format!("Switches the office lamp.\n---schema\n{schema}");
    let answer = gives("{ message: `The lamp is ${$json.body.action}.` }");
    n8n.make(
        "Office Lamp",
        "",
        &[webhook("POST", "office-lamp", &notes), answer],
    )
    .await;
    let look = gives("{ id: $json.params.id, unread: $json.query.unread }");
    n8n.make(
        "User-Mail",
        "Counts mails. Parameters: id, unread (true|false)",
        &[webhook("GET", "user/:id/mail", ""), look],
    )
    .await;
    let none = json!({"fieldToSplitOut": "body.none", "options": {}});
    let split = node("Split", "n8n-nodes-base.splitOut", 1.0, none);
    n8n.make("Sieve", "", &[webhook("POST", "sieve", ""), split])
        .await;
    let (_connections, toolbox) = n8n.tools(&["office_lamp", "sieve", "user_mail"]).await;

    let lamp = tool(&toolbox, "office_lamp");
    assert_eq!(lamp.spec().description, "Switches the office lamp.");
    assert_eq!(lamp.spec().parameters, schema);
    assert!(lamp.changes() && tool(&toolbox, "user_mail").changes());
    let lit = timed(&toolbox, "office_lamp", json!({"action": "on", "level": 5})).await;
    assert_eq!(lit.unwrap().say.as_deref(), Some("The lamp is on."));
    for _ in 0..3 {
        timed(&toolbox, "office_lamp", json!({"action": "off"}))
            .await
            .unwrap();
    }
    let mail = timed(
        &toolbox,
        "user_mail",
        json!({"id": "a b & c", "unread": "true"}),
    )
    .await;
    let mail: Value = serde_json::from_str(&mail.unwrap().content).unwrap();
    assert_eq!(mail, json!({"id": "a b & c", "unread": "true"}));
    let missing = call(&toolbox, "user_mail", json!({})).await.unwrap_err();
    assert_eq!(missing.to_string(), "\"id\" is missing.");
    // n8n finds no webhook for it, however it is written.
    let parts = call(&toolbox, "user_mail", json!({"id": "a/7"})).await;
    let parts = parts.unwrap_err().to_string();
    assert_eq!(parts, "\"id\" may not have a slash in it.");
    let empty = timed(&toolbox, "sieve", json!({})).await.unwrap();
    assert_eq!(empty.content, "The workflow Sieve ran, and gave nothing.");
}

#[tokio::test]
#[ignore = "needs a real n8n: scripts/real-parts/n8n.sh"]
async fn a_webhook_that_wants_a_login_is_shown_it() {
    let n8n = n8n().await;
    let header = json!({"name": "door", "type": "httpHeaderAuth",
        "data": {"name": "X-Door", "value": "s3cret-of-the-d00r"}});
    let made = n8n.ask(Method::POST, "credentials", header).await;
    let mut hook = webhook("POST", "door", "Opens the door.");
    hook["parameters"]["authentication"] = "headerAuth".into();
    hook["credentials"] = json!({"httpHeaderAuth": {"id": made["id"], "name": "door"}});
    n8n.make("Door", "", &[hook, gives("{ message: 'Open.' }")])
        .await;
    let basic = json!({"name": "gate", "type": "httpBasicAuth", "data": {"user": "ann", "password": "p4ss-of-the-gate"}});
    let made = n8n.ask(Method::POST, "credentials", basic).await;
    let mut hook = webhook("POST", "gate", "Opens the gate.");
    hook["parameters"]["authentication"] = "basicAuth".into();
    hook["credentials"] = json!({"httpBasicAuth": {"id": made["id"], "name": "gate"}});
    n8n.make("Gate", "", &[hook, gives("{ message: 'Open.' }")])
        .await;
    let (connections, toolbox) = n8n.tools(&["door", "gate"]).await;

    for name in ["door", "gate"] {
        let closed = timed(&toolbox, name, json!({})).await.unwrap_err();
        assert!(closed.to_string().contains("n8n_webhook_auth"), "{closed}");
    }
    for (name, login) in [
        ("door", "X-Door: s3cret-of-the-d00r"),
        ("gate", "Basic ann:p4ss-of-the-gate"),
    ] {
        connections.set(n8n.config(Some(login)));
        within(connections.refresh()).await;
        let open = timed(&toolbox, name, json!({})).await.unwrap();
        assert_eq!(open.say.as_deref(), Some("Open."));
    }
    connections.set(n8n.config(Some("X-Door: wrong")));
    within(connections.refresh()).await;
    let closed = timed(&toolbox, "door", json!({})).await.unwrap_err();
    assert!(closed.to_string().contains("n8n_webhook_auth"), "{closed}");
}

#[tokio::test]
#[ignore = "needs a real n8n: scripts/real-parts/n8n.sh"]
async fn workflows_without_a_webhook_are_run_by_n8n() {
    let n8n = n8n().await;
    let done = gives("{ message: 'The bins are out.' }");
    n8n.make("Bins", "Puts out the bins.", &[schedule(), done])
        .await;
    let fields = json!({"formTitle": "Guest", "options": {}, "formFields": {"values": [
        {"fieldLabel": "Name", "requiredField": true}, {"fieldLabel": "Nights", "fieldType": "number"}]}});
    let mut form = node("Form", "n8n-nodes-base.formTrigger", 2.2, fields);
    form["webhookId"] = "id-of-guest".into();
    let done = gives("{ message: `${$json.Name} stays ${$json.Nights}.` }");
    n8n.make("Guest", "Takes in a guest.", &[form, done]).await;
    let mut chat = node(
        "Chat",
        "@n8n/n8n-nodes-langchain.chatTrigger",
        1.1,
        json!({"options": {}}),
    );
    chat["webhookId"] = "id-of-butler".into();
    let done = gives("{ message: `You said ${$json.chatInput}.` }");
    n8n.make("Butler", "Asks the butler.", &[chat, done]).await;
    let wait = node(
        "Wait",
        "n8n-nodes-base.wait",
        1.1,
        json!({"amount": 5, "unit": "hours"}),
    );
    n8n.make("Later", "Does it later.", &[schedule(), wait])
        .await;
    let many = gives("{ list: [1, 2] }");
    let split = node(
        "Split",
        "n8n-nodes-base.splitOut",
        1.0,
        json!({"fieldToSplitOut": "list", "options": {}}),
    );
    n8n.make("Many", "Lists.", &[schedule(), many, split]).await;
    let body = json!({"saveDataSuccessExecution": "none", "saveDataErrorExecution": "none"});
    n8n.make_with(
        "Secret",
        "Keeps quiet.",
        &[schedule(), gives("{ n: 1 }")],
        body,
    )
    .await;
    let part = node(
        "Part",
        "n8n-nodes-base.executeWorkflowTrigger",
        1.1,
        json!({"inputSource": "passthrough"}),
    );
    n8n.make("Part", "Is for others.", &[part, gives("{ n: 1 }")])
        .await;
    let wanted = ["bins", "butler", "guest", "later", "many", "secret"];
    let (_connections, toolbox) = n8n.tools(&wanted).await;

    let bins = timed(&toolbox, "bins", json!({})).await.unwrap();
    assert_eq!(bins.say.as_deref(), Some("The bins are out."));
    let form = &tool(&toolbox, "guest").spec().parameters.clone();
    assert_eq!(form["required"], json!(["Name"]));
    let guest = timed(&toolbox, "guest", json!({"Name": "Ann", "Nights": 2})).await;
    assert_eq!(guest.unwrap().say.as_deref(), Some("Ann stays 2."));
    let butler = timed(&toolbox, "butler", json!({"message": "good evening"})).await;
    assert_eq!(
        butler.unwrap().say.as_deref(),
        Some("You said good evening.")
    );
    let later = timed(&toolbox, "later", json!({})).await.unwrap();
    assert!(later.content.contains("is waiting for something"));
    let many = timed(&toolbox, "many", json!({})).await.unwrap();
    assert_eq!(many.content, r#"[{"list":1},{"list":2}]"#);
    let secret = timed(&toolbox, "secret", json!({})).await.unwrap();
    let honest = "The workflow Secret was started; n8n keeps no record of how it ended.";
    assert_eq!(secret.content, honest);
    // n8n runs it for no client of MCP.
    assert!(!names(&toolbox).iter().any(|name| name == "part"));
}

#[tokio::test]
#[ignore = "needs a real n8n: scripts/real-parts/n8n.sh"]
async fn a_workflow_that_fails_says_so() {
    let n8n = n8n().await;
    n8n.make(
        "Broken hook",
        "",
        &[
            webhook("POST", "broken", "Fails."),
            fails("The oven is off."),
        ],
    )
    .await;
    n8n.make(
        "Broken plan",
        "Fails.",
        &[schedule(), fails("The oven is off.")],
    )
    .await;
    let (_connections, toolbox) = n8n.tools(&["broken_hook", "broken_plan"]).await;
    let hook = timed(&toolbox, "broken_hook", json!({})).await.unwrap_err();
    assert_eq!(
        hook.to_string(),
        "The workflow Broken hook failed: Error in workflow"
    );
    let plan = timed(&toolbox, "broken_plan", json!({})).await.unwrap_err();
    assert_eq!(
        plan.to_string(),
        "The workflow Broken plan failed: The oven is off."
    );
}

#[tokio::test]
#[ignore = "needs a real n8n: scripts/real-parts/n8n.sh"]
async fn what_changes_in_n8n_is_seen() {
    let n8n = n8n().await;
    let hook = webhook("POST", "radio", r#"{"station": "its name"}"#);
    let radio = n8n
        .make("Radio", "Plays.", &[hook, gives("{ message: 'On.' }")])
        .await;
    let plan = [schedule(), gives("{ message: 'Watered.' }")];
    let garden = n8n.make("Garden", "Waters.", &plan).await;
    let (connections, toolbox) = n8n.tools(&["garden", "radio"]).await;
    timed(&toolbox, "radio", json!({"station": "one"}))
        .await
        .unwrap();

    // Before CAAL looks again.
    n8n.deactivate(&radio).await;
    n8n.deactivate(&garden).await;
    for (name, title) in [("radio", "Radio"), ("garden", "Garden")] {
        let off = timed(&toolbox, name, json!({})).await.unwrap_err();
        let honest =
            format!("The workflow {title} is not active in n8n. Activate it there and try again.");
        assert_eq!(off, ToolError::Refused(honest));
    }
    within(connections.refresh()).await;
    let there = names(&toolbox);
    assert!(!there.iter().any(|n| n == "radio" || n == "garden"));

    // Active again, then changed: the change counts once it is published, which n8n's list does not show.
    let first = n8n
        .ask(Method::GET, &format!("workflows/{radio}"), Value::Null)
        .await;
    n8n.activate(&radio, &first["versionId"]).await;
    within(connections.refresh()).await;
    let knob = |toolbox: &Toolbox| {
        let radio = tool(toolbox, "radio");
        let properties = radio.spec().parameters["properties"].as_object().unwrap();
        properties.keys().next().unwrap().clone()
    };
    assert_eq!(knob(&toolbox), "station");
    let nodes = [
        webhook("POST", "radio", r#"{"volume": 5}"#),
        gives("{ message: 'Loud.' }"),
    ];
    let body = json!({"name": "Radio", "nodes": nodes, "connections": chain(&nodes)});
    let path = format!("workflows/{radio}");
    let changed = n8n.ask(Method::PATCH, &path, body).await;
    within(connections.refresh()).await;
    assert_eq!(knob(&toolbox), "station");
    n8n.activate(&radio, &changed["versionId"]).await;
    // A look that is not asked for: another login is one.
    connections.set(n8n.config(Some("X-Nothing: 1")));
    within(async {
        while knob(&toolbox) != "volume" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let loud = timed(&toolbox, "radio", json!({"volume": 9})).await;
    assert_eq!(loud.unwrap().say.as_deref(), Some("Loud."));
    // An older version again shows when somebody asks.
    n8n.activate(&radio, &first["versionId"]).await;
    let begun = Instant::now();
    within(connections.refresh()).await;
    eprintln!("looked again: {:?}", begun.elapsed());
    assert_eq!(knob(&toolbox), "station");
}
