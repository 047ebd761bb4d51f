//! What was said, room by room: written when an exchange is over, read when a conversation begins again.
//!
//! A conversation goes on where it was when somebody comes back to its room soon enough; else, and where
//! nothing was said for half an hour, the next exchange begins another one. The owner's rules are asked for
//! with every exchange, so that a change of them counts at once.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter, types::Value};

use super::{Store, StoreError, millis};
use crate::pii::Pii;

/// Silence after which a conversation that goes on in an open room is kept as another one.
const PAUSE: Duration = Duration::from_secs(30 * 60);

/// Letters of a title.
const TITLE: usize = 80;

/// Messages of the last conversation that are remembered: two for an exchange.
const REMEMBERED: i64 = 200;

/// Rooms whose conversation is known by heart; of more, the file is asked.
const ROOMS: usize = 256;

/// What the owner wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether anything is written down, and read again.
    pub keep: bool,
    /// How long after its last exchange a conversation goes on when somebody comes back.
    pub resume: Duration,
    /// After how long what was said is deleted; none: never.
    pub retention: Option<Duration>,
}

/// A question and what was heard of its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// When the question was over.
    pub asked_at: SystemTime,
    /// When the answer was.
    pub over_at: SystemTime,
    /// What the user said; empty where nobody asked.
    pub user: Pii<String>,
    /// What was heard of the answer; empty for nothing.
    pub assistant: Pii<String>,
    /// The answer was heard to its end.
    pub complete: bool,
    /// What else is known, as JSON without words; none for nothing.
    pub meta: Option<String>,
}

/// An exchange from before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// What the user said.
    pub user: Pii<String>,
    /// What was heard of the answer.
    pub assistant: Pii<String>,
    /// It was heard to its end.
    pub complete: bool,
}

/// A conversation without its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// From 1; never given twice.
    pub id: i64,
    /// Its room; empty for this machine's own sound.
    pub room: String,
    /// Its first words.
    pub title: Pii<String>,
    /// When it began: milliseconds since 1970.
    pub started_at: i64,
    /// When its last exchange was over.
    pub updated_at: i64,
    /// How many messages it has.
    pub messages: i64,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Milliseconds since 1970.
    pub at: i64,
    /// `user`, `assistant` or `tool`.
    pub role: String,
    /// What was said, or heard.
    pub text: Pii<String>,
    /// It was heard to its end.
    pub complete: bool,
    /// What else is known, as JSON.
    pub meta: Option<String>,
}

/// Which conversations, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// How many at most.
    pub limit: u32,
    /// Only those that began before the one with this id.
    pub before: Option<i64>,
    /// Only those with these letters in a message.
    pub text: Option<Pii<String>>,
}

/// See the module's text. Clones are the same.
#[derive(Clone)]
pub struct Conversations(Arc<Inner>);

struct Inner {
    store: Result<Store, StoreError>,
    rules: Box<dyn Fn() -> Rules + Send + Sync>,
    /// Which conversation goes on in which room. Held for a look; never across an await.
    going_on: Mutex<HashMap<String, i64>>,
}

