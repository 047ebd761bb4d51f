//! `caal bench`: the tables of docs/benchmarks.md, on the user's own machine. Statistics and the word
//! error rate stand here; each bench has a file of its own.

pub mod fast;
pub mod load;
mod peer;
mod readback;
mod recordings;
pub mod rooms;
pub mod serve;
mod stats;
pub mod stt;
pub mod tools;
pub mod tts;
pub mod turn;
pub mod wake;
mod words;

use std::path::PathBuf;

use clap::Subcommand;

use super::{
    ExitCode, Failure,
    out::{remark, say},
};
use crate::{
    app::{self, App, Place},
    models::Store,
    settings::Settings,
    turn::TurnConfig,
};

pub use stats::{Summary, cpu_seconds, peak_rss_mb};
pub use words::{WordErrors, normalize_words, word_errors};

/// Arguments of `caal bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum Which {
    /// Speech recognition: milliseconds and word errors, beside faster-whisper with --peer.
    Stt(stt::Args),
    /// Speech synthesis: milliseconds per second of sound, beside kokoro-onnx with --peer; the first
    /// sound; words heard again with --read-back.
    Tts(tts::Args),
    /// Wake word: what an hour of listening costs, and what is heard, beside openwakeword with --peer.
    Wake(wake::Args),
    /// A whole turn: last speech to first audible answer, with the time of each stage.
    Turn(turn::Args),
    /// The idle server: memory and CPU.
    Serve(serve::Args),
    /// The fast path: time to understand, false triggers and commands among transcripts.
    Fast(fast::Args),
    /// The first spoken word with 0, 10 and 100 tools, read anew and read before.
    Tools(tools::Args),
    /// A conversation beside 500 requests a second to the HTTP API.
    Load(load::Args),
    /// Rooms: voice to voice as a LiveKit client hears it, interruption to silence, many rooms at once.
    Rooms(rooms::Args),
    /// All but tools, load and rooms (which needs LiveKit's SDK), one after the other, each in a process of its own.
    All(AllArgs),
}

/// Arguments of `caal bench all`.
#[derive(Debug, clap::Args)]
struct AllArgs {
    /// Folder of recordings with manifest.tsv: columns path, transcript, category, label, parted by
    /// tabs. Without it stt and turn hear the few of the repository, wake a synthetic sound.
    #[arg(long, value_name = "DIR")]
    speech: Option<PathBuf>,
    #[command(flatten)]
    peer: peer::PeerArgs,
}

/// Benches that take a peer and recordings, and those that do not.
const ALL: [(&str, bool, bool); 6] = [
    ("stt", true, true),
    ("tts", true, false),
    ("wake", true, true),
    ("turn", false, true),
    ("serve", false, false),
    ("fast", false, true),
];

pub(super) async fn run(args: Args, settings: Settings) -> Result<ExitCode, Failure> {
    match args.which {
        Which::Stt(args) => {
            let model =
                Store::new(&settings.models_dir).resolve_whisper(&settings.whisper_model)?;
            stt::run(&args, &app::runtime(&settings)?, &model)?;
        }
        Which::Tts(args) => {
            let store = Store::new(&settings.models_dir);
            let kokoro = store.path("kokoro-82m");
            let runtime = app::runtime(&settings)?;
            let stt = || app::stt(&settings, || Ok(runtime.clone()));
            tts::run(&args, &runtime, &kokoro, stt).await?;
        }
        Which::Wake(args) => wake::run(&args, &settings.models_dir, &app::runtime(&settings)?)?,
        Which::Turn(args) => {
            let app = App::build(settings).await?;
            remark(format_args!("caal: {}", app.greeting()));
            let place = Place::Here {
                turn: TurnConfig::default(),
                wake: Some(Vec::new()),
            };
            return turn::run(&args, || app.conversation(place.clone())).await;
        }
        Which::Serve(args) => serve::run(&args, &settings).await?,
        Which::Fast(args) => fast::run(&args)?,
        Which::Tools(args) => {
            let app = App::build(settings).await?;
            remark(format_args!("caal: {}", app.greeting()));
            let setting = app.conversation(Place::Here {
                turn: TurnConfig::default(),
                wake: Some(Vec::new()),
            })?;
            tools::run(&args, &setting).await?;
        }
        Which::Load(args) => return load::run(&args, &settings).await,
        Which::Rooms(args) => rooms::run(&args, &settings).await?,
        Which::All(args) => return all(&args, &settings).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// One child per bench, so that the peak memory of one is not the other's.
async fn all(args: &AllArgs, settings: &Settings) -> Result<ExitCode, Failure> {
    let program = std::env::current_exe().map_err(|e| Failure::internal(e.to_string()))?;
    let threads = settings.threads.map_or(0, |n| n.get()).to_string();
    let mut failed = false;
    for (bench, has_peer, has_speech) in ALL {
        say(format_args!("\n== {bench}"))?;
        let mut child = tokio::process::Command::new(&program);
        child
            .arg("--models")
            .arg(&settings.models_dir)
            .args(["--device", settings.device.name()])
            .args(["--threads", &threads])
            .args(["bench", bench]);
        if has_peer && args.peer.peer {
            child
                .arg("--peer")
                .arg("--peer-python")
                .arg(&args.peer.peer_python);
        }
        if let (Some(speech), true) = (&args.speech, has_speech) {
            child.arg("--speech").arg(speech);
        }
        let status = child
            .status()
            .await
            .map_err(|e| Failure::internal(e.to_string()))?;
        failed |= !status.success();
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_are_all() {
        let command = Which::augment_subcommands(clap::Command::new("bench"));
        let known: BTreeSet<_> = command
            .get_subcommands()
            .map(|c| c.get_name().to_owned())
            // The last three want a server, a person or a model that takes tools.
            .filter(|name| !["all", "load", "rooms", "tools"].contains(&name.as_str()))
            .collect();
        assert_eq!(known, ALL.map(|(name, ..)| name.to_owned()).into());
    }
}
