//! Ollama, over HTTP: `POST /api/chat` streamed, `GET /api/tags`. Requests are `ollama-rs` types; the
//! answer's stream is read by [`super::stream`], which says why.
//!
//! Ollama sends its response head together with the first piece of the answer, so a model that is
//! still being loaded looks like a server that hangs. Several patiences tell the cases apart:
//! [`Patience`].

use std::{
    collections::VecDeque,
    error::Error as _,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{
    FutureExt as _, StreamExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use ollama_rs::{
    generation::{
        chat::{ChatMessage, request::ChatMessageRequest},
        parameters::{KeepAlive, TimeUnit},
    },
    models::ModelOptions,
};
use reqwest::{StatusCode, Url, redirect};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{debug, warn};

use super::{
    ChatRequest, Delta, Llm, LlmError, Message, ToolCall, ToolSpec, Usage,
    calls::{CallFilter, offer},
    pictures,
    stream::{ChatDecoder, ChatEvent, StreamError},
    thoughts::{End, Habit, ThinkFilter},
};

/// How to reach Ollama and what to ask of it.
#[derive(Clone, PartialEq)]
pub struct OllamaConfig {
    /// `http://host:11434`; a path before `/api` and `user:password@` are allowed.
    pub url: String,
    /// `qwen3:8b`; without a tag `latest` is meant.
    pub model: String,
    /// Tokens of context that Ollama keeps for this model. A change makes it load the model anew.
    pub num_ctx: u32,
    /// How long the model stays loaded after an answer; `None`: for ever.
    pub keep_alive: Option<Duration>,
    /// Whether a model that can think may do so before it answers. Thoughts are never spoken, only
    /// waited for.
    pub think: bool,
    /// 0.0 (always the likeliest word) to 2.0.
    pub temperature: f32,
    /// The longest answer, thoughts included. Ollama has no bound of its own: a small model that
    /// repeats itself would never end.
    pub max_tokens: u32,
    /// How long to wait for what.
    pub patience: Patience,
}

impl Default for OllamaConfig {
    /// CAAL's defaults.
    fn default() -> Self {
        Self {
            url: "http://localhost:11434".to_owned(),
            model: "ministral-3:8b".to_owned(),
            num_ctx: 8192,
            keep_alive: None,
            think: false,
            temperature: 0.7,
            max_tokens: 1024,
            patience: Patience::default(),
        }
    }
}

impl fmt::Debug for OllamaConfig {
    /// Without the address, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OllamaConfig")
            .field("model", &self.model)
            .field("num_ctx", &self.num_ctx)
            .finish_non_exhaustive()
    }
}

/// How long to wait for a server before its silence is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the first piece of an answer; a large model is loaded meanwhile. Less than
    /// `TurnConfig::think_limit`, so that the user hears of a silent server what this module knows
    /// about it (a test holds them together).
    pub first: Duration,
    /// For the answer to a warm-up, for which nobody waits: the largest model on the slowest disk.
    pub load: Duration,
    /// For each next piece.
    pub next: Duration,
    /// For the list of models, from start to end: it is asked for while a person waits.
    pub list: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            first: Duration::from_secs(80),
            load: Duration::from_secs(300),
            next: Duration::from_secs(30),
            list: Duration::from_secs(2),
        }
    }
}

/// A model that a server has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ModelInfo {
    /// With its tag: `qwen3:8b`.
    pub name: String,
    /// On disk.
    #[serde(default, rename = "size")]
    pub bytes: u64,
}

impl ModelInfo {
    /// Whether this is what a user means by `wanted`: without a tag, `latest`.
    pub fn is(&self, wanted: &str) -> bool {
        self.name == wanted || self.name.strip_suffix(":latest") == Some(wanted)
    }
}

/// The [`Llm`] that asks an Ollama server. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Ollama {
    client: reqwest::Client,
    config: Arc<OllamaConfig>,
    base: Url,
    /// For people: without credentials.
    host: String,
    /// The model has refused tools.
    plain: Arc<AtomicBool>,
    /// The model sees pictures, once that was asked.
    sees: Arc<OnceLock<bool>>,
    /// How its answers begin. Ollama itself takes thoughts out, where it knows the model's template.
    habit: Habit,
}

impl fmt::Debug for Ollama {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ollama({} at {})", self.config.model, self.host)
    }
}

