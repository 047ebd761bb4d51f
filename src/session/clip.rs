//! The sound of one turn, put together from the pieces the ear sends. Pure.

use std::time::Duration;

use crate::{
    audio::{Hz16k, Pcm, SamplePos},
    turn::TurnId,
};

/// Silence kept after the last speech: enough for a final consonant that the speech detector
/// missed, little enough to cost the transcription nothing.
const TAIL: Duration = Duration::from_millis(240);

/// A gap in the sound (the ear was told to listen elsewhere) becomes at most this much silence.
const MAX_GAP: Duration = Duration::from_millis(300);

/// A turn's sound so far.
#[derive(Debug)]
pub(super) struct Clip {
    pub(super) turn: TurnId,
    sound: Pcm<Hz16k>,
    /// Where the next sample belongs in the microphone's stream.
    end: SamplePos<Hz16k>,
    /// Length of the clip at the last speech.
    speech: Option<usize>,
}

impl Clip {
    pub(super) fn new(turn: TurnId, from: SamplePos<Hz16k>, sound: Pcm<Hz16k>) -> Self {
        let end = SamplePos::new(from.samples() + sound.len() as u64);
        Self {
            turn,
            sound,
            end,
            speech: None,
        }
    }

    /// Adds `sound`, which begins at `from`; what is there already is skipped.
    pub(super) fn add(&mut self, from: SamplePos<Hz16k>, sound: &Pcm<Hz16k>) {
        let (from, end) = (from.samples(), self.end.samples());
        if from > end {
            let gap = SamplePos::<Hz16k>::new(from - end).duration().min(MAX_GAP);
            self.sound.append(&Pcm::silence(gap));
        }
        let known = usize::try_from(end.saturating_sub(from)).unwrap_or(usize::MAX);
        let new = sound.samples().get(known..).unwrap_or_default();
        self.sound.extend(new);
        self.end = SamplePos::new(end.max(from + sound.len() as u64));
    }

    /// The last speech was at `at`.
    pub(super) fn speech_ended(&mut self, at: SamplePos<Hz16k>) {
        let after = usize::try_from(self.end.samples().saturating_sub(at.samples()));
        self.speech = Some(self.sound.len().saturating_sub(after.unwrap_or(usize::MAX)));
    }

    /// The user speaks on: the end is open again.
    pub(super) fn speech_resumed(&mut self) {
        self.speech = None;
    }

    /// Whether the user is speaking, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.speech.is_none()
    }

    /// All of it.
    pub(super) fn sound(&self) -> &Pcm<Hz16k> {
        &self.sound
    }

    /// Up to shortly after the last speech.
    pub(super) fn speech(&self) -> Pcm<Hz16k> {
        let tail = SamplePos::<Hz16k>::at(TAIL).index();
        let end = self
            .speech
            .map_or(self.sound.len(), |end| self.sound.len().min(end + tail));
        Pcm::new(self.sound.samples()[..end].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(range: std::ops::Range<u16>) -> Pcm<Hz16k> {
        Pcm::new(range.map(f32::from).collect())
    }

    #[test]
    fn overlapping_pieces_are_joined_without_a_seam() {
        let mut clip = Clip::new(TurnId(1), SamplePos::new(100), ramp(100..200));
        clip.add(SamplePos::new(150), &ramp(150..250));
        clip.add(SamplePos::new(160), &ramp(160..170));
        clip.add(SamplePos::new(250), &ramp(250..260));
        assert_eq!(clip.sound(), &ramp(100..260));
    }

    #[test]
    fn a_gap_becomes_a_short_silence() {
        let mut clip = Clip::new(TurnId(1), SamplePos::new(0), ramp(0..10));
        clip.add(SamplePos::new(160_000), &ramp(0..10));
        assert_eq!(clip.sound().len(), 10 + 4_800 + 10);
        clip.add(SamplePos::new(160_010), &ramp(10..20));
        assert_eq!(clip.sound().samples()[4_810..], ramp(0..20).samples()[..]);
    }

    #[test]
    fn what_is_transcribed_ends_shortly_after_the_speech() {
        let mut clip = Clip::new(
            TurnId(1),
            SamplePos::new(1_000),
            Pcm::new(vec![1.0; 16_000]),
        );
        clip.speech_ended(SamplePos::new(1_000 + 8_000));
        assert_eq!(clip.speech().len(), 8_000 + 3_840);
        clip.speech_resumed();
        assert_eq!(clip.speech().len(), 16_000);
    }
}
