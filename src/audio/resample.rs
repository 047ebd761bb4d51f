//! From one sample rate to another, whole or in pieces, with the same result.

use std::marker::PhantomData;

use rubato::{
    Fft, FixedSync, Indexing, Resampler as _, audioadapter_buffers::direct::InterleavedSlice,
};

use super::pcm::{AnyPcm, Pcm, Rate};

/// Input frames per block: 10 ms at 48 kHz, so the delay stays far below one 20 ms frame.
const BLOCKS_PER_SECOND: u32 = 100;

/// Streaming resampler to rate `To` from a rate known at run time.
///
/// State: the last block of input. Any cutting of the input gives the same output. The filter's
/// delay (about 5 ms) is cut off at the start, so output sample `n` belongs to input time
/// `n / To::HZ`; it is the latency of the stream.
pub struct Resampler<To: Rate> {
    inner: Option<Inner>,
    to: PhantomData<To>,
}

struct Inner {
    fft: Fft<f32>,
    held: Vec<f32>,
    out: Vec<f32>,
    /// Output samples still to drop: the filter's delay.
    skip: usize,
    taken: u64,
    given: u64,
    ratio: f64,
}

impl<To: Rate> Resampler<To> {
    /// A resampler from `from_hz`; equal rates pass samples through untouched.
    ///
    /// # Panics
    ///
    /// If `from_hz` is zero: a rate of zero is a bug of the caller ([`super::wav`] refuses it).
    pub fn new(from_hz: u32) -> Self {
        assert!(from_hz > 0, "a sample rate is at least 1 Hz");
        let inner = (from_hz != To::HZ).then(|| {
            let block = (from_hz / BLOCKS_PER_SECOND).max(16) as usize;
            let fft = Fft::new(
                from_hz as usize,
                To::HZ as usize,
                block,
                1,
                FixedSync::Input,
            )
            .expect("rates and block are above zero");
            Inner {
                skip: fft.output_delay(),
                out: vec![0.0; fft.output_frames_max()],
                held: Vec::new(),
                fft,
                taken: 0,
                given: 0,
                ratio: f64::from(To::HZ) / f64::from(from_hz),
            }
        });
        Self {
            inner,
            to: PhantomData,
        }
    }

    /// Takes a piece of input and appends what is ready to `out`.
    pub fn push(&mut self, piece: &[f32], out: &mut Vec<f32>) {
        let Some(inner) = &mut self.inner else {
            out.extend_from_slice(piece);
            return;
        };
        inner.taken += piece.len() as u64;
        inner.held.extend_from_slice(piece);
        let mut start = 0;
        loop {
            let need = inner.fft.input_frames_next();
            if inner.held.len() - start < need {
                break;
            }
            inner.block(start, need, None, out);
            start += need;
        }
        inner.held.drain(..start);
    }

    /// Ends the stream: appends what the filter still holds, so that the whole output has the length
    /// of the whole input. The resampler then begins anew.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        let Some(inner) = &mut self.inner else { return };
        let total = (inner.taken as f64 * inner.ratio).ceil() as u64;
        while inner.given < total {
            let (rest, need) = (inner.held.len(), inner.fft.input_frames_next());
            inner.held.resize(need, 0.0);
            let before = out.len();
            inner.block(0, need, Some(rest), out);
            let over = inner.given.saturating_sub(total) as usize;
            out.truncate(out.len() - over.min(out.len() - before));
            inner.held.clear();
        }
        *self = Self {
            inner: self.inner.take().map(|mut inner| {
                inner.fft.reset();
                inner.skip = inner.fft.output_delay();
                (inner.taken, inner.given) = (0, 0);
                inner
            }),
            to: PhantomData,
        };
    }
}

impl Inner {
    fn block(&mut self, start: usize, need: usize, partial: Option<usize>, out: &mut Vec<f32>) {
        let input = InterleavedSlice::new(&self.held[start..start + need], 1, need)
            .expect("the slice has this length");
        let room = self.out.len();
        let mut output =
            InterleavedSlice::new_mut(&mut self.out, 1, room).expect("the buffer has this length");
        let indexing = partial.map(|n| Indexing::new().partial_len(n));
        let (_, made) = self
            .fft
            .process_into_buffer(&input, &mut output, indexing.as_ref())
            .expect("buffers have the sizes the resampler asked for");
        let skip = self.skip.min(made);
        self.skip -= skip;
        self.given += (made - skip) as u64;
        out.extend_from_slice(&self.out[skip..made]);
    }
}

/// Resamples a whole clip; the result has the clip's length.
pub fn resample<To: Rate>(clip: &AnyPcm) -> Pcm<To> {
    let mut out = Vec::new();
    let mut resampler = Resampler::<To>::new(clip.rate_hz);
    resampler.push(&clip.samples, &mut out);
    resampler.finish(&mut out);
    Pcm::new(out)
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;
    use crate::audio::{Hz16k, Hz24k, Hz48k};

    fn sine(hz: f32, rate: u32, seconds: f32) -> Vec<f32> {
        (0..(rate as f32 * seconds) as usize)
            .map(|i| 0.5 * (TAU * hz * i as f32 / rate as f32).sin())
            .collect()
    }

    #[test]
    fn pieces_and_whole_give_the_same_sound() {
        let samples = sine(440.0, 44_100, 0.5);
        let whole = resample::<Hz16k>(&AnyPcm {
            rate_hz: 44_100,
            samples: samples.clone(),
        });
        for piece in [1, 17, 441, 480, 5000] {
            let mut out = Vec::new();
            let mut resampler = Resampler::<Hz16k>::new(44_100);
            for p in samples.chunks(piece) {
                resampler.push(p, &mut out);
            }
            resampler.finish(&mut out);
            assert_eq!(out, whole.samples(), "piece {piece}");
        }
    }

    #[test]
    fn a_tone_keeps_its_length_place_and_level() {
        for rate in [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000] {
            let clip = AnyPcm {
                rate_hz: rate,
                samples: sine(440.0, rate, 0.5),
            };
            let out = resample::<Hz16k>(&clip);
            assert_eq!(out.len(), 8_000, "{rate}");
            let expected = sine(440.0, 16_000, 0.5);
            // The edges of a tone that begins and ends in full swing ring a little.
            let worst = (400..7_600)
                .map(|i| (out.samples()[i] - expected[i]).abs())
                .fold(0.0, f32::max);
            // Within one sample: the filter's delay is cut to whole samples.
            let one_sample = 0.5 * TAU * 440.0 / 16_000.0;
            assert!(worst < one_sample, "{rate}: off by {worst}");
        }
        let up = resample::<Hz48k>(&AnyPcm {
            rate_hz: 24_000,
            samples: sine(440.0, 24_000, 0.1),
        });
        assert_eq!(up.len(), 4_800);
    }

    #[test]
    fn what_the_new_rate_cannot_hold_is_gone() {
        let high = AnyPcm {
            rate_hz: 48_000,
            samples: sine(11_000.0, 48_000, 0.5),
        };
        assert!(resample::<Hz16k>(&high).rms() < 0.005);
    }

    #[test]
    fn nothing_gives_nothing_and_one_sample_does_not_panic() {
        assert!(
            resample::<Hz24k>(&AnyPcm {
                rate_hz: 8_000,
                samples: vec![]
            })
            .is_empty()
        );
        let one = resample::<Hz24k>(&AnyPcm {
            rate_hz: 8_000,
            samples: vec![0.5],
        });
        assert_eq!(one.len(), 3);
    }
}
