//! `caal bench serve`: what the idle server costs. Starts this very binary as a child.

use std::{process::Stdio, time::Duration};

use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::{
    cli::{Failure, out::say},
    settings::Settings,
};

/// Arguments of `caal bench serve`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Seconds to watch the idle server.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Longest start that is still worth waiting for.
const START_LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug, Serialize)]
struct Report {
    /// From the start of the process to "ready".
    ready_seconds: f64,
    /// Resident memory before any model is loaded.
    without_models_mb: f64,
    /// Resident memory when idle.
    idle_mb: f64,
    /// Share of one core while idle.
    idle_cpu_percent: f64,
}

/// Starts the server, waits until it is ready, watches it idle, stops it.
///
/// # Errors
///
/// When it does not start.
pub async fn run(args: &Args, settings: &Settings) -> Result<(), Failure> {
    let failed = |what: &str| Failure::internal(format!("the server {what}; see: caal serve"));
    let program = std::env::current_exe().map_err(|e| Failure::internal(e.to_string()))?;
    let started = Instant::now();
    let mut child = Command::new(program)
        .args(["serve", "--port", "0", "--models"])
        .arg(&settings.models_dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| Failure::internal(e.to_string()))?;
    let pid = child.id().ok_or_else(|| failed("ended at once"))?;
    // Its first word on standard error: sockets are open, no model is loaded.
    let mut errors = BufReader::new(child.stderr.take().expect("piped above")).lines();
    timeout(START_LIMIT, errors.next_line())
        .await
        .ok()
        .and_then(Result::ok)
        .flatten()
        .ok_or_else(|| failed("said nothing"))?;
    let without_models_mb = resident_mb(pid).ok_or_else(|| failed("ended at once"))?;
    let mut lines = BufReader::new(child.stdout.take().expect("piped above")).lines();
    let ready = async {
        while let Ok(Some(line)) = lines.next_line().await {
            if line.starts_with("Ready") {
                return true;
            }
        }
        false
    };
    if !timeout(START_LIMIT, ready).await.unwrap_or(false) {
        return Err(failed("did not become ready"));
    }
    let ready_seconds = started.elapsed().as_secs_f64();
    // Loading leaves work behind (allocators, page cache): let it settle before measuring.
    sleep(Duration::from_secs(3)).await;
    let (before, at) = (super::stats::cpu_seconds_of(pid), Instant::now());
    sleep(Duration::from_secs(args.seconds)).await;
    let busy = super::stats::cpu_seconds_of(pid)
        .zip(before)
        .map(|(b, a)| b - a);
    let report = Report {
        ready_seconds,
        without_models_mb,
        idle_mb: resident_mb(pid).ok_or_else(|| failed("ended while idle"))?,
        idle_cpu_percent: 100.0 * busy.ok_or_else(|| failed("ended while idle"))?
            / at.elapsed().as_secs_f64(),
    };
    stop(&mut child).await;
    if args.json {
        say(serde_json::to_string_pretty(&report).expect("plain numbers"))?;
    } else {
        say(format_args!(
            "serve, idle                ready after {:.2} s",
            report.ready_seconds
        ))?;
        say(format_args!(
            "  memory                   {:.0} MB",
            report.idle_mb
        ))?;
        say(format_args!(
            "  memory without models    {:.0} MB",
            report.without_models_mb
        ))?;
        say(format_args!(
            "  CPU                      {:.2} % of one core",
            report.idle_cpu_percent
        ))?;
    }
    Ok(())
}

async fn stop(child: &mut Child) {
    // A hard kill is fine: an idle server holds nothing that could be lost.
    let _ = child.kill().await;
}

fn resident_mb(pid: u32) -> Option<f64> {
    super::stats::memory_mb_of(pid, "VmRSS:")
}
