//! The sockets through which media comes and goes, shared by all sessions: who a packet is for is known
//! by its sender's address, and, for the first, by the name in it. TCP is for networks that let no UDP
//! through; there each packet has its length before it (RFC 4571).

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
};

use crate::rtc::peer::{Proto, Transmit, addressee};

/// TCP connections at once.
const TCP_CONNECTIONS: usize = 256;

/// Packets that wait for a TCP connection to take them; more are lost, as packets may be.
const TCP_QUEUE: usize = 128;

/// How long a TCP connection may say nothing.
const TCP_SILENCE: Duration = Duration::from_secs(60);

/// Addresses that are remembered; when there are more, the ones without a session go.
const SOURCES: usize = 20_000;

/// A packet on its way to a room.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) session: u64,
    pub(super) proto: Proto,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

/// Where a session's packets go.
#[derive(Clone, Debug)]
struct Route {
    session: u64,
    room: mpsc::Sender<Packet>,
}

#[derive(Debug, Default)]
struct Routes {
    names: HashMap<String, Route>,
    sources: HashMap<(Proto, SocketAddr), Route>,
    tcp: HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>,
}

/// The sockets.
#[derive(Debug)]
pub(super) struct Media {
    udp: Vec<(SocketAddr, Arc<UdpSocket>)>,
    tcp: Vec<Arc<TcpListener>>,
    /// Addresses for the descriptions.
    pub(super) udp_candidates: Vec<SocketAddr>,
    pub(super) tcp_candidates: Vec<SocketAddr>,
    // Never held across an await; sockets' tasks and rooms look things up in it.
    routes: Mutex<Routes>,
    tcp_slots: Arc<Semaphore>,
}

