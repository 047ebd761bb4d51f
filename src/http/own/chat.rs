//! `POST /api/chat`: a conversation in writing, answered as a whole or as server-sent events; and the list of
//! such conversations.

use std::convert::Infallible;

use axum::{
    RequestExt as _,
    extract::{Path, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt as _, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    super::{
        ChatError, ChatPiece, ChatQuestion, Chatting, State,
        api::{Answer, Api, Input, about},
    },
    body, json,
    problem::Problem,
    turns::calendar,
};
use crate::{mind, pii::Pii};

/// Longest question, characters.
const LONGEST: usize = 4_000;

/// Longest name of a conversation, characters.
const LONGEST_NAME: usize = 64;

/// A question.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ChatRequest")]
struct Asked {
    /// The question: 1 to 4000 characters.
    #[schemars(length(min = 1, max = 4000))]
    text: String,
    /// The conversation that it goes on; a name of your own begins one.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    session_id: Option<String>,
    /// Where no conversation is named: go on with the one that was used last, instead of beginning one.
    #[serde(default)]
    reuse_session: bool,
    /// Answer as server-sent events, as the header `Accept: text/event-stream` asks for, too: `session`,
    /// `text` (the next characters), `tools` (what is done), `done` (the whole answer) or `error`.
    #[serde(default)]
    stream: bool,
}

/// The answer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChatAnswer")]
struct Answered {
    /// Its words.
    response: String,
    /// What was called for it, in order.
    tool_calls: Vec<Called>,
    /// The conversation, to go on with.
    session_id: String,
}

/// A call of a tool.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "ChatToolCall")]
struct Called {
    /// Its name.
    tool: String,
    /// What it was called with.
    args: Value,
}

/// The conversations in writing.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChatSessions")]
struct Sessions {
    /// Last used first.
    sessions: Vec<Session>,
}

/// One of them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChatSession")]
struct Session {
    /// Its name.
    session_id: String,
    /// When a question was last asked in it: RFC 3339, UTC.
    used_at: String,
    /// Questions that were asked in it.
    questions: u64,
}

pub(super) fn write_down(api: &mut Api) {
    let schema = api.schema::<Asked>();
    let input = Input::Body {
        schema,
        optional: false,
    };
    let ask = about(
        "/api/chat",
        "Chat",
        "Answers a question in writing, with the same tools and prompt as by voice.",
    )
    .refuses(&[
        (503, "Models are being loaded"),
        (502, "The language model cannot answer"),
    ]);
    let answer = Answer::Json(200, api.schema::<Answered>());
    api.own(Method::POST, ask, (Some(input), answer), chat);
    let answer = Answer::Json(200, api.schema::<Sessions>());
    let list = about(
        "/api/chat/sessions",
        "Chat",
        "The conversations in writing.",
    );
    api.own(Method::GET, list, (None, answer), |state, _| async move {
        let sessions = state.house.chats().into_iter();
        let sessions = sessions.map(|chat| Session {
            session_id: chat.id,
            used_at: calendar(chat.used_at),
            questions: chat.questions,
        });
        json(Sessions {
            sessions: sessions.collect(),
        })
    });
    let forget = about(
        "/api/chat/{session_id}",
        "Chat",
        "Forgets a conversation in writing.",
    )
    .refuses(&[(404, "There is no such conversation")]);
    api.own(
        Method::DELETE,
        forget,
        (None, Answer::Nothing),
        |state, mut request: Request| async move {
            let id = request.extract_parts::<Path<String>>().await;
            let Path(id) = id.map_err(|_| Problem::bad_request("the name is not text"))?;
            match state.house.forget_chat(id).await {
                true => Ok(StatusCode::NO_CONTENT.into_response()),
                false => Err(Problem::not_found("there is no such conversation")),
            }
        },
    );
}

async fn chat(state: State, request: Request) -> Result<Response, Problem> {
    let wants_events = accepts_events(request.headers());
    let asked: Asked = body(request.into_body()).await?;
    let text = asked.text.trim().to_owned();
    if text.is_empty() || text.chars().count() > LONGEST {
        let why = format!("it is a text of 1 to {LONGEST} characters");
        return Err(Problem::invalid("text", why));
    }
    if let Some(name) = &asked.session_id
        && (name.is_empty() || name.chars().count() > LONGEST_NAME)
    {
        let why = format!("it is a name of 1 to {LONGEST_NAME} characters");
        return Err(Problem::invalid("session_id", why));
    }
    let question = ChatQuestion {
        chat: asked.session_id,
        go_on: asked.reuse_session,
        text: Pii(text),
    };
    let chatting = state
        .house
        .chat(question)
        .await
        .map_err(|error| match error {
            ChatError::Loading => {
                Problem::loading("the models are being loaded; try again in a moment")
            }
        })?;
    match asked.stream || wants_events {
        true => Ok(events(chatting)),
        false => whole(chatting).await,
    }
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/event-stream"))
}

/// What an answer was, at its end.
struct Account {
    answer: Answered,
    problem: Option<String>,
}

impl Account {
    fn of(session_id: String) -> Self {
        Self {
            answer: Answered {
                response: String::new(),
                tool_calls: Vec::new(),
                session_id,
            },
            problem: None,
        }
    }

    fn take(&mut self, piece: &ChatPiece) {
        match piece {
            ChatPiece::Text(text) => self.answer.response.push_str(text),
            ChatPiece::Doing(doing) if doing.progress == mind::Progress::Running => {
                let calls = doing.calls.iter().map(|(tool, args)| Called {
                    tool: tool.clone(),
                    args: args.clone(),
                });
                self.answer.tool_calls.extend(calls);
            }
            ChatPiece::Doing(_) => {}
            ChatPiece::Failed(why) => self.problem = Some(why.clone()),
        }
    }

    fn trim(&mut self) {
        self.answer.response = self.answer.response.trim().to_owned();
    }
}

async fn whole(chatting: Chatting) -> Result<Response, Problem> {
    let mut account = Account::of(chatting.id);
    let mut pieces = chatting.pieces;
    while let Some(piece) = pieces.next().await {
        account.take(&piece);
    }
    account.trim();
    match account.problem {
        Some(why) => Err(Problem::status(StatusCode::BAD_GATEWAY, "no_answer", &why)),
        None => json(account.answer),
    }
}

fn events(chatting: Chatting) -> Response {
    let account = Account::of(chatting.id.clone());
    let begin = event("session", &json!({ "session_id": chatting.id }));
    let rest = stream::unfold(Some((chatting.pieces, account)), |answering| async move {
        let (mut pieces, mut account) = answering?;
        let Some(piece) = pieces.next().await else {
            account.trim();
            let last = match &account.problem {
                Some(why) => event("error", &json!({ "detail": why, "code": "no_answer" })),
                None => event("done", &account.answer),
            };
            return Some((last, None));
        };
        account.take(&piece);
        let told = match &piece {
            ChatPiece::Text(text) => event("text", &json!({ "text": text })),
            ChatPiece::Doing(doing) => event(
                "tools",
                &json!({
                    "status": doing.progress.name(),
                    "calls": doing.calls.iter().map(|(tool, args)| Called {
                        tool: tool.clone(),
                        args: args.clone(),
                    }).collect::<Vec<_>>(),
                }),
            ),
            // Told at the end.
            ChatPiece::Failed(_) => Event::default().comment("no more"),
        };
        Some((told, Some((pieces, account))))
    });
    let all = stream::once(async { begin }).chain(rest);
    let all = Sse::new(all.map(Ok::<_, Infallible>)).keep_alive(KeepAlive::default());
    let mut response = all.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would keep events back until it has a page full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn event(name: &str, data: &impl Serialize) -> Event {
    let data = serde_json::to_string(data).expect("plain data");
    Event::default().event(name).data(data)
}
