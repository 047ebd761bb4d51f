//! `caal talk`: a spoken conversation through microphone and speakers, or through files.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};

use tokio::sync::watch;

use super::{
    ExitCode, Failure, StopSignals,
    out::{remark, say, writable},
};
use crate::{
    audio::{self, Hz16k, Pcm, wav},
    fault::Fault,
    llm::fallback::Turned,
    local::{
        device::{self, DeviceError, Devices, Missing},
        display::{Display, Style},
        file::{self, Options, Speed},
    },
    session::{Effect, Setting, Watch},
    turn::{Activation, Duplex, TurnConfig},
};

/// Arguments of `caal talk`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Hear this recording (WAV) instead of the microphone.
    #[arg(long = "in", value_name = "FILE", requires = "out")]
    input_file: Option<PathBuf>,
    /// Write what the assistant says to this WAV file; it begins together with the recording, so the
    /// answer stands where it would have been heard.
    #[arg(long = "out", value_name = "FILE", requires = "input_file")]
    out: Option<PathBuf>,
    /// With --in: as fast as it can be heard; the time that engines take is left out of the result
    /// (it is in the latency that is shown).
    #[arg(long, requires = "input_file")]
    fast: bool,
    /// The microphone does not hear the speakers: you may interrupt the assistant.
    #[arg(long)]
    headphones: bool,
    /// Sleep until this wake word is said, or one of several with commas: hey_jarvis, alexa,
    /// hey_mycroft, hey_rhasspy, or a classifier of your own in the models folder.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub wake: Vec<String>,
    /// Voice or blend: af_heart, af_bella(2)+af_sky(1) (setting tts_voice_kokoro); "list" names them
    /// all.
    #[arg(long, value_name = "NAME")]
    pub voice: Option<String>,
    /// Microphone to use, by name or id.
    #[arg(long, value_name = "NAME", conflicts_with = "input_file")]
    input: Option<String>,
    /// Loudspeaker to use, by name or id.
    #[arg(long, value_name = "NAME", conflicts_with = "input_file")]
    output: Option<String>,
    /// Print the microphones and loudspeakers of this machine and end.
    #[arg(long)]
    pub list_devices: bool,
    /// One JSON object per line instead of text.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// The rules of turn taking as asked for on the command line.
    pub fn turn(&self, config: TurnConfig) -> TurnConfig {
        TurnConfig {
            activation: activation(&self.wake),
            duplex: match self.headphones {
                true => Duplex::Full,
                false => Duplex::Half,
            },
            ..config
        }
    }

    /// Finds the user's mistakes that need no engine to be found, before seconds are spent on
    /// loading any; prints the devices if that was asked.
    ///
    /// # Errors
    ///
    /// A recording that cannot be read, a result that cannot be written, no microphone.
    pub fn check(&self) -> Result<Option<ExitCode>, Failure> {
        if self.list_devices {
            print_devices(self.json)?;
            return Ok(Some(ExitCode::SUCCESS));
        }
        match (&self.input_file, &self.out) {
            (Some(input), Some(out)) => {
                wav::read(input)?;
                writable(out, "--out")?;
            }
            _ => device::check(&self.devices())?,
        }
        Ok(None)
    }

    fn devices(&self) -> Devices {
        Devices {
            input: self.input.clone(),
            output: self.output.clone(),
            missing: Missing::Fail,
        }
    }
}

/// What opens the assistant's ears, with these wake words or none.
pub(super) fn activation(wake: &[String]) -> Activation {
    match wake {
        [] => Activation::AlwaysOn,
        _ => Activation::WakeWord,
    }
}

/// Holds the conversation. `setting` follows [`Args::turn`], [`Args::wake`] and [`Args::voice`];
/// `turned` says when another language model takes over.
///
/// # Errors
///
/// What [`Failure`] says.
pub async fn run(
    args: &Args,
    setting: Setting,
    turned: watch::Receiver<Turned>,
) -> Result<ExitCode, Failure> {
    let mut watch = Telling {
        display: Display::new(std::io::stdout(), style(args.json)),
        turned,
    };
    let mut signals = StopSignals::new()?;
    let stop = signals.next();
    let result = match (&args.input_file, &args.out) {
        (Some(input), Some(out)) => with_file(args, setting, &mut watch, (input, out), stop).await,
        _ => device::talk(setting, &args.devices(), &mut watch, stop)
            .await
            .map_err(Failure::from),
    };
    watch.display.finish();
    result.map(|()| ExitCode::SUCCESS)
}

/// The display, which also tells once that another language model has taken over.
struct Telling<W> {
    display: Display<W>,
    turned: watch::Receiver<Turned>,
}

impl<W: Write + Send> Watch for Telling<W> {
    fn effect(&mut self, effect: &Effect) {
        if self.turned.has_changed().unwrap_or(false) {
            let news = news(&self.turned.borrow_and_update());
            self.display.note(&news);
        }
        self.display.effect(effect);
    }

    fn level(&mut self, rms: f32) {
        self.display.level(rms);
    }

    fn note(&mut self, text: &str) {
        self.display.note(text);
    }
}

/// What the user is told when another language model answers.
pub(super) fn news(turned: &Turned) -> String {
    match turned {
        Turned::First => "Ollama answers again.".to_owned(),
        Turned::Second { why } => why.clone(),
    }
}

async fn with_file(
    args: &Args,
    setting: Setting,
    watch: &mut dyn Watch,
    (input, out): (&Path, &Path),
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let recording: Pcm<Hz16k> = audio::resample(&wav::read(input)?);
    let speed = if args.fast {
        Speed::Fast
    } else {
        Speed::RealTime
    };
    let options = Options { speed, echo: 0.0 };
    let answer = tokio::select! {
        answer = file::talk(&recording, setting, options, watch) => answer,
        () = stop => {
            return Err(Failure { message: "stopped before the end".to_owned(), fault: Fault::Busy });
        }
    };
    let answer = answer
        .map_err(|_| Failure::internal("the conversation ended unexpectedly; see the log"))?;
    wav::write(out, &answer.sound)?;
    if answer.begins.is_empty() {
        let hint = match &args.wake[..] {
            [] => "are there words in the recording?".to_owned(),
            words => {
                let words = words.join(" or ");
                format!("was the wake word {words} said, and words after it?")
            }
        };
        remark(format_args!("caal: the assistant said nothing; {hint}"));
    }
    Ok(())
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        Self {
            fault: error.fault(),
            message: error.to_string(),
        }
    }
}

fn style(json: bool) -> Style {
    if json {
        return Style::Json;
    }
    match std::io::stdout().is_terminal() {
        true => Style::Live { width: 100 },
        false => Style::Plain,
    }
}

fn print_devices(json: bool) -> Result<(), Failure> {
    let devices = device::list();
    if json {
        let text = serde_json::to_string_pretty(&devices)
            .map_err(|error| Failure::internal(error.to_string()))?;
        say(text)?;
        return Ok(());
    }
    if devices.is_empty() {
        say("no microphones and no loudspeakers")?;
    }
    for d in devices {
        let default = if d.default { " (default)" } else { "" };
        say(format_args!(
            "{:<6} {}{default}\n       {}",
            d.direction, d.name, d.id
        ))?;
    }
    Ok(())
}
