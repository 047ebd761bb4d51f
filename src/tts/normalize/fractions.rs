//! Two figures together, and figures with an ending: fractions, ranges, ratios, "3x", "21st", days of a
//! month.

use super::{
    figures::Amount,
    number::{self, cardinal, cardinal_digits, grouped},
    reader::Reader,
};

impl Reader<'_> {
    /// `22 November 2026`, `1 May`.
    pub(super) fn day_of_month(&mut self, amount: &Amount) -> bool {
        let Some(day @ 1..=31) = amount.value() else {
            return false;
        };
        let suffix = self.slice(amount.end, amount.end + 2).to_ascii_lowercase();
        let ordinal =
            matches!(suffix.as_str(), "st" | "nd" | "rd" | "th") && !self.alnum_at(amount.end + 2);
        let end = amount.end + if ordinal { 2 } else { 0 };
        if self.at(end) != Some(' ') {
            return false;
        }
        let (mut word, mut start) = self.next_word(end);
        if word == "of" && ordinal {
            (word, start) = self.next_word(start + 2);
        }
        let Some((month, short)) = super::words::month(&word) else {
            return false;
        };
        // "5 May flowers": only the full names of months are also words or names.
        let month_end = start + word.len();
        if self.alnum_at(month_end)
            || (word == "March" || word == "May")
                && !ordinal
                && !self.year_follows(month_end)
                && self.last.lower.is_empty()
        {
            return false;
        }
        let the = if self.last.lower == "the" || self.out.at_sentence_start() {
            ""
        } else {
            "the "
        };
        let day = number::ordinal(day);
        let name = super::words::MONTHS[month - 1];
        self.say(&format!("{the}{day} of {name}"), &word, false);
        self.last.written = name.to_owned();
        self.i = month_end;
        if short && self.at(self.i) == Some('.') && self.skip_spaces(self.i + 1) < self.c.len() {
            self.i += 1;
        }
        true
    }

    /// Fractions and other pairs with a slash.
    pub(super) fn slash(&mut self, amount: &Amount) -> bool {
        let end = amount.end;
        if self.at(end) != Some('/')
            || !self.digit_at(end + 1)
            || !amount.fraction.is_empty()
            || amount.grouped
        {
            return false;
        }
        let stop = self.digits(end + 1);
        let written = self.slice(self.i, stop);
        let more = self.at(stop) == Some('/') && self.digit_at(stop + 1);
        let under = self.slice(end + 1, stop);
        let (Some(over), Ok(below)) = (amount.value(), under.parse::<u64>()) else {
            return false;
        };
        let (a, b) = (cardinal_digits(&amount.whole), cardinal_digits(&under));
        let spoken = match (over, below) {
            _ if more => format!("{a} slash"),
            (24, 7) | (9, 11) | (20, 20) | (7, 11) => format!("{a} {b}"),
            // An hour's wage or a rating, not a tenth of something.
            (_, 10 | 100) if over <= below => format!("{a} out of {b}"),
            _ if over < below || under.len() == 1 && amount.whole.len() < 3 && over != below => {
                number::fraction(over, below).unwrap_or_else(|| format!("{a} over {b}"))
            }
            _ => format!("{a} {b}"),
        };
        let half = !more && number::fraction(over, below).is_some_and(|f| f == spoken);
        self.i = if more { end + 1 } else { stop };
        // "3/4 cup", "1/2 inch": "of a" belongs between, as everyone says it.
        let unit = if half {
            self.unit_at(self.i, false)
        } else {
            None
        };
        match unit {
            Some((unit, end)) => {
                let article = if unit.one.starts_with(['a', 'e', 'i', 'o', 'u'])
                    || unit.one.starts_with("hour")
                {
                    "an"
                } else {
                    "a"
                };
                let joined = if over == 1 && below == 2 {
                    format!("half {article}")
                } else {
                    format!("{spoken} of {article}")
                };
                self.say(&format!("{joined} {}", unit.one), &written, true);
                self.i = end;
            }
            None => self.say(&spoken, &written, true),
        }
        true
    }

    /// `2 1/2`: a whole number and a fraction.
    pub(super) fn mixed(&mut self, amount: &Amount) -> bool {
        let start = amount.end + 1;
        if self.at(amount.end) != Some(' ') || !amount.fraction.is_empty() {
            return false;
        }
        let over_end = self.digits(start);
        let under_end = self.digits(over_end + 1);
        if over_end == start
            || self.at(over_end) != Some('/')
            || under_end == over_end + 1
            || self.at(under_end) == Some('/')
        {
            return false;
        }
        let parse = |from, to| self.slice(from, to).parse::<u64>().ok();
        let (Some(over), Some(under)) = (parse(start, over_end), parse(over_end + 1, under_end))
        else {
            return false;
        };
        if over >= under || under > 64 {
            return false;
        }
        let Some(part) = number::fraction(over, under) else {
            return false;
        };
        let part = if part == "one half" {
            "a half".to_owned()
        } else {
            part
        };
        let spoken = format!("{} and {part}", amount.words());
        let written = self.slice(self.i, under_end);
        self.i = under_end;
        match self.unit_at(under_end, false) {
            Some((unit, end)) => {
                self.say(&format!("{spoken} {}", unit.many), &written, true);
                self.i = end;
                self.per();
            }
            None => self.say(&spoken, &written, true),
        }
        true
    }

    /// `22nd`, `1990s`, `747s`.
    pub(super) fn suffixed(&mut self, amount: &Amount) -> bool {
        let Some(value) = amount.value() else {
            return false;
        };
        let end = amount.end;
        let suffix = self.slice(end, end + 2).to_ascii_lowercase();
        let written = self.slice(self.i, end);
        if matches!(suffix.as_str(), "st" | "nd" | "rd" | "th") && !self.alnum_at(end + 2) {
            let spoken = number::ordinal(value);
            self.say(&spoken, &written, true);
            self.i = end + 2;
            return true;
        }
        let apostrophe = usize::from(self.at(end) == Some('\''));
        if self.at(end + apostrophe) != Some('s') || self.alnum_at(end + apostrophe + 1) {
            return false;
        }
        let decade = amount.whole.len() == 4 && value % 10 == 0 && (1100..2100).contains(&value);
        let of_life = amount.whole.len() == 2
            && value % 10 == 0
            && (apostrophe == 1
                || self.at(self.i.wrapping_sub(1)) == Some('\'')
                || matches!(
                    self.last.lower.as_str(),
                    "the"
                        | "his"
                        | "her"
                        | "their"
                        | "my"
                        | "your"
                        | "early"
                        | "mid"
                        | "late"
                        | "our"
                ));
        let spoken = if decade {
            number::plural(&number::year(value))
        } else if of_life {
            number::plural(&cardinal(value))
        } else if apostrophe == 1
            || amount.whole.len() > 2 && amount.whole.len() < 5 && value % 10 != 0
        {
            number::plural(&grouped(&amount.whole))
        } else {
            return false;
        };
        self.say(&spoken, &written, false);
        self.i = end + apostrophe + 1;
        true
    }

    /// `1920x1080`, `3 × 4`, `2x faster`.
    pub(super) fn times(&mut self, amount: &Amount) -> bool {
        let gap = usize::from(self.at(amount.end) == Some(' '));
        let sign = amount.end + gap;
        let Some(mark @ ('x' | 'X' | '×')) = self.at(sign) else {
            return false;
        };
        let next = self.skip_spaces(sign + 1);
        let written = self.slice(self.i, amount.end);
        let words = if amount.whole.len() == 4 && amount.fraction.is_empty() {
            grouped(&amount.whole)
        } else {
            amount.words()
        };
        if self.digit_at(next) && (gap == 1) == (next > sign + 1) {
            // With spaces it may be arithmetic; a letter x is always "by".
            let word = if mark == '×' && gap == 1 {
                "times"
            } else {
                "by"
            };
            self.say(&format!("{words} {word}"), &written, true);
            self.i = next;
            return true;
        }
        if gap == 0 && !self.alnum_at(sign + 1) {
            self.say(&format!("{words} times"), &written, false);
            self.i = sign + 1;
            return true;
        }
        false
    }

    /// Where the second number of a range begins: `3-5`, `10–20`, `5 – 10`.
    pub(super) fn range(&self, amount: &Amount) -> Option<usize> {
        let end = amount.end;
        let dash = |c| matches!(c, Some('-' | '–' | '—' | '−'));
        if dash(self.at(end)) && self.digit_at(end + 1) {
            return Some(end + 1);
        }
        let spaced = self.at(end) == Some(' ')
            && self.at(end + 1) == Some('–')
            && self.at(end + 2) == Some(' ');
        (spaced && self.digit_at(end + 3)).then_some(end + 3)
    }
}
