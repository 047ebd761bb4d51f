//! How long a packet waits before it is played: learnt from how late packets are, and held against a
//! sender's clock that runs fast or slow.
//!
//! A packet's offset is its arrival minus its RTP time. The smallest of the last seconds is the fastest
//! way through the network; what a packet takes longer is its lateness. The wait that is aimed at lets
//! 97 of 100 packets be there in time. Because the smallest offset moves with the sender's clock, so
//! does everything that is measured by it: a clock of 100 ppm moves it 1 ms in the ten seconds.

use super::FRAME_TICKS;

/// Ticks in a millisecond.
const MS: i64 = 48;

/// Shortest wait aimed at, and the one at the beginning.
pub(super) const SHORTEST: i64 = 40 * MS;

/// Longest wait aimed at. More helps no conversation.
pub(super) const LONGEST: i64 = 200 * MS;

/// Seconds in which the fastest way is looked for.
const SECONDS: usize = 10;

/// Width of a step of the histogram.
const STEP: i64 = 10 * MS;

/// Steps up to [`LONGEST`] and one for all that is later.
const STEPS: usize = (LONGEST / STEP) as usize + 1;

/// Share of the packets that is to come in time.
const IN_TIME: f32 = 0.97;

/// Weight of the newest packet in the histogram once there were enough: it remembers 10 s of speech.
const NEWEST: f32 = 0.002;

/// Room for ticks that are not called exactly every 20 ms.
const SLACK: i64 = 10 * MS;

/// Ticks (of 20 ms) over which the wait must have been too long throughout before it is shortened.
const WINDOW: u32 = 25;

/// Windows after which a wait that is much too long is shortened in moments that are only soft.
const PATIENCE: u32 = 6;

/// By how much that is.
const MUCH: i64 = 60 * MS;

/// Ticks between two changes of the wait: 100 ms.
const REST: u32 = 5;

/// What to do with the wait in a quiet moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is right.
    Keep,
    /// 20 ms may be left out; see also [`Delay::impatient`].
    Shorten,
    /// 20 ms may be put in.
    Lengthen,
}

/// The wait of one stream. All numbers are ticks of 48 kHz.
#[derive(Debug)]
pub(super) struct Delay {
    /// Smallest offset of each of the last seconds, and which second that was.
    seconds: [(i64, i64); SECONDS],
    floor: Option<i64>,
    histogram: [f32; STEPS],
    packets: u32,
    target: i64,
    /// Smallest surplus of the present window.
    least: i64,
    ticks: u32,
    /// Surplus that was there throughout the last window.
    surplus: i64,
    windows: u32,
    rest: u32,
}

impl Default for Delay {
    fn default() -> Self {
        Self {
            seconds: [(i64::MIN, 0); SECONDS],
            floor: None,
            histogram: [0.0; STEPS],
            packets: 0,
            target: SHORTEST,
            least: i64::MAX,
            ticks: 0,
            surplus: 0,
            windows: 0,
            rest: 0,
        }
    }
}

impl Delay {
    /// A packet that begins at `time` has come at `wall`.
    pub(super) fn came(&mut self, time: i64, wall: i64) {
        let offset = wall - time;
        let second = wall.div_euclid(1_000 * MS);
        let slot = &mut self.seconds[second.rem_euclid(SECONDS as i64) as usize];
        *slot = match slot.0 == second {
            true => (second, slot.1.min(offset)),
            false => (second, offset),
        };
        let recent = self
            .seconds
            .iter()
            .filter(|(s, _)| *s > second - SECONDS as i64);
        let floor = recent.map(|(_, o)| *o).min().unwrap_or(offset);
        self.floor = Some(floor);

        self.packets = self.packets.saturating_add(1);
        let newest = NEWEST.max(1.0 / self.packets as f32);
        self.histogram.iter_mut().for_each(|p| *p *= 1.0 - newest);
        let step = ((offset - floor) / STEP).clamp(0, STEPS as i64 - 1) as usize;
        self.histogram[step] += newest;
        let mut sum = 0.0;
        let enough = self.histogram.iter().position(|p| {
            sum += p;
            sum >= IN_TIME
        });
        let steps = enough.unwrap_or(STEPS - 1) as i64 + 1;
        self.target = (steps * STEP + SLACK).clamp(SHORTEST, LONGEST);
    }

