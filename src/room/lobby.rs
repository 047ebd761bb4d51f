//! All rooms of the process: a conversation for every link that comes in.

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info_span, warn};

use super::{Host, Outcome, host};
use crate::{rtc::Link, telemetry};

/// Holds a conversation in the room of every link, until `stop` is cancelled or no more links come
/// and the last conversation is over. One that ends in a panic takes nobody with it.
///
/// Told to stop, every room is left; that takes two seconds at most.
pub async fn lobby(mut links: mpsc::Receiver<Link>, with: Host, stop: CancellationToken) {
    let mut conversations = JoinSet::new();
    let mut open = true;
    while open || !conversations.is_empty() {
        tokio::select! {
            link = links.recv(), if open => match link {
                Some(link) => {
                    let span = info_span!("room", name = ?link.room);
                    let (with, stop) = (with.clone(), stop.clone());
                    conversations.spawn(async move { host(link, &with, stop).await }.instrument(span));
                }
                None => open = false,
            },
            Some(ended) = conversations.join_next() => match ended {
                Ok(Outcome::Closed(_) | Outcome::Stopped) => {}
                Ok(Outcome::Failed(why)) => error!("a room was left: {why}"),
                Err(ended) => warn!(error = telemetry::ended(&ended), "a room's conversation has ended"),
            },
            () = stop.cancelled(), if open => {
                open = false;
                links.close();
            }
        }
    }
}
