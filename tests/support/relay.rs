//! A bad network between real peers, in user space. Signalling goes through it by TCP, and in passing the
//! addresses in it are changed so that sound goes through it, too: the server's candidates get the relay's
//! port, the client's a port that leads nowhere. Numbers keep their length, so WebSocket frames keep theirs.

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream, UdpSocket,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

use super::Dice;

/// How bad it is: packets of sound in percent, and up to how many milliseconds one is late. Each is late
/// by itself, so that they overtake each other.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bad {
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    pub(crate) late_ms: usize,
}

/// The relay. Ends when it is dropped.
pub(crate) struct Relay {
    port: u16,
    way: Arc<Way>,
    cuts: watch::Sender<u32>,
    _tasks: JoinSet<()>,
}

struct Way {
    /// Where clients send sound.
    media: UdpSocket,
    media_port: u16,
    /// Where the server takes it, as its candidates say.
    server: Mutex<Option<SocketAddr>>,
    bad: Mutex<Bad>,
    dice: Mutex<Dice>,
    passed: AtomicU64,
}

impl Relay {
    /// A way to the server whose signalling is on `port` of this machine.
    pub(crate) async fn before(port: u16, seed: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let here = listener.local_addr().unwrap().port();
        // At one address: from all of them, answers would come from another than was written to.
        let media = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let way = Arc::new(Way {
            media_port: media.local_addr().unwrap().port(),
            media,
            server: Mutex::default(),
            bad: Mutex::default(),
            dice: Mutex::new(Dice::new(seed)),
            passed: AtomicU64::new(0),
        });
        let (cuts, cut) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(signalling(listener, port, way.clone(), cut));
        tasks.spawn(sound(way.clone()));
        Self {
            port: here,
            way,
            cuts,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self, scheme: &str) -> String {
        // By name: a page has its microphone there without TLS.
        format!("{scheme}://localhost:{}", self.port)
    }

    /// From now on the line is so.
    pub(crate) fn is(&self, bad: Bad) {
        *self.way.bad.lock().unwrap() = bad;
    }

    /// Cuts all signalling that goes through.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|n| *n += 1);
    }

    /// Packets of sound, both ways, that got through.
    pub(crate) fn passed(&self) -> u64 {
        self.way.passed.load(Ordering::Relaxed)
    }
}

impl Way {
    /// How late each copy of the next packet is; none is lost.
    fn fate(&self) -> Vec<Duration> {
        let bad = *self.bad.lock().unwrap();
        let mut dice = self.dice.lock().unwrap();
        if dice.below(100) < bad.lost {
            return Vec::new();
        }
        let copies = 1 + usize::from(dice.below(100) < bad.doubled);
        self.passed.fetch_add(1, Ordering::Relaxed);
        (0..copies)
            .map(|_| Duration::from_millis(dice.below(bad.late_ms + 1) as u64))
            .collect()
    }
}

/// Sends the copies of a packet when each is due.
fn send(
    tasks: &mut JoinSet<()>,
    way: &Arc<Way>,
    upstream: Option<&Arc<UdpSocket>>,
    to: SocketAddr,
    packet: &[u8],
) {
    while tasks.try_join_next().is_some() {}
    for late in way.fate() {
        if late.is_zero() {
            let socket = upstream.map_or(&way.media, |socket| &**socket);
            let _ = socket.try_send_to(packet, to); // as a network does: lost
            continue;
        }
        let (way, upstream, packet) = (way.clone(), upstream.cloned(), packet.to_vec());
        tasks.spawn(async move {
            tokio::time::sleep(late).await;
            let socket = upstream.as_deref().unwrap_or(&way.media);
            let _ = socket.send_to(&packet, to).await;
        });
    }
}

/// Both ways of sound; every client has a socket of its own towards the server, as behind a NAT.
async fn sound(way: Arc<Way>) {
    let mut clients: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let (mut backs, mut tasks) = (JoinSet::new(), JoinSet::new());
    let mut packet = vec![0; 2_048];
    loop {
        let Ok((length, client)) = way.media.recv_from(&mut packet).await else {
            continue; // somebody's port is closed; the next may be good
        };
        let Some(server) = *way.server.lock().unwrap() else {
            continue;
        };
        let upstream = match clients.get(&client) {
            Some(known) => known.clone(),
            None => {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
                let socket = Arc::new(socket);
                backs.spawn(back(way.clone(), socket.clone(), client));
                clients.insert(client, socket.clone());
                socket
            }
        };
        let packet = &packet[..length];
        send(&mut tasks, &way, Some(&upstream), server, packet);
    }
}

