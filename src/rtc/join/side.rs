//! One peer connection of the two, with its sockets: one for each of our addresses that the server may
//! reach. Two connections never share a socket: the server tells them apart by our port.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    task::{Context, Poll},
    time::Instant,
};

use tokio::{
    io::ReadBuf,
    net::{UdpSocket, lookup_host},
};

use super::JoinError;
use crate::rtc::peer::{
    Channels, Datagram, Event, Output, Peer, PeerConfig, Proto, Redundancy, Transmit, Video,
};

/// Tries before the server counts as gone: about 14 s.
const STUN_TRIES: usize = 4;

/// Largest datagram that is read.
pub(super) const DATAGRAM: usize = 2_048;

/// A peer connection and its sockets.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) peer: Peer,
    pub(super) sockets: Sockets,
    /// When the peer wants to be asked again.
    pub(super) due: Instant,
}

impl Line {
    /// A connection that can be reached at `ips`.
    pub(super) fn new(ips: &[IpAddr], channels: Channels, now: Instant) -> Result<Self, JoinError> {
        let sockets = Sockets::bind(ips)?;
        let udp: Vec<_> = sockets.0.iter().map(|(addr, _)| *addr).collect();
        let config = PeerConfig {
            udp: &udp,
            tcp: &[],
            video: Video::Refuse,
            // What we send is without; what is sent to us may have it.
            redundancy: match channels {
                Channels::Create => Redundancy::Refuse,
                Channels::Await => Redundancy::Accept,
            },
            channels,
            max_stun_retransmits: Some(STUN_TRIES),
        };
        Ok(Self {
            peer: Peer::new(&config, now),
            sockets,
            due: now,
        })
    }

    /// Sends what is to be sent; gives the next thing that happened.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Event> {
        loop {
            match self.peer.poll(now) {
                Output::Transmit(transmit) => self.sockets.send(&transmit),
                Output::Event(event) => return Some(event),
                Output::Deadline(due) => {
                    self.due = due;
                    return None;
                }
            }
        }
    }

    /// A datagram came to socket `which`.
    pub(super) fn take(&mut self, now: Instant, which: usize, source: SocketAddr, bytes: &[u8]) {
        let Some((destination, _)) = self.sockets.0.get(which) else {
            return;
        };
        let datagram = Datagram {
            proto: Proto::Udp,
            source,
            destination: *destination,
            bytes,
        };
        self.peer.handle_datagram(now, &datagram);
    }
}

/// Sockets, each with its address.
#[derive(Debug)]
pub(super) struct Sockets(Vec<(SocketAddr, UdpSocket)>);

impl Sockets {
    fn bind(ips: &[IpAddr]) -> Result<Self, JoinError> {
        let mut sockets = Vec::new();
        for ip in ips {
            let socket = std::net::UdpSocket::bind((*ip, 0))
                .and_then(|s| s.set_nonblocking(true).map(|()| s))
                .and_then(UdpSocket::from_std)
                .and_then(|s| Ok((s.local_addr()?, s)));
            match socket {
                Ok(socket) => sockets.push(socket),
                Err(error) => tracing::debug!(%ip, %error, "an address cannot be used"),
            }
        }
        if sockets.is_empty() {
            return Err(JoinError::Network);
        }
        Ok(Self(sockets))
    }

    fn send(&self, transmit: &Transmit) {
        let from = self.0.iter().find(|(addr, _)| *addr == transmit.source);
        if let Some((_, socket)) = from {
            // A datagram that cannot go is a datagram lost.
            let _ = socket.try_send_to(&transmit.bytes, transmit.destination);
        }
    }

    /// The next datagram: the socket's number, its length, and who sent it.
    pub(super) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<(usize, usize, SocketAddr)> {
        for (which, (_, socket)) in self.0.iter().enumerate() {
            // An error is an ICMP answer to something that was sent; a handful may be waiting.
            for _ in 0..16 {
                let mut buffer = ReadBuf::new(bytes);
                match socket.poll_recv_from(cx, &mut buffer) {
                    Poll::Ready(Ok(source)) => {
                        return Poll::Ready((which, buffer.filled().len(), source));
                    }
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending => break,
                }
            }
        }
        Poll::Pending
    }
}

/// The next datagram to any of both sides: which, socket, length, source.
pub(super) fn poll_both(
    sides: [&Sockets; 2],
    cx: &mut Context<'_>,
    bytes: &mut [u8],
) -> Poll<(usize, usize, usize, SocketAddr)> {
    for (side, sockets) in sides.into_iter().enumerate() {
        if let Poll::Ready((which, length, source)) = sockets.poll_recv(cx, bytes) {
            return Poll::Ready((side, which, length, source));
        }
    }
    Poll::Pending
}

/// Our addresses from which the server at `url` may be reached: the one that the way to it begins with,
/// and the one that the way to anywhere begins with, for a server whose media is elsewhere.
///
/// # Errors
/// [`JoinError::Network`]: there is no network at all.
pub(super) async fn local_ips(url: &str) -> Result<Vec<IpAddr>, JoinError> {
    let mut found = Vec::new();
    let parsed = reqwest::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|u| u.host_str());
    if let Some(host) = host {
        let host = host.trim_matches(['[', ']']);
        // A name may stand for many addresses; one of each kind tells the way.
        if let Ok(addrs) = lookup_host((host, 7880)).await {
            let addrs: Vec<_> = addrs.collect();
            found.extend(addrs.iter().find(|a| a.is_ipv4()).and_then(|a| way_to(*a)));
            found.extend(addrs.iter().find(|a| a.is_ipv6()).and_then(|a| way_to(*a)));
        }
    }
    // 192.0.2.0/24 is nobody's (RFC 5737): its way is the default one. Nothing is sent.
    let anywhere = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9));
    found.extend(way_to(anywhere));
    let mut unique = Vec::new();
    for ip in found {
        if !unique.contains(&ip) {
            unique.push(ip);
        }
    }
    match unique.is_empty() {
        true => Err(JoinError::Network),
        false => Ok(unique),
    }
}

/// Our address on the way to `addr`, as the system would choose it.
fn way_to(addr: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match addr {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
    socket.connect(addr).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}
