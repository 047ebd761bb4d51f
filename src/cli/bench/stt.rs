//! `caal bench stt`: how fast and how right Whisper hears recordings, alone or in turn with
//! faster-whisper on the same weights and clips.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use serde::{Deserialize, Serialize};

use super::{
    Summary, WordErrors, peak_rss_mb,
    peer::{Peer, PeerArgs, Rival},
    recordings::{OURS, manifest},
    word_errors,
};
use crate::{
    audio::{Hz16k, Pcm, resample, wav},
    cli::{Failure, out::say},
    engine::{Role, Runtime},
    stt::{
        Language,
        whisper::{Context, Options, Precision, Whisper, WhisperConfig},
    },
};

const RIVAL: Rival = Rival {
    package: "faster-whisper",
    script: include_str!("../../../scripts/peers/stt.py"),
};

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Folder of recordings with manifest.tsv: columns path, transcript, category, parted by tabs.
    #[arg(long, value_name = "DIR", default_value = OURS)]
    speech: PathBuf,
    /// Category of the manifest; empty for all with a transcript.
    #[arg(long, value_name = "NAME", default_value = "asr")]
    category: String,
    /// Shortest and longest clip, in seconds.
    #[arg(long, value_name = "FROM..TO", default_value = "2..12")]
    seconds: String,
    /// At most this many clips, spread evenly over the list.
    #[arg(long, value_name = "N")]
    clips: Option<usize>,
    /// Compute the full 30 s context for every clip.
    #[arg(long)]
    full_context: bool,
    /// Context after the clip's end, in positions of 20 ms.
    #[arg(long, value_name = "N")]
    margin: Option<usize>,
    /// Least context, in positions of 20 ms.
    #[arg(long, value_name = "N")]
    least_context: Option<usize>,
    /// Weights: int8 or f32; the device's best if not given.
    #[arg(long, value_name = "NAME")]
    precision: Option<String>,
    #[command(flatten)]
    peer: PeerArgs,
    /// Print every clip.
    #[arg(long)]
    each: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// One side's figures.
#[derive(Clone, Debug, Serialize)]
struct Side {
    name: String,
    load_ms: f64,
    ms: Option<Summary>,
    wer: f64,
    errors: usize,
    words: usize,
    peak_rss_mb: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    clips: usize,
    seconds: f64,
    threads: usize,
    full_context: bool,
    ours: Side,
    peer: Option<Side>,
    /// Peer's median over ours.
    times_faster: Option<f64>,
}

struct Clip {
    path: PathBuf,
    transcript: String,
    pcm: Pcm<Hz16k>,
}

/// Loads a CTranslate2 folder, or a ggml file.
fn load(runtime: &Runtime, model: &Path, config: &WhisperConfig) -> Result<Whisper, Failure> {
    if model.is_file() {
        return ggml(runtime, model, config);
    }
    Ok(Whisper::load(runtime, model, config)?)
}

#[cfg(feature = "whisper-cpp")]
fn ggml(runtime: &Runtime, model: &Path, config: &WhisperConfig) -> Result<Whisper, Failure> {
    use crate::stt::{WhisperCppConfig, whisper_cpp};
    let config = WhisperCppConfig {
        context: config.context,
        ..WhisperCppConfig::new(runtime.threads(Role::Voice))
    };
    Ok(whisper_cpp::open(model, &config)?)
}

#[cfg(not(feature = "whisper-cpp"))]
fn ggml(_: &Runtime, model: &Path, _: &WhisperConfig) -> Result<Whisper, Failure> {
    Err(crate::app::no_whisper_cpp(model))
}

