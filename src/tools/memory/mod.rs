//! What the user asked to remember: long-term [`facts`](Memory::facts), which the language model is given with
//! every question, and short-term notes under a key, which expire. Kept in the store; the tools for both are
//! in `tool`, which words mean which thing is in `matching`.

mod matching;
mod notes;
mod tool;

pub use notes::Note;

use std::{
    fmt,
    fmt::Write as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rusqlite::Connection;
use tokio::sync::watch;
use tracing::warn;

use self::matching::Found;
use super::{Tool, ToolError};
use crate::{
    fault::Fault,
    llm::history::approximate_tokens,
    pii::Pii,
    store::{Store, StoreError, millis},
};

/// How many facts are kept.
pub const MOST_FACTS: usize = 500;

/// Longest fact, characters.
pub const LONGEST_FACT: usize = 500;

/// How often it is looked whether another process changed the facts.
const LOOK: Duration = Duration::from_secs(2);

/// What stands above the facts in a prompt.
const HEADING: &str = "The user asked you to remember:";

/// Something to remember for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// From 1; never given twice.
    pub id: i64,
    /// One line.
    pub text: Pii<String>,
    /// Milliseconds since 1970.
    pub stored_at: i64,
}

/// What became of a wish to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is new.
    New(Fact),
    /// It was known, in these words.
    Known(Fact),
}

/// What became of a wish to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// This is forgotten.
    One(Fact),
    /// Nothing is: any of these may be meant.
    Several(Vec<Fact>),
    /// Nothing is like it.
    Nothing,
}

/// Why something is not remembered, or not told. Whole sentences for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// The owner does not want it.
    #[error("memory is switched off (setting memory_enabled)")]
    Off,
    /// What is to be remembered cannot be.
    #[error("{0}")]
    Refused(String),
    /// The file did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MemoryError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Off | Self::Refused(_) => Fault::Request,
            Self::Store(error) => error.fault(),
        }
    }
}

impl From<MemoryError> for ToolError {
    fn from(error: MemoryError) -> Self {
        match error {
            MemoryError::Store(error) => ToolError::Failed(error.to_string()),
            refused => ToolError::Refused(refused.to_string()),
        }
    }
}

/// See the module's text. Clones are the same.
#[derive(Clone)]
pub struct Memory(Arc<Inner>);

struct Inner {
    store: Result<Store, StoreError>,
    enabled: Box<dyn Fn() -> bool + Send + Sync>,
    /// As they are in the file, oldest first.
    facts: watch::Sender<Arc<[Fact]>>,
}

impl Memory {
    /// The memory in `store`; `enabled` is asked every time. Without a store nothing is remembered, and
    /// whoever asks is told why.
    pub async fn open(
        store: Result<Store, StoreError>,
        enabled: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let memory = Self(Arc::new(Inner {
            store,
            enabled: Box::new(enabled),
            facts: watch::Sender::new(Vec::new().into()),
        }));
        if memory.0.store.is_ok()
            && let Err(error) = memory.load().await
        {
            warn!("what is remembered cannot be read: {error}");
        }
        memory
    }

    /// Whether it is used, now.
    pub fn is_enabled(&self) -> bool {
        self.0.store.is_ok() && (self.0.enabled)()
    }

    /// What the assistant can do with it, for a shelf of its own; nothing while it is switched off.
    pub fn tools(&self) -> Vec<Arc<dyn Tool>> {
        match self.is_enabled() {
            true => tool::all(self),
            false => Vec::new(),
        }
    }

    /// The facts as they are now, oldest first; also while memory is switched off, for their owner.
    pub fn facts(&self) -> Arc<[Fact]> {
        self.0.facts.borrow().clone()
    }

    /// The facts, whenever they change.
    pub fn watch(&self) -> watch::Receiver<Arc<[Fact]>> {
        self.0.facts.subscribe()
    }

    /// The facts for the system prompt: a heading and a line each, oldest first; of more than `budget_tokens`
    /// hold, the newest. Empty where there are none, or memory is switched off. The same text until a fact
    /// comes or goes, and a new one stands at its end, so that engines keep what they have read.
    pub fn facts_for_prompt(&self, budget_tokens: usize) -> String {
        match self.is_enabled() {
            true => for_prompt(&self.facts(), budget_tokens),
            false => String::new(),
        }
    }

    /// Remembers `text` for good.
    ///
    /// # Errors
    ///
    /// Where memory is off or full, the text is none or too long, or the file does not take it.
    pub async fn remember(&self, text: &str) -> Result<Kept, MemoryError> {
        let store = self.store()?;
        let text = one_line(text);
        if text.is_empty() {
            return Err(refused("there is nothing to remember"));
        }
        if text.chars().count() > LONGEST_FACT {
            return Err(MemoryError::Refused(format!(
                "that is longer than {LONGEST_FACT} characters; say it shorter"
            )));
        }
        let now = millis(SystemTime::now());
        let kept = store.run(move |connection| {
            let transaction = connection.transaction()?;
            let facts = read(&transaction)?;
            let same = |fact: &&Fact| matching::plain(&fact.text.0) == matching::plain(&text);
            if let Some(known) = facts.iter().find(same) {
                return Ok(Some(Kept::Known(known.clone())));
            }
            if facts.len() >= MOST_FACTS {
                return Ok(None);
            }
            transaction.execute(
                "INSERT INTO facts (text, stored_at) VALUES (?1, ?2)",
                rusqlite::params![text, now],
            )?;
            let id = transaction.last_insert_rowid();
            transaction.commit()?;
            let text = Pii(text);
            Ok(Some(Kept::New(Fact {
                id,
                text,
                stored_at: now,
            })))
        });
        let kept = kept.await?;
        self.load().await?;
        kept.ok_or_else(|| {
            MemoryError::Refused(format!(
                "{MOST_FACTS} facts are remembered already; have some forgotten first"
            ))
        })
    }

