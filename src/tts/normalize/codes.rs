//! Figures that name something instead of counting it: versions, telephone and serial numbers, powers
//! of ten, names like "221B".

use super::{
    figures::Amount,
    number::{cardinal_digits, digits, grouped},
    reader::Reader,
    words::{is_pronounceable, spell},
};

impl Reader<'_> {
    /// `1.2.3`, `10.0.19045`.
    pub(super) fn dotted_number(&mut self) -> bool {
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
    pub(super) fn telephone(&mut self) -> bool {
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
    pub(super) fn name_of_digits(&mut self, amount: &Amount) -> bool {
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
