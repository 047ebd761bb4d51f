//! Every way in which an Ollama can fail: the right fault, one clear sentence with the next step, and
//! no password in it.

use std::{sync::Arc, time::Duration};

use caal::{
    fault::Fault,
    llm::{
        ChatRequest, Delta, Llm as _, LlmError, Message, ToolSpec,
        ollama::{Ollama, OllamaConfig, Patience},
    },
};
use futures_util::StreamExt as _;

use super::scripted::{Scripted, Step, answer, line, response, streamed};

fn ollama(url: &str) -> Ollama {
    let patience = Duration::from_secs(60);
    Ollama::new(OllamaConfig {
        url: url.to_owned(),
        model: "qwen3:4b".to_owned(),
        patience: Patience {
            connect: patience,
            first: patience,
            load: patience,
            next: patience,
            list: patience,
        },
        ..OllamaConfig::default()
    })
    .expect("an address")
}

fn question() -> ChatRequest {
    ChatRequest::from(vec![Message::User("What is it?".to_owned())])
}

/// What was said, and how it ended.
async fn listen(ollama: &Ollama) -> (String, Result<(), LlmError>) {
    let mut stream = ollama.chat(question());
    let mut text = String::new();
    let listening = async {
        while let Some(delta) = stream.next().await {
            let Delta::Text(piece) = delta? else {
                continue;
            };
            text.push_str(&piece);
        }
        Ok(())
    };
    let end = tokio::time::timeout(Duration::from_secs(30), listening)
        .await
        .expect("it ends");
    (text, end)
}

/// What was said before `steps` failed, and the sentence about it.
async fn fails(steps: Vec<Step>) -> (String, LlmError) {
    let server = Scripted::start(steps).await;
    let url = server.url().replace("http://", "http://ada:s3cret@");
    let (text, end) = listen(&ollama(&url)).await;
    let error = end.expect_err("it fails");
    let sentence = error.to_string();
    for private in ["s3cret", "ada", "What is it"] {
        assert!(!sentence.contains(private), "{sentence}");
        assert!(!format!("{error:?}").contains(private), "{error:?}");
    }
    assert!(
        !sentence.contains('\n') && sentence.contains("; "),
        "{sentence}"
    );
    assert!(sentence.contains(&server.url()), "{sentence}");
    (text, error)
}

#[tokio::test]
async fn words_arrive_whole_wherever_the_network_cuts_them() {
    let lines = answer(&["Grü", "ße ", "👋", " 世", "界"]);
    let bytes = lines.as_bytes();
    let mut cuts: Vec<Vec<&[u8]>> = vec![bytes.chunks(1).collect(), vec![bytes]];
    cuts.extend((2..=9).map(|size| bytes.chunks(size).collect()));
    for pieces in cuts {
        let server = Scripted::start(streamed(&pieces)).await;
        let (text, end) = listen(&ollama(&server.url())).await;
        end.expect("it ends well");
        assert_eq!(text, "Grüße 👋 世界");
    }
}

#[tokio::test]
async fn the_request_carries_what_was_set() {
    let lines = answer(&["Yes."]);
    let server = Scripted::start(streamed(&[lines.as_bytes()])).await;
    let url = format!("{}/behind/a/proxy", server.url()).replace("http://", "http://ada:s3cret@");
    listen(&ollama(&url)).await.1.expect("an answer");
    let seen = &server.seen()[0];
    assert!(
        seen.head
            .starts_with("POST /behind/a/proxy/api/chat HTTP/1.1"),
        "{}",
        seen.head
    );
    assert!(
        seen.head.to_lowercase().contains("authorization: basic "),
        "{}",
        seen.head
    );
    assert_eq!(seen.body["model"], "qwen3:4b");
    assert_eq!(seen.body["stream"], true);
    assert_eq!(seen.body["think"], false);
    assert_eq!(seen.body["options"]["num_ctx"], 8192);
    assert_eq!(seen.body["messages"][0]["content"], "What is it?");
}

