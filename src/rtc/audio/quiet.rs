//! Whether a moment is quiet enough that 20 ms more or less of it go unheard.

/// Root mean square below which all is quiet: -60 dB.
const SILENT: f32 = 0.001;

/// A quiet moment is at most so much louder than the quietest of the last seconds.
const ABOVE_FLOOR: f32 = 2.0;

/// And at least so much quieter than the loudest: -18 dB. In a steady tone nothing is quiet.
const BELOW_LOUD: f32 = 0.125;

/// What a moment is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    /// Louder than most.
    Loud,
    /// Not louder than the average.
    Soft,
    /// Between words, or silence.
    Quiet,
}

/// The loudness of one microphone's last seconds.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    floor: f32,
    loud: f32,
    mean: f32,
}

impl Quiet {
    /// What the next moment is good for, by its root mean square. Called for about 50 a second.
    pub(super) fn judge(&mut self, rms: f32) -> Moment {
        self.floor = match rms < self.floor || self.loud == 0.0 {
            true => rms,
            false => (self.floor * 1.002).max(1e-5), // 10 % a second
        };
        self.loud = rms.max(self.loud * 0.998);
        self.mean += (rms - self.mean) * 0.02;
        if rms < SILENT || rms < ABOVE_FLOOR * self.floor && rms < BELOW_LOUD * self.loud {
            Moment::Quiet
        } else if rms <= self.mean {
            Moment::Soft
        } else {
            Moment::Loud
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_quiet_in_a_noisy_room_and_words_are_not() {
        let mut quiet = Quiet::default();
        for _ in 0..5 {
            (0..50).for_each(|_| assert_ne!(quiet.judge(0.2), Moment::Quiet));
            quiet.judge(0.01);
            (0..20).for_each(|_| assert_eq!(quiet.judge(0.01), Moment::Quiet));
        }
    }

    #[test]
    fn a_steady_tone_is_never_quiet() {
        let mut quiet = Quiet::default();
        assert!((0..5_000).all(|_| quiet.judge(0.1) != Moment::Quiet));
    }

    #[test]
    fn digital_silence_is_quiet_at_once() {
        assert_eq!(Quiet::default().judge(0.0), Moment::Quiet);
    }
}
