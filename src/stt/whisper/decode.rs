//! Whisper's decoding rules: which token may come next, whether the text runs in circles, and how
//! tokens become segments. Pure; the caller runs the model.
//!
//! Timestamps are always on: without them a window shorter than 30 s loops (measured: 217 % word
//! errors). Source: OpenAI whisper `decoding.py` and `transcribe.py` (MIT).

use std::ops::Range;

use super::tokens::{TIMESTAMP_SECONDS, Vocabulary};

/// The first timestamp is at most 1 s into a window (OpenAI's `max_initial_timestamp`).
const MAX_FIRST_TIMESTAMP: u32 = 50;

/// One sampled token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pick {
    pub(crate) token: u32,
    /// Its log-probability among the tokens that were allowed.
    pub(crate) logprob: f32,
}

/// Picks the likeliest token that Whisper's rules allow after `sampled`. `logits` (one per token of
/// the vocabulary) are spoilt. No timestamp passes `last_timestamp`, in tokens from the window's
/// start.
pub(crate) fn pick(
    vocabulary: &Vocabulary,
    logits: &mut [f32],
    sampled: &[u32],
    last_timestamp: u32,
) -> Pick {
    let special = vocabulary.special;
    let text = 0..special.end as usize;
    let first = special.first_timestamp as usize;
    forbid(logits, vocabulary.suppressed.iter().map(|&t| t as usize));
    // Steering tokens are never sampled, whatever the list says.
    forbid(logits, special.end as usize + 1..first);
    forbid(logits, first + 1 + last_timestamp as usize..logits.len());
    let stamp = |t: Option<&u32>| t.is_some_and(|&t| vocabulary.is_timestamp(t));
    match sampled {
        [] => {
            let blank = vocabulary.suppressed_first.iter().map(|&t| t as usize);
            forbid(logits, blank);
            forbid(logits, text.start..first);
            forbid(
                logits,
                first + 1 + MAX_FIRST_TIMESTAMP as usize..logits.len(),
            );
        }
        [before @ .., last] if vocabulary.is_timestamp(*last) => {
            // Timestamps come in pairs: after a second one text, after a single one its twin or the end.
            if before.is_empty() || stamp(before.last()) {
                forbid(logits, first..logits.len());
            } else {
                forbid(logits, text.clone());
            }
        }
        _ => {}
    }
    let stamps = sampled.iter().filter(|&&t| vocabulary.is_timestamp(t));
    if let Some(&latest) = stamps.max() {
        // Time goes on; only a segment's end may be the next one's start.
        let twin = stamp(sampled.last()) && !stamp(sampled.iter().rev().nth(1));
        let from = if twin { latest } else { latest + 1 };
        forbid(logits, first..(from as usize).min(logits.len()));
    }
    let peak = max(logits);
    // If a timestamp is likelier than any single word, it is time for one.
    let stamps: f32 = logits[first..].iter().map(|l| (l - peak).exp()).sum();
    if stamps > (max(&logits[..first]) - peak).exp() {
        forbid(logits, 0..first);
    }
    let token = argmax(logits);
    Pick {
        token: token as u32,
        logprob: logits[token] - log_sum_exp(logits),
    }
}

fn forbid(logits: &mut [f32], tokens: impl IntoIterator<Item = usize>) {
    for token in tokens {
        if let Some(logit) = logits.get_mut(token) {
            *logit = f32::NEG_INFINITY;
        }
    }
}

fn max(logits: &[f32]) -> f32 {
    logits.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    let peak = max(logits);
    peak + logits.iter().map(|l| (l - peak).exp()).sum::<f32>().ln()
}

/// The probability of `token` among all.
pub(crate) fn probability(logits: &[f32], token: u32) -> f32 {
    (logits[token as usize] - log_sum_exp(logits)).exp()
}

/// The language that `logits`, taken at the start token, speak for.
pub(crate) fn likeliest_language<'a>(
    vocabulary: &'a Vocabulary,
    logits: &[f32],
) -> Option<(&'a str, u32)> {
    vocabulary
        .languages
        .iter()
        .max_by(|a, b| logits[a.1 as usize].total_cmp(&logits[b.1 as usize]))
        .map(|(code, token)| (code.as_str(), *token))
}

/// Where `text` (tokens without timestamps) begins to run in circles: a run of at least 3 equal
/// stretches that together are at least 12 tokens. Short words said many times stay below that.
/// Returns the second to the last of the equal stretches: what to drop.
pub(crate) fn circle(text: &[u32]) -> Option<Range<usize>> {
    for len in 1..=text.len() / 3 {
        for start in 0..text.len().saturating_sub(3 * len - 1) {
            let stretch = &text[start..start + len];
            let times = text[start..]
                .chunks_exact(len)
                .take_while(|c| *c == stretch)
                .count();
            if times >= 3 && times * len >= 12 {
                return Some(start + len..start + times * len);
            }
        }
    }
    None
}

/// A segment in tokens, with its times in seconds from the window's start.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) tokens: Vec<u32>,
}

