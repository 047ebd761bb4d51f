//! The agent worker: registers at a LiveKit server, takes the rooms it is given and runs them. Its line to
//! the server and the lines of its rooms are separate: rooms go on while the worker is away.

use std::{
    collections::HashMap,
    future::Future,
    path::PathBuf,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use livekit_net::{TransportError, WsConnection};
use livekit_protocol::{
    AvailabilityResponse, JobAssignment, JobStatus, JobType, ParticipantPermission,
    RegisterWorkerRequest, ServerMessage, UpdateJobStatus, WorkerMessage, WorkerPing,
    server_message::Message as Said, worker_message::Message as Say,
};
use prost::Message as _;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{interval, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    JoinError, Room, Server,
    backoff::Backoff,
    desk::{Desk, Reply},
    dice,
    jobs::{Folder, Kept, Record},
    room::Place,
    transport,
};
use crate::{
    pii::Pii,
    rtc::{AgentState, Closed, Identity, Link},
};

/// Between two reports, as LiveKit's own workers have it.
const REPORT: Duration = Duration::from_millis(2_500);

/// Between two pings.
const PING: Duration = Duration::from_secs(10);

/// A server that says nothing for so long, pongs included, is gone.
const SILENCE: Duration = Duration::from_secs(25);

/// Longest wait for the connection.
const CONNECT: Duration = Duration::from_secs(5);

/// A terminated job's room says goodbye itself, usually in the same moment; so long it may take.
const TERMINATION: Duration = Duration::from_millis(500);

/// After the drain's time is over: so long may goodbyes take.
const GOODBYES: Duration = Duration::from_secs(8);

/// Refusals in a row that count as meant.
const REFUSALS: u32 = 3;

/// Rooms on their way to whoever runs conversations. When full, the next room waits.
const LINKS: usize = 16;

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// For whom.
    pub server: Server,
    /// Empty: for every new room. Otherwise for rooms that ask for it by this name.
    pub agent_name: String,
    /// Rooms at once; at least one.
    pub capacity: usize,
    /// Where running jobs are kept, for an agent that is killed.
    pub folder: PathBuf,
    /// How long rooms may go on when the worker is drained.
    pub drain_for: Duration,
}

/// Whether a worker is given rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not been at the server yet.
    Connecting,
    /// It is registered at the server.
    Registered,
    /// It is not, at the moment; why, for people. It tries again by itself.
    Away(String),
}

/// A worker.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    folder: Folder,
    links: mpsc::Sender<Link>,
    standing: watch::Sender<Standing>,
    drain: CancellationToken,
    drain_by: Option<Instant>,
    desk: Desk,
    rooms: JoinSet<(String, Closed)>,
    jobs: HashMap<String, Running>,
}

#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    stop_at: Option<Instant>,
    record: Record,
}

/// What happened beside the line to the server.
enum Minded {
    /// A job is over.
    Over(String, Closed),
    /// No more jobs are wanted.
    Draining,
    /// And all are over.
    Drained,
}

impl Worker {
    /// A worker and the rooms that it will be given. Nothing happens before [`Worker::run`].
    ///
    /// # Errors
    /// [`JoinError::Folder`].
    pub fn new(config: WorkerConfig) -> Result<(Self, mpsc::Receiver<Link>), JoinError> {
        let folder = Folder::open(&config.folder)?;
        let (links, given) = mpsc::channel(LINKS);
        let worker = Self {
            folder,
            links,
            standing: watch::Sender::new(Standing::Connecting),
            drain: CancellationToken::new(),
            drain_by: None,
            desk: Desk::new(config.capacity),
            rooms: JoinSet::new(),
            jobs: HashMap::new(),
            config,
        };
        Ok((worker, given))
    }