impl Llm for Ollama {
    fn chat(&self, request: ChatRequest) -> BoxStream<'static, Result<Delta, LlmError>> {
        let ollama = self.clone();
        stream::once(async move { ollama.answer(&request).await })
            .try_flatten()
            .boxed()
    }

    fn warm(&self, request: ChatRequest) -> BoxFuture<'static, Result<(), LlmError>> {
        let ollama = self.clone();
        async move {
            let ChatRequest {
                messages, tools, ..
            } = &request;
            let body = match ollama.plain.load(Ordering::Relaxed) {
                true => ollama.chat_body(&offer::as_text(messages, tools), &[], 1),
                false => ollama.chat_body(messages, tools, 1),
            };
            ollama.read(body).await
        }
        .boxed()
    }

    fn sees(&self) -> BoxFuture<'static, bool> {
        let ollama = self.clone();
        async move { ollama.looks().await }.boxed()
    }

    fn name(&self) -> String {
        format!("Ollama {} at {}", self.config.model, self.host)
    }

    fn model(&self) -> (&'static str, String) {
        ("ollama", self.config.model.clone())
    }
}

impl Ollama {
    /// Does not connect yet.
    ///
    /// # Errors
    ///
    /// [`LlmError::Setting`] when the address is none or the model has no name.
    pub fn new(config: OllamaConfig) -> Result<Self, LlmError> {
        let base = base_url(&config.url)?;
        if config.model.trim().is_empty() {
            return Err(LlmError::Setting {
                key: "ollama_model",
                reason: "it is empty; give a model's name such as qwen3:4b".to_owned(),
            });
        }
        crate::tls::install();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(config.patience.connect)
            // An Ollama never redirects; following would turn the POST into a GET.
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
            config: Arc::new(config),
            plain: Arc::default(),
            sees: Arc::default(),
            habit: Habit::default(),
        })
    }

    /// The models of the server at `url`, after at most 2 s: for `doctor`, and to see who can answer.
    ///
    /// # Errors
    ///
    /// `Setting` when `url` is none, `Remote` when no Ollama answers there.
    pub async fn probe(url: &str) -> Result<Vec<ModelInfo>, LlmError> {
        let config = OllamaConfig {
            url: url.to_owned(),
            ..OllamaConfig::default()
        };
        Self::new(config)?.models().await
    }

    /// The models of this server, within [`Patience::list`].
    ///
    /// # Errors
    ///
    /// `Remote` when no Ollama answers.
    pub async fn models(&self) -> Result<Vec<ModelInfo>, LlmError> {
        #[derive(Deserialize)]
        struct Tags {
            models: Vec<ModelInfo>,
        }
        let deadline = Instant::now() + self.config.patience.list;
        let ask = async {
            let request = self.client.get(self.at("api/tags")).send();
            let response = request.await.map_err(|e| self.unreachable(&e))?;
            let response = self.accepted(response, deadline).await?;
            let body = bounded_body(response).await;
            serde_json::from_slice::<Tags>(&body).map_err(|_| self.not_ollama())
        };
        match timeout_at(deadline, ask).await {
            Ok(tags) => Ok(tags?.models),
            Err(_) => Err(self.silent(self.config.patience.list)),
        }
    }

    /// Has the server load the model, and evaluate `system` where there is one, so that the first
    /// answer comes as fast as the later ones.
    ///
    /// # Errors
    ///
    /// As [`Llm::chat`].
    pub async fn warm_up(&self, system: Option<&str>) -> Result<(), LlmError> {
        let messages: Vec<Message> = system
            .map(|text| Message::System(text.to_owned()))
            .into_iter()
            .collect();
        // Without a message Ollama loads the model and says nothing; with one, one token.
        self.read(self.chat_body(&messages, &[], 1)).await
    }

    /// Has `body` answered, for nobody.
    async fn read(&self, body: serde_json::Value) -> Result<(), LlmError> {
        let mut answer = Box::pin(
            self.stream(body, self.config.patience.load, CallFilter::new(&[]))
                .await?,
        );
        while let Some(piece) = answer.next().await {
            piece?;
        }
        Ok(())
    }

    async fn answer(
        self,
        request: &ChatRequest,
    ) -> Result<impl stream::Stream<Item = Result<Delta, LlmError>> + use<>, LlmError> {
        let (most, patience) = (self.config.max_tokens, self.config.patience.first);
        let ChatRequest {
            messages,
            tools,
            pictures,
        } = request;
        let sees = !pictures.is_empty() && self.looks().await;
        let (messages, pictures) = match (pictures.is_empty(), sees) {
            (true, _) => (messages, &pictures[..]),
            (_, true) => (&pictures::seen(messages), &pictures[..]),
            (_, false) => (&pictures::unseen(messages), &[][..]),
        };
        // Models write calls as text also where tools are offered otherwise.
        let calls = || CallFilter::new(tools);
        if !self.plain.load(Ordering::Relaxed) {
            let mut body = self.chat_body(messages, tools, most);
            pictures::into_ollama(&mut body, pictures);
            match self.stream(body, patience, calls()).await {
                // A model whose template knows no tools.
                Err(LlmError::Remote { what, .. }) if !tools.is_empty() && no_tools(&what) => {
                    warn!(
                        "the model {} cannot call tools and is offered them as text; one made for them does \
                         better, such as qwen3:4b",
                        self.config.model
                    );
                    self.plain.store(true, Ordering::Relaxed);
                }
                answer => return answer,
            }
        }
        let mut body = self.chat_body(&offer::as_text(messages, tools), &[], most);
        pictures::into_ollama(&mut body, pictures);
        self.stream(body, patience, calls()).await
    }

    /// Whether the model sees pictures, as the server says within [`Patience::list`]; while it does not say,
    /// no.
    async fn looks(&self) -> bool {
        #[derive(Deserialize)]
        struct Abilities {
            #[serde(default)]
            capabilities: Vec<String>,
        }
        if let Some(sees) = self.sees.get() {
            return *sees;
        }
        let deadline = Instant::now() + self.config.patience.list;
        let ask = async {
            let asked = serde_json::json!({ "model": self.config.model });
            let request = self.client.post(self.at("api/show")).json(&asked).send();
            let response = request.await.map_err(|e| self.unreachable(&e))?;
            let response = self.accepted(response, deadline).await?;
            let body = bounded_body(response).await;
            serde_json::from_slice::<Abilities>(&body).map_err(|_| self.not_ollama())
        };
        let Ok(Ok(Abilities { capabilities })) = timeout_at(deadline, ask).await else {
            return false;
        };
        let sees = capabilities.iter().any(|ability| ability == "vision");
        *self.sees.get_or_init(|| sees)
    }

    /// The body of `/api/chat`.
    fn chat_body(
        &self,
        messages: &[Message],
        tools: &[Arc<ToolSpec>],
        max_tokens: u32,
    ) -> serde_json::Value {
        let OllamaConfig {
            model,
            num_ctx,
            keep_alive,
            think,
            temperature,
            ..
        } = &*self.config;
        let said = messages
            .iter()
            .map(|message| match message {
                Message::System(text) => ChatMessage::system(text.clone()),
                Message::User(text) => ChatMessage::user(text.clone()),
                Message::Assistant(text) | Message::Calls { text, .. } => {
                    ChatMessage::assistant(text.clone())
                }
                Message::Result { content, .. } => ChatMessage::tool(content.clone()),
            })
            .collect();
        let options = ModelOptions::default()
            .num_ctx(u64::from(*num_ctx))
            .num_predict(i32::try_from(max_tokens).unwrap_or(i32::MAX))
            .temperature(*temperature);
        let keep_alive = keep_alive.map_or(KeepAlive::Indefinitely, |time| KeepAlive::Until {
            time: time.as_secs(),
            unit: TimeUnit::Seconds,
        });
        let request = ChatMessageRequest::new(model.clone(), said)
            .options(options)
            .keep_alive(keep_alive)
            .think(*think);
        let mut body = serde_json::to_value(request).expect("a request is plain data");
        // ollama-rs keeps this field to itself and sets it in the call that we do not use.
        body["stream"] = true.into();
        // Nor has it names of results, and its calls are written otherwise.
        for (sent, message) in body["messages"]
            .as_array_mut()
            .into_iter()
            .flatten()
            .zip(messages)
        {
            match message {
                Message::Calls { calls, .. } => {
                    sent["tool_calls"] = calls.iter().map(called).collect()
                }
                Message::Result { name, .. } => sent["tool_name"] = name.as_str().into(),
                _ => {}
            }
        }
        if !tools.is_empty() {
            body["tools"] = tools.iter().map(|tool| offered(tool)).collect();
        }
        body
    }

    /// Sends `body`; the answer begins with its first bytes, after `first` at most.
    async fn stream(
        &self,
        body: serde_json::Value,
        first: Duration,
        written: CallFilter,
    ) -> Result<impl stream::Stream<Item = Result<Delta, LlmError>> + use<>, LlmError> {
        let deadline = Instant::now() + first;
        let request = self.client.post(self.at("api/chat")).json(&body).send();
        let response = match timeout_at(deadline, request).await {
            Ok(response) => response.map_err(|e| self.unreachable(&e))?,
            Err(_) => return Err(self.silent(first)),
        };
        let response = self.accepted(response, deadline).await?;
        let answer = Answer {
            ollama: self.clone(),
            response,
            decoder: ChatDecoder::new(),
            thoughts: ThinkFilter::new(&self.habit),
            written,
            calls: 0,
            first: Some((deadline, first)),
            ready: VecDeque::new(),
            done: false,
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
        let html = response
            .headers()
            .get(reqwest::header::CONTENT_TYPE)
            .is_some_and(|v| v.as_bytes().starts_with(b"text/html"));
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
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
        }
        let reason = serde_json::from_slice::<Refusal>(body)
            .map(|refusal| one_line(&refusal.error))
            .ok();
        let code = status.as_u16();
        match (code, reason) {
            (404, Some(reason)) if reason.contains("model") => LlmError::NoModel {
                host: self.host.clone(),
                model: self.config.model.clone(),
                hint: format!("ollama pull {}", self.config.model),
            },
            (401 | 403, _) => self.remote(
                format!("wants a login (HTTP {code})"),
                "put it into the address (ollama_host): http://user:password@host:port",
            ),
            (300..=399, _) => self.remote(
                format!("sends us elsewhere (HTTP {code})"),
                "set the address (ollama_host) that it redirects to",
            ),
            (429 | 503, _) => self.remote(
                format!("is overloaded (HTTP {code})"),
                "wait a moment and try again",
            ),
            (_, Some(reason)) => self.remote(
                format!("reports: {reason} (HTTP {code})"),
                "see its log, and try again",
            ),
            _ if html || code < 500 => self.not_ollama(),
            _ => self.remote(format!("fails (HTTP {code})"), "see its log, and try again"),
        }
    }

    fn remote(&self, what: String, hint: &str) -> LlmError {
        LlmError::Remote {
            host: self.host.clone(),
            what,
            hint: hint.to_owned(),
        }
    }

    fn not_ollama(&self) -> LlmError {
        self.remote(
            "does not speak Ollama's language".to_owned(),
            "check that the address (ollama_host) is Ollama's, which is usually port 11434",
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
        const START: &str = "start it with: ollama serve (or set ollama_host)";
        if error.is_connect() {
            if error.is_timeout() {
                let waited = seconds(self.config.patience.connect);
                return self.remote(format!("cannot be reached in {waited}"), START);
            }
            let mut cause = error.source();
            while let Some(source) = cause {
                if let Some(io) = source.downcast_ref::<std::io::Error>() {
                    match io.kind() {
                        std::io::ErrorKind::ConnectionRefused => {
                            return self.remote("does not answer".to_owned(), START);
                        }
                        std::io::ErrorKind::InvalidData => {
                            return self.remote(
                                "makes no secure connection".to_owned(),
                                "check its certificate, or whether the address (ollama_host) \
                                 should begin with http:",
                            );
                        }
                        _ => {}
                    }
                }
                if source.to_string().contains("dns error") {
                    return self.remote(
                        "cannot be found".to_owned(),
                        "check its name in the address (ollama_host)",
                    );
                }
                cause = source.source();
            }
            return self.remote("cannot be reached".to_owned(), START);
        }
        // It took the connection and then did not answer in HTTP.
        self.remote(
            "broke off before it answered".to_owned(),
            "see its log, and check the address (ollama_host)",
        )
    }
}

