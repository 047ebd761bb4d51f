//! Words to the phonemes that Kokoro was trained on.
//!
//! misaki-rs (MIT, without its espeak feature) reads what stands in its dictionaries. A word that does
//! not is never dropped: it is taken apart (hyphens, CamelCase, compounds, endings), else sounded out
//! by [`letters`](super::letters), else spelled. `[word](/phonemes/)` says a word as written there.
//!
//! Loading takes 0.3 s and about 120 MB an accent; the British one is loaded when a British voice
//! first speaks. Nothing is cached.

use std::panic::{AssertUnwindSafe, catch_unwind};

use misaki_rs::{G2P, Language, lexicon::PhonemeEntry};

use super::{
    letters::{self, has_vowel, has_vowel_letter, is_nucleus},
    spelling::Clean,
    voices::Accent,
};

/// Reads English text as phonemes. Holds the dictionaries of the accents used so far.
pub struct Phonemizer {
    american: G2P,
    british: Option<G2P>,
}

/// A word of the text with phonemes given by the user, at its place in the cleaned text.
#[derive(Debug, PartialEq)]
struct Given {
    start: usize,
    end: usize,
    phonemes: String,
}

impl Default for Phonemizer {
    fn default() -> Self {
        Self {
            american: G2P::new(Language::EnglishUS),
            british: None,
        }
    }
}

impl Phonemizer {
    /// Phonemes of `text` in `accent`, words separated by spaces, punctuation in place. Empty when
    /// there is nothing to say in it.
    pub fn phonemes(&mut self, text: &str, accent: Accent) -> String {
        let (text, given, left_out) = without_links(text);
        if left_out > 0 {
            tracing::debug!(left_out, "letters without an English sound are not spoken");
        }
        let reader = Reader {
            g2p: match accent {
                Accent::American => &self.american,
                Accent::British => self
                    .british
                    .get_or_insert_with(|| G2P::new(Language::EnglishGB)),
            },
            accent,
        };
        reader.read(&text, &given)
    }
}

/// One accent at work.
struct Reader<'a> {
    g2p: &'a G2P,
    accent: Accent,
}

