//! Which of a reply's words were heard, from how much of its sound was played. Pure.
//!
//! Inside a clause the words are placed in proportion to their spoken length, but for the end, which people
//! (and voices that learnt from them) draw out. That is right to about one word: the voice gives no times.

use super::{
    clauses::Clause,
    dictionary::Dictionary,
    normalize::{Start, speak},
};

/// Samples in a second of the voice's sound.
const RATE: f64 = 24_000.0;

/// By how much the end of a clause is drawn out at most, in samples; a short one by a sixth of it.
const DRAWN_OUT: u64 = 7_200;

/// Who has heard all of a word but so many of its letters, and half of it, has understood it.
const UNDERSTOOD: usize = 3;

/// The written text heard when `played` samples (24 kHz) of a reply were played: its clauses in
/// order, each with the number of samples its sound has (its pause included).
///
/// Ends at the last word that was heard as good as whole. All played gives all text, nothing played gives
/// nothing; more played never gives less text.
pub fn heard<'a>(clauses: impl IntoIterator<Item = (&'a Clause, u64)>, played: u64) -> String {
    let mut text = String::new();
    let mut left = played;
    for (clause, samples) in clauses {
        if left == 0 && (samples > 0 || text.is_empty()) {
            break;
        }
        if left >= samples {
            text.push_str(&clause.text);
            left -= samples;
            continue;
        }
        text.push_str(part(clause, samples, left));
        break;
    }
    text
}

/// What was heard of a clause that was played in part.
fn part(clause: &Clause, samples: u64, played: u64) -> &str {
    let pause = (clause.pause.as_secs_f64() * RATE) as u64;
    let speech = samples.saturating_sub(pause);
    if played >= speech {
        return clause.text.as_str();
    }
    let words = words(&clause.text);
    let total: usize = words.iter().map(|word| word.spoken).sum();
    if total == 0 {
        return "";
    }
    let steady = speech - DRAWN_OUT.min(speech / 6);
    let spoken_until = played as f64 / steady as f64 * total as f64;
    let (mut spoken, mut end) = (0, 0);
    for word in &words {
        spoken += word.spoken;
        let dispensable = UNDERSTOOD.min(word.spoken / 2);
        if (spoken - dispensable) as f64 > spoken_until {
            break;
        }
        end = word.end;
    }
    &clause.text[..end]
}

struct Word {
    /// Where it ends in the text, the space after it not included.
    end: usize,
    /// Its length when spoken, in characters.
    spoken: usize,
}

fn words(text: &str) -> Vec<Word> {
    let dictionary = Dictionary::default();
    text.split_inclusive(char::is_whitespace)
        .scan(0, |at, piece| {
            let end = *at + piece.trim_end().len();
            *at += piece.len();
            let spoken = if piece.trim().is_empty() {
                0
            } else {
                speak(piece, Start::Within, &dictionary).chars().count()
            };
            Some(Word { end, spoken })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tts::clauses::Clauses;

    fn clauses(text: &str) -> Vec<Clause> {
        let mut cutter = Clauses::new(Dictionary::default());
        let mut all = cutter.push(text);
        all.extend(cutter.finish());
        all
    }

    fn sounds(clauses: &[Clause]) -> Vec<(&Clause, u64)> {
        clauses
            .iter()
            .map(|clause| (clause, 1_500 * clause.spoken.len() as u64 + 2_400))
            .collect()
    }

    const REPLY: &str = "The train leaves at 4:30, and it takes 12 minutes. **Do not** be late! \
                         Platform 7 is on the left.\n\n- Take bus 42\n- Walk 300 m";

    #[test]
    fn nothing_played_is_nothing_heard_and_all_is_all() {
        let clauses = clauses(REPLY);
        let sounds = sounds(&clauses);
        let total: u64 = sounds.iter().map(|(_, samples)| samples).sum();
        assert_eq!(heard(sounds.iter().copied(), 0), "");
        assert_eq!(heard(sounds.iter().copied(), total), REPLY);
        assert_eq!(heard(sounds.iter().copied(), u64::MAX), REPLY);
    }

    #[test]
    fn more_played_is_never_less_heard_and_words_stay_whole() {
        let clauses = clauses(REPLY);
        let sounds = sounds(&clauses);
        let total: u64 = sounds.iter().map(|(_, samples)| samples).sum();
        let mut longest = 0;
        for played in (0..total).step_by(997) {
            let text = heard(sounds.iter().copied(), played);
            assert!(REPLY.starts_with(&text));
            assert!(text.len() >= longest, "shrank at {played}");
            longest = text.len();
            let cut_word = REPLY[text.len()..]
                .chars()
                .next()
                .is_some_and(|c| !c.is_whitespace())
                && text.chars().last().is_some_and(|c| !c.is_whitespace());
            assert!(!cut_word, "cut inside a word: {text:?}");
        }
    }

    #[test]
    fn a_number_counts_by_its_spoken_length() {
        let clause = Clause {
            text: "It has 1,234,567 parts".into(),
            spoken:
                "It has one million two hundred thirty-four thousand five hundred sixty-seven parts"
                    .into(),
            pause: std::time::Duration::ZERO,
        };
        // Half of the sound is in the middle of the number.
        assert_eq!(heard([(&clause, 100_000)], 50_000), "It has");
        assert_eq!(heard([(&clause, 100_000)], 88_000), "It has 1,234,567");
    }
}
