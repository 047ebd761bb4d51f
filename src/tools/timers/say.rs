//! The sentences about timers, alarms and reminders. Pure.

use jiff::{Timestamp, Zoned};

use super::{
    book::{Entry, Kind, Repeat, is_late},
    words::{self, sentence},
};

/// Things that are listed one by one; of more than these the number is said.
const LISTED: usize = 5;

/// `7:30 AM tomorrow`.
fn moment(due: Timestamp, now: &Zoned) -> String {
    let due = due.to_zoned(now.time_zone().clone());
    format!("{} {}", words::clock(due.time()), words::day(&due, now))
}

fn days(repeat: Repeat) -> &'static str {
    match repeat {
        Repeat::Daily => "every day",
        Repeat::Weekdays => "on weekdays",
        Repeat::Weekends => "on weekends",
    }
}

/// The moment of an alarm: `7:30 AM tomorrow`, `7:30 AM every day`.
fn when(entry: &Entry, now: &Zoned) -> String {
    match (entry.repeat, entry.wall) {
        (Some(repeat), Some(wall)) => format!("{} {}", words::clock(wall.time()), days(repeat)),
        _ => moment(entry.due, now),
    }
}

/// Without an article: `pasta timer`, `ten minute timer`, `alarm at 7:30 AM tomorrow`.
fn name(entry: &Entry, now: &Zoned) -> String {
    match (entry.kind, &entry.name, &entry.text) {
        (Kind::Reminder, _, Some(text)) => format!("reminder \"{}\"", text.0),
        (kind, Some(name), _) => format!("{} {}", name.0, kind.name()),
        (Kind::Timer, ..) => format!("{} timer", words::adjective(entry.seconds.unwrap_or(0))),
        (kind, ..) => format!("{} at {}", kind.name(), when(entry, now)),
    }
}

/// Seconds from now to then, to the nearest.
fn left(entry: &Entry, now: &Zoned) -> i64 {
    let left = entry.due.duration_since(now.timestamp());
    ((left.as_millis() + 500) / 1000)
        .try_into()
        .unwrap_or(i64::MAX)
}

/// It was set.
pub(super) fn set(entry: &Entry, now: &Zoned) -> String {
    match (entry.kind, &entry.name, &entry.text, entry.seconds) {
        (Kind::Timer, Some(name), _, Some(seconds)) => {
            format!(
                "The {} timer is set for {}.",
                name.0,
                words::length(seconds)
            )
        }
        (Kind::Timer, _, _, seconds) => {
            format!(
                "The timer is set for {}.",
                words::length(seconds.unwrap_or(0))
            )
        }
        (Kind::Alarm, Some(name), ..) => {
            format!("The {} alarm is set for {}.", name.0, when(entry, now))
        }
        (Kind::Alarm, ..) => format!("The alarm is set for {}.", when(entry, now)),
        (Kind::Reminder, _, text, seconds) => {
            let text = text.as_ref().map_or("", |text| text.0.as_str());
            match seconds {
                Some(seconds) => format!("I'll remind you in {}: {text}.", words::length(seconds)),
                None => format!("I'll remind you at {}: {text}.", when(entry, now)),
            }
        }
    }
}

/// How it is with one, as a sentence.
fn state(entry: &Entry, ringing: bool, now: &Zoned) -> String {
    match (entry.kind, &entry.name, &entry.text) {
        _ if ringing || left(entry, now) <= 0 => format!("The {} is due.", name(entry, now)),
        (Kind::Timer, _, _) => {
            let seconds = left(entry, now);
            let verb = if seconds == 1 { "is" } else { "are" };
            let verb = match seconds {
                60 | 3600 | 86_400 => "is",
                _ => verb,
            };
            sentence(&format!(
                "{} {verb} left on the {}.",
                words::left(seconds),
                name(entry, now)
            ))
        }
        (Kind::Alarm, Some(name), _) => {
            format!("The {} alarm is set for {}.", name.0, when(entry, now))
        }
        (Kind::Alarm, ..) => format!("The alarm is set for {}.", when(entry, now)),
        (Kind::Reminder, _, text) => {
            let text = text.as_ref().map_or("", |text| text.0.as_str());
            format!("At {} I'll remind you: {text}.", when(entry, now))
        }
    }
}

/// What there is of `entries`; those of `ringing` are due.
pub(super) fn list(entries: &[Entry], ringing: &[Entry], now: &Zoned) -> String {
    let is_ringing = |entry: &Entry| ringing.iter().any(|one| one.id == entry.id);
    let mut said: Vec<String> = entries
        .iter()
        .take(LISTED)
        .map(|entry| state(entry, is_ringing(entry), now))
        .collect();
    if let more @ 1.. = entries.len().saturating_sub(LISTED) {
        let verb = if more == 1 { "is" } else { "are" };
        said.push(format!(
            "And there {verb} {} more.",
            words::number(more as i64)
        ));
    }
    said.join(" ")
}

