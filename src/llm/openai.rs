//! Any server that speaks OpenAI's language (vLLM, llama.cpp, LM Studio, SGLang, Groq): `POST
//! chat/completions` streamed, `GET models`. The answer's stream is read by [`sse`].

pub mod sse;

use std::{
    error::Error as _,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{
    FutureExt as _, StreamExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use reqwest::{
    StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
    redirect,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, warn};

use super::{
    ChatRequest, Delta, Llm, LlmError, Message, ToolCall, ToolSpec, Usage,
    calls::{self, offer},
    ollama::Patience,
    pictures::{self, Picture},
    stream::StreamError,
    thoughts::{End, Habit, ThinkFilter},
};
use crate::pii::Pii;
use sse::{Event, SseDecoder};

/// Where Groq answers.
pub const GROQ_URL: &str = "https://api.groq.com/openai/v1";

/// Whose server it is, which says what its settings are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// A server of the user's choice.
    Compatible,
    /// Groq.
    Groq,
}

impl Service {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compatible => "OpenAI-compatible",
            Self::Groq => "Groq",
        }
    }

    /// The setting of the address; Groq's is not set.
    fn address(self) -> &'static str {
        match self {
            Self::Compatible => "openai_base_url",
            Self::Groq => "llm_provider",
        }
    }

    /// The setting of the key.
    fn key(self) -> &'static str {
        match self {
            Self::Compatible => "openai_api_key",
            Self::Groq => "groq_api_key",
        }
    }

    /// The setting of the model.
    pub fn model(self) -> &'static str {
        match self {
            Self::Compatible => "openai_model",
            Self::Groq => "groq_model",
        }
    }
}

/// How to reach a server and what to ask of it. `Debug` tells no address and no key.
#[derive(Clone)]
pub struct OpenAiConfig {
    /// Whose it is.
    pub service: Service,
    /// `http://host:8000/v1`; without a path `/v1` is meant. `user:password@` is allowed.
    pub url: String,
    /// Empty: none is sent.
    pub key: Pii<String>,
    /// As the server calls it. Only for [`OpenAi::models`] may it be empty.
    pub model: String,
    /// 0.0 (always the likeliest word) to 2.0.
    pub temperature: f32,
    /// The longest answer in tokens, thoughts included.
    pub max_tokens: u32,
    /// How long to wait for what.
    pub patience: Patience,
}

impl OpenAiConfig {
    /// With CAAL's defaults: no key, no model.
    pub fn new(service: Service, url: &str) -> Self {
        Self {
            service,
            url: url.to_owned(),
            key: Pii::default(),
            model: String::new(),
            temperature: 0.7,
            max_tokens: 1024,
            patience: Patience {
                // It may be at the other side of the world.
                list: Duration::from_secs(5),
                ..Patience::default()
            },
        }
    }
}

impl fmt::Debug for OpenAiConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiConfig")
            .field("service", &self.service)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// The [`Llm`] that asks such a server. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct OpenAi {
    client: reqwest::Client,
    config: Arc<OpenAiConfig>,
    base: Url,
    /// For people: without credentials.
    host: String,
    /// The server has refused tools.
    plain: Arc<AtomicBool>,
    /// It has refused pictures.
    blind: Arc<AtomicBool>,
    /// How the model's answers begin.
    habit: Habit,
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenAi({} at {})", self.config.model, self.host)
    }
}

impl Llm for OpenAi {
    fn chat(&self, request: ChatRequest) -> BoxStream<'static, Result<Delta, LlmError>> {
        // Such servers refuse a conversation without a word.
        if request.messages.is_empty() {
            return stream::empty().boxed();
        }
        let server = self.clone();
        let tools = request.tools.clone();
        let answer = stream::once(async move { server.answer(&request).await }).try_flatten();
        calls::found(answer.boxed(), &tools)
    }

    fn warm(&self, request: ChatRequest) -> BoxFuture<'static, Result<(), LlmError>> {
        let server = self.clone();
        async move {
            let ChatRequest {
                messages, tools, ..
            } = &request;
            // Some models' templates want a question behind what they are told.
            let mut messages = messages.clone();
            messages.push(Message::User("Hello.".to_owned()));
            let body = match server.plain.load(Ordering::Relaxed) {
                true => server.body(&offer::as_text(&messages, tools), &[], 1),
                false => server.body(&messages, tools, 1),
            };
            server.read(body).await
        }
        .boxed()
    }

    /// As long as the server has not refused any.
    fn sees(&self) -> BoxFuture<'static, bool> {
        std::future::ready(!self.blind.load(Ordering::Relaxed)).boxed()
    }

    fn name(&self) -> String {
        let (service, model) = (self.config.service.name(), &self.config.model);
        format!("{service} {model} at {}", self.host)
    }

    fn model(&self) -> (&'static str, String) {
        let who = match self.config.service {
            Service::Compatible => "openai",
            Service::Groq => "groq",
        };
        (who, self.config.model.clone())
    }
}

