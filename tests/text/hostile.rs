//! No text breaks the normaliser or the cutter, and none makes them slow.

use std::time::Instant;

use caal::tts::{Clauses, Dictionary, clauses::LONGEST_SPOKEN, normalize::normalize};

use super::{
    fault_in,
    stream::{cut_at, whole},
};
use crate::support::Dice;

/// Pieces that mean something to the normaliser, and characters that mean trouble.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "*", "**", "_", "`", "```", "\n", "\n\n", "# ", "- ", "1. ", "|", "[", "](", ")", "(", "<", ">", "</b>", "&amp;", "&#", ";",
    "\\", "\\frac{", "}", "{", "^", "$", "€", "%", "°", "°C", "-", "–", "—", "−", "+", "=", "/", ":", ".", ",", "..", "...", "!", "?",
    "'", "\"", "’", "“", "@", "#", "~", " ", "  ", "\t", "\u{a0}", "\u{200b}", "\u{202e}", "\u{301}", "\u{fe0f}", "\u{200d}",
    "0", "1", "12", "2026", "1,000", "3.5", "4:30", "11/22/2026", "2026-11-22", "22.", "99999999999999999999", "1e5", "0x1F",
    "a", "A", "I", "the", "Dr.", "St.", "No.", "e.g.", "U.S.", "a.m.", "pm", "km/h", "kg", "in", "API", "APIs", "NASA", "Henry", "VIII",
    "May", "Nov", "Mon", "Ctrl", "C++", "v1.2", "x", "http://", "www.", "example.com", "bob@x.org", "main.rs", "~/", "C:\\",
    "é", "ß", "ﬁ", "Ω", "µ", "π", "½", "²", "№", "…", "日本", "かな", "한글", "Привет", "שלום", "مرحبا", "हिन्दी", "ก", "😀", "👨‍👩‍👧", "🇨🇭", "1️⃣",
    "\u{0}", "\u{7f}", "\u{fffd}", "\u{10ffff}", "𝐀", "Ａ", "ⅷ", "Ⅳ", "①", "〇", "ﷺ", "\u{1f3fb}", "→", "≤", "√", "∞", "|---|", "~~~", "==", ":)",
];

pub(super) fn random_text(dice: &mut Dice, pieces: usize) -> String {
    let mut text = String::new();
    for _ in 0..pieces {
        match dice.below(12) {
            0 => text.push(char::from_u32(dice.below(0x11_0000) as u32).unwrap_or('\u{fffd}')),
            1 => text.push(char::from(32 + dice.below(95) as u8)),
            2 | 3 => text.push(' '),
            _ => text.push_str(dice.pick(PIECES)),
        }
    }
    text
}

#[test]
fn twenty_thousand_random_texts_give_spoken_words_only() {
    let dictionary = Dictionary::new([("NASA", "nassa"), ("main.rs", "/mˈAn/")]).unwrap();
    for seed in 0..20_000 {
        let mut dice = Dice::new(seed);
        let pieces = 1 + dice.below(40);
        let text = random_text(&mut dice, pieces);
        let spoken = normalize(&text, &dictionary);
        if let Some(fault) = fault_in(&spoken) {
            panic!("seed {seed}: {fault}\n  text   {text:?}\n  spoken {spoken:?}");
        }
    }
}

/// Every way that takes little time to cut `text`: all at random places, character by character.
fn said_alike(text: &str, what: &str) {
    let expected = whole(text);
    let ends: Vec<usize> = text.char_indices().map(|(i, _)| i).collect();
    for (seed, one_in) in [1, 3, 20, 400].into_iter().enumerate() {
        let mut dice = Dice::new(seed as u64);
        let cuts: Vec<usize> = ends
            .iter()
            .copied()
            .filter(|_| dice.below(one_in) == 0)
            .collect();
        assert_eq!(
            cut_at(text, &cuts),
            expected,
            "{what}, 1 in {one_in}: {text:?}"
        );
    }
    let spoken: Vec<&str> = expected
        .iter()
        .map(|c| c.spoken.as_str())
        .filter(|s| !s.is_empty())
        .collect();
    assert_eq!(
        fault_in(&spoken.join(" ")),
        None,
        "{what}: {spoken:?} of {text:?}"
    );
}

