//! Everything that begins with a digit or a currency sign: quantities with their units, money,
//! fractions, ranges, ratios, versions, telephone and serial numbers, names like "221B".

use super::{
    number::{self, cardinal, cardinal_digits, digits, grouped},
    reader::Reader,
    units::{self, CURRENCIES, Currency, When},
    words::{
        before_a_code, before_a_model, before_a_version, before_a_year, is_pronounceable, spell,
    },
};

/// A quantity as it stands in the text.
pub(super) struct Amount {
    pub(super) whole: String,
    pub(super) fraction: String,
    pub(super) end: usize,
    pub(super) grouped: bool,
}

impl Amount {
    fn words(&self) -> String {
        if self.fraction.is_empty() {
            cardinal_digits(&self.whole)
        } else {
            number::decimal(&self.whole, &self.fraction)
        }
    }

    fn is_one(&self) -> bool {
        self.whole == "1" && self.fraction.is_empty()
    }

    fn value(&self) -> Option<u64> {
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
    fn plain(&self, amount: &Amount, in_range: bool) -> String {
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

    /// `1.2.3`, `10.0.19045`.
    fn dotted_number(&mut self) -> bool {
        let mut end = self.digits(self.i);
        let mut parts = vec![self.slice(self.i, end)];
        while self.at(end) == Some('.') && self.digit_at(end + 1) {
            let next = self.digits(end + 1);
            parts.push(self.slice(end + 1, next));
            end = next;
        }
        if parts.len() < 3 {
            return false;
        }
        let written = self.slice(self.i, end);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.i = end;
        self.say(&version(&parts), &written, true);
        true
    }

    /// Telephone numbers, ISBNs, card numbers: groups of digits that are read one by one.
    fn telephone(&mut self) -> bool {
        let Some((groups, end)) = self.digit_groups(self.i) else {
            return false;
        };
        self.say_groups(&groups, end);
        true
    }

    pub(super) fn say_groups(&mut self, groups: &[String], end: usize) {
        let written = self.slice(self.i, end);
        for (i, group) in groups.iter().enumerate() {
            if i > 0 {
                self.out.pause(',');
            }
            self.say(&digits(group), &written, true);
        }
        self.i = end;
    }

    /// `555-123-4567`, `(555) 123-4567`, `978-3-16-148410-0`, `4111 1111 1111 1111`, `+41 44 668 18 00`.
    pub(super) fn digit_groups(&self, from: usize) -> Option<(Vec<String>, usize)> {
        let plus = self.at(from) == Some('+');
        let paren = self.at(from) == Some('(');
        let mut at = from + usize::from(plus || paren);
        let (mut groups, mut hyphens, mut spaces, mut dots) = (Vec::new(), 0, 0, 0);
        let mut end = at;
        while groups.len() < 12 {
            let stop = self.digits(at);
            if stop == at || stop - at > 12 {
                break;
            }
            groups.push(self.slice(at, stop));
            end = stop;
            if paren && groups.len() == 1 {
                if self.at(end) != Some(')') {
                    return None;
                }
                end += 1;
                at = end + usize::from(self.at(end) == Some(' '));
                continue;
            }
            at = end + 1;
            if plus && self.at(at) == Some('(') {
                at += 1;
            }
            if !self.digit_at(at) {
                break;
            }
            match self.at(end) {
                Some('-') => hyphens += 1,
                Some(' ') => spaces += 1,
                Some('.') => dots += 1,
                _ => break,
            }
        }
        if self.alnum_at(end) || (self.at(end) == Some(':') && self.digit_at(end + 1)) {
            return None;
        }
        let lens: Vec<usize> = groups.iter().map(String::len).collect();
        let total: usize = lens.iter().sum();
        let one_kind =
            usize::from(hyphens > 0) + usize::from(spaces > 0) + usize::from(dots > 0) <= 1;
        let good = if plus {
            total >= 7
        } else if paren {
            matches!(lens.as_slice(), [3, 3, 4] | [3, 7] | [2..=5, 3..=8])
        } else if !one_kind {
            // "1 555-123-4567"
            matches!(lens.as_slice(), [1, 3, 3, 4])
        } else if hyphens > 0 {
            let code = lens.len() >= 3 && total >= 9;
            code || matches!(lens.as_slice(), [3, 4])
                && !groups[0].ends_with("00")
                && self.last.lower != "pages"
        } else if spaces > 0 {
            matches!(lens.as_slice(), [4, 4, 4, 4])
                || groups[0].starts_with('0')
                    && lens.len() >= 3
                    && total >= 8
                    && lens.iter().all(|&l| l > 1)
        } else {
            matches!(lens.as_slice(), [3, 3, 4])
        };
        good.then_some((groups, end))
    }

    /// `221B`, `3D`, `4K`, `10k`, `5M`, `1a2b3c`, `0xFF`: letters that touch the digits.
    fn name_of_digits(&mut self, amount: &Amount) -> bool {
        let end = amount.end;
        if !self.letter_at(end) {
            return false;
        }
        let letters_end = self.letters(end);
        let letters = self.slice(end, letters_end);
        let more = self.digit_at(letters_end);
        let plain = amount.fraction.is_empty() && !amount.grouped;
        if !more {
            let lower = letters.to_ascii_lowercase();
            let ordinal = matches!(lower.as_str(), "st" | "nd" | "rd" | "th");
            if ordinal
                || letters == "s"
                || lower == "x"
                || self.unit_at(end, true).is_some()
                || self.meridiem(end).is_some()
            {
                return false;
            }
            let thousands = match letters.as_str() {
                "k" => Some("thousand"),
                "M" => Some("million"),
                "B" | "bn" => Some("billion"),
                _ => None,
            };
            if let Some(scale) = thousands
                && (letters != "B" || amount.whole.len() < 3)
            {
                let written = self.slice(self.i, letters_end);
                self.say(&format!("{} {scale}", amount.words()), &written, true);
                self.i = letters_end;
                return true;
            }
            // "6.02e23" needs its exponent; "5ish" is a word.
            if lower == "e"
                && (matches!(self.at(letters_end), Some('-' | '+'))
                    && self.digit_at(letters_end + 1))
            {
                return self.exponent(amount, letters_end);
            }
        } else if matches!(letters.as_str(), "e" | "E") && plain_tail(self, letters_end) {
            return self.exponent(amount, letters_end);
        } else if lower_x(&letters) && plain && self.digit_at(letters_end) {
            return false;
        }
        if !plain {
            return false;
        }
        self.alnum();
        true
    }

    fn exponent(&mut self, amount: &Amount, at: usize) -> bool {
        let sign = matches!(self.at(at), Some('-' | '+'));
        let minus = if self.at(at) == Some('-') {
            "minus "
        } else {
            ""
        };
        let start = at + usize::from(sign);
        let end = self.digits(start);
        let power = cardinal_digits(&self.slice(start, end));
        let written = self.slice(self.i, end);
        let words = amount.words();
        self.say(
            &format!("{words} times ten to the power of {minus}{power}"),
            &written,
            true,
        );
        self.i = end;
        true
    }

    /// A run of letters and digits, group by group.
    pub(super) fn alnum(&mut self) {
        let end = self
            .run(self.i, |c| c.is_ascii_alphanumeric())
            .min(self.i + 200);
        let token = self.slice(self.i, end);
        self.i = end;
        let spoken = self.alnum_words(&token);
        self.say(&spoken, &token, false);
    }

    pub(super) fn alnum_words(&self, token: &str) -> String {
        let mut groups: Vec<&str> = Vec::new();
        let bytes = token.as_bytes();
        let mut start = 0;
        for i in 1..=bytes.len() {
            if i == bytes.len() || bytes[i].is_ascii_digit() != bytes[i - 1].is_ascii_digit() {
                groups.push(&token[start..i]);
                start = i;
            }
        }
        // A hash or a key: nothing in it is a number.
        let scrambled = groups.len() > 4;
        let spelled =
            |g: &str| g.len() < 3 || !is_pronounceable(&g.to_ascii_lowercase()) || scrambled;
        let code = groups.first().is_some_and(|g| {
            g.len() > 1 && g.bytes().all(|b| b.is_ascii_lowercase()) && (spelled(g) || *g == "abc")
        });
        let words: Vec<String> = groups
            .iter()
            .map(|&group| {
                if group.as_bytes()[0].is_ascii_digit() {
                    let long = group.len() > 4 || scrambled || code && group.len() > 1;
                    return if long { digits(group) } else { grouped(group) };
                }
                if group == "abc" || scrambled {
                    return spell(group);
                }
                if matches!(
                    super::words::capitals(group, false),
                    super::words::Caps::Letters
                ) && group.bytes().all(|b| b.is_ascii_uppercase())
                {
                    return spell(group);
                }
                if spelled(group) {
                    spell(group)
                } else {
                    self.camel(group)
                }
            })
            .collect();
        words.join(" ")
    }

    /// `22 November 2026`, `1 May`.
    fn day_of_month(&mut self, amount: &Amount) -> bool {
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
    fn slash(&mut self, amount: &Amount) -> bool {
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
    fn mixed(&mut self, amount: &Amount) -> bool {
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
    fn suffixed(&mut self, amount: &Amount) -> bool {
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
    fn times(&mut self, amount: &Amount) -> bool {
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
    fn range(&self, amount: &Amount) -> Option<usize> {
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

    /// A unit after the number at `self.i`.
    fn unit(&mut self, amount: &Amount) -> bool {
        let end = amount.end;
        let written = self.slice(self.i, end);
        if self.at(end) == Some('\'') || self.at(end) == Some('"') {
            return self.feet_and_inches(amount);
        }
        if let Some((spoken, stop)) = self.meridiem(end)
            && amount.value().is_some_and(|h| (1..=12).contains(&h))
        {
            self.say(&format!("{} {spoken}", amount.words()), &written, true);
            self.i = stop;
            return true;
        }
        // "a 10-km run", "a 5-min break".
        if self.at(end) == Some('-') && self.letter_at(end + 1) {
            let stop = self.letters(end + 1);
            let letters = self.slice(end + 1, stop);
            if let Some((unit, When::Always)) = units::lookup(&letters)
                && !self.alnum_at(stop)
                && letters != "s"
            {
                self.say(&format!("{} {}", amount.words(), unit.one), &written, true);
                self.i = stop;
                return true;
            }
            return false;
        }
        let Some((unit, stop)) = self.unit_at(end, false) else {
            return false;
        };
        self.say(
            &format!("{} {}", amount.words(), unit.of(amount.is_one())),
            &written,
            true,
        );
        self.i = stop;
        if self.at(stop - 1) == Some('°') {
            self.arc();
        }
        self.per();
        // "5°C-10°C", "20%–30%".
        if matches!(self.at(self.i), Some('-' | '–')) && self.digit_at(self.i + 1) {
            self.out.words("to");
            self.i += 1;
        }
        true
    }

    /// The unit that stands at `from`, after at most one space, and where it ends.
    pub(super) fn unit_at(&self, from: usize, touching_only: bool) -> Option<(units::Unit, usize)> {
        let touching = !self.space_at(from);
        if touching_only && !touching {
            return None;
        }
        let start = from + usize::from(self.at(from) == Some(' '));
        let is_unit = |c: char| c.is_alphabetic() || matches!(c, '°' | '%' | '‰' | '^');
        let mut end = self.run(start, is_unit);
        if end == start || end > start + 12 {
            return None;
        }
        let raised = self.at(end - 1) == Some('^') && self.digit_at(end);
        if raised || matches!(self.at(end), Some('2' | '3')) && !self.alnum_at(end + 1) {
            end += 1;
        }
        // "° C", "sq ft", "fl. oz.": two words, then one with its full stop, then one.
        let second = self.skip_spaces(end + usize::from(self.at(end) == Some('.')));
        let two = self.run(second, char::is_alphabetic);
        let two_dot = two + usize::from(self.at(two) == Some('.'));
        for stop in [two_dot, two] {
            if stop > second && stop < start + 12 {
                let letters = self.slice(start, stop).replace("° ", "°");
                if let Some((unit, _)) = units::lookup(&letters)
                    && !self.alnum_at(stop)
                {
                    return Some((unit, stop));
                }
            }
        }
        let bare = self.slice(start, end);
        let (unit, when) = units::lookup(&bare)?;
        if self.alnum_at(end) && bare != "°" {
            return None;
        }
        // A full stop after "lbs" in mid-sentence belongs to it.
        let mut stop = end;
        if self.at(end) == Some('.') && units::lookup(&format!("{bare}.")).is_some() {
            let (_, next) = self.next_word(end + 1);
            if self.at(next).is_some_and(|c| c.is_lowercase() || c == ',') {
                stop += 1;
            }
        }
        let good = match when {
            When::Always => true,
            When::Apart => !touching,
            When::Touching => {
                let next = self.skip_spaces(end);
                touching
                    || self
                        .at(next)
                        .is_none_or(|c| !c.is_alphanumeric() && c != '\'' && c != '"')
            }
        };
        // "5 m people"? No; but "5 s" after a space and "3 A grades" are rare enough.
        good.then_some((unit, stop))
    }

    /// `/h`, `/month` after a unit or an amount.
    pub(super) fn per(&mut self) {
        if self.at(self.i) != Some('/') {
            return;
        }
        let start = self.i + 1;
        let mut end = self.run(start, char::is_alphabetic);
        if self.at(end) == Some('^') && self.digit_at(end + 1) {
            end += 2;
        } else if self.digit_at(end) && !self.alnum_at(end + 1) {
            end += 1;
        }
        let letters = self.slice(start, end);
        let bare = letters.trim_end_matches(|c: char| c.is_ascii_digit() || c == '^');
        if let Some(name) = units::per(&letters) {
            self.out.words(&format!("per {name}"));
        } else if let Some(name) = units::per(bare) {
            let power = if letters.ends_with('3') {
                "cubed"
            } else {
                "squared"
            };
            self.out.words(&format!("per {name} {power}"));
        } else if self.run(start, char::is_alphabetic) - start > 2 {
            self.out.words("per");
            self.i = start;
            return;
        } else {
            return;
        }
        self.i = end;
    }

    /// Minutes, seconds and direction after degrees: `40°26'46"N`.
    fn arc(&mut self) {
        for (mark, unit) in [('\'', ("minute", "minutes")), ('"', ("second", "seconds"))] {
            let start = self.skip_spaces(self.i);
            let Some(amount) = self.amount(start) else {
                break;
            };
            if self.at(amount.end) != Some(mark) {
                break;
            }
            let name = if amount.is_one() { unit.0 } else { unit.1 };
            self.out.words(&format!("{} {name}", amount.words()));
            self.i = amount.end + 1;
        }
        let start = self.skip_spaces(self.i);
        let direction = match self.at(start) {
            Some('N') => "north",
            Some('S') => "south",
            Some('E') => "east",
            Some('W') => "west",
            _ => return,
        };
        if !self.alnum_at(start + 1) {
            self.out.words(direction);
            self.i = start + 1;
        }
    }

    /// `6'2"`, `5'`, `27"`.
    fn feet_and_inches(&mut self, amount: &Amount) -> bool {
        let end = amount.end;
        let written = self.slice(self.i, end);
        if self.at(end) == Some('"') {
            if self.in_quotation() || amount.whole.len() > 3 {
                return false;
            }
            self.say(
                &format!(
                    "{} {}",
                    amount.words(),
                    if amount.is_one() { "inch" } else { "inches" }
                ),
                &written,
                true,
            );
            self.i = end + 1;
            return true;
        }
        let Some(inches) = self.amount(self.skip_spaces(end + 1)) else {
            return false;
        };
        if amount.whole.len() > 3 || !matches!(self.at(inches.end), Some('"' | '\'')) {
            return false;
        }
        self.say(
            &format!("{} foot {}", amount.words(), inches.words()),
            &written,
            true,
        );
        self.i = inches.end + 1;
        if self.at(self.i) == Some('\'') {
            self.i += 1;
        }
        true
    }

    /// `$3.50`, `€1,200`, `US$ 5`, `$3.5M`, `£2-3`.
    pub(super) fn money(&mut self) -> bool {
        let Some((sign, currency)) = self.currency_at(self.i) else {
            return false;
        };
        let after = self.i + sign;
        let gap = usize::from(self.at(after) == Some(' '));
        let start = after + gap;
        let minus = matches!(self.at(start), Some('-' | '−')) && self.digit_at(start + 1);
        let Some(amount) = self.amount(start + usize::from(minus)) else {
            return false;
        };
        if minus {
            self.out.words("minus");
        }
        self.say_money(&amount, currency, amount.end);
        true
    }

    fn currency_at(&self, at: usize) -> Option<(usize, Currency)> {
        let first = self.at(at)?;
        if first.is_ascii_lowercase() {
            return None;
        }
        CURRENCIES.iter().find_map(|(sign, currency)| {
            let len = sign.chars().count();
            let here = sign
                .chars()
                .enumerate()
                .all(|(i, c)| self.at(at + i) == Some(c));
            let letters = sign.ends_with(|c: char| c.is_ascii_alphabetic());
            (here && !(letters && self.letter_at(at + len))).then_some((len, *currency))
        })
    }

    fn currency_after(&mut self, amount: &Amount) -> bool {
        let start = amount.end + usize::from(self.at(amount.end) == Some(' '));
        if self.at(start) == Some('¢') {
            let name = if amount.is_one() { "cent" } else { "cents" };
            let words = amount.words();
            self.say(&format!("{words} {name}"), "", true);
            self.i = start + 1;
            return true;
        }
        let Some((len, currency)) = self.currency_at(start) else {
            return false;
        };
        // "5 $10 notes": the sign belongs to what follows.
        if self.digit_at(start + len) {
            return false;
        }
        self.say_money(amount, currency, start + len);
        true
    }

    fn say_money(&mut self, amount: &Amount, currency: Currency, mut end: usize) {
        let written = self.slice(self.i, end);
        // A range: the currency is said once, after both.
        if end == amount.end && matches!(self.at(end), Some('-' | '–' | '—')) {
            let sign = self.currency_at(end + 1).map_or(0, |(len, _)| len);
            if let Some(upper) = self.amount(end + 1 + sign) {
                let words = amount.words();
                let _ = &written;
                self.say(&format!("{words} to"), &written, true);
                self.say_money(&upper, currency, upper.end);
                return;
            }
        }
        let mut scale = None;
        if end == amount.end {
            let stop = self.letters(end);
            let letters = self.slice(end, stop.min(end + 4));
            if let Some(name) = units::magnitude(&letters)
                && !self.alnum_at(stop)
            {
                scale = Some(name.to_owned());
                end = stop;
            }
        }
        if scale.is_none() {
            let (word, start) = self.next_word(end);
            if matches!(
                word.as_str(),
                "thousand" | "million" | "billion" | "trillion" | "hundred"
            ) && start == end + 1
                && !self.alnum_at(start + word.len())
            {
                end = start + word.len();
                scale = Some(word);
            }
        }
        let main = currency.main;
        let spoken = match (scale, currency.cent, amount.fraction.len()) {
            (Some(scale), _, _) => format!("{} {scale} {}", amount.words(), main.many),
            (None, Some(cent), 2) => {
                let cents: u64 = amount.fraction.parse().unwrap_or(0);
                let whole = Amount {
                    whole: amount.whole.clone(),
                    fraction: String::new(),
                    end,
                    grouped: false,
                };
                let cents_words = format!("{} {}", cardinal(cents), cent.of(cents == 1));
                match (amount.whole.as_str(), cents) {
                    (_, 0) => format!("{} {}", whole.words(), main.of(whole.is_one())),
                    ("0", _) => cents_words,
                    _ => format!(
                        "{} {} and {cents_words}",
                        whole.words(),
                        main.of(whole.is_one())
                    ),
                }
            }
            _ => format!("{} {}", amount.words(), main.of(amount.is_one())),
        };
        self.say(&spoken, &written, true);
        self.i = end;
        if self.at(end) == Some('+') {
            self.out.words("plus");
            self.i += 1;
        }
        self.per();
    }
}

fn lower_x(letters: &str) -> bool {
    matches!(letters, "x" | "X")
}

/// Whether the digits at `at` end a token: `1e10`, not `1e10f`.
fn plain_tail(reader: &Reader<'_>, at: usize) -> bool {
    let end = reader.digits(at);
    end > at && end - at < 4 && !reader.alnum_at(end)
}

/// `["3", "11"]` → "three point eleven".
pub(super) fn version(parts: &[&str]) -> String {
    let part = |part: &&str| match part.as_bytes() {
        [b'0', digit] if digit.is_ascii_digit() => format!("oh {}", digits(&part[1..])),
        _ if part.len() > 4 => digits(part),
        _ => cardinal_digits(part),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(" point ")
}
