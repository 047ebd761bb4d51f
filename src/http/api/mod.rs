//! CAAL's HTTP API: every endpoint is written down once, with its types, and from that come the routes at
//! `/x` and at `/api/x`, the checking of requests, and the document at `/openapi.json`. Errors and odd
//! requests are answered as FastAPI answers them, because CAAL's clients were written against that.

mod check;
mod commands;
mod document;
mod models;
mod prompt;
mod refusal;
mod screen;
mod settings;
mod setup;
mod table;
mod vk;
mod wake_word;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{self, Request},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter},
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::{Serialize, de::DeserializeOwned};

use self::{
    check::Shape,
    document::{Document, Errors, Operation},
};
use super::{
    State,
    own::{self, Problem},
};

pub(super) use document::{Answer, Input};
pub(super) use refusal::Refusal;
pub use screen::Screens;

/// Longest body of a request, bytes. A picture of the screen may be longer.
const LONGEST: usize = 1 << 20;

/// Paths of our own that are not there with `/api` before them, too.
const ALONE: [&str; 2] = ["/ready", "/metrics"];

/// What people read about an endpoint.
pub(super) struct About {
    pub(super) path: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// With which statuses it refuses, beside 422 for bodies that are none, and when.
    pub(super) refuses: &'static [(u16, &'static str)],
    /// Longest body, bytes.
    pub(super) longest: usize,
}

pub(super) const fn about(path: &'static str, tag: &'static str, summary: &'static str) -> About {
    About {
        path,
        tag,
        summary,
        refuses: &[],
        longest: LONGEST,
    }
}

impl About {
    pub(super) const fn refuses(mut self, refuses: &'static [(u16, &'static str)]) -> Self {
        self.refuses = refuses;
        self
    }
}

/// Endpoints, as they are written down.
pub(super) struct Api {
    routes: BTreeMap<&'static str, (MethodRouter<State>, Vec<&'static str>)>,
    /// Those of our own.
    own: BTreeMap<&'static str, (MethodRouter<State>, Vec<String>)>,
    operations: Vec<Operation>,
    types: SchemaGenerator,
}

