//! How long to wait before a server is tried again. Pure: chance is passed in.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Waits that double from 1 s to 60 s; half of each is chance.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait; `dice` is any number, all 64 bits of it by chance.
    pub(super) fn next(&mut self, dice: u64) -> Duration {
        let bound = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(0.5 + 0.5 * (dice as f64 / u64::MAX as f64))
    }

    /// It worked: the next wait is short again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_minute_and_start_anew_after_success() {
        let mut backoff = Backoff::default();
        let most: Vec<_> = (0..8).map(|_| backoff.next(u64::MAX).as_secs()).collect();
        assert_eq!(most, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.next(0), Duration::from_secs(30));
        backoff.reset();
        assert_eq!(backoff.next(0), Duration::from_millis(500));
    }
}