/// How many there are of each kind: `one timer and two alarms`; empty for none.
fn counts(entries: &[Entry]) -> String {
    let kinds = [Kind::Timer, Kind::Alarm, Kind::Reminder].into_iter();
    let counts = kinds.filter_map(|kind| {
        let n = entries.iter().filter(|entry| entry.kind == kind).count();
        let plural = if n == 1 { "" } else { "s" };
        (n > 0).then(|| format!("{} {}{plural}", words::number(n as i64), kind.name()))
    });
    words::listed(&counts.collect::<Vec<_>>(), "and")
}

/// Nothing like that is there; what is, is named.
pub(super) fn nothing(
    wanted: Option<Kind>,
    hint: Option<&str>,
    entries: &[Entry],
    now: &Zoned,
) -> String {
    let kind = wanted.map_or("timer", Kind::name);
    let first = match hint {
        Some(hint) => format!("There is no {kind} called {hint}."),
        None => format!("There is no {kind}."),
    };
    match entries {
        [] if hint.is_none() && wanted.is_none() => {
            "There are no timers, alarms or reminders.".to_owned()
        }
        [] => first,
        [one] => format!("{first} There is only the {}.", name(one, now)),
        few if few.len() <= LISTED => {
            let names: Vec<String> = few
                .iter()
                .map(|entry| format!("the {}", name(entry, now)))
                .collect();
            format!("{first} There are {}.", words::listed(&names, "and"))
        }
        many => format!("{first} There are {}.", counts(many)),
    }
}

/// It is over before its time.
pub(super) fn cancelled(entries: &[Entry], ringing: &[Entry], now: &Zoned) -> String {
    match entries {
        [one] if ringing.iter().any(|ring| ring.id == one.id) => {
            format!("The {} is off.", name(one, now))
        }
        [one] => format!("The {} is cancelled.", name(one, now)),
        all => sentence(&format!("{} are cancelled.", counts(all))),
    }
}

/// It rang and is off, before anybody asked for it; `others` of its kind are still to come.
pub(super) fn over(one: &Entry, others: &[Entry], now: &Zoned) -> String {
    let kind = one.kind.name();
    match others {
        [] => format!("The {kind} is off already."),
        _ => format!("That {kind} is off already. {}", say_more(others, now)),
    }
}

fn say_more(others: &[Entry], now: &Zoned) -> String {
    match others {
        [one] => format!(
            "The {} is still to come; to cancel it, say which.",
            name(one, now)
        ),
        all => format!(
            "There are {} to come; to cancel one, say which.",
            counts(all)
        ),
    }
}

/// Which of these is meant?
pub(super) fn which(entries: &[Entry], now: &Zoned) -> String {
    if entries.len() > LISTED {
        return format!("Which one do you mean? There are {}.", counts(entries));
    }
    let names: Vec<String> = entries.iter().map(|entry| name(entry, now)).collect();
    let told = entries.iter().zip(&names).map(|(entry, name)| {
        let alone = names.iter().filter(|other| *other == name).count() == 1;
        match alone {
            true => format!("the {name}"),
            false => format!("the {name} with {} left", words::left(left(entry, now))),
        }
    });
    format!(
        "Which one do you mean: {}?",
        words::listed(&told.collect::<Vec<_>>(), "or")
    )
}

