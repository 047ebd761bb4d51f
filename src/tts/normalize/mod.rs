//! What a language model writes, as an English voice should say it: words only. Pure.
//!
//! The alphabet of spoken text: the letters A to Z and a to z, apostrophes and hyphens inside
//! words, spaces, and the pauses `. , ; : ? ! —`; besides, the dictionary's markers
//! `[word](/phonemes/)` (see [`Dictionary`]). A single capital letter is that letter's name
//! ("A P I"); the article "a" is always small.
//!
//! No word of the input vanishes, except what is markup: Markdown and HTML marks, the scheme of a
//! web address, emoji and emoticons, and the content of long code blocks, which are announced.
//!
//! One file per kind of thing; [`reader`] holds the loop. Text passes through `markup` (inline
//! Markdown, HTML, LaTeX), `clean` (Unicode) and `reader` (words). Lines and clauses are the
//! business of [`Clauses`](super::Clauses).

pub(crate) mod clean;
mod codes;
mod figures;
mod fractions;
mod lexis;
mod markup;
mod measure;
mod money;
mod number;
mod out;
mod reader;
mod translit;
mod units;
mod web;
mod when;
mod words;

pub(crate) use number::{cardinal, ordinal};

use super::{clauses::Clauses, dictionary::Dictionary};

/// Everything in `text` as spoken words: what [`Clauses`](super::Clauses) gives for it, joined.
///
/// Takes time linear in the length of `text`, whatever it is.
pub fn normalize(text: &str, dictionary: &Dictionary) -> String {
    let mut clauses = Clauses::new(dictionary.clone());
    let mut all = clauses.push(text);
    all.extend(clauses.finish());
    let mut out = String::with_capacity(text.len());
    for clause in all.iter().filter(|clause| !clause.spoken.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&clause.spoken);
    }
    out
}

/// Whether the first line of a piece begins where a written line begins, so that it may have a
/// block mark ("- ", "# ").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Line,
    Within,
}

/// A piece of text (one or more lines, no fenced code) as spoken words.
pub(crate) fn speak(text: &str, start: Start, dictionary: &Dictionary) -> String {
    let mut out = String::with_capacity(text.len());
    for (i, line) in text.split('\n').enumerate() {
        let (lead, body) = if i > 0 || start == Start::Line {
            block(line)
        } else {
            (String::new(), line.to_owned())
        };
        let spoken = reader::read(&clean::clean(&markup::strip(&body)), dictionary);
        for part in [lead.as_str(), spoken.as_str()]
            .into_iter()
            .filter(|part| !part.is_empty())
        {
            if let Some(last) = out.chars().last() {
                // Lines are said apart even when nothing is written at their ends.
                out.push_str(if last.is_alphanumeric() || last == '\'' || last == ')' {
                    ", "
                } else {
                    " "
                });
            }
            out.push_str(part);
        }
    }
    out
}

/// Takes a line's block mark away: what is said for it, and the rest.
fn block(line: &str) -> (String, String) {
    block_in(line, 0)
}

/// Lists nest in lines ("- - a"), but nobody writes four marks in one.
const MARKS_IN_ONE_LINE: usize = 4;

fn block_in(line: &str, depth: usize) -> (String, String) {
    let mut rest = line.trim();
    if is_rule(rest) || rest.starts_with("```") || rest.starts_with("~~~") {
        return Default::default();
    }
    while let Some(quoted) = rest.strip_prefix('>')
        && (quoted.is_empty() || quoted.starts_with([' ', '>']))
    {
        rest = quoted.trim_start();
    }
    let hashes = rest.bytes().take_while(|&b| b == b'#').count();
    if (1..=6).contains(&hashes) && rest[hashes..].starts_with(' ') {
        return (
            String::new(),
            rest[hashes..]
                .trim()
                .trim_end_matches('#')
                .trim_end()
                .to_owned(),
        );
    }
    for mark in ["- ", "* ", "+ ", "• ", "– "] {
        if let Some(item) = rest.strip_prefix(mark) {
            let item = item.trim_start();
            for (tick, said) in [("[ ] ", "to do"), ("[x] ", "done"), ("[X] ", "done")] {
                if let Some(task) = item.strip_prefix(tick) {
                    return (said.to_owned(), task.to_owned());
                }
            }
            // A list in a list's item, or a heading in it, is markup too.
            return if depth < MARKS_IN_ONE_LINE {
                block_in(item, depth + 1)
            } else {
                (String::new(), item.to_owned())
            };
        }
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if (1..=3).contains(&digits)
        && let Some(item) = rest[digits..].strip_prefix(['.', ')'])
        && item.starts_with(' ')
        && item
            .trim_start()
            .starts_with(|c: char| c.is_alphabetic() || "*_`[\"'(“".contains(c))
    {
        return (
            number::cardinal_digits(&rest[..digits]),
            item.trim().to_owned(),
        );
    }
    if rest.starts_with('|') {
        if rest.chars().all(|c| "|-: ".contains(c)) {
            return Default::default();
        }
        let cells: Vec<&str> = rest
            .trim_matches('|')
            .split('|')
            .map(str::trim)
            .filter(|c| !c.is_empty())
            .collect();
        return (String::new(), cells.join(" | "));
    }
    (String::new(), rest.to_owned())
}

/// A line of only dashes, stars, underscores or equals signs.
pub(crate) fn is_rule(line: &str) -> bool {
    let mut marks = line.chars().filter(|c| !c.is_whitespace());
    let Some(first) = marks.next() else {
        return false;
    };
    "-*_=".contains(first) && marks.clone().count() >= 2 && marks.all(|c| c == first)
}
