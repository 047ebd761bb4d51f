//! `caal settings`: shows the settings and where they come from, and changes them in the settings file.
//! Works where values are wrong, too: then people need it.

use std::io::Read as _;

use serde_json::{Map, Value, json};

use super::{
    ExitCode, Failure,
    out::{remark, say, say_all},
};
use crate::settings::{Applies, Explained, Live, MASK, Origin, Reach, Row};

/// Arguments of `caal settings`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A setting is called by its key or by its variable: num_ctx or OLLAMA_NUM_CTX.\n\n  caal settings list                          all of them, and where each comes from\n  caal settings explain tts_voice_kokoro      what one does, and what it may be\n  caal settings set tts_voice_kokoro=bf_emma  change one, or several at once\n  caal settings set hass_token=-              read a secret from standard input\n  caal settings unset tts_voice_kokoro        back to the environment or the default\n\nA running caal serve sees a change within a second."
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show all settings: value, where it comes from, when a change is seen. Secrets are never shown.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the value of one setting.
    Get {
        /// Its key or variable.
        #[arg(value_name = "KEY")]
        name: String,
        /// As JSON, with where it comes from.
        #[arg(long)]
        json: bool,
    },
    /// Change settings in the settings file: all that are given, or none where one is wrong.
    Set {
        /// What to change; `-` as the value reads it from standard input.
        #[arg(value_name = "KEY=VALUE", required = true)]
        changes: Vec<String>,
    },
    /// Take settings out of the settings file, so that the environment or the default counts again.
    Unset {
        /// Their keys or variables.
        #[arg(value_name = "KEY", required = true)]
        names: Vec<String>,
    },
    /// Say what settings do, what they may be, and where their values come from; all without keys.
    Explain {
        /// Their keys or variables.
        #[arg(value_name = "KEY")]
        names: Vec<String>,
    },
}

/// Does what was asked. Blocks for a moment.
///
/// # Errors
///
/// What [`Failure`] says. Where values are wrong, `list`, `get` and `explain` show what they can first.
pub(super) fn run(args: Args, live: &Live) -> Result<ExitCode, Failure> {
    match args.command {
        Command::List { json } => list(live, json)?,
        Command::Get { name, json } => get(live, row(&name)?, json)?,
        Command::Set { changes } => set(live, &changes)?,
        Command::Unset { names } => unset(live, &names)?,
        Command::Explain { names } => explain(live, &names)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(live: &Live, json: bool) -> Result<(), Failure> {
    let all = live.explain();
    if json {
        let settings: Vec<Value> = all.iter().map(as_json).collect();
        let problems: Vec<String> = live.problems().into_iter().map(|p| p.text).collect();
        let file = live.file();
        let whole = json!({ "file": file, "settings": settings, "problems": problems });
        say(format_args!("{whole:#}"))?;
        return wrong(problems);
    }
    say(format_args!("Settings in {}", live.file().display()))?;
    let key = all.iter().map(|e| e.row.key.len()).max().unwrap_or(0);
    let width = all.iter().map(|e| from(e).chars().count()).max();
    let width = width.unwrap_or(0);
    say(format_args!(
        "  {:key$}  {:width$}  {:10}  VALUE",
        "KEY", "FROM", "SEEN"
    ))?;
    for each in &all {
        say(format_args!(
            "{} {:key$}  {:width$}  {:10}  {}",
            if each.problem.is_some() { '!' } else { ' ' },
            each.row.key,
            from(each),
            each.row.applies.name(),
            cut(&as_text(&each.value))
        ))?;
    }
    say("SEEN: when a change takes effect. More about one: caal settings explain KEY")?;
    let unknown = live.unknown();
    if !unknown.is_empty() {
        remark(format_args!(
            "caal: in the file, and no settings of ours: {}",
            unknown.join(", ")
        ));
    }
    wrong(live.problems().into_iter().map(|p| p.text).collect())
}

fn get(live: &Live, row: &'static Row, json: bool) -> Result<(), Failure> {
    let Some(found) = live.explain().into_iter().find(|e| e.row.key == row.key) else {
        return Ok(()); // every row is explained
    };
    let problem = found.problem.clone().into_iter().collect();
    if json {
        say(format_args!("{:#}", as_json(&found)))?;
    } else {
        say(as_text(&found.value))?;
    }
    wrong(problem)
}

fn set(live: &Live, changes: &[String]) -> Result<(), Failure> {
    let mut wanted = Map::new();
    let mut problems = Vec::new();
    for change in changes {
        let read = change
            .split_once('=')
            .ok_or_else(|| format!("{change:?} is no change; write it as KEY=VALUE"))
            .and_then(|(name, value)| {
                let row = row(name.trim()).map_err(|failure| failure.message)?;
                let value = match value {
                    "-" => standard_input()?,
                    value => value.to_owned(),
                };
                if row.is_secret() && (value.is_empty() || value == MASK) {
                    let key = row.key;
                    return Err(format!(
                        "{key} stays as it is without a value; take it away with: caal settings unset {key}"
                    ));
                }
                Ok((row, value))
            });
        match read {
            Ok((row, _)) if wanted.contains_key(row.key) => {
                problems.push(format!("{} is given twice; give it once", row.key));
            }
            Ok((row, value)) => drop(wanted.insert(row.key.to_owned(), value.into())),
            Err(why) => problems.push(why),
        }
    }
    wrong(problems)?;
    let keys: Vec<String> = wanted.keys().cloned().collect();
    live.change_as_owner(wanted)?;
    tell(live, &keys, |now| match now.origin {
        Origin::File => format!("is now {}, {}", value_of(now), when(now)),
        _ => format!("is {} already ({})", value_of(now), from(now)),
    })
}

fn unset(live: &Live, names: &[String]) -> Result<(), Failure> {
    let keys = keys(names)?;
    let plain: Vec<&str> = keys.iter().map(String::as_str).collect();
    live.unset(&plain)?;
    tell(live, &keys, |now| {
        format!("is now {} ({}), {}", value_of(now), from(now), when(now))
    })
}

/// A line about each of `keys`, as it is now; and what is still wrong with them.
fn tell(live: &Live, keys: &[String], line: impl Fn(&Explained) -> String) -> Result<(), Failure> {
    let all = live.explain();
    let told = all.iter().filter(|e| keys.iter().any(|k| k == e.row.key));
    let mut problems = Vec::new();
    for now in told {
        say(format_args!("{} {}", now.row.key, line(now)))?;
        problems.extend(now.problem.clone());
    }
    wrong(problems)
}

fn explain(live: &Live, names: &[String]) -> Result<(), Failure> {
    let keys = keys(names)?;
    let all = live.explain();
    let chosen = all
        .iter()
        .filter(|e| keys.is_empty() || keys.iter().any(|k| k == e.row.key));
    let mut problems = Vec::new();
    for (n, each) in chosen.enumerate() {
        if n > 0 {
            say("")?;
        }
        say_all(about(each))?;
        problems.extend(each.problem.clone());
    }
    wrong(problems)
}

/// What people should know about a setting.
fn about(each: &Explained) -> String {
    let row = each.row;
    let variables = match (row.env, row.also) {
        ("", _) => "none: in the settings file only".to_owned(),
        (one, "") => one.to_owned(),
        (one, other) => format!("{one} or {other}"),
    };
    let file = match row.is_secret() {
        true => format!(", or a file that {}_FILE names", row.env),
        false => String::new(),
    };
    let default = match row.default {
        "" => "nothing",
        default => default,
    };
    let who = match row.reach {
        Reach::Api => "here, and through the HTTP API",
        Reach::Machine => "on this machine only",
    };
    let seen = match row.applies {
        Applies::AtOnce => "at once",
        Applies::NextTurn => "from the next turn on, also in conversations that are going on",
        Applies::NextStart => "when caal is started again",
    };
    format!(
        "{}\n  {}\n  now:         {} ({})\n  may be:      {}\n  default:     {default}\n  variable:    {variables}{file}\n  changed:     {who}\n  a change is seen {seen}\n",
        row.key,
        row.doc.replace('`', ""),
        value_of(each),
        from(each),
        row.values().replace('`', ""),
    )
}

/// The row that `name` means.
fn row(name: &str) -> Result<&'static Row, Failure> {
    Row::named(name).ok_or_else(|| {
        let near = Row::near(name);
        let hint = match near {
            Some(row) => format!("did you mean {}?", row.key),
            None => "caal settings list has them all".to_owned(),
        };
        Failure::request(format!("there is no setting {name:?}; {hint}"))
    })
}

/// The keys that `names` mean; all that are none at once.
fn keys(names: &[String]) -> Result<Vec<String>, Failure> {
    let (mut keys, mut problems) = (Vec::new(), Vec::new());
    for name in names {
        match row(name) {
            Ok(row) => keys.push(row.key.to_owned()),
            Err(failure) => problems.push(failure.message),
        }
    }
    wrong(problems).map(|()| keys)
}

/// A failure, where there are problems.
fn wrong(problems: Vec<String>) -> Result<(), Failure> {
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::request(problems.join("\n"))),
    }
}

