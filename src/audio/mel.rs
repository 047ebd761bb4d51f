//! Log-mel spectrograms as Whisper wants them: the input of Whisper itself and of Smart Turn, which is
//! a Whisper encoder with a small head.
//!
//! The definition is OpenAI Whisper's `log_mel_spectrogram` and Hugging Face's
//! `WhisperFeatureExtractor` (both the same numbers): a periodic Hann window of 400 samples every 160,
//! reflected at both ends, power spectrum, triangular filters on the Slaney mel scale with area
//! normalisation, then `log10`, clamped to 8 below the loudest value and scaled by `(x + 4) / 4`.

use std::{f64::consts::TAU, fmt, sync::Arc};

use realfft::{RealFftPlanner, RealToComplex};

/// Samples of one window (25 ms at 16 kHz).
const WINDOW: usize = 400;
/// Samples from one frame to the next (10 ms).
const HOP: usize = 160;
/// Frequencies of one spectrum, 0 to 8 kHz.
const BINS: usize = WINDOW / 2 + 1;
/// Below this power a band counts as silent, so that the logarithm stays finite.
const FLOOR: f32 = 1e-10;
/// What is more than this (in powers of ten) below the loudest band is lifted to it.
const RANGE: f32 = 8.0;

/// Computes log-mel spectrograms of 16 kHz sound. Built once, used for any number of clips; holds the
/// filters and the FFT plan, no state between calls.
pub struct LogMel {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    filters: Vec<Filter>,
}

/// One triangle: its weights from bin `first` on. The rest of the bins weigh nothing, which is most
/// of them.
struct Filter {
    first: usize,
    weights: Vec<f32>,
}

impl LogMel {
    /// Samples from one frame to the next: frame `n` is centred on sample `n * HOP`.
    pub const HOP: usize = HOP;

    /// A spectrogram of `n_mels` bands (Whisper: 80, large-v3 and turbo: 128).
    ///
    /// # Panics
    ///
    /// If `n_mels` is zero.
    pub fn new(n_mels: usize) -> Self {
        assert!(n_mels > 0, "a spectrogram has at least one band");
        let window = (0..WINDOW)
            .map(|i| (0.5 - 0.5 * (TAU * i as f64 / WINDOW as f64).cos()) as f32)
            .collect();
        Self {
            fft: RealFftPlanner::new().plan_fft_forward(WINDOW),
            window,
            filters: filters(n_mels),
        }
    }

    /// Bands per frame.
    pub fn n_mels(&self) -> usize {
        self.filters.len()
    }

    /// The first `frames` frames (10 ms each) of `samples`, as if they were followed by silence where
    /// they are shorter than `frames * HOP`; what is beyond that does not count. Row-major
    /// `[n_mels, frames]`, nominally in `-1.0..=1.5`.
    pub fn compute(&self, samples: &[f32], frames: usize) -> Vec<f32> {
        let n_mels = self.n_mels();
        let mut mel = vec![FLOOR.log10(); n_mels * frames];
        let total = frames * HOP;
        let samples = &samples[..samples.len().min(total)];
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut input = self.fft.make_input_vec();
        let mut power = [0.0f32; BINS];
        for frame in 0..frames {
            self.cut(samples, total, frame, &mut input);
            // Silence to the end of the 30 s is the greater part of most clips.
            if input.iter().all(|&s| s == 0.0) {
                continue;
            }
            self.fft
                .process_with_scratch(&mut input, &mut spectrum, &mut scratch)
                .expect("the buffers were made by this plan");
            for (p, c) in power.iter_mut().zip(&spectrum) {
                *p = c.norm_sqr();
            }
            for (band, filter) in self.filters.iter().enumerate() {
                let energy: f32 = power[filter.first..]
                    .iter()
                    .zip(&filter.weights)
                    .map(|(p, w)| p * w)
                    .sum();
                mel[band * frames + frame] = energy.max(FLOOR).log10();
            }
        }
        let floor = mel.iter().copied().fold(f32::MIN, f32::max) - RANGE;
        for v in &mut mel {
            *v = (v.max(floor) + 4.0) / 4.0;
        }
        mel
    }

    /// Windowed samples of `frame` of a signal of `total` samples, of which `samples` are given and
    /// the rest are zero; mirrored at both ends.
    fn cut(&self, samples: &[f32], total: usize, frame: usize, out: &mut [f32]) {
        let start = (frame * HOP) as isize - (WINDOW / 2) as isize;
        let inside = start >= 0 && start as usize + WINDOW <= samples.len();
        if inside {
            let piece = &samples[start as usize..start as usize + WINDOW];
            for ((o, s), w) in out.iter_mut().zip(piece).zip(&self.window) {
                *o = s * w;
            }
            return;
        }
        let period = (2 * (total as isize - 1)).max(1);
        for (i, (o, w)) in out.iter_mut().zip(&self.window).enumerate() {
            let at = (start + i as isize).rem_euclid(period);
            let at = at.min(period - at) as usize;
            *o = samples.get(at).map_or(0.0, |s| s * w);
        }
    }
}

