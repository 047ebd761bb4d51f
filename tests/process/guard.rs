//! The server as strangers meet it: thousands of connections that say nothing, hundreds that are slow, and
//! everything that it answers and logs, searched for the secrets it was told.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

const KEY: &str = "s3cret-k3y-of-the-api-8d1f0c5b7a";
const WEBHOOK: &str = "s3cret-of-webhooks-5e6f7a8b";
const HASS: &str = "s3cret-t0ken-of-home-assistant-1a2b";
const GROQ: &str = "gsk-s3cret-of-groq-9c8d7e6f5a";
const N8N: &str = "s3cret-t0ken-of-n8n-3c4d5e6f";
const ROOM: &str = "s3cret-of-the-rooms-7f8e9d0c";
const TYPED: &str = "s3cret-t0ken-that-somebody-types-77aa";

/// `caal serve` with a key and with all that it may log written down.
struct Server {
    child: Child,
    address: String,
    home: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            crate::support::secrets::none_in(&log_of(self.home.path()), "the log");
        }
    }
}

impl Server {
    fn start(environment: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let log = File::create(home.path().join("log")).expect("a file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_caal"))
            .args(["serve", "--port", "0", "--models"])
            .arg(crate::support::models())
            .env_clear()
            .env("CAAL_HOME", home.path())
            .env("OLLAMA_HOST", "http://127.0.0.1:9")
            .env("CAAL_API_KEY", KEY)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the binary runs");
        let ready = BufReader::new(child.stdout.take().expect("piped"))
            .lines()
            .map_while(Result::ok)
            .find(|line| line.starts_with("Ready"));
        let ready = ready.unwrap_or_else(|| panic!("never ready: {}", log_of(home.path())));
        let port = ready
            .split("localhost:")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        Self {
            address: format!("127.0.0.1:{}", port.expect("it says where it is")),
            child,
            home,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("connects");
        // Only so that a server that hangs fails the test and does not hang it.
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("a socket");
        stream
    }

    /// The whole answer to one request; `headers` end with a line's end each.
    fn ask(&self, line: &str, headers: &str, body: &str) -> String {
        let mut stream = self.connect();
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        );
        // One that is refused in the middle of its body is not read to its end.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        crate::support::secrets::none_in(&answer, line);
        answer
    }
}

fn log_of(home: &Path) -> String {
    let log = std::fs::read(home.join("log")).unwrap_or_default();
    String::from_utf8_lossy(&log).into_owned()
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or_default()
}

/// What issue 5 asks for: 10,000 idle connections and 200 slow ones do not stop it.
#[cfg(feature = "embedded-llm")]
#[test]
fn thousands_of_idle_and_hundreds_of_slow_connections_do_not_stop_the_server() {
    let server = Server::start(&[]);
    let slow: Vec<TcpStream> = (0..400)
        .map(|n| {
            let mut stream = server.connect();
            let begun = match n % 2 {
                0 => "GET /health HTTP/1.1\r\nHost: loc".to_owned(),
                _ => format!(
                    "POST /settings HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\
                     Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
                ),
            };
            stream.write_all(begun.as_bytes()).expect("sends");
            stream
        })
        .collect();
    let mut idle = Vec::new();
    for n in 0..10_000 {
        match TcpStream::connect(&server.address) {
            Ok(stream) => idle.push(stream),
            // This process may have too few files for them: then so many are there.
            Err(error) => panic!("after {n} connections: {error}"),
        }
        if n % 1000 == 0 {
            let answer = server.ask("GET /health", "", "");
            assert_eq!(status(&answer), "200", "beside {n}: {answer}");
        }
    }
    for line in ["GET /health", "GET /settings"] {
        let answer = server.ask(line, &format!("Authorization: Bearer {KEY}\r\n"), "");
        assert_eq!(status(&answer), "200", "{line}: {answer}");
    }
    drop((slow, idle));
    // Too long a head, in one piece and in many.
    let huge = format!("X-Huge: {}\r\n", "x".repeat(200_000));
    assert_eq!(status(&server.ask("GET /health", &huge, "")), "431");
    let many: String = (0..200).map(|n| format!("X-{n}: x\r\n")).collect();
    assert_eq!(status(&server.ask("GET /health", &many, "")), "431");
    let answer = server.ask("GET /health", "", "");
    assert_eq!(status(&answer), "200", "{answer}");
}

