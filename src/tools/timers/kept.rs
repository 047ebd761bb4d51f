//! Timers, alarms and reminders in the store.

use jiff::{Timestamp, civil::DateTime};
use rusqlite::{Connection, Row, params};

use super::book::{Change, Entry, Kind, Repeat};
use crate::{
    pii::Pii,
    store::{Store, StoreError},
};

/// What is still to come. What was spoken before the process ended is over.
pub(super) async fn load(store: &Store) -> Result<Vec<Entry>, StoreError> {
    let rows = store.run(|connection| {
        // A full disk does not take it; it is no reason to forget the others.
        let _ = connection.execute("DELETE FROM timers WHERE fired_at IS NOT NULL", []);
        let mut all = connection.prepare(
            "SELECT id, kind, name, due_at, created_at, seconds, text, place, wall, repeat FROM timers WHERE fired_at IS NULL ORDER BY id",
        )?;
        let rows = all.query_map([], entry)?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    });
    // A row that makes no sense is of a newer program, and stays for it.
    Ok(rows.await?.into_iter().flatten().collect())
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Option<Entry>> {
    let kind: String = row.get("kind")?;
    let at = |ms: i64| Timestamp::from_millisecond(ms).ok();
    let (due, created) = (at(row.get("due_at")?), at(row.get("created_at")?));
    let (Some(kind), Some(due), Some(created)) = (Kind::named(&kind), due, created) else {
        return Ok(None);
    };
    let repeat: Option<String> = row.get("repeat")?;
    let wall: Option<String> = row.get("wall")?;
    let place: Option<String> = row.get("place")?;
    Ok(Some(Entry {
        id: row.get("id")?,
        kind,
        name: row.get::<_, Option<String>>("name")?.map(Pii),
        text: row.get::<_, Option<String>>("text")?.map(Pii),
        due,
        created,
        seconds: row.get("seconds")?,
        wall: wall.and_then(|wall| wall.parse::<DateTime>().ok()),
        repeat: repeat.as_deref().and_then(Repeat::named),
        place: place.unwrap_or_default(),
    }))
}

/// Writes `change` down as a whole. On its way when this returns; what was handed over is on the disk when
/// the future resolves.
pub(super) fn write(
    store: &Store,
    change: Change,
    now: Timestamp,
) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
    store.run(move |connection| {
        let work = connection.transaction()?;
        for entry in &change.saved {
            save(&work, entry)?;
        }
        if let Some(id) = change.fired {
            let fired = "UPDATE timers SET fired_at = ?2 WHERE id = ?1";
            work.execute(fired, params![id, now.as_millisecond()])?;
        }
        for id in &change.gone {
            work.execute("DELETE FROM timers WHERE id = ?1", [id])?;
        }
        work.commit()
    })
}

fn save(connection: &Connection, entry: &Entry) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT OR REPLACE INTO timers (id, kind, name, due_at, created_at, seconds, text, place, wall, repeat)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            entry.id,
            entry.kind.name(),
            entry.name.as_ref().map(|name| &name.0),
            entry.due.as_millisecond(),
            entry.created.as_millisecond(),
            entry.seconds,
            entry.text.as_ref().map(|text| &text.0),
            entry.place,
            entry.wall.map(|wall| wall.to_string()),
            entry.repeat.map(Repeat::name),
        ],
    )?;
    Ok(())
}