/// Cuts the tokens of a window of `seconds` into segments. Returns them and where the next window
/// begins: after the last finished segment when more follows this window, else at its end.
pub(crate) fn segments(
    vocabulary: &Vocabulary,
    sampled: &[u32],
    seconds: f64,
    more_follows: bool,
) -> (Vec<Stretch>, f64) {
    let time =
        |token: u32| f64::from(token - vocabulary.special.first_timestamp) * TIMESTAMP_SECONDS;
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut start = 0.0;
    let mut words: Vec<u32> = Vec::new();
    let mut close = |start: f64, end: f64, words: &mut Vec<u32>| {
        if !words.is_empty() {
            let (start, end) = (start.min(seconds), end.clamp(start.min(seconds), seconds));
            let tokens = std::mem::take(words);
            stretches.push(Stretch { start, end, tokens });
        }
    };
    let mut finished = 0.0;
    for &token in sampled {
        if vocabulary.is_timestamp(token) {
            if !words.is_empty() {
                finished = time(token);
                close(start, finished, &mut words);
            }
            start = time(token);
        } else {
            words.push(token);
        }
    }
    // Words after the last timestamp: cut off by the window's end when more follows, so that the next
    // window hears them whole. A window without any finished segment is taken as it is.
    let unfinished = !words.is_empty();
    if unfinished && more_follows && finished > 1.0 {
        return (stretches, finished.min(seconds));
    }
    close(start, seconds, &mut words);
    // Segments came in pairs up to the window's end: the last timestamp opens what is cut off.
    let opened =
        matches!(sampled, [.., a, b] if vocabulary.is_timestamp(*a) && vocabulary.is_timestamp(*b));
    let next = if more_follows && opened && finished > 1.0 {
        finished.min(seconds)
    } else {
        seconds
    };
    (stretches, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 262 text tokens, then the special ones of `tokens::small`, then 100 timestamps.
    fn vocabulary() -> Vocabulary {
        Vocabulary::for_tests(100)
    }

    fn stamp(v: &Vocabulary, n: u32) -> u32 {
        v.special.first_timestamp + n
    }

    #[test]
    fn a_window_begins_with_a_timestamp_of_at_most_one_second() {
        let v = vocabulary();
        let mut logits = vec![0.0; v.len()];
        logits[65] = 9.0;
        logits[stamp(&v, 51) as usize] = 8.0;
        logits[stamp(&v, 50) as usize] = 7.0;
        assert_eq!(pick(&v, &mut logits, &[], 99).token, stamp(&v, 50));
    }

    #[test]
    fn timestamps_come_in_pairs_and_never_go_back() {
        let v = vocabulary();
        let logits = || {
            let mut logits = vec![0.0; v.len()];
            logits[65] = 9.0;
            for n in 0..100 {
                logits[stamp(&v, n) as usize] = 8.0 - n as f32 / 10.0;
            }
            logits
        };
        let next = |sampled: &[u32]| pick(&v, &mut logits(), sampled, 99).token;
        // After the opening timestamp there is text, even where timestamps are likelier together.
        assert_eq!(next(&[stamp(&v, 5)]), 65);
        // After text its end, which is later than its start.
        assert_eq!(next(&[stamp(&v, 5), 65]), stamp(&v, 6));
        // After the end its twin, not an earlier one and no text.
        assert_eq!(next(&[stamp(&v, 5), 65, stamp(&v, 20)]), stamp(&v, 20));
        // After the pair text again.
        let pair = [stamp(&v, 5), 65, stamp(&v, 20), stamp(&v, 20)];
        assert_eq!(next(&pair), 65);
    }

    #[test]
    fn no_timestamp_lies_after_the_clip() {
        let v = vocabulary();
        let mut logits = vec![0.0; v.len()];
        logits[stamp(&v, 31) as usize] = 9.0;
        let token = pick(&v, &mut logits, &[stamp(&v, 5), 65], 30).token;
        assert!(token <= stamp(&v, 30));
    }

    #[test]
    fn steering_and_suppressed_tokens_are_never_picked() {
        let mut v = vocabulary();
        v.suppressed = vec![7];
        let mut logits = vec![0.0; v.len()];
        logits[7] = 50.0;
        logits[v.special.previous as usize] = 50.0;
        logits[v.special.no_speech as usize] = 50.0;
        logits[65] = 20.0;
        let picked = pick(&v, &mut logits, &[stamp(&v, 0)], 99);
        assert_eq!(picked.token, 65);
        assert!(picked.logprob > -1e-3 && picked.logprob <= 0.0);
    }

    #[test]
    fn a_circle_is_found_and_a_stammer_is_none() {
        assert_eq!(
            circle(&[1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2]),
            Some(4..12)
        );
        assert_eq!(
            circle(&[9, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5]),
            Some(2..13)
        );
        assert_eq!(circle(&[1, 2, 1, 2, 1, 2]), None);
        assert_eq!(circle(&[]), None);
    }

    #[test]
    fn segments_have_their_times_and_the_next_window_begins_after_the_last_whole_one() {
        let v = vocabulary();
        let s = |n| stamp(&v, n);
        let sampled = [s(0), 65, s(60), s(70), 66, 67, s(80)];
        let (stretches, next) = segments(&v, &sampled, 2.0, true);
        assert_eq!(next, 2.0);
        assert_eq!(stretches.len(), 2);
        assert!((stretches[1].start - 1.4).abs() < 1e-9 && stretches[1].end == 1.6);
        assert_eq!(stretches[1].tokens, [66, 67]);
        // Cut in the middle of a segment: heard again by the next window, kept if there is none.
        let cut = &sampled[..6];
        let (stretches, next) = segments(&v, cut, 2.0, true);
        assert_eq!((stretches.len(), next), (1, 1.2));
        let (stretches, next) = segments(&v, cut, 2.0, false);
        assert_eq!((stretches.len(), next), (2, 2.0));
        assert_eq!(stretches[1].end, 2.0);
    }
}
