//! What is asked for, out of the arguments of a call. Pure. Language models write them a little wrong: what can
//! only mean one thing is taken, the rest is refused with a sentence that says what is missing.

use jiff::{
    Timestamp, Zoned,
    civil::{Date, DateTime, Time, Weekday},
};
use serde_json::{Map, Value};

use super::{
    book::{self, Repeat},
    words,
};

/// Longest length of time, seconds: a week.
pub(super) const LONGEST: i64 = 7 * 86_400;

/// Longest name, characters.
const LONGEST_NAME: usize = 60;

/// Longest text of a reminder, characters.
const LONGEST_TEXT: usize = 300;

/// How far ahead a date may be, days.
const FARTHEST: i64 = 2 * 366;

/// A text of `arguments`, on one line; none where it is empty or missing.
pub(super) fn text(arguments: &Map<String, Value>, name: &str) -> Option<String> {
    let text = arguments.get(name)?.as_str()?;
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    Some(words.join(" ")).filter(|text| !text.is_empty())
}

/// Words that say what something is, not which one.
const KINDS: [&str; 6] = [
    "timer",
    "timers",
    "alarm",
    "alarms",
    "reminder",
    "reminders",
];

/// The name in `arguments` as its owner says it: `pasta` of `the pasta timer`.
pub(super) fn name(arguments: &Map<String, Value>) -> Option<String> {
    let text = text(arguments, "name")?;
    let mut words: Vec<&str> = text.split(' ').collect();
    let low = |word: &&str| word.to_lowercase();
    if words
        .first()
        .map(low)
        .is_some_and(|w| ["the", "my", "a", "an"].contains(&w.as_str()))
    {
        words.remove(0);
    }
    if words
        .last()
        .map(low)
        .is_some_and(|w| KINDS.contains(&w.as_str()))
    {
        words.pop();
    }
    let name: String = words.join(" ").chars().take(LONGEST_NAME).collect();
    // "5 minutes" is no name: it will be called by its length anyway.
    let units = ["second", "minute", "hour", "day"];
    let is_length = name.split([' ', '-']).all(|word| {
        let word = word.to_lowercase();
        let unit = units.contains(&word.trim_end_matches('s'));
        unit || word.parse::<f64>().is_ok() || words::worth(&word).is_some()
    });
    Some(name).filter(|name| !name.is_empty() && !is_length)
}

/// What a reminder is of.
pub(super) fn reminder(arguments: &Map<String, Value>) -> Result<String, String> {
    let text = text(arguments, "text").ok_or("Say what I should remind you of.")?;
    let text = text.trim_end_matches(['.', '!']);
    let low = text.to_lowercase();
    // "to take out the bread"
    let text = match low.strip_prefix("to ") {
        Some(rest) => text.get(text.len() - rest.len()..).unwrap_or(text),
        None => text,
    };
    Ok(text.chars().take(LONGEST_TEXT).collect())
}

/// A length of time; none where none is given.
pub(super) fn length(arguments: &Map<String, Value>) -> Result<Option<i64>, String> {
    let given = |name: &str| arguments.get(name).and_then(Value::as_f64);
    let units = [("seconds", 1.0), ("minutes", 60.0), ("hours", 3600.0)];
    let parts: Vec<f64> = units
        .iter()
        .filter_map(|(name, size)| Some(given(name)? * size))
        .collect();
    let sum: f64 = parts.iter().sum();
    if parts.is_empty() || sum == 0.0 {
        return Ok(None);
    }
    let whole = sum.round();
    match whole >= 1.0 && whole <= LONGEST as f64 {
        true => Ok(Some(whole as i64)),
        false => Err(
            "That length of time can't be set: it may be from one second to seven days.".to_owned(),
        ),
    }
}

