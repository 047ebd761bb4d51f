//! `caal bench load`: what 500 requests a second to the HTTP API cost a conversation. Recorded questions are
//! played in real time to the whole assistant, each twice: with the server at rest and with it under load,
//! which of the two first by turns, so that what drifts (caches, the machine) falls on both. The requests
//! come from a process of their own, over 16 connections that stay open, and go through the guard as
//! everybody's do: by turns GET /health and GET /settings.

use std::{net::SocketAddr, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Summary,
    recordings::OURS,
    turn::{one, read, recordings},
};
use crate::{
    app::{self, App, Place},
    cli::{ExitCode, Failure, out::say},
    http::{
        self, Panel, Readiness, Screens,
        guard::{self, Guard, Refusals, Seats},
    },
    room::Desk,
    settings::{Live, Settings, Sources},
    turn::TurnConfig,
};

/// Connections over which the requests come.
const CONNECTIONS: u32 = 16;

/// From the first request to the question: the load is even by then.
const WARM: Duration = Duration::from_millis(500);

/// What the load may add to the median, in percent.
const BAR: f64 = 5.0;

/// Arguments of `caal bench load`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of recordings with manifest.tsv: columns path, transcript, category, parted by tabs.
    /// Those of the category command are played.
    #[arg(long, value_name = "DIR", default_value = OURS)]
    speech: PathBuf,
    /// Requests a second.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How often all recordings are played.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Only send the requests to this server, until standard input ends: what the bench starts.
    #[arg(long, value_name = "URL", hide = true)]
    send: Option<String>,
}

/// What the sender did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Sent {
    /// Answered with 200.
    answered: u64,
    /// Everything else.
    failed: u64,
    /// From the first request on.
    seconds: f64,
    /// Milliseconds from request to answer; of each connection the first ten thousand.
    #[serde(default)]
    took_ms: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Last speech → first audible sample, milliseconds, at rest.
    rest_ms: Summary,
    /// The same under load.
    load_ms: Summary,
    /// What the load adds to the median, percent.
    added_percent: f64,
    /// Recordings without an answer, at rest or under load.
    unanswered: usize,
    /// Requests that were answered, a second.
    requests_per_second: f64,
    /// Requests that were not answered with 200.
    failed: u64,
    /// Milliseconds from request to answer.
    request_ms: Option<Summary>,
}

