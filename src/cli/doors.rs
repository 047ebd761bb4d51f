//! The rooms of `caal serve` and `caal agent`: our own, or those of a LiveKit server.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::Router;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::{
    http::{Place, Rooms},
    rtc::{
        Inviter, Link,
        endpoint::{Endpoint, Keys, Options},
        join::{Server, Standing, Worker, WorkerConfig},
    },
    settings::Settings,
};

/// Rooms that may wait for somebody to sit in them: while models are loaded, say.
const WAITING: usize = 16;

/// Rooms at once that this machine takes from a LiveKit server.
const CAPACITY: usize = 32;

/// How long rooms of a LiveKit server may go on when the process is asked to stop.
pub(super) const DRAIN: std::time::Duration = std::time::Duration::from_secs(60);

/// Where rooms come from.
pub(super) struct Doors {
    /// A link for every room in which the assistant is to sit.
    pub(super) links: mpsc::Receiver<Link>,
    /// How people come into one.
    pub(super) rooms: Rooms,
    /// Our own rooms' signalling; none where a LiveKit server has it.
    pub(super) signalling: Option<(TcpListener, Router)>,
    /// The LiveKit server whose rooms they are; none where they are our own.
    pub(super) server: Option<Server>,
    /// Whether that server gives us its rooms; none where they are our own.
    pub(super) standing: Option<watch::Receiver<Standing>>,
    /// For people: where rooms are.
    pub(super) sentence: String,
    door: Door,
}

enum Door {
    Own(Endpoint),
    Server(Box<Worker>),
}

impl Doors {
    /// Opens the sockets of our own rooms, or gets ready to work for the LiveKit server that is set.
    ///
    /// # Errors
    ///
    /// When a port is taken, the keys cannot be kept, or the server's address is none.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Failure> {
        match &settings.livekit_url {
            Some(url) => Self::of_server(settings, url),
            None => Self::own(settings).await,
        }
    }

    async fn own(settings: &Settings) -> Result<Self, Failure> {
        let keys = match settings.livekit_api_key.is_empty() {
            true => Keys::kept(&settings.data_dir.join("room-keys"))?,
            false => Keys::new(&settings.livekit_api_key, &settings.livekit_api_secret.0)?,
        };
        let port = settings.rtc_port;
        let everywhere = [
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        ];
        let listener = TcpListener::bind(&everywhere[..]).await.map_err(|e| {
            let hint = "is a LiveKit server running here? Set LIVEKIT_URL to work for it, or CAAL_RTC_PORT to another port";
            Failure::request(format!("port {port} cannot be used ({e}); {hint}"))
        })?;
        let port = listener.local_addr().map_or(port, |address| address.port());
        let options = Options {
            node_ips: settings.node_ip.clone(),
            udp_port: Some(settings.rtc_udp_port),
            tcp_port: Some(settings.rtc_tcp_port),
            ..Options::default()
        };
        let (sender, links) = mpsc::channel(WAITING);
        let endpoint = Endpoint::bind(keys, options, sender).await?;
        Ok(Self {
            links,
            rooms: Rooms {
                inviter: endpoint.keys().inviter(&settings.livekit_room),
                place: Place::Here,
            },
            signalling: Some((listener, endpoint.router())),
            server: None,
            standing: None,
            sentence: format!(
                "Rooms: this server is the room; LiveKit clients connect to port {port}"
            ),
            door: Door::Own(endpoint),
        })
    }

    fn of_server(settings: &Settings, url: &str) -> Result<Self, Failure> {
        let server = server(settings, url)?;
        let config = WorkerConfig {
            server: server.clone(),
            agent_name: settings.livekit_agent_name.clone(),
            capacity: CAPACITY,
            folder: settings.data_dir.join("jobs"),
            drain_for: DRAIN,
        };
        let (worker, links) = Worker::new(config)?;
        Ok(Self {
            links,
            rooms: Rooms {
                inviter: Inviter {
                    key: settings.livekit_api_key.clone(),
                    secret: settings.livekit_api_secret.clone(),
                    room: settings.livekit_room.clone(),
                    agent_name: settings.livekit_agent_name.clone(),
                },
                place: Place::Url(url.to_owned()),
            },
            signalling: None,
            server: Some(server),
            standing: Some(worker.standing()),
            sentence: format!("Rooms: those of the LiveKit server at {url}"),
            door: Door::Server(Box::new(worker)),
        })
    }

    /// Takes it apart: the links, and the future that must run for anything to happen. It ends some
    /// time after `stop` is cancelled: our own rooms at once, a server's when their people have gone
    /// or [`DRAIN`] is over.
    pub(super) fn run(
        self,
        stop: CancellationToken,
    ) -> (
        mpsc::Receiver<Link>,
        impl Future<Output = Result<(), Failure>> + Send + 'static,
    ) {
        let Self { links, door, .. } = self;
        let running = async move {
            match door {
                Door::Own(endpoint) => {
                    endpoint.run(stop).await;
                    Ok(())
                }
                Door::Server(worker) => {
                    let drain = worker.drain();
                    let mut running = Box::pin(worker.run());
                    tokio::select! {
                        ended = &mut running => return ended.map_err(Failure::from),
                        () = stop.cancelled() => drain.cancel(),
                    }
                    running.await.map_err(Failure::from)
                }
            }
        };
        (links, running)
    }
}

/// The LiveKit server that is set.
///
/// # Errors
///
/// When its address is none.
pub(super) fn server(settings: &Settings, url: &str) -> Result<Server, Failure> {
    let (key, secret) = (&settings.livekit_api_key, &settings.livekit_api_secret.0);
    Ok(Server::new(url, key, secret)?)
}