/// `07:30`, `7:30 pm`, `7 PM`, `noon`.
pub(super) fn clock(text: &str) -> Option<Time> {
    let low = text.trim().to_lowercase();
    match low.as_str() {
        "noon" => return Time::new(12, 0, 0, 0).ok(),
        "midnight" => return Some(Time::midnight()),
        _ => {}
    }
    let plain: String = low
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '.')
        .collect();
    let (figures, afternoon) = match (plain.strip_suffix("am"), plain.strip_suffix("pm")) {
        (Some(rest), _) => (rest, Some(false)),
        (_, Some(rest)) => (rest, Some(true)),
        _ => (plain.as_str(), None),
    };
    let mut parts = figures.split(':');
    let part = |text: Option<&str>| -> Option<i8> {
        text.filter(|text| {
            (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        })?
        .parse()
        .ok()
    };
    let hour = part(parts.next())?;
    let minute = match parts.next() {
        None if afternoon.is_none() => return None, // "7" may be anything
        None => 0,
        minute => part(minute)?,
    };
    let second = parts.next();
    if second.is_some_and(|s| part(Some(s)).is_none()) || parts.next().is_some() {
        return None;
    }
    let hour = match afternoon {
        None if hour == 24 && minute == 0 => 0,
        None => hour,
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(false) => hour % 12,
        Some(true) => hour % 12 + 12,
    };
    Time::new(hour, minute, 0, 0).ok()
}

/// `2026-11-24`, `today`, `tomorrow`, `friday`.
pub(super) fn date(text: &str, today: Date) -> Option<Date> {
    let low = text.trim().to_lowercase();
    let days = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    match low.as_str() {
        "today" | "tonight" => Some(today),
        "tomorrow" => today.tomorrow().ok(),
        _ => match days.iter().find(|(name, _)| *name == low) {
            Some((_, day)) if *day == today.weekday() => Some(today),
            Some((_, day)) => today.nth_weekday(1, *day).ok(),
            None => low.get(..10).unwrap_or(&low).parse().ok(),
        },
    }
}

/// A moment by the clock on the wall, and when that is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moment {
    pub(super) wall: DateTime,
    pub(super) due: Timestamp,
    pub(super) repeat: Option<Repeat>,
}

