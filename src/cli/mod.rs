//! The commands of `caal`: arguments, what they print, exit codes. One file per command.

mod agent;
pub mod bench;
mod chat;
mod conversations;
mod doctor;
mod doors;
mod failure;
mod memory;
mod models;
mod out;
mod plot;
mod say;
mod serve;
mod server;
mod settings;
pub mod talk;
mod timers;
mod transcribe;
pub mod wake;

use std::{path::PathBuf, sync::Arc};

use clap::{ArgAction, Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

use out::remark;

pub use failure::{ExitCode, Failure};

use crate::{
    app::{self, App, Place},
    settings::{Live, Settings, Sources},
    telemetry::Reader,
    turn::TurnConfig,
};

/// A local voice assistant: hears, thinks and speaks on your own machine.
#[derive(Debug, Parser)]
#[command(
    name = "caal",
    version,
    after_help = "First time here?\n  caal doctor            what is there, what is missing, the one next step\n  caal models pull       fetch the default models, once\n  caal talk              talk to it through microphone and speakers\n  caal say \"Hello\" -o hello.wav    hear its voice\n  caal settings list     what can be set, and where it comes from"
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Global {
    /// Folder of the model files (setting models_dir).
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Options of every command"
    )]
    pub models: Option<PathBuf>,
    /// Processor for the models: cpu or cuda (setting device).
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help_heading = "Options of every command"
    )]
    pub device: Option<String>,
    /// Processor cores that one model may use (setting threads).
    #[arg(
        long,
        global = true,
        value_name = "N",
        help_heading = "Options of every command"
    )]
    pub threads: Option<String>,
    /// Say more in the log; twice for everything.
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Options of every command")]
    pub verbose: u8,
}

/// What `caal` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: page and HTTP API on :8889, rooms on :7880 or on a LiveKit server.
    Serve(serve::Args),
    /// Join one room of a LiveKit server by its name.
    Agent(agent::Args),
    /// Hold a spoken conversation through microphone and loudspeakers, or through files.
    Talk(talk::Args),
    /// Hold a conversation in writing with the server of this machine.
    Chat(chat::Args),
    /// Speak a text into a WAV file.
    Say(say::Args),
    /// Write down what is said in a WAV file.
    Transcribe(transcribe::Args),
    /// Find wake words in a WAV file.
    Wake(wake::Args),
    /// Model files: list, pull, verify, rm.
    Models(models::Args),
    /// What was said and is kept: list, show, delete, export.
    Conversations(conversations::Args),
    /// What it was asked to remember: list, forget, clear.
    Memory(memory::Args),
    /// Settings: list, get, set, unset, explain.
    Settings(settings::Args),
    /// Timers, alarms and reminders of the running server: list, cancel.
    Timers(timers::Args),
    /// What is there, what is missing, the one next step.
    Doctor(doctor::Args),
    /// Measure speed and quality on this machine.
    Bench(bench::Args),
}

impl Cli {
    /// Who reads the log of this command.
    pub fn log_reader(&self) -> Reader {
        match self.command {
            Command::Serve(_) | Command::Agent(_) => Reader::Journal,
            _ => Reader::Person,
        }
    }

    /// Checks the settings, flags first.
    ///
    /// # Errors
    ///
    /// All wrong values at once, but for the command that mends them.
    pub fn settings(&self, mut sources: Sources) -> Result<Live, Failure> {
        let Global {
            models,
            device,
            threads,
            verbose: _,
        } = &self.global;
        let models = models.as_ref().map(|p| p.display().to_string());
        for (key, value) in [
            ("models_dir", &models),
            ("device", device),
            ("threads", threads),
        ] {
            if let Some(value) = value {
                sources.flags.insert(key, value.clone());
            }
        }
        if let Command::Talk(args) = &self.command
            && let Some(voice) = &args.voice
        {
            sources.flags.insert("tts_voice_kokoro", voice.clone());
        }
        let live = match self.command {
            Command::Settings(_) => Live::open_to_mend(sources),
            _ => Live::open(sources)?,
        };
        live.judged_by(app::judge());
        Ok(live)
    }

    /// Does what was asked; the settings are `live`.
    ///
    /// # Errors
    ///
    /// What [`Failure`] says.
    pub async fn run(self, live: Live) -> Result<ExitCode, Failure> {
        let settings = (*live.current()).clone();
        match self.command {
            Command::Serve(args) => serve::run(args, settings, live).await,
            Command::Agent(args) => agent::run(args, settings, live).await,
            Command::Talk(args) => converse(args, settings, live).await,
            Command::Timers(args) => timers::run(args, settings).await,
            Command::Doctor(args) => doctor::run(args, settings).await,
            Command::Chat(args) => chat::run(args, settings).await,
            Command::Say(args) => say::run(args, settings).await,
            Command::Transcribe(args) => transcribe::run(args, settings).await,
            Command::Wake(args) => {
                wake::run(&args, &settings.models_dir, &app::runtime(&settings)?)
            }
            Command::Models(args) => models::run(args, settings).await,
            Command::Conversations(args) => conversations::run(args, &settings).await,
            Command::Memory(args) => memory::run(args, &settings).await,
            Command::Settings(args) => settings::run(args, &live),
            Command::Bench(args) => bench::run(args, settings).await,
        }
    }
}

/// `caal talk`: what can be wrong with the arguments is found before seconds go into loading models.
async fn converse(args: talk::Args, settings: Settings, live: Live) -> Result<ExitCode, Failure> {
    if let Some(code) = args.check()? {
        return Ok(code);
    }
    app::check_voice(&settings)?;
    app::check_wake_words(&settings, &args.wake)?;
    remark("caal: loading the models…");
    let app = Arc::new(App::build(settings).await?);
    remark(format_args!("caal: {}", app.greeting()));
    let setting = app.conversation(Place::Here {
        turn: args.turn(TurnConfig::default()),
        wake: Some(args.wake.clone()),
    })?;
    let following = async {
        tokio::join!(live.follow(), app.follow(&live));
    };
    tokio::select! {
        ended = talk::run(&args, setting, app.turned()) => ended,
        () = following => unreachable!("neither ends"),
    }
}

/// The signals that ask the process to stop: Ctrl-C and SIGTERM. From its making on none is lost,
/// whether somebody waits or not, and none ends the process by itself: make it once, first thing.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// # Errors
    ///
    /// When the system gives no handlers.
    pub(crate) fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|e| Failure::internal(format!("no signals can be had ({e})")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Resolves at the next signal, or at once where one came since the last. Dropping it loses none.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
