//! How late the frames of a voice are, against the even clock by which they should go or come: what the
//! 20 ms pacer is measured by. Cheap enough to be always on: one comparison and one counter a frame.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use super::FRAME;

/// A wait for the next frame that is no delay but a pause: one answer is over, the next begins.
const PAUSE: Duration = Duration::from_secs(1);

/// Steps that are told apart, and how many of them; what is later counts in the last.
const STEP: Duration = Duration::from_micros(250);
const STEPS: usize = 1_000;

/// The even clock of one voice. The frame that was least late sets it, so that frames after a late first
/// one do not count as early.
#[derive(Debug, Default)]
pub struct Pace {
    due: Option<Instant>,
}

impl Pace {
    /// The next frame goes or comes `now`: how late. `None` for the first after a pause.
    pub fn frame(&mut self, now: Instant) -> Option<Duration> {
        let due = self.due.filter(|due| now < *due + PAUSE);
        let late = due.map(|due| now.saturating_duration_since(due));
        // Three frames are caught up with; who is later than that goes on from where they are.
        let base = match (due, late) {
            (Some(due), Some(late)) if late <= 3 * FRAME => due.min(now),
            _ => now,
        };
        self.due = Some(base + FRAME);
        late
    }
}

/// How late frames were, counted; shared by all who send.
pub struct Lateness {
    steps: Box<[AtomicU64]>,
    longest_us: AtomicU64,
}

impl std::fmt::Debug for Lateness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lateness").field(&self.summary()).finish()
    }
}

impl Default for Lateness {
    fn default() -> Self {
        Self {
            steps: (0..STEPS).map(|_| AtomicU64::new(0)).collect(),
            longest_us: AtomicU64::new(0),
        }
    }
}

/// What [`Lateness`] has counted; times in milliseconds, to a quarter of one but for the longest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Late {
    /// Frames.
    pub frames: u64,
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The latest.
    pub max: f64,
}

impl Lateness {
    /// Counts a frame.
    pub fn note(&self, late: Duration) {
        let step = (late.as_micros() / STEP.as_micros()) as usize;
        self.steps[step.min(STEPS - 1)].fetch_add(1, Relaxed);
        self.longest_us.fetch_max(late.as_micros() as u64, Relaxed);
    }

    /// Forgets what was counted.
    pub fn reset(&self) {
        for step in &self.steps {
            step.store(0, Relaxed);
        }
        self.longest_us.store(0, Relaxed);
    }

    /// What was counted up to now.
    pub fn summary(&self) -> Late {
        let counts: Vec<u64> = self.steps.iter().map(|s| s.load(Relaxed)).collect();
        let frames: u64 = counts.iter().sum();
        let at = |share: f64| {
            let wanted = (frames as f64 * share).ceil().max(1.0) as u64;
            let mut seen = 0;
            let step = counts.iter().position(|n| {
                seen += n;
                seen >= wanted
            });
            // The upper end of the step.
            step.map_or(0.0, |s| (s + 1) as f64 * STEP.as_secs_f64() * 1e3)
        };
        Late {
            frames,
            p50: at(0.5),
            p99: at(0.99),
            max: self.longest_us.load(Relaxed) as f64 / 1e3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn lateness_is_against_the_even_clock_and_not_against_the_frame_before() {
        let (begin, mut pace) = (Instant::now(), Pace::default());
        // The first frame was 5 ms late itself; the stall of 100 ms is not carried on.
        let at = [5, 20, 47, 60, 180, 200, 2_000, 2_025];
        let late = at.map(|at| pace.frame(begin + ms(at)));
        let expected = [
            None,
            Some(0),
            Some(7),
            Some(0),
            Some(100),
            Some(0),
            None,
            Some(5),
        ];
        assert_eq!(late, expected.map(|l| l.map(ms)));
    }

    #[test]
    fn what_was_counted_is_told_and_forgotten() {
        let lateness = Lateness::default();
        assert_eq!(lateness.summary(), Late::default());
        for n in 0..100 {
            lateness.note(ms(n));
        }
        lateness.note(ms(700));
        let late = lateness.summary();
        assert_eq!((late.frames, late.max), (101, 700.0));
        assert!(
            (late.p50 - 50.0).abs() < 0.5 && (late.p99 - 99.0).abs() < 0.5,
            "{late:?}"
        );
        lateness.reset();
        assert_eq!(lateness.summary(), Late::default());
    }
}
