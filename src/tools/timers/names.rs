//! Which timer, alarm or reminder somebody means. Pure. Names are compared loosely, because a speech recogniser
//! heard them; numbers are not: a ten minute timer is no fifteen minute timer.

use jiff::{Zoned, civil::Time};

use super::{
    book::{Entry, Kind},
    words,
};

/// From this likeness on a name is meant (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.86;

/// Names that are less alike than the best by more than this are not meant.
const NEAR: f64 = 0.04;

/// Words that say nothing about which one.
const EMPTY: [&str; 17] = [
    "the", "my", "a", "an", "for", "of", "to", "and", "at", "on", "about", "called", "named", "me",
    "that", "this", "set",
];

/// What somebody says of the one that they mean.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Hint {
    /// Where it says what it is.
    pub(super) kind: Option<Kind>,
    /// What else it says.
    words: Vec<String>,
}

impl Hint {
    /// `the ten minute timer`: a timer, and `10 minute`.
    pub(super) fn of(text: &str) -> Self {
        let mut hint = Self::default();
        for word in tokens(text) {
            match Kind::named(&word) {
                Some(kind) => hint.kind = Some(kind),
                None => hint.words.push(word),
            }
        }
        hint
    }

    /// Whether it says nothing but what it is.
    pub(super) fn is_bare(&self) -> bool {
        self.words.is_empty()
    }

    /// Those of `entries` that may be meant: all that fit equally well.
    pub(super) fn find(&self, entries: &[Entry], now: &Zoned) -> Vec<Entry> {
        let of_kind = |entry: &&Entry| self.kind.is_none_or(|kind| kind == entry.kind);
        let scored: Vec<(f64, &Entry)> = entries
            .iter()
            .filter(of_kind)
            .map(|entry| (self.likeness(entry, now), entry))
            .filter(|(score, _)| *score >= ALIKE)
            .collect();
        let best = scored.iter().map(|(score, _)| *score).fold(0.0, f64::max);
        let near = scored.iter().filter(|(score, _)| best - score <= NEAR);
        near.map(|(_, entry)| (*entry).clone()).collect()
    }

    /// 0 to 1.
    fn likeness(&self, entry: &Entry, now: &Zoned) -> f64 {
        if self.is_bare() {
            return 1.0;
        }
        let due = entry.due.to_zoned(now.time_zone().clone());
        if entry.kind != Kind::Timer && is_at(&self.words, due.time()) {
            return 1.0;
        }
        let names = names(entry);
        let scores = names.iter().map(|name| alike(&self.words, name));
        scores.fold(0.0, f64::max)
    }
}

/// Whether `words` are the time of day `time`, as tokens: `7 30`, `7 30 pm`; a bare hour is its beginning.
fn is_at(words: &[String], time: Time) -> bool {
    let (mut figures, mut pm) = (Vec::new(), None);
    for word in words {
        match (word.as_str(), word.parse::<i8>()) {
            (_, Ok(figure)) => figures.push(figure),
            ("am" | "morning", _) => pm = Some(false),
            ("pm" | "afternoon" | "evening", _) => pm = Some(true),
            ("oclock" | "clock" | "o" | "oh" | "in", _) => {}
            _ => return false,
        }
    }
    let (hour, minute) = match figures[..] {
        [hour] => (hour, 0),
        [hour, minute] => (hour, minute),
        _ => return false,
    };
    let either = hour <= 12 && hour % 12 == time.hour() % 12;
    time.minute() == minute
        && (time.hour() == hour || either)
        && pm.is_none_or(|pm| pm == (time.hour() >= 12))
}

/// What else `entry` may be called by, as tokens.
fn names(entry: &Entry) -> Vec<Vec<String>> {
    let mut names = Vec::new();
    let mut add = |text: &str| names.push(tokens(text));
    for text in [&entry.name, &entry.text].into_iter().flatten() {
        add(&text.0);
    }
    if let Some(seconds) = entry.seconds {
        add(&words::adjective(seconds));
        if seconds % 60 == 0 {
            add(&format!("{} minute", seconds / 60));
        }
        match seconds {
            1800 => add("half hour"),
            5400 => add("hour half"),
            _ => {}
        }
    }
    names
}

/// Small words without ends of the plural; number words as figures, `twenty-five` as `25`.
fn tokens(text: &str) -> Vec<String> {
    let low = text.to_lowercase().replace(['\'', '’'], "");
    let mut tokens: Vec<String> = Vec::new();
    let mut ten_before = false;
    for word in low.split(|c: char| !c.is_alphanumeric()) {
        if word.is_empty() || EMPTY.contains(&word) {
            continue;
        }
        let worth = words::worth(word);
        if let (true, Some(ones @ 1..=9), Some(last)) = (ten_before, worth, tokens.last_mut())
            && let Ok(tens) = last.parse::<i64>()
        {
            *last = (tens + ones).to_string();
            ten_before = false;
            continue;
        }
        ten_before = worth.is_some_and(|worth| worth >= 20);
        tokens.push(match worth {
            Some(worth) => worth.to_string(),
            None if word.len() > 3 && !word.ends_with("ss") => {
                word.trim_end_matches('s').to_owned()
            }
            None => word.to_owned(),
        });
    }
    tokens
}

