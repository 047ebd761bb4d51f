//! Is there anything to listen to? Says of each step whether it stands out from the noise of the room.
//! Pure, and much cheaper than a look by the wake word model.
//!
//! The question is asked so that an answer "quiet" is safe: a word spoken in noise is louder than the
//! noise in at least one of its 20 ms pieces, long before a model can tell what the word was. So a
//! step is loud when its loudest piece lies above the floor by [`EnergyConfig::margin_db`], and the
//! floor is what the quietest pieces of the last seconds were. Rumble and hum would hide soft speech
//! and carry no words: the level is taken after a first difference, which lifts what is above 1 kHz.

/// What counts as loud.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnergyConfig {
    /// So much above the noise floor a piece of 20 ms is loud.
    pub margin_db: f32,
    /// Below this level (dB of full scale, after the first difference) everything is quiet, whatever
    /// the floor. 0 dB is a full square wave at half the sample rate.
    pub absolute_db: f32,
    /// How fast the floor follows noise that has become louder.
    pub rise_db_per_second: f32,
}

impl Default for EnergyConfig {
    fn default() -> Self {
        Self {
            // White noise varies by 0.4 dB from one 20 ms piece to the next and by 1.5 dB at most, a
            // fan by 3.
            margin_db: 4.0,
            // The models hear nothing in a word that is at its loudest at this level: speech 40 dB
            // below normal (tests/wake).
            absolute_db: -84.0,
            // Fast enough to learn a fan of 20 dB in ten seconds, slow enough not to take a long
            // vowel for noise.
            rise_db_per_second: 2.0,
        }
    }
}

/// Samples of a piece: 20 ms at 16 kHz.
const PIECE: usize = 320;
/// Level of digital silence.
const NOTHING_DB: f32 = -140.0;

/// Tells loud steps from quiet ones. One per microphone.
#[derive(Clone, Debug)]
pub struct EnergyGate {
    config: EnergyConfig,
    /// Level of the noise.
    floor_db: f32,
    last_sample: f32,
}

impl EnergyGate {
    /// A gate that takes the room for silent: it learns the noise as that of a fan that has just
    /// started, because a stream may as well begin with a word.
    pub fn new(config: EnergyConfig) -> Self {
        Self {
            config,
            floor_db: config.absolute_db,
            last_sample: 0.0,
        }
    }

    /// Takes the next samples at 16 kHz (any number; pieces of 20 ms are cut from their start) and
    /// says whether they stand out from the noise.
    pub fn is_loud(&mut self, step: &[f32]) -> bool {
        let (mut quietest, mut loudest) = (f32::INFINITY, NOTHING_DB);
        for piece in step.chunks(PIECE) {
            let level = self.level_db(piece);
            loudest = loudest.max(level);
            // A short rest says too little about the noise.
            if piece.len() == PIECE {
                quietest = quietest.min(level);
            }
        }
        let limit = (self.floor_db + self.config.margin_db).max(self.config.absolute_db);
        let seconds = step.len() as f32 / 16_000.0;
        if quietest.is_finite() {
            let risen = self.floor_db + self.config.rise_db_per_second * seconds;
            self.floor_db = quietest.min(risen).max(self.config.absolute_db);
        }
        loudest > limit
    }

    /// Forgets the room.
    pub fn reset(&mut self) {
        *self = Self::new(self.config);
    }

    fn level_db(&mut self, piece: &[f32]) -> f32 {
        let mut sum = 0.0f32;
        let mut last = self.last_sample;
        for &sample in piece {
            let difference = 0.5 * (sample - last);
            sum += difference * difference;
            last = sample;
        }
        self.last_sample = last;
        let power = sum / piece.len().max(1) as f32;
        if power.is_finite() {
            (10.0 * power.log10()).max(NOTHING_DB)
        } else {
            // Sound that is no number must not be slept through.
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: usize = 1280;

    struct Noise(u32);

    impl Noise {
        /// White noise of this root mean square.
        fn step(&mut self, rms: f32) -> Vec<f32> {
            (0..STEP)
                .map(|_| self.sample() * rms * 12f32.sqrt())
                .collect()
        }

        fn sample(&mut self) -> f32 {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.0 >> 8) as f32 / (1 << 24) as f32 - 0.5
        }
    }

    fn loud_steps(
        gate: &mut EnergyGate,
        steps: usize,
        mut sound: impl FnMut() -> Vec<f32>,
    ) -> usize {
        (0..steps).filter(|_| gate.is_loud(&sound())).count()
    }

    #[test]
    fn a_silent_room_is_quiet_from_the_start() {
        let mut gate = EnergyGate::new(EnergyConfig::default());
        assert_eq!(loud_steps(&mut gate, 100, || vec![0.0; STEP]), 0);
    }

    #[test]
    fn steady_noise_of_any_level_becomes_quiet_and_a_little_more_is_loud() {
        for rms in [0.0005, 0.005, 0.05] {
            let mut noise = Noise(1);
            let mut gate = EnergyGate::new(EnergyConfig::default());
            loud_steps(&mut gate, 400, || noise.step(rms));
            let loud = loud_steps(&mut gate, 500, || noise.step(rms));
            assert!(loud <= 2, "{rms}: {loud} of 500 steps");
            // Twice the noise in one of the four pieces of a step.
            let mut step = noise.step(rms);
            step[640..960].iter_mut().for_each(|s| *s *= 2.0);
            assert!(gate.is_loud(&step), "{rms}");
        }
    }

    #[test]
    fn a_fan_that_starts_is_learnt_in_some_seconds_and_forgotten_at_once() {
        let mut noise = Noise(2);
        let mut gate = EnergyGate::new(EnergyConfig::default());
        loud_steps(&mut gate, 200, || noise.step(0.001));
        let learning = loud_steps(&mut gate, 300, || noise.step(0.01));
        assert!((50..150).contains(&learning), "{learning} steps of 80 ms");
        loud_steps(&mut gate, 1, || noise.step(0.001));
        assert!(gate.is_loud(&noise.step(0.003)));
    }

    #[test]
    fn a_hum_does_not_hide_a_soft_voice() {
        let mut at = 0;
        let mut gate = EnergyGate::new(EnergyConfig::default());
        let mut sound = |voice: f32| -> Vec<f32> {
            (0..STEP)
                .map(|_| {
                    at += 1;
                    let t = at as f32 / 16_000.0;
                    let tone = |hz: f32| (std::f32::consts::TAU * hz * t).sin();
                    0.05 * tone(50.0) + voice * tone(1_000.0)
                })
                .collect()
        };
        loud_steps(&mut gate, 200, || sound(0.0));
        assert_eq!(loud_steps(&mut gate, 50, || sound(0.0)), 0);
        // 20 dB below the hum.
        assert!(gate.is_loud(&sound(0.005)));
    }

    #[test]
    fn sound_that_is_no_number_is_loud_and_spoils_nothing() {
        let mut noise = Noise(3);
        let mut gate = EnergyGate::new(EnergyConfig::default());
        loud_steps(&mut gate, 400, || noise.step(0.01));
        assert!(gate.is_loud(&[f32::NAN; STEP]));
        gate.is_loud(&noise.step(0.01));
        assert_eq!(loud_steps(&mut gate, 50, || noise.step(0.01)), 0);
        assert!(!gate.is_loud(&[]));
    }
}