/// A tool, as it is offered.
fn offered(tool: &ToolSpec) -> serde_json::Value {
    json!({
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    })
}

/// A call that was made. Its arguments are an object for Ollama.
fn called(call: &ToolCall) -> serde_json::Value {
    let arguments = match &call.arguments {
        object @ serde_json::Value::Object(_) => object.clone(),
        _ => json!({}),
    };
    json!({ "function": { "name": call.name, "arguments": arguments } })
}

/// Whether a refusal says that the model knows no tools.
fn no_tools(what: &str) -> bool {
    what.contains("does not support tools")
}

/// What an answer cost, where the server says both.
fn cost(usage: super::stream::Usage) -> Option<Usage> {
    let count = |tokens: Option<u64>| u32::try_from(tokens?).ok();
    Some(Usage {
        input: count(usage.prompt_tokens)?,
        output: count(usage.answer_tokens)?,
    })
}

/// An answer on its way.
struct Answer {
    ollama: Ollama,
    response: reqwest::Response,
    decoder: ChatDecoder,
    thoughts: ThinkFilter,
    /// Finds calls in the text.
    written: CallFilter,
    /// Calls so far that are none in the text.
    calls: usize,
    /// Until when and how long the first piece is waited for; after it each has [`Patience::next`].
    first: Option<(Instant, Duration)>,
    /// Still to be told.
    ready: VecDeque<Delta>,
    /// The answer is complete.
    done: bool,
}