impl Reader<'_> {
    fn read(&self, text: &str, given: &[Given]) -> String {
        if !text.chars().any(|c| c.is_ascii_alphanumeric()) {
            return String::new();
        }
        // misaki slices strings by bytes; should a text ever make it panic, its words are read one by
        // one without it instead of ending the engine.
        let Ok(Ok((_, tokens))) = catch_unwind(AssertUnwindSafe(|| self.g2p.g2p(text))) else {
            let words: Vec<String> = text.split(' ').map(|w| self.say(w)).collect();
            return words.join(" ");
        };

        // (word, phonemes, white space, whether ours)
        let mut words: Vec<(&str, String, &str, bool)> = Vec::with_capacity(tokens.len());
        let mut at = 0;
        for token in &tokens {
            // A token repeats its piece of the text; where it ever does not, `at` stays and only words
            // given by the user would be missed.
            let start = text[at..].find(&token.text).map_or(at, |i| at + i);
            let end = (start + token.text.len()).min(text.len());
            at = end;
            let inside: Vec<&Given> = given
                .iter()
                .filter(|g| g.start >= start && g.end <= end)
                .collect();
            let theirs = token.phonemes.as_deref().unwrap_or(&self.g2p.unk);
            let speakable = token.text.chars().any(|c| c.is_ascii_alphanumeric());
            let (phonemes, ours) = if !inside.is_empty() {
                (self.with_given(&text[start..end], start, &inside), true)
            } else if theirs.contains(&self.g2p.unk)
                || (speakable && !theirs.chars().any(char::is_alphabetic))
            {
                (self.say(&token.text), true)
            } else if token.text == "A" && theirs == "ɐ" && !starts_sentence(&words) {
                // "plan A", "2 2 1 A": a capital in the middle is the letter, not the article.
                (self.spell("A"), true)
            } else {
                (theirs.to_owned(), false)
            };
            words.push((&token.text, phonemes, &token.whitespace, ours));
        }
        for i in 0..words.len().saturating_sub(1) {
            // misaki chose these by the sound after them, which it did not know.
            let (word, ours) = (words[i].0, words[i + 1].3);
            let vowel = words[i + 1].1.chars().find(|c| c.is_alphabetic());
            let vowel = vowel.is_some_and(is_nucleus);
            if ours && !words[i].3 && word.eq_ignore_ascii_case("the") {
                words[i].1 = if vowel { "ði" } else { "ðə" }.to_owned();
            } else if ours && !words[i].3 && word.eq_ignore_ascii_case("to") {
                words[i].1 = if vowel { "tʊ" } else { "tə" }.to_owned();
            }
        }
        words
            .iter()
            .flat_map(|w| [w.1.as_str(), w.2])
            .collect::<String>()
            .trim()
            .to_owned()
    }

    /// A token that holds words given by the user, with what stands around them.
    fn with_given(&self, token: &str, offset: usize, given: &[&Given]) -> String {
        let mut out = String::new();
        let mut at = 0;
        for g in given {
            let (start, end) = (g.start - offset, g.end - offset);
            self.push_said(&mut out, &token[at..start]);
            out.push_str(&g.phonemes);
            at = end;
        }
        match &token[at..] {
            "" | "'" => out,
            "'s" | "s" | "s'" => self.g2p.lexicon.append_s(&out),
            rest => {
                self.push_said(&mut out, rest);
                out
            }
        }
    }

    fn push_said(&self, out: &mut String, piece: &str) {
        let said = self.say(piece);
        if !said.is_empty() && !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&said);
    }

    /// Phonemes of a word that misaki does not know. Never empty when there is a letter or digit.
    fn say(&self, word: &str) -> String {
        let parts: Vec<String> = pieces(word)
            .into_iter()
            .map(|piece| self.say_piece(piece))
            .filter(|p| !p.is_empty())
            .collect();
        parts.join(" ")
    }

    /// Phonemes of digits alone, or of letters with apostrophes.
    fn say_piece(&self, piece: &str) -> String {
        if piece.starts_with(|c: char| c.is_ascii_digit()) {
            let digits: Vec<String> = piece.chars().map(|c| self.digit(c)).collect();
            return digits.join(" ");
        }
        if let Some(known) = self.known(piece) {
            return known;
        }
        if let Some((before, after)) = piece.rsplit_once('\'') {
            return match (before.to_ascii_lowercase().as_str(), after) {
                ("", rest) => self.say_piece(rest),
                (_, "") => self.say_piece(before),
                (_, "s" | "S") => self.g2p.lexicon.append_s(&self.say_piece(before)),
                ("o", name) => format!("{}{}", self.british_of("O"), self.say_piece(name)),
                ("d", name) => format!("də{}", self.say_piece(name)),
                ("l", name) => format!("lə{}", self.say_piece(name)),
                _ => self.say_piece(&piece.replace('\'', "")),
            };
        }
        let capitals = piece.chars().all(|c| c.is_ascii_uppercase());
        if let Some(stem) = piece.strip_suffix('s')
            && stem.len() > 1
            && stem.chars().all(|c| c.is_ascii_uppercase())
        {
            return self.g2p.lexicon.append_s(&self.say_piece(stem));
        }
        // Five capitals are an abbreviation (XMPP, IEEE); more, a word that is shouted.
        if !has_vowel_letter(piece) || (capitals && piece.len() <= 5) {
            return self.spell(piece);
        }
        let word = piece.to_ascii_lowercase();
        self.with_ending(&word)
            .or_else(|| self.compound(&word))
            .or_else(|| letters::sound_out(&word).map(|s| self.british_of(&s)))
            .filter(|s| has_vowel(s))
            .unwrap_or_else(|| self.spell(piece))
    }

    /// What the dictionary says, if it holds the word and the word can be heard.
    fn known(&self, word: &str) -> Option<String> {
        let lexicon = &self.g2p.lexicon;
        let lower = word.to_ascii_lowercase();
        // `get_word` spells an abbreviation; only real entries count here.
        [word, lower.as_str()]
            .into_iter()
            .filter(|w| w.len() > 1 && (lexicon.in_gold(w) || lexicon.silvers.contains_key(*w)))
            .find_map(|w| lexicon.get_word(w, "NN", Some(0.5), None))
            .map(|(phonemes, _)| phonemes.replace('ɾ', "T").replace('ʔ', "t"))
            .filter(|phonemes| has_vowel(phonemes))
    }

    /// A known word, or two, with an ending that misaki does not take off.
    fn with_ending(&self, word: &str) -> Option<String> {
        let lexicon = &self.g2p.lexicon;
        const ENDINGS: [(&str, &str); 12] = [
            ("ers", "əɹz"),
            ("er", "əɹ"),
            ("ly", "li"),
            ("ness", "nəs"),
            ("less", "ləs"),
            ("ish", "ɪʃ"),
            ("like", "lˌIk"),
            ("able", "əbᵊl"),
            ("ment", "mənt"),
            ("ing", "ɪŋ"),
            ("ed", "ed"),
            ("s", "s"),
        ];
        for (ending, sounds) in ENDINGS {
            let Some(stem) = word.strip_suffix(ending).filter(|s| s.len() >= 3) else {
                continue;
            };
            if ending == "s" && stem.ends_with(['s', 'u', 'i']) {
                continue;
            }
            let undoubled = match stem.as_bytes() {
                [.., a, b] if a == b => &stem[..stem.len() - 1],
                _ => stem,
            };
            let with_e = format!("{stem}e");
            let said = self
                .known(stem)
                .or_else(|| self.known(undoubled))
                .or_else(|| (ending != "s").then(|| self.known(&with_e)).flatten())
                .or_else(|| self.compound(stem));
            if let Some(said) = said {
                return Some(match ending {
                    "s" => lexicon.append_s(&said),
                    "ed" => lexicon.append_ed(&said),
                    _ => said + &self.british_of(sounds),
                });
            }
        }
        None
    }

    /// Two known words written as one: `localhost`. The cut that leaves the longer short half wins.
    fn compound(&self, word: &str) -> Option<String> {
        const SHORTEST: usize = 3;
        // Longer "words" are keys or hashes, and each cut costs two look-ups.
        if !word.is_ascii() || word.len() < 2 * SHORTEST || word.len() > 40 {
            return None;
        }
        (SHORTEST..=word.len() - SHORTEST)
            .filter_map(|cut| {
                let (first, second) = word.split_at(cut);
                let both = self.known(first)? + &self.known(second)?.replace('ˈ', "ˌ");
                Some((first.len().min(second.len()), both))
            })
            .max_by_key(|(shorter, _)| *shorter)
            .map(|(_, both)| both)
    }

    /// The names of the letters, stress on the last; digits by their names.
    fn spell(&self, piece: &str) -> String {
        let mut names: Vec<String> = Vec::new();
        for c in piece.chars() {
            if c.is_ascii_digit() {
                names.push(self.digit(c));
            } else if let Some(PhonemeEntry::Simple(name)) = self
                .g2p
                .lexicon
                .golds
                .get(&c.to_ascii_uppercase().to_string())
            {
                names.push(name.clone());
            }
        }
        if let Some((_, before)) = names.split_last_mut() {
            for name in before {
                *name = name.replace('ˈ', "ˌ");
            }
        }
        // Up to four letters run together as people say them; more are hard to follow so.
        names.join(if names.len() > 4 { " " } else { "" })
    }

    fn digit(&self, digit: char) -> String {
        const NAMES: [&str; 10] = [
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
        ];
        digit
            .to_digit(10)
            .and_then(|d| self.known(NAMES[d as usize]))
            .unwrap_or_default()
    }

    fn british_of(&self, american: &str) -> String {
        match self.accent {
            Accent::American => american.to_owned(),
            Accent::British => letters::british(american),
        }
    }
}

