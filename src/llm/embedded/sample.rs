//! Scores → the next token, and when a small model has lost its way. Pure; the dice are seeded, so
//! the same request gives the same answer.

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampling {
    /// 0: always the likeliest.
    pub(super) temperature: f32,
    /// Scores of tokens that this answer used lately are divided by it (CTRL, arXiv 1909.05858,
    /// section 4.1). 1: no penalty.
    pub(super) repeat_penalty: f32,
}

/// Only so many of the likeliest are chosen from (llama.cpp's default).
const TOP_K: usize = 40;
/// And of these only the likeliest that together have this share.
const TOP_P: f32 = 0.9;
/// How far back the penalty reaches, in tokens.
const PENALTY_REACH: usize = 64;

/// A stream of random numbers: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// In `0.0..1.0`.
    fn roll(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }
}

impl Sampling {
    /// The next token after `answer`, by `scores`, which are changed. `scores` are not empty.
    pub(super) fn pick(self, scores: &mut [f32], answer: &[u32], dice: &mut Dice) -> u32 {
        let mut recent = answer[answer.len().saturating_sub(PENALTY_REACH)..].to_vec();
        recent.sort_unstable();
        recent.dedup();
        for token in recent {
            if let Some(score) = scores.get_mut(token as usize) {
                if *score > 0.0 {
                    *score /= self.repeat_penalty;
                } else {
                    *score *= self.repeat_penalty;
                }
            }
        }
        let best = (0..).zip(scores.iter()).max_by(|a, b| a.1.total_cmp(b.1));
        let (best, top) = best.map(|(i, s)| (i, *s)).expect("scores are not empty");
        if self.temperature <= 0.0 {
            return best;
        }
        let mut candidates: Vec<(u32, f32)> = (0..).zip(scores.iter().copied()).collect();
        let by_score = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if candidates.len() > TOP_K {
            candidates.select_nth_unstable_by(TOP_K, by_score);
            candidates.truncate(TOP_K);
        }
        candidates.sort_unstable_by(by_score);
        let mut total = 0.0;
        for (_, score) in &mut candidates {
            *score = ((*score - top) / self.temperature).exp();
            total += *score;
        }
        let mut kept = 0.0;
        let enough = |(_, share): &&(u32, f32)| {
            let go_on = kept < TOP_P * total;
            kept += share;
            go_on
        };
        let candidates: Vec<_> = candidates.iter().take_while(enough).copied().collect();
        let mut left = dice.roll() * candidates.iter().map(|c| c.1).sum::<f32>();
        for (token, share) in &candidates {
            left -= share;
            if left < 0.0 {
                return *token;
            }
        }
        best
    }
}

/// Whether `answer` ends in the same words three times over: it will not end by itself.
pub(super) fn goes_in_circles(answer: &[u32]) -> bool {
    /// The longest circle looked for, in tokens: a long sentence.
    const LONGEST: usize = 48;
    /// Three times a short word is speech ("no, no, no"); this many tokens are not.
    const LEAST: usize = 12;
    (1..=LONGEST).any(|period| {
        let length = (3 * period).max(LEAST);
        answer.len() >= length && {
            let tail = &answer[answer.len() - length..];
            tail.iter().zip(&tail[period..]).all(|(a, b)| a == b)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREEDY: Sampling = Sampling {
        temperature: 0.0,
        repeat_penalty: 1.0,
    };

    #[test]
    fn without_temperature_the_likeliest_is_taken() {
        let mut dice = Dice::new(1);
        assert_eq!(GREEDY.pick(&mut [0.0, 3.0, 2.0], &[], &mut dice), 1);
        assert_eq!(GREEDY.pick(&mut [-5.0], &[], &mut dice), 0);
    }

    #[test]
    fn a_token_just_used_is_less_likely() {
        let penalised = Sampling {
            repeat_penalty: 2.0,
            ..GREEDY
        };
        let mut dice = Dice::new(1);
        assert_eq!(penalised.pick(&mut [0.0, 3.0, 2.0], &[1, 1], &mut dice), 2);
        assert_eq!(penalised.pick(&mut [-1.0, -1.5], &[0], &mut dice), 1);
        let long_ago = [&[1; 4][..], &[0; PENALTY_REACH]].concat();
        assert_eq!(
            penalised.pick(&mut [0.0, 3.0, 2.0], &long_ago, &mut dice),
            1
        );
        // A token of another vocabulary does not matter.
        assert_eq!(penalised.pick(&mut [0.0, 1.0], &[7], &mut dice), 1);
    }

    #[test]
    fn with_temperature_the_likely_ones_come_in_their_share_and_the_unlikely_never() {
        let warm = Sampling {
            temperature: 1.0,
            repeat_penalty: 1.0,
        };
        let mut dice = Dice::new(20_261_122);
        let mut counts = [0; 100];
        for _ in 0..10_000 {
            let mut scores = [-4.0; 100];
            (scores[3], scores[7]) = (6.0, 5.0);
            counts[warm.pick(&mut scores, &[], &mut dice) as usize] += 1;
        }
        // e/(1+e) = 0.731
        assert!((7_150..7_450).contains(&counts[3]), "{}", counts[3]);
        assert_eq!(counts[3] + counts[7], 10_000);
    }

    #[test]
    fn circles_are_seen_and_speech_is_none() {
        let words: Vec<u32> = (0..60).collect();
        assert!(!goes_in_circles(&words));
        assert!(!goes_in_circles(&[5; 11]));
        assert!(goes_in_circles(&[5; 12]));
        let sentence: Vec<u32> = (0..20).collect();
        assert!(!goes_in_circles(&sentence.repeat(2)));
        assert!(goes_in_circles(
            &[words.as_slice(), &sentence.repeat(3)].concat()
        ));
        assert!(!goes_in_circles(&[]));
    }
}