/// The moment that `time`, `date` and `repeat` name; none where there is no `time`. What has passed today is
/// tomorrow's.
pub(super) fn moment(
    arguments: &Map<String, Value>,
    now: &Zoned,
) -> Result<Option<Moment>, String> {
    let Some(said) = text(arguments, "time") else {
        return Ok(None);
    };
    // "2026-11-24T07:30"
    let (mut day, mut said) = (text(arguments, "date"), said);
    if let Some((front, behind)) = said.split_once('T')
        && front.parse::<Date>().is_ok()
    {
        day = day.or(Some(front.to_owned()));
        said = behind.to_owned();
    }
    let time = clock(&said).ok_or("I need the time as hours and minutes, such as 7:30.")?;
    let repeat = text(arguments, "repeat").and_then(|name| Repeat::named(&name.to_lowercase()));
    if let Some(repeat) = repeat {
        let (wall, due) = repeat.next(time, now).ok_or("That time can't be had.")?;
        return Ok(Some(Moment {
            wall,
            due,
            repeat: Some(repeat),
        }));
    }
    let today = now.date();
    let day = match day {
        None => today,
        Some(day) => date(&day, today).ok_or("I need the date as year, month and day.")?,
    };
    let at = |day: Date| -> Option<(DateTime, Timestamp)> {
        let wall = day.to_datetime(time);
        Some((wall, book::moment(wall, now.time_zone())?))
    };
    let none = || "That date can't be had.".to_owned();
    let (mut wall, mut due) = at(day).ok_or_else(none)?;
    if due <= now.timestamp() && day == today {
        (wall, due) = at(today.tomorrow().map_err(|_| none())?).ok_or_else(none)?;
    }
    if due <= now.timestamp() {
        return Err("That moment has passed already.".to_owned());
    }
    if due.duration_since(now.timestamp()).as_hours() > FARTHEST * 24 {
        return Err("That is more than two years away; I don't plan that far ahead.".to_owned());
    }
    Ok(Some(Moment {
        wall,
        due,
        repeat: None,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn now() -> Zoned {
        // A Tuesday.
        "2026-11-24T20:00:00+01:00[Europe/Berlin]".parse().unwrap()
    }

    fn at(arguments: Value) -> Result<String, String> {
        let moment = moment(&map(arguments), &now())?.unwrap();
        Ok(moment
            .due
            .to_zoned(now().time_zone().clone())
            .strftime("%a %F %R")
            .to_string())
    }

    #[test]
    fn times_are_read_as_models_write_them() {
        for (text, expected) in [
            ("07:30", "07:30"),
            ("7:30", "07:30"),
            ("19:30:00", "19:30"),
            ("7:30 pm", "19:30"),
            ("7 PM", "19:00"),
            ("12 a.m.", "00:00"),
            ("12:05pm", "12:05"),
            ("noon", "12:00"),
            ("24:00", "00:00"),
        ] {
            let time = clock(text).map(|time| time.strftime("%R").to_string());
            assert_eq!(time.as_deref(), Some(expected), "{text}");
        }
        for wrong in [
            "", "7", "25:00", "13 pm", "7:3x", "07:61", "soon", "1:2:3:4", "é:30", "-1:30",
        ] {
            assert_eq!(clock(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_has_passed_today_is_tomorrows_and_what_has_not_is_todays() {
        assert_eq!(
            at(json!({"time": "07:30"})).unwrap(),
            "Wed 2026-11-25 07:30"
        );
        assert_eq!(
            at(json!({"time": "22:00"})).unwrap(),
            "Tue 2026-11-24 22:00"
        );
        // This very minute has begun already.
        assert_eq!(
            at(json!({"time": "20:00"})).unwrap(),
            "Wed 2026-11-25 20:00"
        );
        assert_eq!(
            at(json!({"time": "00:00"})).unwrap(),
            "Wed 2026-11-25 00:00"
        );
        // Small models write today's date though nobody said it.
        let today = json!({"time": "07:30", "date": "2026-11-24"});
        assert_eq!(at(today).unwrap(), "Wed 2026-11-25 07:30");
    }

    #[test]
    fn days_are_taken_by_date_and_by_name() {
        let on = |date: &str| at(json!({"time": "07:30", "date": date}));
        assert_eq!(on("tomorrow").unwrap(), "Wed 2026-11-25 07:30");
        assert_eq!(on("Friday").unwrap(), "Fri 2026-11-27 07:30");
        assert_eq!(on("2026-12-24").unwrap(), "Thu 2026-12-24 07:30");
        assert!(on("2026-11-20").unwrap_err().contains("passed"));
        assert!(on("2036-11-20").unwrap_err().contains("two years"));
        assert!(on("24.12.2026").is_err());
        assert!(on("9999-12-31").is_err());
        let whole = at(json!({"time": "2026-12-01T07:30"}));
        assert_eq!(whole.unwrap(), "Tue 2026-12-01 07:30");
    }

    #[test]
    fn repeated_alarms_begin_on_their_first_day() {
        let on = |repeat: &str| at(json!({"time": "07:30", "repeat": repeat}));
        assert_eq!(on("daily").unwrap(), "Wed 2026-11-25 07:30");
        assert_eq!(on("weekends").unwrap(), "Sat 2026-11-28 07:30");
    }

    #[test]
    fn lengths_are_the_sum_of_what_is_given() {
        let of = |value| length(&map(value));
        assert_eq!(of(json!({"seconds": 90})), Ok(Some(90)));
        assert_eq!(of(json!({"minutes": 5, "seconds": 0})), Ok(Some(300)));
        assert_eq!(of(json!({"hours": 1.5})), Ok(Some(5400)));
        assert_eq!(of(json!({})), Ok(None));
        assert!(of(json!({"seconds": -5})).is_err());
        assert!(of(json!({"hours": 1e300})).is_err());
    }

    #[test]
    fn names_are_what_remains_without_the_words_around() {
        let of = |text: &str| name(&map(json!({ "name": text })));
        assert_eq!(of("the pasta timer").as_deref(), Some("pasta"));
        assert_eq!(of("Green Tea").as_deref(), Some("Green Tea"));
        assert_eq!(of("timer"), None);
        assert_eq!(of("5 minutes"), None);
        assert_eq!(of("ten minute timer"), None);
        assert_eq!(of("  "), None);
    }

    #[test]
    fn reminders_lose_their_to_and_their_full_stop() {
        let of = |text: &str| reminder(&map(json!({ "text": text })));
        assert_eq!(of("to take out the bread.").unwrap(), "take out the bread");
        assert_eq!(of("Tom's birthday").unwrap(), "Tom's birthday");
        assert!(of(" ").is_err());
    }
}
