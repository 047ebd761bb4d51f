//! What is to come and what rings: the rules of timers, alarms and reminders. Pure: the moment is passed in.
//!
//! What is due is handed out once and stays in the book until somebody says that it was spoken. A timer or
//! an alarm is then due again a minute later, [`RINGS`] times in all, until somebody reacts, a reminder
//! [`REMINDS`] times: who spoke at that moment, or was out of the room, hears it then. Whatever is [`LATE`] is
//! spoken once.

use std::time::Duration;

use jiff::{
    SignedDuration, Timestamp, Zoned,
    civil::{DateTime, Time, Weekday},
    tz::TimeZone,
};

use crate::pii::Pii;

/// How often a timer or an alarm is spoken while nobody reacts.
pub(super) const RINGS: u8 = 3;

/// The same of a reminder.
const REMINDS: u8 = 2;

/// Between two of them.
const AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// From here on it is said when it was due.
pub(super) const LATE: Duration = Duration::from_secs(5 * 60);

/// Somebody who stops what has just rung means that, and nothing that is still to come.
const JUST: SignedDuration = SignedDuration::from_secs(90);

/// How many there may be at once.
pub(super) const MOST: usize = 100;

/// What somebody set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A length of time.
    Timer,
    /// A time of day.
    Alarm,
    /// Words at a moment.
    Reminder,
}

impl Kind {
    /// `timer`, `alarm` or `reminder`.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Timer => "timer",
            Kind::Alarm => "alarm",
            Kind::Reminder => "reminder",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Kind::Timer, Kind::Alarm, Kind::Reminder];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

/// On which days an alarm comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Every day.
    Daily,
    /// Monday to Friday.
    Weekdays,
    /// Saturday and Sunday.
    Weekends,
}

impl Repeat {
    /// `daily`, `weekdays` or `weekends`.
    pub const fn name(self) -> &'static str {
        match self {
            Repeat::Daily => "daily",
            Repeat::Weekdays => "weekdays",
            Repeat::Weekends => "weekends",
        }
    }

    /// The repetition of this name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Repeat::Daily, Repeat::Weekdays, Repeat::Weekends];
        all.into_iter().find(|repeat| repeat.name() == name)
    }

    fn is_on(self, day: Weekday) -> bool {
        let weekend = matches!(day, Weekday::Saturday | Weekday::Sunday);
        match self {
            Repeat::Daily => true,
            Repeat::Weekdays => !weekend,
            Repeat::Weekends => weekend,
        }
    }

    /// The first moment after `now` at `time`, by the clock of its zone.
    pub(super) fn next(self, time: Time, now: &Zoned) -> Option<(DateTime, Timestamp)> {
        let days = now.date().series(jiff::Span::new().days(1)).take(9);
        days.filter(|day| self.is_on(day.weekday()))
            .map(|day| day.to_datetime(time))
            .filter_map(|wall| Some((wall, moment(wall, now.time_zone())?)))
            .find(|(_, due)| *due > now.timestamp())
    }
}

/// When the clock of `zone` shows `wall`; where it is put forward over it, so much later; where it shows it
/// twice, the first time.
pub(super) fn moment(wall: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_timestamp(wall).ok()
}

/// A timer, alarm or reminder.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// From 1.
    pub id: i64,
    /// What it is.
    pub kind: Kind,
    /// As its owner calls it: `pasta`.
    pub name: Option<Pii<String>>,
    /// Of a reminder: what to remind of.
    pub text: Option<Pii<String>>,
    /// When it speaks up.
    pub due: Timestamp,
    /// When it was set.
    pub created: Timestamp,
    /// As asked for, where a length of time was: seconds.
    pub seconds: Option<i64>,
    /// What the clock shows then, where a time of day was asked for: it counts when the zone changes.
    pub wall: Option<DateTime>,
    /// On which days it comes again.
    pub repeat: Option<Repeat>,
    /// The room or chat that it was asked for in.
    pub place: String,
}

/// How far the speaking up of an entry is.
#[derive(Clone, Debug, Default, PartialEq)]
struct Ringing {
    /// How often it was spoken.
    said: u8,
    /// Where, and when, the last time.
    heard: Option<(String, Timestamp)>,
    /// Not before.
    next: Option<Timestamp>,
    /// Handed out, and nobody has said that it was spoken.
    handed: bool,
}

/// What is to be written down after a change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Change {
    /// As they are from now on.
    pub(super) saved: Vec<Entry>,
    /// Spoken at least once.
    pub(super) fired: Option<i64>,
    /// Over.
    pub(super) gone: Vec<i64>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// In the order of setting.
    entries: Vec<(Entry, Ringing)>,
    last_id: i64,
    /// What rang and is over, and since when; the last few.
    over: Vec<(Entry, Timestamp)>,
}