impl OpenAi {
    /// Does not connect yet.
    ///
    /// # Errors
    ///
    /// [`LlmError::Setting`] when the address is none, or the key cannot be one.
    pub fn new(config: OpenAiConfig) -> Result<Self, LlmError> {
        let base = base_url(&config)?;
        let mut headers = HeaderMap::new();
        let wrong = |reason: &str| LlmError::Setting {
            key: config.service.key(),
            reason: reason.to_owned(),
        };
        match config.key.0.trim() {
            "" if config.service == Service::Groq => {
                return Err(wrong("it is empty; make a key at console.groq.com"));
            }
            "" => {}
            key => {
                let value = HeaderValue::try_from(format!("Bearer {key}"));
                let mut value =
                    value.map_err(|_| wrong("it holds signs that no key has; copy it anew"))?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
        }
        crate::tls::install();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(config.patience.connect)
            .default_headers(headers)
            // A key meant for one host does not follow to another.
            .redirect(redirect::Policy::none());
        if is_this_machine(&base) {
            // A proxy from the environment cannot reach this machine's own servers.
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|e| LlmError::Model(format!("no HTTP client: {e}")))?;
        Ok(Self {
            client,
            host: shown(&base),
            base,
            habit: Habit::of(&config.model),
            config: Arc::new(config),
            plain: Arc::default(),
            blind: Arc::default(),
        })
    }

    /// The models of this server by name, within [`Patience::list`].
    ///
    /// # Errors
    ///
    /// `Remote` when no such server answers.
    pub async fn models(&self) -> Result<Vec<String>, LlmError> {
        #[derive(Deserialize)]
        struct List {
            data: Vec<Model>,
        }
        #[derive(Deserialize)]
        struct Model {
            id: String,
        }
        let waited = self.config.patience.list;
        let deadline = Instant::now() + waited;
        let ask = async {
            let request = self.client.get(self.at("models")).send();
            let response = request.await.map_err(|e| self.unreachable(&e))?;
            let response = self.accepted(response, deadline).await?;
            let body = bounded_body(response).await;
            serde_json::from_slice::<List>(&body).map_err(|_| self.other_language())
        };
        match timeout_at(deadline, ask).await {
            Ok(list) => Ok(list?.data.into_iter().map(|model| model.id).collect()),
            Err(_) => Err(self.silent(waited)),
        }
    }

    /// Has the server load the model and read `system`, so that the first answer comes as fast as the
    /// later ones; and finds out whether it answers at all.
    ///
    /// # Errors
    ///
    /// As [`Llm::chat`].
    pub async fn warm_up(&self, system: &str) -> Result<(), LlmError> {
        // Some models' templates want a question behind what they are told.
        let messages = [
            Message::System(system.to_owned()),
            Message::User("Hello.".to_owned()),
        ];
        self.read(self.body(&messages, &[], 1)).await
    }

    /// Has `body` answered, for nobody.
    async fn read(&self, body: Value) -> Result<(), LlmError> {
        let mut answer = Box::pin(self.stream(body, self.config.patience.load).await?);
        while let Some(piece) = answer.next().await {
            piece?;
        }
        Ok(())
    }

    async fn answer(
        self,
        request: &ChatRequest,
    ) -> Result<impl stream::Stream<Item = Result<Delta, LlmError>> + use<>, LlmError> {
        let ChatRequest {
            messages,
            tools,
            pictures,
        } = request;
        if pictures.is_empty() {
            return self.written(messages, tools, &[]).await;
        }
        let mut told = true;
        if !self.blind.load(Ordering::Relaxed) {
            let seen = pictures::seen(messages);
            match self.written(&seen, tools, pictures).await {
                // What says nothing of pictures may be a passing fault, or a question that is too long.
                Err(LlmError::Remote { what, .. }) if refuses(&what) => {
                    told = names_pictures(&what)
                }
                answer => return answer,
            }
        }
        let answer = self.written(&pictures::unseen(messages), tools, &[]).await;
        if told && answer.is_ok() && !self.blind.swap(true, Ordering::Relaxed) {
            warn!(
                "the language model {} takes no pictures; one that does can be asked about what POST /screen shows",
                self.config.model
            );
        }
        answer
    }

    async fn written(
        &self,
        messages: &[Message],
        tools: &[Arc<ToolSpec>],
        pictures: &[Picture],
    ) -> Result<impl stream::Stream<Item = Result<Delta, LlmError>> + use<>, LlmError> {
        let (most, patience) = (self.config.max_tokens, self.config.patience.first);
        if !self.plain.load(Ordering::Relaxed) {
            let mut body = self.body(messages, tools, most);
            pictures::into_openai(&mut body, pictures);
            match self.stream(body, patience).await {
                // A server that was started without them.
                Err(LlmError::Remote { what, .. }) if !tools.is_empty() && no_tools(&what) => {
                    warn!(
                        "the language model server at {} takes no tools, and is offered them as text; better, start vLLM with --enable-auto-tool-choice, llama.cpp with --jinja",
                        self.host
                    );
                    self.plain.store(true, Ordering::Relaxed);
                }
                answer => return answer,
            }
        }
        let mut body = self.body(&offer::as_text(messages, tools), &[], most);
        pictures::into_openai(&mut body, pictures);
        self.stream(body, patience).await
    }

    /// The body of `chat/completions`.
    fn body(&self, messages: &[Message], tools: &[Arc<ToolSpec>], max_tokens: u32) -> Value {
        let OpenAiConfig {
            service,
            model,
            temperature,
            ..
        } = &*self.config;
        let mut body = json!({
            "model": model,
            "messages": messages.iter().map(said).collect::<Vec<_>>(),
            "stream": true,
            "stream_options": { "include_usage": true },
            "temperature": temperature,
            "max_tokens": max_tokens,
        });
        if !tools.is_empty() {
            body["tools"] = tools.iter().map(|tool| offered(tool)).collect();
        }
        // Nobody waits for thoughts that are never heard. Other models refuse the word.
        if *service == Service::Groq && model.contains("qwen") {
            body["reasoning_effort"] = "none".into();
        }
        body
    }

    /// Sends `body`; the answer begins with its first bytes, after `first` at most.
    async fn stream(
        &self,
        body: Value,
        first: Duration,
    ) -> Result<impl stream::Stream<Item = Result<Delta, LlmError>> + use<>, LlmError> {
        let deadline = Instant::now() + first;
        let request = self.client.post(self.at("chat/completions"));
        let response = match timeout_at(deadline, request.json(&body).send()).await {
            Ok(response) => response.map_err(|e| self.unreachable(&e))?,
            Err(_) => return Err(self.silent(first)),
        };
        let response = self.accepted(response, deadline).await?;
        let answer = Answer {
            server: self.clone(),
            response,
            decoder: SseDecoder::new(),
            thoughts: ThinkFilter::new(&self.habit),
            first: Some((deadline, first)),
            last: None,
        };
        Ok(stream::try_unfold(Some(answer), |answer| async move {
            match answer {
                Some(answer) => answer.next().await,
                None => Ok(None),
            }
        }))
    }

    fn at(&self, path: &str) -> Url {
        self.base
            .join(path)
            .expect("a relative path joins a base that ends in a slash")
    }

    /// The response, when its status is success and its type is none that a person reads.
    async fn accepted(
        &self,
        response: reqwest::Response,
        deadline: Instant,
    ) -> Result<reqwest::Response, LlmError> {
        let status = response.status();
        let kind = response.headers().get(CONTENT_TYPE);
        let html = kind.is_some_and(|v| v.as_bytes().starts_with(b"text/html"));
        if status.is_success() && !html {
            return Ok(response);
        }
        // A body that hangs says no more than the status.
        let body = timeout_at(deadline, bounded_body(response))
            .await
            .unwrap_or_default();
        Err(self.refused(status, html, &body))
    }

    fn refused(&self, status: StatusCode, html: bool, body: &[u8]) -> LlmError {
        let said = serde_json::from_slice::<Value>(body).ok();
        let reason = said.as_ref().and_then(|said| {
            let plain = ["message", "detail"].map(|key| said.get(key).and_then(Value::as_str));
            sse::reason(said).or_else(|| plain.into_iter().flatten().next().map(str::to_owned))
        });
        let reason = reason.map(|reason| self.bare(&reason));
        let (code, service) = (status.as_u16(), self.config.service);
        match (code, reason) {
            (401 | 403, _) => self.remote(
                format!("wants another key (HTTP {code})"),
                format!("put the key that it knows into {}", service.key()),
            ),
            (404, Some(reason)) if reason.to_lowercase().contains("model") => LlmError::Setting {
                key: service.model(),
                reason: format!(
                    "the language model server at {} does not have the model {:?}; set one that it has (caal doctor lists them)",
                    self.host, self.config.model
                ),
            },
            (300..=399, _) => self.remote(
                format!("sends us elsewhere (HTTP {code})"),
                format!(
                    "set the address ({}) that it redirects to",
                    service.address()
                ),
            ),
            (429 | 503, _) => self.remote(
                format!("is overloaded (HTTP {code})"),
                "wait a moment and try again",
            ),
            (_, Some(reason)) => self.remote(
                format!("reports: {reason} (HTTP {code})"),
                "see its log, and try again",
            ),
            _ if html || code < 500 => self.other_language(),
            _ => self.remote(format!("fails (HTTP {code})"), "see its log, and try again"),
        }
    }

    /// What a server says, on one line, and without the key that it may repeat.
    fn bare(&self, reason: &str) -> String {
        let key = self.config.key.0.trim();
        match key {
            "" => one_line(reason),
            key => one_line(&reason.replace(key, "…")),
        }
    }

    fn remote(&self, what: String, hint: impl Into<String>) -> LlmError {
        LlmError::Remote {
            host: self.host.clone(),
            what,
            hint: hint.into(),
        }
    }

    fn other_language(&self) -> LlmError {
        self.remote(
            "does not speak OpenAI's language".to_owned(),
            format!(
                "check the address ({}); most end in /v1",
                self.config.service.address()
            ),
        )
    }

    fn silent(&self, waited: Duration) -> LlmError {
        self.remote(
            format!("gave no answer in {}", seconds(waited)),
            "see whether it is still loading the model, or try a smaller model",
        )
    }

    /// A request that got no response. Nothing of the error's own text is shown: it holds the URL.
    fn unreachable(&self, error: &reqwest::Error) -> LlmError {
        let setting = self.config.service.address();
        let start = match self.config.service {
            Service::Compatible => format!("start it, or set its address ({setting})"),
            Service::Groq => "check this machine's connection to the internet".to_owned(),
        };
        if !error.is_connect() {
            // It took the connection and then did not answer in HTTP.
            return self.remote(
                "broke off before it answered".to_owned(),
                format!("see its log, and check the address ({setting})"),
            );
        }
        if error.is_timeout() {
            let waited = seconds(self.config.patience.connect);
            return self.remote(format!("cannot be reached in {waited}"), start);
        }
        let mut cause = error.source();
        while let Some(source) = cause {
            match source.downcast_ref().map(std::io::Error::kind) {
                Some(std::io::ErrorKind::ConnectionRefused) => {
                    return self.remote("does not answer".to_owned(), start);
                }
                Some(std::io::ErrorKind::InvalidData) => {
                    return self.remote(
                        "makes no secure connection".to_owned(),
                        format!(
                            "check its certificate, or whether the address ({setting}) should begin with http:"
                        ),
                    );
                }
                _ if source.to_string().contains("dns error") => {
                    return self.remote("cannot be found".to_owned(), start);
                }
                _ => {}
            }
            cause = source.source();
        }
        self.remote("cannot be reached".to_owned(), start)
    }
}

/// A message, as it is sent.
fn said(message: &Message) -> Value {
    match message {
        Message::System(text) => json!({ "role": "system", "content": text }),
        Message::User(text) => json!({ "role": "user", "content": text }),
        Message::Assistant(text) => json!({ "role": "assistant", "content": text }),
        Message::Calls { text, calls } => json!({
            "role": "assistant",
            "content": text,
            "tool_calls": calls.iter().map(called).collect::<Vec<_>>(),
        }),
        Message::Result { id, content, .. } => {
            json!({ "role": "tool", "tool_call_id": id, "content": content })
        }
    }
}

/// A call that was made. Its arguments are a text that holds an object.
fn called(call: &ToolCall) -> Value {
    let arguments = match &call.arguments {
        object @ Value::Object(_) => object.to_string(),
        _ => "{}".to_owned(),
    };
    json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": arguments },
    })
}

