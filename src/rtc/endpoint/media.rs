//! The sockets through which media comes and goes, shared by all sessions: who a packet is for is known
//! by its sender's address, and, for the first, by the name in it. TCP is for networks that let no UDP
//! through; there each packet has its length before it (RFC 4571). Addresses come and go while a laptop
//! travels: who joins is told those of now.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
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

/// How often this machine is asked for its addresses.
const LOOK: Duration = Duration::from_secs(10);

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

/// What came from people, counted since the start.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Packets of any kind over TCP.
    pub tcp: AtomicU64,
    /// Packets of sound.
    pub sound: AtomicU64,
    /// Of these, with redundancy (RED).
    pub redundant: AtomicU64,
}

/// The sockets of now.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    udp: Vec<(SocketAddr, Arc<UdpSocket>)>,
    tcp: Vec<(SocketAddr, Arc<TcpListener>)>,
    /// Addresses for the descriptions.
    pub(super) udp_candidates: Vec<SocketAddr>,
    pub(super) tcp_candidates: Vec<SocketAddr>,
}

/// All sockets there are, and who is behind them.
#[derive(Debug)]
pub(super) struct Media {
    /// What came through them.
    pub(super) traffic: Arc<Traffic>,
    node_ips: Vec<IpAddr>,
    udp_port: Option<u16>,
    tcp_port: Option<u16>,
    // Neither is ever held across an await; sockets' tasks and rooms look things up in them.
    sockets: Mutex<Arc<Sockets>>,
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
        udp_port: Option<u16>,
        tcp_port: Option<u16>,
    ) -> io::Result<Self> {
        let media = Self {
            traffic: Arc::default(),
            node_ips: node_ips.to_vec(),
            udp_port,
            tcp_port,
            sockets: Mutex::default(),
            routes: Mutex::default(),
            tcp_slots: Arc::new(Semaphore::new(TCP_CONNECTIONS)),
        };
        if let Some(e) = media.move_to(addresses).await?.first() {
            tracing::warn!("not every address can take media: {e}");
        }
        Ok(media)
    }

    /// The sockets of now.
    pub(super) fn sockets(&self) -> Arc<Sockets> {
        // A list is put there whole.
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&sockets)
    }

    /// From now on these are our addresses: new ones are bound, those that are gone are let go of. Gives
    /// what went wrong; the others are bound all the same.
    ///
    /// # Errors
    /// None could be bound for UDP (for TCP, where there is to be no UDP). All is as before.
    async fn move_to(&self, addresses: &[IpAddr]) -> io::Result<Vec<io::Error>> {
        let before = self.sockets();
        let (mut now, mut failed) = (Sockets::default(), Vec::new());
        for ip in addresses {
            let udp = before.udp.iter().find(|(a, _)| a.ip() == *ip);
            match (udp, self.udp_port) {
                (_, None) => {}
                (Some(known), _) => now.udp.push(known.clone()),
                (None, Some(port)) => match UdpSocket::bind((*ip, port)).await {
                    Ok(socket) => now.udp.push((socket.local_addr()?, Arc::new(socket))),
                    Err(e) => failed.push(e),
                },
            }
            let tcp = before.tcp.iter().find(|(a, _)| a.ip() == *ip);
            match (tcp, self.tcp_port) {
                (_, None) => {}
                (Some(known), _) => now.tcp.push(known.clone()),
                (None, Some(port)) => match TcpListener::bind((*ip, port)).await {
                    Ok(listener) => now.tcp.push((listener.local_addr()?, Arc::new(listener))),
                    Err(e) => failed.push(e),
                },
            }
        }
        let none = match self.udp_port {
            Some(_) => now.udp.is_empty(),
            None => now.tcp.is_empty(),
        };
        if none {
            let error = failed.into_iter().next();
            return Err(error.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
        }
        now.udp_candidates = now.udp.iter().map(|(a, _)| *a).collect();
        now.tcp_candidates = now.tcp.iter().map(|(a, _)| *a).collect();
        for ip in self.node_ips.iter().rev().copied() {
            for list in [&mut now.udp_candidates, &mut now.tcp_candidates] {
                if let Some(port) = list.first().map(SocketAddr::port)
                    && !list.iter().any(|a| a.ip() == ip)
                {
                    list.insert(0, SocketAddr::new(ip, port));
                }
            }
        }
        if (&now.udp_candidates, &now.tcp_candidates)
            != (&before.udp_candidates, &before.tcp_candidates)
        {
            tracing::info!(udp = ?now.udp_candidates, tcp = ?now.tcp_candidates, "media is taken here");
            *self.sockets.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(now);
        }
        Ok(failed)
    }

    /// Addresses without sockets: nothing comes, what is sent is lost.
    pub(super) fn nowhere() -> Self {
        let sockets = Sockets {
            udp_candidates: vec![([192, 0, 2, 1], 7882).into()],
            tcp_candidates: vec![([192, 0, 2, 1], 7881).into()],
            ..Sockets::default()
        };
        Self {
            traffic: Arc::default(),
            node_ips: Vec::new(),
            udp_port: None,
            tcp_port: None,
            sockets: Mutex::new(Arc::new(sockets)),
            routes: Mutex::default(),
            tcp_slots: Arc::new(Semaphore::new(0)),
        }
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
                let sockets = self.sockets();
                let socket = sockets.udp.iter().find(same);
                if let Some((_, socket)) = socket.or_else(|| sockets.udp.iter().find(family)) {
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
        if proto == Proto::Tcp {
            self.traffic.tcp.fetch_add(1, Ordering::Relaxed);
        }
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

    /// Reads the sockets for as long as it is not dropped, and looks every [`LOOK`] whether there are
    /// others now; `find` finds this machine's addresses, `None`: they are given and stay.
    pub(super) async fn run(self: Arc<Self>, find: Option<fn() -> Vec<IpAddr>>) {
        let mut readers: HashMap<(Proto, SocketAddr), JoinSet<()>> = HashMap::new();
        loop {
            self.read(&mut readers);
            let Some(find) = find else {
                return std::future::pending().await;
            };
            tokio::time::sleep(LOOK).await;
            if let Ok(found) = tokio::task::spawn_blocking(find).await
                && let Err(e) = self.move_to(&found).await
            {
                tracing::debug!("no address takes media: {e}");
            }
        }
    }

    /// Each socket has its reader, and those of sockets that are gone end.
    fn read(self: &Arc<Self>, readers: &mut HashMap<(Proto, SocketAddr), JoinSet<()>>) {
        let sockets = self.sockets();
        let udp = sockets.udp.iter().map(|(a, _)| (Proto::Udp, *a));
        let tcp = sockets.tcp.iter().map(|(a, _)| (Proto::Tcp, *a));
        let there: Vec<_> = udp.chain(tcp).collect();
        readers.retain(|place, _| there.contains(place));
        for (address, socket) in &sockets.udp {
            readers.entry((Proto::Udp, *address)).or_insert_with(|| {
                let (media, socket) = (Arc::clone(self), Arc::clone(socket));
                let address = *address;
                let mut task = JoinSet::new();
                task.spawn(async move { media.datagrams(&socket, address).await });
                task
            });
        }
        for (address, listener) in &sockets.tcp {
            readers.entry((Proto::Tcp, *address)).or_insert_with(|| {
                let (media, listener) = (Arc::clone(self), Arc::clone(listener));
                let mut task = JoinSet::new();
                task.spawn(async move { media.lines(&listener).await });
                task
            });
        }
    }

    async fn datagrams(&self, socket: &UdpSocket, address: SocketAddr) {
        let mut buffer = vec![0; 2048];
        loop {
            match socket.recv_from(&mut buffer).await {
                Ok((n, source)) => {
                    self.deliver(Proto::Udp, source, address, &buffer[..n]);
                }
                // An answer to a packet of ours that nobody wanted, or the address is gone.
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    async fn lines(self: Arc<Self>, listener: &TcpListener) {
        let mut lines = JoinSet::new();
        loop {
            while lines.try_join_next().is_some() {}
            let Ok((stream, source)) = listener.accept().await else {
                // Out of files, most likely: what is open may close.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if let Ok(slot) = Arc::clone(&self.tcp_slots).try_acquire_owned() {
                let media = Arc::clone(&self);
                lines.spawn(async move { media.line(stream, source, slot).await });
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: [u8; 4] = [127, 0, 0, 1];
    const SECOND: [u8; 4] = [127, 0, 0, 2];

    fn ips(of: &[[u8; 4]]) -> Vec<IpAddr> {
        of.iter().map(|ip| IpAddr::from(*ip)).collect()
    }

    #[tokio::test]
    async fn a_machine_that_moves_is_reached_where_it_is_now() {
        let media = Media::bind(&ips(&[FIRST]), &[], Some(0), Some(0))
            .await
            .unwrap();
        let media = Arc::new(media);
        let mut readers = HashMap::new();
        let here = |media: &Media| {
            let sockets = media.sockets();
            let of = |list: &[SocketAddr]| list.iter().map(SocketAddr::ip).collect::<Vec<_>>();
            assert_eq!(of(&sockets.udp_candidates), of(&sockets.tcp_candidates));
            of(&sockets.udp_candidates)
        };
        media.read(&mut readers);
        let old = media.sockets().udp_candidates[0];
        assert_eq!(here(&media), ips(&[FIRST]));

        assert!(
            media
                .move_to(&ips(&[FIRST, SECOND]))
                .await
                .unwrap()
                .is_empty()
        );
        media.read(&mut readers);
        assert_eq!(here(&media), ips(&[FIRST, SECOND]));
        assert_eq!(
            media.sockets().udp_candidates[0],
            old,
            "what stays is left alone"
        );
        assert_eq!(readers.len(), 4);

        media.move_to(&ips(&[SECOND])).await.unwrap();
        media.read(&mut readers);
        assert_eq!((here(&media), readers.len()), (ips(&[SECOND]), 2));

        let nobodys = ips(&[[192, 0, 2, 1]]);
        assert!(
            media.move_to(&nobodys).await.is_err(),
            "not one of this machine"
        );
        assert_eq!(here(&media), ips(&[SECOND]), "all is as before");
    }
}
