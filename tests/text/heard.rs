//! What was heard of a reply, for any text and any moment at which it was cut off.

use caal::tts::{Clause, Clauses, Dictionary, align::heard};

use super::{hostile::random_text, stream::TEXTS};
use crate::support::Dice;

fn clauses(text: &str, dice: &mut Dice) -> Vec<Clause> {
    let mut cutter = Clauses::new(Dictionary::default());
    let mut clauses = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.char_indices().map(|(i, _)| i).nth(1 + dice.below(9));
        let (piece, after) = rest.split_at(at.unwrap_or(rest.len()));
        clauses.extend(cutter.push(piece));
        rest = after;
    }
    clauses.extend(cutter.finish());
    clauses
}

/// The sound of each clause: its words at some pace and its pause; sometimes none, sometimes all pause.
fn sounds<'a>(clauses: &'a [Clause], dice: &mut Dice) -> Vec<(&'a Clause, u64)> {
    let pause = |clause: &Clause| (clause.pause.as_secs_f64() * 24_000.0) as u64;
    clauses
        .iter()
        .map(|clause| {
            let speech = clause.spoken.len() as u64 * (1 + dice.below(3_000) as u64);
            let samples = match dice.below(12) {
                0 => 0,
                1 => pause(clause),
                _ => speech + pause(clause),
            };
            (clause, samples)
        })
        .collect()
}

#[test]
fn what_was_heard_only_grows_covers_the_reply_and_ends_between_words() {
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let text = match dice.below(3) {
            0 => random_text(&mut dice, 80),
            1 => TEXTS.join("\n\n"),
            _ => dice.pick(TEXTS).to_owned(),
        };
        let clauses = clauses(&text, &mut dice);
        let sounds = sounds(&clauses, &mut dice);
        let total: u64 = sounds.iter().map(|(_, samples)| samples).sum();
        let at = |played| heard(sounds.iter().copied(), played);
        // Of a reply without any sound nothing was heard.
        if total > 0 {
            assert_eq!(at(total), text, "seed {seed}: all played is all heard");
        }
        assert_eq!(at(u64::MAX), text, "seed {seed}");
        if sounds.first().is_some_and(|(_, samples)| *samples > 0) {
            assert_eq!(at(0), "", "seed {seed}: nothing played is nothing heard");
        }
        let mut moments: Vec<u64> = (0..60)
            .map(|_| dice.below(total as usize + 1) as u64)
            .collect();
        // The ends of clauses, and one sample beside them, are where mistakes are.
        let mut end = 0;
        for (_, samples) in &sounds {
            end += samples;
            moments.extend([end.saturating_sub(1), end, end + 1]);
        }
        moments.sort_unstable();
        let mut before = String::new();
        for played in moments {
            let now = at(played);
            assert!(text.starts_with(&now), "seed {seed} at {played}: {now:?}");
            assert!(
                now.len() >= before.len(),
                "seed {seed}: {now:?} at {played} is less than {before:?}"
            );
            let cut = clauses.iter().scan(0, |at, c| {
                *at += c.text.len();
                Some(*at)
            });
            let between = now.is_empty()
                || now.ends_with(char::is_whitespace)
                || text[now.len()..].starts_with(char::is_whitespace)
                || cut.into_iter().any(|end| end == now.len());
            assert!(
                between,
                "seed {seed} at {played}: cut inside a word: {now:?}"
            );
            before = now;
        }
    }
}

#[test]
fn a_reply_without_sound_counts_as_heard_only_when_it_was_due() {
    let cut = |text: &str| clauses(text, &mut Dice::new(1));
    assert_eq!(heard([], 0), "");
    let (first, silent) = (cut("One thing."), cut("```\n\n```"));
    let all: Vec<(&Clause, u64)> = first
        .iter()
        .map(|c| (c, 1000))
        .chain(silent.iter().map(|c| (c, 0)))
        .collect();
    assert_eq!(heard(all.iter().copied(), 999).trim(), "One thing.");
    assert_eq!(heard(all.iter().copied(), 0), "");
}
