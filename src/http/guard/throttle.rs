//! How often something may go wrong: so many times a minute for one address, and for all together. Memory
//! is bounded: what is full is forgotten first.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    time::{Duration, Instant},
};

/// Addresses that are counted at once.
const ADDRESSES: usize = 10_000;

/// Addresses that are remembered because they got in.
const KNOWN: usize = 256;

/// How many times as often those may fail: a program with an old key shall not keep the others of its house out.
const PATIENCE: f64 = 60.0;

/// How often addresses that have nothing more to count are looked for.
const SWEEP: Duration = Duration::from_secs(10);

/// A bucket that fills with time and is emptied by use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    level: f64,
    told: Option<Instant>,
    most: f64,
}

impl Bucket {
    /// Full with `most`, and filled again within a minute.
    pub(super) const fn per_minute(most: f64) -> Self {
        Self {
            level: most,
            told: None,
            most,
        }
    }

    fn level(&self, now: Instant) -> f64 {
        let since = self.told.map_or(Duration::ZERO, |t| now.duration_since(t));
        (self.level + since.as_secs_f64() * self.most / 60.0).min(self.most)
    }

    /// Whether there is one in it.
    pub(super) fn has(&self, now: Instant) -> bool {
        self.level(now) >= 1.0
    }

    /// Takes one out; `false` and nothing where there is none.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let level = self.level(now);
        self.told = Some(now);
        self.level = level;
        if level >= 1.0 {
            self.level -= 1.0;
        }
        level >= 1.0
    }
}

/// The failures of the last minute.
#[derive(Debug)]
pub(super) struct Failures {
    each: HashMap<IpAddr, Bucket>,
    new: Bucket,
    all: Bucket,
    swept: Option<Instant>,
    known: VecDeque<IpAddr>,
}

impl Failures {
    /// `each` a minute from one address, `all` from all together.
    pub(super) fn per_minute(each: f64, all: f64) -> Self {
        Self {
            each: HashMap::new(),
            new: Bucket::per_minute(each),
            all: Bucket::per_minute(all),
            swept: None,
            known: VecDeque::new(),
        }
    }

    /// Whether `address` may try: it has not failed too often, nor have all together. One that got in
    /// before does not wait for the others.
    pub(super) fn may_try(&self, address: IpAddr, now: Instant) -> bool {
        let address = network(address);
        let own = self.each.get(&address);
        let all = || self.all.has(now) || self.known.contains(&address);
        own.is_none_or(|bucket| bucket.has(now)) && all()
    }

    /// Notes that `address` got in. What it failed before is forgiven.
    pub(super) fn succeed(&mut self, address: IpAddr) {
        let address = network(address);
        if self.known.contains(&address) {
            return;
        }
        self.each.remove(&address);
        if self.known.len() >= KNOWN {
            self.known.pop_front();
        }
        self.known.push_back(address);
    }

    /// Notes a failure of `address`.
    pub(super) fn note(&mut self, address: IpAddr, now: Instant) {
        self.all.take(now);
        if self.each.len() >= ADDRESSES {
            let due = |t| now.duration_since(t) >= SWEEP;
            if self.swept.is_none_or(due) {
                self.swept = Some(now);
                self.each
                    .retain(|_, bucket| bucket.level(now) < bucket.most);
            }
            if self.each.len() >= ADDRESSES && !self.each.contains_key(&network(address)) {
                // So many at once are held back by what all may do together.
                return;
            }
        }
        let address = network(address);
        let new = match self.known.contains(&address) {
            true => Bucket::per_minute(self.new.most * PATIENCE),
            false => self.new,
        };
        self.each.entry(address).or_insert(new).take(now);
    }
}

/// What one person has: an address of IPv4, a /64 of IPv6.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn who_fails_too_often_waits_and_others_do_not() {
        let mut failures = Failures::per_minute(3.0, 100.0);
        let start = Instant::now();
        for _ in 0..3 {
            assert!(failures.may_try(at(1), start));
            failures.note(at(1), start);
        }
        assert!(!failures.may_try(at(1), start));
        assert!(failures.may_try(at(2), start));
        assert!(failures.may_try(at(1), start + Duration::from_secs(21)));
    }

    #[test]
    fn many_who_fail_hold_back_strangers_but_nobody_who_is_known() {
        let mut failures = Failures::per_minute(10.0, 50.0);
        let start = Instant::now();
        (0..50).for_each(|n| failures.note(at(n), start));
        assert!(!failures.may_try(at(99), start));
        failures.succeed(at(99));
        assert!(failures.may_try(at(99), start));
        (100..100 + KNOWN as u32).for_each(|n| failures.succeed(at(n)));
        assert!(!failures.may_try(at(99), start));
    }

    #[test]
    fn who_got_in_may_be_wrong_more_often_and_not_for_ever() {
        let mut failures = Failures::per_minute(3.0, 1e9);
        let start = Instant::now();
        (0..2).for_each(|_| failures.note(at(1), start));
        failures.succeed(at(1));
        (0..179).for_each(|_| failures.note(at(1), start));
        assert!(failures.may_try(at(1), start));
        failures.note(at(1), start);
        assert!(!failures.may_try(at(1), start));
    }

    #[test]
    fn memory_for_strangers_is_bounded() {
        let mut failures = Failures::per_minute(3.0, 1e9);
        let start = Instant::now();
        (0..ADDRESSES as u32 + 500).for_each(|n| failures.note(at(n), start));
        assert_eq!(failures.each.len(), ADDRESSES);
        // A minute later all are forgiven, and there is room again.
        let later = start + Duration::from_secs(61);
        failures.note(at(u32::MAX), later);
        assert_eq!(failures.each.len(), 1);
    }

    #[test]
    fn a_house_of_ipv6_is_one_address() {
        let one: IpAddr = "2001:db8:1:2:3::4".parse().unwrap();
        let two: IpAddr = "2001:db8:1:2:9::9".parse().unwrap();
        let far: IpAddr = "2001:db8:1:3::4".parse().unwrap();
        assert_eq!(network(one), network(two));
        assert_ne!(network(one), network(far));
        assert_eq!(network("::ffff:10.0.0.1".parse().unwrap()), at(0x0a00_0001));
    }
}
