//! One server: its connection, which is made anew whenever it is lost, and who calls over it.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, FusedFuture as _},
};
use rmcp::{
    ClientHandler, RoleClient, ServiceError, ServiceExt as _,
    model::{CallToolRequestParams, CallToolResponse, PaginatedRequestParams, Tool as Listed},
    service::{ClientCacheConfig, NotificationContext, Peer, RunningService},
    transport::streamable_http_client::{
        StreamableHttpClientTransport, StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Map, Value};
use tokio::{
    sync::{Mutex, Notify, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    answer,
    backoff::Backoff,
    config::{Reach, ServerConfig, Way},
    http::{self, Http, HttpError},
    legacy::Legacy,
    program::Program,
    status::{Board, ServerState},
};
use crate::tools::{Remote, Reply, ToolError};

/// How often a server that says nothing is asked whether it is still there.
const LOOKS: Duration = Duration::from_secs(30);
/// Between two lists of one server's tools.
const RELIST: Duration = Duration::from_millis(500);
/// A connection that held so long was a good one: the next is tried soon.
const STEADY: Duration = Duration::from_secs(10);
/// Most tools of one server, and most pages that its list may have.
const MOST_TOOLS: usize = 512;
const MOST_PAGES: usize = 64;
/// How long a connection may take to end.
const ENDING: Duration = Duration::from_secs(6);

/// A handle of the server of one name, whether there is one or not; it stays the same when the server is
/// reached otherwise, or lost and found again.
pub(in crate::tools) struct Link {
    name: String,
    line: watch::Sender<Line>,
    rounds: watch::Sender<u64>,
    /// Held by the task that keeps the connection: where a server is changed, the old one ends first.
    turn: Mutex<()>,
    /// How many times somebody asked for the list anew.
    asked: watch::Sender<u64>,
    /// Somebody found the connection dead.
    dead: Notify,
    /// Somebody wants it while there is none.
    wanted: Notify,
    board: Board,
}

/// What there is of a connection.
#[derive(Clone, Default)]
struct Line {
    peer: Option<Peer<RoleClient>>,
    http: Option<Http>,
    /// The most that an entry gives a call.
    deadline: Option<Duration>,
    /// The value of `asked` that was there when the last listing, or the last try to connect, began.
    answered: u64,
}

struct Handler(Arc<Notify>);

impl ClientHandler for Handler {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.notify_one();
    }
}

/// Why there is no connection, or no more; reads on from the server's name.
struct Trouble(String);

impl From<HttpError> for Trouble {
    fn from(error: HttpError) -> Self {
        Self(error.to_string())
    }
}

impl Link {
    pub(super) fn new(name: &str, board: Board) -> Self {
        Self {
            name: name.to_owned(),
            line: watch::Sender::default(),
            rounds: watch::Sender::default(),
            turn: Mutex::default(),
            asked: watch::Sender::default(),
            dead: Notify::new(),
            wanted: Notify::new(),
            board,
        }
    }

    /// Goes up whenever the tools were listed, after connecting and on every change, and when the server is
    /// taken away.
    pub(in crate::tools) fn rounds(&self) -> watch::Receiver<u64> {
        self.rounds.subscribe()
    }

    /// Whether it can be called.
    pub(in crate::tools) fn is_up(&self) -> bool {
        self.line.borrow().peer.is_some()
    }

    /// How many tools the server's status says that it has, where not all of the listed are offered.
    pub(in crate::tools) fn offers(&self, tools: usize) {
        self.board.set(&self.name, ServerState::Ready, tools, "");
    }

    /// Lists anew, or connects; done when that was tried once.
    pub(super) async fn refresh(&self) {
        let mut asked = 0;
        self.asked.send_modify(|n| {
            *n += 1;
            asked = *n;
        });
        self.wanted.notify_one();
        let mut line = self.line.subscribe();
        // Our own sender lives as long as `self`.
        let _ = line.wait_for(|line| line.answered >= asked).await;
    }

    /// Keeps the connection until `stop`, and then ends it. `listed` is told of every listing, and says how
    /// many of the tools are offered; of none at the end.
    pub(super) async fn run(
        self: Arc<Self>,
        config: ServerConfig,
        stop: CancellationToken,
        listed: impl Fn(&[Listed]) -> usize + Send + Sync,
    ) {
        let _turn = self.turn.lock().await;
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            self.board.set(&self.name, ServerState::Connecting, 0, "");
            let asked = *self.asked.borrow();
            let trouble = self.once(&config, &stop, &listed, &mut backoff).await;
            self.line.send_modify(|line| {
                *line = Line {
                    answered: line.answered.max(asked),
                    ..Line::default()
                };
            });
            let Some(trouble) = trouble else { break };
            warn!(server = self.name, "{}", trouble.0);
            self.board
                .set(&self.name, ServerState::Failed, 0, &trouble.0);
            let wait = backoff.next(RandomState::new().build_hasher().finish());
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(wait) => {}
                () = self.wanted.notified() => {}
            }
        }
        listed(&[]);
        self.board.remove(&self.name);
        self.rounds.send_modify(|rounds| *rounds += 1);
        // Who waits for a listing is not left waiting.
        let asked = *self.asked.borrow();
        self.line.send_modify(|line| line.answered = asked);
    }

    /// One connection from its beginning to its end; why it ended, or `None` where that was `stop`.
    async fn once(
        &self,
        config: &ServerConfig,
        stop: &CancellationToken,
        listed: &(impl Fn(&[Listed]) -> usize + Send + Sync),
        backoff: &mut Backoff,
    ) -> Option<Trouble> {
        let changed = Arc::new(Notify::new());
        let patience = config.deadline;
        let slow = || {
            Trouble(format!(
                "Connection timed out after {:.1}s",
                patience.as_secs_f64()
            ))
        };
        let connecting = timeout(patience, connect(config, &changed));
        let (running, http) = match stop.run_until_cancelled(connecting).await? {
            Ok(Ok(connected)) => connected,
            Ok(Err(trouble)) => return Some(trouble),
            Err(_) => return Some(slow()),
        };
        let peer = running.peer().clone();
        peer.set_response_cache_config(ClientCacheConfig::disabled())
            .await;
        let (end, waiting) = (running.cancellation_token(), running.waiting().fuse());
        tokio::pin!(waiting);
        // Of a call on the connection before.
        let _ = self.dead.notified().now_or_never();
        let since = Instant::now();
        let trouble = loop {
            let asked = *self.asked.borrow();
            let listing = timeout(patience, list(&peer));
            let tools = match stop.run_until_cancelled(listing).await {
                None => break None,
                Some(Ok(Ok(tools))) => tools,
                Some(Ok(Err(error))) => {
                    let why = http.as_ref().and_then(Http::take_note);
                    break Some(Trouble(reason(&error, why)));
                }
                Some(Err(_)) => break Some(slow()),
            };
            let again = Instant::now() + RELIST;
            info!(
                server = self.name,
                tools = tools.len(),
                "the tools are listed"
            );
            self.line.send_modify(|line| {
                line.peer = Some(peer.clone());
                line.http = http.clone();
                line.deadline = Some(patience);
            });
            let offered = listed(&tools);
            self.board.set(&self.name, ServerState::Ready, offered, "");
            self.rounds.send_modify(|rounds| *rounds += 1);
            self.line
                .send_modify(|line| line.answered = line.answered.max(asked));
            let over = self.watch(&peer, http.as_ref(), patience, &changed, &mut waiting);
            match stop.run_until_cancelled(over).await {
                None => break None,
                Some(Some(trouble)) => break Some(trouble),
                // A server that says at every listing that there is another would be listed without end.
                Some(None) => {
                    if stop.run_until_cancelled(sleep_until(again)).await.is_none() {
                        break None;
                    }
                }
            }
        };
        if since.elapsed() >= STEADY {
            backoff.reset();
        }
        end.cancel();
        if !waiting.is_terminated() {
            let _ = timeout(ENDING, waiting).await;
        }
        trouble
    }

    /// Waits until the tools are to be listed anew (`None`), or the connection is over.
    async fn watch(
        &self,
        peer: &Peer<RoleClient>,
        http: Option<&Http>,
        patience: Duration,
        changed: &Notify,
        waiting: &mut (impl Future + Unpin),
    ) -> Option<Trouble> {
        let mut asked = self.asked.subscribe();
        let done = self.line.borrow().answered;
        loop {
            let refreshed = async {
                // Our own sender lives as long as `self`.
                let _ = asked.wait_for(|n| *n > done).await;
            };
            tokio::select! {
                _ = &mut *waiting => return Some(Trouble("the connection was closed".to_owned())),
                () = self.dead.notified() => return Some(Trouble("the connection was lost".to_owned())),
                () = changed.notified() => return None,
                () = refreshed => return None,
                () = sleep(LOOKS) => {}
            }
            // Any answer is a sign of life, also that it does not know the question.
            match timeout(patience, ping(peer)).await {
                Ok(Ok(()) | Err(ServiceError::McpError(_))) => {}
                Ok(Err(error)) => match http.and_then(Http::take_note) {
                    Some(HttpError::Busy) => {}
                    why => return Some(Trouble(reason(&error, why))),
                },
                Err(_) => return Some(Trouble("it does not answer any more".to_owned())),
            }
        }
    }

    async fn ask(
        self: Arc<Self>,
        tool: String,
        arguments: Map<String, Value>,
        deadline: Duration,
    ) -> Result<Reply, ToolError> {
        let line = self.line.borrow().clone();
        let (name, called) = (&self.name, called(&self.name));
        let Some(peer) = line.peer else {
            self.wanted.notify_one();
            return Err(ToolError::Unreachable(format!(
                "{called} is not connected at the moment. It is being tried again; ask again in a while."
            )));
        };
        let deadline = line.deadline.map_or(deadline, |most| most.min(deadline));
        let begun = Instant::now();
        line.http.as_ref().and_then(Http::take_note);
        let params = CallToolRequestParams::new(tool.clone()).with_arguments(arguments);
        let answer = timeout(deadline, peer.call_tool_once(params)).await;
        debug!(
            server = name,
            tool,
            ms = begun.elapsed().as_millis(),
            "called"
        );
        match answer {
            Err(_) => Err(ToolError::Unreachable(format!(
                "{called} did not answer within {} seconds.",
                deadline.as_secs_f32().ceil()
            ))),
            Ok(Ok(CallToolResponse::Complete(result))) => Ok(answer::reply(result)),
            Ok(Ok(_)) => Err(ToolError::Failed(format!(
                "{called} asks for something in return, which cannot be given here."
            ))),
            Ok(Err(ServiceError::McpError(error))) => Err(ToolError::Failed(format!(
                "{called} says: {}",
                answer::shorten(&error.message, 400)
            ))),
            Ok(Err(error)) => {
                let why = line.http.as_ref().and_then(Http::take_note);
                let alive = [HttpError::TooLong, HttpError::Nonsense, HttpError::Busy];
                if !why.as_ref().is_some_and(|why| alive.contains(why)) {
                    self.dead.notify_one();
                }
                debug!(server = name, tool, "a call failed: {}", kind(&error));
                Err(match why {
                    Some(why @ (HttpError::TooLong | HttpError::Nonsense)) => {
                        ToolError::Failed(why.said_of(&called))
                    }
                    Some(why) => ToolError::Unreachable(why.said_of(&called)),
                    None => ToolError::Unreachable(format!(
                        "The connection to {called} was lost. It is being made again."
                    )),
                })
            }
        }
    }
}