async fn back(way: Arc<Way>, socket: Arc<UdpSocket>, client: SocketAddr) {
    let mut tasks = JoinSet::new();
    let mut packet = vec![0; 2_048];
    loop {
        // The server has one address behind the relay: what it tries from others would come from nowhere
        // that the client knows.
        if let Ok((length, server)) = socket.recv_from(&mut packet).await
            && Some(server) == *way.server.lock().unwrap()
        {
            send(&mut tasks, &way, None, client, &packet[..length]);
        }
    }
}

async fn signalling(listener: TcpListener, port: u16, way: Arc<Way>, cut: watch::Receiver<u32>) {
    let mut lines = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while lines.try_join_next().is_some() {}
        let (way, mut cut) = (way.clone(), cut.clone());
        cut.mark_unchanged();
        lines.spawn(async move {
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
                return;
            };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let both = async {
                let up = pump(from_client, to_server, &way, false);
                let down = pump(from_server, to_client, &way, true);
                tokio::join!(up, down)
            };
            tokio::select! {
                _ = both => {}
                _ = cut.changed() => {}
            }
        });
    }
}

/// One direction of one connection: a head of HTTP, then frames of a WebSocket, or anything.
async fn pump(
    from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: &Way,
    from_server: bool,
) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if from.read_until(b'\n', &mut head).await? == 0 {
            break;
        }
    }
    to.write_all(&head).await?;
    let head = String::from_utf8_lossy(&head).to_lowercase();
    if head.contains("upgrade: websocket") {
        while frame(&mut from, &mut to, way, from_server).await? {}
    } else {
        tokio::io::copy(&mut from, &mut to).await?;
    }
    to.shutdown().await
}

/// Passes on one frame; false at the end.
async fn frame(
    from: &mut BufReader<OwnedReadHalf>,
    to: &mut (impl AsyncWrite + Unpin),
    way: &Way,
    from_server: bool,
) -> io::Result<bool> {
    let mut frame = vec![0; 2];
    if from.read_exact(&mut frame).await.is_err() {
        return Ok(false);
    }
    let masked = frame[1] & 0x80 != 0;
    let short = usize::from(frame[1] & 0x7f);
    let more = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    } + if masked { 4 } else { 0 };
    frame.resize(2 + more, 0);
    from.read_exact(&mut frame[2..]).await?;
    let number = |bytes: &[u8]| bytes.iter().fold(0, |n, b| n << 8 | usize::from(*b));
    let length = match short {
        126 => number(&frame[2..4]),
        127 => number(&frame[2..10]),
        length => length,
    };
    let head = frame.len();
    let key: [u8; 4] = match masked {
        true => frame[head - 4..].try_into().unwrap(),
        false => [0; 4],
    };
    frame.resize(head + length, 0);
    from.read_exact(&mut frame[head..]).await?;
    let mask = |payload: &mut [u8]| {
        for (n, byte) in payload.iter_mut().enumerate() {
            *byte ^= key[n % 4];
        }
    };
    mask(&mut frame[head..]);
    redirect(&mut frame[head..], way, from_server);
    mask(&mut frame[head..]);
    to.write_all(&frame).await?;
    Ok(true)
}

/// Changes the ports of all candidates in it.
fn redirect(payload: &mut [u8], way: &Way, from_server: bool) {
    const WORD: &[u8] = b"candidate:";
    let mut at = 0;
    while let Some(found) = payload[at..].windows(WORD.len()).position(|w| w == WORD) {
        at += found + WORD.len();
        let end = payload[at..]
            .iter()
            .position(|b| !(b' '..=b'~').contains(b));
        let end = end.map_or(payload.len(), |n| at + n);
        let line = String::from_utf8_lossy(&payload[at..end]).into_owned();
        let words: Vec<&str> = line.split(' ').collect();
        let [_, _, protocol, _, address, port, "typ", kind, ..] = words[..] else {
            continue;
        };
        let Ok(number) = port.parse::<u16>() else {
            continue;
        };
        let start = at + words[..5].iter().map(|w| w.len() + 1).sum::<usize>();
        let mut new = 9; // "discard": nobody is there
        if from_server && protocol.eq_ignore_ascii_case("udp") {
            new = way.media_port;
            // An answer also tells where its peer has seen it (`prflx`): that is the relay itself.
            if let Ok(ip) = address.parse::<Ipv4Addr>()
                && ip.is_loopback()
                && kind.starts_with("host")
            {
                *way.server.lock().unwrap() = Some((ip, number).into());
            }
        }
        let new = format!("{new:0>width$}", width = port.len());
        assert_eq!(new.len(), port.len(), "ports of five digits");
        payload[start..start + port.len()].copy_from_slice(new.as_bytes());
    }
}
