//! Whisper's vocabulary: text from tokens, tokens from a prompt, the special tokens and languages.
//! Pure, but for [`Vocabulary::load`].
//!
//! Source: OpenAI whisper `tokenizer.py` (MIT) and GPT-2's byte alphabet. Token ids of ordinary
//! tokens are their merge ranks, so that no merge table is needed.

use std::{fs, path::Path};

/// Vocabulary size of the English-only models; all others know languages.
const ENGLISH_ONLY: usize = 51_864;

/// Seconds per timestamp token.
pub(crate) const TIMESTAMP_SECONDS: f64 = 0.02;

/// The tokens of one model.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// Bytes of each ordinary token; empty for special ones.
    bytes: Vec<Vec<u8>>,
    /// Ordinary tokens, sorted by their bytes.
    sorted: Vec<u32>,
    pub(crate) special: Special,
    /// Language codes with their tokens, in the model's order. Empty for English-only models.
    pub(crate) languages: Vec<(String, u32)>,
    /// Never sampled.
    pub(crate) suppressed: Vec<u32>,
    /// Never sampled first.
    pub(crate) suppressed_first: Vec<u32>,
}

/// The tokens that steer the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Special {
    pub(crate) end: u32,
    pub(crate) start: u32,
    /// Absent from English-only use.
    pub(crate) transcribe: u32,
    pub(crate) previous: u32,
    pub(crate) no_speech: u32,
    pub(crate) no_timestamps: u32,
    /// `<|0.00|>`; all later tokens are timestamps too.
    pub(crate) first_timestamp: u32,
}

impl Vocabulary {
    /// Reads `vocabulary.txt` or `vocabulary.json`, and the lists in `config.json`.
    ///
    /// # Errors
    ///
    /// A sentence that says which file is missing or wrong.
    pub(crate) fn load(dir: &Path) -> Result<Self, String> {
        let read = |name: &str| {
            fs::read_to_string(dir.join(name)).map_err(|e| format!("{name} cannot be read ({e})"))
        };
        let json = dir.join("vocabulary.json").is_file();
        let tokens: Vec<String> = if json {
            serde_json::from_str(&read("vocabulary.json")?)
                .map_err(|e| format!("vocabulary.json is no list of tokens ({e})"))?
        } else {
            let text = read("vocabulary.txt")?;
            let lines = text.strip_suffix('\n').unwrap_or(&text).split('\n');
            lines.map(str::to_owned).collect()
        };
        let config: Config = serde_json::from_str(&read("config.json")?)
            .map_err(|e| format!("config.json is no Whisper configuration ({e})"))?;
        Self::new(&tokens, &config)
    }

    fn new(tokens: &[String], config: &Config) -> Result<Self, String> {
        let id = |name: &str| {
            let at = tokens.iter().rposition(|t| t == name);
            at.map(|at| at as u32)
        };
        let need = |name: &str| id(name).ok_or(format!("the vocabulary lacks {name}"));
        let no_timestamps = need("<|notimestamps|>")?;
        let special = Special {
            end: need("<|endoftext|>")?,
            start: need("<|startoftranscript|>")?,
            transcribe: need("<|transcribe|>")?,
            previous: need("<|startofprev|>")?,
            no_speech: id("<|nospeech|>").map_or_else(|| need("<|nocaptions|>"), Ok)?,
            no_timestamps,
            first_timestamp: no_timestamps + 1,
        };
        if need("<|0.00|>")? != special.first_timestamp {
            return Err("the vocabulary has its timestamps in another place".to_owned());
        }
        let alphabet = alphabet();
        let mut bytes = Vec::with_capacity(tokens.len());
        for (at, token) in tokens.iter().enumerate() {
            bytes.push(if at < special.end as usize {
                token
                    .chars()
                    .map(|c| alphabet.iter().position(|&a| a == c).map(|b| b as u8))
                    .collect::<Option<Vec<u8>>>()
                    .ok_or(format!(
                        "token {at} of the vocabulary is not written in bytes"
                    ))?
            } else {
                Vec::new()
            });
        }
        // The languages stand between `<|startoftranscript|>` and the tasks: 99, or 100 from large-v3.
        let language = |t: &String| t.strip_prefix("<|")?.strip_suffix("|>").map(str::to_owned);
        let tasks = id("<|translate|>").unwrap_or(special.transcribe);
        let tasks = tasks.min(special.transcribe) as usize;
        let languages = if tokens.len() == ENGLISH_ONLY {
            Vec::new()
        } else {
            (special.start as usize + 1..tasks)
                .filter_map(|t| Some((language(&tokens[t])?, t as u32)))
                .collect()
        };
        let in_range = |ids: &[i64]| {
            ids.iter()
                .filter_map(|&id| u32::try_from(id).ok())
                .filter(|&id| (id as usize) < tokens.len())
                .collect::<Vec<u32>>()
        };
        Ok(Self {
            suppressed: in_range(&config.suppress_ids),
            suppressed_first: in_range(&config.suppress_ids_begin),
            ..Self::assemble(bytes, special, languages)
        })
    }

