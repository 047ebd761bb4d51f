//! Pure: what was said, as words: Whisper's punctuation, numbers in figures and in words. For those who
//! look for meaning in speech.

/// A word as it was said and as it is compared. A comma is a word of its own: between two thoughts it
/// means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// As written, without punctuation around.
    pub(crate) said: String,
    /// In small letters, apostrophes as `'`.
    pub(crate) low: String,
}

/// The sentences of `text`, each as its words. `10%` is `10 percent`, `21°` is `21 degrees`, `7:30am` is
/// `7:30 am`, `twenty-five` two words.
pub(crate) fn sentences(text: &str) -> Vec<Vec<Word>> {
    let mut sentences = vec![Vec::new()];
    for piece in text.split_whitespace() {
        let dashes = |c: char| matches!(c, '-' | '–' | '—' | '/');
        for part in piece.split(dashes).filter(|part| !part.is_empty()) {
            let ends = add(part, &mut sentences);
            if ends {
                sentences.push(Vec::new());
            }
        }
    }
    for words in &mut sentences {
        while words.last().is_some_and(|word| word.low == ",") {
            words.pop();
        }
    }
    sentences.retain(|words| !words.is_empty());
    sentences
}

/// Adds the words of `part` to the last sentence; true, where it ends there.
fn add(part: &str, sentences: &mut [Vec<Word>]) -> bool {
    let Some(words) = sentences.last_mut() else {
        return false;
    };
    let part = part.replace(['’', '‘', '`'], "'");
    let lower = part.to_lowercase();
    // What has points inside is no end of a sentence.
    let halves = ["a.m.", "p.m.", "a.m", "p.m"];
    if let Some(half) = halves
        .iter()
        .find(|half| lower.trim_end_matches(',').ends_with(**half))
    {
        let number = lower.trim_end_matches(',').trim_end_matches(half);
        push(words, number);
        push(words, if half.starts_with('a') { "am" } else { "pm" });
        return false;
    }
    let inner = part.trim_start_matches(|c: char| !c.is_alphanumeric());
    let core = inner.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '%' && c != '°');
    let after = inner.get(core.len()..).unwrap_or_default();
    figures(words, core);
    if after.contains(',') && !words.is_empty() {
        push(words, ",");
    }
    after.contains(['.', '!', '?', ';', ':', '…'])
}

/// A number with what is written onto it, or a word.
fn figures(words: &mut Vec<Word>, core: &str) {
    let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | ':');
    let rest = core.trim_start_matches(number);
    let figure = core.get(..core.len() - rest.len()).unwrap_or_default();
    if figure.is_empty() || !figure.starts_with(|c: char| c.is_ascii_digit()) {
        push(words, core);
        return;
    }
    let thousands = figure
        .split_once(',')
        .is_some_and(|(_, right)| right.len() == 3);
    match thousands {
        true => push(words, &figure.replace(',', "")),
        false => push(words, figure),
    }
    match rest.to_lowercase().as_str() {
        "" => {}
        "%" => push(words, "percent"),
        "°" => push(words, "degrees"),
        "°c" | "°f" => push(words, "degrees"),
        "st" | "nd" | "rd" | "th" => {
            // An ordinal stays whole.
            words.pop();
            push(words, core);
        }
        _ => push(words, rest),
    }
}

fn push(words: &mut Vec<Word>, said: &str) {
    if !said.is_empty() {
        words.push(Word {
            said: said.to_owned(),
            low: said.to_lowercase(),
        });
    }
}

/// A number at the beginning of `words`, and how many of them it takes: `twenty five`, `a hundred`,
/// `20.5`, `one hundred and ten`. Below 10 000, never negative.
pub(crate) fn number<S: AsRef<str>>(words: &[S]) -> Option<(f64, usize)> {
    let at = |i: usize| words.get(i).map(AsRef::as_ref);
    let first = at(0)?;
    if first.starts_with(|c: char| c.is_ascii_digit()) {
        let value: f64 = first.parse().ok()?;
        return (value < 10_000.0).then_some((value, 1));
    }
    let (mut value, mut used) = match (first, at(1)) {
        ("a" | "one", Some("hundred")) => (100, 2),
        (word, Some("hundred")) => (ones(word).filter(|n| *n < 10)? * 100, 2),
        ("a" | "an", _) => return None,
        _ => (0, 0),
    };
    let hundreds = used > 0;
    let skip = usize::from(hundreds && at(used) == Some("and"));
    if let Some((rest, more)) = below_hundred(at(used + skip), at(used + skip + 1)) {
        value += rest;
        used += skip + more;
    } else if !hundreds {
        return None;
    }
    let mut value = f64::from(value);
    if at(used) == Some("point")
        && let Some(tenths) = at(used + 1).and_then(ones).filter(|n| *n < 10)
    {
        value += f64::from(tenths) / 10.0;
        used += 2;
    }
    Some((value, used))
}

fn below_hundred(first: Option<&str>, second: Option<&str>) -> Option<(u32, usize)> {
    let first = first?;
    let Some(tens) = tens(first) else {
        return ones(first).map(|n| (n, 1));
    };
    match second.and_then(ones).filter(|n| (1..10).contains(n)) {
        Some(n) => Some((tens + n, 2)),
        None => Some((tens, 1)),
    }
}

fn ones(word: &str) -> Option<u32> {
    let words = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    let at = words.iter().position(|known| *known == word)?;
    u32::try_from(at).ok()
}

fn tens(word: &str) -> Option<u32> {
    let words = [
        "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
    ];
    let at = words.iter().position(|known| *known == word)?;
    u32::try_from(at).ok().map(|n| (n + 2) * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn low(text: &str) -> Vec<String> {
        let said = sentences(text);
        let low = |words: &Vec<Word>| words.iter().map(|word| word.low.clone()).collect();
        let said: Vec<Vec<String>> = said.iter().map(low).collect();
        said.join(&"|".to_owned())
    }

    #[test]
    fn what_whisper_writes_becomes_words() {
        assert_eq!(
            low("Hey, Jarvis! Turn it on."),
            ["hey", ",", "jarvis", "|", "turn", "it", "on"]
        );
        assert_eq!(low("Set it to 10%."), ["set", "it", "to", "10", "percent"]);
        assert_eq!(
            low("at 7:30am, or 7 p.m. today"),
            ["at", "7:30", "am", ",", "or", "7", "pm", "today"]
        );
        assert_eq!(
            low("What’s twenty-five, 1,000 and 21.5°C?"),
            [
                "what's", "twenty", "five", ",", "1000", "and", "21.5", "degrees"
            ]
        );
        assert_eq!(low("...").len(), 0);
    }

    #[test]
    fn numbers_are_read_in_figures_and_in_words() {
        let read = |text: &str| number(&text.split(' ').collect::<Vec<_>>());
        assert_eq!(read("twenty five percent"), Some((25.0, 2)));
        assert_eq!(read("a hundred"), Some((100.0, 2)));
        assert_eq!(read("one hundred and five minutes"), Some((105.0, 4)));
        assert_eq!(read("two hundred"), Some((200.0, 2)));
        assert_eq!(read("20.5"), Some((20.5, 1)));
        assert_eq!(read("twenty point five"), Some((20.5, 3)));
        assert_eq!(read("zero"), Some((0.0, 1)));
        for none in ["a lamp", "hundred", "7:30", "12345", "lamp", "and five"] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