/// A tool, as it is offered.
fn offered(tool: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    })
}

/// Whether a refusal says that tools cannot be had: of vLLM, llama.cpp, Ollama.
fn no_tools(what: &str) -> bool {
    let known = ["tool choice requires", "--jinja", "does not support tools"];
    known.iter().any(|words| what.contains(words))
}

/// Whether a refusal of a question with a picture may be for the picture's sake.
fn refuses(what: &str) -> bool {
    let may = [400, 415, 422, 500, 501];
    may.iter()
        .any(|code| what.ends_with(&format!("(HTTP {code})")))
}

/// Whether it says so.
fn names_pictures(what: &str) -> bool {
    let what = what.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| what.contains(word));
    let pictures = any(&[
        "image",
        "vision",
        "multimodal",
        "multi-modal",
        "content type",
        "must be a string",
    ]);
    // What is wrong with this one picture may be right with the next.
    let this_one = any(&[
        "decod",
        "too large",
        "too big",
        "too many",
        "exceed",
        "corrupt",
        "download",
        "fetch",
        "format",
        "dimension",
        "resolution",
        "failed to load",
        "failed to process",
    ]);
    pictures && !this_one
}

/// An answer on its way.
struct Answer {
    server: OpenAi,
    response: reqwest::Response,
    decoder: SseDecoder,
    thoughts: ThinkFilter,
    /// Until when and how long the first piece is waited for; after it each has [`Patience::next`].
    first: Option<(Instant, Duration)>,
    /// What was read and comes after the text that was held back.
    last: Option<Event>,
}

