//! Conversations in writing: the same language model, tools and prompt as by voice, without ears and voice.
//! Each has its history, which is kept as a room's is; one question of it is answered at a time.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream, Fuse},
};
use tokio::sync::{OwnedMutexGuard, watch};
use tracing::warn;

use super::{App, Keeping, history_limits, now, told};
use crate::{
    http::{Chat, ChatPiece, ChatQuestion, Chatting},
    llm::{
        LlmError,
        acts::Acts,
        history::{Conversation, Ending},
        prompt,
    },
    mind::{self, Offers, Question, Rules, Thought},
    pii::Pii,
    settings::Settings,
    store::conversations::{Exchange, Which},
    tools::Caller,
};

/// Chats that are remembered; the one that was used longest ago is forgotten for a new one.
const KEPT: usize = 100;

/// Before the names of chats, where they are kept beside the rooms' conversations.
const ROOM: &str = "chat:";

/// See the module's text. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Chats(Arc<Mutex<Vec<Known>>>);

struct Known {
    id: String,
    used_at: SystemTime,
    questions: u64,
    talk: Talk,
}

/// What was said, for one question at a time, and the tools that it is offered.
type Talk = (
    Arc<tokio::sync::Mutex<Conversation>>,
    Offers,
    // It is to be forgotten, also what is still being answered.
    Arc<AtomicBool>,
);

impl Chats {
    /// All of them, the last used first.
    pub(super) fn list(&self) -> Vec<Chat> {
        let mut chats: Vec<Chat> = self
            .known()
            .iter()
            .map(|known| Chat {
                id: known.id.clone(),
                used_at: known.used_at,
                questions: known.questions,
            })
            .collect();
        chats.sort_by_key(|chat| std::cmp::Reverse(chat.used_at));
        chats
    }

    /// Whether there was one of this name. An answer under way is written to its end, for nobody's memory.
    pub(super) async fn forget(&self, app: Option<&App>, id: &str) -> bool {
        let mut known = {
            let mut chats = self.known();
            let before = chats.len();
            for chat in chats.iter().filter(|chat| chat.id == id) {
                chat.talk.2.store(true, Ordering::Relaxed);
            }
            chats.retain(|chat| chat.id != id);
            chats.len() < before
        };
        let Some(app) = app else { return known };
        let (conversations, room) = (&app.kept().conversations, format!("{ROOM}{id}"));
        let all = Which {
            limit: u32::MAX,
            ..Which::default()
        };
        // Where there is no file nothing is kept in it.
        for kept in conversations.list(all).await.unwrap_or_default() {
            if kept.room != room {
                continue;
            }
            known = true;
            if let Err(error) = conversations.delete(kept.id).await {
                warn!("a conversation in writing stays on the disk: {error}");
            }
        }
        known
    }

    /// Answers `question`. Dropping the answer stops it; what was written of it stays in the history.
    pub(super) async fn ask(
        &self,
        app: &App,
        settings: &Settings,
        question: ChatQuestion,
    ) -> Chatting {
        let (id, (talk, offers, forgotten)) = self.open(&question, settings);
        let room = format!("{ROOM}{id}");
        let mut talk = talk.lock_owned().await;
        talk.limit(history_limits(settings));
        if talk.is_empty() {
            talk.restore(app.kept().past(&room).await);
        }
        let words = question.text.0;
        let asked_words = Pii(words.clone());
        let framed = prompt::user_message(&words, &now(settings));
        let mut asked = talk.clone();
        asked.user_said(&framed);
        let acts = Acts::default();
        let engines = app.engines();
        let question = Question {
            messages: asked.request(&told(settings, &app.kept().memory)).messages,
            words,
            caller: Caller::default(),
            sure: watch::channel(true).1,
            pictures: engines.shown.now(),
            acts: acts.clone(),
            offers,
            rules: Rules {
                fillers: false, // they can be seen to take a moment
                ..super::following::mind_rules(settings)
            },
        };
        let answering = Answering {
            thoughts: mind::answer(engines.llm.clone(), engines.tools.clone(), question).fuse(),
            talk,
            framed,
            acts,
            keeping: app.kept().clone(),
            forgotten,
            room,
            words: asked_words,
            asked_at: SystemTime::now(),
            written: String::new(),
            gap: false,
            told: false,
            ending: Ending::Interrupted,
        };
        let pieces = stream::unfold(answering, |mut answering| async move {
            Some((answering.next().await?, answering))
        });
        Chatting {
            id,
            pieces: pieces.boxed(),
        }
    }

