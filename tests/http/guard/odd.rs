//! Requests that are none: made of odd pieces, or never finished.

use std::net::SocketAddr;

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, header},
};
use caal::http::guard::{self, Guard, Refusals};
use tower::ServiceExt as _;

use super::super::Caal;
use super::{Guarded, KEY, SECRET};

const KEY_WRONG: &str = "s3cret-but-wrong-0123456789";

/// The clock is moved on, and sockets are real.
#[tokio::test(start_paused = true)]
async fn who_does_not_finish_a_request_is_left_and_who_asks_is_answered() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let caal = Guarded::locked();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let mut server = tokio::task::JoinSet::new();
    server.spawn(guard::answer(
        listener,
        caal.router.clone(),
        guard::Seats::new(&[]),
        caal.refusals.clone(),
        stop.clone(),
    ));
    let said = |text: String| async move {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    let head = said("GET /health HTTP/1.1\r\nHost: local".to_owned()).await;
    assert!(
        head.is_empty() || head.starts_with("HTTP/1.1 408"),
        "{head}"
    );
    assert_eq!(said(String::new()).await, "", "nothing at all");
    let body = said(format!(
        "POST /settings HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Length: 9\r\n\r\n{{"
    ));
    let body = body.await;
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    let health =
        said("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned());
    assert!(health.await.starts_with("HTTP/1.1 200"));
    stop.cancel();
    assert!(server.join_next().await.unwrap().unwrap().is_ok());
}

/// Requests made of odd pieces, seeded: whatever comes as far as the routes is one of those that everybody may
/// ask, as the routes see it.
#[tokio::test]
async fn no_odd_request_gets_past_the_guard() {
    let caal = Caal::in_environment(&[
        ("CAAL_API_KEY", KEY),
        ("CAAL_KEY_IN_PATH", "true"),
        ("CAAL_TRUSTED_NETWORKS", "100.64.0.0/10"),
        ("CAAL_TRUSTED_PROXIES", "127.0.0.1"),
        ("CAAL_WEBHOOK_SECRET", SECRET),
    ]);
    let guard = Guard::new(&caal.settings.current(), Refusals::default());
    let inside = Router::new().fallback(|request: Request<Body>| async move {
        let came_as = format!("{} {}", request.method(), request.uri());
        [("x-came-as", came_as)]
    });
    let router = guard.around(inside);
    let pieces = [
        "/",
        "/",
        "settings",
        "health",
        "api",
        "key",
        "assets",
        "rtc",
        "twirp",
        "announce",
        "setup",
        "..",
        ".",
        "%2f",
        "%2e",
        "%00",
        "?",
        ";",
        "x",
        KEY_WRONG,
        "login",
        "session",
        "test-ollama",
        "//",
        "*",
        "%",
    ];
    let names = [
        "authorization",
        "cookie",
        "host",
        "origin",
        "x-forwarded-for",
        "forwarded",
        "sec-fetch-site",
        "sec-fetch-mode",
        "sec-fetch-dest",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "content-length",
        "access-control-request-method",
        "x-http-method-override",
        "x-original-url",
    ];
    let values = [
        "",
        "Bearer",
        "Bearer ",
        "bearer x",
        "Basic x",
        "caal_session=",
        "caal_session=x; caal_session=y",
        "localhost",
        "[::1]:1",
        "nas:99999999",
        "null",
        "http://localhost",
        "100.64.0.1",
        "100.64.0.1, x",
        ", ,",
        "for=100.64.0.1",
        "same-origin",
        "none",
        "navigate",
        "document",
        "v1,",
        "v1,AAAA",
        "0",
        "-1",
        "18446744073709551616",
        "GET",
        "/health",
        "\u{fe}",
    ];
    let peers = [
        "127.0.0.1:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
        "192.168.7.7:1",
        "[fe80::1]:1",
    ];
    let methods = [
        "GET", "HEAD", "POST", "OPTIONS", "PUT", "CONNECT", "TRACE", "M-SEARCH",
    ];
    let mut dice = crate::support::Dice::new(5);
    let (mut came, mut built) = (0, 0);
    for _ in 0..20_000 {
        let path: String = (0..dice.below(7))
            .map(|_| dice.pick(&pieces).to_owned())
            .collect();
        let mut request = Request::builder()
            .method(dice.pick(&methods))
            .uri(format!("/{path}"));
        request = request.header("host", "localhost");
        for _ in 0..dice.below(4) {
            let value = dice.pick(&values);
            let value = header::HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request = request.header(dice.pick(&names), value);
        }
        let Ok(mut request) = request.body(Body::from("{}")) else {
            continue;
        };
        let peer: SocketAddr = dice.pick(&peers).parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
        let sent = format!("{request:?}");
        built += 1;
        let answer = router.clone().oneshot(request).await.unwrap();
        assert!(!answer.status().is_server_error(), "{sent}: {answer:?}");
        let Some(came_as) = answer.headers().get("x-came-as") else {
            continue;
        };
        if peer_is_trusted(&sent) {
            continue;
        }
        let came_as = came_as.to_str().unwrap();
        came += 1;
        let (method, uri) = came_as.split_once(' ').unwrap();
        let path = uri.split('?').next().unwrap();
        let read = matches!(method, "GET" | "HEAD");
        let open = read
            && (matches!(path, "/" | "/health" | "/api/health") || path.starts_with("/assets/"))
            || path == "/rtc"
            || path.starts_with("/rtc/")
            || path.starts_with("/twirp/")
            || path == "/api/session";
        assert!(open, "{sent} came as {came_as}");
    }
    assert!(built > 10_000 && came > 100, "{came} of {built}");
}

/// Whether our own proxy says that somebody of the trusted network asks.
fn peer_is_trusted(sent: &str) -> bool {
    sent.contains("\"x-forwarded-for\": \"100.64.0.1\"")
}