impl Answer {
    /// The next piece, with what gives the one after it.
    async fn next(mut self) -> Result<Option<(Delta, Option<Self>)>, LlmError> {
        loop {
            let event = match self.last.take() {
                Some(event) => Some(Ok(event)),
                None => self.decoder.next(),
            };
            match event.transpose().map_err(|e| self.broken(e))? {
                None => self.read().await?,
                Some(Event::Apart) => {
                    let text = self.thoughts.apart();
                    if !text.is_empty() {
                        return Ok(Some((Delta::Text(text), Some(self))));
                    }
                }
                Some(Event::Text(piece)) => {
                    let text = self.thoughts.push(&piece);
                    if !text.is_empty() {
                        return Ok(Some((Delta::Text(text), Some(self))));
                    }
                }
                Some(event) => {
                    let end = match event {
                        Event::Call(_) => End::Cut,
                        _ => self.decoder.end(),
                    };
                    let text = self.thoughts.finish(end);
                    if !text.is_empty() {
                        self.last = Some(event);
                        return Ok(Some((Delta::Text(text), Some(self))));
                    }
                    if let Event::Call(call) = event {
                        return Ok(Some((Delta::Call(call), Some(self))));
                    }
                    let Event::Done(usage) = event else { continue };
                    debug!(?usage, "answer complete");
                    return Ok(cost(usage).map(|cost| (Delta::Usage(cost), None)));
                }
            }
        }
    }

