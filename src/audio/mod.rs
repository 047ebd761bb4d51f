//! Sound as values. Pure: no thread, clock, socket; files only in [`wav`].
//!
//! Mono `f32` in `-1.0..=1.0` everywhere, the sample rate in the type. `i16` and stereo live at the
//! border ([`wav`]).

pub mod mel;
mod pcm;
mod preroll;
mod rechunk;
mod resample;
pub mod wav;

pub(crate) use pcm::rms;
pub use pcm::{AnyPcm, Hz16k, Hz24k, Hz48k, Pcm, Rate, SamplePos};
pub use preroll::Preroll;
pub use rechunk::Rechunker;
pub use resample::{Resampler, resample};
