//! `caal models`: what is on the disk, fetching, checking, deleting.

use std::{
    io::IsTerminal as _,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::{
    ExitCode, Failure,
    out::{remark, say},
};
use crate::{
    models::{Event, ModelsError, State, Store, Watch, people},
    settings::Settings,
};

/// Arguments of `caal models`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the models: role, size, whether they are here, licence.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Fetch models; the default set without names. Goes on where an earlier pull was stopped.
    Pull {
        /// From `caal models list`, a Whisper size (small, large-v3), or org/name of the Hugging Face hub.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Check every byte of models that are here; all of them without names.
    Verify {
        /// From `caal models list`.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Delete models.
    Rm {
        /// From `caal models list`.
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
}

/// Exit code of a command that Ctrl-C ended, as shells have it.
const INTERRUPTED: u8 = 130;

/// Does what was asked.
///
/// # Errors
///
/// What [`ModelsError`] says.
pub(super) async fn run(args: Args, settings: Settings) -> Result<ExitCode, Failure> {
    let store = Store::new(&settings.models_dir);
    match args.command {
        Command::List { json } => list(&store, json)?,
        Command::Pull { names } => {
            let mut stop = super::StopSignals::new()?;
            let telling = Telling::new(std::io::stderr().is_terminal());
            let pull = store.pull(&names, settings.hub, &telling);
            tokio::select! {
                biased;
                () = stop.next() => {
                    telling.clear();
                    remark("caal: stopped; the same command goes on from here");
                    return Ok(ExitCode::from(INTERRUPTED));
                }
                result = pull => result?,
            }
        }
        Command::Verify { names } => verify(&store, &names)?,
        Command::Rm { names } => {
            for name in names {
                let freed = store.remove(&name)?;
                say(format!("{name}: deleted, {} freed", people(freed)))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A model as `list` shows it.
#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    role: &'a str,
    default: bool,
    bytes: u64,
    state: &'static str,
    /// Files that are missing or damaged.
    files: Vec<String>,
    licence: Option<&'a str>,
    note: Option<&'a str>,
    description: &'a str,
}

fn list(store: &Store, json: bool) -> Result<(), Failure> {
    let hub = store.hub_models();
    let mut rows: Vec<Row<'_>> = store
        .manifest()
        .models()
        .iter()
        .map(|model| Row {
            name: &model.name,
            role: model.role.name(),
            default: model.default,
            bytes: model.bytes(),
            state: "",
            files: Vec::new(),
            licence: Some(&model.licence),
            note: model.note.as_deref(),
            description: &model.description,
        })
        .collect();
    rows.extend(hub.iter().map(|model| Row {
        name: &model.repo,
        role: "stt",
        default: false,
        bytes: model.bytes,
        state: "",
        files: Vec::new(),
        licence: None,
        note: None,
        description: "Whisper model of the Hugging Face hub",
    }));
    for row in &mut rows {
        let state = store.state(row.name);
        row.state = state.name();
        if let State::Incomplete(files) | State::Damaged(files) = state {
            row.files = files;
        }
    }
    if json {
        let value = serde_json::json!({ "models_dir": store.root(), "models": rows });
        return say(format!("{value:#}"));
    }
    let width = |of: fn(&Row<'_>) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let name = width(|r| r.name.len());
    say(format!("Models in {}", store.root().display()))?;
    say(format!(
        "  {:name$}  {:8}  {:>8}  {:10}  LICENCE",
        "NAME", "ROLE", "SIZE", "STATE"
    ))?;
    for row in &rows {
        say(format!(
            "{} {:name$}  {:8}  {:>8}  {:10}  {}",
            if row.default { '*' } else { ' ' },
            row.name,
            row.role,
            people(row.bytes),
            row.state,
            row.licence.unwrap_or("see its page of the hub"),
        ))?;
    }
    say("* default set, fetched by: caal models pull")
}

fn verify(store: &Store, names: &[String]) -> Result<(), Failure> {
    let all = names.is_empty();
    let names: Vec<String> = if all {
        let hub = store.hub_models().into_iter().map(|m| m.repo);
        let known = store.manifest().models().iter().map(|m| m.name.clone());
        known.chain(hub).collect()
    } else {
        names.to_vec()
    };
    let mut bad = Vec::new();
    let mut good = 0;
    for name in &names {
        store.check_name(name)?;
        let state = store.verify(name);
        match state {
            State::Missing if all => continue,
            State::Present => {
                good += 1;
                say(format!("{name}: every byte is right"))?;
            }
            state => bad.push((name.clone(), format!("{name} is {state}"))),
        }
    }
    if bad.is_empty() && good == 0 {
        say(format!(
            "no models in {}; fetch the default set with: caal models pull",
            store.root().display()
        ))?;
    }
    if bad.is_empty() {
        return Ok(());
    }
    let (names, sentences) = bad.into_iter().unzip();
    Err(ModelsError::NotIntact(sentences, names).into())
}

/// Tells a pull on standard error: a moving bar on a terminal, plain lines otherwise.
struct Telling {
    terminal: bool,
    /// The bar of the item at work. Locked for one update at a time.
    bar: Mutex<Option<ProgressBar>>,
}

impl Telling {
    fn new(terminal: bool) -> Self {
        Self {
            terminal,
            bar: Mutex::new(None),
        }
    }

    fn bar(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn clear(&self) {
        if let Some(bar) = self.bar().take() {
            bar.finish_and_clear();
        }
    }

    fn line(&self, line: &str) {
        match &*self.bar() {
            Some(bar) => bar.println(line),
            None => remark(line),
        }
    }

    fn begin(&self, name: &str, bytes: Option<u64>, have: u64, source: &str) {
        let size = bytes
            .map(|b| format!(" ({})", people(b)))
            .unwrap_or_default();
        let from = match have {
            0 => String::new(),
            all if Some(all) == bytes => String::new(),
            have => format!(", going on after {}", people(have)),
        };
        let line = format!("  {name}{size} from {source}{from}");
        if !self.terminal {
            remark(line);
            return;
        }
        let (bar, template) = match bytes {
            Some(bytes) => (
                ProgressBar::new(bytes),
                "{msg}\n  [{bar:40}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{msg}\n  {spinner} {bytes}, {elapsed}",
            ),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(line);
        bar.set_position(have);
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_millis(200));
        *self.bar() = Some(bar);
    }

    fn end(&self, mark: &str) {
        let Some(bar) = self.bar().take() else { return };
        let line = bar.message();
        bar.finish_and_clear();
        remark(format_args!("{line}{mark}"));
    }
}

impl Watch for Telling {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Waiting => {
                self.line("another caal is fetching models into the same folder; waiting for it…")
            }
            Event::Already { model } => self.line(&format!("{model}: here already")),
            Event::Model {
                model,
                licence,
                note,
            } => {
                let licence = licence
                    .map(|l| format!(", licence: {l}"))
                    .unwrap_or_default();
                self.line(&format!("{model}{licence}"));
                if let Some(note) = note {
                    self.line(&format!("  note: {note}"));
                }
            }
            Event::Item {
                name,
                bytes,
                have,
                source,
            } => self.begin(name, bytes, have, source),
            Event::Bytes(bytes) => {
                if let Some(bar) = &*self.bar() {
                    bar.set_position(bytes);
                }
            }
            Event::ItemDone => self.end(""),
            Event::ItemFailed => self.end(": no"),
            Event::Retry { reason, wait } => {
                self.line(&format!(
                    "  {reason}; trying again in {:.0} s",
                    wait.as_secs_f32().ceil()
                ));
            }
            Event::SourceFailed(attempt) => self.line(&format!("  not from {attempt}")),
            Event::Done { model } => self.line(&format!("{model}: complete")),
        }
    }
}
