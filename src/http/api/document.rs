//! What the endpoints are, for programs (`/openapi.json`, OpenAPI 3.1) and for people (`/docs`). Both are
//! made once, at start, from the types of the handlers. The page has no script: our policy would allow
//! only files of this server, and it needs none.

use std::fmt::Write as _;

use axum::{
    Router,
    http::{HeaderValue, header},
    response::IntoResponse,
    routing::get,
};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{
    State,
    refusal::{InvalidBody, PlainBody},
};
use crate::http::{guard, own::Problem};

/// One method of one path.
pub(super) struct Operation {
    pub(super) path: &'static str,
    pub(super) method: String,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) refuses: &'static [(u16, &'static str)],
    pub(super) input: Option<Input>,
    pub(super) answer: Answer,
    pub(super) errors: Errors,
}

/// What an operation answers where all is well.
pub(in crate::http) enum Answer {
    /// A status and JSON.
    Json(u16, Schema),
    /// 200 and JSON, and 503 with the same.
    Either(Schema),
    /// 200 and something else, by its media type.
    Media(&'static str),
    /// 204.
    Nothing,
    /// 101: a WebSocket.
    Socket,
}

/// How an operation refuses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Errors {
    /// As FastAPI does.
    Detail,
    /// With problem JSON.
    Problem,
}

/// What an operation is told.
pub(in crate::http) enum Input {
    /// After the question mark: every field of an object.
    Query(Schema),
    /// JSON.
    Body {
        /// Of what shape.
        schema: Schema,
        /// Nothing counts as `{}`.
        optional: bool,
    },
}

/// The document, ready to be sent.
pub(super) struct Document {
    json: String,
    page: String,
}

impl Document {
    pub(super) fn new(operations: Vec<Operation>, types: &mut SchemaGenerator) -> Self {
        let invalid = types.subschema_for::<InvalidBody>();
        let plain = types.subschema_for::<PlainBody>();
        let refused = types.subschema_for::<guard::Problem>();
        let own = types.subschema_for::<Problem>();
        let schemas = Value::Object(types.definitions().clone());
        let mut paths = Map::new();
        for operation in operations {
            let path = paths.entry(operation.path).or_insert_with(|| json!({}));
            let described = match operation.errors {
                Errors::Detail => describe(
                    &operation,
                    &schemas,
                    ("application/json", &invalid),
                    ("application/json", &plain),
                ),
                Errors::Problem => {
                    let problem = ("application/problem+json", &own);
                    describe(&operation, &schemas, problem, problem)
                }
            };
            path[&operation.method] = described;
            guarded(&mut path[&operation.method], operation.path, &refused);
        }
        let document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "CAAL",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "The HTTP API of a local voice assistant. Every path is also there with /api before it, but for those that have it already, /ready and /metrics.",
                "license": { "name": "MIT", "identifier": "MIT" },
            },
            "servers": [{ "url": "/" }, { "url": "/api" }],
            // Where the server has one.
            "security": [{ "key": [] }],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": { "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "What CAAL_API_KEY says on the server; without one only its own machine gets in",
                } },
            },
        });
        Self {
            page: page(&document),
            json: document.to_string(),
        }
    }

    /// `/openapi.json` and `/docs`.
    pub(super) fn routes(self) -> Router<State> {
        let text = |kind: &'static str, text: String| {
            let text: &'static str = text.leak();
            get(move || async move { safe(kind, text) })
        };
        Router::new()
            .route("/openapi.json", text("application/json", self.json))
            .route("/docs", text("text/html; charset=utf-8", self.page))
            .route(
                "/docs.css",
                get(|| async { safe("text/css; charset=utf-8", STYLE) }),
            )
    }
}

const STYLE: &str = include_str!("docs.css");

/// `text` with the headers of a page that nobody else may frame, and that loads nothing from elsewhere.
fn safe(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (
        headers.map(|(name, value)| (name, HeaderValue::from_static(value))),
        text,
    )
}

/// A media type, and what is in it.
type Body<'a> = (&'static str, &'a Schema);

fn describe(operation: &Operation, schemas: &Value, invalid: Body<'_>, plain: Body<'_>) -> Value {
    let content = |(kind, schema): Body<'_>| json!({ kind: { "schema": schema } });
    let mut responses = match &operation.answer {
        Answer::Json(status, schema) => json!({
            status.to_string(): { "description": "Done", "content": content(("application/json", schema)) }
        }),
        Answer::Either(schema) => {
            let body = content(("application/json", schema));
            json!({
                "200": { "description": "Yes", "content": body },
                "503": { "description": "Not yet, or no more", "content": body },
            })
        }
        Answer::Media(kind) => {
            json!({ "200": { "description": "Done", "content": { *kind: {} } } })
        }
        Answer::Nothing => json!({ "204": { "description": "Done" } }),
        Answer::Socket => json!({ "101": { "description": "A WebSocket begins" } }),
    };
    let mut described = json!({
        "tags": [operation.tag],
        "summary": operation.summary,
        "operationId": format!("{}{}", operation.method, operation.path.replace(['/', '-', '{', '}'], "_")),
    });
    let in_path: Vec<Value> = (operation.path.split('/'))
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect();
    if let Some(input) = &operation.input {
        responses["422"] = json!({ "description": "The request is not as it should be; all problems of it", "content": content(invalid) });
        match input {
            Input::Query(schema) => described["parameters"] = parameters(schema, schemas),
            Input::Body { schema, optional } => {
                responses["400"] =
                    json!({ "description": "The body is not text", "content": content(plain) });
                responses["413"] =
                    json!({ "description": "The body is too long", "content": content(plain) });
                described["requestBody"] = json!({ "required": !optional, "content": content(("application/json", schema)) });
            }
        }
    }
    for (status, when) in operation.refuses {
        responses[status.to_string()] = json!({ "description": when, "content": content(plain) });
    }
    if !in_path.is_empty() {
        let after = described["parameters"].take();
        let after = after.as_array().cloned().unwrap_or_default();
        described["parameters"] = in_path.into_iter().chain(after).collect();
    }
    described["responses"] = responses;
    described
}

