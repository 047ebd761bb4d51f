//! The API's description of itself: complete, and true of the running server as far as schemathesis finds
//! out. The latter needs scripts/real-parts/schemathesis.sh and is left out where that was not run.

use std::path::PathBuf;

use axum::http::StatusCode;
use caal::http::guard::{self, Guard};
use tokio_util::sync::CancellationToken;

use super::Caal;

/// Method and path of everything in the contract.
const ENDPOINTS: [(&str, &str); 22] = [
    ("post", "/announce"),
    ("post", "/reload-tools"),
    ("post", "/wake"),
    ("get", "/health"),
    ("get", "/settings"),
    ("post", "/settings"),
    ("get", "/prompt"),
    ("post", "/prompt"),
    ("get", "/voices"),
    ("post", "/download-piper-model"),
    ("get", "/models"),
    ("get", "/wake-word/status"),
    ("post", "/wake-word/enable"),
    ("post", "/wake-word/disable"),
    ("get", "/wake-word/models"),
    ("get", "/setup/status"),
    ("post", "/setup/complete"),
    ("post", "/setup/test-ollama"),
    ("post", "/setup/test-groq"),
    ("post", "/setup/test-hass"),
    ("post", "/setup/test-n8n"),
    ("post", "/prewarm"),
];

const VK_AGENT: [(&str, &str); 7] = [
    ("get", "/status"),
    ("get", "/stats"),
    ("get", "/config"),
    ("post", "/text"),
    ("post", "/screen"),
    ("post", "/mute"),
    ("post", "/stop"),
];

/// What our own page asks beside them.
const OURS: [(&str, &str); 3] = [
    ("get", "/settings/table"),
    ("post", "/settings/unset"),
    ("post", "/setup/test-openai-compatible"),
];
/// Our own, and the status of what they answer where all is well.
const OWN: [(&str, &str, &str); 27] = [
    ("get", "/ready", "200"),
    ("get", "/metrics", "200"),
    ("get", "/api/turns", "200"),
    ("delete", "/api/turns", "204"),
    ("get", "/api/events", "200"),
    ("get", "/api/downloads", "200"),
    ("post", "/api/downloads", "202"),
    ("delete", "/api/downloads", "204"),
    ("post", "/api/voices/{voice}/preview", "200"),
    ("get", "/api/wake-words/{name}/try", "101"),
    ("get", "/api/timers", "200"),
    ("delete", "/api/timers/{id}", "204"),
    ("post", "/api/chat", "200"),
    ("get", "/api/chat/sessions", "200"),
    ("delete", "/api/chat/{session_id}", "204"),
    ("get", "/conversations", "200"),
    ("delete", "/conversations", "200"),
    ("get", "/conversations/export", "200"),
    ("get", "/conversations/{id}", "200"),
    ("delete", "/conversations/{id}", "204"),
    ("get", "/memory", "200"),
    ("post", "/memory", "200"),
    ("delete", "/memory", "204"),
    ("get", "/memory/{key}", "200"),
    ("delete", "/memory/{key}", "204"),
    ("get", "/facts", "200"),
    ("delete", "/facts/{id}", "204"),
];

#[tokio::test]
async fn everything_that_clients_call_is_described() {
    let document = Caal::fresh().get("/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    for (method, path) in ENDPOINTS.iter().chain(&VK_AGENT).chain(&OURS) {
        let operation = &document["paths"][path][method];
        assert!(
            operation["responses"]["200"]["content"].is_object(),
            "{method} {path}"
        );
    }
    let paths = document["paths"].as_object().unwrap();
    let described: usize = paths
        .values()
        .map(|methods| methods.as_object().unwrap().len())
        .sum();
    let known = ENDPOINTS.len() + VK_AGENT.len() + OURS.len() + OWN.len();
    assert_eq!(described, known);
    for (method, path, status) in OWN {
        let operation = &document["paths"][path][method];
        assert!(
            operation["responses"][status].is_object(),
            "{method} {path}"
        );
    }
    // Every name that is used is there.
    let text = document.to_string();
    for used in text.split("#/components/schemas/").skip(1) {
        let name = used.split('"').next().unwrap();
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_page_for_people_has_everything_and_asks_nobody_else() {
    let caal = Caal::fresh();
    let page = caal.ask("GET", "/docs", None, "").await;
    assert_eq!(page.status, StatusCode::OK);
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'self';"),
        "{policy}"
    );
    for (method, path) in ENDPOINTS.iter().chain(&VK_AGENT).chain(&OURS) {
        let title = format!("<code>{} {path}</code>", method.to_uppercase());
        assert!(page.text.contains(&title), "{title}");
    }
    for not in ["<script", "<style", " style=", "//", "{{"] {
        let text = page.text.replace("http://", "").replace("https://", "");
        assert!(not == "{{" || !text.contains(not), "{not} in the page");
    }
    assert!(!page.text.contains("href=\"http") && !page.text.contains("src="));
    let style = caal.ask("GET", "/docs.css", None, "").await;
    assert!(style.header("content-type").starts_with("text/css"));
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_that_is_not_as_it_is_described() {
    let Some(program) = schemathesis() else {
        eprintln!("skipped: run scripts/real-parts/schemathesis.sh first");
        return;
    };
    let key = "s3cret-key-0123456789";
    let caal = Caal::in_environment(&[("CAAL_API_KEY", key)]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/openapi.json", listener.local_addr().unwrap());
    // As `caal serve` does it, guard and all.
    let refusals = guard::Refusals::default();
    let router = Guard::new(&caal.settings.current(), refusals.clone()).around(caal.router.clone());
    let served = guard::answer(
        listener,
        router,
        guard::Seats::new(&[]),
        refusals,
        CancellationToken::new(),
    );
    #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(served);
    let output = tokio::process::Command::new(program)
        .args([
            "run",
            &url,
            "--seed",
            "5",
            "--max-examples",
            "12",
            "--no-color",
            "--header",
            &format!("Authorization: Bearer {key}"),
        ])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--generation-database",
            "none",
        ])
        // What is right by its shape may be wrong by the table of settings, or nobody may be in the room.
        .args(["--exclude-checks", "positive_data_acceptance"])
        // It would ask Groq, and tests ask nobody outside.
        .args(["--exclude-path", "/setup/test-groq"])
        // It is not ready; events go on for ever, and a download would really be one.
        .args(["--exclude-path", "/ready"])
        .args(["--exclude-path", "/api/voices/{voice}/preview"])
        .args(["--exclude-path", "/api/chat"]) // 503 until models are loaded
        .args(["--exclude-path", "/api/events"])
        .args(["--exclude-path", "/api/downloads"])
        .args(["--request-timeout", "30", "--suppress-health-check", "all"])
        .current_dir(caal.home.path())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[allow(
    clippy::disallowed_methods,
    reason = "tests are told where real parts are"
)]
fn schemathesis() -> Option<PathBuf> {
    let cache = || {
        let cache = std::env::var("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || Ok(PathBuf::from(std::env::var("HOME")?).join(".cache"));
        cache.or_else(|_: std::env::VarError| home())
    };
    let told = std::env::var("CAAL_TEST_SCHEMATHESIS").map(PathBuf::from);
    let program = told
        .or_else(|_| {
            Ok::<_, std::env::VarError>(cache()?.join("caal/schemathesis/bin/schemathesis"))
        })
        .ok()?;
    program.exists().then_some(program)
}
