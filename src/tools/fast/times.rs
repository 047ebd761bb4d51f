//! Lengths of time and moments, as they are said. Pure.

use super::Now;
use crate::tools::spoken;

/// Longest timer, in seconds: a week.
const LONGEST: f64 = 7.0 * 86_400.0;

/// A length of time at the beginning of `words`, in seconds, and how many of them it takes: `half an
/// hour`, `an hour and a half`, `3 hours and 10 minutes`.
pub(super) fn duration(words: &[&str]) -> Option<(i64, usize)> {
    let (mut seconds, mut used, mut last) = part(words)?;
    loop {
        let rest = words.get(used..).unwrap_or_default();
        let skip = rest
            .iter()
            .take_while(|word| [",", "and"].contains(word))
            .count();
        let rest = rest.get(skip..).unwrap_or_default();
        if skip > 0 && rest.starts_with(&["a", "half"]) {
            // "an hour and a half"
            seconds += last / 2.0;
            used += skip + 2;
            break;
        }
        match part(rest) {
            // Each part is smaller than the one before: "an hour ten minutes".
            Some((more, many, unit)) if unit < last => {
                (seconds, used, last) = (seconds + more, used + skip + many, unit);
            }
            _ => break,
        }
    }
    let fits = (1.0..=LONGEST).contains(&seconds);
    fits.then_some((seconds.round() as i64, used))
}

/// One number with its unit: seconds, words, seconds of the unit.
fn part(words: &[&str]) -> Option<(f64, usize, f64)> {
    let unit = |i: usize| words.get(i).copied().and_then(unit);
    match words {
        ["half", "an" | "a", ..] => unit(2).map(|unit| (unit / 2.0, 3, unit)),
        ["half", ..] => unit(1).map(|unit| (unit / 2.0, 2, unit)),
        ["a" | "one", "quarter", "of", "an", "hour", ..] => Some((900.0, 5, 3600.0)),
        ["quarter", "of", "an", "hour", ..] => Some((900.0, 4, 3600.0)),
        ["three", "quarters", "of", "an", "hour", ..] => Some((2700.0, 5, 3600.0)),
        ["a" | "an", ..] if unit(1).is_some() => unit(1).map(|unit| (unit, 2, unit)),
        _ => {
            let (number, used) = spoken::number(words)?;
            if words.get(used..)?.starts_with(&["and", "a", "half"]) {
                return unit(used + 3).map(|unit| ((number + 0.5) * unit, used + 4, unit));
            }
            unit(used).map(|unit| (number * unit, used + 1, unit))
        }
    }
}

fn unit(word: &str) -> Option<f64> {
    Some(match word {
        "second" | "seconds" | "sec" | "secs" => 1.0,
        "minute" | "minutes" | "min" | "mins" => 60.0,
        "hour" | "hours" => 3600.0,
        "day" | "days" => 86_400.0,
        _ => return None,
    })
}

/// Who wants to be woken within this many minutes may have lain down for a nap.
const NAP: i32 = 180;

/// Since midnight.
fn minutes(hour: u8, minute: u8) -> i32 {
    i32::from(hour) * 60 + i32::from(minute)
}

/// A moment as it was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// Hour and minute; the hour as it was said.
    clock: Option<(u8, u8)>,
    /// The hour counts from 0 to 23: `19:30`, `noon`.
    exact: bool,
    /// Of the day, where it was said: `pm`.
    half: Option<bool>,
    /// Said to be in the night, where twelve and the hours after it are tomorrow's.
    night: bool,
    /// Days from today.
    ahead: Option<Ahead>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ahead {
    Days(u32),
    /// 0 is Monday.
    Weekday(u32),
}

/// What a moment is for, which tells what "at eight" means on another day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// Being woken: by day nobody means the evening with "at seven".
    Waking,
    /// Ringing.
    Alarm,
    /// Doing something.
    Reminder,
}

impl Moment {
    /// A moment at the beginning of `words`, and how many of them it takes: `tomorrow at 7:30 am`.
    pub(super) fn read(words: &[&str]) -> Option<(Self, usize)> {
        let mut moment = Self::default();
        let mut used = 0;
        while let Some(more) = moment.take(words.get(used..).unwrap_or_default()) {
            used += more;
        }
        (used > 0 && moment.clock.is_some()).then_some((moment, used))
    }

    /// The time of day alone, as a name: `7:30`, `7:30 am`. `None` where a day was said.
    pub(super) fn time(self) -> Option<String> {
        let (hour, minute) = self.clock.filter(|_| self.ahead.is_none())?;
        let half = match self.half {
            None => "",
            Some(false) => " am",
            Some(true) => " pm",
        };
        Some(format!("{hour}:{minute:02}{half}"))
    }

