//! No word is ever dropped silently: whatever Kokoro's alphabet can be asked to say comes out with a
//! phoneme that the network knows. Walks misaki's dictionaries (a seeded sample; all of them with
//! `CAAL_LONG=1`), letters in any order, numbers, and the letters of other scripts as the normaliser
//! hands them on.

use std::collections::{BTreeSet, HashSet};

use caal::tts::{
    Dictionary,
    kokoro::{Accent, Phonemizer},
    normalize::normalize,
};

use crate::support::{self, Dice};

const BOTH: [Accent; 2] = [Accent::American, Accent::British];

/// Says words and keeps what was wrong with them.
struct Walk {
    phonemizer: Phonemizer,
    known: HashSet<char>,
    wrong: Vec<String>,
}

impl Walk {
    fn new() -> Self {
        let file = std::fs::read(support::models().join("kokoro-82m/vocab.json")).unwrap();
        let file: serde_json::Value = serde_json::from_slice(&file).unwrap();
        let vocab = file["vocab"].as_object().unwrap();
        Self {
            phonemizer: Phonemizer::default(),
            known: vocab.keys().filter_map(|k| k.chars().next()).collect(),
            wrong: Vec::new(),
        }
    }

    /// Says `words` in a row; where the row has fewer words than it should, each for itself.
    fn say(&mut self, words: &[&str], accent: Accent) {
        let heard = self.phonemizer.phonemes(&words.join(" "), accent);
        let voiced = |w: &&str| w.chars().any(char::is_alphabetic);
        let enough = heard.split_whitespace().filter(voiced).count() >= words.len();
        if enough && heard.chars().all(|c| self.known.contains(&c)) {
            return;
        }
        for word in words {
            let heard = self.phonemizer.phonemes(word, accent);
            let unknown = heard.chars().find(|c| !self.known.contains(c));
            if unknown.is_some() || !heard.chars().any(char::is_alphabetic) {
                let said = format!("{word:?} → {heard:?} ({accent:?}), unknown {unknown:?}");
                self.wrong.push(said);
            }
        }
        if self.wrong.is_empty() {
            let row = words.join(" ");
            self.wrong
                .push(format!("alone, but not in a row: {row:?} → {heard:?}"));
        }
    }

    fn end(self) {
        let wrong = self.wrong.len();
        let some: Vec<_> = self.wrong.into_iter().take(30).collect();
        assert!(some.is_empty(), "{wrong} words: {some:#?}");
    }
}

#[test]
fn every_word_of_the_dictionaries_is_heard() {
    use misaki_rs::data::{load_gb_gold, load_gb_silver, load_us_gold, load_us_silver};

    let mut words = BTreeSet::new();
    for dictionary in [
        load_us_gold(),
        load_us_silver(),
        load_gb_gold(),
        load_gb_silver(),
    ] {
        words.extend(dictionary.into_keys());
    }
    // Entries for the punctuation itself are no words.
    words.retain(|w| w.chars().any(char::is_alphanumeric) && !w.contains(' '));
    assert!(words.len() > 150_000, "{}", words.len());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut walk = Walk::new();
    if support::long() {
        for row in words.chunks(8) {
            BOTH.into_iter().for_each(|accent| walk.say(row, accent));
        }
    } else {
        let mut dice = Dice::new(82);
        for number in 0..200 {
            let row: Vec<&str> = (0..8).map(|_| dice.pick(&words)).collect();
            walk.say(&row, BOTH[number % 2]);
        }
    }
    walk.end();
}

#[test]
fn letters_and_digits_in_any_order_are_heard() {
    let mut walk = Walk::new();
    let rows = if support::long() { 50_000 } else { 100 };
    for seed in 0..rows {
        let mut dice = Dice::new(seed);
        let words: Vec<String> = (0..8).map(|_| letters(&mut dice)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        walk.say(&words, BOTH[seed as usize % 2]);
    }
    walk.end();
}

/// A word that nobody has written: of one case or mixed, with digits, hyphens and apostrophes inside.
fn letters(dice: &mut Dice) -> String {
    let style = dice.below(6);
    let len = 1 + dice.below(if style == 5 { 60 } else { 12 });
    let mut word = String::new();
    for at in 0..len {
        let letter = char::from(b'a' + dice.below(26) as u8);
        let capital = letter.to_ascii_uppercase();
        let inside = at > 0 && at + 1 < len && word.ends_with(|c: char| c.is_ascii_alphanumeric());
        word.push(match (style, dice.below(6)) {
            (1, _) => capital,
            (2, 0..3) => capital,
            (3, 0..2) => char::from(b'0' + dice.below(10) as u8),
            (4, 0) if inside => *dice.pick(&[&'-', &'\'']),
            _ => letter,
        });
    }
    word
}

#[test]
fn numbers_and_other_scripts_are_heard_as_the_normaliser_hands_them_on() {
    const SCRIPTS: [(u32, u32); 14] = [
        (0xc0, 0x24f),      // Latin with accents
        (0x391, 0x3c9),     // Greek
        (0x410, 0x44f),     // Cyrillic
        (0x5d0, 0x5ea),     // Hebrew
        (0x620, 0x64a),     // Arabic
        (0x905, 0x939),     // Devanagari
        (0xe01, 0xe2e),     // Thai
        (0x10d0, 0x10f0),   // Georgian
        (0x1e00, 0x1eff),   // more Latin
        (0x3041, 0x3096),   // Hiragana
        (0x30a1, 0x30fa),   // Katakana
        (0x4e00, 0x9fa5),   // Chinese
        (0xac00, 0xd7a3),   // Hangul
        (0x1d400, 0x1d433), // mathematical letters
    ];
    let mut walk = Walk::new();
    let dictionary = Dictionary::default();
    let words = if support::long() { 100_000 } else { 600 };
    for seed in 0..words {
        let mut dice = Dice::new(seed);
        let written: String = match dice.below(3) {
            0 => (0..1 + dice.below(15))
                .map(|_| char::from(b'0' + dice.below(10) as u8))
                .collect(),
            1 => format!("{}.{}", dice.below(100_000), dice.below(1000)),
            _ => {
                let (from, to) = SCRIPTS[dice.below(SCRIPTS.len())];
                let letter = |dice: &mut Dice| {
                    char::from_u32(from + dice.below((to - from) as usize) as u32)
                };
                let word: String = (0..1 + dice.below(6))
                    .filter_map(|_| letter(&mut dice))
                    .collect();
                word.chars().filter(|c| c.is_alphabetic()).collect()
            }
        };
        if written.is_empty() {
            continue;
        }
        let spoken = normalize(&written, &dictionary);
        if !spoken.chars().any(|c| c.is_ascii_alphabetic()) {
            walk.wrong
                .push(format!("{written:?} is normalised to {spoken:?}"));
            continue;
        }
        let row: Vec<&str> = spoken.split(' ').collect();
        walk.say(&row, BOTH[seed as usize % 2]);
    }
    walk.end();
}
