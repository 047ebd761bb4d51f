//! The last moments before anybody knew that they matter.

use std::collections::VecDeque;

use super::pcm::{Rate, SamplePos};

/// Ring of the last samples of a stream, addressed by their position in the stream.
///
/// Lets a clip begin before the moment at which speech was certain, so that "hey jarvis, what time
/// is it" in one breath loses nothing.
#[derive(Debug)]
pub struct Preroll<R: Rate> {
    capacity: usize,
    ring: VecDeque<f32>,
    end: u64,
    rate: std::marker::PhantomData<R>,
}

impl<R: Rate> Preroll<R> {
    /// Keeps the last `capacity` samples.
    pub fn new(capacity: SamplePos<R>) -> Self {
        Self {
            capacity: capacity.index(),
            ring: VecDeque::with_capacity(capacity.index()),
            end: 0,
            rate: std::marker::PhantomData,
        }
    }

    /// Adds the next samples of the stream; the oldest fall out.
    pub fn push(&mut self, samples: &[f32]) {
        self.end += samples.len() as u64;
        let keep = &samples[samples.len().saturating_sub(self.capacity)..];
        let drop = (self.ring.len() + keep.len()).saturating_sub(self.capacity);
        self.ring.drain(..drop.min(self.ring.len()));
        self.ring.extend(keep);
    }

    /// Position after the last sample pushed.
    pub fn end(&self) -> SamplePos<R> {
        SamplePos::new(self.end)
    }

    /// Position of the oldest sample still held.
    pub fn start(&self) -> SamplePos<R> {
        SamplePos::new(self.end - self.ring.len() as u64)
    }

    /// Everything held from `from` on; what has fallen out is missing at the front.
    pub fn since(&self, from: SamplePos<R>) -> Vec<f32> {
        let skip = from.samples().saturating_sub(self.start().samples()) as usize;
        self.ring.iter().skip(skip).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Hz16k;

    #[test]
    fn it_gives_back_the_stream_by_position_and_forgets_the_oldest() {
        for piece in [1, 3, 10, 64, 200] {
            let stream: Vec<f32> = (0..200u16).map(f32::from).collect();
            let mut ring = Preroll::<Hz16k>::new(SamplePos::new(50));
            for p in stream.chunks(piece) {
                ring.push(p);
            }
            assert_eq!(ring.start().samples(), 150, "piece {piece}");
            assert_eq!(
                ring.since(SamplePos::new(180)),
                stream[180..],
                "piece {piece}"
            );
            assert_eq!(
                ring.since(SamplePos::new(0)),
                stream[150..],
                "piece {piece}"
            );
        }
    }
}
