//! How long to wait after speech before the turn counts as over. Pure.

use std::time::Duration;

/// The waits, each counted from the end of speech.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EndpointConfig {
    /// When the turn sounds complete. Long enough that a breath between two sentences is not taken
    /// for the end too often; at most [`EndpointConfig::MAX_COMPLETE`].
    pub complete: Duration,
    /// When the speaker seems to look for words; at most [`EndpointConfig::MAX_INCOMPLETE`].
    pub incomplete: Duration,
    /// A turn is complete from this probability on.
    pub threshold: f32,
}

impl EndpointConfig {
    /// Ceiling of [`EndpointConfig::complete`]: nobody waits longer for an answer gladly.
    pub const MAX_COMPLETE: Duration = Duration::from_secs(1);
    /// Ceiling of [`EndpointConfig::incomplete`]: whatever the model thinks, after this the speaker
    /// has stopped.
    pub const MAX_INCOMPLETE: Duration = Duration::from_secs(4);

    /// How long to wait, given the probability that the turn is complete. `None`, no judgement (no
    /// model, or it failed), waits half way between the two.
    pub fn delay(&self, probability: Option<f32>) -> Duration {
        let complete = self.complete.min(Self::MAX_COMPLETE);
        let incomplete = self.incomplete.min(Self::MAX_INCOMPLETE).max(complete);
        match probability {
            Some(p) if p >= self.threshold => complete,
            Some(p) if p < self.threshold => incomplete,
            // Not a number is no judgement either.
            _ => (complete + incomplete) / 2,
        }
    }
}

impl Default for EndpointConfig {
    /// The threshold is the model's own (pipecat-ai 1.14.0, `local_smart_turn_v3.py`).
    fn default() -> Self {
        Self {
            complete: Duration::from_millis(250),
            incomplete: Duration::from_millis(1_500),
            threshold: 0.5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_complete_turn_waits_shortly_and_an_incomplete_one_long() {
        let config = EndpointConfig::default();
        assert_eq!(config.delay(Some(0.9)), ms(250));
        assert_eq!(config.delay(Some(0.5)), ms(250));
        assert_eq!(config.delay(Some(0.49)), ms(1_500));
        assert_eq!(config.delay(None), ms(875));
        assert_eq!(config.delay(Some(f32::NAN)), ms(875));
    }

    #[test]
    fn no_setting_makes_anybody_wait_beyond_the_ceilings() {
        let endless = EndpointConfig {
            complete: Duration::from_secs(60),
            incomplete: Duration::MAX,
            threshold: 0.5,
        };
        assert_eq!(endless.delay(Some(1.0)), EndpointConfig::MAX_COMPLETE);
        assert_eq!(endless.delay(Some(0.0)), EndpointConfig::MAX_INCOMPLETE);
        assert_eq!(endless.delay(None), ms(2_500));
    }

    #[test]
    fn an_incomplete_turn_never_waits_less_than_a_complete_one() {
        let swapped = EndpointConfig {
            complete: ms(800),
            incomplete: ms(300),
            threshold: 0.5,
        };
        assert_eq!(swapped.delay(Some(0.0)), ms(800));
    }
}
