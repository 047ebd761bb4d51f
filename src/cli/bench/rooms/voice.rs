//! One person in a room, a stock LiveKit client: how long after the last sample of a question the answer is
//! heard, and how long after cutting in it is silent.

use std::{ffi::OsStr, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::block_in_place;

use super::{
    Args,
    product::{LiveKit, Product, Scratch},
    scripted::{ANSWER, LONG_ANSWER, Scripted},
};
use crate::{
    audio::{self, Hz16k, Pcm, wav},
    cli::{
        Failure,
        bench::{
            Summary,
            peer::{Peer, PeerArgs, Rival},
            recordings::manifest,
            turn,
        },
        out::say,
    },
    settings::Settings,
};

/// The stock client.
const PERSON: Rival = Rival {
    package: "livekit and numpy (scripts/real-parts/livekit-python.sh does)",
    script: include_str!("../../../../scripts/peers/room.py"),
};

/// The stages of a turn in their order, as `caal.turn` names them.
const STAGES: [&str; 6] = ["endpoint", "stt", "llm", "clause", "tts", "playout"];

/// What a client heard after a question.
#[derive(Debug, Deserialize, Serialize)]
struct Answer {
    /// Last sample of the question handed to the encoder → first audible sample of the answer.
    heard_ms: Option<f64>,
    /// The assistant spoke before the question was over.
    cut_in: bool,
    /// How long the answer was.
    answer_ms: Option<f64>,
    /// What the server says about it.
    turn: Option<Turn>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Turn {
    total_ms: Option<f64>,
    stages: Vec<Stage>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Stage {
    name: String,
    ms: f64,
}

/// What a client heard after cutting in.
#[derive(Debug, Deserialize, Serialize)]
struct Cut {
    /// First audible sample of the interruption → last audible sample of the answer.
    silent_ms: Option<f64>,
    /// It went on before the interruption was over.
    #[serde(default)]
    resumed: bool,
    /// Why nothing was measured.
    #[serde(default)]
    why: String,
}

/// The product, a client in its room, and the recordings that it plays.
struct Call {
    product: Product,
    person: Peer,
    clips: Vec<(String, std::path::PathBuf)>,
    _scratch: Scratch,
    _llm: Scripted,
}

impl Call {
    async fn start(
        args: &Args,
        settings: &Settings,
        server: Option<&Path>,
        answer: &'static str,
    ) -> Result<Self, Failure> {
        let scratch = Scratch::new()?;
        let clips = prepare(&args.speech, args.turns, scratch.path())?;
        let llm = Scripted::start(answer).await?;
        let livekit = match server {
            Some(program) => Some(LiveKit::start(program).await?),
            None => None,
        };
        let product = Product::start(settings, &llm, livekit).await?;
        let invitation = product.invite().await?;
        let client = PeerArgs {
            peer: true,
            peer_python: args.peer_python.clone(),
        };
        let arguments = [&invitation.server_url, &invitation.participant_token];
        let arguments = arguments.map(|text| OsStr::new(text.as_str()));
        let person = block_in_place(|| client.start(&PERSON, &arguments))?;
        Ok(Self {
            product,
            person: person.expect("a peer is asked for"),
            clips,
            _scratch: scratch,
            _llm: llm,
        })
    }
}

#[derive(Serialize)]
struct VoiceReport {
    what: &'static str,
    room: &'static str,
    client: String,
    heard_ms: Option<Summary>,
    stages_ms: Vec<(&'static str, Option<Summary>)>,
    /// What is heard later than the server takes it to be sent: both ways, codec, jitter buffer.
    way_ms: Option<Summary>,
    asked: usize,
    answered: usize,
    cut_in: usize,
    cpu_seconds_per_turn: Option<f64>,
    livekit_cpu_seconds_per_turn: Option<f64>,
    peak_mb: Option<f64>,
    rows: Vec<(String, Answer)>,
}

/// Voice to voice, through our own room or that of `server`.
///
/// # Errors
///
/// When a part does not start or ends too soon.
pub(super) async fn voice(
    args: &Args,
    settings: &Settings,
    server: Option<&Path>,
) -> Result<serde_json::Value, Failure> {
    let mut call = Call::start(args, settings, server, ANSWER).await?;
    let room = kind(server);
    if !args.json {
        say(format_args!("\n== voice, {room}, {}", call.person.name))?;
    }
    // The first turn pays for caches that fill once.
    ask(&mut call.person, &call.clips[0].1)?;
    let before = (
        call.product.cpu_seconds(),
        call.product.livekit_cpu_seconds(),
    );
    let mut rows = Vec::new();
    for (name, file) in &call.clips {
        let answer = ask(&mut call.person, file)?;
        if !args.json {
            say(line(name, &answer))?;
        }
        rows.push((name.clone(), answer));
    }
    let turns = rows.len() as f64;
    let per_turn = |now: Option<f64>, before: Option<f64>| Some((now? - before?) / turns);
    let fine = || rows.iter().map(|(_, a)| a).filter(|a| !a.cut_in);
    let stage = |wanted: &str| -> Vec<f64> {
        fine()
            .flat_map(|a| &a.turn)
            .flat_map(|t| &t.stages)
            .filter(|s| s.name == wanted)
            .map(|s| s.ms)
            .collect()
    };
    let way: Vec<f64> = fine()
        .filter_map(|a| Some(a.heard_ms? - a.turn.as_ref()?.total_ms?))
        .collect();
    let heard: Vec<f64> = fine().filter_map(|a| a.heard_ms).collect();
    let report = VoiceReport {
        what: "voice",
        room,
        client: call.person.name.clone(),
        heard_ms: Summary::of(&heard),
        stages_ms: STAGES.map(|s| (s, Summary::of(&stage(s)))).into(),
        way_ms: Summary::of(&way),
        asked: rows.len(),
        answered: heard.len(),
        cut_in: rows.iter().filter(|(_, a)| a.cut_in).count(),
        cpu_seconds_per_turn: per_turn(call.product.cpu_seconds(), before.0),
        livekit_cpu_seconds_per_turn: per_turn(call.product.livekit_cpu_seconds(), before.1),
        peak_mb: call.product.peak_mb(),
        rows,
    };
    if !args.json {
        show_voice(&report)?;
    }
    Ok(serde_json::to_value(report).expect("numbers and names are JSON"))
}

fn show_voice(report: &VoiceReport) -> Result<(), Failure> {
    super::head("milliseconds")?;
    super::row("last sample to first sound", report.heard_ms.as_ref())?;
    for (name, summary) in &report.stages_ms {
        super::row(&format!("  {name}"), summary.as_ref())?;
    }
    super::row(
        "  way there and back, codec, buffers",
        report.way_ms.as_ref(),
    )?;
    say(format_args!(
        "{} of {} answered, {} cut into; CPU {} s a turn{}; peak memory {} MB",
        report.answered,
        report.asked,
        report.cut_in,
        super::number(report.cpu_seconds_per_turn, 2),
        report
            .livekit_cpu_seconds_per_turn
            .map_or(String::new(), |s| format!(
                " (livekit-server {s:.2} s beside it)"
            )),
        super::number(report.peak_mb, 0),
    ))
}

#[derive(Serialize)]
struct CutReport {
    what: &'static str,
    room: &'static str,
    client: String,
    silent_ms: Option<Summary>,
    tried: usize,
    /// Not heard as an interruption at first: the answer went on.
    resumed: usize,
    rows: Vec<(String, Cut)>,
}

/// Interruption to silence, through our own room or that of `server`.
///
/// # Errors
///
/// When a part does not start or ends too soon.
pub(super) async fn interrupt(
    args: &Args,
    settings: &Settings,
    server: Option<&Path>,
) -> Result<serde_json::Value, Failure> {
    let mut call = Call::start(args, settings, server, LONG_ANSWER).await?;
    let room = kind(server);
    if !args.json {
        say(format_args!("\n== interrupt, {room}, {}", call.person.name))?;
    }
    let question = call.clips[0].1.clone();
    let mut rows = Vec::new();
    for (name, file) in call.clips.iter().cycle().take(args.interruptions) {
        let wish = json!({ "do": "interrupt", "wav": file, "question": question });
        let cut: Cut = block_in_place(|| call.person.ask(&wish))?;
        if !args.json {
            let ms = cut
                .silent_ms
                .map_or_else(|| cut.why.clone(), |ms| format!("{ms:.0} ms"));
            let again = if cut.resumed { "  went on" } else { "" };
            say(format_args!("{name:<58} {ms:>10}{again}"))?;
        }
        rows.push((name.clone(), cut));
    }
    // Where the answer was quiet by itself when somebody cut in, nothing was measured.
    let silent: Vec<f64> = rows
        .iter()
        .filter(|(_, cut)| !cut.resumed)
        .filter_map(|(_, cut)| cut.silent_ms.filter(|ms| *ms > 0.0))
        .collect();
    let report = CutReport {
        what: "interrupt",
        room,
        client: call.person.name.clone(),
        silent_ms: Summary::of(&silent),
        tried: rows.len(),
        resumed: rows.iter().filter(|(_, cut)| cut.resumed).count(),
        rows,
    };
    if !args.json {
        super::head("milliseconds")?;
        super::row("cutting in to silence", report.silent_ms.as_ref())?;
        say(format_args!(
            "{} of {} measured; {} went on",
            silent.len(),
            report.tried,
            report.resumed
        ))?;
    }
    Ok(serde_json::to_value(report).expect("numbers and names are JSON"))
}

fn kind(server: Option<&Path>) -> &'static str {
    match server {
        Some(_) => "livekit-server",
        None => "own room",
    }
}

fn ask(person: &mut Peer, file: &Path) -> Result<Answer, Failure> {
    block_in_place(|| person.ask(&json!({ "do": "ask", "wav": file })))
}

fn line(name: &str, answer: &Answer) -> String {
    let heard = match (answer.cut_in, answer.heard_ms) {
        (true, _) => "cut into".to_owned(),
        (_, None) => "no answer".to_owned(),
        (_, Some(ms)) => format!("{ms:.0} ms"),
    };
    let stages: Vec<_> = answer
        .turn
        .iter()
        .flat_map(|t| &t.stages)
        .map(|s| format!("{} {}", s.name, s.ms))
        .collect();
    format!("{name:<58} {heard:>10}  {}", stages.join("  "))
}

/// As many recordings as asked for, cut to what is spoken in them and written below `to`: those of `caal
/// bench turn`, then the other commands, then read sentences; from the beginning where there are too few.
fn prepare(
    folder: &Path,
    count: usize,
    to: &Path,
) -> Result<Vec<(String, std::path::PathBuf)>, Failure> {
    let mut names: Vec<String> = turn::RECORDINGS
        .iter()
        .filter(|name| folder.join(name).is_file())
        .map(|&name| name.to_owned())
        .collect();
    let entries = manifest(folder, "transcript")?;
    for category in ["command", "asr"] {
        for entry in entries.iter().filter(|e| e.category == category) {
            if !names.contains(&entry.path) {
                names.push(entry.path.clone());
            }
        }
    }
    if names.is_empty() {
        return Err(Failure::request(format!(
            "{} lists no recording of the category command or asr; give another folder with --speech",
            folder.display()
        )));
    }
    names
        .iter()
        .cycle()
        .take(count)
        .enumerate()
        .map(|(n, name)| {
            let clip: Pcm<Hz16k> = audio::resample(&wav::read(&folder.join(name))?);
            let spoken = Pcm::<Hz16k>::new(clip.samples()[turn::speech(&clip)].to_vec());
            let file = to.join(format!("{n}.wav"));
            wav::write(&file, &spoken)?;
            Ok((name.clone(), file))
        })
        .collect()
}
