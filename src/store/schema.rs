//! All tables, as the steps from one version of the file to the next. A step that was released is never
//! changed: what is to be different is a new step at the end. Times are milliseconds since 1970.

/// Step `n` (from 0) brings a file of version `n` to version `n + 1`.
pub(super) const STEPS: &[&str] = &["
    -- What was said, room by room. An id is never given twice.
    CREATE TABLE conversations (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        room TEXT NOT NULL,             -- empty: this machine's own sound
        title TEXT NOT NULL,            -- the first words
        started_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX conversations_by_age ON conversations (updated_at);
    CREATE INDEX conversations_by_room ON conversations (room, updated_at);

    CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
        at INTEGER NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('user', 'assistant', 'tool')),
        text TEXT NOT NULL,             -- of an answer: what was heard
        complete INTEGER NOT NULL,      -- 0: the user cut in
        meta TEXT                       -- JSON; none for nothing
    ) STRICT;
    CREATE INDEX messages_by_conversation ON messages (conversation_id, id);

    -- Timers, alarms and reminders.
    CREATE TABLE timers (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,             -- timer, alarm or reminder
        name TEXT,
        due_at INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        seconds INTEGER,                -- as asked for; none where a time of day was
        text TEXT,                      -- of a reminder
        place TEXT,                     -- where it speaks up
        fired_at INTEGER                -- none: still to come
    ) STRICT;
    CREATE INDEX timers_by_due ON timers (due_at) WHERE fired_at IS NULL;

    -- Short-term memory.
    CREATE TABLE notes (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL,
        stored_at INTEGER NOT NULL,
        expires_at INTEGER,             -- none: never
        source TEXT NOT NULL            -- who stored it
    ) STRICT;

    -- Long-term facts the user asked to remember.
    CREATE TABLE facts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        text TEXT NOT NULL,
        stored_at INTEGER NOT NULL
    ) STRICT;
", "
    -- What was asked for by the clock on the wall, and what comes again.
    ALTER TABLE timers ADD COLUMN wall TEXT;    -- 2026-11-24T07:30:00; none where a length of time was asked for
    ALTER TABLE timers ADD COLUMN repeat TEXT;  -- daily, weekdays or weekends; none: once
"];
