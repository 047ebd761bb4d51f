//! Who gets in: every route of the API's own description, and any other, asked without the key, with a wrong
//! one, from a wrong page, by a wrong name, and so on. A new route is asked without being named here. The ways in
//! are in `ways`, requests that are none in `odd`.

mod odd;
mod ways;

use std::net::SocketAddr;

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::ConnectInfo,
    http::{Request, StatusCode, header},
};
use caal::http::guard::{Guard, Refusals};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Answer, Caal};

const KEY: &str = "s3cret-key-0123456789abcdef-of-the-house";
const SECRET: &str = "s3cret-of-webhooks-0123456789";
const HERE: &str = "127.0.0.1:5000";
const AWAY: &str = "192.168.7.7:5000";

/// CAAL behind its guard.
struct Guarded {
    caal: Caal,
    router: Router,
    refusals: Refusals,
}

/// A request that is to be sent.
struct Ask {
    request: axum::http::request::Builder,
    body: Body,
    peer: &'static str,
}

fn ask(method: &str, path: &str) -> Ask {
    Ask {
        request: Request::builder().method(method).uri(path),
        body: Body::empty(),
        peer: AWAY,
    }
}

impl Ask {
    fn with(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    fn key(self, key: &str) -> Self {
        self.with("authorization", &format!("Bearer {key}"))
    }

    fn json(mut self, body: &Value) -> Self {
        self.body = Body::from(body.to_string());
        self.with("content-type", "application/json")
    }

    fn from(mut self, peer: &'static str) -> Self {
        self.peer = peer;
        self
    }
}

impl Guarded {
    fn new(variables: &[(&str, &str)]) -> Self {
        let caal = Caal::in_environment(variables);
        let refusals = Refusals::default();
        let mut guarded = Self {
            router: caal.router.clone(),
            caal,
            refusals,
        };
        guarded.forget();
        guarded
    }

    /// A guard that has seen nothing yet: it counts wrong keys.
    fn forget(&mut self) {
        self.refusals = Refusals::default();
        let guard = Guard::new(&self.caal.settings.current(), self.refusals.clone());
        self.router = guard.around(self.caal.router.clone());
    }

    fn locked() -> Self {
        Self::new(&[("CAAL_API_KEY", KEY)])
    }

    async fn send(&self, ask: Ask) -> Answer {
        let request = ask.request.body(ask.body);
        let mut request = request.unwrap();
        let headers = request.headers_mut();
        if !headers.contains_key(header::HOST) {
            headers.insert(header::HOST, "localhost:8889".parse().unwrap());
        }
        let peer: SocketAddr = ask.peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let endless = head
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|t| t == "text/event-stream");
        let body = match endless {
            true => Bytes::new(), // it goes on while somebody listens
            false => to_bytes(body, 1 << 24).await.unwrap(),
        };
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8_lossy(&body).into_owned(),
        }
        .searched("an answer")
    }

    async fn refused(&self, ask: Ask, code: &str, at: &str) {
        let before = self.count(code);
        let answer = self.send(ask).await;
        assert!(answer.status.is_client_error(), "{at}: {answer:?}");
        if !at.starts_with("HEAD") {
            assert_eq!(answer.json()["code"], code, "{at}: {answer:?}");
            assert!(answer.json()["detail"].is_string(), "{at}: {answer:?}");
        }
        assert_eq!(self.count(code), before + 1, "{at}: {code} is counted");
        assert!(!answer.text.contains(KEY), "{at}");
    }

    fn count(&self, code: &str) -> u64 {
        let found = self.refusals.iter().find(|(name, _)| *name == code);
        found.unwrap_or_else(|| panic!("{code} is no reason")).1
    }

    /// Method and path of every endpoint that is described, and of what is not.
    async fn routes(&self) -> Vec<(String, String)> {
        let document = self.caal.get("/openapi.json").await;
        let paths = document["paths"].as_object().unwrap();
        let described = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        });
        let mut routes: Vec<_> = described
            .flat_map(|(method, path)| [(method.clone(), format!("/api{path}")), (method, path)])
            .filter(|(_, path)| !path.ends_with("/health"))
            .collect();
        assert!(routes.len() > 50, "{routes:?}");
        let others = [
            ("GET", "/ready"),
            ("GET", "/docs"),
            ("GET", "/docs.css"),
            ("GET", "/openapi.json"),
            ("GET", "/metrics"),
            ("POST", "/api/connection-details"),
            // Nobody learns what is not there.
            ("GET", "/nothing"),
            ("POST", "/"),
            ("DELETE", "/settings"),
            ("HEAD", "/settings"),
            ("OPTIONS", "/settings"),
            ("GET", "/settings/"),
            ("GET", "//settings"),
            ("GET", "/health/../settings"),
            ("GET", "/assets/../settings"),
            ("POST", "/assets/x"),
            ("GET", "/api/key/none/settings"),
        ];
        routes.extend(others.map(|(method, path)| (method.to_owned(), path.to_owned())));
        // `..` is a name like any other, and no file has it.
        routes.retain(|(_, path)| path != "/assets/../settings");
        routes
    }
}