impl Api {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|s| {
            s.definitions_path = "/components/schemas".into();
            s.meta_schema = None;
        });
        Self {
            routes: BTreeMap::new(),
            own: BTreeMap::new(),
            operations: Vec::new(),
            types: settings.into_generator(),
        }
    }

    /// An endpoint that only tells.
    fn get<O, F, Fut>(&mut self, about: About, handler: F)
    where
        O: Serialize + JsonSchema,
        F: Fn(State) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Refusal>> + Send,
    {
        self.note::<O>(&about, "get", None);
        self.serve(about.path, Method::GET, move |state, _| {
            let handler = handler.clone();
            async move { handler(state).await.map(Json).into_response() }
        });
    }

    /// An endpoint that tells, asked with a query.
    fn ask<I, O, F, Fut>(&mut self, about: About, handler: F)
    where
        I: DeserializeOwned + JsonSchema + Send,
        O: Serialize + JsonSchema,
        F: Fn(State, I) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Refusal>> + Send,
    {
        let schema = self.types.subschema_for::<I>();
        self.note::<O>(&about, "get", Some(Input::Query(schema)));
        self.serve(about.path, Method::GET, move |state, request: Request| {
            let handler = handler.clone();
            // The last of several counts, as for FastAPI.
            let pairs = pairs(request.uri()).into_iter();
            let object = pairs.map(|(key, value)| (key, value.into())).collect();
            let input = serde_json::from_value(serde_json::Value::Object(object));
            async move {
                let input = input.map_err(|e| {
                    let at = vec!["query".into()];
                    let problem =
                        check::problem("value_error", at, &e.to_string(), serde_json::Value::Null);
                    Refusal::Invalid(vec![problem])
                });
                match input {
                    Ok(input) => handler(state, input).await.map(Json).into_response(),
                    Err(refusal) => refusal.into_response(),
                }
            }
        });
    }

    /// An endpoint that does something and is told nothing.
    fn act<O, F, Fut>(&mut self, about: About, handler: F)
    where
        O: Serialize + JsonSchema,
        F: Fn(State) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Refusal>> + Send,
    {
        self.note::<O>(&about, "post", None);
        self.serve(about.path, Method::POST, move |state, _| {
            let handler = handler.clone();
            async move { handler(state).await.map(Json).into_response() }
        });
    }

    /// An endpoint that does what its body says.
    fn post<I, O, F, Fut>(&mut self, about: About, handler: F)
    where
        I: DeserializeOwned + JsonSchema + Send,
        O: Serialize + JsonSchema,
        F: Fn(State, I) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Refusal>> + Send,
    {
        self.post_body::<I, O, F, Fut>(about, false, handler);
    }

    /// The same, where a body that is not there is an empty one: `curl -X POST` is enough.
    fn post_or_nothing<I, O, F, Fut>(&mut self, about: About, handler: F)
    where
        I: DeserializeOwned + JsonSchema + Send,
        O: Serialize + JsonSchema,
        F: Fn(State, I) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Refusal>> + Send,
    {
        self.post_body::<I, O, F, Fut>(about, true, handler);
    }

    fn post_body<I, O, F, Fut>(&mut self, about: About, optional: bool, handler: F)
    where
        I: DeserializeOwned + JsonSchema + Send,
        O: Serialize + JsonSchema,
        F: Fn(State, I) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<O, Refusal>> + Send,
    {
        let schema = self.types.subschema_for::<I>();
        self.note::<O>(&about, "post", Some(Input::Body { schema, optional }));
        let shape = Arc::new(Shape::of::<I>(optional));
        let longest = about.longest;
        self.serve(about.path, Method::POST, move |state, request: Request| {
            let (handler, shape) = (handler.clone(), shape.clone());
            async move {
                let (head, body) = request.into_parts();
                let Ok(body) = to_bytes(body, longest).await else {
                    let why = format!("the body is longer than {longest} bytes, or broke off");
                    return Refusal::Plain(StatusCode::PAYLOAD_TOO_LARGE, why).into_response();
                };
                let kind = head.headers.get(header::CONTENT_TYPE);
                let kind = kind.and_then(|kind| kind.to_str().ok());
                match shape.read(kind, &body) {
                    Ok(input) => handler(state, input).await.map(Json).into_response(),
                    Err(refusal) => refusal.into_response(),
                }
            }
        });
    }

    fn note<O: JsonSchema>(&mut self, about: &About, method: &'static str, input: Option<Input>) {
        let schema = self.types.subschema_for::<O>();
        self.operations.push(Operation {
            path: about.path,
            method: method.to_owned(),
            tag: about.tag,
            summary: about.summary,
            refuses: about.refuses,
            input,
            answer: Answer::Json(200, schema),
            errors: Errors::Detail,
        });
    }

    /// The schema of `T`, for an endpoint of our own.
    pub(super) fn schema<T: JsonSchema>(&mut self) -> schemars::Schema {
        self.types.subschema_for::<T>()
    }

    /// One of our own endpoints, with problem JSON for errors. `handler` reads the request itself.
    pub(super) fn own<F, Fut>(
        &mut self,
        method: Method,
        about: About,
        (input, answer): (Option<Input>, Answer),
        handler: F,
    ) where
        F: Fn(State, Request) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Response, Problem>> + Send,
    {
        self.operations.push(Operation {
            path: about.path,
            method: method.as_str().to_lowercase(),
            tag: about.tag,
            summary: about.summary,
            refuses: about.refuses,
            input,
            answer,
            errors: Errors::Problem,
        });
        let (route, methods) = self.own.entry(about.path).or_default();
        methods.push(method.to_string());
        let filter = MethodFilter::try_from(method).expect("one that axum knows");
        let handler = move |extract::State(state): extract::State<State>, request: Request| {
            let answering = handler(state, request);
            async move { answering.await.into_response() }
        };
        *route = std::mem::take(route).on(filter, handler);
    }

    fn serve<F, Fut>(&mut self, path: &'static str, method: Method, answer: F)
    where
        F: Fn(State, Request) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response> + Send,
    {
        let (filter, name) = match method {
            Method::GET => (MethodFilter::GET, "GET"),
            _ => (MethodFilter::POST, "POST"),
        };
        let (route, methods) = self.routes.entry(path).or_default();
        let handler = move |extract::State(state): extract::State<State>, request: Request| {
            answer(state, request)
        };
        *route = std::mem::take(route).on(filter, handler);
        methods.push(name);
    }

    /// The routes, and what is written about them.
    fn finish(mut self) -> (Router<State>, Document) {
        let mut router = Router::new();
        for (path, (mut route, methods)) in self.routes {
            let allow = methods.join(", ");
            let get = methods.contains(&"GET");
            let refuse = move || {
                let allow = HeaderValue::from_str(&allow).expect("names of methods");
                async move { not_allowed(allow) }
            };
            if get {
                // FastAPI has no HEAD where there is a GET.
                route = route.on(MethodFilter::HEAD, refuse.clone());
            }
            let route = route.fallback(refuse);
            router = router
                .route(path, route.clone())
                .route(&format!("/api{path}"), route)
                .route(&format!("{path}/"), axum::routing::any(slashless))
                .route(&format!("/api{path}/"), axum::routing::any(slashless));
        }
        for (path, (route, methods)) in self.own {
            let allow = methods.join(", ");
            let refuse = move || {
                let allow = HeaderValue::from_str(&allow).expect("names of methods");
                async move { ([(header::ALLOW, allow)], Problem::wrong_method()) }
            };
            let route = route.fallback(refuse);
            if !ALONE.contains(&path) && !path.starts_with("/api/") {
                router = router.route(&format!("/api{path}"), route.clone());
            }
            router = router.route(path, route);
        }
        let document = Document::new(self.operations, &mut self.types);
        (router, document)
    }
}