    /// Offset of the fastest way; `None` before the first packet.
    pub(super) fn floor(&self) -> Option<i64> {
        self.floor
    }

    /// The wait that is aimed at.
    pub(super) fn target(&self) -> i64 {
        self.target
    }

    /// Once a tick, with the wait there is.
    pub(super) fn tick(&mut self, wait: i64) {
        self.rest = self.rest.saturating_sub(1);
        self.least = self.least.min(wait - self.target);
        self.ticks += 1;
        if self.ticks < WINDOW {
            return;
        }
        self.surplus = self.least;
        self.windows = match self.surplus >= MUCH {
            true => self.windows.saturating_add(1),
            false => 0,
        };
        (self.ticks, self.least) = (0, i64::MAX);
    }

    /// What is to be done when the wait is `wait`.
    pub(super) fn change(&self, wait: i64) -> Change {
        if self.rest > 0 {
            Change::Keep
        } else if wait + FRAME_TICKS <= self.target {
            Change::Lengthen
        } else if self.surplus.min(wait - self.target) >= FRAME_TICKS + SLACK / 2 {
            Change::Shorten
        } else {
            Change::Keep
        }
    }

    /// The wait is so much too long for so long that a soft moment will do.
    pub(super) fn impatient(&self) -> bool {
        self.windows >= PATIENCE
    }

    /// The wait was changed by so many ticks.
    pub(super) fn changed(&mut self, by: i64) {
        self.surplus += by;
        self.least = self.least.saturating_add(by);
        self.rest = REST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets every 20 ms, each late by what `late` says in milliseconds.
    fn fed(packets: i64, late: impl Fn(i64) -> i64) -> Delay {
        let mut delay = Delay::default();
        for i in 0..packets {
            delay.came(i * FRAME_TICKS, i * FRAME_TICKS + late(i) * MS);
        }
        delay
    }

    #[test]
    fn an_even_network_asks_for_the_shortest_wait() {
        assert_eq!(fed(500, |_| 30).target(), SHORTEST);
    }

    #[test]
    fn late_packets_lengthen_the_wait_up_to_the_bound() {
        let some = fed(500, |i| (i % 10) * 10).target();
        assert!((90 * MS..=120 * MS).contains(&some), "{some}");
        assert_eq!(fed(500, |i| (i % 4) * 300).target(), LONGEST);
    }

    #[test]
    fn one_hiccup_does_not() {
        assert_eq!(
            fed(500, |i| if i == 250 { 150 } else { 0 }).target(),
            SHORTEST
        );
    }

    #[test]
    fn after_the_jitter_the_wait_is_short_again() {
        let calm = fed(3_000, |i| if i < 500 { (i % 10) * 10 } else { 0 });
        assert_eq!(calm.target(), SHORTEST);
    }

    #[test]
    fn a_clock_that_runs_slow_moves_the_floor_and_not_the_wait() {
        // 100 ppm for 20 minutes: 120 ms.
        let slow = fed(60_000, |i| i / 500);
        assert_eq!(slow.target(), SHORTEST);
        assert!(slow.floor().unwrap() >= 117 * MS);
    }

    #[test]
    fn a_wait_is_shortened_only_after_it_was_too_long_throughout() {
        let mut delay = fed(500, |_| 0);
        let long = SHORTEST + 100 * MS;
        delay.tick(SHORTEST);
        (1..WINDOW).for_each(|_| delay.tick(long));
        assert_eq!(delay.change(long), Change::Keep);
        (0..WINDOW).for_each(|_| delay.tick(long));
        assert_eq!(delay.change(long), Change::Shorten);
        delay.changed(-FRAME_TICKS);
        assert_eq!(delay.change(long), Change::Keep, "not twice in a row");
        assert_eq!(delay.change(SHORTEST - FRAME_TICKS), Change::Keep);
        (0..REST).for_each(|_| delay.tick(long));
        assert_eq!(delay.change(SHORTEST - FRAME_TICKS), Change::Lengthen);
    }
}
