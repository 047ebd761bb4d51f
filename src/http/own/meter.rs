//! `GET /api/wake-words/{name}/try`: a WebSocket to which a page sends what its microphone hears, and that
//! tells how much each 80 ms of it sounds like the wake word. One at a time; no conversation hears of it.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{
        FromRequestParts as _, Path, Request,
        ws::{CloseFrame, Message, WebSocketUpgrade, close_code},
    },
    http::Method,
    response::Response,
};
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tracing::warn;

use super::{
    super::{
        Listening, State, TryError,
        api::{Answer, Api, Input, about, pairs},
    },
    problem::Problem,
};

/// Rates of the sound that is sent, Hz.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=96_000;

/// The rate where none is named: that of the models.
const USUAL_RATE: u32 = 16_000;

/// Longest message, bytes: two seconds at 16 kHz.
const LONGEST: usize = 64 * 1024;

/// Sound after which it ends.
const ENOUGH: Duration = Duration::from_secs(120);

/// How long a page may send nothing, or leave unread what it is told.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the sound comes.
#[derive(schemars::JsonSchema)]
#[allow(dead_code, reason = "read for its schema: a query is text")]
struct Sound {
    /// Rate of the sound that is sent, Hz; 16000 where it is not said.
    #[schemars(range(min = 8000, max = 96000))]
    rate: Option<u32>,
}

pub(super) fn write_down(api: &mut Api) {
    let input = Input::Query(api.schema::<Sound>());
    let about = about(
        "/api/wake-words/{name}/try",
        "Panel",
        "A WebSocket: takes 16-bit mono sound in binary messages and tells for each 80 ms how much it sounds like the wake word.",
    )
    .refuses(&[
        (400, "It is not opened as a WebSocket, or the rate is none"),
        (404, "There is no such wake word"),
        (503, "One is being tried already"),
        (500, "The wake word's model cannot be loaded"),
    ]);
    api.own(Method::GET, about, (Some(input), Answer::Socket), attempt);
}

async fn attempt(state: State, request: Request) -> Result<Response, Problem> {
    let rate = rate(&request)?;
    let (mut parts, _) = request.into_parts();
    let word = Path::<String>::from_request_parts(&mut parts, &()).await;
    let Path(word) = word.map_err(|_| Problem::bad_request("the wake word's name is not text"))?;
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    let upgrade = upgrade.map_err(|_| {
        Problem::bad_request("this address is a WebSocket; open it as one and send sound")
    })?;
    let place = state.panel.tries.clone().try_acquire_owned();
    let place = place.map_err(|_| {
        Problem::busy("a wake word is being tried already; try again when that is over")
    })?;
    let listening = state.house.listen(word, rate).await;
    let listening = listening.map_err(|error| match error {
        TryError::Unknown(why) => Problem::not_found(why),
        TryError::Failed(why) => Problem::internal(why),
    })?;
    let upgrade = upgrade.max_message_size(LONGEST).max_frame_size(LONGEST);
    Ok(upgrade.on_upgrade(move |socket| hear(socket, listening, rate, place)))
}

fn rate(request: &Request) -> Result<u32, Problem> {
    let pairs = pairs(request.uri());
    let Some((_, rate)) = pairs.iter().rev().find(|(key, _)| key == "rate") else {
        return Ok(USUAL_RATE);
    };
    let rate = rate.parse().ok().filter(|rate| RATES.contains(rate));
    rate.ok_or_else(|| {
        let (least, most) = (RATES.start(), RATES.end());
        Problem::bad_request(format!("rate is a number from {least} to {most}"))
    })
}

/// Until the page goes, says nothing for a while, or has said enough.
async fn hear(
    mut socket: impl Stream<Item = Result<Message, axum::Error>> + Sink<Message> + Unpin,
    mut listening: Box<dyn Listening>,
    rate: u32,
    _place: OwnedSemaphorePermit,
) {
    let most = ENOUGH.as_secs() * u64::from(rate);
    let mut heard = 0;
    let (code, reason) = loop {
        let message = match timeout(PATIENCE, socket.next()).await {
            Err(_) => break (close_code::POLICY, "no sound came for a while"),
            Ok(None | Some(Err(_)) | Some(Ok(Message::Close(_)))) => return,
            Ok(Some(Ok(message))) => message,
        };
        let sound = match message {
            Message::Binary(sound) if sound.len() % 2 == 0 => samples(&sound),
            Message::Ping(_) | Message::Pong(_) => continue,
            _ => {
                break (
                    close_code::UNSUPPORTED,
                    "send 16-bit sound in binary messages",
                );
            }
        };
        heard += sound.len() as u64;
        // The model takes a few milliseconds for each piece.
        let listened = tokio::task::spawn_blocking(move || {
            let scores = listening.push(&sound);
            (listening, scores)
        });
        let scores = match listened.await {
            Ok((back, Ok(scores))) => {
                listening = back;
                scores
            }
            Ok((_, Err(why))) => {
                warn!("a wake word could not be tried: {why}");
                break (close_code::ERROR, "the model failed; see the log");
            }
            Err(_) => break (close_code::ERROR, "the model failed; see the log"),
        };
        for score in scores {
            let text = serde_json::to_string(&score).expect("plain numbers");
            // A page that does not read would keep the only place.
            let sent = timeout(PATIENCE, socket.send(Message::Text(text.into()))).await;
            if !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
        if heard >= most {
            break (close_code::NORMAL, "that was enough");
        }
    };
    let close = CloseFrame {
        code,
        reason: reason.into(),
    };
    // The page may be gone already.
    let _ = timeout(PATIENCE, socket.send(Message::Close(Some(close)))).await;
}

/// Little-endian 16-bit samples in `-1.0..=1.0`.
fn samples(bytes: &Bytes) -> Vec<f32> {
    let pairs = bytes.chunks_exact(2);
    pairs
        .map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        sync::Arc,
        task::{Context, Poll},
    };

    use tokio::{sync::Semaphore, time::Instant};

    use super::*;
    use crate::http::Heard;

    /// Sends so many pieces of sound, and then nothing; takes nothing that is sent to it.
    struct Stuck(usize);

    impl Stream for Stuck {
        type Item = Result<Message, axum::Error>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            let Some(left) = self.0.checked_sub(1) else {
                return Poll::Pending;
            };
            self.0 = left;
            Poll::Ready(Some(Ok(Message::Binary(Bytes::from_static(&[0; 2_560])))))
        }
    }

    impl Sink<Message> for Stuck {
        type Error = axum::Error;

        fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
            Poll::Pending
        }

        fn start_send(self: Pin<&mut Self>, _: Message) -> Result<(), axum::Error> {
            unreachable!("it is never ready")
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), axum::Error>> {
            Poll::Pending
        }
    }

    struct Quiet;

    impl Listening for Quiet {
        fn push(&mut self, _: &[f32]) -> Result<Vec<Heard>, String> {
            Ok(vec![Heard {
                at_ms: 80,
                score: 0.0,
                level: 0.0,
                threshold: 0.5,
                heard: false,
            }])
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_does_not_read_or_says_nothing_gives_the_place_back() {
        // That does not read, and that says nothing and does not take the goodbye.
        for (pieces, seconds) in [(1, 30), (0, 60)] {
            let places = Arc::new(Semaphore::new(1));
            let place = places.clone().try_acquire_owned().unwrap();
            let started = Instant::now();
            hear(Stuck(pieces), Box::new(Quiet), USUAL_RATE, place).await;
            assert_eq!(started.elapsed().as_secs(), seconds);
            assert_eq!(places.available_permits(), 1);
        }
    }
}
