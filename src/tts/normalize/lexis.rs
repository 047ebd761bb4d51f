//! Words: plain ones pass, abbreviations are written out, acronyms spelled, Roman numerals
//! counted, names made of several words taken apart.
//!
//! In what comes out, a single capital letter is the name of that letter ("A P I"); the article
//! "a" is always small, so that the phonemiser can tell "plan A" from "a plan".

use super::{
    number::{cardinal, ordinal, roman},
    reader::Reader,
    words::{self, Caps, capitals, spell},
};

impl Reader<'_> {
    /// A letter, at the beginning of a word.
    pub(super) fn word(&mut self) {
        let start = self.i;
        if self.initials() {
            return;
        }
        let end = self.word_end(start);
        let word = self.slice(start, end);
        if self.digit_at(end) {
            if (word == "v" || word == "V") && self.at(self.digits(end)) == Some('.') {
                self.say("version", "version", false);
                self.i = end;
                return;
            }
            self.alnum();
            return;
        }
        if self.month_and_day(&word)
            || self.weekday(&word, end)
            || self.abbreviation(&word, end)
            || self.with_sign(&word, end)
            || self.numeral(&word, end)
        {
            return;
        }
        self.compound(end);
    }

    /// Letters, and apostrophes between them.
    fn word_end(&self, start: usize) -> usize {
        let mut end = self.letters(start);
        while self.at(end) == Some('\'') && self.letter_at(end + 1) {
            end = self.letters(end + 1);
        }
        end
    }

    /// A word and what hyphens tie to it: `state-of-the-art`, `Wi-Fi`, `USB-C`.
    fn compound(&mut self, first_end: usize) {
        let start = self.i;
        let mut parts = vec![self.slice(start, first_end)];
        let mut end = first_end;
        while self.at(end) == Some('-') && self.letter_at(end + 1) && parts.len() < 12 {
            let next = self.word_end(end + 1);
            if self.digit_at(next) {
                break;
            }
            parts.push(self.slice(end + 1, next));
            end = next;
        }
        let written = self.slice(start, end);
        let article = parts.len() == 1 && self.is_article(&written, end);
        let spoken: Vec<String> = parts
            .iter()
            .map(|part| {
                if article {
                    "a".to_owned()
                } else {
                    self.spoken(part)
                }
            })
            .collect();
        let whole = spoken.iter().zip(&parts).all(|(said, part)| {
            !said.contains(' ') && (part.len() > 1 || !matches!(part.as_str(), "A" | "I" | "a"))
        }) && parts.iter().any(|part| part.len() > 1);
        self.i = end;
        let said = spoken.join(if whole { "-" } else { " " });
        self.say(&said, &written, false);
    }

    /// Whether this "A" is the article and not the letter.
    fn is_article(&self, word: &str, end: usize) -> bool {
        if word != "A" || self.at(end) != Some(' ') {
            return false;
        }
        let (next, _) = self.next_word(end);
        let word_follows = next.len() > 1 || self.digit_at(end + 1);
        word_follows
            && (self.out.at_sentence_start() || next.starts_with(|c: char| c.is_ascii_uppercase()))
    }

    /// One part of a compound in words of the alphabet.
    fn spoken(&self, part: &str) -> String {
        if let Some(said) = words::short(part) {
            return said.to_owned();
        }
        if let Some(base) = part.strip_suffix("'s").or_else(|| part.strip_suffix("'S"))
            && base.len() > 1
        {
            return format!("{}'s", self.spoken(base));
        }
        let bytes = part.as_bytes();
        let upper = |b: &u8| b.is_ascii_uppercase();
        match bytes {
            // "a/b", "a)", "a = 1": the letter.
            [b'a'] if matches!(self.at(self.i + 1), Some('/' | ')' | '=' | '+' | '^')) => {
                return "A".to_owned();
            }
            [b'a' | b'I'] => return part.to_owned(),
            [_] => return part.to_ascii_uppercase(),
            _ => {}
        }
        if bytes.iter().all(upper) {
            if words::is_function_word(part) && words::is_emphasised(&self.last.written) {
                return part.to_ascii_lowercase();
            }
            return match capitals(part, self.shouting) {
                Caps::Word(word) => word,
                Caps::Letters => spell(part),
            };
        }
        // "DON'T", "WE'RE"
        if part.contains('\'') && bytes.iter().all(|b| upper(b) || *b == b'\'') {
            return part.to_ascii_lowercase();
        }
        // "APIs", "GPUs"
        if let Some(base) = part.strip_suffix('s')
            && base.len() > 1
            && base.bytes().all(|b| b.is_ascii_uppercase())
        {
            return match words::pronounced(base) {
                Some(said) if !said.contains(' ') => format!("{said}s"),
                _ => format!("{}'s", spell(base)),
            };
        }
        let has_inner_capital = bytes[1..].iter().any(upper);
        if has_inner_capital && !words::is_known_mixed(part) && !part.contains('\'') {
            let parts = super::web::camel_parts(part);
            if parts.len() > 1 {
                let said: Vec<String> = parts.iter().map(|part| self.spoken(part)).collect();
                return said.join(" ");
            }
        }
        let lower = part.to_ascii_lowercase();
        let vowels = lower.bytes().any(|b| b"aeiouy".contains(&b));
        if !vowels && !part.contains('\'') && part.len() < 8 {
            return spell(part);
        }
        part.to_owned()
    }

    /// `e.g.`, `U.S.`, `a.m.`, `J. R. R.`'s dotted kind: letters with full stops between.
    fn initials(&mut self) -> bool {
        let mut letters = String::new();
        let mut at = self.i;
        while self.letter_at(at) && self.at(at + 1) == Some('.') && letters.len() < 12 {
            letters.push(self.c[at]);
            at += 2;
        }
        let mut dotted = true;
        if !letters.is_empty()
            && self.letter_at(at)
            && !self.alnum_at(at + 1)
            && self.at(at + 1) != Some('\'')
        {
            letters.push(self.c[at]);
            at += 1;
            dotted = false;
        }
        if letters.len() < 2 {
            return self.initial(&letters);
        }
        let written = self.slice(self.i, at);
        let spoken = match letters.to_ascii_lowercase().as_str() {
            "eg" => "for example".to_owned(),
            "ie" => "that is".to_owned(),
            "aka" => "also known as".to_owned(),
            _ => spell(&letters),
        };
        self.say(&spoken, &written, false);
        let (next, start) = self.next_word(at);
        let time = matches!(letters.as_str(), "am" | "pm");
        if dotted
            && (start >= self.c.len() || time && next.starts_with(|c: char| c.is_ascii_uppercase()))
        {
            self.out.pause('.');
        }
        self.i = at;
        true
    }

    /// `J. Smith`: an initial is no sentence end.
    fn initial(&mut self, letters: &str) -> bool {
        let capital = letters.bytes().all(|b| b.is_ascii_uppercase()) && !letters.is_empty();
        let (next, start) = self.next_word(self.i + 2);
        let name = next.starts_with(|c: char| c.is_ascii_uppercase()) && start > self.i + 2;
        // After a word in small letters it is more likely the end: "vitamin C. Then".
        let in_name = self.last.written.is_empty()
            || next.len() == 1 && self.at(start + 1) == Some('.')
            || self
                .last
                .written
                .starts_with(|c: char| c.is_ascii_uppercase());
        if !capital || !name || !in_name || letters == "I" {
            return false;
        }
        self.say(letters, letters, false);
        self.i += 2;
        true
    }

    /// `Mon.`, `Tue, Nov 3`, `Mon-Fri`.
    fn weekday(&mut self, word: &str, end: usize) -> bool {
        let Some(name) = words::weekday(word) else {
            return false;
        };
        let next = self.at(end);
        let (after, start) = self.next_word(end + 1);
        let date = words::month(&after).is_some() || self.digit_at(start);
        let other = words::weekday(&after).is_some();
        // "Sat" and "Sun" are words; "Mon" and "Tue" hardly.
        let word_too = matches!(word, "Sat" | "Sun" | "Wed" | "Fri");
        let good = match next {
            Some('.') => start > end + 1 || !word_too,
            Some(',') => date || other,
            Some('-' | '–' | '/') => other,
            _ => date || self.last.lower.ends_with("day") || !word_too && word != "Mon",
        };
        if !good {
            return false;
        }
        self.say(name, name, false);
        self.i = end;
        if next == Some('.') && start < self.c.len() {
            self.i += 1;
        }
        if other && matches!(next, Some('-' | '–')) {
            self.out.words("to");
            self.i = end + 1;
        }
        true
    }

    /// Abbreviations with a full stop, and those whose sense depends on their neighbours.
    fn abbreviation(&mut self, word: &str, end: usize) -> bool {
        let stop = self.at(end) == Some('.') && !self.alnum_at(end + 1);
        let lower = word.to_ascii_lowercase();
        let (_, next_at) = self.next_word(end + usize::from(stop));
        let next = self.at(next_at);
        let capital_next = next.is_some_and(char::is_uppercase) && next_at > end;
        let digit_next = self.digit_at(next_at);
        let after_name = self
            .last
            .written
            .starts_with(|c: char| c.is_ascii_uppercase());
        let address = after_name && self.last_but_one_number();
        let capital = word.starts_with(|c: char| c.is_ascii_uppercase());
        let spoken = match lower.as_str() {
            "no" if stop && digit_next => "number",
            "nos" if stop && digit_next => "numbers",
            "st" if capital && capital_next && !address => "Saint",
            "st" if capital && after_name => "Street",
            "dr" if capital && capital_next && !address => "Doctor",
            "dr" if capital && after_name => "Drive",
            "mt" if capital && capital_next => "Mount",
            "ft" if capital && capital_next && stop => "Fort",
            "ph" if stop => return false,
            "p" | "pp" if stop && digit_next => {
                if lower == "p" {
                    "page"
                } else {
                    "pages"
                }
            }
            "c" if stop && digit_next => "circa",
            "al" if stop && self.last.lower == "et" => "al",
            _ if !stop => return self.doctorate(word, end),
            "max" | "min" | "ed" | "fig" | "ref" | "temp" | "co" | "ext" | "sec" | "est"
            | "avg" | "tel" | "vol" | "ca" | "cf" | "hr" | "wk" | "yr" | "lb" | "ft" | "mt"
            | "ste" | "sen" | "fwy"
                if !(next.is_some_and(char::is_lowercase)
                    || digit_next
                    || next == Some(',')
                    || lower == "co" && after_name) =>
            {
                return false;
            }
            "rep" | "gen" | "col" | "rev" | "hon" | "pres" | "gov" | "lt"
                if !(capital && capital_next) =>
            {
                return false;
            }
            _ => match words::dotted(&lower) {
                Some(spoken) => spoken,
                None => return false,
            },
        };
        self.say(spoken, word, false);
        self.i = end;
        if stop {
            let last = next_at >= self.c.len();
            if last || lower == "etc" && capital_next {
                self.out.pause('.');
            }
            self.i += 1;
        }
        true
    }

    /// `Ph.D.`
    fn doctorate(&mut self, word: &str, end: usize) -> bool {
        if word != "Ph" || self.slice(end, end + 2) != ".D" {
            return false;
        }
        self.say("P H D", "PhD", false);
        let dot = usize::from(self.at(end + 2) == Some('.'));
        self.i = end + 2 + dot;
        if dot == 1 && self.skip_spaces(self.i) >= self.c.len() {
            self.out.pause('.');
        }
        true
    }

    /// `w/`, `w/o`, `C#`, `A+`, `n/a`.
    fn with_sign(&mut self, word: &str, end: usize) -> bool {
        let sign = self.at(end);
        let (spoken, used) = match (word, sign) {
            ("w" | "W", Some('/')) if self.at(end + 1) == Some('o') && !self.alnum_at(end + 2) => {
                ("without", 2)
            }
            ("w" | "W", Some('/')) => ("with", 1),
            ("b" | "B", Some('/')) if self.at(end + 1) == Some('c') && !self.alnum_at(end + 2) => {
                ("because", 2)
            }
            ("n" | "N", Some('/'))
                if matches!(self.at(end + 1), Some('a' | 'A')) && !self.alnum_at(end + 2) =>
            {
                ("not applicable", 2)
            }
            (_, Some('#')) if word.len() == 1 && !self.alnum_at(end + 1) => ("sharp", 1),
            (_, Some('+'))
                if word.len() == 1 && !self.alnum_at(end + 1) && self.at(end + 1) != Some('+') =>
            {
                ("plus", 1)
            }
            _ => return false,
        };
        if matches!(sign, Some('#' | '+')) {
            self.out.word(&word.to_ascii_uppercase());
        }
        self.say(spoken, word, false);
        self.i = end + used;
        true
    }

    /// `Henry VIII`, `Chapter IV`, `World War II`.
    fn numeral(&mut self, word: &str, end: usize) -> bool {
        if !word.bytes().all(|b| b"IVXLCDM".contains(&b)) || self.alnum_at(end) {
            return false;
        }
        let Some(value) = roman(word) else {
            return false;
        };
        let capital = self
            .last
            .written
            .starts_with(|c: char| c.is_ascii_uppercase());
        let small = word.bytes().all(|b| b"IVX".contains(&b));
        if !(capital || words::before_a_roman(&self.last.lower) && word.len() > 1) {
            return false;
        }
        let (next, start) = self.next_word(end);
        let closed = !matches!(self.at(start), Some(c) if c.is_alphabetic())
            || start == end
            || matches!(
                next.as_str(),
                "of" | "was"
                    | "ruled"
                    | "reigned"
                    | "and"
                    | "is"
                    | "died"
                    | "had"
                    | "in"
                    | "began"
                    | "ended"
            );
        let spoken = if words::before_a_roman(&self.last.lower)
            && (word.len() > 1 || word != "I" || closed)
        {
            cardinal(value)
        } else if words::is_regnal(&self.last.written)
            && word != "X"
            && small
            && (word != "I" || closed)
        {
            format!("the {}", ordinal(value))
        } else if small && word.len() > 1 {
            cardinal(value)
        } else {
            return false;
        };
        self.say(&spoken, word, true);
        self.i = end;
        true
    }
}
