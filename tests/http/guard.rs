//! Who gets in: every route of the API's own description, and any other, asked without the key, with a wrong
//! one, from a wrong page, by a wrong name, and so on. A new route is asked without being named here. Then the
//! ways that are meant for CAAL's clients, for webhooks, and for our page.

use std::net::SocketAddr;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{Request, StatusCode, header},
};
use caal::http::guard::{Guard, Refusals};
use hmac::Caller;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{Answer, Caal};

const KEY: &str = "test-key-0123456789abcdef-of-the-house";
const SECRET: &str = "test-webhook-secret-0123456789";
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
        let body = to_bytes(body, 1 << 24).await.unwrap();
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8_lossy(&body).into_owned(),
        }
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
    // Also with the right one: nobody learns which it is.
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

#[tokio::test]
async fn our_page_logs_in_once_and_out_again() {
    let caal = Guarded::locked();
    let wrong = ask("POST", "/api/login").json(&json!({ "key": "no" }));
    caal.refused(wrong, "wrong_key", "login").await;
    let login = |origin: &str, host: &str| {
        let ask = ask("POST", "/api/login").json(&json!({ "key": KEY }));
        ask.with("origin", origin).with("host", host)
    };
    let answer = caal
        .send(login("https://localhost:8889", "localhost:8889"))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let cookie = answer.header("set-cookie").to_owned();
    for part in [
        "HttpOnly",
        "SameSite=Strict",
        "Path=/",
        "Max-Age=2592000",
        "Secure",
    ] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(KEY));
    let answer = caal
        .send(login("http://localhost:8889", "localhost:8889"))
        .await;
    let cookie = answer.header("set-cookie").to_owned();
    assert!(!cookie.contains("Secure"), "{cookie}");
    let token = cookie.split(';').next().unwrap().to_owned();
    let page = |method: &str, path: &str| {
        let ask = ask(method, path).with("cookie", &token);
        ask.with("sec-fetch-site", "same-origin")
    };
    assert_eq!(
        caal.send(page("GET", "/settings")).await.status,
        StatusCode::OK
    );
    assert_eq!(
        caal.send(page("GET", "/api/session")).await.json()["logged_in"],
        json!(true)
    );
    let wanted = json!({ "settings": { "agent_name": "Ada" } });
    let posted = caal.send(page("POST", "/settings").json(&wanted)).await;
    assert_eq!(posted.status, StatusCode::OK, "{posted:?}");
    // What another page sends with the cookie, or nobody says from where.
    for site in ["same-site", "cross-site", "none"] {
        let ask = ask("POST", "/settings")
            .with("cookie", &token)
            .json(&wanted);
        caal.refused(ask.with("sec-fetch-site", site), "origin", site)
            .await;
    }
    let silent = ask("POST", "/settings")
        .with("cookie", &token)
        .json(&wanted);
    caal.refused(silent, "origin", "silent").await;
    let neighbour = ask("POST", "/settings")
        .with("cookie", &token)
        .json(&wanted);
    caal.refused(
        neighbour.with("origin", "http://localhost:9000"),
        "origin",
        "port",
    )
    .await;
    let out = caal.send(page("POST", "/api/logout")).await;
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{out:?}");
    caal.refused(page("GET", "/settings"), "no_key", "after")
        .await;
}

#[tokio::test]
async fn what_is_no_login_is_told_without_being_repeated() {
    let caal = Guarded::locked();
    for (kind, body) in [
        ("application/json", format!("{{\"key\": [\"{KEY}\"]}}")),
        ("application/json", KEY.to_owned()),
        ("text/plain", format!("{{\"key\": \"{KEY}\"}}")),
        (
            "application/json",
            format!("{{\"key\": \"{KEY}{}\"}}", "x".repeat(9_000)),
        ),
    ] {
        let sent = Ask {
            body: Body::from(body),
            ..ask("POST", "/api/login").with("content-type", kind)
        };
        let answer = caal.send(sent).await;
        assert!(answer.status.is_client_error(), "{answer:?}");
        assert!(!answer.text.contains(KEY) && answer.header("set-cookie").is_empty());
    }
}