impl Answer {
    /// The next piece, with what gives the one after it.
    async fn next(mut self) -> Result<Option<(Delta, Option<Self>)>, LlmError> {
        loop {
            if let Some(delta) = self.ready.pop_front() {
                return Ok(Some((delta, Some(self))));
            }
            if self.done {
                return Ok(None);
            }
            match self.decoder.next() {
                Some(event) => {
                    let event = event.map_err(|e| self.broken(e))?;
                    self.take(event);
                }
                None => self.read().await?,
            }
        }
    }

    fn take(&mut self, event: ChatEvent) {
        match event {
            ChatEvent::Text(piece) => {
                let text = self.thoughts.push(&piece);
                self.ready.extend(self.written.push(&text));
            }
            ChatEvent::Call { name, arguments } => {
                self.calls += 1;
                self.ready.push_back(Delta::Call(ToolCall {
                    id: format!("call_{}", self.calls),
                    name,
                    arguments,
                }));
            }
            ChatEvent::Done(usage) => {
                debug!(?usage, "answer complete");
                let end = match self.calls {
                    0 => self.decoder.end(),
                    _ => End::Cut,
                };
                let text = self.thoughts.finish(end);
                self.ready.extend(self.written.push(&text));
                self.ready.extend(self.written.finish());
                self.ready.extend(cost(usage).map(Delta::Usage));
                self.done = true;
            }
        }
    }

