//! What Linux knows of this process: memory, processor time, open files. Read when somebody asks;
//! elsewhere than on Linux there is nothing to read, and nothing is told.

use std::{fs, time::SystemTime};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Linux reports clock ticks of 10 ms to every user program (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Process {
    /// Seconds of the calendar.
    started: f64,
}

impl Process {
    /// Its start is when the first meter is made: the first moments of the process.
    pub(super) fn new() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            started: since.map_or(0.0, |since| since.as_secs_f64()),
        }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut gauge = |name: &str, help: &str, unit: Option<Unit>, value: Option<f64>| {
            let Some(value) = value else { return Ok(()) };
            let one = encoder.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
            ConstGauge::new(value).encode(one)
        };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let open = fs::read_dir("/proc/self/fd").ok();
        gauge(
            "process_resident_memory",
            "Memory in use",
            Some(Unit::Bytes),
            row(&status, "VmRSS:").map(|kib| kib * 1024.0),
        )?;
        gauge(
            "process_virtual_memory",
            "Address space in use",
            Some(Unit::Bytes),
            row(&status, "VmSize:").map(|kib| kib * 1024.0),
        )?;
        gauge("process_threads", "Threads", None, row(&status, "Threads:"))?;
        gauge(
            "process_open_fds",
            "Open files and sockets",
            None,
            // One of them is the look itself.
            open.map(|open| open.count().saturating_sub(1) as f64),
        )?;
        gauge(
            "process_max_fds",
            "How many may be open",
            None,
            row(&limits, "Max open files"),
        )?;
        gauge(
            "process_start_time",
            "When the process began, in seconds since 1970",
            Some(Unit::Seconds),
            Some(self.started),
        )?;
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        if let Some(seconds) = cpu_seconds(&stat) {
            let one = encoder.encode_descriptor(
                "process_cpu",
                "Processor time used, of the user's and the system's side",
                Some(&Unit::Seconds),
                MetricType::Counter,
            )?;
            ConstCounter::new(seconds).encode(one)?;
        }
        Ok(())
    }
}

/// The first number in the row that begins with `name`.
fn row(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// User and system time in the text of `/proc/PID/stat`, in seconds; `None` where it is no such text.
pub fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name in parentheses may hold spaces: count from its end. utime and stime are 14 and 15.
    let rest = &stat[stat.rfind(')')? + 1..];
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_proc_are_read_whatever_the_name_of_the_program() {
        let status = "Name:\tcaal\nVmRSS:\t  2048 kB\nThreads:\t17\n";
        assert_eq!(row(status, "VmRSS:"), Some(2048.0));
        assert_eq!(row(status, "VmSize:"), None);
        let limits =
            "Limit   Soft Limit  Hard Limit  Units\nMax open files   1024   4096   files\n";
        assert_eq!(row(limits, "Max open files"), Some(1024.0));
        let stat = "7 (a b) c) R 1 2 3 4 5 6 7 8 9 10 250 50 0 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
    }
}
