//! The room that this process is itself: a page, a phone or an SDK that speaks LiveKit connects here as it
//! would to LiveKit's server, and the assistant sits in it. Signalling comes over HTTP ([`Endpoint::router`],
//! served by the caller), media over our own sockets ([`Endpoint::run`]).
//!
//! Written after livekit-server's protocol as its clients need it (versions 0 and 1, protocol number 16);
//! pictures, recording, SIP and clusters are not here.

mod addresses;
mod api;
mod door;
mod keys;
mod limits;
mod media;
pub mod rehearse;
mod room;
mod session;

mod words;

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::Router;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    limits::{Buckets, Rarely},
    media::Media,
    room::{Handle, Input, Join, Parts, Room},
    words::About,
};
use super::{Identity, Link, pacing::Lateness};
use crate::{fault::Fault, telemetry};

pub use keys::{KeyError, Keys, Refused};
pub use media::Traffic;

/// Rooms at once.
const ROOMS: usize = 256;

/// People at once, in all rooms.
const PEOPLE: u32 = 512;

/// Joins a minute from one address, and of one identity.
const JOINS: (f64, f64) = (60.0, 30.0);

/// How the room is reached.
#[derive(Clone, Debug)]
pub struct Options {
    /// Addresses to bind and to tell clients; empty: all of this machine's that lead somewhere, also when
    /// they change.
    pub addresses: Vec<IpAddr>,
    /// More addresses at which clients reach the same ports: a container's host, a router.
    pub node_ips: Vec<IpAddr>,
    /// Port for media over UDP; 0 takes any, `None` does without: then there must be TCP.
    pub udp_port: Option<u16>,
    /// Port for media over TCP; 0 takes any, `None` does without.
    pub tcp_port: Option<u16>,
    /// Whether `/rtc/v1` is served; without it clients take `/rtc`.
    pub v1: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            node_ips: Vec::new(),
            udp_port: Some(7882),
            tcp_port: Some(7881),
            v1: true,
        }
    }
}

/// Why there is no room.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// No socket for media.
    #[error("no address of this machine takes media on port {port}")]
    Bind {
        /// Which.
        port: u16,
        /// Why the last one did not.
        #[source]
        source: io::Error,
    },
}

impl EndpointError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Bind { .. } => Fault::Request,
        }
    }
}

/// The room server. [`Endpoint::run`] must run for anything to happen.
#[derive(Debug)]
pub struct Endpoint {
    shared: Arc<Shared>,
    new_rooms: mpsc::Receiver<(String, Room)>,
}

/// What the doors know.
#[derive(Debug)]
struct Shared {
    keys: Arc<Keys>,
    media: Arc<Media>,
    options: Options,
    links: mpsc::Sender<Link>,
    lateness: Arc<Lateness>,
    new_rooms: mpsc::Sender<(String, Room)>,
    next_session: Arc<AtomicU64>,
    // Never held across an await.
    rooms: Mutex<HashMap<String, Handle>>,
    limits: Mutex<Limits>,
}

#[derive(Debug)]
struct Limits {
    addresses: Buckets<IpAddr>,
    identities: Buckets<String>,
    complaint: Rarely,
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Binds the media sockets. Each room's [`Link`] goes into `links` when its first person comes; a
    /// full queue lets nobody in.
    ///
    /// # Errors
    /// No address takes media.
    pub async fn bind(
        keys: Keys,
        options: Options,
        links: mpsc::Sender<Link>,
    ) -> Result<Self, EndpointError> {
        crate::tls::install();
        let addresses = match options.addresses.is_empty() {
            true => addresses::own(),
            false => options.addresses.clone(),
        };
        let bound = Media::bind(
            &addresses,
            &options.node_ips,
            options.udp_port,
            options.tcp_port,
        );
        let media = bound.await.map_err(|source| EndpointError::Bind {
            port: options.udp_port.or(options.tcp_port).unwrap_or(0),
            source,
        })?;
        let (sender, new_rooms) = mpsc::channel(16);
        let shared = Shared {
            keys: Arc::new(keys),
            media: Arc::new(media),
            options,
            links,
            lateness: Arc::default(),
            new_rooms: sender,
            next_session: Arc::new(AtomicU64::new(1)),
            rooms: Mutex::default(),
            limits: Mutex::new(Limits {
                addresses: Buckets::per_minute(JOINS.0),
                identities: Buckets::per_minute(JOINS.1),
                complaint: Rarely::default(),
            }),
        };
        Ok(Self {
            shared: Arc::new(shared),
            new_rooms,
        })
    }

