//! Dates and times of day.

use super::{
    number::{self, cardinal},
    reader::Reader,
    words::{MONTHS, month},
};

impl Reader<'_> {
    /// `2026-11-22`, `11/22/2026`, `22.11.2026`, `11/2026`.
    pub(super) fn date(&mut self) -> bool {
        let Some((parts, separator, end)) = self.date_parts() else {
            return false;
        };
        let number = |s: &String| s.parse::<u64>().unwrap_or(0);
        let spoken = match parts.as_slice() {
            [y, m, d] if y.len() == 4 && m.len() <= 2 && d.len() <= 2 => {
                full(number(y), number(m), number(d))
            }
            [a, b, y]
                if a.len() <= 2
                    && b.len() <= 2
                    && (y.len() == 4 || y.len() == 2 && separator == '/') =>
            {
                let year = if y.len() == 2 {
                    2000 + number(y)
                } else {
                    number(y)
                };
                let (a, b) = (number(a), number(b));
                // Slashes are American (month first), dots European (day first), unless the numbers
                // say otherwise.
                let day_first = if separator == '/' { a > 12 } else { b <= 12 };
                if day_first {
                    full(year, b, a)
                } else {
                    full(year, a, b)
                }
            }
            [m, y] if separator == '/' && m.len() <= 2 && y.len() == 4 => match number(m) {
                m @ 1..=12 if (1900..2100).contains(&number(y)) => Some(format!(
                    "{} {}",
                    MONTHS[m as usize - 1],
                    number::year(number(y))
                )),
                _ => None,
            },
            _ => None,
        };
        let Some(spoken) = spoken else { return false };
        let written = self.slice(self.i, end);
        for (i, part) in spoken.split(", ").enumerate() {
            if i > 0 {
                self.out.pause(',');
            }
            self.say(part, &written, false);
        }
        self.i = end;
        if self.at(end) == Some('T') && self.digit_at(end + 1) {
            self.out.pause(',');
            self.i += 1;
        }
        true
    }

    fn date_parts(&self) -> Option<(Vec<String>, char, usize)> {
        let mut end = self.digits(self.i);
        if end - self.i > 4 {
            return None;
        }
        let separator = self.at(end).filter(|c| matches!(c, '-' | '/' | '.'))?;
        let mut parts = vec![self.slice(self.i, end)];
        while self.at(end) == Some(separator) && self.digit_at(end + 1) && parts.len() < 4 {
            let next = self.digits(end + 1);
            parts.push(self.slice(end + 1, next));
            end = next;
        }
        let ends = !self.alnum_at(end) || self.at(end) == Some('T');
        (ends && (2..=3).contains(&parts.len())).then_some((parts, separator, end))
    }

    /// `4:30`, `16:05`, `6:05 pm`, `10:30:15`; and ratios like `16:9`.
    pub(super) fn clock(&mut self) -> bool {
        let hour_end = self.digits(self.i);
        if hour_end - self.i > 3 || self.at(hour_end) != Some(':') || !self.digit_at(hour_end + 1) {
            return false;
        }
        let minute_end = self.digits(hour_end + 1);
        let (hours, minutes) = (
            self.slice(self.i, hour_end),
            self.slice(hour_end + 1, minute_end),
        );
        let (Ok(hour), Ok(minute)) = (hours.parse::<u64>(), minutes.parse::<u64>()) else {
            return false;
        };
        let odds = matches!(
            self.last.lower.as_str(),
            "ratio" | "odds" | "scale" | "aspect" | "score" | "mix"
        );
        let is_time = minutes.len() == 2 && hours.len() <= 2 && hour <= 24 && minute < 60 && !odds;
        let mut end = minute_end;
        let mut seconds = None;
        if minutes.len() == 2 && self.at(end) == Some(':') && self.digits(end + 1) == end + 3 {
            seconds = self
                .slice(end + 1, end + 3)
                .parse::<u64>()
                .ok()
                .filter(|s| *s < 60);
            if seconds.is_some() {
                end += 3;
                if self.at(end) == Some('.') && self.digit_at(end + 1) {
                    end = self.digits(end + 1);
                }
            }
        }
        if !is_time && seconds.is_none() {
            let written = self.slice(self.i, minute_end);
            let spoken = format!("{} to {}", cardinal(hour), cardinal(minute));
            self.i = minute_end;
            self.say(&spoken, &written, true);
            return true;
        }
        let written = self.slice(self.i, end);
        let meridiem = self.meridiem(end);
        let mut spoken = match (hour, minute) {
            (h, 0) if meridiem.is_some() || seconds.is_some() => cardinal(h),
            (0 | 24, 0) => "midnight".to_owned(),
            (h @ 1..=12, 0) => format!("{} o'clock", cardinal(h)),
            (h, 0) => format!("{} hundred", cardinal(h)),
            (h, m @ 1..=9) => format!("{} oh {}", cardinal(h), cardinal(m)),
            (h, m) => format!("{} {}", cardinal(h), cardinal(m)),
        };
        if let Some(seconds) = seconds {
            let name = if seconds == 1 { "second" } else { "seconds" };
            spoken = format!("{spoken} and {} {name}", cardinal(seconds));
        }
        self.i = end;
        if let Some((half, stop)) = meridiem {
            spoken = format!("{spoken} {half}");
            self.i = stop;
        }
        self.say(&spoken, &written, true);
        if self.at(self.i) == Some('Z') && !self.alnum_at(self.i + 1) {
            self.out.words("U T C");
            self.i += 1;
        }
        // "9:00-17:00", "UTC" offsets come as words.
        let gap = usize::from(self.at(self.i) == Some(' '));
        if matches!(self.at(self.i + gap), Some('–' | '-'))
            && self.digit_at(self.i + 1 + 2 * gap)
            && (gap == 0 || self.at(self.i + 2) == Some(' '))
        {
            self.out.words("to");
            self.i += 1 + 2 * gap;
        }
        true
    }

    /// `pm`, `p.m.`, `PM` after at most one space: "P M", and where it ends.
    pub(super) fn meridiem(&self, from: usize) -> Option<(&'static str, usize)> {
        let start = from + usize::from(self.at(from) == Some(' '));
        let half = match self.at(start)? {
            'a' | 'A' => "A M",
            'p' | 'P' => "P M",
            _ => return None,
        };
        let dot = usize::from(self.at(start + 1) == Some('.'));
        let m = start + 1 + dot;
        if !matches!(self.at(m), Some('m' | 'M')) || self.alnum_at(m + 1) {
            return None;
        }
        // "a.m" needs no second full stop; one at the end of the line also ends the sentence.
        let last = m + 1;
        let (_, next) = self.next_word(last + 1);
        let sentence_ends = self.at(next).is_none_or(char::is_uppercase);
        let stop = if dot == 1 && self.at(last) == Some('.') && !sentence_ends {
            last + 1
        } else {
            last
        };
        Some((half, stop))
    }

    /// A month's name here, with the day and year that follow: `Nov 22nd, 2026`.
    pub(super) fn month_and_day(&mut self, written: &str) -> bool {
        let Some((index, short)) = month(written) else {
            return false;
        };
        let end = self.i + written.len();
        let dot = usize::from(short && self.at(end) == Some('.'));
        let start = self.skip_spaces(end + dot);
        let day_end = self.digits(start);
        let day: Option<u64> = self.slice(start, day_end).parse().ok();
        let name = MONTHS[index - 1];
        let suffix = self.slice(day_end, day_end + 2).to_ascii_lowercase();
        let ordinal = matches!(suffix.as_str(), "st" | "nd" | "rd" | "th");
        let after = day_end + if ordinal { 2 } else { 0 };
        let is_day = start > end
            && day.is_some_and(|d| (1..=31).contains(&d))
            && day_end - start <= 2
            && !self.alnum_at(after)
            && !matches!(self.at(after), Some(':' | '.' | '%' | '/') if self.digit_at(after + 1) || self.at(after) == Some('%'));
        let year = day_end - start == 4
            && day.is_some_and(|y| (1000..2200).contains(&y))
            && !self.alnum_at(day_end);
        if !is_day && !year && dot == 0 && (short || name == "May" || name == "March") {
            return false;
        }
        self.say(name, name, false);
        // The full stop of "Nov." at the end of all is the sentence's.
        self.i = end + if start < self.c.len() { dot } else { 0 };
        if let (true, Some(day)) = (is_day, day) {
            self.say(&number::ordinal(day), name, false);
            self.i = after;
            // "May 3-5", "June 3rd – 7th"
            let gap = usize::from(self.at(after) == Some(' '));
            let second = after + 1 + 2 * gap;
            if matches!(self.at(after + gap), Some('-' | '–')) && self.digit_at(second) {
                let second_end = self.digits(second);
                if let Ok(last @ 1..=31) = self.slice(second, second_end).parse::<u64>() {
                    self.say(&format!("to {}", number::ordinal(last)), name, false);
                    let suffix = self.slice(second_end, second_end + 2).to_ascii_lowercase();
                    let ordinal = matches!(suffix.as_str(), "st" | "nd" | "rd" | "th");
                    self.i = second_end + if ordinal { 2 } else { 0 };
                }
            }
        }
        if (is_day || year) && self.year_follows(self.i) {
            let at = self.run(self.i, |c| c.is_whitespace() || c == ',');
            let value = self.slice(at, at + 4).parse().unwrap_or(0);
            if self.at(self.i) == Some(',') {
                self.out.pause(',');
            }
            self.say(&number::year(value), &value.to_string(), false);
            self.i = at + 4;
        }
        true
    }

    /// Whether a year stands at `from`, after a space or a comma and a space.
    pub(super) fn year_follows(&self, from: usize) -> bool {
        let at = self.run(from, |c| c.is_whitespace() || c == ',');
        let end = self.digits(at);
        at > from
            && at - from <= 2
            && end - at == 4
            && !self.alnum_at(end)
            && self.at(end) != Some(':')
            && self
                .slice(at, end)
                .parse::<u64>()
                .is_ok_and(|y| (1000..2200).contains(&y))
    }
}

fn full(year: u64, month: u64, day: u64) -> Option<String> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1000..2200).contains(&year) {
        return None;
    }
    let name = MONTHS[month as usize - 1];
    Some(format!(
        "{name} {}, {}",
        number::ordinal(day),
        number::year(year)
    ))
}