    /// One more piece of it.
    fn take(&mut self, words: &[&str]) -> Option<usize> {
        if self.clock.is_none() {
            let at = usize::from(matches!(words.first(), Some(&"at" | &"for")));
            if let Some((clock, exact, used)) = clock(words.get(at..)?) {
                (self.clock, self.exact) = (Some(clock), exact);
                return Some(at + used);
            }
        }
        if self.half.is_none() {
            let half = match words {
                ["am", ..] => Some((false, 1)),
                ["pm", ..] => Some((true, 1)),
                ["in", "the", "morning", ..] => Some((false, 3)),
                ["in", "the", "afternoon" | "evening", ..] => Some((true, 3)),
                ["at", "night", ..] => Some((true, 2)),
                ["morning", ..] if self.ahead.is_some() => Some((false, 1)),
                ["afternoon" | "evening" | "night", ..] if self.ahead.is_some() => Some((true, 1)),
                _ => None,
            };
            if let Some((pm, used)) = half.filter(|_| self.clock.is_some() || self.ahead.is_some())
            {
                self.half = Some(pm);
                self.night = words.get(used - 1) == Some(&"night");
                return Some(used);
            }
        }
        if self.ahead.is_none() {
            let (ahead, used) = match words {
                ["today", ..] => (Ahead::Days(0), 1),
                ["tomorrow", ..] => (Ahead::Days(1), 1),
                ["the", "day", "after", "tomorrow", ..] => (Ahead::Days(2), 4),
                ["tonight", ..] if self.half.is_none() => {
                    (self.half, self.night) = (Some(true), true);
                    (Ahead::Days(0), 1)
                }
                ["this", "morning" | "afternoon" | "evening", ..] => (Ahead::Days(0), 1),
                ["on", day, ..] => (Ahead::Weekday(weekday(day)?), 2),
                [day, ..] => (Ahead::Weekday(weekday(day)?), 1),
                [] => return None,
            };
            self.ahead = Some(ahead);
            return Some(used);
        }
        None
    }

    /// As a tool takes it: `HH:MM`, and the date where a day was said. `None` where it has passed, and where
    /// it may mean two.
    pub(super) fn resolve(self, now: Option<Now>, what: For) -> Option<(String, Option<String>)> {
        let (hour, minute) = self.clock?;
        if self.night && !self.exact && !(5..=11).contains(&hour) {
            return None;
        }
        let fixed = match (self.exact, self.half) {
            (true, None) => Some(hour),
            // "19:30 in the evening"
            (true, Some(pm)) => Some(hour).filter(|hour| (*hour >= 12) == pm),
            (false, Some(false)) if hour <= 12 => Some(hour % 12),
            // "at twelve at night" is midnight, which is the next day's
            (false, Some(true)) if hour <= 12 => Some(hour % 12 + 12),
            (false, None) => None,
            _ => return None,
        };
        if (self.exact || self.half.is_some()) && fixed.is_none() {
            return None;
        }
        let text = |hour: u8| format!("{hour:02}:{minute:02}");
        let Some(ahead) = self.ahead else {
            let hour = match (fixed, what, hour) {
                (Some(hour), ..) => hour,
                (None, For::Waking, 4..=11) => {
                    // The end of a nap, or tomorrow morning?
                    let ahead =
                        now.map(|now| minutes(hour + 12, minute) - minutes(now.hour, now.minute));
                    if ahead.is_some_and(|ahead| (1..=NAP).contains(&ahead)) {
                        return None;
                    }
                    hour
                }
                (None, ..) => {
                    let now = now?;
                    let passed = |hour: u8| (hour, minute) <= (now.hour, now.minute);
                    // The next to come: this half of the day, the other, or tomorrow's first.
                    let (first, second) = (hour % 12, hour % 12 + 12);
                    if !passed(first) || passed(second) {
                        first
                    } else {
                        second
                    }
                }
            };
            return Some((text(hour), None));
        };
        let now = now?;
        let days = match ahead {
            Ahead::Days(days) => days,
            Ahead::Weekday(day) => match (day + 7 - weekday_of(now)) % 7 {
                0 => return None, // today, or in a week?
                days => days,
            },
        };
        let passed = |hour: u8| days == 0 && (hour, minute) <= (now.hour, now.minute);
        let hour = match fixed {
            Some(hour) => hour,
            None if days == 0 => {
                let (first, second) = (hour % 12, hour % 12 + 12);
                if passed(first) { second } else { first }
            }
            None => match (what, hour) {
                (For::Alarm | For::Waking, 4..=11) | (For::Reminder, 8..=11) => hour,
                (For::Reminder, 12) => 12,
                (For::Reminder, 1..=6) => hour + 12,
                _ => return None,
            },
        };
        (!passed(hour)).then(|| (text(hour), Some(date(now, days))))
    }
}

