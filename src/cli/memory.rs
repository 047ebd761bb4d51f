//! `caal memory`: what the assistant was asked to remember. Works on the file itself; a server that runs takes
//! a change over within seconds.

use super::{
    ExitCode, Failure,
    conversations::{clock, plain},
    out::{remark, say},
};
use crate::{
    settings::Settings,
    store::Store,
    tools::memory::{Forgotten, Memory},
};

/// Arguments of `caal memory`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "  caal memory list                 the facts it was asked to remember, and its notes\n  caal memory forget 3             forget the fact of this number\n  caal memory forget my car        forget the fact that is meant, where that is clear\n  caal memory clear                forget everything\n\nTo have nothing remembered: caal settings set memory_enabled=false"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List what is remembered: facts for good, and notes with the day they expire.
    List,
    /// Forget a fact, by its number or its words.
    Forget {
        /// As list shows it, or words of it.
        #[arg(value_name = "ID|WORDS", required = true)]
        what: Vec<String>,
    },
    /// Forget everything: all facts and all notes.
    Clear,
}

/// Does what was asked.
///
/// # Errors
///
/// When there is no such fact, or it is not clear which is meant, or the file cannot be used.
pub(super) async fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let Some(store) = Store::open_existing(&settings.data_dir).await? else {
        remark("caal: nothing is remembered yet");
        return match args.command {
            Command::Forget { .. } => Err(nothing()),
            _ => Ok(ExitCode::SUCCESS),
        };
    };
    // Its owner may always look and delete.
    let memory = Memory::open(Ok(store), || true).await;
    match args.command {
        Command::List => list(&memory, settings).await?,
        Command::Forget { what } => forget(&memory, &what.join(" ")).await?,
        Command::Clear => {
            let gone = memory.clear().await?;
            say(format_args!("{gone} forgotten"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(memory: &Memory, settings: &Settings) -> Result<(), Failure> {
    let (facts, notes) = (memory.facts(), memory.notes().await?);
    if facts.is_empty() && notes.is_empty() {
        remark("caal: nothing is remembered");
    }
    for fact in &facts[..] {
        say(format_args!("{:>4}  {}", fact.id, plain(&fact.text.0)))?;
    }
    for note in notes {
        let until = note.expires_at.map(clock);
        say(format_args!(
            "note  {}: {} (until {})",
            plain(&note.key.0),
            plain(&note.value.0),
            until.as_deref().unwrap_or("for ever")
        ))?;
    }
    if !settings.memory_enabled {
        remark("caal: memory is switched off (setting memory_enabled): none of it is used");
    }
    Ok(())
}

async fn forget(memory: &Memory, what: &str) -> Result<(), Failure> {
    if let Ok(id) = what.parse() {
        return match memory.delete_fact(id).await? {
            true => say(format_args!("{id} forgotten")),
            false => Err(nothing()),
        };
    }
    match memory.forget(what).await? {
        Forgotten::One(fact) => say(format_args!("forgotten: {}", plain(&fact.text.0))),
        Forgotten::Nothing => Err(nothing()),
        Forgotten::Several(facts) => {
            let lines: Vec<String> = facts
                .iter()
                .map(|fact| format!("{:>4}  {}", fact.id, plain(&fact.text.0)))
                .collect();
            Err(Failure::request(format!(
                "it is not clear which is meant; forget one by its number:\n{}",
                lines.join("\n")
            )))
        }
    }
}

fn nothing() -> Failure {
    Failure::request("nothing like that is remembered; caal memory list shows what is")
}
