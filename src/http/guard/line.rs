//! Connections of HTTP: taken up to a bound, with patience for nobody who is slow. axum's own server knows
//! no such bounds, so this one drives hyper.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::ConnectInfo,
    http::{Request, StatusCode},
};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use tracing::warn;

use super::{
    Reason, Refusals, Seats,
    seats::{Asked, Seat},
};

/// Longest wait for the head of a request, from the connection or the last answer on.
const HEAD: Duration = Duration::from_secs(20);

/// Longest head, bytes: a room's token and description stand in one.
const LONGEST_HEAD: usize = 128 << 10;

/// Most headers.
const HEADERS: usize = 100;

/// How long somebody may not take what they asked for.
const STALLED: Duration = Duration::from_secs(30);

/// The pause after the system could take no connection.
const PAUSE: Duration = Duration::from_millis(200);

/// Answers on `listener` until `stop` is cancelled; then those who are being answered are, and no more. What
/// is refused before there is a request is counted in `refusals`.
///
/// # Errors
///
/// None today: what goes wrong with one connection is that one's end.
pub async fn answer(
    listener: TcpListener,
    router: Router,
    seats: Seats,
    refusals: Refusals,
    stop: CancellationToken,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            taken = listener.accept() => match taken {
                Ok(taken) => taken,
                Err(error) => {
                    if !is_of_one(&error) {
                        warn!(%error, "no connection can be taken for a moment");
                        tokio::time::sleep(PAUSE).await;
                    }
                    continue;
                }
            },
        };
        let Some(seat) = seats.take(peer.ip()) else {
            refusals.count(Reason::Connections);
            continue;
        };
        // Without this a small answer may wait for the acknowledgement of the last.
        let _ = stream.set_nodelay(true);
        connections.spawn(serve(
            stream,
            peer,
            Arc::new(seat),
            router.clone(),
            refusals.clone(),
            stop.clone(),
        ));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Whether only one connection has gone wrong.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    seat: Arc<Seat>,
    router: Router,
    refusals: Refusals,
    stop: CancellationToken,
) {
    let begun = Arc::new(AtomicBool::new(false));
    let line = Line {
        stream,
        stalled: None,
        begun: begun.clone(),
        seat: seat.clone(),
    };
    let leave = seat.leave.clone();
    let head = begun.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        head.store(false, Ordering::Relaxed);
        let (router, asked, seat) = (router.clone(), seat.asked(), seat.clone());
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let response = router.oneshot(request).await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                // It is no connection of HTTP any more, and has bounds of its own.
                std::mem::forget(seat.asked());
            }
            Ok::<_, Infallible>(response.map(|body| Answered {
                body,
                _asked: asked,
            }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(HEADERS)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(line), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            () = leave.cancelled() => {
                refusals.count(Reason::Connections);
                return;
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            ended = connection.as_mut() => {
                match ended {
                    Err(error) if error.is_parse_too_large() => refusals.count(Reason::Headers),
                    // Else it was idle, and that is no fault.
                    Err(error) if error.is_timeout() && begun.load(Ordering::Relaxed) => {
                        refusals.count(Reason::Slow);
                    }
                    _ => {}
                }
                return;
            }
        }
    }
}

/// An answer's body; while it is sent, its connection need not make room.
struct Answered {
    body: Body,
    _asked: Asked,
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that keeps its seat, also when it has become a WebSocket, and that breaks when nobody takes
/// what is written.
struct Line {
    stream: TcpStream,
    /// Runs while something waits to be taken.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Something was read that is no whole request yet.
    begun: Arc<AtomicBool>,
    #[expect(dead_code, reason = "held until the connection is gone")]
    seat: Arc<Seat>,
}

impl Line {
    /// What `written` says, unless it has been pending for too long.
    fn patient<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = || Box::pin(sleep(STALLED));
        let stalled = self.stalled.get_or_insert_with(stalled);
        ready!(stalled.as_mut().poll(cx));
        stalled.as_mut().reset(Instant::now() + STALLED);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, into);
        if into.filled().len() > before {
            self.begun.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.patient(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.patient(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
