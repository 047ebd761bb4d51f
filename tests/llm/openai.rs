//! A server that speaks OpenAI's language, by script: what it is asked, what is read of its answers, and
//! every way in which it can fail. And a real one: Ollama's second door.

use std::{sync::Arc, time::Duration};

use caal::{
    fault::Fault,
    llm::{
        ChatRequest, Delta, Llm as _, LlmError, Message, ToolCall, ToolSpec, Usage,
        ollama::Patience,
        openai::{OpenAi, OpenAiConfig, Service},
        pictures::Picture,
    },
    pii::Pii,
};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::{
    ollama_process::{MODEL, OllamaProcess},
    scripted::{Scripted, Step, response},
};

const KEY: &str = "sk-s3cret-of-openai-0a1b2c3d";

fn server(url: &str) -> OpenAi {
    let patience = Duration::from_secs(60);
    OpenAi::new(OpenAiConfig {
        key: Pii(KEY.to_owned()),
        model: "m".to_owned(),
        patience: Patience {
            connect: patience,
            first: patience,
            load: patience,
            next: patience,
            list: patience,
        },
        ..OpenAiConfig::new(Service::Compatible, url)
    })
    .expect("an address")
}

fn question() -> ChatRequest {
    ChatRequest::from(vec![Message::User("What is it?".to_owned())])
}

/// All pieces, and how it ended.
async fn listen(server: &OpenAi, request: ChatRequest) -> (Vec<Delta>, Result<(), LlmError>) {
    let mut stream = server.chat(request);
    let mut deltas = Vec::new();
    let listening = async {
        while let Some(delta) = stream.next().await {
            deltas.push(delta?);
        }
        Ok(())
    };
    let end = tokio::time::timeout(Duration::from_secs(300), listening)
        .await
        .expect("it ends");
    (deltas, end)
}

