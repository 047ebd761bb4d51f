//! `caal bench rooms`: conversations in LiveKit rooms as their people hear them, and how many the machine
//! carries. `voice` measures one person's turns and interruptions with a stock client and the product as a
//! process of its own; `many` measures many rooms at once.

mod many;
mod people;
mod prepared;
mod product;
mod scripted;
mod voice;

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{Summary, recordings::OURS};
use crate::{
    cli::{Failure, out::say},
    settings::Settings,
};

/// Arguments of `caal bench rooms`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "voice and interrupt need Python with LiveKit's SDK, and a livekit-server only for the second room:\n  caal bench rooms voice interrupt --speech DIR \\\n    --peer-python \"$(scripts/real-parts/livekit-python.sh)\" --livekit-server \"$(scripts/real-parts/livekit-server.sh)\"\nThirty turns take 7 minutes in each room. Settings come from the environment; the settings file is not read."
)]
pub struct Args {
    /// What to measure, several in turn; all where nothing is named.
    #[arg(value_enum, value_name = "WHAT")]
    what: Vec<What>,
    /// Folder of recordings with manifest.tsv: columns path, transcript, category, label, parted by tabs.
    /// Questions and commands (category command) are asked first, then read sentences (asr).
    #[arg(long, value_name = "DIR", default_value = OURS)]
    speech: PathBuf,
    /// A Python with LiveKit's SDK: the stock client.
    #[arg(long, value_name = "PYTHON", default_value = "python3")]
    peer_python: PathBuf,
    /// A livekit-server to measure beside our own room.
    #[arg(long, value_name = "BINARY")]
    livekit_server: Option<PathBuf>,
    /// Questions asked.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = at_least_one)]
    turns: usize,
    /// Answers cut short.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = at_least_one)]
    interruptions: usize,
    /// Rooms of crowd.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = at_least_one)]
    sessions: usize,
    /// Rooms of idle.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = at_least_one)]
    asleep: usize,
    /// How long crowd and idle are watched.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Print JSON, at the end.
    #[arg(long)]
    json: bool,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Last sample of a question sent → first audible sample of the answer received, stage by stage;
    /// CPU and memory of the server. The language model is a script: 100 ms, then 30 words a second.
    Voice,
    /// First audible sample of an interruption sent → last audible sample of the answer received.
    Interrupt,
    /// Rooms in which everybody is heard and answered at once: CPU, memory, lateness of the 20 ms pacer,
    /// packets lost. Speech recognition and voice are prepared; wake word, VAD, Opus and WebRTC are not.
    Crowd,
    /// Rooms that wait for their wake word, microphones open: CPU and memory of each.
    Idle,
    /// The people of crowd and idle, started by them.
    #[value(hide = true)]
    People,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number from 1 on".to_owned()),
        Ok(n) => Ok(n),
    }
}

/// Runs what is asked for, one after the other.
///
/// # Errors
///
/// When a part is missing or ends too soon.
pub async fn run(args: &Args, settings: &Settings) -> Result<(), Failure> {
    let what = match &args.what[..] {
        [] => &[What::Voice, What::Interrupt, What::Crowd, What::Idle],
        [What::People] => return people::run().await,
        some => some,
    };
    let mut reports = Vec::new();
    for what in what {
        match what {
            What::Voice => {
                for server in places(args) {
                    reports.push(voice::voice(args, settings, server).await?);
                }
            }
            What::Interrupt => {
                for server in places(args) {
                    reports.push(voice::interrupt(args, settings, server).await?);
                }
            }
            What::Crowd => reports.push(many::crowd(args, settings).await?),
            What::Idle => reports.push(many::idle(args, settings).await?),
            What::People => {}
        }
    }
    if args.json {
        say(serde_json::to_string_pretty(&reports).expect("numbers and names are JSON"))?;
    }
    Ok(())
}

/// Our own room, and the real server's where there is one.
fn places(args: &Args) -> impl Iterator<Item = Option<&Path>> {
    let server = args.livekit_server.as_deref().map(Some);
    std::iter::once(None).chain(server)
}

/// The head of a table of summaries.
fn head(unit: &str) -> Result<(), Failure> {
    say(format_args!(
        "\n{unit:<40} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "p50", "p90", "p95", "p99", "max"
    ))
}

/// A line of it; none where nothing was measured.
fn row(name: &str, summary: Option<&Summary>) -> Result<(), Failure> {
    match summary {
        Some(s) => say(format_args!(
            "{name:<40} {:>8.1} {:>8.1} {:>8.1} {:>8.1} {:>8.1}",
            s.p50, s.p90, s.p95, s.p99, s.max
        )),
        None => Ok(()),
    }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "?".to_owned(), |v| format!("{v:.digits$}"))
}