impl Book {
    pub(super) fn of(entries: Vec<Entry>) -> Self {
        let last_id = entries.iter().map(|entry| entry.id).max().unwrap_or(0);
        let entries = entries.into_iter();
        Self {
            entries: entries.map(|entry| (entry, Ringing::default())).collect(),
            last_id,
            over: Vec::new(),
        }
    }

    /// Adds it; it gets its id. `None` where there are too many.
    pub(super) fn add(&mut self, mut entry: Entry) -> Option<Entry> {
        if self.entries.len() >= MOST {
            return None;
        }
        self.last_id += 1;
        entry.id = self.last_id;
        self.entries.push((entry.clone(), Ringing::default()));
        Some(entry)
    }

    /// Takes it out; whether it was there.
    pub(super) fn remove(&mut self, id: i64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(entry, _)| entry.id != id);
        self.entries.len() < before
    }

    /// What rang is over at `now`, though nobody has cancelled it.
    fn end(&mut self, id: i64, now: Timestamp) {
        self.over.retain(|(_, since)| is_just(*since, now));
        if let Some((entry, _)) = self.find(id).cloned() {
            self.over.push((entry, now));
            self.remove(id);
        }
    }

    /// What rang last, and is over since a moment ago; and since when.
    pub(super) fn just_over(
        &self,
        kind: Option<Kind>,
        now: Timestamp,
    ) -> Option<(Entry, Timestamp)> {
        let of_kind = |entry: &Entry| kind.is_none_or(|kind| kind == entry.kind);
        let just = |(entry, since): &&(Entry, Timestamp)| of_kind(entry) && is_just(*since, now);
        self.over.iter().rev().find(just).cloned()
    }

    /// What was spoken once and may be spoken again.
    pub(super) fn ringing(&self) -> Vec<Entry> {
        let ringing = self.entries.iter().filter(|(_, ringing)| ringing.said > 0);
        ringing.map(|(entry, _)| entry.clone()).collect()
    }

    /// All, by when they are due.
    pub(super) fn all(&self) -> Vec<Entry> {
        let mut all: Vec<Entry> = self
            .entries
            .iter()
            .map(|(entry, _)| entry.clone())
            .collect();
        all.sort_by_key(|entry| (entry.due, entry.id));
        all
    }

    pub(super) fn get(&self, id: i64) -> Option<&Entry> {
        self.find(id).map(|(entry, _)| entry)
    }

    fn find(&self, id: i64) -> Option<&(Entry, Ringing)> {
        self.entries.iter().find(|(entry, _)| entry.id == id)
    }

    /// When the next one is to be handed out; may be over.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let waiting = self.entries.iter().filter(|(_, ringing)| !ringing.handed);
        waiting
            .map(|(entry, ringing)| ringing.next.unwrap_or(entry.due))
            .min()
    }

    /// Hands out what has been due longest, if anything is due at `now`.
    pub(super) fn hand(&mut self, now: Timestamp) -> Option<Entry> {
        let due = |entry: &Entry, ringing: &Ringing| ringing.next.unwrap_or(entry.due);
        let waiting = self.entries.iter_mut().filter(|(entry, ringing)| {
            let due = due(entry, ringing);
            !ringing.handed && due <= now
        });
        let (entry, ringing) =
            waiting.min_by_key(|(entry, ringing)| (due(entry, ringing), entry.id))?;
        ringing.handed = true;
        Some(entry.clone())
    }

    /// It was handed out and not spoken; it is tried again after `pause`.
    pub(super) fn give_back(&mut self, id: i64, now: Timestamp, pause: SignedDuration) {
        if let Some((_, ringing)) = self.entries.iter_mut().find(|(entry, _)| entry.id == id) {
            ringing.handed = false;
            ringing.next = Some(now.saturating_add(pause).unwrap_or(now));
        }
    }

    /// It was spoken in `place` at `now`.
    pub(super) fn spoken(&mut self, id: i64, place: &str, now: &Zoned) -> Change {
        let mut change = Change::default();
        let at = now.timestamp();
        let Some((entry, ringing)) = self.entries.iter_mut().find(|(entry, _)| entry.id == id)
        else {
            return change; // cancelled meanwhile
        };
        ringing.handed = false;
        ringing.said += 1;
        ringing.heard = Some((place.to_owned(), at));
        ringing.next = Some(at.saturating_add(AGAIN).unwrap_or(at));
        let late = is_late(entry.due, at);
        let most = match entry.kind {
            Kind::Reminder => REMINDS,
            Kind::Timer | Kind::Alarm => RINGS,
        };
        let over = ringing.said >= most || late;
        change.fired = Some(id);
        // What comes again goes on under another number; this one rings no more days.
        let again = entry
            .repeat
            .take()
            .zip(entry.wall)
            .and_then(|(repeat, wall)| {
                let (wall, due) = repeat.next(wall.time(), now)?;
                Some(Entry {
                    due,
                    wall: Some(wall),
                    repeat: Some(repeat),
                    ..entry.clone()
                })
            });
        if over {
            self.end(id, at);
            change.fired = None;
            change.gone.push(id);
        }
        // Never refused: one has just been made room for, or will be.
        if let Some(mut again) = again {
            self.last_id += 1;
            again.id = self.last_id;
            self.entries.push((again.clone(), Ringing::default()));
            change.saved.push(again);
        }
        change
    }

    /// Somebody reacted in `place` with words that began at `at`: what was spoken there before is over.
    pub(super) fn quiet(&mut self, place: &str, at: Timestamp) -> Change {
        let heard = |ringing: &Ringing| {
            let heard = ringing.heard.as_ref();
            heard.is_some_and(|(where_, when)| where_ == place && *when < at)
        };
        let over = self.entries.iter().filter(|(_, ringing)| heard(ringing));
        let gone: Vec<i64> = over.map(|(entry, _)| entry.id).collect();
        for id in &gone {
            self.end(*id, at);
        }
        Change {
            gone,
            ..Change::default()
        }
    }

    /// The clock on the wall is another: what was asked for by it is moved.
    pub(super) fn rezone(&mut self, zone: &TimeZone) -> Change {
        let mut change = Change::default();
        for (entry, ringing) in &mut self.entries {
            let due = entry.wall.and_then(|wall| moment(wall, zone));
            if let Some(due) = due
                && due != entry.due
                && ringing.said == 0
            {
                entry.due = due;
                change.saved.push(entry.clone());
            }
        }
        change
    }
}

