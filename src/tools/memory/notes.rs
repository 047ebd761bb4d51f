//! Short-term memory: a value under a key, for a while.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Memory, MemoryError, matching, one_line};
use crate::{
    pii::Pii,
    store::{StoreError, millis},
};

/// How long a note is kept where nobody says how long.
pub(super) const USUAL: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long a note is kept at most.
pub(super) const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// How many notes are kept.
pub(super) const MOST_NOTES: usize = 500;

/// Longest key, characters.
pub(super) const LONGEST_KEY: usize = 100;

/// Longest value, characters.
pub(super) const LONGEST_VALUE: usize = 2000;

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about: small letters.
    pub key: Pii<String>,
    /// What was to be remembered.
    pub value: Pii<String>,
    /// Milliseconds since 1970.
    pub stored_at: i64,
    /// The same.
    pub expires_at: Option<i64>,
    /// Who stored it: `assistant` or `api`.
    pub source: String,
}

impl Memory {
    /// Keeps `value` under `key`, in the place of what was there, for so long.
    ///
    /// # Errors
    ///
    /// Where memory is off or full, key or value are none or too long, or the file does not take it.
    pub async fn store_note(
        &self,
        key: &str,
        value: &str,
        stay: Option<Duration>,
        source: &str,
    ) -> Result<Note, MemoryError> {
        let store = self.store()?;
        bounded("the key", key, LONGEST_KEY)?;
        bounded("the value", value, LONGEST_VALUE)?;
        let (key, value) = (name(key), value.trim().to_owned());
        let stay = stay.unwrap_or(USUAL).min(LONGEST);
        let now = SystemTime::now();
        let note = Note {
            key: Pii(key),
            value: Pii(value),
            stored_at: millis(now),
            expires_at: Some(millis(now + stay)),
            source: source.to_owned(),
        };
        let fresh = note.clone();
        let stored = store.run(move |connection| {
            let transaction = connection.transaction()?;
            expire(&transaction, fresh.stored_at)?;
            let others = transaction.query_row(
                "SELECT count(*) FROM notes WHERE key <> ?1",
                [&fresh.key.0],
                |row| row.get::<_, i64>(0),
            )?;
            let room = usize::try_from(others).is_ok_and(|others| others < MOST_NOTES);
            if room {
                transaction.execute(
                    "INSERT OR REPLACE INTO notes (key, value, stored_at, expires_at, source)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![
                        fresh.key.0,
                        fresh.value.0,
                        fresh.stored_at,
                        fresh.expires_at,
                        fresh.source
                    ],
                )?;
            }
            transaction.commit()?;
            Ok(room)
        });
        match stored.await? {
            true => Ok(note),
            false => Err(MemoryError::Refused(format!(
                "{MOST_NOTES} notes are kept already; delete some first"
            ))),
        }
    }

    /// The note under `key`; none where there is none, or it has expired.
    ///
    /// # Errors
    ///
    /// Where memory is off, or the file cannot be read.
    pub async fn note(&self, key: &str) -> Result<Option<Note>, MemoryError> {
        let (key, now) = (name(key), millis(SystemTime::now()));
        let found = self.store()?.run(move |connection| {
            let mut found = connection.prepare(&format!("{NOTES} AND key = ?2"))?;
            found.query_row(params![now, key], note).optional()
        });
        Ok(found.await?)
    }

    /// All notes that have not expired, by key.
    ///
    /// # Errors
    ///
    /// Where memory is off, or the file cannot be read.
    pub async fn notes(&self) -> Result<Vec<Note>, MemoryError> {
        let now = millis(SystemTime::now());
        let found = self.store()?.run(move |connection| {
            let mut found = connection.prepare(&format!("{NOTES} ORDER BY key"))?;
            found.query_map([now], note)?.collect()
        });
        Ok(found.await?)
    }

    /// Deletes the note under `key`, also while memory is off; whether there was one.
    ///
    /// # Errors
    ///
    /// What the file says.
    pub async fn delete_note(&self, key: &str) -> Result<bool, StoreError> {
        let (key, now) = (name(key), millis(SystemTime::now()));
        let deleted = self.file()?.run(move |connection| {
            expire(connection, now)?;
            let gone = connection.execute("DELETE FROM notes WHERE key = ?1", [key])?;
            Ok(gone > 0)
        });
        deleted.await
    }

    /// Deletes all notes, also while memory is off; how many.
    ///
    /// # Errors
    ///
    /// What the file says.
    pub async fn clear_notes(&self) -> Result<usize, StoreError> {
        let deleted = self
            .file()?
            .run(|connection| connection.execute("DELETE FROM notes", []));
        deleted.await
    }

    /// Deletes the notes that have expired, by and by.
    pub(super) fn sweep(&self) {
        if let Ok(store) = self.file() {
            let now = millis(SystemTime::now());
            store.post("old notes are not deleted", move |connection| {
                expire(connection, now)
            });
        }
    }
}

/// What is the same key when it is spoken: without signs, in small letters.
fn name(key: &str) -> String {
    match matching::plain(key) {
        // Nothing but signs: as it is.
        plain if plain.is_empty() => one_line(key),
        plain => plain,
    }
}

fn bounded(what: &str, text: &str, most: usize) -> Result<(), MemoryError> {
    match text.chars().count() {
        _ if text.trim().is_empty() => Err(MemoryError::Refused(format!("{what} is empty"))),
        n if n > most => Err(MemoryError::Refused(format!(
            "{what} is longer than {most} characters; make it shorter"
        ))),
        _ => Ok(()),
    }
}

const NOTES: &str = "SELECT key, value, stored_at, expires_at, source FROM notes
     WHERE (expires_at IS NULL OR expires_at > ?1)";

fn note(row: &Row<'_>) -> rusqlite::Result<Note> {
    Ok(Note {
        key: Pii(row.get(0)?),
        value: Pii(row.get(1)?),
        stored_at: row.get(2)?,
        expires_at: row.get(3)?,
        source: row.get(4)?,
    })
}

fn expire(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    connection
        .execute("DELETE FROM notes WHERE expires_at <= ?1", [now])
        .map(drop)
}
