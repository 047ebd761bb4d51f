//! Traces: what a turn was made of, sent to a collector over OTLP (HTTP, protobuf) in OpenTelemetry's words.
//! A tree of spans is put together when its turn is over, from the moments that the session has noted, so
//! that nothing is paid for while it goes on. Sending is batched on a thread of its own; where the collector
//! is slow or gone, spans are dropped and the conversation knows nothing of it.
//!
//! Where to is [`Exporter::start`]'s; the rest OpenTelemetry's SDK reads from the environment itself:
//! `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`,
//! `OTEL_BSP_*`.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use opentelemetry::{
    Context, KeyValue, Value,
    trace::{SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use tokio::runtime::Handle;
use tokio_util::context::TokioContext;
use tracing::{info, warn};

/// How long the collector may take for one batch.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long what is left may take at the end.
const GOODBYE: Duration = Duration::from_secs(2);

/// Longest answer of a collector that is read, bytes.
const ANSWER: usize = 64 * 1024;

/// Whose work a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    Internal,
    /// Somebody's whom we asked.
    Client,
}

/// Something about a span.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A name: never words that somebody said.
    Name(String),
    /// A count.
    Count(u64),
}

/// A part of a turn, with its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// What it is.
    pub name: String,
    /// Whose work it is.
    pub kind: Kind,
    /// When it began.
    pub from: SystemTime,
    /// When it was over.
    pub to: SystemTime,
    /// What is known of it, by OpenTelemetry's names where there are any.
    pub facts: Vec<(&'static str, Fact)>,
    /// It failed; which kind of failure.
    pub failed: Option<&'static str>,
    /// Its parts.
    pub parts: Vec<Span>,
}

impl Span {
    /// One of our own doing, without parts. One that would end before it began ends at once.
    pub fn new(name: impl Into<String>, from: SystemTime, to: SystemTime) -> Self {
        Self {
            name: name.into(),
            kind: Kind::Internal,
            from,
            to: to.max(from),
            facts: Vec::new(),
            failed: None,
            parts: Vec::new(),
        }
    }

    /// The same with a name for something.
    #[must_use]
    pub fn named(mut self, key: &'static str, name: impl Into<String>) -> Self {
        self.facts.push((key, Fact::Name(name.into())));
        self
    }

    /// The same with a count of something.
    #[must_use]
    pub fn counted(mut self, key: &'static str, count: impl Into<u64>) -> Self {
        self.facts.push((key, Fact::Count(count.into())));
        self
    }
}

/// Sends trees of spans to a collector.
#[derive(Debug)]
pub struct Exporter {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Exporter {
    /// Sends to the collector at `endpoint` (its base: `http://localhost:4318`; spans go to
    /// `/v1/traces` below it). Call it inside of a tokio runtime, which does the sending. Asks nobody yet.
    ///
    /// # Errors
    ///
    /// When the address is none, or there can be no HTTP client; for people.
    pub fn start(endpoint: &str) -> Result<Self, String> {
        crate::tls::install();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| e.to_string())?;
        let client = Client {
            http,
            runtime: Handle::current(),
            lost: AtomicBool::new(false),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(PATIENCE)
            .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            .build()
            .map_err(|e| e.to_string())?;
        // What the environment says of the resource (its name, too) comes first.
        let ours = Resource::builder()
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let unnamed = |name: &Value| name.as_str().starts_with("unknown_service");
        let ours = match ours.get(&"service.name".into()) {
            Some(name) if !unnamed(&name) => ours,
            _ => Resource::builder()
                .with_service_name("caal")
                .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
                .build(),
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(ours)
            .build();
        let tracer = provider.tracer("caal");
        Ok(Self { provider, tracer })
    }

    /// Sends `tree`, some time. Does not wait; where too much waits already, it is dropped.
    pub fn send(&self, tree: &Span) {
        self.send_below(tree, &Context::new());
    }

    fn send_below(&self, span: &Span, above: &Context) {
        let facts = span.facts.iter().map(|(key, fact)| match fact {
            Fact::Name(name) => KeyValue::new(*key, name.clone()),
            Fact::Count(count) => KeyValue::new(*key, i64::try_from(*count).unwrap_or(i64::MAX)),
        });
        let builder = self
            .tracer
            .span_builder(span.name.clone())
            .with_kind(match span.kind {
                Kind::Internal => SpanKind::Internal,
                Kind::Client => SpanKind::Client,
            })
            .with_start_time(span.from)
            .with_attributes(facts);
        let here = above.with_span(self.tracer.build_with_context(builder, above));
        let told = here.span();
        if let Some(why) = span.failed {
            told.set_attribute(KeyValue::new("error.type", why));
            told.set_status(Status::error(why));
        }
        for part in &span.parts {
            self.send_below(part, &here);
        }
        told.end_with_timestamp(span.to);
    }

    /// Sends what is left, for two seconds at most, and ends.
    pub async fn close(self) {
        // It blocks until its thread has ended.
        let provider = self.provider.clone();
        let closing = move || provider.shutdown_with_timeout(GOODBYE);
        let _ = tokio::task::spawn_blocking(closing).await; // what is lost now is lost
    }
}

/// The process's HTTP client, as the exporter's thread uses it.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
    /// The last batch did not arrive.
    lost: AtomicBool,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // The exporter's thread has no reactor of its own.
        let sent = TokioContext::new(self.send(request), self.runtime.clone()).await;
        let lost = match &sent {
            Ok(response) => {
                (!response.status().is_success()).then(|| response.status().to_string())
            }
            Err(error) => Some(error.to_string()),
        };
        let before = self.lost.swap(lost.is_some(), Ordering::Relaxed);
        // Once, and not with every batch.
        match lost {
            Some(why) if !before => {
                warn!("the traces' collector does not take them: {why}; see otlp_endpoint");
            }
            None if before => info!("the traces' collector takes them again"),
            _ => {}
        }
        sent
    }
}

impl Client {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request).map_err(reqwest::Error::without_url)?;
        let answer = self.http.execute(request).await;
        let mut answer = answer.map_err(reqwest::Error::without_url)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
            if body.len() + piece.len() > ANSWER {
                break;
            }
            body.extend_from_slice(&piece);
        }
        let response = Response::builder().status(status);
        Ok(response.body(Bytes::from(body))?)
    }
}