    /// A vocabulary that suppresses nothing yet. `bytes` has one entry per token, empty for special
    /// ones.
    pub(crate) fn assemble(
        bytes: Vec<Vec<u8>>,
        special: Special,
        languages: Vec<(String, u32)>,
    ) -> Self {
        let mut sorted: Vec<u32> = (0..special.end.min(bytes.len() as u32))
            .filter(|&t| !bytes[t as usize].is_empty())
            .collect();
        sorted.sort_by(|&a, &b| bytes[a as usize].cmp(&bytes[b as usize]));
        Self {
            bytes,
            sorted,
            special,
            languages,
            suppressed: Vec::new(),
            suppressed_first: Vec::new(),
        }
    }

    /// A small vocabulary of bytes, a few merges and `timestamps`.
    #[cfg(test)]
    pub(crate) fn for_tests(timestamps: usize) -> Self {
        let mut tokens: Vec<String> = alphabet().iter().map(char::to_string).collect();
        tokens.extend(["he", "ll", "hell", "hello", "Ġhello", "lo"].map(str::to_owned));
        let special = "endoftext startoftranscript en de da translate transcribe startoflm \
                       startofprev nocaptions notimestamps";
        tokens.extend(special.split_whitespace().map(|name| format!("<|{name}|>")));
        let seconds = |n: usize| n as f64 * TIMESTAMP_SECONDS;
        tokens.extend((0..timestamps).map(|n| format!("<|{:.2}|>", seconds(n))));
        let config = Config {
            suppress_ids: vec![-1, 5, 1_000_000],
            suppress_ids_begin: vec![],
        };
        Self::new(&tokens, &config).expect("it has all that is needed")
    }