/// A server's name as it is said.
fn called(name: &str) -> String {
    match name {
        "home_assistant" => "Home Assistant".to_owned(),
        name => name.replace(['_', '-'], " "),
    }
}

/// `Arc<Link>` is what calls are made on: a call outlives the borrow.
pub(super) struct Handle(pub(super) Arc<Link>);

impl Remote for Handle {
    fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Reply, ToolError>> {
        self.0
            .clone()
            .ask(tool.to_owned(), arguments, deadline)
            .boxed()
    }
}

type Running = RunningService<RoleClient, Handler>;

async fn connect(
    config: &ServerConfig,
    changed: &Arc<Notify>,
) -> Result<(Running, Option<Http>), Trouble> {
    let handler = || Handler(changed.clone());
    let (url, token, way) = match &config.reach {
        Reach::Http { url, token, way } => (&url.0, token, *way),
        Reach::Program { command, args, env } => {
            let program =
                Program::start(&config.name, command, &args.0, &env.0).map_err(Trouble)?;
            let running = handler().serve(program).await;
            let ended = |_| Trouble("its program ended, or does not speak MCP".to_owned());
            return Ok((running.map_err(ended)?, None));
        }
    };
    let client = http::client(url, config.deadline).ok_or(HttpError::Unreachable)?;
    let http = Http::new(client);
    if way != Way::Sse {
        let mut options = StreamableHttpClientTransportConfig::with_uri(url.as_str())
            .max_sse_event_size(http::MOST)
            .max_json_response_size(http::MOST);
        options.auth_header = token.as_ref().map(|token| token.0.clone());
        let transport = StreamableHttpClientTransport::with_client(http.clone(), options);
        let error = match handler().serve(transport).await {
            Ok(running) => return Ok((running, Some(http))),
            Err(_) => http.take_note().unwrap_or(HttpError::Nonsense),
        };
        let hopeless = matches!(
            error,
            HttpError::Token | HttpError::Forbidden | HttpError::Unreachable
        );
        if way == Way::Streamable || hopeless {
            return Err(error.into());
        }
    }
    let transport = Legacy::open(http.clone(), url, token.clone()).await?;
    match handler().serve(transport).await {
        Ok(running) => Ok((running, Some(http))),
        Err(_) => Err(http.take_note().unwrap_or(HttpError::Nonsense).into()),
    }
}

