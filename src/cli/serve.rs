//! `caal serve`: the server. Sockets first, then models, then ready; drains on SIGTERM or Ctrl-C. With
//! `--local` it also holds the conversation of `caal talk`, as a task of its own.

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    ExitCode, Failure, StopSignals,
    doors::{self, Doors},
    out::{remark, say},
    talk,
};
use crate::{
    app::{self, App, Keeping, Place},
    http::{
        self, Fetched, Local, Panel, PartState, Parts, Progress, Readiness, Screens,
        guard::{self, Guard, Refusals, Seats},
    },
    llm::fallback::Turned,
    local::{
        Log,
        device::{self, DeviceError, Devices, Missing},
        display::{Display, Style},
    },
    models::{Role, Store},
    room::{self, Desk},
    rtc::join::Standing,
    session::{Effect, Setting, Shown, Turns, Watch},
    settings::{Live, Settings},
    telemetry,
    tools::timers::Timers,
    turn::{Duplex, TurnConfig},
};

/// Arguments of `caal serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Port of the page and the HTTP API (setting http_port); 0 for any free one, then the rooms' ports
    /// are any free ones, too.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Also hold a conversation through this machine's microphone and loudspeakers, behind the wake
    /// word. Without this the microphone is never opened.
    #[arg(long)]
    local: bool,
    /// With --local: the wake word, or several with commas, instead of what is set (setting
    /// wake_word_model).
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', requires = "local")]
    wake: Vec<String>,
    /// With --local: no wake word, always listen.
    #[arg(long, requires = "local", conflicts_with = "wake")]
    no_wake: bool,
    /// With --local: the microphone does not hear the speakers, so you may interrupt the assistant.
    #[arg(long, requires = "local")]
    headphones: bool,
}

/// The local conversation as asked for.
struct Wanted {
    /// Empty: always listen; none: for the wake words that are set.
    wake: Option<Vec<String>>,
    turn: TurnConfig,
}

impl Args {
    /// `None` where no local conversation is wanted.
    fn wanted(&self, settings: &Settings) -> Option<Wanted> {
        if !self.local {
            return None;
        }
        let wake = match (&self.wake[..], self.no_wake) {
            (_, true) => Some(Vec::new()),
            ([], _) => None,
            (words, _) => Some(words.to_vec()),
        };
        let words = wake.as_ref().unwrap_or(&settings.wake_words);
        let turn = TurnConfig {
            activation: talk::activation(words),
            duplex: match self.headphones {
                true => Duplex::Full,
                false => Duplex::Half,
            },
            ..TurnConfig::default()
        };
        Some(Wanted { wake, turn })
    }
}

/// What is due and waits to be announced; more waits with the timers.
const DUE: usize = 8;

/// The room of this machine's own sound.
const HERE: &str = "";

/// How long after a download failed it is tried again.
const FETCH_AGAIN: Duration = Duration::from_secs(60);

/// How often it is looked whether models have come another way.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// How long tasks may take to be dropped.
const CUTTING: Duration = Duration::from_secs(1);

/// A part of the server that runs until it is told to stop.
enum Part {
    Http(std::io::Result<()>),
    Rooms(Result<(), Failure>),
    Lobby,
    Standing,
    Timers,
    Settings,
    Local(Result<(), DeviceError>),
}

