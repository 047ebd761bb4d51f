//! Where a text may be cut: what a word before a space ends with, where to part what is too long. Pure
//! functions over text.

use super::{Ending, LONGEST_SPOKEN};

/// About how many characters a character takes when spoken.
pub(super) fn weight(c: char, before: Option<char>) -> usize {
    match c {
        'a'..='z' => 1,
        'A'..='Z' if before.is_some_and(|b| b.is_ascii_uppercase()) => 2,
        'A'..='Z' => 1,
        '0'..='9' => 3,
        '$' | '%' | '°' | '€' | '£' | '/' | '@' | '&' | '+' | '=' => 4,
        _ if c.is_alphanumeric() => 2,
        _ => 0,
    }
}

/// What `before` ends with, given the first character of the word after it (`None` at the end).
/// Looks at the last word only.
pub(super) fn ending(before: &str, next: Option<char>) -> Ending {
    // Closing marks, quotes and pictures hide the punctuation before them.
    let mut tail = before
        .chars()
        .rev()
        .take(24)
        .skip_while(|&c| !c.is_alphanumeric() && !".,;:!?…—–-。！？、，；：([{<".contains(c));
    let Some(mark) = tail.next() else {
        return Ending::Nothing;
    };
    let rest: Vec<char> = tail.take_while(|c| !c.is_whitespace()).collect();
    let before_mark = rest.first().copied();
    let lower_next = next.is_some_and(char::is_lowercase);
    let digits =
        before_mark.is_some_and(|c| c.is_ascii_digit()) && next.is_some_and(|c| c.is_ascii_digit());
    match mark {
        '!' | '?' | '。' | '！' | '？' => {
            if lower_next {
                Ending::Clause
            } else {
                Ending::Sentence
            }
        }
        '…' => {
            if lower_next {
                Ending::Clause
            } else {
                Ending::Sentence
            }
        }
        ',' | ';' | ':' | '、' | '，' | '；' | '：' if !digits && before_mark.is_some() => {
            Ending::Clause
        }
        '—' => {
            if dash_in_range(before, next) {
                Ending::Nothing
            } else {
                Ending::Clause
            }
        }
        '–' | '-' if before_mark.is_none() || before_mark == Some('-') => {
            if dash_in_range(before, next) {
                Ending::Nothing
            } else {
                Ending::Clause
            }
        }
        '.' if before_mark == Some('.') => {
            if lower_next {
                Ending::Clause
            } else {
                Ending::Sentence
            }
        }
        '.' => {
            let token: String = rest.iter().rev().collect();
            full_stop(
                token.trim_start_matches(|c: char| !c.is_alphanumeric()),
                next,
            )
        }
        _ => Ending::Nothing,
    }
}

/// `3 – 5`, `3 - 5`.
fn dash_in_range(before: &str, next: Option<char>) -> bool {
    let number = before.trim_end_matches(['-', '–', '—']).trim_end();
    next.is_some_and(|c| c.is_ascii_digit()) && number.ends_with(|c: char| c.is_ascii_digit())
}

/// What a full stop after `token` means.
fn full_stop(token: &str, next: Option<char>) -> Ending {
    let Some(next) = next else {
        return Ending::Sentence;
    };
    let capital = token.starts_with(char::is_uppercase);
    let lower = token.to_lowercase();
    if token.chars().count() == 1 && token.chars().all(char::is_alphabetic) && token != "I" {
        return Ending::Nothing;
    }
    if token.contains('.') && token.chars().all(|c| c.is_alphabetic() || c == '.') {
        let time = matches!(lower.as_str(), "a.m" | "p.m") && next.is_uppercase();
        // "main.rs", "example.com" end a sentence; "U.S", "e.g" and "Ph.D" do not.
        let short = token.split('.').all(|part| part.len() < 3);
        return if time || !short {
            Ending::Sentence
        } else {
            Ending::Nothing
        };
    }
    let inside = match lower.as_str() {
        "mr" | "mrs" | "ms" | "dr" | "prof" | "st" | "gen" | "sen" | "rep" | "gov" | "lt"
        | "col" | "capt" | "sgt" | "cpl" | "rev" | "hon" | "mt" | "ft" | "pres" => capital,
        "vs" | "approx" | "esp" | "incl" | "excl" | "cf" | "ca" | "eg" | "ie" | "viz" => true,
        "no" | "nos" | "fig" | "figs" | "vol" | "p" | "pp" | "ch" | "sec" | "art" | "jan"
        | "feb" | "mar" | "apr" | "jun" | "jul" | "aug" | "sep" | "sept" | "oct" | "nov"
        | "dec" | "mon" | "tue" | "tues" | "wed" | "thu" | "thur" | "thurs" | "fri" | "sat"
        | "sun" | "tel" | "ext" | "est" => next.is_ascii_digit() || next == '+' || next == '(',
        "etc" | "inc" | "ltd" | "corp" | "co" | "jr" | "sr" | "ave" | "blvd" | "rd" | "al"
        | "dept" | "min" | "max" | "avg" | "lbs" | "lb" | "oz" | "tsp" | "tbsp" | "hr" | "hrs"
        | "mins" | "secs" | "yr" | "yrs" => next.is_lowercase() || next == ',',
        _ => false,
    };
    if inside {
        Ending::Nothing
    } else {
        Ending::Sentence
    }
}

