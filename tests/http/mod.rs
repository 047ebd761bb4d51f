//! CAAL's HTTP API as its clients meet it: the bodies of its contract, the promises it broke, and its own
//! description held against the running server. Without a socket where that will do.

mod chat;
mod golden;
mod guard;
mod kept;
mod own;
mod promises;
mod schema;
mod table;

use std::{path::Path, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use caal::{
    app,
    http::{self, Panel, Readiness, Screens},
    room::Desk,
    session::{Shown, Turns},
    settings::{Live, Sources},
    tools::timers::{Due, Timers},
};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tower::ServiceExt as _;

use super::support::secrets;

/// A fresh install, as far as the API can tell.
pub(crate) struct Caal {
    home: TempDir,
    pub(crate) settings: Live,
    router: Router,
    panel: Panel,
    /// What was sent to `/screen`.
    shown: Shown,
    timers: Timers,
    _due: mpsc::Receiver<Due>,
    house: Arc<app::OurHouse>,
    readiness: watch::Sender<Readiness>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Caal {
    fn fresh() -> Self {
        Self::in_environment(&[])
    }

    /// One that is started in this environment.
    pub(crate) fn in_environment(variables: &[(&str, &str)]) -> Self {
        secrets::watch();
        let home = tempfile::tempdir().unwrap();
        let settings = Live::open(sources(home.path(), variables)).unwrap();
        let kept = settings.clone();
        let panel = Panel::new(Turns::new(move || kept.current().keep_turn_words));
        let keeping = opened(&settings);
        keeping.follow(&panel.turns);
        let (out, due) = mpsc::channel(4);
        let timers = Timers::start(None, Arc::new(jiff::Zoned::now), out).now_or_never();
        let timers = timers.unwrap().unwrap();
        let panel = panel
            .keeping(keeping.conversations, keeping.memory)
            .timing(timers.clone());
        let house = app::house(settings.clone());
        let shown = Shown::default();
        let (readiness, watched) = watch::channel(Readiness::Loading);
        let state = http::State {
            readiness: watched,
            rooms: None,
            desk: Desk::default(),
            server: None,
            settings: settings.clone(),
            house: house.clone(),
            screens: Screens::showing(shown.clone()),
            refusals: http::guard::Refusals::default(),
            panel: panel.clone(),
        };
        Self {
            home,
            settings,
            router: http::router(state),
            panel,
            shown,
            timers,
            _due: due,
            house,
            readiness,
        }
    }

    async fn ask(&self, method: &str, path: &str, kind: Option<&str>, body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = to_bytes(body, 1 << 24).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
        .searched(path)
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, None, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        answer.json()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, Some("application/json"), &body.to_string())
            .await
    }

    /// The body of an answer that is no text.
    async fn post_bytes(&self, path: &str, body: Value) -> Vec<u8> {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body.to_string())).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let body = to_bytes(answer.into_body(), 1 << 24).await.unwrap();
        body.to_vec()
    }

    /// What is in the settings file.
    fn file(&self) -> Value {
        let text = std::fs::read_to_string(self.home.path().join("settings.json"));
        text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
    }
}

impl Answer {
    /// Itself, where no secret is in it.
    #[track_caller]
    fn searched(self, whence: &str) -> Self {
        secrets::none_in(&format!("{:?}\n{}", self.headers, self.text), whence);
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// What outlives it. The thread is there because a test's own runtime is busy with the test.
fn opened(settings: &Live) -> app::Keeping {
    let open = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(app::Keeping::open(settings))
    };
    std::thread::scope(|scope| scope.spawn(open).join().unwrap())
}

fn sources(home: &Path, variables: &[(&str, &str)]) -> Sources {
    // Nothing answers there.
    let nowhere = ("OLLAMA_HOST", "http://127.0.0.1:9");
    let variables = [nowhere].into_iter().chain(variables.iter().copied());
    Sources {
        data_dir: home.to_owned(),
        file_path: home.join("settings.json"),
        prompt_path: home.join("prompt/custom.md"),
        environment: variables
            .map(|(variable, value)| (variable.to_owned(), value.to_owned()))
            .collect(),
        ..Sources::default()
    }
}

/// A server beside us that answers every request with `status` and `body`, and what it was asked: the line
/// with the path, and the token.
async fn neighbour(status: u16, body: Value) -> (String, Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let book = asked.clone();
    let app = Router::new().fallback(move |request: Request<Body>| {
        let token = request.headers().get(header::AUTHORIZATION);
        let token = token.map_or("", |value| value.to_str().unwrap());
        let line = format!("{} {} {token}", request.method(), request.uri().path());
        book.lock().unwrap().push(line.trim().to_owned());
        let answer = (StatusCode::from_u16(status).unwrap(), body.to_string());
        async move { answer }
    });
    #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, asked)
}

/// The field `key` left out.
fn without(mut value: Value, key: &str) -> Value {
    value.as_object_mut().unwrap().remove(key);
    value
}

/// What FastAPI says of one problem.
fn invalid(kind: &str, loc: Value, msg: &str, input: Value) -> Value {
    json!({ "detail": [{ "type": kind, "loc": loc, "msg": msg, "input": input }] })
}