/// Runs until SIGTERM or Ctrl-C.
///
/// # Errors
///
/// When the port is taken, a model cannot be loaded, or there is no such wake word.
pub(super) async fn run(
    args: Args,
    mut settings: Settings,
    live: Live,
) -> Result<ExitCode, Failure> {
    let mut signals = StopSignals::new()?;
    let port = args.port.unwrap_or(settings.http_port);
    if args.port == Some(0) {
        (
            settings.rtc_port,
            settings.rtc_udp_port,
            settings.rtc_tcp_port,
        ) = (0, 0, 0);
    }
    let hint = "is another caal running? Choose another port with --port";
    let listeners = listen(&settings, port, hint).await?;
    let address = listeners[0]
        .local_addr()
        .map_err(|e| Failure::internal(e.to_string()))?;
    let wanted = args.wanted(&settings);
    let started = Instant::now();
    let (readiness, watcher) = watch::channel(Readiness::Loading);
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let mut doors = Doors::open(&settings).await?;
    let desk = Desk::default();
    let keeps_words = {
        let live = live.clone();
        move || live.current().keep_turn_words
    };
    let keeping = Keeping::open(&live).await;
    let (ring, due) = mpsc::channel(DUE);
    let timers = keeping.timers(&live, ring).await;
    let panel = Panel::new(Turns::new(keeps_words))
        .keeping(keeping.conversations.clone(), keeping.memory.clone())
        .timing(timers.clone());
    if let Some(remark) = keeping.remark() {
        warn!("{remark}");
    }
    keeping.follow(&panel.turns);
    tasks.spawn({
        let speaking = app::speak_up(due, desk.clone(), timers.clone(), panel.turns.clone());
        let stop = stop.clone();
        async move {
            stop.run_until_cancelled(speaking).await;
            Part::Timers
        }
    });
    if let Some(endpoint) = &settings.otlp_endpoint {
        // Why is not told: it would quote the address, and that may hold a password.
        let exporter = telemetry::Exporter::start(endpoint).map_err(|_| {
            Failure::request(
                "no traces can be sent to the address of OTEL_EXPORTER_OTLP_ENDPOINT; mend it or leave it out",
            )
        })?;
        panel.turns.export_to(exporter);
    }
    let house = app::house(live.clone());
    let shown = Shown::default();
    let state = http::State {
        readiness: watcher,
        rooms: Some(doors.rooms.clone()),
        desk: desk.clone(),
        server: doors.server.clone(),
        settings: live.clone(),
        house: house.clone(),
        screens: Screens::showing(shown.clone()),
        refusals: Refusals::default(),
        panel: panel.clone(),
    };
    let refusals = state.refusals.clone();
    telemetry::metrics().refusals_from({
        let refusals = refusals.clone();
        move || refusals.iter().collect()
    });
    let (guard, seats) = (
        Guard::new(&settings, refusals.clone()),
        Seats::new(&settings.trusted_proxies),
    );
    let stopping = stop.clone();
    let answer = move |listener, router| {
        let (seats, refusals, stop) = (seats.clone(), refusals.clone(), stopping.clone());
        async move { Part::Http(guard::answer(listener, router, seats, refusals, stop).await) }
    };
    // VK-Agent's callers ask there; the same paths are on our own port, too.
    if let Some(port) = settings
        .vk_agent_port
        .filter(|port| *port != address.port())
    {
        let hint = "choose another with VK_AGENT_PORT, or 0 for none";
        let router = guard.around(http::vk_router(state.clone()));
        for listener in listen(&settings, port, hint).await? {
            tasks.spawn(answer(listener, router.clone()));
        }
    }
    let mut router = http::router(state);
    if let Some((listener, signalling)) = doors.signalling.take() {
        // Beside the page too: one port is enough where a proxy brings TLS.
        router = router.fallback_service(signalling.clone().fallback(http::not_found));
        // Its tokens guard it.
        tasks.spawn(answer(listener, signalling));
    }
    let router = guard.around(router);
    for listener in listeners {
        tasks.spawn(answer(listener, router.clone()));
    }
    let rooms_sentence = doors.sentence.clone();
    let standing = doors.standing.take();
    let drained_rooms = settings.livekit_url.is_some();
    let (links, rooms) = doors.run(stop.clone());
    tasks.spawn(async move { Part::Rooms(rooms.await) });

    // Loading cannot be cut short: whoever stops meanwhile leaves its threads to the end of `main`.
    let loaded = tokio::select! {
        biased;
        () = signals.next() => None,
        loaded = async {
            fetch(&settings, &panel, address.port()).await;
            remark("caal: loading the models…");
            load(settings, wanted, &panel.progress, (&keeping, &timers, &shown)).await
        } => Some(loaded?),
    };
    let mut result = Ok(ExitCode::SUCCESS);
    let putting_away = loaded.as_ref().map(|(app, _)| app.clone());
    if let Some((app, local)) = loaded {
        house.move_in(app.clone());
        let host = room::Host {
            desk: desk.clone(),
            turns: panel.turns.clone(),
            ..app::rooms(&app)?
        };
        // A server's rooms go on until their people have gone or the worker's patience is over.
        let leave = match drained_rooms {
            true => CancellationToken::new(),
            false => stop.clone(),
        };
        tasks.spawn(async move {
            room::lobby(links, host, leave).await;
            Part::Lobby
        });
        tasks.spawn({
            let (app, live, stop) = (app.clone(), live.clone(), stop.clone());
            let (keeping, desk) = (keeping.clone(), desk.clone());
            async move {
                let following = async {
                    let desk = app.follow_desk(&desk);
                    tokio::join!(live.follow(), app.follow(&live), desk, keeping.tend())
                };
                stop.run_until_cancelled(following).await;
                Part::Settings
            }
        });
        let (status, devices) = watch::channel(None);
        let mut state = Watched::new(&app, &live, devices);
        if let Some((setting, wake)) = local {
            state.wake = wake;
            status.send_replace(Some(Local::default()));
            let turns = panel.turns.clone();
            tasks.spawn(converse(setting, status, turns, stop.clone()));
        }
        let parts = state.parts(&app);
        panel.progress.tell("ears", PartState::Ready, None);
        match standing {
            None => {
                let sentence = Some(rooms_sentence.clone());
                panel.progress.tell("rooms", PartState::Ready, sentence);
            }
            Some(standing) => {
                let (progress, sentence) = (panel.progress.clone(), rooms_sentence.clone());
                let stop = stop.clone();
                tasks.spawn(async move {
                    let telling = tell_of_rooms(standing, progress, sentence);
                    stop.run_until_cancelled(telling).await;
                    Part::Standing
                });
            }
        }
        readiness.send_replace(Readiness::Ready(parts));
        info!(seconds = started.elapsed().as_secs_f32(), "ready");
        // For whoever started it. A server goes on when nobody reads that.
        let _ = say(format_args!(
            "{}\n{rooms_sentence}\n{}\nReady: open http://localhost:{} or run: caal talk",
            app.greeting(),
            guard.sentence(),
            address.port()
        ));
        result = serve(&app, &readiness, state, &mut tasks, &mut signals).await;
    }
    remark("caal: stopping; once more to stop at once");
    readiness.send_replace(Readiness::Draining);
    stop.cancel();
    let grace = match drained_rooms {
        true => doors::DRAIN + app::SHUTDOWN_GRACE,
        false => app::SHUTDOWN_GRACE,
    };
    let drained = async { while tasks.join_next().await.is_some() {} };
    tokio::select! {
        () = drained => {}
        () = signals.next() => {}
        () = tokio::time::sleep(grace) => {}
    }
    // Whatever still goes on is cut: what it has said by now is on its way to the disk then.
    tasks.abort_all();
    let cut = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(CUTTING, cut).await.is_err() {
        warn!("something does not end when it is cut");
    }
    panel.turns.close().await;
    if let Some(app) = &putting_away {
        app.put_away().await;
    }
    keeping.settle().await;
    result
}