#[cfg(feature = "embedded-llm")]
#[test]
fn no_answer_and_no_log_tells_a_secret() {
    let server = Server::start(&[
        ("RUST_LOG", "trace"),
        ("CAAL_WEBHOOK_SECRET", WEBHOOK),
        ("CAAL_KEY_IN_PATH", "true"),
        ("HASS_TOKEN", HASS),
        ("HASS_HOST", "http://127.0.0.1:9"),
        ("GROQ_API_KEY", GROQ),
        ("N8N_MCP_TOKEN", N8N),
        ("N8N_MCP_URL", "http://127.0.0.1:9/mcp"),
        ("LIVEKIT_API_KEY", "devkey"),
        ("LIVEKIT_API_SECRET", ROOM),
    ]);
    let bearer = format!("Authorization: Bearer {KEY}\r\n");
    let json = "Content-Type: application/json\r\n";
    let mut answers = Vec::new();
    let paths = [
        "/health",
        "/ready",
        "/settings",
        "/prompt",
        "/voices",
        "/models",
        "/status",
        "/stats",
        "/config",
        "/setup/status",
        "/wake-word/status",
        "/wake-word/models",
        "/openapi.json",
        "/docs",
        "/",
        "/api/session",
        "/nothing",
        "/rtc/validate",
    ];
    for path in paths {
        for (line, headers) in [
            (format!("GET {path}"), bearer.as_str()),
            (format!("GET /api/key/{KEY}{path}"), ""),
            (format!("GET /key/{KEY}{path}/"), ""),
            (format!("DELETE /api/key/{KEY}{path}"), ""),
            (format!("GET {path}?key={KEY}"), ""),
        ] {
            answers.push((line.clone(), server.ask(&line, headers, "")));
        }
    }
    let typed = |fields: &str| fields.replace('@', TYPED);
    for (path, body) in [
        (
            "/settings",
            r#"{"settings": {"hass_token": "@", "n8n_token": 5}}"#,
        ),
        ("/settings", r#"{"settings": {"groq_api_key": ["@"]}}"#),
        ("/settings", r#"{"settings": {"hass_token": "@"}}"#),
        (
            "/settings",
            r#"{"settings": {"api_key": "@@@@", "webhook_secret": "@"}}"#,
        ),
        (
            "/setup/test-hass",
            r#"{"host": "http://127.0.0.1:9", "token": "@"}"#,
        ),
        (
            "/setup/test-hass",
            r#"{"host": "http://127.0.0.1:9", "token": "********"}"#,
        ),
        ("/setup/test-hass", r#"{"token": ["@"]}"#),
        (
            "/settings",
            r#"{"settings": {"ollama_host": "ftp://me:@\u0040nas", "livekit_api_secret": "@"}}"#,
        ),
        (
            "/setup/test-n8n",
            r#"{"url": "http://127.0.0.1:9/mcp", "token": "@"}"#,
        ),
        ("/setup/test-groq", r#"{"api_key": {"a": "@"}}"#),
        (
            "/setup/test-openai-compatible",
            r#"{"base_url": "http://127.0.0.1:9", "api_key": "@"}"#,
        ),
        (
            "/setup/complete",
            r#"{"llm_provider": 1, "groq_api_key": "@", "hass_token": "@"}"#,
        ),
        ("/api/connection-details", "{}"),
        ("/api/login", r#"{"key": ["@"]}"#),
        ("/api/login", r#"{"key": "@"}"#),
    ] {
        let body = typed(body);
        let headers = format!("{bearer}{json}");
        answers.push((
            path.to_owned(),
            server.ask(&format!("POST {path}"), &headers, &body),
        ));
    }
    let login = server.ask("POST /api/login", json, &format!(r#"{{"key": "{KEY}"}}"#));
    let cookie = login
        .split("caal_session=")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    let cookie = cookie.expect("a cookie").to_owned();
    let page = format!("Cookie: caal_session={cookie}\r\nSec-Fetch-Site: same-origin\r\n");
    for line in ["GET /settings", "GET /api/session", "POST /api/logout"] {
        answers.push((line.to_owned(), server.ask(line, &page, "")));
    }
    let signed = "webhook-id: 1\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,AAAA\r\n";
    answers.push((
        "signed".to_owned(),
        server.ask("POST /announce", signed, "{}"),
    ));
    let statuses: Vec<&str> = answers.iter().map(|(_, answer)| status(answer)).collect();
    for expected in ["200", "307", "401", "404", "405", "422"] {
        assert!(
            statuses.contains(&expected),
            "{expected} is not in {statuses:?}"
        );
    }
    let log = log_of(server.home.path());
    assert!(log.len() > 1000, "everything is logged: {log}");
    answers.push(("the log".to_owned(), log));
    for (line, text) in &answers {
        for secret in [KEY, WEBHOOK, HASS, GROQ, N8N, ROOM, TYPED, &cookie] {
            let found = text.find(secret);
            let around = found.map(|at| text.get(at.saturating_sub(300)..at));
            assert!(found.is_none(), "{line} tells {secret}: {around:?}");
        }
    }
}