/// CAAL's endpoints and VK-Agent's, with what is written about them.
pub(super) fn routes() -> Router<State> {
    let mut api = Api::new();
    commands::write_down(&mut api);
    settings::write_down(&mut api);
    table::write_down(&mut api);
    prompt::write_down(&mut api);
    models::write_down(&mut api);
    wake_word::write_down(&mut api);
    setup::write_down(&mut api);
    vk::write_down(&mut api);
    screen::write_down(&mut api);
    own::write_down(&mut api);
    let (router, document) = api.finish();
    router.merge(document.routes())
}

/// VK-Agent's endpoints alone, and the health of the server: for a port of their own.
pub(super) fn vk_routes() -> Router<State> {
    let mut api = Api::new();
    commands::health(&mut api);
    vk::write_down(&mut api);
    screen::write_down(&mut api);
    api.finish().0
}

/// What stands after the question mark.
pub(super) fn pairs(uri: &Uri) -> Vec<(String, String)> {
    let url = format!("http://local/?{}", uri.query().unwrap_or_default());
    let url = reqwest::Url::parse(&url).ok();
    url.map(|url| url.query_pairs().into_owned().collect())
        .unwrap_or_default()
}

/// Nothing is at this address.
pub async fn not_found() -> Response {
    Refusal::not_found("Not Found").into_response()
}

fn not_allowed(allow: HeaderValue) -> Response {
    let refusal = Refusal::Plain(
        StatusCode::METHOD_NOT_ALLOWED,
        "Method Not Allowed".to_owned(),
    );
    ([(header::ALLOW, allow)], refusal).into_response()
}

/// The same address without the slash at its end.
async fn slashless(uri: Uri) -> Response {
    let path = uri.path().trim_end_matches('/');
    let to = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    // A path that begins with two slashes would be another host.
    let to = format!("/{}", to.trim_start_matches('/'));
    match HeaderValue::from_str(&to) {
        Ok(to) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
        Err(_) => not_found().await,
    }
}