/// Words before which a long run-on may be cut.
pub(super) fn is_conjunction(word: &str) -> bool {
    matches!(
        bare(word),
        "and"
            | "but"
            | "or"
            | "because"
            | "which"
            | "that"
            | "so"
            | "while"
            | "when"
            | "where"
            | "who"
            | "if"
            | "then"
            | "although"
            | "since"
            | "until"
            | "before"
            | "after"
            | "whether"
    )
}

/// Words that begin a phrase, before which a speaker may take a breath. Not "that": it may be "that
/// song".
pub(super) fn begins_phrase(word: &str) -> bool {
    is_conjunction(word) && bare(word) != "that"
        || matches!(
            bare(word),
            "in" | "on"
                | "at"
                | "for"
                | "with"
                | "without"
                | "from"
                | "to"
                | "by"
                | "about"
                | "into"
                | "through"
                | "during"
                | "between"
                | "near"
                | "as"
                | "is"
                | "are"
                | "was"
                | "were"
                | "has"
                | "have"
                | "will"
                | "would"
                | "can"
                | "could"
                | "should"
        )
}

/// Words that may stand between two numbers: "5 to 7".
pub(super) fn joins_numbers(word: &str) -> bool {
    matches!(bare(word), "to" | "by" | "and" | "or" | "through" | "in")
}

/// Whether `text` ends with a word that nobody stops after: "the", "of", "is".
pub(super) fn clings(text: &str) -> bool {
    let last = text.trim_end().rsplit(char::is_whitespace).next();
    last.is_some_and(|word| {
        begins_phrase(word)
            || matches!(
                bare(word).to_ascii_lowercase().as_str(),
                "a" | "an"
                    | "the"
                    | "of"
                    | "this"
                    | "these"
                    | "those"
                    | "my"
                    | "your"
                    | "his"
                    | "her"
                    | "its"
                    | "our"
                    | "their"
                    | "no"
                    | "not"
                    | "very"
                    | "too"
                    | "more"
                    | "most"
                    | "be"
                    | "been"
                    | "do"
                    | "does"
                    | "did"
                    | "i"
                    | "you"
                    | "we"
                    | "they"
                    | "he"
                    | "she"
                    | "it"
                    | "there"
                    | "dr."
                    | "mr."
                    | "mrs."
                    | "ms."
                    | "st."
            )
    })
}

fn bare(word: &str) -> &str {
    word.trim_end().trim_matches(['*', '_'])
}

/// Where the first of `parts` equal shares of `text` ends: after a space, if there is one.
pub(super) fn share(text: &str, parts: usize) -> usize {
    let target = text.len() / parts.max(1);
    let near = text
        .char_indices()
        .find(|&(i, c)| i >= target && c.is_whitespace());
    let (at, len) = near.map_or((text.len(), 0), |(i, c)| (i, c.len_utf8()));
    if near.is_some() {
        return at + len;
    }
    // No space: at a character, for the parts must not all end up in the last clause.
    text.char_indices()
        .map(|(i, _)| i)
        .find(|&i| i >= target)
        .unwrap_or(text.len())
}

/// Spoken text cut so that no part is longer than [`LONGEST_SPOKEN`]: after a pause where there
/// is one in the second half, else between words.
pub(super) fn split_spoken(spoken: String) -> Vec<String> {
    if spoken_weight(&spoken) <= LONGEST_SPOKEN {
        return vec![spoken];
    }
    let mut parts = Vec::new();
    let (mut part, mut heavy) = (String::new(), 0);
    let mut pause_at: Option<usize> = None;
    for word in words(&spoken) {
        let cost = spoken_weight(word) + 1;
        if heavy + cost > LONGEST_SPOKEN && !part.is_empty() {
            let rest = match pause_at.take() {
                Some(at) if at > part.len() / 2 => part.split_off(at),
                _ => String::new(),
            };
            heavy = spoken_weight(&rest);
            parts.push(part.trim().to_owned());
            part = rest.trim_start().to_owned();
        }
        if !part.is_empty() {
            part.push(' ');
        }
        // A single word longer than all that is allowed: cut where it stands.
        let mut word = word;
        while word.len() > LONGEST_SPOKEN && word.is_ascii() {
            let (head, tail) = word.split_at(LONGEST_SPOKEN / 2);
            parts.push(format!("{part}{head}").trim().to_owned());
            part.clear();
            heavy = 0;
            word = tail;
        }
        part.push_str(word);
        heavy += cost;
        if word.ends_with([',', '.', ';', ':', '?', '!']) || word == "—" {
            pause_at = Some(part.len());
        }
    }
    parts.push(part.trim().to_owned());
    parts.retain(|part| part.contains(|c: char| c.is_ascii_alphabetic()));
    parts
}

/// Words at spaces; a dictionary marker is one word.
pub(super) fn words(spoken: &str) -> impl Iterator<Item = &str> {
    spoken.split(' ').filter(|word| !word.is_empty())
}

/// Characters, with what takes several phonemes counted so.
fn spoken_weight(spoken: &str) -> usize {
    let letter = |word: &str| word.len() == 1 && word.as_bytes()[0].is_ascii_uppercase();
    words(spoken)
        .map(
            |word| match word.trim_end_matches(['.', ',', ';', ':', '?', '!']) {
                "W" => 11,
                bare if letter(bare) => 5,
                _ => word.chars().count() + 1,
            },
        )
        .sum()
}
