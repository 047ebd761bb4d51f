//! The user's pronunciation dictionary: words that the voice would say wrong, and how to say them.
//! Pure; the settings give it as pairs, the normaliser looks words up in it before anything else.
//!
//! A word is written out ("n8n" → "en eight en") or given as phonemes between slashes
//! ("Nguyen" → "/wˈɪn/"). Phonemes reach the voice as `[Nguyen](/wˈɪn/)`, the notation of misaki,
//! whose phonemes Kokoro speaks; an engine that does not know them says the word in the brackets.

use std::{collections::HashMap, fmt, sync::Arc};

use super::normalize::clean::clean;

/// Longest word or phrase, and longest respelling, in characters: a name, not a text.
pub const MAX_CHARS: usize = 80;

/// Words and how to say them. Whole words, whatever their case, the longest match first. Cloning
/// is cheap.
#[derive(Clone, Default)]
pub struct Dictionary {
    /// By first character in lower case; each list from the longest word to the shortest.
    entries: Arc<HashMap<char, Vec<Entry>>>,
}

struct Entry {
    word: Vec<char>,
    say: Say,
}

/// How an entry is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// Words of the normaliser's alphabet.
    Words(String),
    /// Phonemes in misaki's notation, without the slashes.
    Phonemes(String),
}

/// Why a dictionary cannot be used. Each is a sentence for the person who wrote the entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DictionaryError {
    /// The word has no letter or digit, or is too long.
    #[error(
        "the pronunciation entry \"{0}\" must be a word of 1 to {MAX_CHARS} characters with at least one letter or digit"
    )]
    Word(String),
    /// Nothing to say, or too much.
    #[error("the pronunciation of \"{0}\" must have 1 to {MAX_CHARS} characters")]
    Length(String),
    /// A character that is neither a letter, space, hyphen nor apostrophe.
    #[error(
        "the pronunciation of \"{word}\" has the character {found:?}; write it in letters (\"en eight en\") or as phonemes between slashes (\"/ˈɛn/\")"
    )]
    Character {
        /// The entry's word.
        word: String,
        /// The first character that cannot be said.
        found: char,
    },
    /// Two entries for one word that differ.
    #[error("the word \"{0}\" has two different pronunciations; keep one of them")]
    Twice(String),
}

impl Dictionary {
    /// Reads pairs of word and pronunciation. Accents and case of the word do not matter.
    ///
    /// # Errors
    ///
    /// The first entry that cannot be used.
    pub fn new<W: AsRef<str>, P: AsRef<str>>(
        pairs: impl IntoIterator<Item = (W, P)>,
    ) -> Result<Self, DictionaryError> {
        let mut entries: HashMap<char, Vec<Entry>> = HashMap::new();
        for (written, said) in pairs {
            let written = written.as_ref().trim();
            let word = key(written);
            let readable = word.iter().any(|c| c.is_alphanumeric());
            if !readable || word.len() > MAX_CHARS || written.chars().count() > MAX_CHARS {
                return Err(DictionaryError::Word(written.to_owned()));
            }
            let say = parse(written, said.as_ref().trim())?;
            let same = entries.entry(word[0]).or_default();
            match same.iter().find(|entry| entry.word == word) {
                Some(entry) if entry.say == say => {}
                Some(_) => return Err(DictionaryError::Twice(written.to_owned())),
                None => same.push(Entry { word, say }),
            }
        }
        for same in entries.values_mut() {
            same.sort_by_key(|entry| std::cmp::Reverse(entry.word.len()));
        }
        Ok(Self {
            entries: Arc::new(entries),
        })
    }

