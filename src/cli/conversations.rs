//! `caal conversations`: what was said and is kept on the disk. Works on the file itself, also while a server
//! has it.

use std::{fs::File, io::Write as _, path::PathBuf};

use super::{
    ExitCode, Failure,
    out::{remark, say},
};
use crate::{
    http::conversation_line,
    pii::Pii,
    settings::Settings,
    store::{
        Conversations, Store,
        conversations::{Rules, Summary, Which},
    },
};

/// Arguments of `caal conversations`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "  caal conversations list                    the newest, with their first words\n  caal conversations list --search peanuts   those in which that was said\n  caal conversations show 12                 one of them, word by word\n  caal conversations export -o said.jsonl    all of them: a line of JSON for each\n  caal conversations delete 12               delete one from the disk\n  caal conversations delete --all            delete all of them\n\nThey are in caal.db in the data folder, for its owner's eyes, for as many days as the setting\nconversation_retention says. To keep none: caal settings set conversation_history=false"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List conversations, newest first.
    List {
        /// How many at most.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
        /// Only those in which this was said; capitals do not matter.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
    },
    /// Print what was said in one.
    Show {
        /// Its number, as list shows it.
        #[arg(value_name = "ID")]
        id: i64,
        /// As one line of JSON.
        #[arg(long)]
        json: bool,
    },
    /// Delete conversations from the disk.
    Delete {
        /// Their numbers, as list shows them.
        #[arg(value_name = "ID", required_unless_present = "all")]
        ids: Vec<i64>,
        /// All of them.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
    /// Write all conversations, a line of JSON for each: to standard output, or to a file.
    Export {
        /// The file; a new one.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Does what was asked.
///
/// # Errors
///
/// When there is no such conversation, or the file cannot be used.
pub(super) async fn run(args: Args, settings: &Settings) -> Result<ExitCode, Failure> {
    let Some(store) = Store::open_existing(&settings.data_dir).await? else {
        remark("caal: no conversations are kept yet");
        return match args.command {
            Command::Show { id, .. } => Err(no_such(id)),
            Command::Delete { ids, .. } if !ids.is_empty() => Err(no_such(ids[0])),
            _ => Ok(ExitCode::SUCCESS),
        };
    };
    let conversations = Conversations::new(Ok(store.clone()), || Rules {
        keep: true,
        resume: std::time::Duration::ZERO,
        retention: None,
    });
    match args.command {
        Command::List { limit, search } => list(&conversations, limit, search).await?,
        Command::Show { id, json } => show(&conversations, id, json).await?,
        Command::Delete { ids, all } => delete(&conversations, &ids, all).await?,
        Command::Export { output } => export(&conversations, output).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(
    conversations: &Conversations,
    limit: u32,
    search: Option<String>,
) -> Result<(), Failure> {
    let which = Which {
        limit,
        before: None,
        text: search.map(Pii),
    };
    let found = conversations.list(which).await?;
    if found.is_empty() {
        remark("caal: there are none");
        return Ok(());
    }
    say(format_args!(
        "{:>5}  {:16}  {:>5}  {:24}  FIRST WORDS",
        "ID", "LAST", "SAID", "ROOM"
    ))?;
    for Summary {
        id,
        room,
        title,
        updated_at,
        messages,
        ..
    } in found
    {
        let room = match room.as_str() {
            "" => "(this machine)",
            room => room,
        };
        let (when, title) = (clock(updated_at), plain(&title.0));
        let room: String = plain(room).chars().take(24).collect();
        say(format_args!(
            "{id:>5}  {when:16}  {messages:>5}  {room:24}  {title}"
        ))?;
    }
    say("More of one: caal conversations show ID")
}

async fn show(conversations: &Conversations, id: i64, json: bool) -> Result<(), Failure> {
    let found = conversations.get(id).await?.ok_or_else(|| no_such(id))?;
    if json {
        return say(conversation_line(found).trim_end());
    }
    let (summary, messages) = found;
    let room = match summary.room.as_str() {
        "" => "this machine's own sound".to_owned(),
        room => format!("room {}", plain(room)),
    };
    let (from, to) = (clock(summary.started_at), clock(summary.updated_at));
    say(format_args!("Conversation {id}, {room}, {from} to {to}\n"))?;
    for message in messages {
        let who = match message.role.as_str() {
            "user" => "You",
            "assistant" => "CAAL",
            _ => "Tool",
        };
        let cut = if message.complete { "" } else { " …" };
        say(format_args!("{who:>4}: {}{cut}", plain(&message.text.0)))?;
    }
    Ok(())
}

async fn delete(conversations: &Conversations, ids: &[i64], all: bool) -> Result<(), Failure> {
    if all {
        let gone = conversations.delete_all().await?;
        return say(format_args!("{gone} deleted"));
    }
    for id in ids {
        if !conversations.delete(*id).await? {
            return Err(no_such(*id));
        }
        say(format_args!("{id} deleted"))?;
    }
    Ok(())
}

async fn export(conversations: &Conversations, output: Option<PathBuf>) -> Result<(), Failure> {
    let unwritable = |path: &PathBuf, error: std::io::Error| {
        Failure::request(format!(
            "{} cannot be written ({error}); give another file with --output",
            path.display()
        ))
    };
    let mut file = match &output {
        None => None,
        // Words are for their owner's eyes in a copy, too.
        Some(path) => {
            let mut options = File::options();
            let options = std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.write(true).create_new(true).open(path);
            Some((path, file.map_err(|error| unwritable(path, error))?))
        }
    };
    let (mut after, mut count) = (0, 0);
    while let Some(found) = conversations.after(after).await? {
        after = found.0.id;
        count += 1;
        let line = conversation_line(found);
        match &mut file {
            None => say(line.trim_end())?,
            Some((path, file)) => {
                let written = file.write_all(line.as_bytes());
                written.map_err(|error| unwritable(path, error))?;
            }
        }
    }
    if let Some((path, file)) = &file {
        let written = file.sync_all();
        written.map_err(|error| unwritable(path, error))?;
        remark(format_args!(
            "caal: {count} conversations are in {}",
            path.display()
        ));
    }
    Ok(())
}

fn no_such(id: i64) -> Failure {
    Failure::request(format!(
        "there is no conversation {id}; caal conversations list shows which there are"
    ))
}

/// The hour here, for people.
pub(super) fn clock(ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    let here = at.to_zoned(jiff::tz::TimeZone::system());
    here.strftime("%Y-%m-%d %H:%M").to_string()
}

/// On one line, and without signs that a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    let text = text.replace(['\n', '\t'], " ");
    text.chars().filter(|c| !c.is_control()).collect()
}