#[test]
fn hostile_texts_say_the_same_however_their_stream_is_cut() {
    for seed in 0..1_500 {
        let mut dice = Dice::new(seed);
        let pieces = 1 + dice.below(120);
        said_alike(&random_text(&mut dice, pieces), &format!("seed {seed}"));
    }
}

#[test]
fn texts_without_an_end_in_sight_say_the_same_however_their_stream_is_cut() {
    let family = "👩🏽‍❤️‍💋‍👨🏿";
    for (what, piece, bytes) in [
        ("a word of 10 kB", "supercalifragilistic", 10_000),
        ("digits", "1234567890", 3_000),
        ("joined emoji", family, 3_000),
        ("accents on one letter", "e\u{301}\u{302}\u{303}", 3_000),
        ("only accents", "\u{301}", 4_000),
        ("right to left", "\u{202e}שלום\u{202c}مرحبا", 3_000),
        ("both directions", "abc שלום 123 ", 3_000),
        ("an address", "https://example.com/", 4_000),
        ("hyphens", "very-", 3_000),
        ("no space after commas", "one,two,", 3_000),
        ("no space after full stops", "One.Two.", 4_000),
        ("chinese", "今天天气很好。", 3_000),
        ("letters with points", "A.B.", 4_000),
        ("zero width", "a\u{200b}\u{200d}\u{2060}", 3_000),
        ("brackets", "((([[[", 4_000),
        ("marks of emphasis", "**a*_b_", 4_000),
        ("carriage returns", "a\r\n", 4_000),
        ("flags", "🇨🇭🇩🇪", 4_000),
    ] {
        said_alike(&piece.repeat(bytes / piece.len()), what);
    }
}

#[test]
fn no_clause_is_longer_than_the_voice_can_take_and_no_text_is_lost() {
    for seed in 0..1_000 {
        let mut dice = Dice::new(seed);
        let text = random_text(&mut dice, 400);
        let mut cutter = Clauses::new(Dictionary::default());
        let mut clauses = cutter.push(&text);
        clauses.extend(cutter.finish());
        let written: String = clauses.iter().map(|clause| clause.text.as_str()).collect();
        assert_eq!(written, text, "seed {seed}");
        for (i, clause) in clauses.iter().enumerate() {
            assert!(
                clause.spoken.len() <= LONGEST_SPOKEN + 20,
                "seed {seed}: {:?}",
                clause.spoken
            );
            assert!(
                i + 1 == clauses.len() || !clause.spoken.is_empty(),
                "seed {seed}"
            );
        }
    }
}

#[test]
fn a_megabyte_of_anything_takes_linear_time() {
    let million = 1_000_000;
    let texts = [
        "*",
        "1",
        "[",
        "`",
        "(",
        "<",
        "a",
        "A",
        "a.",
        "1.",
        "-",
        "_",
        "&",
        "\\",
        "[](",
        "**a",
        "> ",
        "| ",
        "\u{301}",
        "e\u{301}",
        "א",
        "\u{202e}x",
        "한",
        "😀",
        "\n",
        " ",
        "- ",
        "1,",
        "1-",
        "a-",
        "a'",
        "A.",
        "@a",
        "/a",
        "#1",
        "$1 ",
        "1:",
        "1 ",
        "1/",
        "word ",
        "```\n",
        "\"",
        "{",
        "^",
        "°",
        "http://",
        "x@y.",
        "St. ",
        "May ",
    ];
    // The same for every text: a slow one is one that takes many times longer than plain words.
    let run = |piece: &str| {
        let text = piece.repeat(million / 8 / piece.len());
        let started = Instant::now();
        let spoken = normalize(&text, &Dictionary::default());
        assert_eq!(fault_in(&spoken), None, "{piece:?}");
        started.elapsed()
    };
    let plain = run("plain words, ").max(std::time::Duration::from_millis(20));
    for piece in texts {
        let took = run(piece);
        assert!(
            took < 40 * plain,
            "{piece:?} took {took:?}, plain words {plain:?}"
        );
    }
}