    async fn read(&mut self) -> Result<(), LlmError> {
        let next = self.ollama.config.patience.next;
        let chunk = self.response.chunk();
        let chunk = match self.first {
            Some((deadline, _)) => timeout_at(deadline, chunk).await,
            None => timeout(next, chunk).await,
        };
        match chunk {
            Ok(Ok(Some(bytes))) => {
                self.first = None;
                self.decoder.push(&bytes);
            }
            // A connection that breaks and one that ends too soon are the same to the listener.
            Ok(Ok(None) | Err(_)) => self.decoder.finish(),
            Err(_) => {
                if let Some((_, waited)) = self.first {
                    return Err(self.ollama.silent(waited));
                }
                let what = format!("fell silent within its answer for {}", seconds(next));
                return Err(self.ollama.remote(what, "see its log, and try again"));
            }
        }
        Ok(())
    }

    fn broken(&self, error: StreamError) -> LlmError {
        match error {
            StreamError::Cut => self.ollama.remote(
                "broke off within its answer".to_owned(),
                "see its log, and try again",
            ),
            StreamError::Failed(reason) => self.ollama.remote(
                format!("reports: {}", one_line(&reason)),
                "see its log, and try again",
            ),
            StreamError::Garbage | StreamError::LineTooLong => self.ollama.not_ollama(),
        }
    }
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

/// The address with a path that ends in a slash, so that `api/chat` can be joined.
fn base_url(url: &str) -> Result<Url, LlmError> {
    let wrong = |reason: &str| LlmError::Setting {
        key: "ollama_host",
        reason: reason.to_owned(),
    };
    const EXAMPLE: &str = "it is no address; one looks like http://localhost:11434";
    let mut base = Url::parse(url.trim()).map_err(|_| wrong(EXAMPLE))?;
    // `localhost:11434` parses, as a path under the scheme `localhost`.
    if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
        return Err(wrong(EXAMPLE));
    }
    base.set_query(None);
    base.set_fragment(None);
    if !base.path().ends_with('/') {
        let path = format!("{}/", base.path());
        base.set_path(&path);
    }
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

    fn ollama(url: &str) -> Ollama {
        let config = OllamaConfig {
            url: url.to_owned(),
            ..OllamaConfig::default()
        };
        Ollama::new(config).expect("an address")
    }