fn texts(deltas: &[Delta]) -> String {
    let texts = deltas.iter().filter_map(|delta| match delta {
        Delta::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn event(delta: &Value) -> String {
    format!("data: {}\n\n", json!({ "choices": [{ "delta": delta }] }))
}

/// An answer that says `words`, as vLLM sends it.
pub(crate) fn completion(words: &[&str]) -> String {
    let mut events: String = words
        .iter()
        .map(|word| event(&json!({ "content": word })))
        .collect();
    events.push_str(concat!(
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":26,\"completion_tokens\":3}}\n\n",
        "data: [DONE]\n\n",
    ));
    events
}

pub(crate) fn sse(pieces: &[&[u8]]) -> Vec<Step> {
    response("200 OK", "text/event-stream", pieces)
}

/// What was said before `steps` failed, and the sentence about it.
async fn fails(steps: Vec<Step>) -> (String, LlmError) {
    let scripted = Scripted::start(steps).await;
    let url = scripted.url().replace("http://", "http://ada:s3cret@");
    let (deltas, end) = listen(&server(&url), question()).await;
    let error = end.expect_err("it fails");
    let sentence = error.to_string();
    for private in [KEY, "s3cret", "ada", "What is it"] {
        assert!(!sentence.contains(private), "{sentence}");
        assert!(!format!("{error:?}").contains(private), "{error:?}");
    }
    assert!(
        !sentence.contains('\n') && sentence.contains("; "),
        "{sentence}"
    );
    assert!(sentence.contains(&scripted.url()), "{sentence}");
    (texts(&deltas), error)
}

#[tokio::test]
async fn the_request_carries_the_conversation_the_tools_and_the_key() {
    let scripted = Scripted::start(sse(&[completion(&["Yes."]).as_bytes()])).await;
    let call = |arguments| ToolCall {
        id: "c1".to_owned(),
        name: "lamp".to_owned(),
        arguments,
    };
    let lamp = ToolSpec {
        name: "lamp".to_owned(),
        description: "A lamp.".to_owned(),
        parameters: json!({ "type": "object" }),
    };
    let request = ChatRequest {
        messages: vec![
            Message::System("s".to_owned()),
            Message::User("u".to_owned()),
            Message::Assistant("a".to_owned()),
            Message::Calls {
                text: "So.".to_owned(),
                calls: vec![call(json!({ "on": true })), call(json!("{broken"))],
            },
            Message::Result {
                id: "c1".to_owned(),
                name: "lamp".to_owned(),
                content: "On.".to_owned(),
            },
        ],
        tools: vec![Arc::new(lamp)],
        pictures: Vec::new(),
    };
    let (deltas, end) = listen(&server(&scripted.url()), request).await;
    end.expect("an answer");
    let usage = Usage {
        input: 26,
        output: 3,
    };
    assert_eq!(
        deltas,
        [Delta::Text("Yes.".to_owned()), Delta::Usage(usage)]
    );
    let seen = &scripted.seen()[0];
    assert!(
        seen.head
            .starts_with("POST /v1/chat/completions HTTP/1.1\r\n"),
        "{}",
        seen.head
    );
    let key = format!("authorization: Bearer {KEY}\r\n");
    assert!(seen.head.contains(&key), "{}", seen.head);
    let called = |arguments: &str| json!({ "id": "c1", "type": "function", "function": { "name": "lamp", "arguments": arguments } });
    let temperature = seen.body["temperature"].as_f64().expect("a number");
    assert!((temperature - 0.7).abs() < 1e-6);
    let mut body = seen.body.clone();
    body.as_object_mut()
        .expect("an object")
        .remove("temperature");
    assert_eq!(
        body,
        json!({
            "model": "m",
            "stream": true,
            "stream_options": { "include_usage": true },
            "max_tokens": 1024,
            "messages": [
                { "role": "system", "content": "s" },
                { "role": "user", "content": "u" },
                { "role": "assistant", "content": "a" },
                { "role": "assistant", "content": "So.", "tool_calls": [called("{\"on\":true}"), called("{}")] },
                { "role": "tool", "tool_call_id": "c1", "content": "On." },
            ],
            "tools": [{ "type": "function", "function": {
                "name": "lamp", "description": "A lamp.", "parameters": { "type": "object" },
            }}],
        })
    );
}

#[tokio::test]
async fn calls_in_pieces_are_made_whole_and_thoughts_are_never_said() {
    let piece = |call: Value| event(&json!({ "tool_calls": [call] }));
    let events = [
        event(&json!({ "reasoning_content": "loud" })),
        event(&json!({ "content": "<thi" })),
        event(&json!({ "content": "nk>secretly</think>\n\nSo: 1 <" })),
        piece(
            json!({ "index": 0, "id": "x", "function": { "name": "lamp", "arguments": "{\"on\"" } }),
        ),
        piece(json!({ "index": 0, "function": { "arguments": ":true}" } })),
        piece(
            json!({ "index": 1, "id": "y", "function": { "name": "clock", "arguments": "{bro" } }),
        ),
        completion(&[]),
    ]
    .concat();
    for size in [1, 7, events.len()] {
        let pieces: Vec<&[u8]> = events.as_bytes().chunks(size).collect();
        let scripted = Scripted::start(sse(&pieces)).await;
        let (deltas, end) = listen(&server(&scripted.url()), question()).await;
        end.expect("an answer");
        assert_eq!(texts(&deltas), "So: 1 <");
        let calls = deltas.iter().filter_map(|delta| match delta {
            Delta::Call(call) => Some((&*call.id, &*call.name, call.arguments.clone())),
            _ => None,
        });
        assert_eq!(
            calls.collect::<Vec<_>>(),
            [
                ("x", "lamp", json!({ "on": true })),
                ("y", "clock", json!("{bro"))
            ]
        );
        assert!(matches!(deltas.last(), Some(Delta::Usage(_))));
    }
}

#[tokio::test]
async fn thoughts_that_no_tag_opens_are_said_once_at_most() {
    let thought = completion(&["Hm, se", "cret.</th", "ink>\n\nYes."]);
    let scripted = Scripted::start(sse(&[thought.as_bytes()])).await;
    let unknown = server(&scripted.url());
    let mut heard = Vec::new();
    for _ in 0..3 {
        let (deltas, end) = listen(&unknown, question()).await;
        end.expect("an answer");
        heard.push(texts(&deltas).replace('\n', ""));
    }
    assert_eq!(heard, ["Hm, secret.Yes.", "Yes.", "Yes."]);
    // Of a model that is known for it not even the first.
    let known = OpenAi::new(OpenAiConfig {
        model: "Qwen3-4B-Thinking-2507".to_owned(),
        ..OpenAiConfig::new(Service::Compatible, &scripted.url())
    });
    let (deltas, end) = listen(&known.expect("an address"), question()).await;
    end.expect("an answer");
    assert_eq!(texts(&deltas), "Yes.");
}

#[tokio::test]
async fn every_way_to_fail_is_one_sentence_without_the_key() {
    let begun = event(&json!({ "content": "So" }));
    let half = &completion(&["So", " it"])[..begun.len() + 20];
    let failed = format!("{begun}data: {{\"error\":{{\"message\":\"key {KEY}\\nis odd\"}}}}\n\n");
    for (steps, said, words) in [
        (sse(&[half.as_bytes()]), "So", "broke off within its answer"),
        (sse(&[failed.as_bytes()]), "So", "reports: key … is odd"),
        (
            sse(&[b"data: nonsense\n\n"]),
            "",
            "does not speak OpenAI's language",
        ),
        (
            response("200 OK", "text/html", &[b"<html>"]),
            "",
            "openai_base_url",
        ),
        (response("302 Found", "text/plain", &[]), "", "elsewhere"),
        (
            response("429 Too Many", "text/plain", &[]),
            "",
            "overloaded",
        ),
        (response("503 Busy", "text/plain", &[]), "", "overloaded"),
        (
            response("500 Oops", "text/plain", &[]),
            "",
            "fails (HTTP 500)",
        ),
        (
            response("400 Bad", "application/json", &[br#"{"detail":"no"}"#]),
            "",
            "reports: no",
        ),
        (vec![Step::Close], "", "broke off before it answered"),
    ] {
        let (text, error) = fails(steps).await;
        assert_eq!(text, said);
        assert_eq!(error.fault(), Fault::Remote, "{error}");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    let refusal = json!({ "error": { "message": format!("Incorrect API key: {KEY}") } });
    let refusal = refusal.to_string();
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let (_, error) = fails(response(status, "application/json", &[refusal.as_bytes()])).await;
        assert!(error.to_string().contains("openai_api_key"), "{error}");
    }
    let missing = br#"{"object":"error","message":"The model `m` does not exist."}"#;
    let (_, error) = fails(response("404 Not Found", "application/json", &[missing])).await;
    assert_eq!(error.fault(), Fault::Request);
    assert!(error.to_string().contains("openai_model"), "{error}");
}

#[tokio::test]
async fn a_server_that_falls_silent_is_not_waited_for_and_one_that_has_said_all_has_answered() {
    let impatient = |url: &str| {
        let mut config = OpenAiConfig::new(Service::Compatible, url);
        config.model = "m".to_owned();
        config.patience.next = Duration::from_millis(50);
        OpenAi::new(config).expect("an address")
    };
    let hangs = |text: &str| {
        let mut steps = sse(&[text.as_bytes()]);
        steps.pop();
        steps.push(Step::Hang);
        steps
    };
    let scripted = Scripted::start(hangs(&event(&json!({ "content": "So" })))).await;
    let (deltas, end) = listen(&impatient(&scripted.url()), question()).await;
    assert_eq!(texts(&deltas), "So");
    let error = end.expect_err("it hangs").to_string();
    assert!(error.contains("fell silent"), "{error}");

    let whole = completion(&["So."]).replace("data: [DONE]\n\n", "");
    let mut scripted = Scripted::start(hangs(&whole)).await;
    let (deltas, end) = listen(&impatient(&scripted.url()), question()).await;
    end.expect("all was said");
    assert_eq!(texts(&deltas), "So.");
    scripted.clients_left(1).await;
}

#[tokio::test]
async fn a_server_without_tools_talks_all_the_same() {
    let refusal = br#"{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set"}"#;
    let scripted = Scripted::with(|seen| match seen.body.get("tools") {
        Some(_) => response("400 Bad Request", "application/json", &[refusal]),
        None => sse(&[completion(&["Hi."]).as_bytes()]),
    })
    .await;
    let tool = ToolSpec {
        name: "lamp".to_owned(),
        description: String::new(),
        parameters: json!({ "type": "object" }),
    };
    let request = ChatRequest {
        tools: vec![Arc::new(tool)],
        ..question()
    };
    let server = server(&scripted.url());
    for _ in 0..2 {
        let (deltas, end) = listen(&server, request.clone()).await;
        end.expect("an answer");
        assert_eq!(texts(&deltas), "Hi.");
    }
    assert_eq!(scripted.seen().len(), 3, "it is asked for tools once");
}

#[tokio::test]
async fn a_picture_goes_along_and_where_it_is_refused_the_model_is_told_of_it() {
    let refusal =
        br#"{"object":"error","message":"At most 0 image(s) may be provided in one prompt."}"#;
    let picture = Picture {
        kind: "image/png",
        bytes: Pii(Arc::from(*b"pic")),
    };
    let request = ChatRequest {
        pictures: vec![picture],
        ..question()
    };
    for refuses in [false, true] {
        let scripted = Scripted::with(move |seen| match seen.text.contains("image_url") {
            true if refuses => response("400 Bad Request", "application/json", &[refusal]),
            _ => sse(&[completion(&["Hi."]).as_bytes()]),
        })
        .await;
        let server = server(&scripted.url());
        for _ in 0..2 {
            let (deltas, end) = listen(&server, request.clone()).await;
            end.expect("an answer");
            assert_eq!(texts(&deltas), "Hi.");
        }
        assert_eq!(server.sees().await, !refuses);
        let seen = scripted.seen();
        let with = seen.iter().filter(|seen| seen.text.contains("image_url"));
        assert_eq!(
            (with.count(), seen.len()),
            if refuses { (1, 3) } else { (2, 2) }
        );
        let last = &seen.last().unwrap().text;
        assert_eq!(last.contains("you cannot see pictures"), refuses, "{last}");
        assert_eq!(last.contains("data:image/png;base64,cGlj"), !refuses);
    }
}

#[tokio::test]
async fn its_models_are_those_of_its_list() {
    let list = br#"{"object":"list","data":[{"id":"a","object":"model"},{"id":"b"}]}"#;
    let scripted = Scripted::start(response("200 OK", "application/json", &[list])).await;
    let models = server(&scripted.url()).models().await.expect("a list");
    assert_eq!(models, ["a", "b"]);
    let head = &scripted.seen()[0].head;
    assert!(head.starts_with("GET /v1/models HTTP/1.1\r\n"), "{head}");
    let scripted = Scripted::start(response("200 OK", "application/json", &[b"{}"])).await;
    let error = server(&scripted.url()).models().await.expect_err("no list");
    assert!(error.to_string().contains("OpenAI's language"), "{error}");
}

#[tokio::test]
async fn a_real_server_answers() {
    let Some(ollama) = OllamaProcess::start().await else {
        eprintln!("skipped: no Ollama is built; build one with scripts/real-parts/ollama.sh");
        return;
    };
    let asked = |model: &str| {
        let mut config = OpenAiConfig::new(Service::Compatible, ollama.url());
        config.model = model.to_owned();
        config.max_tokens = 16;
        config.temperature = 0.0;
        config.patience.first = Duration::from_secs(300);
        OpenAi::new(config).expect("an address")
    };
    let real = asked(MODEL);
    assert_eq!(real.models().await.expect("a list"), [MODEL]);
    let told = "Answer in one short sentence.";
    real.warm_up(told).await.expect("warms up");
    let request = ChatRequest::from(vec![
        Message::System(told.to_owned()),
        Message::User("What is the capital of France?".to_owned()),
    ]);
    let (deltas, end) = listen(&real, request.clone()).await;
    end.expect("an answer");
    assert!(texts(&deltas).contains("Paris"), "{deltas:?}");
    assert!(deltas.len() > 2, "in pieces: {deltas:?}");
    assert!(
        matches!(deltas.last(), Some(Delta::Usage(Usage { input, output: 1..=16 })) if *input > 10),
        "{deltas:?}"
    );
    let (_, end) = listen(&asked("no-such-model"), request).await;
    let error = end.expect_err("no model").to_string();
    assert!(error.contains("openai_model"), "{error}");
}