/// Runs it.
///
/// # Errors
///
/// A recording that is missing, an engine that cannot be had, or no answer at all.
pub(super) async fn run(args: &Args, settings: &Settings) -> Result<ExitCode, Failure> {
    if let Some(url) = &args.send {
        let sent = send(url, args.rate).await?;
        say(serde_json::to_string(&sent).expect("plain numbers"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let clips = recordings(&args.speech)?
        .into_iter()
        .map(|name| Ok((read(&args.speech, &name)?, name)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let app = App::build(settings.clone()).await?;
    let server = Server::start(&app, settings).await?;
    let setting = || {
        app.conversation(Place::Here {
            turn: TurnConfig::default(),
            wake: Some(Vec::new()),
        })
    };
    // The first conversation pays for caches that fill once.
    let (clip, name) = &clips[0];
    one(name, clip, setting()?).await?;
    let (mut rest, mut load) = (Vec::new(), Vec::new());
    let (mut unanswered, mut sent) = (0, Vec::new());
    for round in 0..args.rounds {
        for (index, (clip, name)) in clips.iter().enumerate() {
            let loaded_first = (index + round as usize) % 2 == 1;
            let mut totals = [None; 2];
            for loaded in [loaded_first, !loaded_first] {
                let load = match loaded {
                    true => Some(Load::start(&server.url, args.rate)?),
                    false => None,
                };
                sleep(WARM).await;
                let row = one(name, clip, setting()?).await?;
                totals[usize::from(loaded)] = row.total_ms;
                if let Some(load) = load {
                    sent.push(load.stop().await?);
                }
            }
            let [Some(at_rest), Some(under_load)] = totals else {
                unanswered += 1;
                continue;
            };
            if !args.json {
                say(format_args!(
                    "{name:<58} {at_rest:>6.0} ms at rest {under_load:>6.0} ms under load"
                ))?;
            }
            rest.push(at_rest);
            load.push(under_load);
        }
    }
    server.stop().await;
    let (Some(rest_ms), Some(load_ms)) = (Summary::of(&rest), Summary::of(&load)) else {
        return Err(Failure::internal("no question was answered; see the log"));
    };
    report(
        args.json,
        &Report {
            added_percent: 100.0 * (load_ms.p50 / rest_ms.p50 - 1.0),
            rest_ms,
            load_ms,
            unanswered,
            requests_per_second: sent.iter().map(|s| s.answered as f64).sum::<f64>()
                / sent.iter().map(|s| s.seconds).sum::<f64>().max(1e-9),
            failed: sent.iter().map(|s| s.failed).sum(),
            request_ms: Summary::of(&sent.into_iter().flat_map(|s| s.took_ms).collect::<Vec<_>>()),
        },
    )
}

fn report(json: bool, report: &Report) -> Result<ExitCode, Failure> {
    if json {
        say(serde_json::to_string_pretty(report).expect("plain numbers"))?;
    } else {
        say(format_args!(
            "\n{:<28} {:>8} {:>8}\n{:<28} {:>8.0} {:>8.0}\n{:<28} {:>8.0} {:>8.0}",
            "milliseconds",
            "p50",
            "p95",
            "at rest",
            report.rest_ms.p50,
            report.rest_ms.p95,
            "under load",
            report.load_ms.p50,
            report.load_ms.p95,
        ))?;
        if let Some(request) = &report.request_ms {
            say(format_args!(
                "{:<28} {:>8.2} {:>8.2}",
                "a request", request.p50, request.p95
            ))?;
        }
        say(format_args!(
            "{:.0} requests a second, {} failed, {} recordings unanswered\nthe load adds {:+.1} % to the median; at most {BAR} % are wanted",
            report.requests_per_second, report.failed, report.unanswered, report.added_percent,
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The HTTP API of this process, guarded as that of `caal serve`.
struct Server {
    url: String,
    stop: CancellationToken,
    tasks: JoinSet<std::io::Result<()>>,
    _readiness: watch::Sender<Readiness>,
}

impl Server {
    async fn start(app: &App, settings: &Settings) -> Result<Self, Failure> {
        let failed = |e: std::io::Error| Failure::internal(e.to_string());
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let live = Live::open(Sources::read()?)?;
        let (readiness, watched) = watch::channel(Readiness::Ready(app.parts()));
        let refusals = Refusals::default();
        let state = http::State {
            readiness: watched,
            rooms: None,
            desk: Desk::default(),
            server: None,
            settings: live.clone(),
            house: app::house(live),
            screens: Screens::default(),
            refusals: refusals.clone(),
            panel: Panel::default(),
        };
        // Without a key this machine gets in, and the sender has none.
        let open = Settings {
            api_key: None,
            ..settings.clone()
        };
        let router = Guard::new(&open, refusals.clone()).around(http::router(state));
        let seats = Seats::new(&open.trusted_proxies);
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(guard::answer(
            listener,
            router,
            seats,
            refusals,
            stop.clone(),
        ));
        Ok(Self {
            url,
            stop,
            tasks,
            _readiness: readiness,
        })
    }

    async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// The sender, as a process.
struct Load(Child);

impl Load {
    fn start(url: &str, rate: u32) -> Result<Self, Failure> {
        let failed = |e: std::io::Error| Failure::internal(e.to_string());
        let program = std::env::current_exe().map_err(failed)?;
        let child = Command::new(program)
            .args(["bench", "load", "--send", url, "--rate", &rate.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        Ok(Self(child))
    }

    /// Has it stop, and tell.
    async fn stop(mut self) -> Result<Sent, Failure> {
        drop(self.0.stdin.take());
        let output = self.0.wait_with_output().await;
        let output = output.map_err(|e| Failure::internal(e.to_string()))?;
        serde_json::from_slice(&output.stdout)
            .map_err(|_| Failure::internal("the sender of requests failed; see its words above"))
    }
}

/// Sends until standard input ends.
async fn send(url: &str, rate: u32) -> Result<Sent, Failure> {
    crate::tls::install();
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(CONNECTIONS as usize)
        .timeout(Duration::from_secs(10))
        .build()
        .map_err(|e| Failure::internal(e.to_string()))?;
    let client = Arc::new(client);
    let stop = CancellationToken::new();
    let began = Instant::now();
    // Each connection sends its share, one after the other in time.
    let step = Duration::from_secs(1) / rate;
    let mut connections = JoinSet::new();
    for place in 0..CONNECTIONS {
        let (client, stop, url) = (client.clone(), stop.clone(), url.to_owned());
        connections.spawn(async move {
            let mut pace = interval_at(began + step * place, step * CONNECTIONS);
            pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let mut sent = Sent::default();
            for path in ["/health", "/settings"].iter().cycle() {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    _ = pace.tick() => {}
                }
                let asked = Instant::now();
                let answer = client.get(format!("{url}{path}")).send().await;
                let good = match answer {
                    Ok(answer) => answer.status() == 200 && answer.bytes().await.is_ok(),
                    Err(_) => false,
                };
                match good {
                    true => sent.answered += 1,
                    false => sent.failed += 1,
                }
                if sent.took_ms.len() < 10_000 {
                    sent.took_ms.push(asked.elapsed().as_secs_f64() * 1e3);
                }
            }
            sent
        });
    }
    // Nothing comes; an error is an end, too.
    let waiting = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    let _ = tokio::task::spawn_blocking(waiting).await;
    stop.cancel();
    let mut all = Sent::default();
    while let Some(connection) = connections.join_next().await {
        let sent = connection.map_err(|_| Failure::internal("a sender of requests failed"))?;
        all.answered += sent.answered;
        all.failed += sent.failed;
        all.took_ms.extend(sent.took_ms);
    }
    all.seconds = began.elapsed().as_secs_f64();
    Ok(all)
}