/// All pages.
async fn list(peer: &Peer<RoleClient>) -> Result<Vec<Listed>, ServiceError> {
    let (mut tools, mut cursor) = (Vec::new(), None);
    for _ in 0..MOST_PAGES {
        let asked = PaginatedRequestParams::default().with_cursor(cursor);
        let page = peer.list_tools(Some(asked)).await?;
        tools.extend(page.tools);
        cursor = page.next_cursor;
        if cursor.is_none() || tools.len() > MOST_TOOLS {
            break;
        }
    }
    tools.truncate(MOST_TOOLS);
    Ok(tools)
}

async fn ping(peer: &Peer<RoleClient>) -> Result<(), ServiceError> {
    use rmcp::model::{ClientRequest, PingRequest};
    let ping = ClientRequest::PingRequest(PingRequest::default());
    peer.send_request(ping).await.map(drop)
}

fn reason(error: &ServiceError, why: Option<HttpError>) -> String {
    match why {
        Some(why) => why.to_string(),
        None => kind(error).to_owned(),
    }
}

/// Without what the server wrote, which may hold anything.
fn kind(error: &ServiceError) -> &'static str {
    match error {
        ServiceError::McpError(_) => "it answers with an error",
        ServiceError::UnexpectedResponse => "its answer is of another kind",
        _ => "the connection was lost",
    }
}
