//! The fast path: plain commands, understood by a small grammar of English and planned without a language
//! model. Pure. On any doubt there is no plan, and the language model decides: a sentence is a command
//! only if the grammar explains every word of it.

mod clock;
mod home;
mod times;
mod vocabulary;

use serde_json::{Map, Value};

use super::spoken::{self, Word};

/// What is to be called.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The tool's name; [`Plan::STOP`] is no tool.
    pub tool: &'static str,
    /// Its arguments, by its schema.
    pub arguments: Map<String, Value>,
}

impl Plan {
    /// The name of what is no tool: to be quiet and do nothing.
    pub const STOP: &'static str = "stop";
    /// Nothing is wanted, or what was done last is to be undone. No tool either.
    pub const TAKE_BACK: &'static str = "take back";

    /// The user wants nothing, or no more of it.
    pub fn stop() -> Self {
        Self::new(Self::STOP, [])
    }

    fn new<const N: usize>(tool: &'static str, arguments: [(&str, Value); N]) -> Self {
        let named = arguments.map(|(name, value)| (name.to_owned(), value));
        Self {
            tool,
            arguments: named.into_iter().collect(),
        }
    }

    /// With another argument, where it is there.
    fn with(mut self, name: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.arguments.insert(name.to_owned(), value.into());
        }
        self
    }
}

/// The moment on the user's clock, for "tomorrow" and for "at seven".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// 2026.
    pub year: i16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

/// Longer than any command, in bytes.
const LONGEST: usize = 240;

/// What `words` ask for, if that is beyond doubt. Without `now` nothing is that needs the clock.
pub fn understand(words: &str, now: Option<Now>) -> Option<Plan> {
    if words.len() > LONGEST {
        return None;
    }
    let sentences = spoken::sentences(words);
    let mut meant = sentences
        .iter()
        .map(|words| peel(words))
        .filter(|words| !words.is_empty());
    let (words, None) = (meant.next()?, meant.next()) else {
        return None; // two thoughts
    };
    let low: Vec<&str> = words.iter().map(|word| word.low.as_str()).collect();
    if vocabulary::STOP.contains(&low.as_slice()) {
        return Some(Plan::stop());
    }
    if vocabulary::TAKE_BACK.contains(&low.as_slice()) {
        return Some(Plan::new(Plan::TAKE_BACK, []));
    }
    clock::understand(words, &low, now).or_else(|| home::understand(&low))
}

/// `words` without calling by name and politeness at both ends.
fn peel(mut words: &[Word]) -> &[Word] {
    let starts = |words: &[Word], phrase: &[&str]| {
        words.len() >= phrase.len() && words.iter().zip(phrase).all(|(word, is)| word.low == *is)
    };
    let before = |words: &[Word]| {
        let phrases = vocabulary::BEFORE.iter();
        phrases
            .filter(|phrase| starts(words, phrase))
            .map(|phrase| phrase.len())
            .max()
    };
    let behind = |words: &[Word]| {
        let phrases = vocabulary::BEHIND.iter().filter(|phrase| {
            let from = words.len().checked_sub(phrase.len());
            from.and_then(|from| words.get(from..))
                .is_some_and(|end| starts(end, phrase))
        });
        phrases.map(|phrase| phrase.len()).max()
    };
    loop {
        let length = words.len();
        let called = usize::from(
            words
                .first()
                .is_some_and(|w| vocabulary::HAIL.contains(&w.low.as_str())),
        );
        // "hey, jarvis"
        let comma = usize::from(called > 0 && words.get(1).is_some_and(|w| w.low == ","));
        let name = words
            .get(called + comma)
            .is_some_and(|w| vocabulary::NAMES.contains(&w.low.as_str()));
        if name {
            words = words.get(called + comma + 1..).unwrap_or_default();
        } else if let Some(many) = before(words) {
            words = words.get(many..).unwrap_or_default();
        }
        if let Some(many) = behind(words) {
            words = words.get(..words.len() - many).unwrap_or_default();
        }
        if words.first().is_some_and(|word| word.low == ",") {
            words = words.get(1..).unwrap_or_default();
        }
        if words.last().is_some_and(|word| word.low == ",") {
            words = words.get(..words.len() - 1).unwrap_or_default();
        }
        if words.len() == length {
            return words;
        }
    }
}

#[cfg(test)]
mod tests;
