//! `caal bench fast`: how long the fast path takes to understand, and what it takes for a command among the
//! transcripts of recordings.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use serde::Serialize;

use super::{
    recordings::{OURS, manifest},
    stats::Summary,
};
use crate::{
    cli::{Failure, out::say},
    tools::fast::{Now, understand},
};

/// Arguments of `caal bench fast`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of recordings with manifest.tsv: columns path, transcript, category, parted by tabs. Those of
    /// the category command are commands and questions, of others people talk or read.
    #[arg(long, value_name = "DIR")]
    speech: Option<PathBuf>,
    /// How often each transcript is understood.
    #[arg(long, value_name = "N", default_value_t = 100)]
    rounds: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    /// Transcripts that are no commands.
    others: usize,
    /// Those of them that were taken for one, with the tool.
    false_triggers: Vec<String>,
    /// Transcripts of commands and questions.
    commands: usize,
    /// Those of them that were understood, with the tool.
    understood: Vec<String>,
    /// Those that are left to the language model.
    left: Vec<String>,
    /// Microseconds of one sentence.
    microseconds: Option<Summary>,
}

/// A moment for "tomorrow".
const NOW: Now = Now {
    year: 2026,
    month: 11,
    day: 23,
    hour: 21,
    minute: 0,
};

/// Prints the figures.
///
/// # Errors
///
/// Where the list of recordings cannot be read.
pub fn run(args: &Args) -> Result<(), Failure> {
    let folder = args.speech.as_deref().unwrap_or(Path::new(OURS));
    let mut report = Report::default();
    let mut times = Vec::new();
    for entry in manifest(folder, "transcript")? {
        let words = entry.transcript;
        if words.is_empty() {
            continue;
        }
        let plan = understand(&words, Some(NOW));
        let line = |tool: &str| format!("{words} -> {tool}");
        match (entry.category.starts_with("command"), plan) {
            (true, Some(plan)) => report.understood.push(line(plan.tool)),
            (true, None) => report.left.push(words.clone()),
            (false, Some(plan)) => report.false_triggers.push(line(plan.tool)),
            (false, None) => {}
        }
        report.commands += usize::from(entry.category.starts_with("command"));
        report.others += usize::from(!entry.category.starts_with("command"));
        for _ in 0..args.rounds {
            let begun = Instant::now();
            std::hint::black_box(understand(std::hint::black_box(&words), Some(NOW)));
            times.push(begun.elapsed().as_secs_f64() * 1e6);
        }
    }
    let time = Summary::of(&times)
        .ok_or_else(|| Failure::request("no recording of the list has a transcript".to_owned()))?;
    report.microseconds = Some(time);
    if args.json {
        let json = serde_json::to_string(&report).map_err(|e| Failure::internal(e.to_string()))?;
        return say(json);
    }
    say(format_args!(
        "understand: median {:.1} µs, p99 {:.1} µs, longest {:.1} µs of {}",
        time.p50, time.p99, time.max, time.count
    ))?;
    say(format_args!(
        "false triggers: {} of {} transcripts that are no commands",
        report.false_triggers.len(),
        report.others
    ))?;
    for line in &report.false_triggers {
        say(format_args!("  {line}"))?;
    }
    say(format_args!(
        "understood: {} of {} commands and questions",
        report.understood.len(),
        report.commands
    ))?;
    for line in &report.understood {
        say(format_args!("  {line}"))?;
    }
    say("left to the language model:")?;
    for line in &report.left {
        say(format_args!("  {line}"))?;
    }
    Ok(())
}
