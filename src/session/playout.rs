//! Tagged sound in, exact 20 ms frames out. Pure: its room asks for a frame when one is due.
//!
//! Hushing and cutting fade over 5 ms, so that neither clicks. What a reply's listener has heard is
//! counted here, in samples; [`PlayoutEvent`]s tell the session.

use std::collections::VecDeque;

use crate::{
    audio::{Hz24k, Pcm, SamplePos},
    turn::ReplyId,
};

/// Samples of a frame: 20 ms at 24 kHz.
pub const FRAME: usize = 480;

/// Samples of a fade: 5 ms, short enough to be at once and long enough not to click.
const FADE: usize = 120;

/// What happened in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayoutEvent {
    /// The first sample of `reply` is in the frame.
    Audible {
        /// Which.
        reply: ReplyId,
    },
    /// So much of `reply` was played.
    Played {
        /// Which.
        reply: ReplyId,
        /// Since its first sample.
        until: SamplePos<Hz24k>,
    },
    /// `reply` was played to its end, or had none.
    Over {
        /// Which.
        reply: ReplyId,
        /// All of it.
        until: SamplePos<Hz24k>,
    },
}

#[derive(Debug)]
struct Voice {
    reply: ReplyId,
    queue: VecDeque<f32>,
    played: u64,
    ended: bool,
    /// [`FADE`] sounding, 0 hushed; between them while fading.
    gain: usize,
    hushed: bool,
}

/// The sound of at most one reply at a time.
#[derive(Debug, Default)]
pub struct Playout {
    voice: Option<Voice>,
    /// The end of a reply that was cut, fading.
    cut: VecDeque<f32>,
    /// Sound of replies up to this one is no longer wanted.
    flushed: Option<ReplyId>,
}

impl Playout {
    /// With nothing to play.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next sound of `reply`. Sound of a flushed reply, or of one older than the present, is
    /// dropped; a newer reply takes the place of an older.
    pub fn push(&mut self, reply: ReplyId, pcm: &Pcm<Hz24k>) {
        if let Some(voice) = self.voice(reply) {
            voice.queue.extend(pcm.samples());
        }
    }

    /// No more sound comes for `reply`.
    pub fn end(&mut self, reply: ReplyId) {
        if let Some(voice) = self.voice(reply) {
            voice.ended = true;
        }
    }

    /// Falls silent within 5 ms of the next frame and keeps what is left.
    pub fn hush(&mut self, reply: ReplyId) {
        if let Some(voice) = self.voice(reply) {
            voice.hushed = true;
            if voice.played == 0 {
                voice.gain = 0; // nothing to fade
            }
        }
    }

    /// Goes on after [`Self::hush`].
    pub fn unhush(&mut self, reply: ReplyId) {
        if let Some(voice) = self.voice(reply) {
            voice.hushed = false;
        }
    }

    /// Throws away what is left of `reply`, and all that may still come of it. Gives how much of it
    /// was played, or `None` if it was not there.
    pub fn flush(&mut self, reply: ReplyId) -> Option<SamplePos<Hz24k>> {
        self.flushed = self.flushed.max(Some(reply));
        let mut voice = self.voice.take_if(|v| v.reply <= reply)?;
        self.cut.clear();
        if !voice.hushed {
            for _ in 0..FADE {
                let Some(sample) = voice.next(Fade::Out) else {
                    break;
                };
                self.cut.push_back(sample);
            }
        }
        (voice.reply == reply).then_some(SamplePos::new(voice.played))
    }

    /// Sound is awaited: a reply has begun to play, is not complete, and has less than a frame left.
    pub fn starving(&self) -> bool {
        self.voice
            .as_ref()
            .is_some_and(|v| !v.ended && !v.hushed && v.queue.len() < FRAME)
    }

    /// Nothing is being played or kept.
    pub fn is_idle(&self) -> bool {
        self.voice.is_none() && self.cut.is_empty()
    }

    /// The next 20 ms; `None` when there is nothing to play and silence is due. `events` gets what
    /// happened.
    pub fn frame(&mut self, events: &mut Vec<PlayoutEvent>) -> Option<Pcm<Hz24k>> {
        let mut frame = Vec::with_capacity(FRAME);
        frame.extend(self.cut.drain(..));
        if let Some(voice) = &mut self.voice {
            let reply = voice.reply;
            let before = voice.played;
            while frame.len() < FRAME {
                let Some(sample) = voice.next(Fade::AsHushed) else {
                    break;
                };
                frame.push(sample);
            }
            if before == 0 && voice.played > 0 {
                events.push(PlayoutEvent::Audible { reply });
            }
            let until = SamplePos::new(voice.played);
            if voice.ended && voice.queue.is_empty() {
                events.push(PlayoutEvent::Over { reply, until });
                self.voice = None;
            } else if voice.played > before {
                events.push(PlayoutEvent::Played { reply, until });
            }
        }
        if frame.is_empty() {
            return None;
        }
        frame.resize(FRAME, 0.0);
        Some(Pcm::new(frame))
    }

    /// The voice of `reply`, made if it is new.
    fn voice(&mut self, reply: ReplyId) -> Option<&mut Voice> {
        if self.flushed.is_some_and(|f| reply <= f) {
            return None;
        }
        if self.voice.as_ref().is_none_or(|v| v.reply < reply) {
            self.voice = Some(Voice {
                reply,
                queue: VecDeque::new(),
                played: 0,
                ended: false,
                gain: FADE,
                hushed: false,
            });
        }
        self.voice.as_mut().filter(|v| v.reply == reply)
    }
}