/// It is due; `off`: caal was not running then.
pub(super) fn due(entry: &Entry, off: bool, now: &Zoned) -> String {
    if is_late(entry.due, now.timestamp()) {
        let then = entry.due.to_zoned(now.time_zone().clone());
        let mut at = words::clock(then.time());
        if then.date() != now.date() {
            at = format!("{at} {}", words::day(&then, now));
        }
        let while_off = if off { "While I was off, your" } else { "Your" };
        return match (entry.kind, &entry.name, &entry.text) {
            (Kind::Reminder, _, Some(text)) => {
                format!("{while_off} reminder was due at {at}: {}.", text.0)
            }
            (Kind::Timer, ..) => format!("{while_off} {} was due at {at}.", name(entry, now)),
            (kind, Some(name), _) => {
                format!("{while_off} {} {} was due at {at}.", name.0, kind.name())
            }
            (kind, ..) => format!("{while_off} {} was due at {at}.", kind.name()),
        };
    }
    match (entry.kind, &entry.name, &entry.text) {
        (Kind::Reminder, _, Some(text)) => format!("A reminder: {}.", text.0),
        (Kind::Timer, ..) => format!("Your {} is done.", name(entry, now)),
        (kind, name, _) => {
            let due = entry.due.to_zoned(now.time_zone().clone());
            let time = words::clock(due.time());
            match name {
                Some(name) => format!("It's {time}. This is your {} {}.", name.0, kind.name()),
                None if (4..11).contains(&due.hour()) => format!("It's {time}: time to get up."),
                None => format!("It's {time}. This is your {}.", kind.name()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::pii::Pii;

    fn now() -> Zoned {
        "2026-11-24T20:00:00+01:00[Europe/Berlin]".parse().unwrap()
    }

    fn timer(name: Option<&str>, seconds: i64) -> Entry {
        Entry {
            id: seconds,
            kind: Kind::Timer,
            name: name.map(|name| Pii(name.to_owned())),
            text: None,
            due: now().timestamp() + SignedDuration::from_secs(seconds),
            created: now().timestamp(),
            seconds: Some(seconds),
            wall: None,
            repeat: None,
            place: String::new(),
        }
    }

    fn alarm(at: &str, name: Option<&str>) -> Entry {
        let at: Zoned = at.parse().unwrap();
        Entry {
            kind: Kind::Alarm,
            due: at.timestamp(),
            wall: Some(at.datetime()),
            seconds: None,
            ..timer(name, 0)
        }
    }

    fn reminder(seconds: i64) -> Entry {
        Entry {
            kind: Kind::Reminder,
            text: Some(Pii("take out the bread".to_owned())),
            ..timer(None, seconds)
        }
    }

    #[test]
    fn what_was_set_is_said() {
        let said = |entry: &Entry| set(entry, &now());
        assert_eq!(
            said(&timer(Some("pasta"), 600)),
            "The pasta timer is set for ten minutes."
        );
        assert_eq!(
            said(&timer(None, 90)),
            "The timer is set for one minute and thirty seconds."
        );
        let morning = alarm("2026-11-25T07:30:00+01:00[Europe/Berlin]", None);
        assert_eq!(said(&morning), "The alarm is set for 7:30 AM tomorrow.");
        let daily = Entry {
            repeat: Some(Repeat::Weekdays),
            ..morning
        };
        assert_eq!(said(&daily), "The alarm is set for 7:30 AM on weekdays.");
        assert_eq!(
            said(&reminder(1200)),
            "I'll remind you in twenty minutes: take out the bread."
        );
    }

    #[test]
    fn what_is_left_is_said() {
        let said = |entries: &[Entry]| list(entries, &[], &now());
        let pasta = timer(Some("pasta"), 250);
        assert_eq!(
            said(&[pasta]),
            "Four minutes and ten seconds are left on the pasta timer."
        );
        assert_eq!(
            said(&[timer(None, 60)]),
            "One minute is left on the one minute timer."
        );
        let two = [
            timer(Some("tea"), 61),
            alarm("2026-11-24T22:00:00+01:00[Europe/Berlin]", None),
        ];
        assert_eq!(
            said(&two),
            "One minute and one second are left on the tea timer. The alarm is set for 10 PM today."
        );
        let many: Vec<Entry> = (1..=7).map(|n| timer(None, n * 60)).collect();
        assert!(said(&many).ends_with("And there are two more."));
    }

    #[test]
    fn what_is_not_there_is_said_with_what_is() {
        let said = |kind, hint, entries: &[Entry]| nothing(kind, hint, entries, &now());
        assert_eq!(
            said(None, None, &[]),
            "There are no timers, alarms or reminders."
        );
        assert_eq!(
            said(None, Some("pizza"), &[timer(Some("pasta"), 60)]),
            "There is no timer called pizza. There is only the pasta timer."
        );
        assert_eq!(
            said(
                None,
                None,
                &[alarm("2026-11-25T07:30:00+01:00[Europe/Berlin]", None)]
            ),
            "There is no timer. There is only the alarm at 7:30 AM tomorrow."
        );
    }

    #[test]
    fn a_question_tells_apart_what_is_called_alike() {
        let said = |entries: &[Entry]| which(entries, &now());
        assert_eq!(
            said(&[timer(Some("pasta"), 60), timer(None, 600)]),
            "Which one do you mean: the pasta timer or the ten minute timer?"
        );
        assert_eq!(
            said(&[timer(Some("egg"), 60), timer(Some("egg"), 240)]),
            "Which one do you mean: the egg timer with one minute left or the egg timer with four minutes left?"
        );
    }

    #[test]
    fn what_is_due_is_said_and_what_is_late_says_so() {
        let later = |minutes| &now() + SignedDuration::from_mins(minutes);
        let pasta = timer(Some("pasta"), 0);
        assert_eq!(due(&pasta, false, &now()), "Your pasta timer is done.");
        assert_eq!(
            due(&pasta, false, &later(30)),
            "Your pasta timer was due at 8 PM."
        );
        assert_eq!(
            due(&pasta, true, &later(30)),
            "While I was off, your pasta timer was due at 8 PM."
        );
        assert_eq!(
            due(&pasta, true, &later(600)),
            "While I was off, your pasta timer was due at 8 PM yesterday."
        );
        let bread = reminder(0);
        assert_eq!(
            due(&bread, false, &now()),
            "A reminder: take out the bread."
        );
        assert_eq!(
            due(&bread, true, &later(90)),
            "While I was off, your reminder was due at 8 PM: take out the bread."
        );
        let up = alarm("2026-11-25T07:30:00+01:00[Europe/Berlin]", None);
        let then = up.due.to_zoned(now().time_zone().clone());
        assert_eq!(due(&up, false, &then), "It's 7:30 AM: time to get up.");
        let work = alarm("2026-11-25T07:30:00+01:00[Europe/Berlin]", Some("work"));
        assert_eq!(
            due(&work, false, &then),
            "It's 7:30 AM. This is your work alarm."
        );
    }
}