/// Runs the bench on the CTranslate2 model in `model` and prints its figures.
///
/// # Errors
///
/// When recordings, model or peer are missing or fail.
pub fn run(args: &Args, runtime: &Runtime, model: &Path) -> Result<(), Failure> {
    let clips = clips(args)?;
    let config = WhisperConfig {
        precision: match args.precision.as_deref() {
            None => None,
            Some("int8") => Some(Precision::Int8),
            Some("f32") => Some(Precision::F32),
            Some(other) => {
                return Err(Failure::request(format!(
                    "precision {other:?} is not known; ask for int8 or f32"
                )));
            }
        },
        context: match Context::default() {
            _ if args.full_context => Context::Full,
            Context::Clip { margin, least } => Context::Clip {
                margin: args.margin.unwrap_or(margin),
                least: args.least_context.unwrap_or(least),
            },
            Context::Full => Context::Full,
        },
        ..WhisperConfig::default()
    };
    let began = Instant::now();
    let mut whisper = load(runtime, model, &config)?;
    let load_ms = began.elapsed().as_secs_f64() * 1e3;
    let threads = runtime.threads(Role::Voice);
    let count = threads.to_string();
    let arguments = [model.as_os_str(), count.as_ref()];
    let mut peer = args.peer.start(&RIVAL, &arguments)?;
    let options = Options {
        language: Language::default(),
        prompt: String::new(),
    };
    let mut ours = Tally::default();
    let mut theirs = Tally::default();
    for (number, clip) in clips.iter().enumerate() {
        // The first clip warms both up and is heard once more.
        let rounds = if number == 0 { 2 } else { 1 };
        for round in 0..rounds {
            let began = Instant::now();
            let (transcript, timings) = whisper.transcribe(&clip.pcm, &options, &|| false)?;
            let ms = began.elapsed().as_secs_f64() * 1e3;
            let heard = match &mut peer {
                Some(peer) => Some(hear(peer, &clip.path)?),
                None => None,
            };
            if round + 1 < rounds {
                continue;
            }
            let wrong = ours.add(ms, &clip.transcript, &transcript.text);
            let peer_wrong = heard
                .as_ref()
                .map(|h| theirs.add(h.ms, &clip.transcript, &h.text));
            if args.each {
                say(format_args!(
                    "{:.1} s {ms:.0} ms (mel {:.0}, encoder {:.0} in {}, decoder {:.0} in {}) {wrong} wrong, confidence {:.2} | {}",
                    clip.pcm.duration().as_secs_f64(),
                    timings.mel.as_secs_f64() * 1e3,
                    timings.encode.as_secs_f64() * 1e3,
                    timings.encodes,
                    timings.decode.as_secs_f64() * 1e3,
                    timings.steps,
                    transcript.confidence.unwrap_or(f32::NAN),
                    clip.path.file_name().unwrap_or_default().display(),
                ))?;
                say(format_args!("    {}", transcript.text))?;
                if let (Some(heard), Some(wrong)) = (&heard, peer_wrong) {
                    say(format_args!(
                        "    {:.0} ms {wrong} wrong:{}",
                        heard.ms, heard.text
                    ))?;
                }
            }
        }
    }
    let ours = ours.side(
        whisper.name().to_owned(),
        load_ms,
        peak_rss_mb().unwrap_or(0.0),
    );
    let theirs = peer.map(|p| theirs.side(p.name.clone(), p.load_ms, p.rss_mb));
    let median = |side: &Side| side.ms.map(|s| s.p50);
    let times_faster = theirs
        .as_ref()
        .and_then(|t| Some(median(t)? / median(&ours)?));
    let report = Report {
        clips: clips.len(),
        seconds: clips.iter().map(|c| c.pcm.duration().as_secs_f64()).sum(),
        threads,
        full_context: args.full_context,
        ours,
        peer: theirs,
        times_faster,
    };
    if args.json {
        let text =
            serde_json::to_string_pretty(&report).map_err(|e| Failure::internal(e.to_string()))?;
        say(text)?;
    } else {
        print(&report)?;
    }
    Ok(())
}

fn print(report: &Report) -> Result<(), Failure> {
    say(format_args!(
        "{} clips, {:.0} s of speech, {} threads{}",
        report.clips,
        report.seconds,
        report.threads,
        if report.full_context {
            ", full 30 s context"
        } else {
            ""
        }
    ))?;
    for side in [Some(&report.ours), report.peer.as_ref()]
        .into_iter()
        .flatten()
    {
        let (p50, p95) = side.ms.map_or((0.0, 0.0), |s| (s.p50, s.p95));
        say(format_args!(
            "{:<58} median {p50:>5.0} ms  p95 {p95:>5.0} ms  WER {:>5.2} % ({} of {})  peak {:>4.0} MB  load {:.0} ms",
            side.name,
            side.wer * 100.0,
            side.errors,
            side.words,
            side.peak_rss_mb,
            side.load_ms,
        ))?;
    }
    if let Some(times) = report.times_faster {
        say(format_args!("{times:.2} times faster in the median"))?;
    }
    Ok(())
}

#[derive(Default)]
struct Tally {
    ms: Vec<f64>,
    errors: WordErrors,
}

impl Tally {
    fn add(&mut self, ms: f64, reference: &str, text: &str) -> usize {
        self.ms.push(ms);
        let errors = word_errors(reference, text);
        self.errors += &errors;
        errors.errors()
    }

    fn side(&self, name: String, load_ms: f64, peak_rss_mb: f64) -> Side {
        Side {
            name,
            load_ms,
            ms: Summary::of(&self.ms),
            wer: self.errors.rate(),
            errors: self.errors.errors(),
            words: self.errors.words,
            peak_rss_mb,
        }
    }
}

fn clips(args: &Args) -> Result<Vec<Clip>, Failure> {
    let bounds = args.seconds.split_once("..");
    let bounds = bounds.and_then(|(a, b)| Some((a.parse::<f64>().ok()?, b.parse::<f64>().ok()?)));
    let Some((shortest, longest)) = bounds else {
        return Err(Failure::request(format!(
            "--seconds {:?} is no range; write it as 2..12",
            args.seconds
        )));
    };
    let mut found = Vec::new();
    for entry in manifest(&args.speech, "transcript")? {
        let wanted = args.category.is_empty() || entry.category == args.category;
        if !wanted || entry.transcript.is_empty() {
            continue;
        }
        let path = args.speech.join(&entry.path);
        let pcm: Pcm<Hz16k> = resample(&wav::read(&path)?);
        if (shortest..=longest).contains(&pcm.duration().as_secs_f64()) {
            found.push(Clip {
                path,
                transcript: entry.transcript,
                pcm,
            });
        }
    }
    if let Some(wanted) = args.clips.filter(|&n| n > 0 && n < found.len()) {
        let all = found.len();
        let mut number = 0;
        found.retain(|_| {
            number += 1;
            number * wanted / all > (number - 1) * wanted / all
        });
    }
    if found.is_empty() {
        return Err(Failure::request(format!(
            "{} lists no such clip; widen --seconds or change --category",
            args.speech.display()
        )));
    }
    Ok(found)
}

#[derive(Deserialize)]
struct Heard {
    ms: f64,
    text: String,
}

/// What faster-whisper hears.
fn hear(peer: &mut Peer, wav: &Path) -> Result<Heard, Failure> {
    let wav =
        fs::canonicalize(wav).map_err(|e| Failure::internal(format!("{}: {e}", wav.display())))?;
    peer.ask(&serde_json::json!({ "wav": wav }))
}
