//! What begins with a digit: which kind of figure it is, and plain quantities and years. The other kinds
//! have files of their own: `codes`, `fractions`, `measure`, `money`, and `when` for dates and times.

use super::{
    codes::version,
    number::{self, cardinal_digits, digits, grouped},
    reader::Reader,
    words::{before_a_code, before_a_model, before_a_version, before_a_year},
};

/// A quantity as it stands in the text.
pub(super) struct Amount {
    pub(super) whole: String,
    pub(super) fraction: String,
    pub(super) end: usize,
    pub(super) grouped: bool,
}

impl Amount {
    pub(super) fn words(&self) -> String {
        if self.fraction.is_empty() {
            cardinal_digits(&self.whole)
        } else {
            number::decimal(&self.whole, &self.fraction)
        }
    }

    pub(super) fn is_one(&self) -> bool {
        self.whole == "1" && self.fraction.is_empty()
    }

    pub(super) fn value(&self) -> Option<u64> {
        if self.fraction.is_empty() {
            self.whole.parse().ok()
        } else {
            None
        }
    }
}

impl Reader<'_> {
    /// A digit, at the beginning of a token or after a sign.
    pub(super) fn figure(&mut self) {
        if self.date() || self.clock() || self.telephone() || self.dotted_number() {
            return;
        }
        let Some(amount) = self.amount(self.i) else {
            self.i += 1;
            return;
        };
        if self.name_of_digits(&amount) {
            return;
        }
        if self.day_of_month(&amount)
            || self.slash(&amount)
            || self.suffixed(&amount)
            || self.times(&amount)
        {
            return;
        }
        let end = amount.end;
        let written = self.slice(self.i, end);
        // Only a number itself, no unit, can be a year or a code.
        if let Some(end) = self.range(&amount) {
            let words = self.plain(&amount, true);
            self.say(&format!("{words} to"), &written, true);
            self.i = end;
            return;
        }
        if self.mixed(&amount) || self.unit(&amount) || self.currency_after(&amount) {
            return;
        }
        let words = self.plain(&amount, false);
        self.say(&words, &written, true);
        self.i = end;
        if self.at(end) == Some('+')
            && !self.alnum_at(end + 1)
            && !self.digit_at(self.skip_spaces(end + 1))
        {
            self.out.words("plus");
            self.i += 1;
        }
    }

    /// `1,234.5`, `1234`, `.5`'s digits, `1.234,50`.
    pub(super) fn amount(&self, from: usize) -> Option<Amount> {
        let mut end = self.digits(from);
        if end == from {
            return None;
        }
        let mut whole = self.slice(from, end);
        let mut grouped = false;
        let groups = |separator: char| {
            let mut end = end;
            while self.at(end) == Some(separator) && self.digits(end + 1) == end + 4 {
                end += 4;
            }
            end
        };
        if whole.len() <= 3 {
            let commas = groups(',');
            let dots = groups('.');
            if commas > end {
                whole = self.slice(from, commas).replace(',', "");
                end = commas;
                grouped = true;
            } else if dots > end && self.at(dots) == Some(',') && self.digits(dots + 1) == dots + 3
            {
                // 1.234,50 as the rest of Europe writes it.
                let fraction = self.slice(dots + 1, dots + 3);
                let whole = self.slice(from, dots).replace('.', "");
                return Some(Amount {
                    whole,
                    fraction,
                    end: dots + 3,
                    grouped: true,
                });
            }
        }
        let mut fraction = String::new();
        if self.at(end) == Some('.') && self.digit_at(end + 1) {
            let fraction_end = self.digits(end + 1);
            fraction = self.slice(end + 1, fraction_end);
            end = fraction_end;
        }
        Some(Amount {
            whole,
            fraction,
            end,
            grouped,
        })
    }

    /// A number without unit, by context: year, code, model, version or quantity.
    pub(super) fn plain(&self, amount: &Amount, in_range: bool) -> String {
        let whole = amount.whole.as_str();
        let last = self.last.lower.as_str();
        if !amount.fraction.is_empty() {
            if before_a_version(last) {
                return version(&[whole, &amount.fraction]);
            }
            return amount.words();
        }
        if amount.grouped {
            return amount.words();
        }
        let round = whole.len() > 3 && whole.ends_with("000");
        if before_a_code(last) && whole.len() > 2 || whole.len() > 9 && !round {
            return digits(whole);
        }
        if whole.len() == 4 && self.is_year(amount, in_range) {
            return whole.parse().map_or_else(|_| digits(whole), number::year);
        }
        let acronym = self.last.written.len() > 1
            && self
                .last
                .written
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if matches!(whole.len(), 3 | 4)
            && (before_a_model(&self.last.written) || acronym && !self.last.number)
        {
            return grouped(whole);
        }
        amount.words()
    }

    fn is_year(&self, amount: &Amount, in_range: bool) -> bool {
        let Some(year) = amount.value() else {
            return false;
        };
        if self.last.number
            && self.last.written.len() == 4
            && self.last.lower.starts_with(['1', '2'])
            && !in_range
        {
            return (1000..2100).contains(&year);
        }
        let (next, start) = self.next_word(amount.end);
        if matches!(next.as_str(), "AD" | "BC" | "CE" | "BCE") {
            return true;
        }
        // "2000 people", "1999 dollars": a quantity of things, unless a verb follows a date.
        let things = start == amount.end + 1
            && next.len() > 3
            && next.ends_with('s')
            && !next.ends_with("ss")
            && next.starts_with(|c: char| c.is_ascii_lowercase())
            && !matches!(next.as_str(), "was" | "is" | "has" | "does" | "this");
        let unit = matches!(
            next.as_str(),
            "people"
                | "percent"
                | "million"
                | "billion"
                | "thousand"
                | "feet"
                | "men"
                | "women"
                | "children"
        );
        if things || unit {
            return false;
        }
        let context =
            before_a_year(&self.last.lower) || super::words::month(&self.last.written).is_some();
        (1900..2100).contains(&year)
            || context && (1000..2100).contains(&year)
            || in_range && (1400..2100).contains(&year)
    }
}
