//! Is there anything to listen to? Says of each step whether it stands out from the noise of the room.
//! Pure, and much cheaper than a look by the wake word model.
//!
//! The question is asked so that an answer "quiet" is safe. What the model can hear is a pattern in a
//! few bands of its spectrogram, and it hears words that are 10 dB softer than the noise as a whole;
//! but in some band such a word is louder than that band's noise. So a step is loud when any of its
//! bands lies above its own floor by [`EnergyConfig::margin_db`], and the floor is what the band had
//! in the quieter moments of the last seconds. (A level over all bands was tried first and slept
//! through such words; so it did through soft words above an absolute limit of -84 dB.)

use std::{f32::consts::TAU, fmt, sync::Arc};

use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};

/// What counts as loud.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnergyConfig {
    /// So much above its noise floor a band is loud.
    pub margin_db: f32,
    /// Below this level (dB of full scale) a band is quiet, whatever the floor.
    pub absolute_db: f32,
    /// How fast the floor follows noise that has become louder.
    pub rise_db_per_second: f32,
}

impl Default for EnergyConfig {
    fn default() -> Self {
        Self {
            // The band of a step is the mean of some 30 independent numbers: white noise passes 4 dB
            // once in a thousand steps. At 5 dB one of 258 words was lost, in rumbling noise.
            margin_db: 4.0,
            // The rounding noise of 16-bit sound has -110 dB in each of the bands. The models hear
            // words in digital silence that are not much louder.
            absolute_db: -115.0,
            // Fast enough to learn a fan of 20 dB in seven seconds, slow enough not to take a long
            // vowel for noise.
            rise_db_per_second: 3.0,
        }
    }
}

/// Samples of a spectrum, 32 ms at 16 kHz, and from one to the next.
const WINDOW: usize = 512;
const HOP: usize = WINDOW / 2;
/// Bands between 120 Hz, under which there is hum and rumble, and 6 kHz, evenly spaced as the ear
/// hears.
const BANDS: usize = 12;
const LOWEST_HZ: f32 = 120.0;
const HIGHEST_HZ: f32 = 6_000.0;
/// Level of digital silence.
const NOTHING_DB: f32 = -160.0;
/// Share of the way to a softer level that the floor goes at once.
const FALL: f32 = 0.3;

/// Tells loud steps from quiet ones. One per microphone.
#[derive(Clone)]
pub struct EnergyGate {
    config: EnergyConfig,
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    /// First frequency of each band, and the one after the last band.
    edges: [usize; BANDS + 1],
    /// Level of the noise in each band.
    floor_db: [f32; BANDS],
    /// Samples that wait for the rest of their window.
    held: Vec<f32>,
    input: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

impl EnergyGate {
    /// A gate that takes the room for silent: it learns the noise as that of a fan that has just
    /// started, because a stream may as well begin with a word.
    pub fn new(config: EnergyConfig) -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(WINDOW);
        let mel = |hz: f32| (1.0 + hz / 700.0).ln();
        let (low, high) = (mel(LOWEST_HZ), mel(HIGHEST_HZ));
        let edge = |i: usize| {
            let hz = 700.0 * ((low + (high - low) * i as f32 / BANDS as f32).exp() - 1.0);
            (hz * WINDOW as f32 / 16_000.0).round() as usize
        };
        Self {
            window: (0..WINDOW)
                .map(|i| 0.5 - 0.5 * (TAU * i as f32 / WINDOW as f32).cos())
                .collect(),
            edges: std::array::from_fn(edge),
            floor_db: [config.absolute_db; BANDS],
            held: vec![0.0; HOP],
            input: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
            config,
        }
    }

    /// Takes the next samples at 16 kHz and says whether they stand out from the noise. Any number of
    /// samples will do, but fewer than 256 may have to wait for the next call to be judged.
    pub fn is_loud(&mut self, step: &[f32]) -> bool {
        self.held.extend_from_slice(step);
        let mut power = [0.0f32; BANDS];
        let mut windows = 0;
        while self.held.len() >= WINDOW {
            self.add_window(&mut power);
            self.held.drain(..HOP);
            windows += 1;
        }
        if windows == 0 {
            return false;
        }
        // A full-scale sine is 0 dB: the window has a mean square of 3/8.
        let scale = 4.0 / (0.375 * (WINDOW * WINDOW * windows) as f32);
        let rise = self.config.rise_db_per_second * (windows * HOP) as f32 / 16_000.0;
        let mut loud = false;
        for (floor, power) in self.floor_db.iter_mut().zip(power) {
            let level = if power.is_finite() {
                (10.0 * (power * scale).log10()).max(NOTHING_DB)
            } else {
                // Sound that is no number must not be slept through.
                0.0
            };
            loud |= level > (*floor + self.config.margin_db).max(self.config.absolute_db);
            let moved = if level < *floor {
                *floor + FALL * (level - *floor)
            } else {
                level.min(*floor + rise)
            };
            *floor = moved.max(self.config.absolute_db);
        }
        loud
    }