fn is_just(since: Timestamp, now: Timestamp) -> bool {
    now.duration_since(since) <= JUST
}

/// Whether something due at `due` is spoken of late at `now`.
pub(super) fn is_late(due: Timestamp, now: Timestamp) -> bool {
    let late = SignedDuration::try_from(LATE).unwrap_or(SignedDuration::MAX);
    now.duration_since(due) >= late
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    fn entry(kind: Kind, due: &Zoned) -> Entry {
        Entry {
            id: 0,
            kind,
            name: None,
            text: None,
            due: due.timestamp(),
            created: due.timestamp(),
            seconds: Some(60),
            wall: None,
            repeat: None,
            place: "den".to_owned(),
        }
    }

    #[test]
    fn a_timer_rings_three_times_a_minute_apart_and_each_time_only_once_it_was_spoken() {
        let due = at("2026-11-24T07:00:00+01:00[Europe/Berlin]");
        let mut book = Book::default();
        let id = book.add(entry(Kind::Timer, &due)).unwrap().id;
        let just_before = due.timestamp() - SignedDuration::from_millis(1);
        assert_eq!(book.hand(just_before), None);
        let mut now = due;
        for ring in 1..=RINGS {
            assert!(book.hand(now.timestamp()).is_some(), "ring {ring}");
            assert_eq!(book.hand(now.timestamp()), None, "handed out once");
            let change = book.spoken(id, "den", &now);
            assert_eq!(change.gone.is_empty(), ring < RINGS);
            assert_eq!(book.hand(now.timestamp()), None);
            now = &now + SignedDuration::from_secs(60);
        }
        assert_eq!(book.all(), []);
    }

    #[test]
    fn what_nobody_spoke_stays_and_is_handed_out_again_after_a_pause() {
        let due = at("2026-11-24T07:00:00+01:00[Europe/Berlin]");
        let mut book = Book::default();
        let id = book.add(entry(Kind::Reminder, &due)).unwrap().id;
        let now = due.timestamp();
        book.hand(now).unwrap();
        let pause = SignedDuration::from_secs(5);
        book.give_back(id, now, pause);
        assert_eq!(book.hand(now), None);
        assert_eq!(book.next(), Some(now + pause));
        assert!(book.hand(now + pause).is_some());
        // A reminder is over with the second time.
        assert!(book.spoken(id, "den", &due).gone.is_empty());
        let later = &due + AGAIN;
        assert!(book.hand(later.timestamp()).is_some());
        assert_eq!(book.spoken(id, "den", &later).gone, [id]);
    }

    #[test]
    fn words_in_the_place_where_it_was_heard_end_the_ringing_and_words_elsewhere_do_not() {
        let due = at("2026-11-24T07:00:00+01:00[Europe/Berlin]");
        let mut book = Book::default();
        let id = book.add(entry(Kind::Alarm, &due)).unwrap().id;
        book.hand(due.timestamp()).unwrap();
        book.spoken(id, "attic", &due);
        let before = due.timestamp() - SignedDuration::from_secs(1);
        let after = due.timestamp() + SignedDuration::from_secs(1);
        assert_eq!(book.quiet("den", after), Change::default());
        assert_eq!(book.quiet("attic", before), Change::default());
        assert_eq!(book.ringing().len(), 1);
        assert_eq!(book.quiet("attic", after).gone, [id]);
        assert_eq!(book.next(), None);
    }

    #[test]
    fn an_alarm_that_comes_again_rings_on_while_the_next_one_waits() {
        // A Friday.
        let due = at("2026-11-27T07:00:00+01:00[Europe/Berlin]");
        let mut book = Book::default();
        let alarm = Entry {
            wall: Some(due.datetime()),
            repeat: Some(Repeat::Weekdays),
            ..entry(Kind::Alarm, &due)
        };
        let id = book.add(alarm).unwrap().id;
        book.hand(due.timestamp()).unwrap();
        let change = book.spoken(id, "den", &due);
        assert_eq!(change.fired, Some(id));
        let monday = at("2026-11-30T07:00:00+01:00[Europe/Berlin]");
        assert_eq!(change.saved[0].due, monday.timestamp());
        assert_ne!(change.saved[0].id, id);
        assert_eq!(book.all().len(), 2);
        book.quiet("den", due.timestamp() + SignedDuration::from_secs(9));
        assert_eq!(book.all(), change.saved);
    }

    #[test]
    fn a_day_that_has_no_half_past_two_rings_an_hour_later_and_the_next_day_in_time() {
        // In Berlin the clock is put forward from 02:00 to 03:00 on 29 March 2026.
        let now = at("2026-03-28T12:00:00+01:00[Europe/Berlin]");
        let time = jiff::civil::time(2, 30, 0, 0);
        let (wall, due) = Repeat::Daily.next(time, &now).unwrap();
        assert_eq!(
            due,
            at("2026-03-29T03:30:00+02:00[Europe/Berlin]").timestamp()
        );
        assert_eq!(wall.time(), time);
        let then = due.to_zoned(now.time_zone().clone());
        let (_, due) = Repeat::Daily.next(wall.time(), &then).unwrap();
        assert_eq!(
            due,
            at("2026-03-30T02:30:00+02:00[Europe/Berlin]").timestamp()
        );
    }

    #[test]
    fn the_hour_that_comes_twice_counts_the_first_time() {
        let now = at("2026-10-24T12:00:00+02:00[Europe/Berlin]");
        let (_, due) = Repeat::Daily
            .next(jiff::civil::time(2, 30, 0, 0), &now)
            .unwrap();
        assert_eq!(
            due,
            at("2026-10-25T02:30:00+02:00[Europe/Berlin]").timestamp()
        );
    }

    #[test]
    fn another_zone_moves_alarms_and_no_timers() {
        let due = at("2026-11-24T07:00:00+00:00[UTC]");
        let mut book = Book::default();
        let alarm = Entry {
            wall: Some(due.datetime()),
            seconds: None,
            ..entry(Kind::Alarm, &due)
        };
        let id = book.add(alarm).unwrap().id;
        book.add(entry(Kind::Timer, &due)).unwrap();
        let zone = TimeZone::get("Asia/Tokyo").unwrap();
        let change = book.rezone(&zone);
        assert_eq!(change.saved.len(), 1);
        assert_eq!(change.saved[0].id, id);
        let seven = at("2026-11-24T07:00:00+09:00[Asia/Tokyo]");
        assert_eq!(change.saved[0].due, seven.timestamp());
        assert_eq!(book.rezone(&zone), Change::default());
    }

    #[test]
    fn there_is_an_end_to_how_many_there_may_be() {
        let due = at("2026-11-24T07:00:00+00:00[UTC]");
        let mut book = Book::default();
        for _ in 0..MOST {
            assert!(book.add(entry(Kind::Timer, &due)).is_some());
        }
        assert_eq!(book.add(entry(Kind::Timer, &due)), None);
    }
}
