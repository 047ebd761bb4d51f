//! Mono PCM with its sample rate in the type.

use std::{fmt, marker::PhantomData, time::Duration};

/// A sample rate known at compile time.
pub trait Rate: Copy + Send + Sync + 'static {
    /// Samples per second.
    const HZ: u32;
}

macro_rules! rates {
    ($($(#[$doc:meta])* $name:ident = $hz:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {}
        impl Rate for $name { const HZ: u32 = $hz; }
    )*};
}

rates! {
    /// Wake word, VAD, end of turn and Whisper input.
    Hz16k = 16_000;
    /// Kokoro output.
    Hz24k = 24_000;
    /// Opus, WebRTC and most sound cards.
    Hz48k = 48_000;
}

/// Mono samples, nominally in `-1.0..=1.0`, at rate `R`.
#[derive(Clone, PartialEq)]
pub struct Pcm<R: Rate> {
    samples: Vec<f32>,
    rate: PhantomData<R>,
}

impl<R: Rate> Pcm<R> {
    /// Takes samples as they are.
    pub fn new(samples: Vec<f32>) -> Self {
        Self {
            samples,
            rate: PhantomData,
        }
    }

    /// `d` of zeros, rounded to the nearest sample.
    pub fn silence(d: Duration) -> Self {
        Self::new(vec![0.0; SamplePos::<R>::at(d).index()])
    }

    /// The samples, read only.
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// The samples, to change in place.
    pub fn samples_mut(&mut self) -> &mut [f32] {
        &mut self.samples
    }

    /// Gives the samples away.
    pub fn into_samples(self) -> Vec<f32> {
        self.samples
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// True when there is no sample.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Length as time.
    pub fn duration(&self) -> Duration {
        SamplePos::<R>::new(self.samples.len() as u64).duration()
    }

    /// Adds `other` at the end.
    pub fn append(&mut self, other: &Self) {
        self.samples.extend_from_slice(&other.samples);
    }

    /// Adds raw samples at the end.
    pub fn extend(&mut self, samples: &[f32]) {
        self.samples.extend_from_slice(samples);
    }

    /// Root mean square, `0.0` for no samples.
    pub fn rms(&self) -> f32 {
        rms(&self.samples)
    }
}

/// Root mean square of `samples`, `0.0` for none.
pub(crate) fn rms(samples: &[f32]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    let sum: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    (sum / samples.len() as f64).sqrt() as f32
}

impl<R: Rate> Default for Pcm<R> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

/// Prints rate and length, never the sound: recordings are personal data.
impl<R: Rate> fmt::Debug for Pcm<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Pcm({} Hz, {:.3}s)",
            R::HZ,
            self.duration().as_secs_f64()
        )
    }
}

/// A place in a stream of rate `R`, in samples since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SamplePos<R: Rate>(u64, PhantomData<R>);

impl<R: Rate> SamplePos<R> {
    /// The position after `samples` samples.
    pub const fn new(samples: u64) -> Self {
        Self(samples, PhantomData)
    }

    /// The position `d` after the start, rounded to the nearest sample.
    pub fn at(d: Duration) -> Self {
        Self::new((d.as_secs_f64() * f64::from(R::HZ)).round() as u64)
    }

    /// Samples since the start.
    pub const fn samples(self) -> u64 {
        self.0
    }

    /// As an index into a buffer that begins at the start.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Time since the start.
    pub fn duration(self) -> Duration {
        Duration::from_secs_f64(self.0 as f64 / f64::from(R::HZ))
    }
}

/// Mono sound whose rate is known only at run time: what files and sound cards give.
/// Becomes a [`Pcm`] only through [`crate::audio::resample()`].
#[derive(Clone, Debug, PartialEq)]
pub struct AnyPcm {
    /// Samples per second, at least 1.
    pub rate_hz: u32,
    /// Mono samples in `-1.0..=1.0`.
    pub samples: Vec<f32>,
}