/// The longest value that is read from standard input, in bytes; a setting takes less.
const LONGEST: u64 = 64 * 1024;

fn standard_input() -> Result<String, String> {
    let mut text = String::new();
    std::io::stdin()
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|_| "standard input is not UTF-8 text".to_owned())?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Where a value comes from, briefly.
fn from(each: &Explained) -> String {
    match &each.origin {
        Origin::File => "settings file".to_owned(),
        Origin::Default => "default".to_owned(),
        _ => each.place.clone(),
    }
}

/// When a change of it is seen, as the end of a sentence.
fn when(each: &Explained) -> &'static str {
    match each.row.applies {
        Applies::AtOnce => "seen at once",
        Applies::NextTurn => "seen from the next turn on",
        Applies::NextStart => "seen when caal is started again",
    }
}

/// As a word of a sentence.
fn value_of(each: &Explained) -> String {
    match as_text(&each.value) {
        nothing if nothing.is_empty() => "not set".to_owned(),
        text => text,
    }
}

fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(texts) => {
            let texts = texts.iter().filter_map(Value::as_str);
            texts.collect::<Vec<_>>().join(" | ")
        }
        Value::Object(map) if map.is_empty() => String::new(),
        other => other.to_string(),
    }
}

/// To a table's width.
fn cut(text: &str) -> String {
    const WIDTH: usize = 60;
    match text.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn as_json(each: &Explained) -> Value {
    let row = each.row;
    let origin = match each.origin {
        Origin::Flag => "flag",
        Origin::File => "file",
        Origin::Environment(_) => "environment",
        Origin::DotEnv(_) => ".env",
        Origin::SecretFile(..) => "secret file",
        Origin::Default => "default",
    };
    json!({
        "key": row.key,
        "value": each.value,
        "origin": origin,
        "place": each.place,
        "problem": each.problem,
        "secret": row.is_secret(),
        "variable": (!row.env.is_empty()).then_some(row.env),
        "default": match row.is_secret() { true => "", false => row.default },
        "applies": row.applies.name(),
        "changed_through": match row.reach { Reach::Api => "api", Reach::Machine => "machine" },
        "doc": row.doc,
    })
}
