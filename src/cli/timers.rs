//! `caal timers`: timers, alarms and reminders of the running server. Over its HTTP API: the server has them in
//! its hands while it runs, and without it none speaks up.

use jiff::{Timestamp, tz::TimeZone};
use reqwest::Method;
use serde_json::Value;

use super::{
    ExitCode, Failure,
    out::say,
    server::{Server, printable},
};
use crate::settings::Settings;

/// Arguments of `caal timers`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  caal timers                    what is to come, with its number and the time left (\"rings\": it is\n                                 being said; \"waits\": it is due, and nobody is in a room to hear it)\n  caal timers cancel 3           end the one with this number\n\nTo set one: caal chat \"set a timer for five minutes\""
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where the server is, if not here.
    #[arg(long, value_name = "URL", global = true)]
    server: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show what is to come (what `caal timers` alone does, too).
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// End one, by its number in the list.
    Cancel {
        /// Its number.
        #[arg(value_name = "NUMBER")]
        id: i64,
    },
}

pub(super) async fn run(args: Args, settings: Settings) -> Result<ExitCode, Failure> {
    let server = Server::new(args.server.as_deref(), &settings)?;
    match args.command.unwrap_or(Command::List { json: false }) {
        Command::List { json } => {
            let answer = server.ask(Method::GET, "/api/timers", |request| request);
            let all: Value = answer.await?.json().await.map_err(|_| {
                Failure::remote("what answers there is no caal, or an old one; look at --server")
            })?;
            if json {
                say(&all)?;
                return Ok(ExitCode::SUCCESS);
            }
            let timers = all.get("timers").and_then(Value::as_array);
            let timers = timers.map(Vec::as_slice).unwrap_or_default();
            if timers.is_empty() {
                say("There are no timers, alarms or reminders.")?;
            }
            let zone = TimeZone::system();
            for timer in timers {
                say(line(timer, &zone))?;
            }
        }
        Command::Cancel { id } => {
            let path = format!("/api/timers/{id}");
            server.ask(Method::DELETE, &path, |request| request).await?;
            say(format_args!("Number {id} is cancelled."))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `3  timer     0:04:10  pasta`, `4  alarm     8:10:00  Wed 07:30`; `waits` is due, and nobody is in a room to
/// hear it.
fn line(timer: &Value, zone: &TimeZone) -> String {
    let text = |name: &str| timer.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| timer.get(name).and_then(Value::as_i64).unwrap_or(0);
    let left = number("seconds_left");
    let left = match timer.get("ringing").and_then(Value::as_bool) {
        Some(true) => "rings".to_owned(),
        // Nobody is in a room.
        _ if left == 0 => "waits".to_owned(),
        _ => format!("{}:{:02}:{:02}", left / 3600, left / 60 % 60, left % 60),
    };
    // An alarm is known by its time, on the clock of this terminal.
    let due: Option<Timestamp> = text("due_at").parse().ok();
    let by_clock = ["alarm", "reminder"].contains(&text("kind"));
    let clock = due.filter(|_| by_clock).map(|due| {
        let due = due.to_zoned(zone.clone());
        due.strftime("%a %H:%M").to_string()
    });
    let clock = clock.as_deref().unwrap_or_default();
    let words = [clock, text("name"), text("text"), text("repeat")];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let words = printable(&words.join(", ")).replace('\n', " ");
    let line = format!(
        "{:>4}  {:<8}  {left:>10}  {words}",
        number("id"),
        text("kind")
    );
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_number_kind_what_is_left_and_the_name() {
        let timer = json!({"id": 3, "kind": "timer", "seconds_left": 250, "name": "pas\u{1b}ta", "ringing": false});
        assert_eq!(
            line(&timer, &TimeZone::UTC),
            "   3  timer        0:04:10  pas ta"
        );
        let alarm = json!({"id": 12, "kind": "alarm", "ringing": true, "repeat": "daily"});
        assert_eq!(
            line(&alarm, &TimeZone::UTC),
            "  12  alarm          rings  daily"
        );
        let alarm = json!({"id": 4, "kind": "alarm", "seconds_left": 29400, "due_at": "2026-11-25T07:30:00Z"});
        assert_eq!(
            line(&alarm, &TimeZone::UTC),
            "   4  alarm        8:10:00  Wed 07:30"
        );
        let due = json!({"id": 5, "kind": "timer", "seconds_left": 0, "ringing": false});
        assert_eq!(line(&due, &TimeZone::UTC), "   5  timer          waits");
    }
}