#[tokio::test]
async fn caals_front_end_gets_in_by_its_path_where_that_is_wanted() {
    let caal = Guarded::new(&[("CAAL_API_KEY", KEY), ("CAAL_KEY_IN_PATH", "true")]);
    for path in [
        format!("/api/key/{KEY}/settings"),
        format!("/key/{KEY}/settings"),
        format!("/api/key/{KEY}/api/settings"),
    ] {
        let answer = caal.send(ask("GET", &path)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    // Not even where it is sent on does it show.
    let answer = caal
        .send(ask("GET", &format!("/api/key/{KEY}/settings/")))
        .await;
    assert_eq!(answer.header("location"), "/settings", "{answer:?}");
    let missing = caal
        .send(ask("GET", &format!("/api/key/{KEY}/nothing")))
        .await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(!missing.text.contains(KEY));
    caal.refused(ask("GET", "/api/key/wrong/settings"), "wrong_key", "wrong")
        .await;
    let page =
        ask("GET", &format!("/api/key/{KEY}/settings")).with("origin", "https://evil.example");
    caal.refused(page, "origin", "a page").await;
}

#[tokio::test]
async fn caals_app_gets_in_from_a_trusted_network_where_that_is_wanted() {
    let caal = Guarded::new(&[
        ("CAAL_API_KEY", KEY),
        ("CAAL_TRUSTED_NETWORKS", "100.64.0.0/10"),
        ("CAAL_TRUSTED_PROXIES", "127.0.0.1"),
    ]);
    let phone = "100.100.7.7:5000";
    let settings = || ask("GET", "/settings");
    assert_eq!(
        caal.send(settings().from(phone)).await.status,
        StatusCode::OK
    );
    assert_eq!(
        caal.send(ask("POST", "/wake-word/enable").from(phone))
            .await
            .status,
        StatusCode::OK
    );
    caal.refused(settings().from(AWAY), "no_key", "another")
        .await;
    caal.refused(settings().from(HERE), "no_key", "loopback")
        .await;
    let forged = settings().from(AWAY).with("x-forwarded-for", "100.100.7.7");
    caal.refused(forged, "no_key", "forged").await;
    // Somebody in the network passes on what others ask.
    let passed = settings()
        .from(phone)
        .with("x-forwarded-for", "203.0.113.5");
    caal.refused(passed, "no_key", "passed on").await;
    let proxied = |who: &str| settings().from(HERE).with("x-forwarded-for", who);
    assert_eq!(
        caal.send(proxied("100.100.7.7")).await.status,
        StatusCode::OK
    );
    caal.refused(proxied("203.0.113.5"), "no_key", "proxied")
        .await;
    caal.refused(proxied("100.100.7.7, 203.0.113.5"), "no_key", "proxied")
        .await;
    // A page that a phone of the network has open.
    let page = ask("POST", "/wake-word/enable")
        .from(phone)
        .with("origin", "https://evil.example");
    caal.refused(page, "origin", "a page").await;
    // The key also goes through a proxy.
    let answer = caal.send(proxied("203.0.113.5").key(KEY)).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn pages_of_an_origin_that_is_listed_may_ask_and_no_others() {
    let caal = Guarded::new(&[
        ("CAAL_API_KEY", KEY),
        ("CAAL_ORIGINS", "https://panel.example"),
        ("CAAL_HOSTS", "caal.example.org"),
    ]);
    let panel = "https://panel.example";
    let first = ask("OPTIONS", "/settings").with("origin", panel);
    let first = first.with("access-control-request-method", "POST");
    let answer = caal.send(first).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.header("access-control-allow-origin"), panel);
    assert!(
        answer
            .header("access-control-allow-headers")
            .contains("authorization")
    );
    assert!(answer.header("access-control-allow-credentials").is_empty());
    let get = ask("GET", "/settings")
        .with("origin", panel)
        .with("host", "caal.example.org");
    let answer = caal.send(get.key(KEY)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), panel);
    let other = ask("OPTIONS", "/settings").with("origin", "https://other.example");
    let other = other.with("access-control-request-method", "POST");
    caal.refused(other, "origin", "another").await;
}

#[tokio::test]
async fn a_signed_webhook_gets_in_once() {
    for variables in [
        &[("CAAL_API_KEY", KEY), ("CAAL_WEBHOOK_SECRET", SECRET)][..],
        &[("CAAL_WEBHOOK_SECRET", SECRET)],
    ] {
        let caal = Guarded::new(variables);
        let body = json!({ "message": "The laundry is done" }).to_string();
        let signed = |path: &str, id: &str, body: &str, age: u64| {
            let (time, signature) = Caller::sign(SECRET, id, body, age);
            let ask = ask("POST", path)
                .from(AWAY)
                .with("x-forwarded-for", "203.0.113.5");
            Ask {
                body: Body::from(body.to_owned()),
                ..ask
                    .with("webhook-id", id)
                    .with("webhook-timestamp", &time)
                    .with("webhook-signature", &signature)
                    .with("content-type", "application/json")
            }
        };
        for (n, path) in ["/announce", "/wake", "/reload-tools", "/api/announce"]
            .iter()
            .enumerate()
        {
            let id = format!("msg_{n}");
            let answer = caal.send(signed(path, &id, &body, 0)).await;
            // Nobody is in the room: it came as far as that.
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {answer:?}");
            caal.refused(signed(path, &id, &body, 0), "replay", path)
                .await;
            caal.refused(signed(path, "old", &body, 400), "signature_age", path)
                .await;
            let mut other = signed(path, "other", &body, 0);
            other.body = Body::from("{}");
            caal.refused(other, "signature", path).await;
            let mut large = signed(path, "large", &body, 0);
            large.body = Body::from(vec![b' '; 70_000]);
            caal.refused(large, "body_too_large", path).await;
        }
        // Signed is not let in elsewhere.
        let elsewhere = signed("/settings", "x", &body, 0);
        let code = if variables.len() > 1 {
            "no_key"
        } else {
            "forwarded"
        };
        caal.refused(elsewhere, code, "/settings").await;
    }
}

#[tokio::test]
async fn connection_tests_are_bounded_in_number_and_do_not_tell_what_is_there() {
    let caal = Guarded::locked();
    let (http, _) = super::neighbour(418, json!({ "secret": "teapot" })).await;
    let (html, _) = super::neighbour(200, json!("teapot")).await;
    let closed = "http://127.0.0.1:9".to_owned();
    let metadata = "http://169.254.169.254/latest".to_owned();
    for host in [http, html, closed, metadata] {
        let asked = json!({ "host": host });
        let answer = caal
            .send(ask("POST", "/setup/test-ollama").key(KEY).json(&asked))
            .await;
        let told = answer.json()["error"].as_str().unwrap().to_owned();
        assert_eq!(told, format!("Cannot connect to Ollama at {host}"));
    }
    let mut codes = Vec::new();
    for _ in 0..20 {
        let asked = json!({ "host": "nothing" });
        let answer = caal
            .send(ask("POST", "/api/setup/test-ollama").key(KEY).json(&asked))
            .await;
        codes.push(answer.status.as_u16());
    }
    assert!(
        codes.starts_with(&[200]) && codes.ends_with(&[429]),
        "{codes:?}"
    );
    assert!(caal.count("too_many_tests") > 0);
}

/// How a webhook is signed by somebody who only read about it.
mod hmac {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sha2::{Digest as _, Sha256};

    pub(super) struct Caller;

    impl Caller {
        /// The time, `age` seconds ago, and the signature.
        pub(super) fn sign(secret: &str, id: &str, body: &str, age: u64) -> (String, String) {
            let now = std::time::SystemTime::now();
            let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            let time = (now - age).to_string();
            let tag = hmac(secret.as_bytes(), format!("{id}.{time}.{body}").as_bytes());
            (time, format!("v1,{}", STANDARD.encode(tag)))
        }
    }

    /// RFC 2104.
    fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
        let pad = |with: u8| -> Vec<u8> {
            let mut block = key.to_vec();
            block.resize(64, 0);
            block.iter().map(|byte| byte ^ with).collect()
        };
        let inner = Sha256::digest([pad(0x36), text.to_vec()].concat());
        Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
    }
}
