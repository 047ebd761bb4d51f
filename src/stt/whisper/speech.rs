//! Whether a window held speech. Whisper invents words for silence and noise ("Thanks for watching");
//! they are told by the evidence, never by their text. Pure.

/// Below this peak (a few steps of a 16-bit converter) there is nothing to hear.
const SILENT_PEAK: f32 = 2e-4;
/// Silence kept before the first sound, in samples: half a second.
const LEAD_IN: usize = 8_000;
/// The evidence against speech at which words are dropped: the probability of "no speech" plus the
/// mean surprise per token. OpenAI's rule (0.6 and 1.0, both needed) lets much through: base gives
/// room noise 0.4 and 1.9, a tone 0.8 and 1.0, a silent room 0.9 and 0.8 (sums of 1.5 and more), and
/// speech down to single words sums below 1.4, most of it below 0.8.
const AGAINST: f32 = 1.4;

/// What Whisper said of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Evidence {
    /// Its probability of "no speech", `0.0..=1.0`.
    pub(crate) no_speech: f32,
    /// Mean log-probability of the tokens, at most 0.
    pub(crate) logprob: f32,
    /// Whether it said hardly anything but one circle, however much context it had.
    pub(crate) circle_only: bool,
}

/// Whether a window's words are to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Speech,
    Nothing,
}

/// Whether the model need not even be asked.
pub(crate) fn is_silent(samples: &[f32]) -> bool {
    samples.iter().all(|s| s.abs() < SILENT_PEAK)
}

/// How many samples to skip at the start: all silence but half a second. Nothing if all is silent.
pub(crate) fn silence_before(samples: &[f32]) -> usize {
    let first = samples.iter().position(|s| s.abs() >= SILENT_PEAK);
    first.map_or(0, |first| first.saturating_sub(LEAD_IN))
}

/// Weighs the evidence.
pub(crate) fn judge(evidence: &Evidence) -> Verdict {
    if evidence.circle_only || evidence.no_speech - evidence.logprob > AGAINST {
        Verdict::Nothing
    } else {
        Verdict::Speech
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(no_speech: f32, logprob: f32) -> Verdict {
        judge(&Evidence {
            no_speech,
            logprob,
            circle_only: false,
        })
    }

    #[test]
    fn either_kind_of_doubt_alone_can_be_outweighed() {
        assert_eq!(verdict(0.9, -0.3), Verdict::Speech);
        assert_eq!(verdict(0.05, -1.2), Verdict::Speech);
        assert_eq!(verdict(0.9, -0.8), Verdict::Nothing);
        assert_eq!(verdict(0.4, -1.9), Verdict::Nothing);
    }

    #[test]
    fn only_the_last_bits_are_silent() {
        assert!(is_silent(&[0.0, 1e-4, -1e-4]));
        assert!(!is_silent(&[0.0, 1e-3]));
        assert!(is_silent(&[]));
        let mut late = vec![0.0; 20_000];
        assert_eq!(silence_before(&late), 0);
        late.push(0.1);
        assert_eq!(silence_before(&late), 12_000);
    }
}