    /// The facts that have to do with `words`, oldest first; all of them, where `words` say nothing.
    ///
    /// # Errors
    ///
    /// Where memory is off, or there is no file.
    pub fn recall(&self, words: &str) -> Result<Vec<Fact>, MemoryError> {
        self.store()?;
        let facts = self.facts();
        let texts: Vec<&str> = facts.iter().map(|fact| fact.text.0.as_str()).collect();
        let found = matching::about(&texts, words);
        Ok(found.into_iter().map(|at| facts[at].clone()).collect())
    }

    /// Forgets the fact that `words` mean, where it is clear which.
    ///
    /// # Errors
    ///
    /// Where memory is off, or the file does not do it.
    pub async fn forget(&self, words: &str) -> Result<Forgotten, MemoryError> {
        self.store()?;
        self.load().await?;
        let facts = self.facts();
        let texts: Vec<&str> = facts.iter().map(|fact| fact.text.0.as_str()).collect();
        match matching::find(&texts, words) {
            Found::Nothing => Ok(Forgotten::Nothing),
            Found::Several(which) => Ok(Forgotten::Several(
                which.into_iter().map(|at| facts[at].clone()).collect(),
            )),
            Found::One(at) => {
                let fact = facts[at].clone();
                self.delete_fact(fact.id).await?;
                Ok(Forgotten::One(fact))
            }
        }
    }

    /// Forgets the fact of this id, also while memory is off; whether it was there.
    ///
    /// # Errors
    ///
    /// What the file says.
    pub async fn delete_fact(&self, id: i64) -> Result<bool, StoreError> {
        let deleted = self.file()?.run(move |connection| {
            let gone = connection.execute("DELETE FROM facts WHERE id = ?1", [id])?;
            Ok(gone > 0)
        });
        let gone = deleted.await?;
        self.load().await?;
        Ok(gone)
    }

    /// Forgets all facts and notes, also while memory is off; how many.
    ///
    /// # Errors
    ///
    /// What the file says.
    pub async fn clear(&self) -> Result<usize, StoreError> {
        let cleared = self.file()?.run(|connection| {
            let transaction = connection.transaction()?;
            let facts = transaction.execute("DELETE FROM facts", [])?;
            let notes = transaction.execute("DELETE FROM notes", [])?;
            transaction.commit()?;
            Ok(facts + notes)
        });
        let gone = cleared.await?;
        self.load().await?;
        Ok(gone)
    }

    /// Takes over what other processes change (`caal memory forget`), and deletes notes that have expired.
    /// Never ends; dropping it stops it.
    pub async fn follow(&self) {
        let Ok(store) = &self.0.store else {
            return std::future::pending().await;
        };
        let mut seen = None;
        loop {
            let version = store.run(|connection| {
                connection.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0))
            });
            let version = version.await.ok();
            if version.is_some() && version != seen {
                seen = version;
                if let Err(error) = self.load().await {
                    warn!("what is remembered cannot be read: {error}");
                }
                self.sweep();
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The facts of the file, for everybody.
    async fn load(&self) -> Result<(), StoreError> {
        let facts = self.file()?.run(|connection| read(connection)).await?;
        self.0.facts.send_if_modified(|known| {
            let changed = known[..] != facts[..];
            *known = facts.into();
            changed
        });
        Ok(())
    }

    fn file(&self) -> Result<&Store, StoreError> {
        self.0.store.as_ref().map_err(Clone::clone)
    }

    fn store(&self) -> Result<&Store, MemoryError> {
        match (self.0.enabled)() {
            true => Ok(self.file()?),
            false => Err(MemoryError::Off),
        }
    }
}

impl Default for Memory {
    /// One that remembers nothing.
    fn default() -> Self {
        Self(Arc::new(Inner {
            store: Err(StoreError::Stopped),
            enabled: Box::new(|| false),
            facts: watch::Sender::new(Vec::new().into()),
        }))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} facts)", self.facts().len())
    }
}

fn refused(why: &str) -> MemoryError {
    MemoryError::Refused(why.to_owned())
}

fn read(connection: &Connection) -> rusqlite::Result<Vec<Fact>> {
    let mut rows = connection.prepare("SELECT id, text, stored_at FROM facts ORDER BY id")?;
    let rows = rows.query_map([], |row| {
        Ok(Fact {
            id: row.get(0)?,
            text: Pii(row.get(1)?),
            stored_at: row.get(2)?,
        })
    })?;
    rows.collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The newest of `facts` that the budget holds, oldest first.
fn for_prompt(facts: &[Fact], budget_tokens: usize) -> String {
    let cost = |fact: &Fact| approximate_tokens(&fact.text.0) + 2;
    let mut left = budget_tokens.saturating_sub(approximate_tokens(HEADING) + 1);
    let kept = facts.iter().rev().take_while(|fact| {
        let fits = cost(fact) <= left;
        left = left.saturating_sub(cost(fact));
        fits
    });
    let first = facts.len() - kept.count();
    if first == facts.len() {
        return String::new();
    }
    let mut text = HEADING.to_owned();
    for fact in &facts[first..] {
        let _ = write!(text, "\n- {}", fact.text.0);
    }
    text
}

#[cfg(test)]
mod tests;
