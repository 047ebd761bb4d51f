//! Many rooms at once on this machine: 20 in which people talk, 200 in which they do not. The server is this
//! process: our own endpoint, rooms and ears as `caal serve` composes them, with prepared words and sound
//! instead of Whisper and Kokoro. The people are a child process.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Args,
    people::{Counted, Crowd, Up},
    prepared::{Known, Prepared},
    product::Scratch,
    scripted::{self, ANSWER, Scripted},
};
use crate::{
    app::{self, App},
    audio::{self, AnyPcm, Hz16k, Hz24k, Pcm, Rate as _, wav},
    cli::{
        Failure,
        bench::{
            recordings::{Entry, manifest},
            stats, turn,
        },
        out::say,
    },
    room,
    rtc::{
        endpoint::{Endpoint, Keys, Options},
        pacing::{Late, Lateness},
    },
    session::{Engines, Load},
    settings::{LlmProvider, Settings},
    tools::Toolbox,
};

/// The wake word of these rooms: the one of which most recordings are to be had.
const WAKE_WORD: &str = "alexa";

/// Recordings of it that are used, and what comes after a question: the answer, and some silence.
const VARIANTS: usize = 4;
const ANSWER_TIME: Duration = Duration::from_secs(11);

/// How long the rooms are left alone before they are measured: greetings, caches, allocators.
const SETTLES: Duration = Duration::from_secs(10);

/// How long people may take to come in, all of them.
const COMING: Duration = Duration::from_secs(300);

/// Rooms that may wait for somebody to sit in them, as in `caal serve`.
const WAITING: usize = 16;

/// The server of one measurement; ends when it is dropped.
struct House {
    address: SocketAddr,
    tokens: Vec<String>,
    lateness: Arc<Lateness>,
    /// Conversations whose models are loaded.
    begun: Arc<AtomicUsize>,
    _llm: Scripted,
    _tasks: JoinSet<()>,
}

impl House {
    async fn open(settings: &Settings, people: usize, voice: Pcm<Hz24k>) -> Result<Self, Failure> {
        let llm = Scripted::start(ANSWER).await?;
        let mut settings = settings.clone();
        settings.llm_provider = LlmProvider::Ollama;
        settings.ollama_host.clone_from(&llm.url);
        scripted::MODEL.clone_into(&mut settings.ollama_model);
        settings.wake_word_enabled = true;
        settings.wake_words = vec![WAKE_WORD.to_owned()];
        let engines = Engines {
            stt: Arc::new(Known),
            llm: app::llm(&settings).await?.llm,
            tts: Arc::new(Prepared(Arc::new(voice))),
            tools: Toolbox::default(),
            shown: Default::default(),
            load: Load::default(),
        };
        let runtime = app::runtime(&settings)?;
        let mut host = app::rooms(&Arc::new(App::with(settings, runtime, engines)))?;
        let begun = Arc::new(AtomicUsize::new(0));
        host.setting = {
            let (load, begun) = (host.setting, Arc::clone(&begun));
            Arc::new(move |room| {
                let (loading, begun) = (load(room), Arc::clone(&begun));
                async move {
                    let setting = loading.await;
                    begun.fetch_add(1, Relaxed);
                    setting
                }
                .boxed()
            })
        };
        let keys = Keys::new(
            "bench",
            &"not a secret: it lives on loopback for minutes".repeat(2),
        )?;
        let options = Options {
            addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            udp_port: Some(0),
            tcp_port: None,
            ..Options::default()
        };
        let (sender, links) = mpsc::channel(WAITING);
        let endpoint = Endpoint::bind(keys, options, sender).await?;
        let broken = |e: std::io::Error| Failure::internal(e.to_string());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(broken)?;
        let address = listener.local_addr().map_err(broken)?;
        let keys = endpoint.keys();
        let tokens = (0..people)
            .map(|n| {
                keys.mint(&format!("person-{n}"), "", &format!("room-{n}"))
                    .map_err(|e| Failure::internal(e.to_string()))
            })
            .collect::<Result<_, _>>()?;
        let lateness = endpoint.lateness();
        let mut tasks = JoinSet::new();
        let router = endpoint.router();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tasks.spawn(async move {
            // It ends with the bench; people who find nobody say so.
            let _ = axum::serve(listener, service).await;
        });
        tasks.spawn(endpoint.run(CancellationToken::new()));
        tasks.spawn(room::lobby(links, host, CancellationToken::new()));
        Ok(Self {
            address,
            tokens,
            lateness,
            begun,
            _llm: llm,
            _tasks: tasks,
        })
    }
}

