//! What time it is in a session: the runtime's clock, or the position in a recording.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::At;

/// The longest real wait for an engine before time goes on without it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which clock a session lives by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The runtime's: real time, or a test's paused time.
    Runtime,
    /// Its room's: [`Event::Time`](super::Event::Time) says what time it is. Time stands still while
    /// an engine is being waited for, so that turn taking is exact however fast the recording is
    /// played and however slow the engines are.
    Driven,
}

/// A running [`Clock`].
#[derive(Debug)]
pub(super) enum Pace {
    Runtime {
        started: Instant,
    },
    Driven {
        now: At,
        /// Since when an engine is being waited for.
        frozen: Option<Instant>,
        /// Real time that passed while time stood still.
        stood: Duration,
    },
}

impl Pace {
    pub(super) fn start(clock: Clock) -> Self {
        match clock {
            Clock::Runtime => Pace::Runtime {
                started: Instant::now(),
            },
            Clock::Driven => Pace::Driven {
                now: At::START,
                frozen: None,
                stood: Duration::ZERO,
            },
        }
    }

    /// For the turn machine.
    pub(super) fn now(&self) -> At {
        match self {
            Pace::Runtime { started } => At::since_start(started.elapsed()),
            Pace::Driven { now, .. } => *now,
        }
    }

    /// For timings: with the time that engines took, also where it does not count for the machine.
    pub(super) fn mark(&self) -> At {
        match self {
            Pace::Runtime { .. } => self.now(),
            Pace::Driven { now, frozen, stood } => {
                *now + *stood + frozen.map_or(Duration::ZERO, |since| since.elapsed())
            }
        }
    }

    /// An engine is, or is not, being waited for.
    pub(super) fn freeze(&mut self, waiting: bool) {
        let Pace::Driven { frozen, stood, .. } = self else {
            return;
        };
        match (waiting, *frozen) {
            (true, None) => *frozen = Some(Instant::now()),
            (false, Some(since)) => {
                *stood += since.elapsed();
                *frozen = None;
            }
            _ => {}
        }
    }

    /// The room, or a deadline, says that it is `at`.
    pub(super) fn advance(&mut self, at: At) {
        if let Pace::Driven { now, frozen, stood } = self {
            // What was waited in real time is no longer on top: it has become session time.
            if let Some(since) = frozen {
                let passed = at.saturating_since(*now);
                *stood += since.elapsed().saturating_sub(passed);
                *frozen = Some(Instant::now());
            }
            *now = at.max(*now);
        }
    }

    /// Resolves at `deadline`; a driven clock only gets there by itself while time stands still:
    /// then an engine that never answers is caught in real time.
    pub(super) async fn until(&self, deadline: Option<At>) {
        let at = match (self, deadline) {
            (Pace::Runtime { started }, Some(deadline)) => *started + deadline.elapsed(),
            (
                Pace::Driven {
                    now,
                    frozen: Some(since),
                    ..
                },
                Some(deadline),
            ) => *since + deadline.saturating_since(*now).max(PATIENCE),
            _ => return std::future::pending().await,
        };
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn driven_time_stands_still_for_engines_and_timings_count_it() {
        let mut pace = Pace::start(Clock::Driven);
        pace.advance(At::from_millis(1_000));
        pace.freeze(true);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(pace.now(), At::from_millis(1_000));
        assert_eq!(pace.mark(), At::from_millis(1_300));
        pace.freeze(false);
        tokio::time::sleep(Duration::from_millis(300)).await;
        pace.advance(At::from_millis(1_020));
        assert_eq!(pace.mark(), At::from_millis(1_320));
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_never_answers_is_caught_in_real_time() {
        let mut pace = Pace::start(Clock::Driven);
        pace.freeze(true);
        let before = Instant::now();
        pace.until(Some(At::from_millis(10_000))).await;
        assert_eq!(before.elapsed(), PATIENCE);
        pace.advance(At::from_millis(10_000));
        assert_eq!(pace.now(), At::from_millis(10_000));
        assert_eq!(pace.mark(), At::since_start(PATIENCE), "not counted twice");
    }
}