impl Conversations {
    /// Those of `store`; `rules` is asked every time. Without a store nothing is kept, and whoever asks is
    /// told why.
    pub fn new(
        store: Result<Store, StoreError>,
        rules: impl Fn() -> Rules + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            rules: Box::new(rules),
            going_on: Mutex::default(),
        }))
    }

    /// Whether what is said is written down, now.
    pub fn keeps(&self) -> bool {
        self.0.store.is_ok() && (self.0.rules)().keep
    }

    /// A conversation begins in `room`: what was said there before, oldest first, where that is recent enough.
    /// Nothing where the file cannot be read; that is in the log.
    pub async fn begin(&self, room: &str) -> Vec<Remembered> {
        let rules = (self.0.rules)();
        self.0.going_on().remove(room);
        let Ok(store) = &self.0.store else {
            return Vec::new();
        };
        if !rules.keep || rules.resume.is_zero() {
            return Vec::new();
        }
        let (inner, name) = (self.0.clone(), room.to_owned());
        let since = millis(SystemTime::now()) - whole(rules.resume);
        let looked = store.run(move |connection| {
            let Some(id) = last_in(connection, &name, since)? else {
                return Ok(Vec::new());
            };
            inner.goes_on(name, id);
            remembered(connection, id)
        });
        looked.await.unwrap_or_else(|error| {
            tracing::warn!("what was said before is not remembered: {error}");
            Vec::new()
        })
    }

    /// An exchange in `room` is over: it is on its way to the file, where the rules say so. What fails is in the log.
    pub fn note(&self, room: &str, exchange: Exchange) {
        let rules = (self.0.rules)();
        let Ok(store) = &self.0.store else { return };
        if !rules.keep {
            return;
        }
        let (inner, room) = (self.0.clone(), room.to_owned());
        store.post("an exchange is not kept", move |connection| {
            let known = inner.going_on().get(&room).copied();
            let id = write(connection, &room, known, rules.resume, &exchange)?;
            inner.goes_on(room, id);
            Ok(())
        });
    }

    /// Deletes what is older than the rules say; how many messages.
    ///
    /// # Errors
    ///
    /// What the file says.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let Some(retention) = (self.0.rules)().retention else {
            return Ok(0);
        };
        let before = millis(SystemTime::now()) - whole(retention);
        let swept = self.store()?.run(move |connection| {
            let transaction = connection.transaction()?;
            let gone = transaction.execute("DELETE FROM messages WHERE at < ?1", [before])?;
            transaction.execute(
                "DELETE FROM conversations WHERE updated_at < ?1
                 OR NOT EXISTS (SELECT 1 FROM messages WHERE conversation_id = conversations.id)",
                [before],
            )?;
            transaction.commit()?;
            if gone > 0 {
                wipe(connection);
            }
            Ok(gone)
        });
        swept.await
    }

    /// Some of them, newest first.
    ///
    /// # Errors
    ///
    /// What the file says.
    pub async fn list(&self, which: Which) -> Result<Vec<Summary>, StoreError> {
        let listed = self.store()?.run(move |connection| {
            let mut values = vec![Value::from(which.before.unwrap_or(i64::MAX))];
            let found = match &which.text {
                None => "",
                Some(text) => {
                    values.push(Value::from(like(&text.0)));
                    "AND EXISTS (SELECT 1 FROM messages
                     WHERE conversation_id = c.id AND text LIKE ?2 ESCAPE '\\')"
                }
            };
            let limit = which.limit;
            let statement =
                format!("{SUMMARY} WHERE c.id < ?1 {found} ORDER BY c.id DESC LIMIT {limit}");
            let mut rows = connection.prepare(&statement)?;
            let rows = rows.query_map(params_from_iter(values), summary)?;
            rows.collect()
        });
        listed.await
    }

    /// One of them with its messages, oldest first; none where there is no such.
    ///
    /// # Errors
    ///
    /// What the file says.
    pub async fn get(&self, id: i64) -> Result<Option<(Summary, Vec<Message>)>, StoreError> {
        let read = move |connection: &mut Connection| whole_one(connection, "c.id = ?1", id);
        self.store()?.run(read).await
    }

    /// The first one after `id` with its messages: from 0 on, one after the other, all of them.
    ///
    /// # Errors
    ///
    /// What the file says.
    pub async fn after(&self, id: i64) -> Result<Option<(Summary, Vec<Message>)>, StoreError> {
        let read = move |connection: &mut Connection| whole_one(connection, "c.id > ?1", id);
        self.store()?.run(read).await
    }

    /// Deletes one; whether it was there. A conversation that goes on in its room does not forget by that what
    /// it has heard, and its next exchange is kept as another one.
    ///
    /// # Errors
    ///
    /// What the file says.
    pub async fn delete(&self, id: i64) -> Result<bool, StoreError> {
        let deleted = self.store()?.run(move |connection| {
            let gone = connection.execute("DELETE FROM conversations WHERE id = ?1", [id])?;
            wipe(connection);
            Ok(gone > 0)
        });
        deleted.await
    }

    /// Deletes all of them; how many.
    ///
    /// # Errors
    ///
    /// What the file says.
    pub async fn delete_all(&self) -> Result<usize, StoreError> {
        let deleted = self.store()?.run(move |connection| {
            let gone = connection.execute("DELETE FROM conversations", [])?;
            wipe(connection);
            Ok(gone)
        });
        deleted.await
    }

    fn store(&self) -> Result<&Store, StoreError> {
        self.0.store.as_ref().map_err(Clone::clone)
    }
}

impl Default for Conversations {
    /// One that keeps nothing.
    fn default() -> Self {
        let rules = || Rules {
            keep: false,
            resume: Duration::ZERO,
            retention: None,
        };
        Self::new(Err(StoreError::Stopped), rules)
    }
}

impl fmt::Debug for Conversations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Conversations").field(&self.0.store).finish()
    }
}