    async fn read(&mut self) -> Result<(), LlmError> {
        let next = self.server.config.patience.next;
        let chunk = self.response.chunk();
        let chunk = match self.first {
            Some((deadline, _)) => timeout_at(deadline, chunk).await,
            None => timeout(next, chunk).await,
        };
        match (chunk, self.first) {
            (Ok(Ok(Some(bytes))), _) => {
                self.first = None;
                self.decoder.push(&bytes);
            }
            // A connection that breaks and one that ends too soon are the same to the listener.
            (Ok(Ok(None) | Err(_)), _) => self.decoder.finish(),
            // It said all and keeps the line open.
            (Err(_), None) if self.decoder.answered() => self.decoder.finish(),
            (Err(_), Some((_, waited))) => return Err(self.server.silent(waited)),
            (Err(_), None) => {
                let what = format!("fell silent within its answer for {}", seconds(next));
                return Err(self.server.remote(what, "see its log, and try again"));
            }
        }
        Ok(())
    }

    fn broken(&self, error: StreamError) -> LlmError {
        match error {
            StreamError::Cut => self.server.remote(
                "broke off within its answer".to_owned(),
                "see its log, and try again",
            ),
            StreamError::Failed(reason) => self.server.remote(
                format!("reports: {}", self.server.bare(&reason)),
                "see its log, and try again",
            ),
            StreamError::Garbage | StreamError::LineTooLong => self.server.other_language(),
        }
    }
}