impl fmt::Debug for LogMel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogMel({} bands)", self.n_mels())
    }
}

/// Triangles with area 1 whose corners are evenly spaced on the Slaney mel scale from 0 to 8 kHz.
fn filters(n_mels: usize) -> Vec<Filter> {
    // Slaney's scale (Auditory Toolbox, 1998): linear to 1 kHz, then 27 steps for a factor of 6.4.
    let log_step = 6.4f64.ln() / 27.0;
    let top = 15.0 + (8_000.0f64 / 1_000.0).ln() / log_step;
    let corner = |i: usize| {
        let mel = top * i as f64 / (n_mels + 1) as f64;
        if mel < 15.0 {
            200.0 * mel / 3.0
        } else {
            1_000.0 * (log_step * (mel - 15.0)).exp()
        }
    };
    (0..n_mels)
        .map(|band| {
            let (low, mid, high) = (corner(band), corner(band + 1), corner(band + 2));
            let weight = |bin: usize| {
                let hz = 8_000.0 * bin as f64 / (BINS - 1) as f64;
                let triangle = ((hz - low) / (mid - low)).min((high - hz) / (high - mid));
                (triangle.max(0.0) * 2.0 / (high - low)) as f32
            };
            let first = (0..BINS).find(|&b| weight(b) > 0.0).unwrap_or(0);
            let weights = (first..BINS).map(weight).take_while(|&w| w > 0.0).collect();
            Filter { first, weights }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chirp with a little noise from a written generator, the same as in the Python that made the
    /// numbers of `it_agrees_with_the_reference`.
    fn chirp(len: usize) -> Vec<f32> {
        let mut seed = 1u32;
        (0..len)
            .map(|i| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let t = i as f64 / 16_000.0;
                let noise = f64::from(seed >> 8) / f64::from(1 << 24) - 0.5;
                (0.3 * (TAU * (200.0 + 1_500.0 * t) * t).sin() + 0.01 * noise) as f32
            })
            .collect()
    }

    #[test]
    fn it_agrees_with_the_reference() {
        // numpy, from the definition in `WhisperFeatureExtractor` (f64), 1 s of `chirp` in 100 frames
        // and 1 s in 150: (bands, frames, band, frame, value).
        let golden: &[(usize, usize, usize, usize, f32)] = &[
            (80, 100, 0, 0, 1.054816),
            (80, 100, 5, 0, 1.167685),
            (80, 100, 10, 20, -0.560820),
            (80, 100, 30, 50, -0.223419),
            (80, 100, 40, 99, -0.114028),
            (80, 100, 79, 99, -0.107035),
            (80, 100, 79, 3, -0.143600),
            (128, 150, 0, 0, 0.979057),
            (128, 150, 20, 10, 1.287955),
            (128, 150, 60, 70, -0.236486),
            (128, 150, 127, 99, -0.162865),
            (128, 150, 127, 101, -0.419634),
            (128, 150, 3, 149, -0.614986),
        ];
        for &(bands, frames, band, frame, want) in golden {
            let mel = LogMel::new(bands).compute(&chirp(16_000), frames);
            let got = mel[band * frames + frame];
            assert!(
                (got - want).abs() < 1e-4,
                "{bands} bands, band {band}, frame {frame}: {got}, not {want}"
            );
        }
    }

    #[test]
    fn silence_after_the_clip_and_zeros_in_the_clip_are_the_same() {
        let mel = LogMel::new(80);
        let clip = chirp(8_000);
        let mut padded = clip.clone();
        padded.resize(16_000, 0.0);
        assert_eq!(mel.compute(&clip, 100), mel.compute(&padded, 100));
    }

    #[test]
    fn no_frames_no_samples_and_one_frame_do_not_panic() {
        let mel = LogMel::new(80);
        assert!(mel.compute(&[], 0).is_empty());
        assert_eq!(mel.compute(&[], 2).len(), 160);
        assert_eq!(mel.compute(&[0.5; 10], 1).len(), 80);
        let silence = mel.compute(&[0.0; 16_000], 100);
        assert!(silence.iter().all(|&v| (v + 1.5).abs() < 1e-6));
    }
}