    /// Whether it is given rooms, as it changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// When cancelled, the worker takes no more jobs, lets its rooms go on for a while, leaves them and
    /// ends.
    pub fn drain(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Works until it is drained. First the rooms of an agent that was killed are joined again. Dropping
    /// it drops all rooms: their places stay taken for about 20 s, and their records are kept.
    ///
    /// # Errors
    /// [`JoinError::Refused`]: the server does not accept our key.
    pub async fn run(mut self) -> Result<(), JoinError> {
        for record in self.folder.all() {
            self.restore(record);
        }
        let mut backoff = Backoff::default();
        let mut refusals = 0;
        loop {
            let token = self.config.server.worker_token()?;
            let url = format!("{}/agent", self.config.server.url());
            let connected = self
                .meanwhile(transport::connect(&url, &token, CONNECT))
                .await;
            let why = match connected {
                None => return Ok(()),
                Some(Ok(line)) => {
                    (refusals, backoff) = (0, Backoff::default());
                    match self.serve(&*line).await {
                        Some(why) => why,
                        None => {
                            line.close().await;
                            return Ok(());
                        }
                    }
                }
                Some(Err(TransportError::Http { status: 401 | 403 })) => {
                    refusals += 1;
                    if refusals >= REFUSALS {
                        return Err(JoinError::Refused("the LiveKit server does not accept our API key and secret; set LIVEKIT_API_KEY and LIVEKIT_API_SECRET as the server has them".to_owned()));
                    }
                    "it does not accept our key".to_owned()
                }
                Some(Err(error)) => error.to_string(),
            };
            let wait = backoff.next(dice());
            tracing::warn!(why, ?wait, "no line to the LiveKit server; trying again");
            let server = self.config.server.url();
            let why = format!("no line to the LiveKit server at {server} ({why}); trying again");
            self.standing.send_replace(Standing::Away(why));
            if self.meanwhile(sleep(wait)).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Waits for `work` and minds the rooms. `None`: drained.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                minded = self.mind() => if let Minded::Drained = minded {
                    return None;
                },
            }
        }
    }

    /// Registers and takes jobs. `None`: drained; otherwise why the line broke.
    async fn serve(&mut self, line: &dyn WsConnection) -> Option<String> {
        let hello = Say::Register(RegisterWorkerRequest {
            r#type: JobType::JtRoom as i32,
            agent_name: self.config.agent_name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            allowed_permissions: Some(ParticipantPermission {
                can_subscribe: true,
                can_publish: true,
                can_publish_data: true,
                can_update_metadata: true,
                ..Default::default()
            }),
            ..Default::default()
        });
        if let Err(error) = say(line, hello).await {
            return Some(error.to_string());
        }
        let mut report = interval(REPORT);
        let mut ping = interval(PING);
        let mut heard = Instant::now();
        loop {
            let sent = tokio::select! {
                biased;
                message = line.recv() => {
                    heard = Instant::now();
                    match message {
                        Ok(Some(bytes)) => self.told(line, &bytes).await,
                        Ok(None) => return Some("the server closed it".to_owned()),
                        Err(error) => Err(error),
                    }
                }
                minded = self.mind() => match minded {
                    Minded::Drained => return None,
                    Minded::Draining => self.report(line).await,
                    Minded::Over(job, closed) => over(line, job, &closed).await,
                },
                _ = report.tick() => self.report(line).await,
                _ = ping.tick() => {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                    let timestamp = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
                    say(line, Say::Ping(WorkerPing { timestamp })).await
                }
                () = sleep_until((heard + SILENCE).into()) => {
                    return Some("the server says nothing".to_owned());
                }
            };
            if let Err(error) = sent {
                return Some(error.to_string());
            }
        }
    }

    async fn told(&mut self, line: &dyn WsConnection, bytes: &[u8]) -> Result<(), TransportError> {
        let Ok(ServerMessage {
            message: Some(message),
        }) = ServerMessage::decode(bytes)
        else {
            return Ok(()); // a newer server says more than we know
        };
        match message {
            Said::Register(registered) => {
                let info = registered.server_info.unwrap_or_default();
                tracing::info!(
                    worker = registered.worker_id,
                    server = info.version,
                    "registered at the LiveKit server"
                );
                self.standing.send_replace(Standing::Registered);
                Ok(())
            }
            Said::Availability(request) => {
                let job = request.job.unwrap_or_default();
                let room = job.room.unwrap_or_default().name;
                let reply = self.desk.offered(&job.id, &room, Instant::now());
                let initializing = AgentState::Initializing.as_str().to_owned();
                let answer = AvailabilityResponse {
                    available: reply == Reply::Take,
                    terminate: reply == Reply::There,
                    supports_resume: true,
                    participant_identity: format!("agent-{}", job.id),
                    participant_name: "Agent".to_owned(),
                    participant_attributes: HashMap::from([(
                        "lk.agent.state".to_owned(),
                        initializing,
                    )]),
                    job_id: job.id,
                    ..Default::default()
                };
                // First what we are with it: the next job is given by that.
                self.report(line).await?;
                say(line, Say::Availability(answer)).await
            }
            Said::Assignment(assignment) => {
                let Some(job) = self.assigned(assignment) else {
                    return Ok(());
                };
                let running = UpdateJobStatus {
                    job_id: job,
                    status: JobStatus::JsRunning as i32,
                    ..Default::default()
                };
                say(line, Say::UpdateJob(running)).await?;
                self.report(line).await
            }
            Said::Termination(termination) => {
                if let Some(job) = self.jobs.get_mut(&termination.job_id) {
                    job.stop_at = Some(Instant::now() + TERMINATION);
                }
                Ok(())
            }
            Said::Pong(_) => Ok(()),
            #[allow(unreachable_patterns, reason = "newer protocols have more")]
            _ => Ok(()),
        }
    }