fn starts_sentence(words: &[(&str, String, &str, bool)]) -> bool {
    words
        .iter()
        .rev()
        .find(|w| !matches!(w.0, "\"" | "“" | "”" | "(" | ")" | "'"))
        .is_none_or(|w| w.0.ends_with(['.', '!', '?', ':', '—', '…']))
}

/// Cuts a word where writing shows its parts: at anything but letters, digits and apostrophes, between
/// letters and digits, and in CamelCase. A plural `s` stays with its capitals (`PDFs`).
fn pieces(word: &str) -> Vec<&str> {
    let chars: Vec<(usize, char)> = word.char_indices().collect();
    let mut cuts = Vec::new();
    let mut start: Option<usize> = None;
    for (i, &(at, c)) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() && c != '\'' {
            if let Some(s) = start.take() {
                cuts.push(&word[s..at]);
            }
            continue;
        }
        let Some(s) = start else {
            start = Some(at);
            continue;
        };
        let before = chars[i - 1].1;
        let after = chars.get(i + 1).map(|c| c.1);
        let digits = before.is_ascii_digit() != c.is_ascii_digit() && c != '\'' && before != '\'';
        let hump = before.is_ascii_lowercase() && c.is_ascii_uppercase();
        let last_capital = before.is_ascii_uppercase()
            && c.is_ascii_uppercase()
            && after.is_some_and(|a| a.is_ascii_lowercase())
            && !(after == Some('s') && i + 2 == chars.len());
        if digits || hump || last_capital {
            cuts.push(&word[s..at]);
            start = Some(at);
        }
    }
    if let Some(s) = start {
        cuts.push(&word[s..]);
    }
    cuts
}

