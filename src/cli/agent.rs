//! `caal agent`: joins one room of a LiveKit server by its name, without being sent there.

use std::sync::Arc;

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{ExitCode, Failure, StopSignals, doors, out::remark};
use crate::{
    app::{self, App, Keeping},
    room,
    rtc::{Closed, Identity, join::Room},
    settings::{Live, Settings},
};

/// Arguments of `caal agent`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The server is the one of LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET. `caal serve` with the same\nsettings works for the whole server instead: it goes into every room that the server gives it. One agent of\na name is in a room: a second one takes the place of the first."
)]
pub struct Args {
    /// The room (setting livekit_room).
    #[arg(long, value_name = "NAME")]
    room: Option<String>,
}

/// What is due and waits to be announced; more waits with the timers.
const DUE: usize = 8;

/// Stays in the room until SIGTERM or Ctrl-C, or until the server ends it.
///
/// # Errors
///
/// When no server is set or it refuses us, or a model cannot be loaded.
pub(super) async fn run(args: Args, settings: Settings, live: Live) -> Result<ExitCode, Failure> {
    let mut signals = StopSignals::new()?;
    let Some(url) = &settings.livekit_url else {
        return Err(Failure::request(
            "no LiveKit server is set; set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or run caal serve, which is the room itself",
        ));
    };
    let server = doors::server(&settings, url)?;
    let name = args.room.unwrap_or_else(|| settings.livekit_room.clone());
    let agent_name = settings.livekit_agent_name.clone();
    remark("caal: loading the models…");
    let keeping = Keeping::open(&live).await;
    if let Some(why) = keeping.remark() {
        remark(format_args!("caal: {why}"));
    }
    let app = App::build(settings).await?;
    let (ring, due) = mpsc::channel(DUE);
    let timers = keeping.timers(&live, ring).await;
    let app = Arc::new(app.keeping(keeping.clone()).timing(timers.clone()));
    remark(format_args!("caal: {}", app.greeting()));
    let us = identity(&name, &agent_name);
    let (link, line) = Room::direct(&server, &name, us, &agent_name)?;
    let (links, given) = mpsc::channel(1);
    links
        .try_send(link)
        .map_err(|_| Failure::internal("the room found no seat"))?;
    drop(links);
    let host = app::rooms(&app)?;
    keeping.follow(&host.turns);
    let speaking = app::speak_up(due, host.desk.clone(), timers, host.turns.clone());
    let desk = host.desk.clone();
    let following = async {
        let desk = app.follow_desk(&desk);
        tokio::join!(
            live.follow(),
            app.follow(&live),
            desk,
            keeping.tend(),
            speaking
        );
    };
    tokio::pin!(following);
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn({
        let stop = stop.clone();
        async move {
            room::lobby(given, host, stop).await;
            None
        }
    });
    tasks.spawn(async move { Some(line.run().await) });
    remark(format_args!("caal: in the room {name:?}; Ctrl-C to leave"));
    let mut result = Ok(ExitCode::SUCCESS);
    let mut asked = false;
    loop {
        tokio::select! {
            biased;
            () = signals.next() => {
                if asked {
                    break;
                }
                asked = true;
                remark("caal: leaving; once more to stop at once");
                stop.cancel();
            }
            () = &mut following => unreachable!("neither ends"),
            ended = tasks.join_next() => match ended {
                None => break,
                Some(Ok(Some(Closed::Lost(why)))) if !asked => result = Err(Failure::remote(why)),
                Some(_) => {}
            }
        }
    }
    app.put_away().await;
    keeping.settle().await;
    result
}

/// Who we are in `room`: always the same, so that a server that still holds the place of one that was
/// killed gives it to the next at once instead of showing both.
fn identity(room: &str, agent_name: &str) -> Identity {
    let full = match agent_name {
        "" => format!("agent-{room}"),
        name => format!("agent-{name}-{room}"),
    };
    // Servers take 256 bytes.
    let short = &full[..full.floor_char_boundary(256)];
    Identity::new(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_the_same_each_time_and_another_under_another_name() {
        assert_eq!(identity("den", "").as_str(), "agent-den");
        assert_eq!(identity("den", "caal").as_str(), "agent-caal-den");
        assert!(identity(&"ö".repeat(200), "").as_str().len() <= 256);
    }
}