    /// Forgets the room.
    pub fn reset(&mut self) {
        self.floor_db = [self.config.absolute_db; BANDS];
        self.held.clear();
        self.held.resize(HOP, 0.0);
    }

    fn add_window(&mut self, power: &mut [f32; BANDS]) {
        for ((to, s), w) in self.input.iter_mut().zip(&self.held).zip(&self.window) {
            *to = s * w;
        }
        self.fft
            .process_with_scratch(&mut self.input, &mut self.spectrum, &mut self.scratch)
            .expect("the buffers were made by this plan");
        for (power, edges) in power.iter_mut().zip(self.edges.windows(2)) {
            let band = &self.spectrum[edges[0]..edges[1]];
            *power += band.iter().map(Complex::norm_sqr).sum::<f32>();
        }
    }
}

impl fmt::Debug for EnergyGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "EnergyGate({:?}, floor {:?} dB)",
            self.config, self.floor_db
        )
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

    fn tone(hz: f32, at: usize) -> f32 {
        (TAU * hz * (at % 16_000) as f32 / 16_000.0).sin()
    }

    #[test]
    fn a_silent_room_is_quiet_from_the_start() {
        let mut gate = EnergyGate::new(EnergyConfig::default());
        assert_eq!(loud_steps(&mut gate, 100, || vec![0.0; STEP]), 0);
        let mut noise = Noise(4);
        // The last bit of 16-bit sound.
        let loud = loud_steps(&mut gate, 100, || noise.step(0.3 / 32_768.0));
        assert!(loud < 20, "{loud} of 100 steps");
    }

    #[test]
    fn steady_noise_of_any_level_becomes_quiet_and_a_voice_below_it_is_loud() {
        for rms in [0.0005, 0.005, 0.05] {
            let mut noise = Noise(1);
            let mut gate = EnergyGate::new(EnergyConfig::default());
            loud_steps(&mut gate, 500, || noise.step(rms));
            let loud = loud_steps(&mut gate, 500, || noise.step(rms));
            assert!(loud <= 5, "{rms}: {loud} of 500 steps");
            // A tone 6 dB below the noise.
            let mut step = noise.step(rms);
            for (i, s) in step.iter_mut().enumerate() {
                *s += 0.7 * rms * tone(500.0, i);
            }
            assert!(gate.is_loud(&step), "{rms}");
        }
    }

    #[test]
    fn a_fan_that_starts_is_learnt_in_some_seconds_and_soon_forgotten() {
        let mut noise = Noise(2);
        let mut gate = EnergyGate::new(EnergyConfig::default());
        loud_steps(&mut gate, 300, || noise.step(0.001));
        let learning = loud_steps(&mut gate, 300, || noise.step(0.01));
        assert!((50..150).contains(&learning), "{learning} steps of 80 ms");
        loud_steps(&mut gate, 10, || noise.step(0.001));
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
                    0.05 * tone(50.0, at) + voice * tone(1_000.0, at)
                })
                .collect()
        };
        loud_steps(&mut gate, 400, || sound(0.0));
        assert_eq!(loud_steps(&mut gate, 50, || sound(0.0)), 0);
        // 40 dB below the hum.
        assert!(gate.is_loud(&sound(0.0005)));
    }

    #[test]
    fn pieces_and_whole_are_judged_alike() {
        let mut noise = Noise(6);
        let sound: Vec<f32> = (0..40)
            .flat_map(|i| noise.step(if i == 30 { 0.1 } else { 0.0001 }))
            .collect();
        let mut whole = EnergyGate::new(EnergyConfig::default());
        let mut pieces = EnergyGate::new(EnergyConfig::default());
        for step in sound.chunks(STEP) {
            let loud = whole.is_loud(step);
            // Shorter pieces are means of fewer numbers, so they find the same and more.
            let any = step
                .chunks(100)
                .fold(false, |any, p| pieces.is_loud(p) | any);
            assert!(any || !loud);
        }
    }

    #[test]
    fn sound_that_is_no_number_is_loud_and_spoils_nothing() {
        let mut noise = Noise(3);
        let mut gate = EnergyGate::new(EnergyConfig::default());
        loud_steps(&mut gate, 500, || noise.step(0.01));
        assert!(gate.is_loud(&[f32::NAN; STEP]));
        gate.is_loud(&noise.step(0.01));
        let loud = loud_steps(&mut gate, 100, || noise.step(0.01));
        assert!(loud <= 2, "{loud} of 100 steps");
        assert!(!gate.is_loud(&[]));
    }
}
