//! From scores to "somebody said the word": threshold, patience, refractory time. Pure: positions in
//! the sound come in with the scores.

use std::{collections::VecDeque, time::Duration};

use crate::audio::{Hz16k, SamplePos};

/// When scores count as a wake word. Only the threshold is a setting of CAAL's users: it trades false
/// alarms against missed calls, which depends on the room and the word. For the rest the defaults do:
/// patience would keep hardly a false alarm away, and the refractory time follows from how long a model
/// goes on scoring.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GateConfig {
    /// A step counts from this score on. openWakeWord's own recommendation is 0.5.
    pub threshold: f32,
    /// So many steps must count …
    pub hits: usize,
    /// … of the last so many, the newest among them.
    pub within: usize,
    /// After an event no other for so long, of any word: one utterance is one event.
    pub refractory: Duration,
}

impl Default for GateConfig {
    /// One step is enough. Of 49 recordings with a pre-trained word, 47 are heard with it, each in
    /// four steps or more, so that asking for two of three would lose none of them; but it would keep
    /// only one of twelve false alarms away (which were all "jarvis" or "okay rhasspy"), and a word in
    /// noise may have but one step. The refractory time covers the longest run of steps, 15.
    fn default() -> Self {
        Self {
            threshold: 0.5,
            hits: 1,
            within: 1,
            refractory: Duration::from_millis(1_500),
        }
    }
}

/// The wake word was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WakeEvent {
    /// Which word, as an index into [`super::WakeModel::words`].
    pub word: usize,
    /// Its score in the step that decided.
    pub score: f32,
    /// End of that step.
    pub at: SamplePos<Hz16k>,
    /// The word has begun by now at the earliest: a clip from here on holds all of it.
    pub begins: SamplePos<Hz16k>,
    /// The word is over from here on at the earliest: a clip from here on holds all that was said
    /// after it, and may hold the end of the word itself.
    pub ends: SamplePos<Hz16k>,
}

/// From the word's beginning to the decision. Over 47 recordings of the pre-trained words 0.43 to
/// 0.85 s (begin and end of speech by Silero VAD).
const LONGEST: Duration = Duration::from_millis(1_500);
/// From the word's end to the decision. The models mostly decide before the end: over the same
/// recordings 0.18 s before it in the median, 0.1 s after it at the latest.
const LATENESS: Duration = Duration::from_millis(240);

/// Turns the scores of one stream into events. One per microphone.
#[derive(Clone, Debug)]
pub struct WakeGate {
    config: GateConfig,
    /// Per word whether the last steps counted, newest last; at most [`GateConfig::within`].
    counted: Vec<VecDeque<bool>>,
    deaf_until: SamplePos<Hz16k>,
}

impl WakeGate {
    /// A gate for a model of `words` wake words. `hits` and `within` are at least 1, and `hits` at
    /// most `within`.
    pub fn new(words: usize, config: GateConfig) -> Self {
        let within = config.within.max(1);
        let config = GateConfig {
            hits: config.hits.clamp(1, within),
            within,
            ..config
        };
        Self {
            counted: vec![VecDeque::with_capacity(within); words],
            config,
            deaf_until: SamplePos::new(0),
        }
    }

    /// Takes the scores of the step that ends at `end`. Several words at once give one event, that of
    /// the best score.
    pub fn push(&mut self, end: SamplePos<Hz16k>, scores: &[f32]) -> Option<WakeEvent> {
        if end < self.deaf_until {
            return None;
        }
        let mut best: Option<(usize, f32)> = None;
        for (word, (counted, &score)) in self.counted.iter_mut().zip(scores).enumerate() {
            // Not a number counts as nothing.
            let counts = score >= self.config.threshold;
            if counted.len() == self.config.within {
                counted.pop_front();
            }
            counted.push_back(counts);
            let hits = counted.iter().filter(|&&c| c).count();
            if counts && hits >= self.config.hits && best.is_none_or(|(_, s)| score > s) {
                best = Some((word, score));
            }
        }
        let (word, score) = best?;
        for counted in &mut self.counted {
            counted.clear();
        }
        self.deaf_until = later(end, self.config.refractory);
        Some(WakeEvent {
            word,
            score,
            at: end,
            begins: earlier(end, LONGEST),
            ends: earlier(end, LATENESS),
        })
    }

    /// Forgets the stream so far.
    pub fn reset(&mut self) {
        for counted in &mut self.counted {
            counted.clear();
        }
        self.deaf_until = SamplePos::new(0);
    }
}

fn later(at: SamplePos<Hz16k>, by: Duration) -> SamplePos<Hz16k> {
    SamplePos::new(at.samples() + SamplePos::<Hz16k>::at(by).samples())
}

