//! Session time: a moment as a value that tests can write down.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

/// A moment, as time since the session began.
///
/// Not an [`std::time::Instant`]: that cannot be written in a test as a constant, printed in a
/// golden log, or stored. The driver of a session is the one place that turns a runtime clock into
/// an `At`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct At(Duration);

impl At {
    /// The first moment of a session.
    pub const START: At = At(Duration::ZERO);

    /// `ms` milliseconds after the start.
    pub const fn from_millis(ms: u64) -> Self {
        At(Duration::from_millis(ms))
    }

    /// `elapsed` after the start.
    pub const fn since_start(elapsed: Duration) -> Self {
        At(elapsed)
    }

    /// Time from the start of the session to this moment.
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// Time from `earlier` to this moment; zero when `earlier` is later.
    pub fn saturating_since(self, earlier: At) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `d` before this one, not before the start.
    pub fn saturating_sub(self, d: Duration) -> At {
        At(self.0.saturating_sub(d))
    }
}

impl Add<Duration> for At {
    type Output = At;
    fn add(self, d: Duration) -> At {
        At(self.0.saturating_add(d))
    }
}

impl Sub<At> for At {
    type Output = Duration;
    fn sub(self, earlier: At) -> Duration {
        self.saturating_since(earlier)
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.0.as_secs_f64())
    }
}
