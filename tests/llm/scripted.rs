//! A server that speaks Ollama's protocol by script: exact streams, cut at any byte, and every way
//! to fail. Real sockets, since the client's reading of them is what is tested.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// What the server does with one connection after it has read the request.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// These bytes, flushed.
    Send(Vec<u8>),
    /// Nothing, until the client goes away.
    Hang,
    /// The connection ends here, also when more was promised.
    Close,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `POST /api/chat HTTP/1.1` and the headers.
    pub(crate) head: String,
    /// The body as JSON; `null` where there is none.
    pub(crate) body: serde_json::Value,
    /// The same as it was sent.
    pub(crate) text: String,
}

type Script = dyn Fn(&Seen) -> Vec<Step> + Send + Sync;

/// The server. Dropping it ends it.
pub(crate) struct Scripted {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    left: watch::Receiver<usize>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    /// Every connection gets `steps`.
    pub(crate) async fn start(steps: Vec<Step>) -> Self {
        crate::support::secrets::watch();
        Self::with(move |_| steps.clone()).await
    }

    /// Every connection gets what `steps` says to its request.
    pub(crate) async fn with(steps: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", steps).await
    }

    /// The same at a certain address.
    pub(crate) async fn at(
        address: &str,
        steps: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let steps: Arc<Script> = Arc::new(steps);
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (leave, left) = watch::channel(0);
        let mut tasks = JoinSet::new();
        let log = seen.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.expect("accepts");
                connections.spawn(serve(socket, steps.clone(), log.clone(), leave.clone()));
            }
        });
        Self {
            address,
            seen,
            left,
            _tasks: tasks,
        }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    /// Waits until `n` clients have gone away from a [`Step::Hang`].
    pub(crate) async fn clients_left(&mut self, n: usize) {
        self.left
            .wait_for(|left| *left >= n)
            .await
            .expect("the server lives");
    }
}

async fn serve(
    mut socket: TcpStream,
    steps: Arc<Script>,
    log: Arc<Mutex<Vec<Seen>>>,
    leave: watch::Sender<usize>,
) {
    let Some(seen) = read_request(&mut socket).await else {
        return;
    };
    let steps = steps(&seen);
    log.lock().expect("no panic").push(seen);
    for step in steps {
        match step {
            Step::Send(bytes) => {
                if socket.write_all(&bytes).await.is_err() || socket.flush().await.is_err() {
                    break;
                }
                // Lets the client read this piece before the next is written.
                tokio::task::yield_now().await;
            }
            Step::Hang => {
                let mut byte = [0; 1];
                // A client sends nothing after its request: this returns when it is gone.
                while matches!(socket.read(&mut byte).await, Ok(n) if n > 0) {}
                leave.send_modify(|left| *left += 1);
            }
            Step::Close => break,
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    while bytes.len() < end + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = serde_json::from_slice(&bytes[end..]).unwrap_or(serde_json::Value::Null);
    let text = String::from_utf8_lossy(&bytes[end..]).into_owned();
    Some(Seen { head, body, text })
}

/// A response that sends `pieces` one by one, then ends.
pub(crate) fn response(status: &str, kind: &str, pieces: &[&[u8]]) -> Vec<Step> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\
         connection: close\r\n\r\n"
    );
    let mut steps = vec![Step::Send(head.into_bytes())];
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        steps.push(Step::Send(chunk));
    }
    steps.push(Step::Send(b"0\r\n\r\n".to_vec()));
    steps
}

/// The lines of an answer that says `words`, as Ollama 0.17 sends them.
pub(crate) fn answer(words: &[&str]) -> String {
    let mut lines: String = words.iter().map(|word| line(word)).collect();
    lines.push_str(concat!(
        r#"{"model":"m","created_at":"2026-11-22T16:00:00.5Z","message":{"role":"assistant","#,
        r#""content":""},"done":true,"done_reason":"stop","total_duration":5,"load_duration":1,"#,
        r#""prompt_eval_count":26,"prompt_eval_duration":1,"eval_count":3,"eval_duration":2}"#,
        "\n"
    ));
    lines
}

/// One line of an answer.
pub(crate) fn line(word: &str) -> String {
    let message = serde_json::json!({
        "model": "m",
        "created_at": "2026-11-22T16:00:00.1Z",
        "message": {"role": "assistant", "content": word},
        "done": false,
    });
    format!("{message}\n")
}

/// A response with a streamed answer in `pieces`.
pub(crate) fn streamed(pieces: &[&[u8]]) -> Vec<Step> {
    response("200 OK", "application/x-ndjson", pieces)
}
