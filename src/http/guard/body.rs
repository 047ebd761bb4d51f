//! Bodies of requests as they come in: not too much, and not too slowly.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::Reason;

/// Longest wait for the next piece of a body.
const PAUSE: Duration = Duration::from_secs(10);

/// Longest wait for a whole body: a picture of the screen over a slow line.
const WHOLE: Duration = Duration::from_secs(60);

/// What became of a body, for whoever made it [`paced`].
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict(Arc<AtomicU8>);

impl Verdict {
    const LARGE: u8 = 1;
    const SLOW: u8 = 2;

    /// Why the body broke off, where it did.
    pub(super) fn reason(&self) -> Option<Reason> {
        match self.0.load(Ordering::Relaxed) {
            Self::LARGE => Some(Reason::Body),
            Self::SLOW => Some(Reason::Slow),
            _ => None,
        }
    }
}

/// `body`, which breaks off with an error when it is longer than `longest` bytes or comes too slowly.
pub(super) fn paced(body: Body, longest: u64) -> (Body, Verdict) {
    let verdict = Verdict::default();
    if body.is_end_stream() {
        return (body, verdict);
    }
    let paced = Paced {
        body,
        left: longest,
        pause: Box::pin(sleep(PAUSE)),
        whole: Box::pin(sleep_until(Instant::now() + WHOLE)),
        verdict: verdict.clone(),
    };
    (Body::new(paced), verdict)
}

struct Paced {
    body: Body,
    left: u64,
    pause: Pin<Box<Sleep>>,
    whole: Pin<Box<Sleep>>,
    verdict: Verdict,
}

impl Paced {
    fn broken(&self, why: u8) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.verdict.0.store(why, Ordering::Relaxed);
        let error = std::io::Error::other("the body is too long or too slow");
        Poll::Ready(Some(Err(axum::Error::new(error))))
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.whole.as_mut().poll(cx).is_ready() {
            return self.broken(Verdict::SLOW);
        }
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            ready!(self.pause.as_mut().poll(cx));
            return self.broken(Verdict::SLOW);
        };
        if let Some(Ok(frame)) = &frame {
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            match self.left.checked_sub(length) {
                Some(left) => self.left = left,
                None => return self.broken(Verdict::LARGE),
            }
            self.pause.as_mut().reset(Instant::now() + PAUSE);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use futures_util::{StreamExt as _, stream};

    use super::*;

    fn pieces(count: u64, every: Duration) -> Body {
        let pieces = stream::iter(0..count).then(move |_| async move {
            sleep(every).await;
            Ok::<_, std::convert::Infallible>("x")
        });
        Body::from_stream(pieces)
    }

    async fn read(body: Body, longest: u64) -> (Option<usize>, Option<Reason>) {
        let (body, verdict) = paced(body, longest);
        let read = to_bytes(body, usize::MAX).await;
        (read.ok().map(|bytes| bytes.len()), verdict.reason())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_comes_whole_in_time_or_breaks_off() {
        let quick = Duration::from_secs(1);
        assert_eq!(read(pieces(5, quick), 5).await, (Some(5), None));
        assert_eq!(read(pieces(6, quick), 5).await, (None, Some(Reason::Body)));
        let slow = (None, Some(Reason::Slow));
        assert_eq!(read(pieces(2, PAUSE * 2), 5).await, slow);
        // One byte at a time, each just in time.
        assert_eq!(read(pieces(100, PAUSE / 2), 500).await, slow);
        assert_eq!(read(Body::empty(), 0).await, (Some(0), None));
    }
}