    async fn report(&self, line: &dyn WsConnection) -> Result<(), TransportError> {
        say(line, Say::UpdateWorker(self.desk.status())).await
    }

    fn assigned(&mut self, assignment: JobAssignment) -> Option<String> {
        let job = assignment.job?;
        let room = job.room.unwrap_or_default().name;
        if room.is_empty() || !self.desk.began(&job.id, &room) {
            return None;
        }
        let url = match assignment.url {
            Some(url) if !url.is_empty() => url,
            _ => self.config.server.url().to_owned(),
        };
        let kept = Kept {
            us: Identity::new(&format!("agent-{}", job.id)),
            job: job.id.clone(),
            room,
            url,
            token: Pii(assignment.token),
        };
        // A small file once a job: not worth a thread.
        let record = self.folder.keep(kept);
        self.start(record, false);
        Some(job.id)
    }

    fn restore(&mut self, record: Record) {
        let Kept { job, room, .. } = record.kept();
        tracing::info!(room = ?room, "back to the room of an agent that was killed");
        if self.desk.began(job, room) {
            self.start(record, true);
        }
    }

    fn start(&mut self, record: Record, again: bool) {
        let kept = record.kept().clone();
        let server = self.config.server.at(&kept.url);
        let room = server.and_then(|server| {
            Room::at(Place {
                server,
                room: kept.room,
                us: kept.us,
                name: "Agent".to_owned(),
                agent_name: self.config.agent_name.clone(),
                token: Some(kept.token.0),
                again,
                record: Some(record.clone()),
            })
        });
        let (link, room) = match room {
            Ok(made) => made,
            Err(error) => {
                tracing::error!(%error, "a job cannot be done");
                self.desk.ended(&kept.job);
                record.remove();
                return;
            }
        };
        let stop = room.stop();
        let running = Running {
            stop,
            stop_at: None,
            record,
        };
        self.jobs.insert(kept.job.clone(), running);
        let links = self.links.clone();
        self.rooms.spawn(async move {
            let closed = match links.send(link).await {
                Ok(()) => room.run().await,
                Err(_) => Closed::Left, // nobody holds conversations any more
            };
            (kept.job, closed)
        });
    }

    /// Waits for what happens beside the line to the server. May be dropped at any moment.
    async fn mind(&mut self) -> Minded {
        loop {
            let now = Instant::now();
            let overdue = self.drain_by.is_some_and(|by| now >= by);
            for job in self.jobs.values() {
                if overdue || job.stop_at.is_some_and(|at| now >= at) {
                    job.stop.cancel();
                }
            }
            let too_late = self.drain_by.is_some_and(|by| now >= by + GOODBYES);
            if self.desk.is_draining() && (self.rooms.is_empty() || too_late) {
                return Minded::Drained;
            }
            let stops = self.jobs.values().filter_map(|j| j.stop_at);
            let drains = self.drain_by.into_iter().flat_map(|by| [by, by + GOODBYES]);
            let next = stops.chain(drains).filter(|at| *at > now).min();
            let next = next.unwrap_or(now + Duration::from_secs(3600));
            tokio::select! {
                biased;
                () = self.drain.cancelled(), if !self.desk.is_draining() => {
                    self.desk.drain();
                    self.drain_by = Some(Instant::now() + self.config.drain_for);
                    let rooms = self.rooms.len();
                    tracing::info!(rooms, "no more jobs are taken; rooms may finish");
                    return Minded::Draining;
                }
                Some(over) = self.rooms.join_next() => {
                    let Ok((job, closed)) = over else {
                        continue; // rooms fence their bugs themselves
                    };
                    self.desk.ended(&job);
                    if let Some(running) = self.jobs.remove(&job) {
                        running.record.remove();
                    }
                    return Minded::Over(job, closed);
                }
                () = sleep_until(next.into()) => {}
            }
        }
    }
}

async fn over(line: &dyn WsConnection, job: String, closed: &Closed) -> Result<(), TransportError> {
    let (status, error) = match closed {
        Closed::Lost(why) => (JobStatus::JsFailed, why.clone()),
        Closed::RoomClosed | Closed::Removed | Closed::Left => {
            (JobStatus::JsSuccess, String::new())
        }
    };
    let update = UpdateJobStatus {
        job_id: job,
        status: status as i32,
        error,
    };
    say(line, Say::UpdateJob(update)).await
}

async fn say(line: &dyn WsConnection, message: Say) -> Result<(), TransportError> {
    let message = WorkerMessage {
        message: Some(message),
    };
    line.send(message.encode_to_vec()).await
}