/// Adds what every endpoint has in common: that the key is asked for.
fn guarded(described: &mut Value, path: &str, refused: &Schema) {
    if path == "/health" {
        described["security"] = json!([]);
        return;
    }
    for (status, when) in [
        (
            "401",
            "There is a key, and this is not it; or a signature lets nobody in",
        ),
        (
            "429",
            "Too many wrong keys, or connection tests, in a minute",
        ),
    ] {
        let content = json!({ "application/problem+json": { "schema": refused } });
        described["responses"][status] = json!({ "description": when, "content": content });
    }
}

/// The fields of an object as parameters of a query.
fn parameters(schema: &Schema, schemas: &Value) -> Value {
    let schema = resolved(schema.as_value(), schemas);
    let required = |key: &String| {
        let all = schema["required"].as_array();
        all.is_some_and(|all| all.iter().any(|one| one == key))
    };
    let fields = schema["properties"].as_object().into_iter().flatten();
    fields
        .map(|(key, field)| {
            let mut field = field.clone();
            // A query has no null.
            if let Some(kinds) = field["type"].as_array() {
                field["type"] = kinds[0].clone();
            }
            let about = field["description"].clone();
            json!({ "name": key, "in": "query", "required": required(key), "description": about, "schema": field })
        })
        .collect()
}

/// What `schema` stands for.
fn resolved<'a>(schema: &'a Value, schemas: &'a Value) -> &'a Value {
    let name = schema["$ref"]
        .as_str()
        .and_then(|name| name.rsplit('/').next());
    name.map_or(schema, |name| &schemas[name])
}

/// The document as a page.
fn page(document: &Value) -> String {
    let mut out = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>CAAL: HTTP API</title>\n\
         <link rel=\"stylesheet\" href=\"/docs.css\">\n<main>\n<h1>CAAL: HTTP API</h1>\n\
         <p>Every path is also there with <code>/api</code> before it, but for those that have it already, \
         <code>/ready</code> and <code>/metrics</code>. For programs: \
         <a href=\"/openapi.json\">/openapi.json</a>.</p>\n",
    );
    let schemas = &document["components"]["schemas"];
    let mut tag = Value::Null;
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            if operation["tags"][0] != tag {
                tag = operation["tags"][0].clone();
                let _ = writeln!(out, "<h2>{}</h2>", html(&tag));
            }
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "<section id=\"{}\"><h3><code>{} {}</code></h3>\n<p>{}</p>",
                html(&operation["operationId"]),
                method.to_uppercase(),
                html(&path.as_str().into()),
                html(&operation["summary"]),
            );
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let (name, about) = (html(&parameter["name"]), html(&parameter["description"]));
                let _ = writeln!(out, "<p>Query: <code>{name}</code> {about}</p>");
            }
            let json = &operation["requestBody"]["content"]["application/json"]["schema"];
            if !json.is_null() {
                fields(&mut out, "Body", json, schemas);
            }
            let responses = operation["responses"].as_object().into_iter().flatten();
            for (status, response) in responses {
                let schema = &response["content"]["application/json"]["schema"];
                match status.as_str() {
                    "200" | "202" if !schema.is_null() => {
                        fields(&mut out, "Answer", schema, schemas);
                    }
                    _ => {
                        let about = html(&response["description"]);
                        let _ = writeln!(out, "<p><code>{status}</code> {about}</p>");
                    }
                }
            }
            out.push_str("</section>\n");
        }
    }
    out.push_str("</main>\n</html>\n");
    out
}

/// The fields of an object as a table.
fn fields(out: &mut String, title: &str, schema: &Value, schemas: &Value) {
    let schema = resolved(schema, schemas);
    let required = schema["required"].as_array();
    let _ = writeln!(out, "<table><caption>{title}</caption><tbody>");
    for (key, field) in schema["properties"].as_object().into_iter().flatten() {
        let needed = required.is_some_and(|all| all.iter().any(|one| one == key));
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\"><code>{}</code>{}</th><td>{}</td><td>{}</td></tr>",
            html(&key.as_str().into()),
            if needed { "" } else { " (may be left out)" },
            html(&kind(field).into()),
            html(&field["description"]),
        );
    }
    out.push_str("</tbody></table>\n");
}

/// What values a field takes, in a word or two.
fn kind(field: &Value) -> String {
    let name = |kind: &Value| match kind.as_str() {
        Some("array") => format!("list of {}", self::kind(&field["items"])),
        Some(kind) => kind.to_owned(),
        None => "anything".to_owned(),
    };
    match (&field["$ref"], &field["type"]) {
        (Value::String(to), _) => to.rsplit('/').next().unwrap_or_default().to_owned(),
        (_, Value::Array(kinds)) => kinds.iter().map(name).collect::<Vec<_>>().join(" or "),
        (_, kind) => name(kind),
    }
}

fn html(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