#[tokio::test]
async fn no_route_lets_anybody_in_without_the_key() {
    let caal = Guarded::locked();
    for (method, path) in caal.routes().await {
        let at = format!("{method} {path}");
        for peer in [HERE, AWAY] {
            caal.refused(ask(&method, &path).from(peer), "no_key", &at)
                .await;
        }
        let query = format!("{path}?key={KEY}&api_key={KEY}&access_token={KEY}");
        caal.refused(ask(&method, &query), "no_key", &at).await;
        let basic = ask(&method, &path).with("authorization", &format!("Basic {KEY}"));
        caal.refused(basic, "no_key", &at).await;
        let cookie = format!("caal_session={KEY}");
        caal.refused(ask(&method, &path).with("cookie", &cookie), "no_key", &at)
            .await;
        if !path.contains("/key/") {
            let in_path = format!("/api/key/{KEY}{path}");
            caal.refused(ask(&method, &in_path), "no_key", &at).await;
        }
        let signed = ask(&method, &path).with("webhook-signature", "v1,AAAA");
        caal.refused(signed, "no_key", &at).await;
        let forwarded = ask(&method, &path).with("x-forwarded-for", "127.0.0.1");
        caal.refused(forwarded, "no_key", &at).await;
    }
}

#[tokio::test]
async fn no_route_takes_a_wrong_key_page_name_or_size() {
    let mut caal = Guarded::locked();
    for (method, path) in caal.routes().await {
        caal.forget();
        let at = format!("{method} {path}");
        let right = || ask(&method, &path).key(KEY);
        caal.refused(ask(&method, &path).key("wrong"), "wrong_key", &at)
            .await;
        caal.refused(ask(&method, &path).key(&KEY[1..]), "wrong_key", &at)
            .await;
        for origin in ["https://evil.example", "null", "http://localhost:9000"] {
            caal.refused(right().with("origin", origin), "origin", &at)
                .await;
        }
        let framed = right().with("sec-fetch-site", "cross-site");
        caal.refused(framed, "origin", &at).await;
        for host in ["evil.example", "localhost.evil.example:8889", "a@localhost"] {
            caal.refused(right().with("host", host), "host", &at).await;
        }
        let large = right().with("content-length", "99999999");
        caal.refused(large, "body_too_large", &at).await;
        let headers = right().with("cookie", &"x".repeat(40_000));
        caal.refused(headers, "headers_too_large", &at).await;
        let long = format!("{path}?{}", "x".repeat(9_000));
        caal.refused(ask(&method, &long).key(KEY), "address_too_long", &at)
            .await;
        let answer = caal.send(right()).await;
        assert_ne!(
            answer.status,
            StatusCode::UNAUTHORIZED,
            "{at}: the right key"
        );
    }
}

