//! `caal chat`: a conversation in writing with the server of this machine.

use std::io::{BufRead as _, IsTerminal as _};

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    ExitCode, Failure,
    out::{remark, say_all},
    server::{Server, printable},
};
use crate::settings::Settings;

/// Arguments of `caal chat`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  caal chat \"turn on the office lamp\"\n  caal chat                      a conversation, a line at a time; end it with Ctrl-D\n  echo \"what time is it\" | caal chat"
)]
pub struct Args {
    /// The question. Without one each line of standard input is a question of one conversation.
    text: Vec<String>,
    /// Go on with this conversation (see GET /api/chat/sessions); a new name begins one.
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Where the server is, if not here.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

/// The longest event that is read.
const LONGEST: usize = 1 << 20;

pub(super) async fn run(args: Args, settings: Settings) -> Result<ExitCode, Failure> {
    let mut talk = Talk {
        server: Server::new(args.server.as_deref(), &settings)?,
        session: args.session,
    };
    if !args.text.is_empty() {
        talk.ask(&args.text.join(" ")).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let person = std::io::stdin().is_terminal();
    if person {
        remark("caal: type a question and press Enter; Ctrl-D ends the conversation");
    }
    loop {
        if person {
            say_all("> ")?;
        }
        // On a thread for that: a person takes their time, and Ctrl-C is to work.
        let line = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut line)
                .map(|n| (n, line))
        });
        let line = line
            .await
            .map_err(|e| Failure::internal(format!("standard input is gone: {e}")))?;
        match line {
            Ok((0, _)) => break,
            Ok((_, line)) if line.trim().is_empty() => {}
            Ok((_, line)) => talk.ask(&line).await?,
            Err(_) => return Err(Failure::request("standard input is not UTF-8 text")),
        }
    }
    if person {
        remark("");
    }
    Ok(ExitCode::SUCCESS)
}

struct Talk {
    server: Server,
    session: Option<String>,
}

impl Talk {
    /// Asks, and writes the answer as it comes.
    async fn ask(&mut self, text: &str) -> Result<(), Failure> {
        let body = json!({
            "text": text.trim(),
            "session_id": self.session,
            "stream": true,
        });
        let asked = self
            .server
            .ask(Method::POST, "/api/chat", |request| request.json(&body));
        let response = asked.await?;
        let mut pieces = response.bytes_stream();
        let mut buffer = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| {
                // What it had said stands on a line of its own.
                let _ = say_all("\n");
                Failure::remote("the server broke off; look at its log, and ask again")
            })?;
            buffer.extend_from_slice(&piece);
            while let Some(end) = find(&buffer, b"\n\n") {
                let event: Vec<u8> = buffer.drain(..end + 2).collect();
                if self.event(&String::from_utf8_lossy(&event))? {
                    return Ok(());
                }
            }
            if buffer.len() > LONGEST {
                break;
            }
        }
        Err(Failure::remote(
            "the answer has no end; look at the server's log, and ask again",
        ))
    }

    /// Shows one event; true for the last.
    fn event(&mut self, event: &str) -> Result<bool, Failure> {
        let field = |name: &str| {
            let mut lines = event.lines();
            lines.find_map(|line| line.strip_prefix(name).map(str::trim))
        };
        let data = field("data:").and_then(|data| serde_json::from_str::<Value>(data).ok());
        let data = data.unwrap_or_default();
        let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
        match field("event:") {
            Some("session") => self.session = Some(text("session_id").to_owned()),
            Some("text") => say_all(printable(text("text")))?,
            Some("tools") if text("status") == "running" => {
                let calls = data.get("calls").and_then(Value::as_array);
                let names = calls.into_iter().flatten();
                let names: Vec<&str> = names
                    .filter_map(|call| call.get("tool").and_then(Value::as_str))
                    .collect();
                remark(format_args!("[{}]", printable(&names.join(", "))));
            }
            Some("error") => {
                say_all("\n")?;
                return Err(Failure::remote(printable(text("detail"))));
            }
            Some("done") => {
                say_all("\n")?;
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