/// A time of day: hour and minute, whether that is certain, words.
fn clock(words: &[&str]) -> Option<((u8, u8), bool, usize)> {
    match words {
        ["noon", ..] => return Some(((12, 0), true, 1)),
        ["midnight", ..] => return Some(((0, 0), true, 1)),
        _ => {}
    }
    let first = *words.first()?;
    if let Some((hour, minute)) = first.split_once([':', '.']) {
        let exact = hour.starts_with('0');
        let (hour, minute): (u8, u8) = (
            hour.parse().ok()?,
            (minute.len() == 2)
                .then_some(())
                .and_then(|()| minute.parse().ok())?,
        );
        let fits = hour < 24 && minute < 60;
        return fits.then_some(((hour, minute), exact || hour == 0 || hour > 12, 1));
    }
    // "quarter past six", "twenty five to eight"
    let (minutes, used) = match words {
        ["a", "quarter", ..] => (15, 2),
        ["quarter", ..] => (15, 1),
        ["half", ..] => (30, 1),
        _ => small(words, 60)?,
    };
    let minuted = words.get(used..)?;
    let skip = usize::from(
        minuted
            .first()
            .is_some_and(|word| ["minutes", "minute"].contains(word)),
    );
    // "at nine to water the plants" has no second number
    let hour = |from: usize| small(minuted.get(from..)?, 13).filter(|(hour, _)| *hour > 0);
    if let Some(way @ (&"past" | &"after" | &"to" | &"before")) = minuted.get(skip)
        && let Some((hour, more)) = hour(skip + 1)
    {
        let used = used + skip + 1 + more;
        let before = if hour == 1 { 12 } else { hour - 1 };
        return match *way {
            "past" | "after" => Some(((hour, minutes), false, used)),
            _ if minutes > 0 && minutes != 30 => Some(((before, 60 - minutes), false, used)),
            _ => None,
        };
    }
    if ["a", "quarter", "half"].contains(&first) {
        return None;
    }
    let hour = (minutes < 24).then_some(minutes)?;
    let exact = hour == 0 || hour > 12;
    match minuted {
        ["o'clock" | "oclock", ..] => Some(((hour, 0), exact, used + 1)),
        ["oh" | "o", rest @ ..] => {
            let (minute, more) = small(rest, 10)?;
            Some(((hour, minute), exact, used + 1 + more))
        }
        // "seven thirty", "7 30"; "seven five" is none
        rest => match small(rest, 60).filter(|(minute, _)| *minute >= 10) {
            // A length of time is none: "at 7 10 minutes".
            Some((minute, more)) if rest.get(more).is_none_or(|next| unit(next).is_none()) => {
                Some(((hour, minute), exact, used + more))
            }
            _ if rest.first().is_some_and(|next| unit(next).is_some()) => None,
            _ => Some(((hour, 0), exact, used)),
        },
    }
}

/// A whole number below `end`.
fn small(words: &[&str], end: u8) -> Option<(u8, usize)> {
    let (value, used) = spoken::number(words)?;
    let whole = value.fract() == 0.0 && value < f64::from(end);
    if whole {
        return Some((value as u8, used));
    }
    // "seven thirty" is no 37, but "twenty five" is; a second number that does not fit is left.
    None
}

fn weekday(word: &str) -> Option<u32> {
    let days = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let at = days.iter().position(|day| *day == word)?;
    u32::try_from(at).ok()
}

/// 0 is Monday (Zeller's rule, from March on).
fn weekday_of(now: Now) -> u32 {
    let (mut year, mut month) = (i32::from(now.year), i32::from(now.month));
    if month < 3 {
        (year, month) = (year - 1, month + 12);
    }
    let day = i32::from(now.day);
    let from_saturday = day + 13 * (month + 1) / 5 + year + year / 4 - year / 100 + year / 400;
    u32::try_from((from_saturday + 5).rem_euclid(7)).unwrap_or(0)
}

/// The date `days` after today, below a fortnight: `YYYY-MM-DD`.
fn date(now: Now, days: u32) -> String {
    let (mut year, mut month) = (now.year, now.month.clamp(1, 12));
    let mut day = u32::from(now.day) + days;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > length {
        day -= length;
        month += 1;
        if month > 12 {
            (year, month) = (year.saturating_add(1), 1);
        }
    }
    format!("{year:04}-{month:02}-{day:02}")
}
