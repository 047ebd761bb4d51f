//! What the assistant is told about itself: a template and the values that go into it. Pure: the
//! day and the time are passed in.
//!
//! **Byte-stable.** Engines keep the evaluated beginning of the last request, so what changes must
//! stand late. The default template holds its fixed text first and only the *day* last; the time of
//! day rides at the head of each user message ([`user_message`]), where it stays as it was said: the
//! beginning of the next request is then, byte for byte, the last request. A template of the user's
//! own may place `{{CURRENT_DATE_CONTEXT}}` anywhere, and pays for it: filled in with every question, it
//! has all of the prompt read anew every minute.

use std::fmt::Write as _;

/// The system prompt when the user has none of their own. Short and plain: the embedded model has
/// 135 million parameters and gets confused by rules.
pub const DEFAULT_TEMPLATE: &str = "\
You are {{ASSISTANT_NAME}}, a friendly voice assistant. Your answers are spoken aloud, so answer in \
one or two short plain sentences, without lists, Markdown, links or emoji. If you do not know \
something, say so.
{{DATE}}";

/// A date and a wall-clock time where the assistant stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    year: i16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    zone: String,
}

impl Moment {
    /// `zone` is what people call it: `Pacific Time`; it may be empty. `None` where the parts are no
    /// date or no time (month 1–12, day 1–31, hour 0–23, minute 0–59).
    pub fn new(date: (i16, u8, u8), time: (u8, u8), zone: &str) -> Option<Self> {
        let (year, month, day) = date;
        let (hour, minute) = time;
        let sane = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && (0..=9999).contains(&year)
            && hour < 24
            && minute < 60;
        sane.then(|| Self {
            year,
            month,
            day,
            hour,
            minute,
            zone: zone.trim().to_owned(),
        })
    }

    /// `Tuesday, January twentieth, 2026`
    pub fn date(&self) -> String {
        let month = MONTHS[usize::from(self.month) - 1];
        let day = DAYS[usize::from(self.day) - 1];
        format!("{}, {month} {day}, {}", self.weekday(), self.year)
    }

    /// `4:05 PM`, `9 AM`, `noon`, `midnight`.
    pub fn time(&self) -> String {
        let half = if self.hour < 12 { "AM" } else { "PM" };
        let hour = match self.hour % 12 {
            0 => 12,
            hour => hour,
        };
        match (self.hour, self.minute) {
            (0, 0) => "midnight".to_owned(),
            (12, 0) => "noon".to_owned(),
            (_, 0) => format!("{hour} {half}"),
            (_, minute) => format!("{hour}:{minute:02} {half}"),
        }
    }

    /// Sakamoto's method (Tomohiko Sakamoto, comp.lang.c, 1993), Gregorian.
    fn weekday(&self) -> &'static str {
        const SHIFT: [i32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let year = i32::from(self.year) - i32::from(self.month < 3);
        let days = year + year / 4 - year / 100
            + year / 400
            + SHIFT[usize::from(self.month) - 1]
            + i32::from(self.day);
        WEEKDAYS[usize::try_from(days.rem_euclid(7)).expect("0..7")]
    }
}

const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const DAYS: [&str; 31] = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
    "twenty-first",
    "twenty-second",
    "twenty-third",
    "twenty-fourth",
    "twenty-fifth",
    "twenty-sixth",
    "twenty-seventh",
    "twenty-eighth",
    "twenty-ninth",
    "thirtieth",
    "thirty-first",
];

/// Fills a template. Known names, each in double braces; unknown ones stay as they are:
///
/// | name | becomes |
/// |---|---|
/// | `ASSISTANT_NAME` | `name` |
/// | `DATE` | `Today is Tuesday, January twentieth, 2026.` |
/// | `CURRENT_DATE_CONTEXT` | the same, then `The current time is 4:05 PM Pacific Time.` |
/// | `TIMEZONE` | `Pacific Time` |
pub fn system_prompt(template: &str, name: &str, now: &Moment) -> String {
    let mut prompt = String::with_capacity(template.len() + 64);
    let mut rest = template;
    while let Some(start) = rest.find("{{") {
        let (before, tail) = rest.split_at(start);
        prompt.push_str(before);
        let Some(end) = tail.find("}}") else {
            rest = tail;
            break;
        };
        match tail[2..end].trim() {
            "ASSISTANT_NAME" => prompt.push_str(name),
            "TIMEZONE" => prompt.push_str(&now.zone),
            "DATE" => write!(prompt, "Today is {}.", now.date()).expect("a String takes all"),
            "CURRENT_DATE_CONTEXT" => prompt.push_str(&date_context(now)),
            _ => prompt.push_str(&tail[..end + 2]),
        }
        rest = &tail[end + 2..];
    }
    prompt.push_str(rest);
    prompt.trim().to_owned()
}