/// Takes `[word](/phonemes/)` out of `text`: the cleaned text with the bare words, where the given
/// ones stand in it, and how many letters were left out.
fn without_links(text: &str) -> (String, Vec<Given>, usize) {
    let mut out = Clean::default();
    let mut given = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let Some((word, phonemes, after)) = link(&rest[open..]) else {
            out.push(&rest[..=open]);
            rest = &rest[open + 1..];
            continue;
        };
        out.push(&rest[..open]);
        // One plain word in its place, so that misaki makes one token of it.
        let mut bare = Clean::default();
        bare.push(word);
        bare.text.retain(|c| c.is_ascii_alphabetic());
        let start = out.text.len();
        out.push(if bare.text.is_empty() {
            "it"
        } else {
            &bare.text
        });
        given.push(Given {
            start,
            end: out.text.len(),
            phonemes: accepted(phonemes),
        });
        rest = after;
    }
    out.push(rest);
    (out.text.trim_end().to_owned(), given, out.left_out)
}

/// `[word](/phonemes/)` at the start of `text`: word, phonemes, and what follows.
fn link(text: &str) -> Option<(&str, &str, &str)> {
    let (word, rest) = text.strip_prefix('[')?.split_once(']')?;
    let (phonemes, after) = rest.strip_prefix("(/")?.split_once("/)")?;
    (!word.contains('[') && !phonemes.trim().is_empty()).then_some((word, phonemes, after))
}

/// Phonemes as people write them (IPA of any school) in misaki's alphabet, the stress mark directly
/// before its vowel as in the training data.
fn accepted(ipa: &str) -> String {
    const PAIRS: [(&str, &str); 18] = [
        ("eɪ", "A"),
        ("aɪ", "I"),
        ("aʊ", "W"),
        ("ɔɪ", "Y"),
        ("oʊ", "O"),
        ("əʊ", "Q"),
        ("tʃ", "ʧ"),
        ("t͡ʃ", "ʧ"),
        ("dʒ", "ʤ"),
        ("d͡ʒ", "ʤ"),
        ("ɝ", "ɜɹ"),
        ("ɚ", "əɹ"),
        ("ɫ", "l"),
        ("g", "ɡ"),
        ("r", "ɹ"),
        ("'", "ˈ"),
        (",", "ˌ"),
        (".", ""),
    ];
    let mut text = ipa.trim().to_owned();
    for (from, to) in PAIRS {
        text = text.replace(from, to);
    }
    let mut out = String::new();
    let mut mark = None;
    for c in text.chars() {
        match c {
            'ˈ' | 'ˌ' => mark = Some(c),
            c => {
                if is_nucleus(c)
                    && let Some(mark) = mark.take()
                {
                    out.push(mark);
                }
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_where_writing_shows_their_parts() {
        for (word, parts) in [
            ("PostgreSQL", vec!["Postgre", "SQL"]),
            ("HTTPServer", vec!["HTTP", "Server"]),
            ("abc123def", vec!["abc", "123", "def"]),
            ("O'Neill", vec!["O'Neill"]),
            ("wi-fi_x", vec!["wi", "fi", "x"]),
            ("PDFs", vec!["PDFs"]),
            ("--", vec![]),
        ] {
            assert_eq!(pieces(word), parts, "{word}");
        }
    }

    #[test]
    fn given_phonemes_are_taken_out_with_their_place() {
        let (text, given, _) = without_links("the [Wi-Fi](/ˈwaɪfaɪ/) [is] up [x](y)");
        assert_eq!(text, "the WiFi is up x (y)");
        assert_eq!(
            given,
            [Given {
                start: 4,
                end: 8,
                phonemes: "wˈIfI".to_owned()
            }]
        );
        assert_eq!(accepted("ˌkuːbəˈnɛtiːz"), "kˌuːbənˈɛtiːz");
        assert_eq!(accepted("'ɡrɛt.ən"), "ɡɹˈɛtən");
    }
}