    /// Number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The text of `tokens`; special ones have none.
    pub(crate) fn text(&self, tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens
            .iter()
            .filter_map(|&t| self.bytes.get(t as usize))
            .flatten()
            .copied()
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether `token` is a timestamp.
    pub(crate) fn is_timestamp(&self, token: u32) -> bool {
        token >= self.special.first_timestamp
    }

    /// The tokens of `text`, as GPT-2 cuts it: words first, then the best merges inside each.
    pub(crate) fn tokens(&self, text: &str) -> Vec<u32> {
        words(text)
            .flat_map(|word| self.merge(word.as_bytes()))
            .collect()
    }

    /// Byte pair encoding of one word: the pair with the lowest id is merged first.
    fn merge(&self, word: &[u8]) -> Vec<u32> {
        // Where each part begins; the last entry is the end.
        let mut cuts: Vec<usize> = (0..=word.len()).collect();
        loop {
            let best = (0..cuts.len().saturating_sub(2))
                .filter_map(|i| Some((self.id(&word[cuts[i]..cuts[i + 2]])?, i)))
                .min();
            let Some((_, i)) = best else { break };
            cuts.remove(i + 1);
        }
        cuts.windows(2)
            .filter_map(|cut| self.id(&word[cut[0]..cut[1]]))
            .collect()
    }

    fn id(&self, bytes: &[u8]) -> Option<u32> {
        self.sorted
            .binary_search_by(|&t| self.bytes[t as usize].as_slice().cmp(bytes))
            .ok()
            .map(|at| self.sorted[at])
    }

    /// What to ask for instead of the language `code` that the model does not know.
    pub(crate) fn language_hint(&self, code: &str) -> String {
        if self.languages.is_empty() {
            return "it knows English only; ask for en, or use a model without .en in its name"
                .to_owned();
        }
        let code = code.to_lowercase();
        if let Some((_, known)) = NAMES.iter().find(|(name, _)| *name == code) {
            return format!("ask for {known}");
        }
        let near: Vec<&str> = self
            .languages
            .iter()
            .map(|(c, _)| c.as_str())
            .filter(|c| distance_is_one(c, &code) || (code.len() > 2 && code.starts_with(c)))
            .take(6)
            .collect();
        match near[..] {
            [] => "ask for a two-letter code such as en, de, fr, es, zh, or for auto".to_owned(),
            _ => format!("near matches: {}", near.join(", ")),
        }
    }
}

/// Written names that people use for the commonest codes.
const NAMES: [(&str, &str); 22] = [
    ("english", "en"),
    ("german", "de"),
    ("deutsch", "de"),
    ("french", "fr"),
    ("spanish", "es"),
    ("italian", "it"),
    ("portuguese", "pt"),
    ("dutch", "nl"),
    ("polish", "pl"),
    ("russian", "ru"),
    ("ukrainian", "uk"),
    ("turkish", "tr"),
    ("arabic", "ar"),
    ("hindi", "hi"),
    ("chinese", "zh"),
    ("mandarin", "zh"),
    ("japanese", "ja"),
    ("korean", "ko"),
    ("swedish", "sv"),
    ("danish", "da"),
    ("norwegian", "no"),
    ("finnish", "fi"),
];

/// One letter replaced, of codes of equal length.
fn distance_is_one(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.chars().zip(b.chars()).filter(|(x, y)| x != y).count() == 1
}

#[derive(serde::Deserialize)]
struct Config {
    #[serde(default)]
    suppress_ids: Vec<i64>,
    #[serde(default)]
    suppress_ids_begin: Vec<i64>,
}

/// GPT-2's alphabet: the character that stands for each byte.
fn alphabet() -> Vec<char> {
    let mut shifted = 0;
    (0..=255u32)
        .map(|byte| {
            let visible = matches!(byte, 33..=126 | 161..=172 | 174..=255);
            let code = if visible {
                byte
            } else {
                shifted += 1;
                255 + shifted
            };
            char::from_u32(code).expect("all codes are below the surrogates")
        })
        .collect()
}

/// GPT-2's cut into words: English contractions, letters, digits or signs with one leading space,
/// and runs of white space.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (word, tail) = rest.split_at(word_len(rest));
        rest = tail;
        Some(word)
    })
}

fn word_len(text: &str) -> usize {
    for contraction in ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"] {
        if text.starts_with(contraction) {
            return contraction.len();
        }
    }
    let body = text.strip_prefix(' ').unwrap_or(text);
    let space = text.len() - body.len();
    let run = |same: fn(char) -> bool| body.find(|c| !same(c)).unwrap_or(body.len());
    let len = match body.chars().next() {
        Some(c) if c.is_alphabetic() => run(char::is_alphabetic),
        Some(c) if c.is_numeric() => run(char::is_numeric),
        Some(c) if !c.is_whitespace() => {
            run(|c| !c.is_whitespace() && !c.is_alphabetic() && !c.is_numeric())
        }
        _ => {
            // White space: the last of a run belongs to the word after it.
            let end = text.find(|c: char| !c.is_whitespace());
            let Some(end) = end else { return text.len() };
            let last = text[..end].chars().next_back().map_or(0, char::len_utf8);
            return if end > last { end - last } else { end };
        }
    };
    space + len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_merge_goes_first() {
        let v = Vocabulary::for_tests(2);
        assert_eq!(v.tokens("hello"), [259]);
        assert_eq!(v.text(&v.tokens("say hello, öl")), "say hello, öl");
        assert_eq!(v.tokens("lo"), [261]);
        assert_eq!(v.suppressed, [5]);
    }

    #[test]
    fn words_are_cut_as_gpt2_cuts_them() {
        let cut: Vec<&str> = words("I've  been to O'Neill's 24 shops!\n").collect();
        assert_eq!(
            cut,
            [
                "I", "'ve", " ", " been", " to", " O", "'", "Neill", "'s", " 24", " shops", "!",
                "\n"
            ]
        );
    }

    #[test]
    fn an_unknown_language_is_answered_with_near_ones() {
        let v = Vocabulary::for_tests(2);
        assert!(v.language_hint("dx").contains("de, da"));
        assert!(v.language_hint("German").contains("ask for de"));
        assert!(v.language_hint("en-US").contains("en"));
        assert!(v.language_hint("klingon").contains("auto"));
    }
}