/// Listens where the settings say: else on all addresses where there is a key, and on loopback where there is
/// none; on the same port everywhere. `hint` says what to do where that cannot be. At least one.
async fn listen(settings: &Settings, port: u16, hint: &str) -> Result<Vec<TcpListener>, Failure> {
    let (v4, v6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
    // All addresses are one socket, or, where there is no IPv6, another.
    let either: Vec<Vec<IpAddr>> = match (&settings.listen[..], &settings.api_key) {
        ([], Some(_)) => vec![vec![v6, v4]],
        ([], None) => vec![vec![Ipv4Addr::LOCALHOST.into()]],
        (set, _) => set.iter().map(|ip| vec![*ip]).collect(),
    };
    let (mut port, mut listeners) = (port, Vec::new());
    for one in either {
        let one: Vec<_> = one.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        let listener = TcpListener::bind(&one[..])
            .await
            .map_err(|e| Failure::request(format!("port {port} cannot be used ({e}); {hint}")))?;
        port = listener.local_addr().map_or(port, |address| address.port());
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Fetches the models that are missing, and does not give up: page and API answer meanwhile, and somebody may
/// fetch them from there or in another window. Where nothing may be fetched (`HF_HUB_OFFLINE`), loading says what
/// is missing.
async fn fetch(settings: &Settings, panel: &Panel, port: u16) {
    if settings.hub.offline {
        return;
    }
    // What was said last, so that an hour without a network is not sixty times the same.
    let (mut told, mut why_not) = (Vec::new(), String::new());
    loop {
        let names = app::lacking(settings).await;
        panel.progress.missing(names.clone());
        for part in ["stt", "tts", "llm", "ears"] {
            let (state, detail) = match names.iter().find(|name| is_for(settings, name, part)) {
                Some(name) => (PartState::Missing, Some(format!("{name} is not here yet"))),
                None => (PartState::Loading, None),
            };
            panel.progress.tell(part, state, detail);
        }
        if names.is_empty() {
            return;
        }
        if told != names {
            remark(format_args!(
                "caal: models are missing and are fetched now: {}; how far that is: http://localhost:{port}/#/settings",
                names.join(", ")
            ));
            told.clone_from(&names);
        }
        let tell = |model: &str| {
            if why_not.is_empty() {
                remark(format_args!("caal: fetching {model}…"));
            }
        };
        let pause = match panel.fetch(settings, names.clone(), tell).await {
            // Where it was somebody else's, of other models, ours is next.
            Fetched::Done => LOOK_AGAIN,
            Fetched::Failed(why) => {
                if why != why_not {
                    remark(format_args!(
                        "caal: {why}\ncaal: it is tried again every minute, and goes on as soon as they are there; yourself: caal models pull {}",
                        names.join(" ")
                    ));
                    why_not = why;
                }
                FETCH_AGAIN
            }
            Fetched::Stopped => {
                remark("caal: the download was stopped; the page can begin it again");
                Duration::MAX
            }
        };
        let there = async {
            while app::lacking(settings).await == names {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = there => {}
            () = panel.download_begun() => {}
        }
    }
}

/// Whether `part` of the server does its work with the model `name`.
fn is_for(settings: &Settings, name: &str, part: &str) -> bool {
    let store = Store::new(&settings.models_dir);
    let role = store.manifest().get(name).map(|model| model.role);
    match role {
        Some(Role::Runtime) => part != "llm",
        Some(Role::Wake | Role::Vad | Role::TurnEnd) => part == "ears",
        Some(Role::Tts) => part == "tts",
        Some(Role::Llm) => part == "llm",
        Some(Role::Stt) | None => part == "stt",
    }
}

/// Everything that takes long, before the server is ready: engines, and the models of the ear.
async fn load(
    settings: Settings,
    wanted: Option<Wanted>,
    progress: &Progress,
    (keeping, timers, shown): (&Keeping, &Timers, &Shown),
) -> Result<(Arc<App>, Option<(Setting, Option<Vec<String>>)>), Failure> {
    if let Some(Wanted { wake, .. }) = &wanted {
        app::check_wake_words(&settings, wake.as_ref().unwrap_or(&settings.wake_words))?;
    }
    let app = App::build_telling(settings, progress).await?;
    let app = Arc::new(
        app.keeping(keeping.clone())
            .timing(timers.clone())
            .looking_at(shown.clone()),
    );
    let Some(Wanted { wake, turn }) = wanted else {
        return Ok((app, None));
    };
    let loader = app.clone();
    let loaded = tokio::task::spawn_blocking(move || {
        let place = Place::Here {
            turn,
            wake: wake.clone(),
        };
        let setting = loader.conversation(place)?;
        Ok::<_, Failure>((setting, wake))
    });
    let failed = |e| {
        let how = telemetry::ended(&e);
        Failure::internal(format!(
            "the thread that loads the models {how}; see the log"
        ))
    };
    let mut local = loaded.await.map_err(failed)??;
    local.0.past = keeping.past(HERE).await;
    Ok((app, Some(local)))
}

/// Keeps `/ready` true until a signal comes. A local conversation that ends by itself is a bug; the
/// server goes on without it. Without HTTP there is no server.
async fn serve(
    app: &App,
    readiness: &watch::Sender<Readiness>,
    mut state: Watched,
    tasks: &mut JoinSet<Part>,
    signals: &mut StopSignals,
) -> Result<ExitCode, Failure> {
    loop {
        tokio::select! {
            biased;
            () = signals.next() => return Ok(ExitCode::SUCCESS),
            Some(ended) = tasks.join_next() => {
                let reason = why_ended(ended)?;
                error!("{reason}");
                state.problem = Some(reason);
            }
            () = state.changed() => {}
        }
        readiness.send_replace(Readiness::Ready(state.parts(app)));
    }
}

/// What `/ready` tells, and whatever changes it.
struct Watched {
    devices: watch::Receiver<Option<Local>>,
    /// The wake words of the local conversation; none: those that are set.
    wake: Option<Vec<String>>,
    /// Why the local conversation has ended.
    problem: Option<String>,
    turned: watch::Receiver<Turned>,
    settings: watch::Receiver<Arc<Settings>>,
    /// What is set and not in force, and files that cannot be followed.
    troubles: watch::Receiver<BTreeMap<&'static str, String>>,
    files: watch::Receiver<Option<String>>,
}

impl Watched {
    fn new(app: &App, live: &Live, devices: watch::Receiver<Option<Local>>) -> Self {
        Self {
            devices,
            wake: None,
            problem: None,
            turned: app.turned(),
            settings: app.watch(),
            troubles: app.troubles(),
            files: live.trouble(),
        }
    }

    /// Resolves when `/ready` should tell something new.
    async fn changed(&mut self) {
        tokio::select! {
            Ok(()) = self.devices.changed() => {}
            Ok(()) = self.settings.changed() => {}
            Ok(()) = self.troubles.changed() => {}
            Ok(()) = self.files.changed() => {}
            Ok(()) = self.turned.changed() => {
                warn!("{}", talk::news(&self.turned.borrow_and_update()));
            }
            else => std::future::pending().await,
        }
    }

    fn parts(&mut self, app: &App) -> Parts {
        let files = self.files.borrow_and_update().clone();
        let files = files.map(|why| format!("the settings file: {why}"));
        let troubles = self.troubles.borrow_and_update().clone().into_values();
        let troubles: Vec<String> = troubles.chain(files).collect();
        let wake = self.wake.clone();
        let wake = wake.unwrap_or_else(|| self.settings.borrow_and_update().wake_words.clone());
        let local = self.devices.borrow_and_update().clone();
        Parts {
            local: local.map(|local| Local {
                wake: (!wake.is_empty()).then(|| wake.join(", ")),
                ..match &self.problem {
                    None => local,
                    Some(problem) => Local {
                        problem: Some(problem.clone()),
                        ..Local::default()
                    },
                }
            }),
            settings: (!troubles.is_empty()).then(|| troubles.join("\n")),
            ..app.parts()
        }
    }
}

/// Tells whether a LiveKit server gives us its rooms, as long as it can be known.
async fn tell_of_rooms(
    mut standing: watch::Receiver<Standing>,
    progress: Progress,
    sentence: String,
) {
    loop {
        let (state, detail) = match &*standing.borrow_and_update() {
            Standing::Connecting => (PartState::Loading, None),
            Standing::Registered => (PartState::Ready, Some(sentence.clone())),
            Standing::Away(why) => (PartState::Failed, Some(why.clone())),
        };
        progress.tell("rooms", state, detail);
        if standing.changed().await.is_err() {
            // The worker has ended; why, its own end tells.
            return std::future::pending().await;
        }
    }
}

/// Why the local conversation has ended; the end of anything else is an error.
fn why_ended(ended: Result<Part, JoinError>) -> Result<String, Failure> {
    match ended {
        Ok(Part::Http(ended)) => {
            let reason = ended.map_or_else(|e| e.to_string(), |()| "no reason given".to_owned());
            Err(Failure::internal(format!(
                "the HTTP server ended unexpectedly ({reason}); start caal again"
            )))
        }
        Ok(Part::Rooms(Err(failure))) => Err(failure),
        Ok(Part::Timers) => Err(Failure::internal(
            "timers do not speak up any more; see the log and start caal again",
        )),
        Ok(Part::Settings) => Err(Failure::internal(
            "the settings are not followed any more; see the log and start caal again",
        )),
        Ok(Part::Rooms(Ok(())) | Part::Lobby | Part::Standing) => Err(Failure::internal(
            "the rooms ended unexpectedly; see the log and start caal again",
        )),
        Ok(Part::Local(Err(error))) => Ok(error.to_string()),
        Ok(Part::Local(Ok(()))) => Ok(DeviceError::Ended.to_string()),
        Err(error) => Ok(format!(
            "the local conversation {}; see the log",
            telemetry::ended(&error)
        )),
    }
}

/// The local conversation: shown on a terminal as `caal talk` shows it, else logged without words.
async fn converse(
    setting: Setting,
    status: watch::Sender<Option<Local>>,
    turns: Turns,
    stop: CancellationToken,
) -> Part {
    let devices = Devices {
        missing: Missing::Wait,
        ..Devices::default()
    };
    let stop = stop.cancelled_owned();
    let stdout = std::io::stdout();
    Part::Local(if stdout.is_terminal() {
        let shown = Display::new(stdout, Style::Live { width: 100 });
        let mut reporting = Reporting {
            shown,
            status,
            turns,
        };
        let result = device::talk(setting, &devices, &mut reporting, stop).await;
        reporting.shown.finish();
        result
    } else {
        let mut reporting = Reporting {
            shown: Log,
            status,
            turns,
        };
        device::talk(setting, &devices, &mut reporting, stop).await
    })
}

/// Passes on what goes on, notes the turns, and reports the devices to `/ready`.
struct Reporting<W> {
    shown: W,
    status: watch::Sender<Option<Local>>,
    turns: Turns,
}

impl<W: Watch> Watch for Reporting<W> {
    fn effect(&mut self, effect: &Effect) {
        self.shown.effect(effect);
        if let Effect::Answered(answered) = effect {
            self.turns.note(HERE, answered);
        }
    }

    fn level(&mut self, rms: f32) {
        self.shown.level(rms);
    }

    fn note(&mut self, text: &str) {
        self.shown.note(text);
    }

    fn devices(&mut self, microphone: Option<&str>, loudspeaker: Option<&str>) {
        self.shown.devices(microphone, loudspeaker);
        self.status.send_modify(|local| {
            let local = local.get_or_insert_default();
            local.microphone = microphone.map(str::to_owned);
            local.loudspeaker = loudspeaker.map(str::to_owned);
        });
    }
}
