//! How much a stranger may ask for: joins a minute, bytes a second. Memory for it is bounded, too. And how
//! often a refusal may be told in the log.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// Names that are counted at once; when there are more, everybody is held back until some have cooled.
const NAMES: usize = 10_000;

/// A bucket that fills with time and is emptied by use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    level: f64,
    told: Option<Instant>,
    per_second: f64,
    most: f64,
}

impl Bucket {
    /// Full with `most`, filled with `per_second`.
    pub(super) fn new(per_second: f64, most: f64) -> Self {
        Self {
            level: most,
            told: None,
            per_second,
            most,
        }
    }

    /// Takes `n` out; `false` and nothing when there is less.
    pub(super) fn take(&mut self, n: f64, now: Instant) -> bool {
        let since = self.told.map_or(Duration::ZERO, |t| now.duration_since(t));
        self.told = Some(now);
        self.level = (self.level + since.as_secs_f64() * self.per_second).min(self.most);
        let enough = self.level >= n;
        if enough {
            self.level -= n;
        }
        enough
    }

    fn is_full(&self, now: Instant) -> bool {
        let since = self.told.map_or(Duration::ZERO, |t| now.duration_since(t));
        self.level + since.as_secs_f64() * self.per_second >= self.most
    }
}

/// A bucket for each name.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    each: HashMap<K, Bucket>,
    new: Bucket,
}

impl<K: Eq + Hash> Buckets<K> {
    pub(super) fn per_minute(n: f64) -> Self {
        Self {
            each: HashMap::new(),
            new: Bucket::new(n / 60.0, n),
        }
    }

    /// Whether `name` may once more.
    pub(super) fn take(&mut self, name: K, now: Instant) -> bool {
        if self.each.len() >= NAMES {
            self.each.retain(|_, bucket| !bucket.is_full(now));
            if self.each.len() >= NAMES && !self.each.contains_key(&name) {
                return false;
            }
        }
        self.each.entry(name).or_insert(self.new).take(1.0, now)
    }
}

/// Lets a line into the log at most every ten seconds.
#[derive(Debug, Default)]
pub(super) struct Rarely {
    last: Option<Instant>,
}

impl Rarely {
    pub(super) fn now(&mut self, now: Instant) -> bool {
        let due = self
            .last
            .is_none_or(|t| now.duration_since(t) >= Duration::from_secs(10));
        if due {
            self.last = Some(now);
        }
        due
    }
}
