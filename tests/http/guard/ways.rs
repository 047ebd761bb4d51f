//! The ways in that are meant: our page's login, CAAL's own clients, pages that are listed, signed webhooks. And
//! what whoever is in may have the server ask.

use axum::{body::Body, http::StatusCode};
use serde_json::json;

use self::hmac::Caller;
use super::super::neighbour;
use super::{AWAY, Ask, Guarded, HERE, KEY, SECRET, ask};

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
    let (http, _) = neighbour(418, json!({ "secret": "teapot" })).await;
    let (html, _) = neighbour(200, json!("teapot")).await;
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