#[tokio::test]
async fn every_route_with_a_body_bounds_it_and_wants_json() {
    let caal = Guarded::locked();
    let document = caal.caal.get("/openapi.json").await;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods["post"]["requestBody"].is_null() {
            continue;
        }
        let form = ask("POST", path)
            .key(KEY)
            .with("content-type", "application/x-www-form-urlencoded");
        let form = Ask {
            body: Body::from("message=hello"),
            ..form
        };
        let answer = caal.send(form).await;
        assert_eq!(
            answer.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{path}: {answer:?}"
        );
        // It does not say how much comes.
        let endless = futures_util::stream::iter(
            (0..40).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 19])),
        );
        let before = caal.count("body_too_large");
        let large = Ask {
            body: Body::from_stream(endless),
            ..ask("POST", path)
                .key(KEY)
                .with("content-type", "application/json")
        };
        let answer = caal.send(large).await;
        assert_eq!(
            answer.status,
            StatusCode::PAYLOAD_TOO_LARGE,
            "{path}: {answer:?}"
        );
        assert_eq!(caal.count("body_too_large"), before + 1, "{path}");
    }
}

#[tokio::test]
async fn everybody_may_ask_for_health_and_for_the_door() {
    let caal = Guarded::locked();
    for path in ["/health", "/api/health", "/", "/api/session"] {
        let answer = caal.send(ask("GET", path)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    }
    let session = caal.send(ask("GET", "/api/session")).await.json();
    assert_eq!(session, json!({ "key_needed": true, "logged_in": false }));
    // The room's door has its own tokens, and pages of every origin.
    let answer = caal
        .send(ask("GET", "/rtc/validate").with("origin", "https://meet.example"))
        .await;
    assert_eq!(
        answer.status,
        StatusCode::NOT_FOUND,
        "no room is in this router"
    );
}

#[tokio::test]
async fn without_a_key_only_this_machine_gets_in_and_through_no_proxy() {
    let caal = Guarded::new(&[]);
    let answer = caal.send(ask("GET", "/settings").from(HERE)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    for (method, path) in caal.routes().await {
        let at = format!("{method} {path}");
        caal.refused(ask(&method, &path).from(AWAY), "not_this_machine", &at)
            .await;
        for name in [
            "x-forwarded-for",
            "forwarded",
            "x-real-ip",
            "via",
            "tailscale-user-login",
        ] {
            let forwarded = ask(&method, &path).from(HERE).with(name, "127.0.0.1");
            caal.refused(forwarded, "forwarded", &at).await;
        }
        let page = ask(&method, &path)
            .from(HERE)
            .with("origin", "https://evil.example");
        caal.refused(page, "origin", &at).await;
        caal.refused(
            ask(&method, &path).from(HERE).with("host", "evil.example"),
            "host",
            &at,
        )
        .await;
    }
    let page = ask("GET", "/")
        .from(HERE)
        .with("x-forwarded-for", "1.2.3.4");
    caal.refused(page, "forwarded", "the page").await;
}

#[tokio::test]
async fn wrong_keys_make_their_sender_wait_and_nobody_else() {
    let caal = Guarded::locked();
    for _ in 0..10 {
        caal.refused(ask("GET", "/settings").key("wrong"), "wrong_key", "wrong")
            .await;
    }
    // Also with the right one: nobody learns which it is there.
    caal.refused(
        ask("GET", "/settings").key(KEY),
        "too_many_failures",
        "then",
    )
    .await;
    let login = ask("POST", "/api/login").json(&json!({ "key": KEY }));
    caal.refused(login, "too_many_failures", "login").await;
    let other = caal.send(ask("GET", "/settings").key(KEY).from(HERE)).await;
    assert_eq!(other.status, StatusCode::OK);
}
