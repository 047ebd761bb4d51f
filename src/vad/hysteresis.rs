//! From probabilities to "speech began" and "speech ended". Pure: time comes in with each window.

use std::time::Duration;

use crate::clock::At;

/// Somebody began or stopped to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeechEvent {
    /// Speech is certain; it began at `at`, which lies in the past.
    Started {
        /// Beginning of the first window that sounded like speech, less [`HysteresisConfig::pad`].
        at: At,
    },
    /// Silence is certain; speech ended at `at`, which lies in the past.
    Ended {
        /// End of the last window that sounded like speech.
        at: At,
    },
}

/// When probabilities count as speech, and when as silence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HysteresisConfig {
    /// At or above: speech.
    pub enter: f32,
    /// Below: silence. Not above `enter`; between the two nothing changes.
    pub leave: f32,
    /// Speech must last this long to count.
    pub min_speech: Duration,
    /// Silence must last this long to count.
    pub min_silence: Duration,
    /// Speech is said to begin so much earlier than the model notices it, because it notices soft
    /// first sounds (f, h, s) late. Never before the end of the speech before.
    pub pad: Duration,
}

impl Default for HysteresisConfig {
    /// Silero's own thresholds (`utils_vad.py`: 0.5, and 0.15 less to leave). Its 250 ms of least
    /// speech is meant for cutting files; a "yes" may be shorter, and a cough is the turn machine's
    /// business.
    fn default() -> Self {
        Self {
            enter: 0.5,
            leave: 0.35,
            min_speech: Duration::from_millis(96),
            min_silence: Duration::from_millis(160),
            pad: Duration::from_millis(320),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    Quiet,
    Rising { since: At },
    Speaking,
    Falling { since: At },
}

/// Turns the probabilities of one stream into events. One per microphone.
#[derive(Clone, Debug)]
pub struct Hysteresis {
    config: HysteresisConfig,
    state: State,
    /// End of the last speech.
    ended: At,
}

impl Hysteresis {
    /// Quiet at first. A `leave` above `enter` is taken as `enter`.
    pub fn new(config: HysteresisConfig) -> Self {
        Self {
            config: HysteresisConfig {
                leave: config.leave.min(config.enter),
                ..config
            },
            state: State::Quiet,
            ended: At::START,
        }
    }

    /// True from the moment [`SpeechEvent::Started`] was said until [`SpeechEvent::Ended`] is.
    pub fn is_speaking(&self) -> bool {
        matches!(self.state, State::Speaking | State::Falling { .. })
    }

    /// Nothing sounds like speech, nor did just now.
    pub fn is_quiet(&self) -> bool {
        matches!(self.state, State::Quiet)
    }

    /// Takes the probability of the window that *begins* at `at` and lasts `len`.
    pub fn push(&mut self, at: At, len: Duration, probability: f32) -> Option<SpeechEvent> {
        let end = at + len;
        let high = probability >= self.config.enter;
        // Not a number counts as silence.
        let low = probability.is_nan() || probability < self.config.leave;
        self.state = match self.state {
            State::Quiet if high => State::Rising { since: at },
            State::Rising { .. } if low => State::Quiet,
            State::Speaking if low => State::Falling { since: at },
            State::Falling { .. } if high => State::Speaking,
            other => other,
        };
        match self.state {
            State::Rising { since } if end - since >= self.config.min_speech => {
                self.state = State::Speaking;
                let at = since.saturating_sub(self.config.pad).max(self.ended);
                Some(SpeechEvent::Started { at })
            }
            State::Falling { since } if end - since >= self.config.min_silence => {
                self.state = State::Quiet;
                self.ended = since;
                Some(SpeechEvent::Ended { at: since })
            }
            _ => None,
        }
    }

    /// Forgets the stream so far; no event is said for a speech that was open.
    pub fn reset(&mut self) {
        *self = Self::new(self.config);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(32);

    fn config() -> HysteresisConfig {
        HysteresisConfig {
            enter: 0.5,
            leave: 0.35,
            min_speech: Duration::from_millis(64),
            min_silence: Duration::from_millis(96),
            pad: Duration::from_millis(40),
        }
    }

    fn at(window: u64) -> At {
        At::from_millis(32 * window)
    }

    fn run(config: HysteresisConfig, scores: &[f32]) -> Vec<SpeechEvent> {
        let mut hysteresis = Hysteresis::new(config);
        let windows = scores.iter().enumerate();
        windows
            .filter_map(|(i, &p)| hysteresis.push(at(i as u64), WINDOW, p))
            .collect()
    }

    #[test]
    fn a_click_is_not_speech() {
        assert_eq!(run(config(), &[0.0, 0.9, 0.0, 0.0, 0.0]), []);
    }

    #[test]
    fn a_short_dip_does_not_end_speech() {
        let scores = [0.0, 0.0, 0.9, 0.9, 0.1, 0.9, 0.1, 0.1, 0.1];
        let started = At::from_millis(64 - 40);
        assert_eq!(
            run(config(), &scores),
            [
                SpeechEvent::Started { at: started },
                SpeechEvent::Ended { at: at(6) }
            ]
        );
    }

    #[test]
    fn between_the_thresholds_nothing_changes() {
        assert_eq!(run(config(), &[0.4; 20]), []);
        let mut scores = vec![0.9, 0.9];
        scores.extend([0.4; 20]);
        assert_eq!(run(config(), &scores).len(), 1);
    }

    #[test]
    fn what_is_no_number_is_silence() {
        let mut scores = vec![0.9, 0.9];
        scores.extend([f32::NAN; 3]);
        let ended = SpeechEvent::Ended { at: at(2) };
        assert_eq!(run(config(), &scores).last(), Some(&ended));
    }

    #[test]
    fn padding_does_not_reach_into_the_speech_before() {
        let long = HysteresisConfig {
            pad: Duration::from_secs(1),
            ..config()
        };
        let scores = [0.9, 0.9, 0.0, 0.0, 0.0, 0.9, 0.9];
        assert_eq!(
            run(long, &scores),
            [
                SpeechEvent::Started { at: At::START },
                SpeechEvent::Ended { at: at(2) },
                SpeechEvent::Started { at: at(2) },
            ]
        );
    }

    /// Whatever the probabilities: the events take turns, their times only grow and lie in the past,
    /// and every long enough run of speech or silence is noticed.
    #[test]
    fn random_scores_keep_the_promises() {
        let mut seed = 3u32;
        let mut random = move |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        for case in 0..500 {
            let config = HysteresisConfig {
                min_speech: WINDOW * random(5),
                min_silence: WINDOW * random(6),
                pad: WINDOW * random(8),
                ..config()
            };
            let mut hysteresis = Hysteresis::new(config);
            let (mut last, mut open) = (At::START, false);
            let (mut high, mut low) = (Duration::ZERO, Duration::ZERO);
            let mut level = 0.0;
            for i in 0..200 {
                if random(4) == 0 {
                    level = random(100) as f32 / 100.0;
                }
                let event = hysteresis.push(at(i), WINDOW, level);
                high = if level >= 0.5 {
                    high + WINDOW
                } else {
                    Duration::ZERO
                };
                low = if level < 0.35 {
                    low + WINDOW
                } else {
                    Duration::ZERO
                };
                match event {
                    Some(SpeechEvent::Started { at: when }) => {
                        assert!(
                            !open && when >= last && when <= at(i),
                            "case {case}: {when:?}"
                        );
                        (open, last) = (true, when);
                    }
                    Some(SpeechEvent::Ended { at: when }) => {
                        assert!(
                            open && when >= last && when <= at(i),
                            "case {case}: {when:?}"
                        );
                        (open, last) = (false, when);
                    }
                    None => {}
                }
                assert_eq!(open, hysteresis.is_speaking(), "case {case}");
                assert!(
                    open || high < config.min_speech || high.is_zero(),
                    "case {case}"
                );
                assert!(
                    !open || low < config.min_silence || low.is_zero(),
                    "case {case}"
                );
            }
        }
    }
}
