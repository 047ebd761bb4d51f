//! Traces as a collector gets them: a small one that decodes what it is sent.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use caal::{
    clock::At,
    pii::Pii,
    session::{Answered, Marks, TurnTimings, Turns},
    telemetry::{Exporter, Kind, Outcome, Span},
    turn::{ReplyId, TurnId},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value,
    trace::v1::{Span as Sent, span::SpanKind},
};
use prost::Message as _;

fn ms(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_415_462_000 + ms)
}

fn answered() -> Answered {
    let at = |ms| Some(At::from_millis(ms));
    let marks = Marks {
        user_stop: at(1_000),
        audible: at(1_812),
        ..Marks::default()
    };
    let mut llm = Span::new("chat qwen3:8b", ms(300), ms(900))
        .named("gen_ai.operation.name", "chat")
        .counted("gen_ai.usage.output_tokens", 24_u32);
    llm.kind = Kind::Client;
    let mut tts = Span::new("tts", ms(400), ms(700));
    tts.failed = Some("internal");
    Answered {
        asked_at: ms(0),
        over_at: ms(2_000),
        timings: TurnTimings::of(Some(TurnId(1)), ReplyId(1), &marks),
        outcome: Outcome::Complete,
        user: Pii("is the stove off".to_owned()),
        assistant: Pii("It is".to_owned()),
        steps: vec![llm, tts],
    }
}

type Batches = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A collector, its address, and what it was sent.
async fn collector() -> (String, Batches) {
    let batches = Batches::default();
    let book = batches.clone();
    let app = Router::new().route(
        "/v1/traces",
        post(|headers: HeaderMap, body: Bytes| async move {
            book.lock().unwrap().push((headers, body));
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, batches)
}

fn text(span: &Sent, key: &str) -> Option<String> {
    let fact = span.attributes.iter().find(|fact| fact.key == key)?;
    Some(match fact.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_arrives_as_one_tree_without_its_words() {
    let (url, batches) = collector().await;
    let turns = Turns::default();
    turns.export_to(Exporter::start(&format!("{url}/")).unwrap());
    turns.note("den", &answered());
    turns.close().await;

    let batches = batches.lock().unwrap();
    let [(headers, body)] = &batches[..] else {
        panic!("{} batches", batches.len());
    };
    assert_eq!(headers["content-type"], "application/x-protobuf");
    for word in ["stove", "It is"] {
        let found = body.windows(word.len()).any(|part| part == word.as_bytes());
        assert!(!found, "{word} was sent");
    }
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let resource = &request.resource_spans[0];
    let about = resource.resource.as_ref().unwrap();
    let service = about.attributes.iter().find(|a| a.key == "service.name");
    assert!(format!("{service:?}").contains("caal"), "{service:?}");
    let spans = &resource.scope_spans[0].spans;
    let named = |name: &str| spans.iter().find(|span| span.name == name).expect(name);
    let (turn, llm, tts) = (named("turn"), named("chat qwen3:8b"), named("tts"));
    assert_eq!(spans.len(), 3);
    assert!(turn.parent_span_id.is_empty());
    for part in [llm, tts] {
        assert_eq!(part.parent_span_id, turn.span_id);
        assert_eq!(part.trace_id, turn.trace_id);
        assert!(turn.start_time_unix_nano <= part.start_time_unix_nano);
        assert!(part.end_time_unix_nano <= turn.end_time_unix_nano);
    }
    let took = turn.end_time_unix_nano - turn.start_time_unix_nano;
    assert_eq!(Duration::from_nanos(took), Duration::from_secs(2));
    assert_eq!(text(turn, "caal.room").as_deref(), Some("den"));
    assert_eq!(text(turn, "caal.turn.outcome").as_deref(), Some("complete"));
    assert_eq!(text(turn, "caal.turn.total_ms").as_deref(), Some("812"));
    assert_eq!(llm.kind(), SpanKind::Client);
    assert_eq!(text(llm, "gen_ai.operation.name").as_deref(), Some("chat"));
    assert_eq!(
        text(llm, "gen_ai.usage.output_tokens").as_deref(),
        Some("24")
    );
    assert_eq!(text(tts, "error.type").as_deref(), Some("internal"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_costs_a_turn_nothing() {
    // Takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let turns = Turns::default();
    turns.export_to(Exporter::start(&url).unwrap());
    let started = Instant::now();
    for _ in 0..5_000 {
        turns.note("den", &answered());
    }
    let noting = started.elapsed();
    assert!(noting < Duration::from_secs(5), "{noting:?} for 5000 turns");
    turns.close().await;
    let closing = started.elapsed() - noting;
    assert!(closing < Duration::from_secs(8), "{closing:?} to close");
    assert_eq!(turns.last(1, None)[0].id, 5_000);
}

#[tokio::test]
async fn an_address_that_is_none_is_told_at_the_start() {
    assert!(Exporter::start("http://not an address").is_err());
}