    #[test]
    fn the_request_is_what_ollama_expects() {
        let config = OllamaConfig {
            model: "qwen3:4b".to_owned(),
            num_ctx: 4096,
            keep_alive: Some(Duration::from_secs(1800)),
            temperature: 0.5,
            ..OllamaConfig::default()
        };
        let ollama = Ollama::new(config).expect("an address");
        let messages = [
            Message::System("s".to_owned()),
            Message::User("u".to_owned()),
            Message::Assistant("a".to_owned()),
        ];
        let lamp = ToolSpec {
            name: "lamp".to_owned(),
            description: "A lamp.".to_owned(),
            parameters: json!({"type": "object"}),
        };
        let call = ToolCall {
            id: "1".to_owned(),
            name: "lamp".to_owned(),
            arguments: json!({"on": true}),
        };
        let acted = [
            Message::Calls {
                text: "So.".to_owned(),
                calls: vec![call],
            },
            Message::Result {
                id: "1".to_owned(),
                name: "lamp".to_owned(),
                content: "On.".to_owned(),
            },
        ];
        let body = ollama.chat_body(&acted, &[Arc::new(lamp)], 64);
        assert_eq!(
            body["messages"],
            json!([
                {"role": "assistant", "content": "So.",
                 "tool_calls": [{"function": {"name": "lamp", "arguments": {"on": true}}}],
                 "thinking": null},
                {"role": "tool", "content": "On.", "tool_name": "lamp", "tool_calls": [], "thinking": null},
            ])
        );
        assert_eq!(
            body["tools"],
            json!([{"type": "function", "function": {
                "name": "lamp", "description": "A lamp.", "parameters": {"type": "object"},
            }}])
        );
        let body = ollama.chat_body(&messages, &[], 64);
        assert_eq!(body.get("tools"), None);
        assert_eq!(body["model"], "qwen3:4b");
        assert_eq!(body["stream"], true);
        assert_eq!(body["think"], false);
        assert_eq!(body["keep_alive"], "1800s");
        let options = serde_json::json!({"num_ctx": 4096, "num_predict": 64, "temperature": 0.5});
        assert_eq!(body["options"], options);
        let roles: Vec<_> = (0..3)
            .map(|i| body["messages"][i]["role"].clone())
            .collect();
        assert_eq!(roles, ["system", "user", "assistant"]);
        assert_eq!(body["messages"][1]["content"], "u");
        let forever = super::tests::ollama("http://x").chat_body(&[], &[], 1);
        assert_eq!(forever["keep_alive"], -1);
        assert_eq!(forever["options"]["num_predict"], 1);
    }

    #[test]
    fn addresses_of_all_shapes_lead_to_the_api() {
        for (url, chat, host) in [
            ("http://h:1", "http://h:1/api/chat", "http://h:1"),
            ("http://h:1/", "http://h:1/api/chat", "http://h:1"),
            (
                "https://h/ollama",
                "https://h/ollama/api/chat",
                "https://h/ollama",
            ),
            (" http://h/a/?x=1#y ", "http://h/a/api/chat", "http://h/a"),
            (
                "http://u:secret@h",
                "http://u:secret@h/api/chat",
                "http://h",
            ),
            (
                "http://[::1]:11434",
                "http://[::1]:11434/api/chat",
                "http://[::1]:11434",
            ),
        ] {
            let ollama = ollama(url);
            assert_eq!(ollama.at("api/chat").as_str(), chat);
            assert_eq!(ollama.host, host);
            assert!(!format!("{ollama:?} {}", ollama.name()).contains("secret"));
        }
    }

    #[test]
    fn what_is_no_address_is_a_wrong_setting_and_not_repeated() {
        for url in [
            "",
            "localhost:11434",
            "u:secret@h",
            "ftp://h",
            "http://",
            "/api",
        ] {
            let config = OllamaConfig {
                url: url.to_owned(),
                ..OllamaConfig::default()
            };
            let error = Ollama::new(config).expect_err(url);
            assert_eq!(error.fault(), crate::fault::Fault::Request);
            assert!(error.to_string().contains("ollama_host"), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_model_without_a_tag_is_the_latest() {
        let info = |name: &str| ModelInfo {
            name: name.to_owned(),
            bytes: 0,
        };
        assert!(info("qwen3:latest").is("qwen3"));
        assert!(info("qwen3:latest").is("qwen3:latest"));
        assert!(info("qwen3:4b").is("qwen3:4b"));
        assert!(!info("qwen3:4b").is("qwen3"));
        assert!(!info("qwen3:4b").is("qwen3:8b"));
    }

    #[test]
    fn a_servers_long_story_becomes_a_short_line() {
        assert_eq!(one_line("a\n\tb\u{1b}[0m c"), "a b[0m c");
        assert_eq!(one_line(&"é".repeat(1000)).chars().count(), 202);
    }
}
