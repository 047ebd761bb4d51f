//! Whether a window held speech: what Whisper says of it, weighed with what the sound itself shows.
//! Whisper invents words for silence and noise ("Thanks for watching"); they are told by the evidence,
//! never by their text. Pure.

/// Below this peak there is nothing but the last bits of a converter.
const SILENT_PEAK: f32 = 2e-4;

/// What there is to judge by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Evidence {
    /// Whisper's probability of "no speech".
    pub(crate) no_speech: f32,
    /// Mean log-probability of the tokens.
    pub(crate) logprob: f32,
    pub(crate) sound: Sound,
}

/// What the samples show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sound {
    pub(crate) peak: f32,
}

impl Sound {
    pub(crate) fn of(samples: &[f32]) -> Self {
        Self {
            peak: samples.iter().fold(0.0, |m: f32, s| m.max(s.abs())),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Speech,
    Nothing,
}

pub(crate) fn is_silent(samples: &[f32]) -> bool {
    samples.iter().all(|s| s.abs() < SILENT_PEAK)
}

pub(crate) fn judge(evidence: &Evidence) -> Verdict {
    if evidence.no_speech > 0.6 && evidence.logprob < -1.0 {
        return Verdict::Nothing;
    }
    Verdict::Speech
}