/// How alike two names are.
fn alike(wanted: &[String], name: &[String]) -> f64 {
    if wanted.is_empty() || name.is_empty() {
        return 0.0;
    }
    if wanted == name {
        return 1.0;
    }
    let has_all = |some: &[String], all: &[String]| some.iter().all(|word| all.contains(word));
    let figures = |words: &[String]| {
        words
            .iter()
            .any(|word| word.bytes().any(|b| b.is_ascii_digit()))
    };
    if has_all(wanted, name) {
        return 0.96;
    }
    if figures(wanted) || figures(name) {
        return 0.0;
    }
    if has_all(name, wanted) {
        return 0.92;
    }
    strsim::jaro_winkler(&wanted.join(""), &name.join("")) * 0.99
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::Pii;

    fn now() -> Zoned {
        "2026-11-24T20:00:00+01:00[Europe/Berlin]".parse().unwrap()
    }

    fn timer(id: i64, name: Option<&str>, seconds: i64) -> Entry {
        Entry {
            id,
            kind: Kind::Timer,
            name: name.map(|name| Pii(name.to_owned())),
            text: None,
            due: now().timestamp() + jiff::SignedDuration::from_secs(seconds),
            created: now().timestamp(),
            seconds: Some(seconds),
            wall: None,
            repeat: None,
            place: String::new(),
        }
    }

    fn all() -> Vec<Entry> {
        let alarm = Entry {
            kind: Kind::Alarm,
            due: "2026-11-25T07:30:00+01:00[Europe/Berlin]"
                .parse::<Zoned>()
                .unwrap()
                .timestamp(),
            seconds: None,
            ..timer(5, None, 0)
        };
        let reminder = Entry {
            kind: Kind::Reminder,
            text: Some(Pii("take out the bread".to_owned())),
            ..timer(6, None, 1200)
        };
        vec![
            timer(1, Some("pasta"), 600),
            timer(2, Some("green tea"), 240),
            timer(3, None, 900),
            timer(4, None, 1500),
            alarm,
            reminder,
        ]
    }

    fn meant(text: &str) -> Vec<i64> {
        let found = Hint::of(text).find(&all(), &now());
        found.into_iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn names_are_understood_as_they_are_heard() {
        assert_eq!(meant("pasta"), [1]);
        assert_eq!(meant("the Pasta timer"), [1]);
        assert_eq!(meant("pastor"), [1]);
        assert_eq!(meant("tea"), [2]);
        assert_eq!(meant("greentea"), [2]);
        assert_eq!(meant("bread"), [6]);
        assert_eq!(meant("pizza"), Vec::<i64>::new());
    }

    #[test]
    fn lengths_are_names_too_and_not_loose_ones() {
        assert_eq!(meant("ten minute"), [1]);
        assert_eq!(meant("the 15 minute timer"), [3]);
        assert_eq!(meant("twenty-five minutes"), [4]);
        assert_eq!(meant("twenty minutes"), [6]);
        assert_eq!(meant("fifty minute"), Vec::<i64>::new());
    }

    #[test]
    fn alarms_are_called_by_their_time() {
        assert_eq!(meant("alarm"), [5]);
        assert_eq!(meant("7:30 alarm"), [5]);
        assert_eq!(meant("seven thirty"), [5]);
        assert_eq!(meant("7:30 am"), [5]);
        assert_eq!(meant("7:30 in the morning"), [5]);
        for other in [
            "8:30", "7", "seven", "30", "7:30 pm", "19:30", "30 7", "7:30 30",
        ] {
            assert_eq!(meant(other), Vec::<i64>::new(), "{other}");
        }
    }

    #[test]
    fn a_bare_hour_is_its_beginning_and_may_be_of_either_half_of_the_day() {
        let at = |hour, minute| Time::constant(hour, minute, 0, 0);
        let is_at = |text: &str, time| is_at(&Hint::of(text).words, time);
        assert!(is_at("seven", at(7, 0)) && is_at("seven", at(19, 0)));
        assert!(is_at("7:00", at(7, 0)) && is_at("7 o'clock", at(7, 0)));
        assert!(is_at("12:00", at(0, 0)) && is_at("12:00 pm", at(12, 0)));
        assert!(is_at("seven twenty-five pm", at(19, 25)) && is_at("seven oh five", at(7, 5)));
        assert!(!is_at("ten", at(8, 10)) && !is_at("ten", at(10, 30)));
        assert!(!is_at("10:00", at(0, 10)) && !is_at("7 am", at(19, 0)));
        assert!(!is_at("19:00", at(7, 0)) && !is_at("", at(0, 0)));
    }

    #[test]
    fn what_fits_several_equally_well_is_all_of_them() {
        assert_eq!(meant("timer"), [1, 2, 3, 4]);
        let two = [timer(1, Some("pasta"), 60), timer(2, Some("pasta"), 90)];
        assert_eq!(Hint::of("pasta").find(&two, &now()).len(), 2);
    }
}