/// `Today is Tuesday, January twentieth, 2026. The current time is 4:05 PM Pacific Time.`
fn date_context(now: &Moment) -> String {
    let space = if now.zone.is_empty() { "" } else { " " };
    format!(
        "Today is {}. The current time is {}{space}{}.",
        now.date(),
        now.time(),
        now.zone
    )
}

/// The user's words as the model gets them: with the time at which they were said.
pub fn user_message(text: &str, now: &Moment) -> String {
    format!("(The time is {}.) {}", now.time(), text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(date: (i16, u8, u8), time: (u8, u8)) -> Moment {
        Moment::new(date, time, "Pacific Time").expect("a real moment")
    }

    #[test]
    fn the_date_context_reads_as_caals_does() {
        let template = "{{CURRENT_DATE_CONTEXT}} We are in {{TIMEZONE}}.";
        assert_eq!(
            system_prompt(template, "Caal", &moment((2026, 1, 20), (16, 5))),
            "Today is Tuesday, January twentieth, 2026. The current time is 4:05 PM Pacific Time. \
             We are in Pacific Time."
        );
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        for (time, said) in [
            ((12, 0), "noon"),
            ((0, 0), "midnight"),
            ((9, 0), "9 AM"),
            ((0, 30), "12:30 AM"),
            ((12, 1), "12:01 PM"),
            ((23, 59), "11:59 PM"),
        ] {
            assert_eq!(moment((2026, 1, 20), time).time(), said);
        }
    }

    #[test]
    fn weekdays_are_right_across_leap_years_and_centuries() {
        for (date, said) in [
            ((2026, 11, 22), "Sunday, November twenty-second, 2026"),
            ((2024, 2, 29), "Thursday, February twenty-ninth, 2024"),
            ((2024, 3, 1), "Friday, March first, 2024"),
            ((2000, 1, 1), "Saturday, January first, 2000"),
            ((1900, 12, 31), "Monday, December thirty-first, 1900"),
            ((2100, 3, 1), "Monday, March first, 2100"),
        ] {
            assert_eq!(moment(date, (0, 0)).date(), said);
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for (date, time) in [
            ((2026, 0, 1), (0, 0)),
            ((2026, 13, 1), (0, 0)),
            ((2026, 1, 0), (0, 0)),
            ((2026, 1, 32), (0, 0)),
            ((2026, 1, 1), (24, 0)),
            ((2026, 1, 1), (0, 60)),
        ] {
            assert_eq!(Moment::new(date, time, ""), None);
        }
    }

    #[test]
    fn the_default_prompt_is_the_same_all_day_and_differs_only_at_its_end_the_next() {
        let morning = system_prompt(DEFAULT_TEMPLATE, "Caal", &moment((2026, 1, 20), (8, 0)));
        let evening = system_prompt(DEFAULT_TEMPLATE, "Caal", &moment((2026, 1, 20), (20, 3)));
        let tomorrow = system_prompt(DEFAULT_TEMPLATE, "Caal", &moment((2026, 1, 21), (8, 0)));
        assert_eq!(morning, evening);
        let fixed = morning.find("Today is").expect("the day is in it");
        assert_eq!(morning[..fixed], tomorrow[..fixed]);
        assert!(fixed > morning.len() * 3 / 4, "the day stands late");
        assert!(!morning.contains("{{"));
    }

    #[test]
    fn unknown_names_and_open_braces_stay() {
        let now = moment((2026, 1, 20), (8, 0));
        for text in ["a {{WHO}} b", "a {{ b", "{{", "}} {", "{{}}"] {
            assert_eq!(system_prompt(text, "Caal", &now), text);
        }
        // A value is not a template.
        assert_eq!(
            system_prompt("{{ASSISTANT_NAME}}", "{{DATE}}", &now),
            "{{DATE}}"
        );
    }

    #[test]
    fn a_zone_without_a_name_leaves_no_gap() {
        let now = Moment::new((2026, 1, 20), (16, 5), "  ").expect("a moment");
        assert!(system_prompt("{{CURRENT_DATE_CONTEXT}}", "", &now).ends_with("is 4:05 PM."));
    }
}