#[tokio::test]
async fn thoughts_are_never_said() {
    let mut lines = line("<thi").replace("},\"done\"", ",\"thinking\":\"loud\"},\"done\"");
    lines.push_str(&answer(&["nk>secretly</th", "ink>", "\n\nYes", "."]));
    let server = Scripted::start(streamed(&[lines.as_bytes()])).await;
    let (text, end) = listen(&ollama(&server.url())).await;
    end.expect("it ends well");
    assert_eq!(text, "Yes.");
}

#[tokio::test]
async fn a_dropped_answer_closes_the_connection() {
    let mut steps = streamed(&[line("Once").as_bytes()]);
    steps.pop();
    steps.push(Step::Hang);
    let mut server = Scripted::start(steps).await;
    let ollama = ollama(&server.url());
    let mut stream = ollama.chat(question());
    let first = stream.next().await.expect("a piece").expect("no error");
    assert_eq!(first, Delta::Text("Once".to_owned()));
    drop(stream);
    let left = tokio::time::timeout(Duration::from_secs(10), server.clients_left(1));
    left.await.expect("the server sees it");

    // The same before the first word.
    let mut server = Scripted::start(vec![Step::Hang]).await;
    let ollama = self::ollama(&server.url());
    let mut stream = ollama.chat(question());
    tokio::select! {
        _ = stream.next() => panic!("nothing was said"),
        () = async { while server.seen().is_empty() { tokio::task::yield_now().await } } => {}
    }
    drop(stream);
    let left = tokio::time::timeout(Duration::from_secs(10), server.clients_left(1));
    left.await.expect("the server sees it");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer_that_ended() {
    let mut cut = streamed(&[line("Once").as_bytes()]);
    cut.pop();
    cut.push(Step::Close);
    let whole_response_without_an_end = streamed(&[line("Once").as_bytes()]);
    let half_a_line = streamed(&[line("Once").as_bytes(), &line("upon").as_bytes()[..40]]);
    for steps in [cut, whole_response_without_an_end, half_a_line] {
        let (text, error) = fails(steps).await;
        assert_eq!(text, "Once");
        assert_eq!(error.fault(), Fault::Remote);
        assert!(
            error.to_string().contains("broke off within its answer"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_does_not_speak_the_protocol_is_no_ollama() {
    let huge = vec![b'x'; 10 << 20];
    let page = b"<!doctype html>\n<html><body>Welcome to nginx!</body></html>\n";
    for steps in [
        response("200 OK", "text/html", &[page]),
        response("200 OK", "application/json", &[page]),
        response("404 Not Found", "text/html; charset=utf-8", &[page]),
        response("500 Oops", "text/html", &[page]),
        response("404 Not Found", "text/plain", &[b"404 page not found"]),
        response("405 Method Not Allowed", "text/plain", &[b""]),
        streamed(&[b"{\"choices\":[]}\n"]),
        streamed(&[b"\xff\xfe\x00\n"]),
        streamed(&[&huge]),
        streamed(&[&[b"{\"message\":{\"content\":\"", &huge[..], b"\"}}\n"].concat()]),
    ] {
        let (text, error) = fails(steps).await;
        assert_eq!(text, "");
        assert_eq!(error.fault(), Fault::Remote);
        let sentence = error.to_string();
        assert!(sentence.contains("does not speak Ollama"), "{sentence}");
        assert!(sentence.contains("ollama_host"), "{sentence}");
    }
    // Good words before garbage are said.
    let broken = format!("{}garbage\n", line("Once"));
    let (text, error) = fails(streamed(&[broken.as_bytes()])).await;
    assert_eq!(text, "Once");
    assert_eq!(error.fault(), Fault::Remote);
}

#[tokio::test]
async fn what_the_server_reports_is_passed_on_with_the_next_step() {
    let json = "application/json; charset=utf-8";
    let missing = br#"{"error":"model 'qwen3:4b' not found"}"#;
    let (_, error) = fails(response("404 Not Found", json, &[missing])).await;
    assert!(matches!(error, LlmError::NoModel { .. }), "{error:?}");
    assert_eq!(error.fault(), Fault::Request);
    assert!(
        error.to_string().contains("ollama pull qwen3:4b"),
        "{error}"
    );

    let loading = br#"{"error":"model requires more system memory (9 GiB) than is available"}"#;
    let in_stream = format!("{}{{\"error\":\"runner has stopped\"}}\n", line("Once"));
    for (steps, words) in [
        (
            response("500 Internal Server Error", json, &[loading]),
            "more system memory",
        ),
        (
            response("400 Bad Request", json, &[br#"{"error":"no thinking"}"#]),
            "no thinking",
        ),
        (streamed(&[in_stream.as_bytes()]), "runner has stopped"),
        (
            response("503 Service Unavailable", json, &[br#"{"error":"busy"}"#]),
            "overloaded",
        ),
        (
            response("502 Bad Gateway", "text/plain", &[b"upstream"]),
            "HTTP 502",
        ),
        (
            response("401 Unauthorized", "text/plain", &[b""]),
            "user:password",
        ),
        (
            response("301 Moved Permanently", "text/plain", &[b""]),
            "HTTP 301",
        ),
    ] {
        let (_, error) = fails(steps).await;
        assert_eq!(error.fault(), Fault::Remote, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_without_a_word_is_told() {
    for steps in [
        vec![Step::Close],
        vec![Step::Send(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), Step::Close],
        vec![
            Step::Send(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()),
            Step::Close,
        ],
    ] {
        let (_, error) = fails(steps).await;
        assert_eq!(error.fault(), Fault::Remote);
        assert!(error.to_string().contains("broke off before"), "{error}");
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_told_with_how_to_start_it() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    for error in [
        listen(&ollama(&url)).await.1.expect_err("refused"),
        Ollama::probe(&url).await.expect_err("refused"),
    ] {
        assert_eq!(error.fault(), Fault::Remote);
        let sentence = error.to_string();
        assert!(
            sentence.contains("does not answer; start it with: ollama serve"),
            "{sentence}"
        );
    }
    let nowhere = ollama("http://no-such-host.invalid:11434");
    let error = listen(&nowhere).await.1.expect_err("no such host");
    assert!(error.to_string().contains("cannot be"), "{error}");
}

/// With the given patience and the rest long.
fn impatient(url: &str, patience: impl FnOnce(&mut Patience)) -> Ollama {
    let mut config = OllamaConfig {
        url: url.to_owned(),
        ..OllamaConfig::default()
    };
    patience(&mut config.patience);
    Ollama::new(config).expect("an address")
}

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn silence_is_told_by_where_it_happens() {
    let server = Scripted::start(vec![Step::Hang]).await;
    let ollama = impatient(&server.url(), |p| p.first = SHORT);
    let (_, end) = listen(&ollama).await;
    let error = end.expect_err("it hangs");
    assert!(error.to_string().contains("gave no answer in"), "{error}");
    assert_eq!(error.fault(), Fault::Remote);

    // A head without a body hangs no less.
    let mut head_only = streamed(&[]);
    head_only.pop();
    head_only.push(Step::Hang);
    let server = Scripted::start(head_only).await;
    let ollama = impatient(&server.url(), |p| p.first = SHORT);
    let error = listen(&ollama).await.1.expect_err("it hangs");
    assert!(error.to_string().contains("gave no answer in"), "{error}");

    let mut stalled = streamed(&[line("Once").as_bytes()]);
    stalled.pop();
    stalled.push(Step::Hang);
    let server = Scripted::start(stalled).await;
    let ollama = impatient(&server.url(), |p| p.next = SHORT);
    let (text, end) = listen(&ollama).await;
    assert_eq!(text, "Once");
    let error = end.expect_err("it hangs");
    assert!(
        error.to_string().contains("fell silent within its answer"),
        "{error}"
    );

    let server = Scripted::start(vec![Step::Hang]).await;
    let ollama = impatient(&server.url(), |p| p.list = SHORT);
    let error = ollama.models().await.expect_err("it hangs");
    assert!(error.to_string().contains("gave no answer in"), "{error}");
}

#[tokio::test]
async fn the_list_of_models_is_read_or_refused() {
    let json = "application/json";
    let list = br#"{"models":[{"name":"qwen3:4b","model":"qwen3:4b","size":5,"digest":"x"},{"name":"a:latest","size":7}]}"#;
    let server = Scripted::start(response("200 OK", json, &[&list[..50], &list[50..]])).await;
    let models = Ollama::probe(&server.url()).await.expect("a list");
    assert_eq!((models.len(), models[0].bytes), (2, 5));
    assert!(models[1].is("a"));
    assert!(server.seen()[0].head.starts_with("GET /api/tags "));

    let none = Scripted::start(response("200 OK", json, &[br#"{"models":[]}"#])).await;
    assert_eq!(Ollama::probe(&none.url()).await.expect("a list"), []);

    let huge = vec![b' '; 10 << 20];
    for body in [&b"[]"[..], b"{", b"<html>", &huge] {
        let server = Scripted::start(response("200 OK", json, &[body])).await;
        let error = ollama(&server.url()).models().await.expect_err("no list");
        assert!(
            error.to_string().contains("does not speak Ollama"),
            "{error}"
        );
    }
}

fn lamp() -> Arc<ToolSpec> {
    Arc::new(ToolSpec {
        name: "lamp".to_owned(),
        description: "A lamp.".to_owned(),
        parameters: serde_json::json!({"type": "object"}),
    })
}

/// All of the answer to a question for which a lamp is offered.
async fn with_a_lamp(ollama: &Ollama) -> Vec<Delta> {
    let request = ChatRequest {
        tools: vec![lamp()],
        ..question()
    };
    let deltas = ollama.chat(request).map(|delta| delta.expect("an answer"));
    deltas.collect().await
}

#[tokio::test]
async fn a_model_that_knows_no_tools_is_offered_them_as_text_from_then_on() {
    let refusal: &[u8] = br#"{"error":"smollm2:135m does not support tools"}"#;
    let lines = answer(&["Hello.", "<tool_call>{\"name\": \"lamp\"}"]);
    let server = Scripted::with(move |seen| match seen.body.get("tools") {
        Some(_) => response("400 Bad Request", "application/json", &[refusal]),
        None => streamed(&[lines.as_bytes()]),
    })
    .await;
    let ollama = ollama(&server.url());
    for asked in [2, 3] {
        let deltas = with_a_lamp(&ollama).await;
        assert_eq!(deltas[0], Delta::Text("Hello.".to_owned()));
        assert!(matches!(&deltas[1], Delta::Call(call) if call.name == "lamp"));
        let seen = server.seen();
        assert_eq!(seen.len(), asked, "refused once, remembered then");
        let system = &seen[asked - 1].body["messages"][0];
        assert_eq!(system["role"], "system");
        let text = system["content"].as_str().expect("words");
        assert!(
            text.contains("# Tools") && text.contains("\"lamp\""),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_call_that_a_model_writes_as_text_is_made_and_not_said() {
    let words = [
        "Sure.",
        "\n<to",
        "ol_c",
        "all>",
        "\n{\"na",
        "me\":",
        " \"lamp\", \"argum",
        "ents\": {\"on\"",
        ": true",
        "}}\n",
        "</tool",
        "_call>",
    ];
    let lines = answer(&words);
    let server = Scripted::start(streamed(&[lines.as_bytes()])).await;
    let deltas = with_a_lamp(&ollama(&server.url())).await;
    let (mut text, mut calls) = (String::new(), Vec::new());
    for delta in deltas {
        match delta {
            Delta::Text(piece) => text.push_str(&piece),
            Delta::Call(call) => calls.push(call),
            Delta::BadCall(why) => panic!("{why}"),
            Delta::Usage(_) => {}
        }
    }
    assert_eq!(text, "Sure.\n");
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].id, "call_text_1");
    assert_eq!(calls[0].arguments, serde_json::json!({"on": true}));
}
