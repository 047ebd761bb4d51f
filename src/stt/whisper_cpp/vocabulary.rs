//! What a ggml file does not say of its tokens: which ones steer the decoder, which languages there are,
//! and which are never said. All of it follows from their number.
//!
//! Source: OpenAI whisper `tokenizer.py` (MIT) for the order and for the signs that are no speech.

use whisper_rs::get_lang_str;

use crate::stt::whisper::tokens::{Special, Vocabulary};

/// Vocabulary sizes of Whisper: English only, and that of large-v3, which knows Cantonese too. The other
/// models have the one between.
pub(super) const ENGLISH: usize = 51_864;
pub(super) const LARGE_V3: usize = 51_866;

/// Signs that stand for no speech, such as brackets around noises; with and without a space before.
const SIGNS: &str = "\" # ( ) * + / : ; < = > @ [ \\ ] ^ _ ` { | } ~ 「 」 『 』 << >> <<< >>> -- --- -( -[ \
                     (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪";
/// Of these the first token is enough: they share it, and no letter does.
const NOTES: &str = "♩ ♪ ♫ ♬ ♭ ♮ ♯";

/// The ordinary tokens of a vocabulary of `size`: all below the end of text.
pub(super) fn ordinary(size: usize) -> usize {
    if size == ENGLISH { 50_256 } else { 50_257 }
}

/// The vocabulary of `size` tokens, of which `written` have their bytes in the file.
pub(super) fn vocabulary(mut written: Vec<Vec<u8>>, size: usize) -> Vocabulary {
    let end = ordinary(size) as u32;
    // English-only models keep the places of the languages.
    let languages = if size == LARGE_V3 { 100 } else { 99 };
    let start = end + 1;
    let tasks = start + 1 + languages;
    let special = Special {
        end,
        start,
        transcribe: tasks + 1,
        previous: tasks + 3,
        no_speech: tasks + 4,
        no_timestamps: tasks + 5,
        first_timestamp: tasks + 6,
    };
    let languages = if size == ENGLISH {
        Vec::new()
    } else {
        (0..languages)
            .filter_map(|n| Some((get_lang_str(n as i32)?.to_owned(), start + 1 + n)))
            .collect()
    };
    written.truncate(end as usize);
    written.resize(size, Vec::new());
    let mut vocabulary = Vocabulary::assemble(written, special, languages);
    vocabulary.suppressed = no_speech(&vocabulary);
    vocabulary.suppressed_first = vocabulary.tokens(" ");
    vocabulary.suppressed_first.push(end);
    vocabulary
}

fn no_speech(vocabulary: &Vocabulary) -> Vec<u32> {
    let mut never = Vec::new();
    // A dash and an apostrophe belong between letters, not before them.
    never.extend(vocabulary.tokens(" -").first());
    never.extend(vocabulary.tokens(" '").first());
    let signs = SIGNS.split_whitespace().map(|sign| (sign, false));
    let notes = NOTES.split_whitespace().map(|sign| (sign, true));
    for (sign, first) in signs.chain(notes) {
        for text in [sign.to_owned(), format!(" {sign}")] {
            let tokens = vocabulary.tokens(&text);
            if tokens.len() == 1 || first {
                never.extend(tokens.first());
            }
        }
    }
    never.sort_unstable();
    never.dedup();
    never
}

#[cfg(test)]
mod tests {
    use super::*;

    const MULTILINGUAL: usize = 51_865;

    #[test]
    fn special_tokens_are_where_whisper_has_them() {
        // Numbers of OpenAI's tokenizers: gpt2, multilingual, and multilingual with 100 languages.
        for (size, end, transcribe, no_speech, first_timestamp) in [
            (ENGLISH, 50_256, 50_358, 50_361, 50_363),
            (MULTILINGUAL, 50_257, 50_359, 50_362, 50_364),
            (LARGE_V3, 50_257, 50_360, 50_363, 50_365),
        ] {
            let v = vocabulary(Vec::new(), size);
            assert_eq!(v.special.end, end);
            assert_eq!(v.special.transcribe, transcribe);
            assert_eq!(v.special.no_speech, no_speech);
            assert_eq!(v.special.first_timestamp, first_timestamp);
            assert_eq!(size as u32 - first_timestamp, 1_501);
            assert_eq!(v.len(), size);
            let code = |n: usize| v.languages[n].0.as_str();
            match size {
                ENGLISH => assert!(v.languages.is_empty()),
                MULTILINGUAL => assert_eq!((code(0), code(98)), ("en", "su")),
                _ => assert_eq!((code(2), code(99)), ("de", "yue")),
            }
        }
    }
}