    /// The chat that is meant, or a new one.
    fn open(&self, question: &ChatQuestion, settings: &Settings) -> (String, Talk) {
        let mut chats = self.known();
        let meant = match &question.chat {
            Some(id) => chats.iter().position(|chat| chat.id == *id),
            None if question.go_on => {
                let last = chats
                    .iter()
                    .enumerate()
                    .max_by_key(|(_, chat)| chat.used_at);
                last.map(|(at, _)| at)
            }
            None => None,
        };
        if let Some(chat) = meant.map(|at| &mut chats[at]) {
            chat.used_at = SystemTime::now();
            chat.questions += 1;
            return (chat.id.clone(), chat.talk.clone());
        }
        let id = match &question.chat {
            Some(id) => id.clone(),
            None => format!("{:016x}", RandomState::new().hash_one(chats.len())),
        };
        if chats.len() >= KEPT {
            let oldest = chats
                .iter()
                .enumerate()
                .min_by_key(|(_, chat)| chat.used_at);
            if let Some((at, _)) = oldest {
                chats.remove(at);
            }
        }
        let talk = Conversation::new(history_limits(settings));
        let talk = (
            Arc::new(tokio::sync::Mutex::new(talk)),
            Offers::default(),
            Arc::default(),
        );
        chats.push(Known {
            id: id.clone(),
            used_at: SystemTime::now(),
            questions: 1,
            talk: talk.clone(),
        });
        (id, talk)
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        // Nothing in there can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer on its way. However it ends, what was written of it goes into the history.
struct Answering {
    thoughts: Fuse<BoxStream<'static, Result<Thought, LlmError>>>,
    talk: OwnedMutexGuard<Conversation>,
    framed: String,
    acts: Acts,
    keeping: Keeping,
    forgotten: Arc<AtomicBool>,
    room: String,
    words: Pii<String>,
    asked_at: SystemTime,
    written: String,
    /// What comes next is a sentence of its own.
    gap: bool,
    /// The asker knows something: words, or why there are none.
    told: bool,
    ending: Ending,
}

impl Answering {
    async fn next(&mut self) -> Option<ChatPiece> {
        loop {
            if self.forgotten.load(Ordering::Relaxed) {
                return None; // nobody wants the rest
            }
            return Some(match self.thoughts.next().await {
                Some(Ok(Thought::Text(text))) => {
                    // Behind what a tool had said.
                    let text = match std::mem::take(&mut self.gap) && !text.starts_with(' ') {
                        true => format!(" {text}"),
                        false => text,
                    };
                    self.told |= !text.trim().is_empty();
                    self.written.push_str(&text);
                    ChatPiece::Text(text)
                }
                Some(Ok(Thought::Say { text, kept })) => {
                    let gap = match self.written.is_empty() || self.written.ends_with(' ') {
                        true => "",
                        false => " ",
                    };
                    let text = format!("{gap}{}", text.trim());
                    if kept {
                        self.written.push_str(&text);
                    }
                    (self.gap, self.told) = (true, true);
                    ChatPiece::Text(text)
                }
                Some(Ok(Thought::Doing(doing))) => ChatPiece::Doing(doing),
                Some(Ok(Thought::Step(_) | Thought::Busy)) => continue,
                Some(Err(error)) => {
                    warn!(%error, fault = ?error.fault(), "no (more) answer to what was written");
                    self.told = true;
                    ChatPiece::Failed(error.to_string())
                }
                // Or it thought until there was no room left.
                None if !self.told => {
                    warn!("{}", mind::EMPTY);
                    self.told = true;
                    ChatPiece::Failed(mind::EMPTY.to_owned())
                }
                None => {
                    self.ending = Ending::Complete;
                    return None;
                }
            });
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if self.written.trim().is_empty() && self.acts.count() == 0 {
            return;
        }
        self.talk.user_said(&self.framed);
        self.talk.acted(self.acts.clone());
        self.talk.assistant_heard(&self.written, self.ending);
        let exchange = Exchange {
            asked_at: self.asked_at,
            over_at: SystemTime::now(),
            user: self.words.clone(),
            assistant: Pii(self.written.trim().to_owned()),
            complete: self.ending == Ending::Complete,
            meta: Some(r#"{"spoken":false}"#.to_owned()),
        };
        if !self.forgotten.load(Ordering::Relaxed) {
            self.keeping.conversations.note(&self.room, exchange);
        }
    }
}
