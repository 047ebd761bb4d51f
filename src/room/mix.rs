//! Several microphones, one ear: the sound of everybody who is heard, added up, one piece of 20 ms
//! after the other. Pure; the pieces themselves are the clock.
//!
//! The assistant holds one conversation per room, so whoever speaks in it is heard; who it was is
//! judged by loudness, because a person's own microphone hears them louder than the others do.

use std::collections::{HashMap, VecDeque};

use crate::{
    audio::{Hz16k, Pcm, rms},
    rtc::Identity,
};

/// Pieces of one microphone that may wait for those of the others: 60 ms.
const PATIENCE: usize = 3;

/// Quieter than this (root mean square) is nobody's speech.
const FLOOR: f32 = 0.004;

/// How much of a piece's loudness is left one piece later: half of it after 1.4 s.
const FADE: f32 = 0.99;

#[derive(Debug, Default)]
struct Microphone {
    waiting: VecDeque<Pcm<Hz16k>>,
    /// Sound power of late.
    power: f32,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Mixer {
    microphones: HashMap<Identity, Microphone>,
}

impl Mixer {
    /// The next 20 ms of `who`; gives what the ear hears now, nothing while others' pieces are awaited.
    pub(super) fn push(&mut self, who: &Identity, sound: Pcm<Hz16k>) -> Option<Vec<f32>> {
        let loud = rms(sound.samples());
        let microphone = match self.microphones.get_mut(who) {
            Some(microphone) => microphone,
            None => self.microphones.entry(who.clone()).or_default(),
        };
        microphone.power *= FADE;
        if loud > FLOOR {
            microphone.power += loud * loud;
        }
        microphone.waiting.push_back(sound);
        let late = microphone.waiting.len() > PATIENCE;
        let complete = self.microphones.values().all(|m| !m.waiting.is_empty());
        (late || complete).then(|| self.mix())
    }

    fn mix(&mut self) -> Vec<f32> {
        let pieces = self
            .microphones
            .values_mut()
            .filter_map(|m| m.waiting.pop_front());
        let mut sum: Vec<f32> = Vec::new();
        for piece in pieces {
            if sum.len() < piece.len() {
                sum.resize(piece.len(), 0.0);
            }
            for (to, from) in sum.iter_mut().zip(piece.samples()) {
                *to += from;
            }
        }
        for sample in &mut sum {
            *sample = sample.clamp(-1.0, 1.0);
        }
        sum
    }

    /// `who` is heard no more: muted, gone.
    pub(super) fn remove(&mut self, who: &Identity) {
        self.microphones.remove(who);
    }

    /// Nobody is heard.
    pub(super) fn is_empty(&self) -> bool {
        self.microphones.is_empty()
    }

    /// Who has been loudest of late, of those who are heard.
    pub(super) fn loudest(&self) -> Option<&Identity> {
        self.microphones
            .iter()
            .max_by(|a, b| a.1.power.total_cmp(&b.1.power))
            .map(|(who, _)| who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(level: f32) -> Pcm<Hz16k> {
        Pcm::new(vec![level; 320])
    }

    #[test]
    fn one_microphone_is_heard_at_once_and_unchanged() {
        let mut mixer = Mixer::default();
        let anna = Identity::new("anna");
        for level in [0.1, -0.2, 0.3] {
            assert_eq!(mixer.push(&anna, piece(level)), Some(vec![level; 320]));
        }
    }

    #[test]
    fn two_are_added_up_and_the_louder_one_is_who_spoke() {
        let mut mixer = Mixer::default();
        let (anna, ben) = (Identity::new("anna"), Identity::new("ben"));
        mixer.push(&ben, piece(0.0));
        assert_eq!(mixer.push(&anna, piece(0.25)), None, "ben's is awaited");
        assert_eq!(mixer.push(&ben, piece(0.5)), Some(vec![0.75; 320]));
        assert_eq!(mixer.loudest(), Some(&ben));
        for _ in 0..300 {
            mixer.push(&ben, piece(0.0));
            mixer.push(&anna, piece(0.1));
        }
        assert_eq!(mixer.loudest(), Some(&anna), "ben was long ago");
    }

    #[test]
    fn one_whose_pieces_stop_holds_the_others_up_for_60_ms_and_no_word_is_lost() {
        let mut mixer = Mixer::default();
        let (anna, ben) = (Identity::new("anna"), Identity::new("ben"));
        mixer.push(&ben, piece(0.0));
        let mut heard = Vec::new();
        for i in 0..10 {
            heard.extend(mixer.push(&anna, piece(0.01 * i as f32)).map(|p| p[0]));
        }
        assert_eq!(heard.len(), 10 - PATIENCE);
        assert!(heard.windows(2).all(|w| w[0] < w[1]), "{heard:?}");
        mixer.remove(&ben);
        heard.extend(mixer.push(&anna, piece(0.1)).map(|p| p[0]));
        assert_eq!(heard.len(), 11 - PATIENCE);
    }

    #[test]
    fn two_who_shout_do_not_overflow() {
        let mut mixer = Mixer::default();
        mixer.push(&Identity::new("anna"), piece(0.0));
        mixer.push(&Identity::new("ben"), piece(0.9));
        let sum = mixer
            .push(&Identity::new("anna"), piece(0.9))
            .expect("both");
        assert!(sum.iter().all(|s| *s <= 1.0));
    }
}