/// What an answer cost, where the server says both.
fn cost(usage: super::stream::Usage) -> Option<Usage> {
    let count = |tokens: Option<u64>| u32::try_from(tokens?).ok();
    Some(Usage {
        input: count(usage.prompt_tokens)?,
        output: count(usage.answer_tokens)?,
    })
}

/// A body, of which 4 MiB are enough: the longest wanted is a list of models.
async fn bounded_body(mut response: reqwest::Response) -> Vec<u8> {
    const MAX: usize = 4 << 20;
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > MAX {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    body
}

/// The address with a path that ends in a slash, so that `models` can be joined.
fn base_url(config: &OpenAiConfig) -> Result<Url, LlmError> {
    let wrong = |what: &str| LlmError::Setting {
        key: config.service.address(),
        reason: format!("it is {what}; one looks like http://localhost:8000/v1"),
    };
    if config.url.trim().is_empty() {
        return Err(wrong("empty, and the server's address is needed"));
    }
    let mut base = Url::parse(config.url.trim()).map_err(|_| wrong("no address"))?;
    // `localhost:8000` parses, as a path under the scheme `localhost`.
    if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
        return Err(wrong("no address"));
    }
    base.set_query(None);
    base.set_fragment(None);
    let path = match base.path().trim_end_matches('/') {
        "" => "/v1/".to_owned(),
        path => format!("{path}/"),
    };
    base.set_path(&path);
    Ok(base)
}

/// The address for people: without credentials and the last slash.
fn shown(base: &Url) -> String {
    let mut url = base.clone();
    // These fail only for addresses without a host, which `base_url` refuses.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.as_str().trim_end_matches('/').to_owned()
}

fn is_this_machine(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|ip| ip.is_loopback())
}

/// The first words of what a server says about itself, on one line.
fn one_line(text: &str) -> String {
    const MAX: usize = 200;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words.chars().filter(|c| !c.is_control()).collect();
    match words.char_indices().nth(MAX) {
        Some((end, _)) => format!("{} …", &words[..end]),
        None => words,
    }
}

fn seconds(d: Duration) -> String {
    format!("{:.0} s", d.as_secs_f64().max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> OpenAiConfig {
        OpenAiConfig::new(Service::Compatible, url)
    }

    #[test]
    fn addresses_of_all_shapes_lead_to_the_api() {
        for (url, chat) in [
            ("http://h:1", "http://h:1/v1/chat/completions"),
            (" http://h:1/ ", "http://h:1/v1/chat/completions"),
            ("http://h:1/v1", "http://h:1/v1/chat/completions"),
            (GROQ_URL, "https://api.groq.com/openai/v1/chat/completions"),
            ("http://h/a/v1/?x=1#y", "http://h/a/v1/chat/completions"),
        ] {
            let server = OpenAi::new(config(url)).expect("an address");
            assert_eq!(server.at("chat/completions").as_str(), chat);
        }
    }

    #[test]
    fn what_is_no_address_or_no_key_is_a_wrong_setting_and_not_repeated() {
        for url in ["", "localhost:1", "u:secret@h", "ftp://h", "/v1"] {
            let error = OpenAi::new(config(url)).expect_err(url).to_string();
            assert!(error.contains("openai_base_url"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let key = |service, key: &str| {
            let mut config = OpenAiConfig::new(service, GROQ_URL);
            config.key = Pii(key.to_owned());
            OpenAi::new(config)
        };
        let error = key(Service::Groq, " ").expect_err("no key").to_string();
        assert!(error.contains("groq_api_key"), "{error}");
        let error = key(Service::Compatible, "secret\nx").expect_err("no key");
        let error = error.to_string();
        assert!(error.contains("openai_api_key") && !error.contains("secret"));
        let server = key(Service::Groq, "secret").expect("a key");
        assert!(!format!("{server:?} {:?} {}", server.config, server.name()).contains("secret"));
    }

    #[test]
    fn a_qwen_at_groq_is_told_not_to_think_and_nobody_else_is() {
        for (service, model, told) in [
            (Service::Groq, "qwen/qwen3-32b", true),
            (Service::Groq, "llama-3.3-70b-versatile", false),
            (Service::Compatible, "qwen3", false),
        ] {
            let mut config = OpenAiConfig::new(service, GROQ_URL);
            config.key = Pii("k".to_owned());
            config.model = model.to_owned();
            let body = OpenAi::new(config).expect("right").body(&[], &[], 1);
            let effort = told.then_some(json!("none"));
            assert_eq!(body.get("reasoning_effort"), effort.as_ref(), "{model}");
        }
    }
}
