//! Word error rate, after both texts are written the same way.

use std::ops::AddAssign;

use crate::tts::normalize::{cardinal, ordinal};

/// Errors of a hypothesis against a reference, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct WordErrors {
    /// Words of the reference.
    pub words: usize,
    /// Words replaced by another.
    pub substituted: usize,
    /// Words of the reference that are missing.
    pub deleted: usize,
    /// Words that the reference does not have.
    pub inserted: usize,
}

impl WordErrors {
    /// All errors.
    pub fn errors(&self) -> usize {
        self.substituted + self.deleted + self.inserted
    }

    /// Errors per word of the reference; 0 for no words and no errors.
    pub fn rate(&self) -> f64 {
        self.errors() as f64 / self.words.max(1) as f64
    }
}

impl AddAssign<&WordErrors> for WordErrors {
    fn add_assign(&mut self, other: &WordErrors) {
        self.words += other.words;
        self.substituted += other.substituted;
        self.deleted += other.deleted;
        self.inserted += other.inserted;
    }
}

/// Compares two texts word by word (least edits), after [`normalize_words`].
pub fn word_errors(reference: &str, hypothesis: &str) -> WordErrors {
    let (r, h) = (normalize_words(reference), normalize_words(hypothesis));
    // cost, substituted, deleted, inserted of the best way to each cell; one row at a time.
    type Cell = (usize, usize, usize, usize);
    let mut row: Vec<Cell> = (0..=h.len()).map(|j| (j, 0, 0, j)).collect();
    for (i, want) in r.iter().enumerate() {
        let mut next: Vec<Cell> = vec![(i + 1, 0, i + 1, 0)];
        for (j, got) in h.iter().enumerate() {
            let (diagonal, up, left) = (row[j], row[j + 1], next[j]);
            let same = usize::from(want != got);
            let best = [
                (diagonal.0 + same, diagonal.1 + same, diagonal.2, diagonal.3),
                (up.0 + 1, up.1, up.2 + 1, up.3),
                (left.0 + 1, left.1, left.2, left.3 + 1),
            ]
            .into_iter()
            .min_by_key(|cell| cell.0)
            .expect("three ways");
            next.push(best);
        }
        row = next;
    }
    let (_, substituted, deleted, inserted) = row[h.len()];
    WordErrors {
        words: r.len(),
        substituted,
        deleted,
        inserted,
    }
}

/// Lower case, no punctuation, British and spoken spellings folded, numbers as words:
/// what is heard, not how it is written. Both sides of a comparison go through it.
pub fn normalize_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let text = text
        .to_lowercase()
        .replace(['’', '‘'], "'")
        .replace('%', " percent ")
        .replace('&', " and ");
    // "$5" is heard as "five dollars"; commas inside numbers are not heard.
    let text = text.replace(['-', '–', '—', '/'], " ");
    for raw in text.split_whitespace() {
        let trimmed =
            raw.trim_matches(|c: char| !c.is_alphanumeric() && c != '$' && c != '£' && c != '€');
        let (currency, token) = match trimmed.chars().next() {
            Some('$') => (Some("dollars"), &trimmed[1..]),
            Some('£') => (Some("pounds"), &trimmed['£'.len_utf8()..]),
            Some('€') => (Some("euros"), &trimmed['€'.len_utf8()..]),
            _ => (None, trimmed),
        };
        let plain: String = token.chars().filter(|c| *c != ',').collect();
        if plain.is_empty() {
            continue;
        }
        if let Some((hours, minutes)) = plain.split_once(':')
            && let (Ok(hours), Ok(minutes)) = (hours.parse::<u64>(), minutes.parse::<u64>())
        {
            number(hours, &mut words);
            match minutes {
                0 => {}
                1..=9 => {
                    words.push("oh".to_owned());
                    number(minutes, &mut words);
                }
                _ => number(minutes, &mut words),
            }
        } else if let Ok(n) = plain.parse::<u64>() {
            number(n, &mut words);
        } else if let Some((whole, part)) = plain.split_once('.')
            && let (Ok(whole), true) = (
                whole.parse::<u64>(),
                part.bytes().all(|b| b.is_ascii_digit()),
            )
        {
            number(whole, &mut words);
            words.push("point".to_owned());
            for digit in part.bytes() {
                number(u64::from(digit - b'0'), &mut words);
            }
        } else if let Some(n) = ordinal_in(&plain) {
            words.extend(apart(&ordinal(n)));
        } else {
            let word: String = plain.chars().filter(|c| c.is_alphanumeric()).collect();
            if !word.is_empty() {
                words.push(fold(&word).to_owned());
            }
        }
        if let Some(unit) = currency {
            words.push(unit.to_owned());
        }
    }
    words
}

fn ordinal_in(token: &str) -> Option<u64> {
    ["st", "nd", "rd", "th"]
        .iter()
        .find_map(|s| token.strip_suffix(s))
        .and_then(|n| n.parse().ok())
}

/// The words of a number, each for itself.
fn number(n: u64, out: &mut Vec<String>) {
    out.extend(apart(&cardinal(n)));
}

fn apart(number: &str) -> impl Iterator<Item = String> {
    number.split([' ', '-']).map(str::to_owned)
}

/// Spellings that sound the same.
fn fold(word: &str) -> &str {
    match word {
        "ok" => "okay",
        "mr" => "mister",
        "mrs" => "missus",
        "dr" => "doctor",
        "colour" => "color",
        "favour" => "favor",
        "grey" => "gray",
        "theatre" => "theater",
        "centre" => "center",
        "metre" => "meter",
        "litre" => "liter",
        "kilometre" => "kilometer",
        "kilometres" => "kilometers",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_kind() {
        let e = word_errors(
            "turn on the office lamp now",
            "turn on office lamps now please",
        );
        assert_eq!(
            (e.words, e.deleted, e.substituted, e.inserted),
            (6, 1, 1, 1)
        );
        assert_eq!(word_errors("", ""), WordErrors::default());
        assert_eq!(word_errors("a b", "").deleted, 2);
        assert_eq!(word_errors("", "a b").inserted, 2);
    }

    #[test]
    fn what_sounds_the_same_is_no_error() {
        for (a, b) in [
            ("It's 4:30, OK?", "its four thirty okay"),
            (
                "$1,200 on the 22nd",
                "one thousand two hundred dollars on the twenty second",
            ),
            ("3.5 kilometres", "three point five kilometers"),
            ("It is 09:05.", "it is nine oh five"),
            ("twenty-one", "21"),
            (
                "1,200,000 people",
                "one million two hundred thousand people",
            ),
            ("the 30th", "the thirtieth"),
        ] {
            assert_eq!(
                word_errors(a, b).errors(),
                0,
                "{a} | {b}: {:?} {:?}",
                normalize_words(a),
                normalize_words(b)
            );
        }
    }
}
