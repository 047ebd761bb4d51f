//! One file from the hub to the disk: resumed, retried, checked, named.

use std::{io, path::Path, time::Duration};

use super::{
    hub::{Hub, Promise, Remote, Trouble, range_of},
    part::Part,
    watch::{Event, Watch},
};
use crate::fault::Fault;

/// Progress that makes earlier failures forgotten: a slow line that is cut every minute still ends.
const PROGRESS: u64 = 256 * 1024;

/// Why a file did not arrive.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// This source does not give it.
    Source(Trouble),
    /// The disk does not take it.
    Disk(io::Error),
}

impl From<io::Error> for FetchError {
    fn from(error: io::Error) -> Self {
        FetchError::Disk(error)
    }
}

impl From<Trouble> for FetchError {
    fn from(trouble: Trouble) -> Self {
        FetchError::Source(trouble)
    }
}

/// Fetches `file` to `target` and returns its size and sha256. `expected` is what the file must be;
/// what it leaves open is taken from the hub's promise. Dropping the future stops it; what is there
/// stays in the part and the next call goes on from it.
pub(crate) async fn fetch(
    hub: &Hub,
    file: Remote<'_>,
    expected: &Promise,
    target: &Path,
    watch: &dyn Watch,
) -> Result<(u64, String), FetchError> {
    let mut part = Part::open(target).await?;
    let too_long = expected.bytes.is_some_and(|n| part.len() > n);
    // Of small files the hub knows no sha256: nothing would tell that an earlier pull's bytes are of
    // another version.
    if too_long || expected.sha256.is_none() {
        part.restart().await?;
    }
    let source = format!("{} on the Hugging Face hub", file.repo);
    watch.on(Event::Item {
        name: file.path,
        bytes: expected.bytes,
        have: part.len(),
        source: &source,
    });
    // Bytes from an earlier pull may be of another version: then one more chance from the beginning.
    let mut inherited = part.len() > 0;
    loop {
        let promise = match all_bytes(hub, file, expected, &mut part, watch).await {
            Ok(promise) => promise,
            Err(error) => {
                if part.len() == 0 {
                    part.delete().await?; // an empty part would look like a pull that was cut off
                }
                return Err(error);
            }
        };
        let got = part.sha256();
        let wanted = expected.sha256.as_ref().or(promise.sha256.as_ref());
        let wrong = wanted.filter(|w| **w != got);
        let Some(wanted) = wrong else {
            let bytes = part.len();
            part.finish().await?;
            watch.on(Event::ItemDone);
            return Ok((bytes, got));
        };
        if !inherited {
            let reason = format!(
                "{} arrived with a wrong sha256 ({}… instead of {}…) and was deleted",
                file.path,
                &got[..12],
                &wanted[..wanted.len().min(12)]
            );
            part.delete().await?;
            return Err(Trouble::Final(reason, Fault::Remote).into());
        }
        inherited = false;
        part.restart().await?;
        watch.on(Event::Bytes(0));
    }
}

/// Fills `part` up to the file's end.
async fn all_bytes(
    hub: &Hub,
    file: Remote<'_>,
    expected: &Promise,
    part: &mut Part,
    watch: &dyn Watch,
) -> Result<Promise, FetchError> {
    let patience = hub.patience();
    let mut failures = 0;
    loop {
        let before = part.len();
        let trouble = match some_bytes(hub, file, expected, part, watch).await {
            Ok(promise) => return Ok(promise),
            Err(FetchError::Source(trouble)) => trouble,
            Err(disk) => return Err(disk),
        };
        part.flush().await?;
        if part.len() >= before + PROGRESS {
            failures = 0;
        }
        failures += 1;
        let asked = match &trouble {
            Trouble::Again(_, asked) => *asked,
            // The way to the hub was there a moment ago: the network may come back.
            Trouble::Unreachable(_) if part.len() > 0 => None,
            Trouble::Unreachable(reason) => {
                hub.set_down(reason);
                return Err(trouble.into());
            }
            Trouble::Final(..) => return Err(trouble.into()),
        };
        if failures >= patience.tries {
            let reason = format!("{} ({failures} tries in a row)", trouble.reason());
            return Err(Trouble::Final(reason, Fault::Remote).into());
        }
        pause(&trouble, asked, failures, hub, watch).await;
    }
}

/// Waits before the next try.
pub(crate) async fn pause(
    trouble: &Trouble,
    asked: Option<Duration>,
    failures: u32,
    hub: &Hub,
    watch: &dyn Watch,
) {
    let patience = hub.patience();
    let doubled = patience.pause * 2_u32.pow(failures.saturating_sub(1).min(10));
    let wait = asked.unwrap_or(doubled).min(patience.longest);
    watch.on(Event::Retry {
        reason: trouble.reason(),
        wait,
    });
    tokio::time::sleep(wait).await;
}

/// One request: appends what it brings.
async fn some_bytes(
    hub: &Hub,
    file: Remote<'_>,
    expected: &Promise,
    part: &mut Part,
    watch: &dyn Watch,
) -> Result<Promise, FetchError> {
    if expected.bytes.is_some_and(|n| n > 0 && n == part.len()) {
        return Ok(expected.clone()); // all there from before: only the check is left
    }
    let check = |promise: &Promise| differs(file.path, expected, promise);
    let (response, promise) = hub.open(file, part.len(), &check).await?;
    let Some(mut response) = response else {
        // Nothing from that byte on: the part is complete, or not of this file.
        if promise.bytes.or(expected.bytes) == Some(part.len()) {
            return Ok(promise);
        }
        part.restart().await?;
        let reason = "the server has fewer bytes than are here already; beginning anew";
        return Err(Trouble::Again(reason.to_owned(), None).into());
    };
    let begins = match range_of(&response) {
        Some((first, _)) if response.status().as_u16() == 206 => first,
        _ => 0,
    };
    if begins != part.len() {
        // The server does not do ranges (or another one than was asked for): from the beginning.
        part.restart().await?;
        if begins != 0 {
            let reason = "the server sent another range than was asked for";
            return Err(Trouble::Again(reason.to_owned(), None).into());
        }
    }
    let most = expected.bytes.or(promise.bytes);
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|e| Trouble::Again(hub.say(&e), None))?;
        let Some(chunk) = chunk else { break };
        if most.is_some_and(|most| part.len() + chunk.len() as u64 > most) {
            part.restart().await?;
            let reason = format!(
                "{} is longer than its {} bytes",
                file.path,
                most.unwrap_or(0)
            );
            return Err(Trouble::Final(reason, Fault::Remote).into());
        }
        part.write(&chunk).await?;
        watch.on(Event::Bytes(part.len()));
    }
    if most.is_some_and(|most| part.len() < most) {
        let reason = "the connection was cut before the end";
        return Err(Trouble::Again(reason.to_owned(), None).into());
    }
    Ok(promise)
}

/// Whether the hub promises another file than the expected one: known before any byte is fetched.
fn differs(path: &str, expected: &Promise, promise: &Promise) -> Result<(), Trouble> {
    let other = |what: String| {
        let reason = format!("{path} is another version there ({what})");
        Err(Trouble::Final(reason, Fault::Remote))
    };
    if let (Some(want), Some(have)) = (&expected.sha256, &promise.sha256)
        && want != have
    {
        return other(format!(
            "sha256 {}… instead of {}…",
            &have[..12],
            &want[..12]
        ));
    }
    match (expected.bytes, promise.bytes) {
        (Some(want), Some(have)) if want != have => {
            other(format!("{have} bytes instead of {want}"))
        }
        _ => Ok(()),
    }
}
