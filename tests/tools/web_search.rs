//! Both search engines against a server of this machine that answers in the form of DuckDuckGo's page and of
//! SearXNG's JSON, as published; neither was seen itself.

use std::{sync::Arc, time::Duration};

use caal::tools::{
    Caller, Outcome, Tool as _, ToolError,
    web_search::{DuckDuckGo, SearXng, SearchEngine, WebSearch},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
    task::JoinSet,
};

/// What the server sends for a request.
#[derive(Clone, Copy)]
enum Sends {
    Page(&'static str, &'static str),
    /// So many bytes, over and over.
    Endless,
    /// Nothing, and does not close.
    Nothing,
    /// Half of what it promises.
    Half,
}

struct Server {
    url: String,
    asked: mpsc::Receiver<String>,
    _tasks: JoinSet<()>,
}

async fn server(sends: Sends) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (told, asked) = mpsc::channel(4);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8192];
            let mut read = 0;
            // The form of a POST comes behind the head.
            while let Ok(n @ 1..) = stream.read(&mut request[read..]).await {
                read += n;
                let text = String::from_utf8_lossy(&request[..read]).into_owned();
                let whole = match text.split_once("\r\n\r\n") {
                    Some((head, body)) if head.starts_with("POST") => body.contains("q="),
                    Some(_) => true,
                    None => false,
                };
                if whole {
                    told.send(text).await.unwrap();
                    break;
                }
            }
            match sends {
                Sends::Page(status, body) => {
                    let head = format!(
                        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        body.len()
                    );
                    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
                }
                Sends::Endless => {
                    let _ = stream
                        .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
                        .await;
                    let piece = vec![b'<'; 1 << 16];
                    for _ in 0..160 {
                        if stream.write_all(&piece).await.is_err() {
                            break;
                        }
                    }
                }
                Sends::Nothing => std::future::pending().await,
                Sends::Half => {
                    let _ = stream
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n<a class")
                        .await;
                }
            }
        }
    });
    Server {
        url,
        asked,
        _tasks: tasks,
    }
}

async fn search(engine: impl SearchEngine + 'static) -> Result<Outcome, ToolError> {
    let tool = WebSearch::new(Arc::new(engine));
    let arguments = json!({"query": "bread & butter"});
    let arguments = arguments.as_object().unwrap().clone();
    tool.call(arguments, &Caller::default()).await
}

const TROUBLE: &str = "I had trouble searching the web. Please try again.";

fn is_trouble(answer: Result<Outcome, ToolError>) -> bool {
    answer == Err(ToolError::Unreachable(TROUBLE.to_owned()))
}

const PAGE: &str = r#"<html><body><div class="serp__results"><div id="links" class="results">
<div class="result results_links results_links_deep web-result "><h2 class="result__title">
<a rel="nofollow" class="result__a" href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fexample.org%2F&amp;rut=1">Bread &amp; more</a></h2>
<a class="result__snippet" href="//duckduckgo.com/l/?uddg=x">Flour and <b>butter</b>.</a></div>
<div class="result web-result"><a class="result__a" href="https://example.com/">Two</a>
<a class="result__snippet">Second.</a></div></div></div></body></html>"#;

#[tokio::test]
async fn duckduckgos_page_becomes_numbered_results() {
    let mut server = server(Sends::Page("200 OK", PAGE)).await;
    let found = search(DuckDuckGo::at(&server.url).unwrap()).await.unwrap();
    let lines: Vec<_> = found.content.lines().skip(1).collect();
    assert_eq!(
        lines,
        ["1. Bread & more: Flour and butter.", "2. Two: Second."]
    );
    assert_eq!(found.say, None);
    let asked = server.asked.recv().await.unwrap();
    assert!(asked.starts_with("POST / "), "{asked}");
    assert!(asked.contains("q=bread+%26+butter&kp=-1"), "{asked}");
}

#[tokio::test]
async fn searxngs_answer_becomes_numbered_results() {
    let body = r#"{"query": "x", "results": [{"title": "One", "url": "https://example.org", "content": "First.", "engine": "x"}, {"title": "Two", "content": null}]}"#;
    let mut server = server(Sends::Page("200 OK", body)).await;
    let searxng = SearXng::new(&format!("{}/sub/", server.url)).unwrap();
    let found = search(searxng).await.unwrap();
    let lines: Vec<_> = found.content.lines().skip(1).collect();
    assert_eq!(lines, ["1. One: First.", "2. Two"]);
    let asked = server.asked.recv().await.unwrap();
    assert!(
        asked.starts_with("GET /sub/search?q=bread+%26+butter&format=json&safesearch=1 "),
        "{asked}"
    );
}

#[tokio::test]
async fn nothing_found_is_no_trouble() {
    let none = r#"<div class="result results_links result--no-result"><div class="no-results">No results.</div></div>"#;
    for (duck, body) in [(true, none), (false, r#"{"results": []}"#)] {
        let server = server(Sends::Page("200 OK", body)).await;
        let found = match duck {
            true => search(DuckDuckGo::at(&server.url).unwrap()).await,
            false => search(SearXng::new(&server.url).unwrap()).await,
        };
        let said = "I couldn't find any results for that search.";
        assert_eq!(found.unwrap(), Outcome::said(said));
    }
}

#[tokio::test]
async fn a_question_for_humans_a_refusal_garbage_too_much_and_a_break_are_trouble() {
    let challenge = r#"<form id="challenge-form" action="//duckduckgo.com/anomaly.js?x"><div class="anomaly-modal__title">bots</div></form>"#;
    for sends in [
        Sends::Page("202 Accepted", challenge),
        Sends::Page("200 OK", challenge),
        Sends::Page("202 Accepted", PAGE),
        Sends::Page("403 Forbidden", "no"),
        Sends::Page("302 Found", ""),
        Sends::Page("200 OK", "\u{0}\u{1}garbage"),
        Sends::Endless,
        Sends::Half,
    ] {
        let server = server(sends).await;
        assert!(is_trouble(
            search(DuckDuckGo::at(&server.url).unwrap()).await
        ));
        assert!(is_trouble(search(SearXng::new(&server.url).unwrap()).await));
    }
    // Nobody there.
    let nobody = SearXng::new("http://127.0.0.1:1").unwrap();
    assert!(is_trouble(search(nobody).await));
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_after_ten_seconds() {
    let mut server = server(Sends::Nothing).await;
    let searching = search(DuckDuckGo::at(&server.url).unwrap());
    tokio::pin!(searching);
    // The request is there; from then on only time passes.
    tokio::select! {
        _ = &mut searching => panic!("answered"),
        asked = server.asked.recv() => assert!(asked.is_some()),
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    let slow = "The search took too long. Please try a simpler query.";
    assert_eq!(
        searching.await,
        Err(ToolError::Unreachable(slow.to_owned()))
    );
}

#[test]
fn an_address_that_is_none_is_told() {
    for wrong in ["", "localhost:8080", "ftp://x"] {
        let error = SearXng::new(wrong).unwrap_err().to_string();
        assert!(error.contains("web_search_url"), "{error}");
    }
}
