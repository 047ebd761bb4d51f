//! Pure: how long to wait before the next try, with full jitter: any time up to a bound that doubles, so
//! that many clients of a server that was restarted do not come back in one moment.

use std::time::Duration;

/// Bound of the first wait.
const FIRST: Duration = Duration::from_millis(300);

/// Bound of all later ones.
const LONGEST: Duration = Duration::from_secs(7);

/// Waits between tries.
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
        bound.mul_f64(dice as f64 / u64::MAX as f64)
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
    fn waits_double_up_to_seven_seconds_and_start_anew_after_success() {
        let mut backoff = Backoff::default();
        let bounds: Vec<_> = (0..7).map(|_| backoff.next(u64::MAX).as_millis()).collect();
        assert_eq!(bounds, [300, 600, 1200, 2400, 4800, 7000, 7000]);
        backoff.reset();
        assert_eq!(backoff.next(u64::MAX).as_millis(), 300);
        assert_eq!(backoff.next(0).as_millis(), 0);
    }
}