/// The child process; gone when it is dropped.
struct People {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl People {
    async fn come(crowd: &Crowd) -> Result<Self, Failure> {
        let broken = |e: std::io::Error| Failure::internal(format!("the people do not come: {e}"));
        let mut child = Command::new(std::env::current_exe().map_err(broken)?)
            .args(["bench", "rooms", "people"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(broken)?;
        let mut people = Self {
            input: child.stdin.take().expect("piped above"),
            output: BufReader::new(child.stdout.take().expect("piped above")).lines(),
            _child: child,
        };
        let crowd = serde_json::to_string(crowd).expect("numbers and names are JSON");
        people.say(&crowd).await?;
        Ok(people)
    }

    async fn say(&mut self, line: &str) -> Result<(), Failure> {
        let line = format!("{line}\n");
        let written = self.input.write_all(line.as_bytes()).await;
        written.map_err(|e| Failure::internal(format!("the people have ended: {e}")))
    }

    async fn hear<T: DeserializeOwned>(&mut self, within: Duration) -> Result<T, Failure> {
        let line = timeout(within, self.output.next_line()).await;
        let line = line.ok().and_then(Result::ok).flatten();
        line.and_then(|line| serde_json::from_str(&line).ok())
            .ok_or_else(|| Failure::internal("the people have ended; what they said stands above"))
    }
}

#[derive(Serialize)]
struct Report {
    what: &'static str,
    rooms: usize,
    inside: usize,
    refused: Vec<String>,
    seconds: u64,
    /// Of one core, all rooms together.
    cpu_percent: Option<f64>,
    mb_without_rooms: Option<f64>,
    mb_with_rooms: Option<f64>,
    mb_per_room: Option<f64>,
    peak_mb: Option<f64>,
    frames: u64,
    late_p50_ms: f64,
    late_p99_ms: f64,
    late_max_ms: f64,
    people: Counted,
}

/// Rooms in which everybody asks and is answered, in turn.
///
/// # Errors
///
/// When a part does not start or ends too soon.
pub(super) async fn crowd(args: &Args, settings: &Settings) -> Result<serde_json::Value, Failure> {
    let scratch = Scratch::new()?;
    let (says, longest) = questions(&args.speech, scratch.path())?;
    let every = longest + ANSWER_TIME;
    measure(args, settings, "crowd", args.sessions, says, every).await
}

/// Rooms in which nobody says anything.
///
/// # Errors
///
/// When a part does not start or ends too soon.
pub(super) async fn idle(args: &Args, settings: &Settings) -> Result<serde_json::Value, Failure> {
    measure(args, settings, "idle", args.asleep, Vec::new(), ANSWER_TIME).await
}

async fn measure(
    args: &Args,
    settings: &Settings,
    what: &'static str,
    rooms: usize,
    says: Vec<PathBuf>,
    every: Duration,
) -> Result<serde_json::Value, Failure> {
    let house = House::open(settings, rooms, voice(&args.speech)?).await?;
    let us = std::process::id();
    let resident = || stats::memory_mb_of(us, "VmRSS:");
    let before = resident();
    let mut people = People::come(&Crowd {
        address: house.address,
        tokens: house.tokens.clone(),
        says,
        every_ms: every.as_millis() as u64,
        seconds: args.seconds,
    })
    .await?;
    let up: Up = people.hear(COMING).await?;
    let loaded = async {
        while house.begun.load(Relaxed) < up.inside {
            sleep(Duration::from_millis(100)).await;
        }
    };
    // Whoever is not heard by then has failed, and its room says so in the log.
    let _ = timeout(COMING, loaded).await;
    sleep(SETTLES).await;
    house.lateness.reset();
    let cpu = stats::cpu_seconds();
    people.say("begin").await?;
    let counted = people.hear(Duration::from_secs(args.seconds + 30)).await?;
    let used = stats::cpu_seconds().zip(cpu).map(|(now, then)| now - then);
    let after = resident();
    let Late {
        frames,
        p50,
        p99,
        max,
    } = house.lateness.summary();
    let report = Report {
        what,
        rooms,
        inside: up.inside,
        refused: up.refused,
        seconds: args.seconds,
        cpu_percent: used.map(|s| 100.0 * s / args.seconds as f64),
        mb_without_rooms: before,
        mb_with_rooms: after,
        mb_per_room: after
            .zip(before)
            .map(|(a, b)| (a - b) / up.inside.max(1) as f64),
        peak_mb: stats::peak_rss_mb(),
        frames,
        late_p50_ms: p50,
        late_p99_ms: p99,
        late_max_ms: max,
        people: counted,
    };
    if !args.json {
        show(&report)?;
    }
    Ok(serde_json::to_value(report).expect("numbers and names are JSON"))
}

fn show(report: &Report) -> Result<(), Failure> {
    let people = &report.people;
    say(format_args!(
        "\n== {}: {} of {} people in rooms of their own, {} s (STT and voice prepared; wake word, VAD, Opus, WebRTC live)",
        report.what, report.inside, report.rooms, report.seconds
    ))?;
    for why in &report.refused {
        say(format_args!("  not let in           {why}"))?;
    }
    for (why, people) in &people.gone {
        say(format_args!("  connections lost     {people}: {why}"))?;
    }
    say(format_args!(
        "  CPU                  {} % of one core ({} % each)",
        super::number(report.cpu_percent, 1),
        super::number(
            report.cpu_percent.map(|c| c / report.inside.max(1) as f64),
            2
        )
    ))?;
    say(format_args!(
        "  memory               {} MB, {} MB without rooms: {} MB each; peak {} MB",
        super::number(report.mb_with_rooms, 0),
        super::number(report.mb_without_rooms, 0),
        super::number(report.mb_per_room, 2),
        super::number(report.peak_mb, 0)
    ))?;
    if report.frames > 0 {
        say(format_args!(
            "  20 ms pacer, late    p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms, {} frames",
            report.late_p50_ms, report.late_p99_ms, report.late_max_ms, report.frames
        ))?;
        say(format_args!(
            "  at the people, late  p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms; {} packets, {} lost",
            people.late_p50_ms, people.late_p99_ms, people.late_max_ms, people.packets, people.lost
        ))?;
        say(format_args!(
            "  answers              {} (woken {} times)",
            people.answers, people.woken
        ))?;
    }
    say(format_args!(
        "  the people           {:.1} s of CPU in a process of their own",
        people.cpu_seconds
    ))
}

fn clip(folder: &Path, entry: &Entry) -> Result<Pcm<Hz16k>, Failure> {
    let clip: Pcm<Hz16k> = audio::resample(&wav::read(&folder.join(&entry.path))?);
    Ok(Pcm::new(clip.samples()[turn::speech(&clip)].to_vec()))
}

fn of<'a>(
    entries: &'a [Entry],
    folder: &Path,
    category: &'a str,
) -> Result<impl Iterator<Item = &'a Entry> + Clone, Failure> {
    let found = entries.iter().filter(move |e| {
        e.category == category && (category != "wake_pos" || e.label == WAKE_WORD)
    });
    match found.clone().next() {
        Some(_) => Ok(found),
        None => Err(Failure::request(format!(
            "{} lists no recording of the category {category} (wake_pos: labelled {WAKE_WORD}); give another folder with --speech",
            folder.display()
        ))),
    }
}

/// What the assistant sounds like here: a read sentence.
fn voice(folder: &Path) -> Result<Pcm<Hz24k>, Failure> {
    let entries = manifest(folder, "transcript")?;
    let first = of(&entries, folder, "asr")?.next().expect("there is one");
    let spoken = AnyPcm {
        rate_hz: Hz16k::HZ,
        samples: clip(folder, first)?.samples().to_vec(),
    };
    Ok(audio::resample(&spoken))
}

/// The wake word and a question, written below `to`; the longest one's length.
fn questions(folder: &Path, to: &Path) -> Result<(Vec<PathBuf>, Duration), Failure> {
    let entries = manifest(folder, "label")?;
    let wakes = of(&entries, folder, "wake_pos")?;
    let asked = of(&entries, folder, "command")?.cycle();
    let mut longest = Duration::ZERO;
    let files = wakes
        .zip(asked)
        .take(VARIANTS)
        .enumerate()
        .map(|(n, (wake, question))| {
            let mut said = clip(folder, wake)?.samples().to_vec();
            said.extend([0.0; 960]);
            said.extend(clip(folder, question)?.samples());
            let said = Pcm::<Hz16k>::new(said);
            longest = longest.max(said.duration());
            let file = to.join(format!("{n}.wav"));
            wav::write(&file, &said)?;
            Ok(file)
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    Ok((files, longest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::recordings::OURS;

    #[test]
    fn the_recordings_of_the_repository_are_enough_for_a_crowd() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(OURS);
        let scratch = Scratch::new().unwrap();
        let (says, longest) = questions(&folder, scratch.path()).unwrap();
        assert!(!says.is_empty() && says.iter().all(|file| file.is_file()));
        assert!((1.0..6.0).contains(&longest.as_secs_f64()), "{longest:?}");
        assert!(voice(&folder).unwrap().duration() > Duration::from_secs(1));
        let gone = scratch.path().to_owned();
        drop(scratch);
        assert!(!gone.exists());
    }
}