impl Voice {
    /// The next sample, faded out, or towards what hushing wants. `None` when there is none, or
    /// silence is reached.
    fn next(&mut self, fade: Fade) -> Option<f32> {
        let silence = matches!(fade, Fade::Out) || self.hushed;
        self.gain = if silence {
            self.gain.saturating_sub(1)
        } else {
            FADE.min(self.gain + 1)
        };
        if self.gain == 0 {
            return None;
        }
        let sample = self.queue.pop_front()?;
        self.played += 1;
        Some(sample * (self.gain as f32 / FADE as f32))
    }
}

#[derive(Clone, Copy)]
enum Fade {
    Out,
    AsHushed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ones(n: usize) -> Pcm<Hz24k> {
        Pcm::new(vec![1.0; n])
    }

    fn frame(p: &mut Playout) -> (Option<Vec<f32>>, Vec<PlayoutEvent>) {
        let mut events = Vec::new();
        (p.frame(&mut events).map(Pcm::into_samples), events)
    }

    const ONE: ReplyId = ReplyId(1);
    const TWO: ReplyId = ReplyId(2);

    #[test]
    fn any_cutting_of_the_sound_gives_the_same_frames() {
        let whole: Vec<f32> = (0..2_000u16).map(|i| f32::from(i) / 2_000.0).collect();
        let play = |piece: usize| {
            let mut p = Playout::new();
            for chunk in whole.chunks(piece) {
                p.push(ONE, &Pcm::new(chunk.to_vec()));
            }
            p.end(ONE);
            let (mut out, mut events) = (Vec::new(), Vec::new());
            while let Some(f) = p.frame(&mut events) {
                assert_eq!(f.len(), FRAME);
                out.extend(f.into_samples());
            }
            assert_eq!(events.first(), Some(&PlayoutEvent::Audible { reply: ONE }));
            let until = SamplePos::new(2_000);
            assert_eq!(
                events.last(),
                Some(&PlayoutEvent::Over { reply: ONE, until })
            );
            out
        };
        let expected = play(2_000);
        assert_eq!(&expected[..2_000], &whole[..]);
        for piece in [1, 7, 479, 480, 481] {
            assert_eq!(play(piece), expected, "piece {piece}");
        }
    }

    #[test]
    fn a_hush_fades_in_five_milliseconds_and_loses_nothing() {
        let mut p = Playout::new();
        p.push(ONE, &ones(5_000));
        p.end(ONE);
        frame(&mut p);
        p.hush(ONE);
        let (samples, _) = frame(&mut p);
        let samples = samples.expect("the fade");
        assert!(samples[..FADE - 1].windows(2).all(|w| w[1] < w[0]));
        assert!(samples[FADE..].iter().all(|&s| s == 0.0));
        assert_eq!(frame(&mut p).0, None, "silent from then on");
        assert!(!p.starving(), "a hushed reply needs nothing");
        p.unhush(ONE);
        let mut heard = 0;
        loop {
            let (samples, events) = frame(&mut p);
            heard += samples.map_or(0, |s| s.iter().filter(|&&s| s > 0.0).count());
            if let Some(PlayoutEvent::Over { until, .. }) = events.last() {
                assert_eq!(until.samples(), 5_000);
                break;
            }
        }
        assert_eq!(heard, 5_000 - FRAME - (FADE - 1));
    }

    #[test]
    fn a_cut_reply_fades_and_never_comes_back() {
        let mut p = Playout::new();
        p.push(ONE, &ones(5_000));
        frame(&mut p);
        let heard = p.flush(ONE).expect("it was playing");
        assert_eq!(heard.index(), FRAME + FADE - 1);
        p.push(ONE, &ones(5_000));
        p.push(TWO, &Pcm::new(vec![0.5; 1_000]));
        let (samples, events) = frame(&mut p);
        let samples = samples.expect("fade and the next reply");
        assert!(samples[FADE - 1..].iter().all(|&s| s == 0.5));
        assert_eq!(events[0], PlayoutEvent::Audible { reply: TWO });
        assert_eq!(p.flush(ONE), None);
        assert!(!p.is_idle(), "an old flush does not touch the new reply");
    }

    #[test]
    fn a_reply_that_is_hushed_before_its_first_sample_stays_unheard() {
        let mut p = Playout::new();
        p.push(ONE, &ones(5_000));
        p.hush(ONE);
        assert_eq!(frame(&mut p), (None, vec![]));
        p.unhush(ONE);
        assert_eq!(frame(&mut p).1[0], PlayoutEvent::Audible { reply: ONE });
    }

    #[test]
    fn a_hushed_reply_that_is_cut_makes_no_more_sound() {
        let mut p = Playout::new();
        p.push(ONE, &ones(5_000));
        frame(&mut p);
        p.hush(ONE);
        frame(&mut p);
        p.flush(ONE);
        assert_eq!(frame(&mut p), (None, vec![]));
        assert!(p.is_idle());
    }

    #[test]
    fn a_reply_without_sound_is_over_at_once() {
        let mut p = Playout::new();
        p.end(ONE);
        let until = SamplePos::new(0);
        assert_eq!(
            frame(&mut p),
            (None, vec![PlayoutEvent::Over { reply: ONE, until }])
        );
    }

    #[test]
    fn running_dry_is_seen_and_heals() {
        let mut p = Playout::new();
        p.push(ONE, &ones(700));
        assert!(!p.starving());
        frame(&mut p);
        assert!(p.starving());
        let (samples, _) = frame(&mut p);
        assert_eq!(
            samples
                .expect("the rest")
                .iter()
                .filter(|&&s| s == 1.0)
                .count(),
            220
        );
        assert_eq!(frame(&mut p).0, None);
        p.push(ONE, &ones(480));
        assert_eq!(
            frame(&mut p)
                .0
                .expect("goes on")
                .iter()
                .filter(|&&s| s == 1.0)
                .count(),
            480
        );
    }
}