impl Media {
    /// Binds the sockets.
    ///
    /// # Errors
    /// No address could be bound for UDP.
    pub(super) async fn bind(
        addresses: &[IpAddr],
        node_ips: &[IpAddr],
        udp_port: u16,
        tcp_port: Option<u16>,
    ) -> io::Result<Self> {
        let (mut udp, mut tcp, mut failed) = (Vec::new(), Vec::new(), None);
        for ip in addresses {
            match UdpSocket::bind((*ip, udp_port)).await {
                Ok(socket) => udp.push((socket.local_addr()?, Arc::new(socket))),
                Err(e) => failed = Some(e),
            }
            if let Some(port) = tcp_port {
                match TcpListener::bind((*ip, port)).await {
                    Ok(listener) => tcp.push(Arc::new(listener)),
                    Err(e) => tracing::warn!(%ip, port, "no media over TCP here: {e}"),
                }
            }
        }
        if udp.is_empty() {
            return Err(failed.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
        }
        if let Some(e) = failed {
            tracing::warn!("not every address can take media: {e}");
        }
        let mut udp_candidates: Vec<_> = udp.iter().map(|(a, _)| *a).collect();
        let mut tcp_candidates = Vec::new();
        for listener in &tcp {
            tcp_candidates.push(listener.local_addr()?);
        }
        for ip in node_ips.iter().rev().copied() {
            for list in [&mut udp_candidates, &mut tcp_candidates] {
                if let Some(port) = list.first().map(SocketAddr::port)
                    && !list.iter().any(|a| a.ip() == ip)
                {
                    list.insert(0, SocketAddr::new(ip, port));
                }
            }
        }
        Ok(Self {
            udp,
            tcp,
            udp_candidates,
            tcp_candidates,
            routes: Mutex::default(),
            tcp_slots: Arc::new(Semaphore::new(TCP_CONNECTIONS)),
        })
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        // Nothing in there can be left half done.
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Packets that name one of `names` are for `session`.
    pub(super) fn expect<'a>(
        &self,
        session: u64,
        names: impl Iterator<Item = &'a String>,
        room: &mpsc::Sender<Packet>,
    ) {
        let mut routes = self.routes();
        for name in names {
            routes.names.entry(name.clone()).or_insert_with(|| Route {
                session,
                room: room.clone(),
            });
        }
    }

    /// The session is over.
    pub(super) fn forget(&self, session: u64) {
        let mut routes = self.routes();
        routes.names.retain(|_, r| r.session != session);
        routes.sources.retain(|_, r| r.session != session);
    }

    /// Sends; what cannot be sent at once is lost.
    pub(super) fn send(&self, packet: Transmit) {
        match packet.proto {
            Proto::Udp => {
                let same = |(a, _): &&(SocketAddr, _)| *a == packet.source;
                // A configured address has no socket of its own: the first of its family sends.
                let family =
                    |(a, _): &&(SocketAddr, _)| a.is_ipv4() == packet.destination.is_ipv4();
                let socket = self.udp.iter().find(same);
                if let Some((_, socket)) = socket.or_else(|| self.udp.iter().find(family)) {
                    let _ = socket.try_send_to(&packet.bytes, packet.destination);
                }
            }
            Proto::Tcp => {
                let writer = self.routes().tcp.get(&packet.destination).cloned();
                if let Some(writer) = writer {
                    let _ = writer.try_send(packet.bytes);
                }
            }
        }
    }

    /// Hands a packet to its room; `false` when nobody knows it.
    fn deliver(
        &self,
        proto: Proto,
        source: SocketAddr,
        destination: SocketAddr,
        bytes: &[u8],
    ) -> bool {
        let route = {
            let mut routes = self.routes();
            let named = addressee(bytes).and_then(|name| routes.names.get(&name).cloned());
            match named {
                Some(route) => {
                    let known = routes.sources.get(&(proto, source)).map(|r| r.session);
                    if known != Some(route.session) && routes.sources.len() < SOURCES {
                        routes.sources.insert((proto, source), route.clone());
                    }
                    route
                }
                None => match routes.sources.get(&(proto, source)) {
                    Some(route) => route.clone(),
                    None => return false,
                },
            }
        };
        // A room that does not keep up loses packets, as a full line would.
        let _ = route.room.try_send(Packet {
            session: route.session,
            proto,
            source,
            destination,
            bytes: bytes.to_vec(),
        });
        true
    }

    /// Starts what reads the sockets.
    pub(super) fn start(self: &Arc<Self>, tasks: &mut JoinSet<()>) {
        for (address, socket) in self.udp.clone() {
            let media = Arc::clone(self);
            tasks.spawn(async move {
                let mut buffer = vec![0; 2048];
                loop {
                    // Errors here are answers to packets of ours that nobody wanted.
                    if let Ok((n, source)) = socket.recv_from(&mut buffer).await {
                        media.deliver(Proto::Udp, source, address, &buffer[..n]);
                    }
                }
            });
        }
        for listener in self.tcp.clone() {
            let media = Arc::clone(self);
            tasks.spawn(async move {
                let mut lines = JoinSet::new();
                loop {
                    while lines.try_join_next().is_some() {}
                    let Ok((stream, source)) = listener.accept().await else {
                        // Out of files, most likely: what is open may close.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    };
                    if let Ok(slot) = Arc::clone(&media.tcp_slots).try_acquire_owned() {
                        let media = Arc::clone(&media);
                        lines.spawn(async move { media.line(stream, source, slot).await });
                    }
                }
            });
        }
    }

    async fn line(&self, stream: TcpStream, source: SocketAddr, _slot: OwnedSemaphorePermit) {
        let Ok(destination) = stream.local_addr() else {
            return;
        };
        let _ = stream.set_nodelay(true);
        let (mut read, mut write) = stream.into_split();
        let (queue, mut packets) = mpsc::channel::<Vec<u8>>(TCP_QUEUE);
        self.routes().tcp.insert(source, queue);
        let outward = async {
            while let Some(bytes) = packets.recv().await {
                let Ok(length) = u16::try_from(bytes.len()) else {
                    continue;
                };
                let framed = [&length.to_be_bytes()[..], &bytes].concat();
                if write.write_all(&framed).await.is_err() {
                    return;
                }
            }
        };
        let inward = async {
            let mut buffer = vec![0; usize::from(u16::MAX)];
            let mut known = false;
            loop {
                let one = async {
                    let length = usize::from(read.read_u16().await?);
                    read.read_exact(&mut buffer[..length]).await?;
                    Ok::<_, io::Error>(length)
                };
                let Ok(Ok(length)) = tokio::time::timeout(TCP_SILENCE, one).await else {
                    return;
                };
                known |= self.deliver(Proto::Tcp, source, destination, &buffer[..length]);
                if !known {
                    return; // whoever this is, they do not come to one of us
                }
            }
        };
        tokio::select! {
            () = outward => {}
            () = inward => {}
        }
        let mut routes = self.routes();
        routes.tcp.remove(&source);
        routes.sources.remove(&(Proto::Tcp, source));
    }
}