impl Inner {
    fn going_on(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        // Nothing in there can be left half done.
        self.going_on.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn goes_on(&self, room: String, id: i64) {
        let mut going_on = self.going_on();
        if going_on.len() >= ROOMS && !going_on.contains_key(&room) {
            going_on.clear();
        }
        going_on.insert(room, id);
    }
}

const SUMMARY: &str = "SELECT c.id, c.room, c.title, c.started_at, c.updated_at,
     (SELECT count(*) FROM messages WHERE conversation_id = c.id) FROM conversations AS c";

fn summary(row: &Row<'_>) -> rusqlite::Result<Summary> {
    Ok(Summary {
        id: row.get(0)?,
        room: row.get(1)?,
        title: Pii(row.get(2)?),
        started_at: row.get(3)?,
        updated_at: row.get(4)?,
        messages: row.get(5)?,
    })
}

fn whole_one(
    connection: &Connection,
    which: &str,
    id: i64,
) -> rusqlite::Result<Option<(Summary, Vec<Message>)>> {
    let statement = format!("{SUMMARY} WHERE {which} ORDER BY c.id LIMIT 1");
    let found = connection
        .prepare(&statement)?
        .query_row([id], summary)
        .optional()?;
    let Some(found) = found else { return Ok(None) };
    let mut rows = connection.prepare(
        "SELECT at, role, text, complete, meta FROM messages WHERE conversation_id = ?1 ORDER BY id",
    )?;
    let messages = rows.query_map([found.id], |row| {
        Ok(Message {
            at: row.get(0)?,
            role: row.get(1)?,
            text: Pii(row.get(2)?),
            complete: row.get(3)?,
            meta: row.get(4)?,
        })
    })?;
    let messages = messages.collect::<rusqlite::Result<_>>()?;
    Ok(Some((found, messages)))
}

/// The last conversation of `room`, where its last exchange was over after `since`.
fn last_in(connection: &Connection, room: &str, since: i64) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare(
            "SELECT id FROM conversations WHERE room = ?1 AND updated_at > ?2
             ORDER BY updated_at DESC, id DESC LIMIT 1",
        )?
        .query_row(params![room, since], |row| row.get(0))
        .optional()
}

fn remembered(connection: &Connection, id: i64) -> rusqlite::Result<Vec<Remembered>> {
    // A question and its answer are written together; an answer nobody asked for stands alone.
    let mut rows = connection.prepare(
        "SELECT role, text, complete FROM
         (SELECT id, role, text, complete FROM messages
          WHERE conversation_id = ?1 AND role <> 'tool' ORDER BY id DESC LIMIT ?2)
         ORDER BY id",
    )?;
    let rows = rows.query_map(params![id, REMEMBERED], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get(2)?,
        ))
    })?;
    let mut exchanges: Vec<Remembered> = Vec::new();
    let mut open = false;
    for row in rows {
        let (role, text, complete): (String, String, bool) = row?;
        let text = Pii(text);
        match (role.as_str(), exchanges.last_mut()) {
            ("assistant", Some(last)) if open => {
                (last.assistant, last.complete) = (text, complete);
            }
            ("assistant", _) => exchanges.push(Remembered {
                user: Pii::default(),
                assistant: text,
                complete,
            }),
            _ => exchanges.push(Remembered {
                user: text,
                assistant: Pii::default(),
                complete: false,
            }),
        }
        open = role == "user";
    }
    Ok(exchanges)
}

/// Writes the exchange to the conversation that goes on, or to a new one; to which.
fn write(
    connection: &mut Connection,
    room: &str,
    known: Option<i64>,
    resume: Duration,
    exchange: &Exchange,
) -> rusqlite::Result<i64> {
    let (asked_at, over_at) = (millis(exchange.asked_at), millis(exchange.over_at));
    let transaction = connection.transaction()?;
    let goes_on = match known {
        Some(id) => transaction
            .prepare("SELECT id FROM conversations WHERE id = ?1 AND updated_at > ?2")?
            .query_row(params![id, asked_at - whole(resume.max(PAUSE))], |row| {
                row.get(0)
            })
            .optional()?,
        // Nobody said that it begins.
        None => last_in(&transaction, room, asked_at - whole(resume))?,
    };
    let id = match goes_on {
        Some(id) => {
            transaction
                .prepare("UPDATE conversations SET updated_at = max(updated_at, ?2) WHERE id = ?1")?
                .execute(params![id, over_at])?;
            id
        }
        None => {
            transaction
                .prepare(
                    "INSERT INTO conversations (room, title, started_at, updated_at)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![room, title(exchange), asked_at, over_at])?;
            transaction.last_insert_rowid()
        }
    };
    {
        let mut add = transaction.prepare(
            "INSERT INTO messages (conversation_id, at, role, text, complete, meta)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let (user, assistant) = (exchange.user.0.trim(), exchange.assistant.0.trim());
        if !user.is_empty() {
            add.execute(params![id, asked_at, "user", user, true, None::<String>])?;
        }
        if !assistant.is_empty() {
            let (complete, meta) = (exchange.complete, &exchange.meta);
            add.execute(params![id, over_at, "assistant", assistant, complete, meta])?;
        }
    }
    transaction.commit()?;
    Ok(id)
}

/// The first words, on one line.
fn title(exchange: &Exchange) -> String {
    let first = match exchange.user.0.trim() {
        "" => &exchange.assistant.0,
        user => user,
    };
    let line = first.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TITLE) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

/// Anything with `text` in it; capitals count as small letters, as far as those are English.
fn like(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// What was deleted leaves the journal, too; where another process reads in it, a little later.
fn wipe(connection: &Connection) {
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
}

fn whole(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests;
