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

/// Words of less certainty than this are doubtful. On the recordings of `caal bench stt` 5 of 105 read
/// sentences and 13 of 42 short commands; of those above it hardly any gains by the whole context.
const DOUBT: f32 = -0.4;
/// A word is seldom 10 dB below the sentence that it ends (as power).
const QUIETER: f32 = 0.1;
/// Frames of 20 ms, and how many of them are a word that was left out: 0.6 s. Whisper's times are
/// a third of a second off at times.
const FRAME: usize = 320;
const FRAMES_UNHEARD: usize = 30;

/// What Whisper said of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Evidence {
    /// Its probability of "no speech", `0.0..=1.0`.
    pub(crate) no_speech: f32,
    /// Mean log-probability of the tokens, at most 0.
    pub(crate) logprob: f32,
    /// The same without timestamps, which are unsure in the best of texts: with few words they would
    /// decide.
    pub(crate) certainty: f32,
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

/// Whether words that are speech were heard with so little certainty that it is worth hearing them
/// again in the context that the model was trained on.
pub(crate) fn doubtful(evidence: &Evidence) -> bool {
    judge(evidence) == Verdict::Speech && evidence.certainty < DOUBT
}

/// Whether the words heard again with the whole context are taken instead of the doubtful ones: when
/// they are surer, or when it says that there were none (the thresholds hold best there).
pub(crate) fn replaces(again: &Evidence, doubtful: &Evidence) -> bool {
    judge(again) == Verdict::Nothing || again.certainty >= doubtful.certainty
}

/// Whether sound as loud as what was heard goes on after the sample `until`, where the last word is
/// said to end: with a cut context a model sometimes stops before the end of a sentence.
pub(crate) fn goes_on(samples: &[f32], until: usize) -> bool {
    let (heard, rest) = samples.split_at(until.min(samples.len()));
    let power = |s: &[f32]| s.iter().map(|x| x * x).sum::<f32>() / s.len().max(1) as f32;
    let bar = power(heard) * QUIETER;
    let loud = rest.chunks_exact(FRAME).filter(|f| power(f) > bar);
    loud.count() >= FRAMES_UNHEARD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(no_speech: f32, logprob: f32) -> Evidence {
        Evidence {
            no_speech,
            logprob,
            certainty: logprob,
            circle_only: false,
        }
    }

    fn verdict(no_speech: f32, logprob: f32) -> Verdict {
        judge(&evidence(no_speech, logprob))
    }

    #[test]
    fn either_kind_of_doubt_alone_can_be_outweighed() {
        assert_eq!(verdict(0.9, -0.3), Verdict::Speech);
        assert_eq!(verdict(0.05, -1.2), Verdict::Speech);
        assert_eq!(verdict(0.9, -0.8), Verdict::Nothing);
        assert_eq!(verdict(0.4, -1.9), Verdict::Nothing);
    }

    #[test]
    fn uncertain_words_are_doubtful_and_what_is_no_speech_is_not() {
        assert!(doubtful(&evidence(0.1, -0.6)));
        assert!(!doubtful(&evidence(0.1, -0.3)));
        assert!(!doubtful(&evidence(0.9, -0.8)));
        let timestamps_unsure = Evidence {
            certainty: -0.2,
            ..evidence(0.1, -0.8)
        };
        assert!(!doubtful(&timestamps_unsure));
    }

    #[test]
    fn surer_words_replace_doubtful_ones_and_so_does_certain_silence() {
        let kept = evidence(0.2, -0.6);
        assert!(replaces(&evidence(0.2, -0.3), &kept));
        assert!(!replaces(&evidence(0.2, -0.7), &kept));
        assert!(replaces(&evidence(0.9, -0.9), &kept));
    }

    #[test]
    fn sound_goes_on_when_it_is_loud_for_longer_than_times_are_off() {
        let tone = |len: usize, level: f32| (0..len).map(move |i| level * (i as f32 * 0.3).sin());
        let clip: Vec<f32> = tone(32_000, 0.3).chain(tone(16_000, 0.2)).collect();
        assert!(goes_on(&clip, 32_000));
        assert!(!goes_on(&clip, 40_000), "half a second may be inexact");
        let quiet: Vec<f32> = tone(32_000, 0.3).chain(tone(16_000, 0.05)).collect();
        assert!(!goes_on(&quiet, 32_000));
        assert!(!goes_on(&[], 0));
        assert!(!goes_on(&clip, 90_000));
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