fn earlier(at: SamplePos<Hz16k>, by: Duration) -> SamplePos<Hz16k> {
    SamplePos::new(
        at.samples()
            .saturating_sub(SamplePos::<Hz16k>::at(by).samples()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: u64 = 1280;

    fn config(hits: usize, within: usize) -> GateConfig {
        GateConfig {
            hits,
            within,
            ..GateConfig::default()
        }
    }

    /// Events as (step, word).
    fn run(config: GateConfig, steps: &[Vec<f32>]) -> Vec<(usize, usize)> {
        let mut gate = WakeGate::new(steps.first().map_or(1, Vec::len), config);
        steps
            .iter()
            .enumerate()
            .filter_map(|(i, scores)| {
                let end = SamplePos::new((i as u64 + 1) * STEP);
                let event = gate.push(end, scores)?;
                assert_eq!(event.at, end);
                assert!(event.begins < event.ends || event.ends.samples() == 0);
                assert!(event.ends < event.at);
                Some((i, event.word))
            })
            .collect()
    }

    fn one_word(scores: &[f32]) -> Vec<Vec<f32>> {
        scores.iter().map(|&s| vec![s]).collect()
    }

    #[test]
    fn one_utterance_is_one_event_and_the_next_is_another() {
        let mut scores = vec![0.0; 60];
        scores[10..16].fill(0.9);
        scores[40] = 0.5;
        assert_eq!(run(config(1, 1), &one_word(&scores)), [(10, 0), (40, 0)]);
    }

    #[test]
    fn patience_wants_several_steps_but_not_in_a_row() {
        let scores = one_word(&[0.9, 0.0, 0.0, 0.9, 0.0, 0.9, 0.9]);
        assert_eq!(run(config(2, 2), &scores), [(6, 0)]);
        assert_eq!(run(config(2, 3), &scores), [(5, 0)]);
        assert_eq!(run(config(4, 3), &scores), [], "more than there can be");
    }

    #[test]
    fn of_several_words_the_best_wins() {
        let steps = vec![vec![0.6, 0.9, 0.7], vec![0.99, 0.0, 0.0]];
        assert_eq!(run(config(1, 1), &steps), [(0, 1)]);
    }

    #[test]
    fn a_score_that_is_not_a_number_is_no_word() {
        assert_eq!(run(config(1, 1), &one_word(&[f32::NAN, 0.1])), []);
    }

    #[test]
    fn after_a_reset_nothing_of_before_counts() {
        let mut gate = WakeGate::new(1, config(2, 3));
        assert_eq!(gate.push(SamplePos::new(STEP), &[0.9]), None);
        gate.reset();
        assert_eq!(gate.push(SamplePos::new(2 * STEP), &[0.9]), None);
        assert!(gate.push(SamplePos::new(3 * STEP), &[0.9]).is_some());
        gate.reset();
        gate.push(SamplePos::new(STEP), &[0.9]);
        assert!(gate.push(SamplePos::new(2 * STEP), &[0.9]).is_some());
    }

    /// Whatever the scores: no two events within the refractory time, every event has its hits, and
    /// no run of enough steps outside the refractory time goes unheard.
    #[test]
    fn random_scores_keep_the_promises() {
        let mut seed = 7u64;
        let mut random = move |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for case in 0..2_000 {
            let within = 1 + random(4) as usize;
            let config = GateConfig {
                hits: 1 + random(within as u64) as usize,
                within,
                refractory: Duration::from_millis(80 * random(30)),
                threshold: 0.5,
            };
            let words = 1 + random(3) as usize;
            let busy = 2 + random(10);
            let steps: Vec<Vec<f32>> = (0..120)
                .map(|_| {
                    let score = |_| match random(busy) {
                        0 => 0.5 + random(50) as f32 / 100.0,
                        _ => random(50) as f32 / 100.0,
                    };
                    (0..words).map(score).collect()
                })
                .collect();
            let events = run(config, &steps);
            let deaf = (config.refractory.as_millis() / 80) as usize;
            for pair in events.windows(2) {
                assert!(
                    pair[1].0 - pair[0].0 >= deaf.max(1),
                    "case {case}: {pair:?}"
                );
            }
            let mut free = 0;
            for i in 0..steps.len() {
                if i < free {
                    assert!(events.iter().all(|e| e.0 != i), "case {case}, step {i}");
                    continue;
                }
                let from = (i + 1).saturating_sub(within).max(free);
                let hits = |w: usize| steps[from..=i].iter().filter(|s| s[w] >= 0.5).count();
                let due = (0..words).any(|w| steps[i][w] >= 0.5 && hits(w) >= config.hits);
                let event = events.iter().find(|e| e.0 == i);
                assert_eq!(event.is_some(), due, "case {case}, step {i}");
                if let Some(&(_, word)) = event {
                    let eligible = (0..words).filter(|&w| hits(w) >= config.hits);
                    let best = eligible.map(|w| steps[i][w]).fold(0.0, f32::max);
                    assert_eq!(steps[i][word], best, "case {case}, step {i}");
                    free = i + deaf.max(1);
                }
            }
        }
    }
}