    /// The keys, for who gives out tokens.
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.shared.keys)
    }

    /// How late the voice's frames leave, in all rooms since the start.
    pub fn lateness(&self) -> Arc<Lateness> {
        Arc::clone(&self.shared.lateness)
    }

    /// What came from people so far.
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.shared.media.traffic)
    }

    /// The routes of signalling and of the room's API. Serve it with connection info
    /// (`into_make_service_with_connect_info::<SocketAddr>()`): without, all clients count as one when
    /// joins are limited.
    pub fn router(&self) -> Router {
        door::router(Arc::clone(&self.shared))
    }

    /// Carries media and holds the rooms until `stop` is cancelled; then everybody is told to come back
    /// later.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut sockets = JoinSet::new();
        let given = !self.shared.options.addresses.is_empty();
        let find = (!given).then_some(addresses::own as fn() -> Vec<IpAddr>);
        sockets.spawn(Arc::clone(&self.shared.media).run(find));
        let mut rooms = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some((name, room)) = self.new_rooms.recv() => {
                    rooms.spawn(async move {
                        room.run().await;
                        name
                    });
                }
                Some(ended) = rooms.join_next() => {
                    if let Err(e) = ended {
                        tracing::error!(error = telemetry::ended(&e), "a room fell over; its people may join again");
                    }
                    self.shared.sweep();
                }
            }
        }
        let handles: Vec<Handle> = self.shared.rooms().drain().map(|(_, h)| h).collect();
        for handle in handles {
            let _ = handle.inputs.send(Input::Shutdown).await;
        }
        while rooms.join_next().await.is_some() {}
    }
}

impl Shared {
    fn rooms(&self) -> MutexGuard<'_, HashMap<String, Handle>> {
        // Nothing in there can be left half done.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the rooms that are over.
    fn sweep(&self) {
        self.rooms().retain(|_, room| !room.inputs.is_closed());
    }

    /// Whether somebody may try to join once more.
    fn may_join(&self, address: IpAddr, identity: &str) -> bool {
        let now = Instant::now();
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let people: u32 = self
            .rooms()
            .values()
            .map(|r| r.people.load(Ordering::Relaxed).saturating_sub(1))
            .sum();
        let fine = people < PEOPLE
            && limits.addresses.take(address, now)
            && limits.identities.take(identity.to_owned(), now);
        if !fine && limits.complaint.now(now) {
            tracing::warn!(%address, people, "held back: too many joins");
        }
        fine
    }

    /// The room of this name, made if need be; `None` when there can be no more, or the house takes none.
    fn room(&self, name: &str) -> Option<Handle> {
        let mut rooms = self.rooms();
        if let Some(handle) = rooms.get(name)
            && !handle.inputs.is_closed()
        {
            return Some(handle.clone());
        }
        rooms.retain(|_, room| !room.inputs.is_closed());
        if rooms.len() >= ROOMS {
            tracing::warn!(rooms = ROOMS, "no more rooms");
            return None;
        }
        let about = About {
            sid: format!("RM_{}", keys::letters(12).ok()?),
            name: name.to_owned(),
            people: 1,
            since_ms: room::now_ms(),
        };
        let agent_identity = format!("agent-{}", keys::letters(12).ok()?);
        let (inputs, inputs_in) = mpsc::channel(256);
        let (events, events_in) = mpsc::channel(256);
        let (commands, commands_in) = mpsc::channel(256);
        let handle = Handle {
            inputs,
            people: Arc::new(AtomicU32::new(1)),
            about: about.clone(),
        };
        let room = Room::new(Parts {
            about,
            agent_identity: agent_identity.clone(),
            people: Arc::clone(&handle.people),
            keys: Arc::clone(&self.keys),
            media: Arc::clone(&self.media),
            lateness: Arc::clone(&self.lateness),
            inputs: inputs_in,
            events,
            commands: commands_in,
            next_session: Arc::clone(&self.next_session),
        })?;
        let place = self.new_rooms.try_reserve().ok()?;
        let link = Link {
            room: name.to_owned(),
            us: Identity::new(&agent_identity),
            events: events_in,
            commands,
        };
        if self.links.try_send(link).is_err() {
            tracing::warn!("nobody is there to sit in another room");
            return None;
        }
        place.send((name.to_owned(), room));
        rooms.insert(name.to_owned(), handle.clone());
        Some(handle)
    }

    /// Brings somebody into their room; the room's queue and the session's number and line, or nothing
    /// when there is no place (the client has been told, where it could be).
    async fn enter(&self, mut join: Join, name: &str) -> Option<(mpsc::Sender<Input>, u64, u64)> {
        // A room may close in the moment in which somebody comes: then a new one is made.
        for _ in 0..2 {
            let handle = self.room(name)?;
            let (reply, answer) = oneshot::channel();
            join.reply = reply;
            match handle.inputs.send(Input::Join(Box::new(join))).await {
                Ok(()) => {
                    let (id, line) = answer.await.ok().flatten()?;
                    return Some((handle.inputs, id, line));
                }
                Err(mpsc::error::SendError(Input::Join(back))) => join = *back,
                Err(_) => return None,
            }
        }
        None
    }
}