    /// How many words it has.
    pub fn len(&self) -> usize {
        self.entries.values().map(Vec::len).sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The longest entry that stands at the beginning of `text` as whole words, and its length in
    /// characters. `text` is clean text (see `normalize::clean`).
    pub(crate) fn find(&self, text: &[char]) -> Option<(&Say, usize)> {
        let first = text.first().copied().and_then(lower)?;
        let same = self.entries.get(&first)?;
        same.iter().find_map(|entry| {
            let len = entry.word.len();
            let here = text.get(..len)?;
            let matches = here
                .iter()
                .zip(&entry.word)
                .all(|(&a, &b)| lower(a) == Some(b));
            let joined = |c: &char| c.is_alphanumeric();
            let whole = !(joined(&here[len - 1]) && text.get(len).is_some_and(joined));
            (matches && whole).then_some((&entry.say, len))
        })
    }
}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its words are the user's own: names of people and places.
        f.debug_struct("Dictionary")
            .field("words", &self.len())
            .finish()
    }
}

fn lower(c: char) -> Option<char> {
    c.to_lowercase().next()
}

fn key(written: &str) -> Vec<char> {
    clean(written)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .filter_map(lower)
        .collect()
}

fn parse(word: &str, said: &str) -> Result<Say, DictionaryError> {
    if said.is_empty() || said.chars().count() > MAX_CHARS {
        return Err(DictionaryError::Length(word.to_owned()));
    }
    let wrong = |found| DictionaryError::Character {
        word: word.to_owned(),
        found,
    };
    let phonemes = said
        .strip_prefix('/')
        .and_then(|rest| rest.strip_suffix('/'));
    if let Some(phonemes) = phonemes {
        let known = |c: char| c.is_alphabetic() || "ˈˌː ̃ʲ".contains(c);
        return match phonemes.chars().find(|&c| !known(c)) {
            Some(found) => Err(wrong(found)),
            None if phonemes.trim().is_empty() => Err(DictionaryError::Length(word.to_owned())),
            None => Ok(Say::Phonemes(phonemes.to_owned())),
        };
    }
    let said = clean(said);
    match said
        .chars()
        .find(|&c| !(c.is_ascii_alphabetic() || " '-".contains(c)))
    {
        Some(found) => Err(wrong(found)),
        None if said.trim().is_empty() => Err(DictionaryError::Length(word.to_owned())),
        None => Ok(Say::Words(
            said.split_whitespace().collect::<Vec<_>>().join(" "),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(dictionary: &Dictionary, text: &str) -> Option<(Say, usize)> {
        let text: Vec<char> = text.chars().collect();
        dictionary.find(&text).map(|(say, len)| (say.clone(), len))
    }

    #[test]
    fn the_longest_whole_word_wins_whatever_its_case() {
        let dictionary =
            Dictionary::new([("home", "hohm"), ("Home Assistant", "home helper")]).unwrap();
        assert_eq!(
            found(&dictionary, "HOME assistant is on"),
            Some((Say::Words("home helper".into()), 14))
        );
        assert_eq!(
            found(&dictionary, "home is"),
            Some((Say::Words("hohm".into()), 4))
        );
        assert_eq!(found(&dictionary, "homeless"), None);
    }

    #[test]
    fn bad_entries_are_refused_with_a_sentence() {
        let error = |word: &str, say: &str| Dictionary::new([(word, say)]).unwrap_err();
        assert_eq!(error("--", "x"), DictionaryError::Word("--".into()));
        assert_eq!(error("caal", ""), DictionaryError::Length("caal".into()));
        assert_eq!(error("caal", "//"), DictionaryError::Length("caal".into()));
        let error = error("caal", "c4l").to_string();
        assert!(error.contains("'4'") && error.contains("caal"), "{error}");
        let twice = Dictionary::new([("Nguyen", "win"), ("nguyen", "when")]).unwrap_err();
        assert_eq!(twice, DictionaryError::Twice("nguyen".into()));
    }

    #[test]
    fn phonemes_stand_between_slashes() {
        let dictionary = Dictionary::new([("Nguyen", "/wˈɪn/")]).unwrap();
        assert_eq!(
            found(&dictionary, "Nguyen"),
            Some((Say::Phonemes("wˈɪn".into()), 6))
        );
    }
}
