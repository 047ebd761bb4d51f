//! Medians and percentiles, and what this process has used so far.

use std::fs;

use crate::telemetry;

/// Order statistics of a set of measurements, in their own unit.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Number of measurements.
    pub count: usize,
    /// Smallest.
    pub min: f64,
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

impl Summary {
    /// `None` for no measurement. Percentiles are linear between the two nearest ranks.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |q: f64| {
            let rank = q * (sorted.len() - 1) as f64;
            let (low, high) = (rank.floor() as usize, rank.ceil() as usize);
            sorted[low] + (sorted[high] - sorted[low]) * rank.fract()
        };
        (!sorted.is_empty()).then(|| Self {
            count: sorted.len(),
            min: at(0.0),
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            max: at(1.0),
        })
    }
}

/// Peak resident memory of this process in MB (10⁶ bytes); `None` where `/proc` has none.
pub fn peak_rss_mb() -> Option<f64> {
    status_mb(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// User and system time that this process has used, in seconds; `None` where `/proc` has none.
pub fn cpu_seconds() -> Option<f64> {
    telemetry::cpu_seconds(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// User and system time that a process has used, in seconds; `None` where it is gone.
pub(super) fn cpu_seconds_of(pid: u32) -> Option<f64> {
    telemetry::cpu_seconds(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// A memory row (`VmRSS:`, `VmHWM:`) of a process, in MB (10⁶ bytes); `None` where it is gone.
pub(super) fn memory_mb_of(pid: u32, row: &str) -> Option<f64> {
    status_mb(
        &fs::read_to_string(format!("/proc/{pid}/status")).ok()?,
        row,
    )
}

/// A memory row of `/proc/PID/status`, in MB (10⁶ bytes).
pub(super) fn status_mb(status: &str, row: &str) -> Option<f64> {
    let line = status.lines().find_map(|l| l.strip_prefix(row))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_the_nearest_ranks() {
        let summary = Summary::of(&[4.0, 1.0, 3.0, 2.0]).expect("four values");
        assert_eq!((summary.min, summary.p50, summary.max), (1.0, 2.5, 4.0));
        assert_eq!(Summary::of(&[7.0]).expect("one value").p95, 7.0);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn this_process_has_used_something() {
        assert!(peak_rss_mb().expect("Linux") > 1.0);
        assert!(cpu_seconds().expect("Linux") >= 0.0);
    }
}
