//! `caal bench wake`: what listening for a wake word costs, beside Python openwakeword where it is
//! installed, and what it hears in labelled recordings.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use serde::{Deserialize, Serialize};

use super::{
    cpu_seconds,
    peer::{Peer, PeerArgs, Rival},
    recordings::{Entry, manifest},
};
use crate::{
    audio::{Hz16k, Pcm, SamplePos, resample, wav},
    cli::{Failure, out::say},
    engine::Runtime,
    wake::{EnergyConfig, GateConfig, Gated, OpenWakeWord, WakeGate, WakeModel, choose, find},
};

const RIVAL: Rival = Rival {
    package: "openwakeword 0.5.1 (as scripts/peers/wake.py says)",
    script: include_str!("../../../scripts/peers/wake.py"),
};
/// Words of the runs with one and with four classifiers.
const WORDS: [&str; 4] = ["hey_jarvis", "alexa", "hey_mycroft", "hey_rhasspy"];

/// Arguments of `caal bench wake`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    peer: PeerArgs,
    /// Folder of labelled recordings with a manifest.tsv (columns path, category, label): the speech
    /// is theirs, and detections and false alarms are counted. Without it the speech is a synthetic
    /// sound that is never quiet.
    #[arg(long, value_name = "DIR")]
    speech: Option<PathBuf>,
    /// Seconds of sound for each figure, at least 60.
    #[arg(long, value_name = "S", default_value_t = 60)]
    seconds: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// All figures.
#[derive(Debug, Serialize)]
struct Report {
    costs: Vec<Cost>,
    /// Only with recordings.
    #[serde(skip_serializing_if = "Option::is_none")]
    hearing: Option<Hearing>,
}

/// What one detector costs on one sound.
#[derive(Debug, Serialize)]
struct Cost {
    detector: &'static str,
    sound: &'static str,
    words: usize,
    #[serde(flatten)]
    used: Used,
}

#[derive(Debug, Serialize, Deserialize)]
struct Used {
    seconds: f64,
    /// CPU time, user and system, in per cent of the sound's length: of one core.
    cpu_percent: f64,
    /// Slowest 80 ms step, wall clock.
    worst_ms: f64,
}

/// What was heard in the labelled recordings, each a stream of its own, gate on.
#[derive(Debug, Default, Serialize)]
struct Hearing {
    /// Per word: recordings that hold it, and those in which it was heard.
    words: BTreeMap<String, (usize, usize)>,
    /// Seconds of recordings that hold none of the words, and detections in them.
    other_seconds: f64,
    false_alarms: usize,
    /// Detections that the energy gate lost or added, over all recordings.
    gate_differences: usize,
}

/// Measures and prints.
///
/// # Errors
///
/// When a model or recording is missing, or the peer fails.
pub fn run(args: &Args, store: &Path, runtime: &Runtime) -> Result<(), Failure> {
    let bench = Bench { store, runtime };
    let len = args.seconds.max(60) as usize * 16_000;
    let folder = store.join("openwakeword");
    let mut peer = args.peer.start(
        &RIVAL,
        &["answer".as_ref(), "--models".as_ref(), folder.as_os_str()],
    )?;
    let speech = match &args.speech {
        Some(folder) => continuous_speech(folder, len)?,
        None => never_quiet(len),
    };
    let sounds = [("speech", speech), ("silence", faint_noise(len))];
    let mut report = Report {
        costs: Vec::new(),
        hearing: None,
    };
    for (sound, samples) in &sounds {
        for words in [1, 4] {
            let mut cost = |detector, used| {
                report.costs.push(Cost {
                    detector,
                    sound,
                    words,
                    used,
                });
            };
            cost("caal", bench.cost(&mut bench.gated(words)?, samples)?);
            cost(
                "caal, gate off",
                bench.cost(&mut bench.plain(words)?, samples)?,
            );
            if let Some(peer) = &mut peer {
                cost("openwakeword 0.5.1", bench.peer(peer, words, samples)?);
            }
        }
    }
    if let Some(folder) = &args.speech {
        report.hearing = Some(bench.hearing(folder)?);
    }
    if args.json {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|e| Failure::internal(format!("the figures cannot be written ({e})")))?;
        say(text)?;
    } else {
        print(&report)?;
    }
    Ok(())
}

struct Bench<'a> {
    store: &'a Path,
    runtime: &'a Runtime,
}

impl Bench<'_> {
    fn plain(&self, words: usize) -> Result<OpenWakeWord, Failure> {
        let names: Vec<String> = WORDS[..words].iter().map(|&w| w.to_owned()).collect();
        let words = choose(&find(&[self.store.to_owned()]), &names)?;
        let folder = self.store.join("openwakeword");
        Ok(OpenWakeWord::load(self.runtime, &folder, &words)?)
    }

    fn gated(&self, words: usize) -> Result<Gated<OpenWakeWord>, Failure> {
        let model = self.plain(words)?;
        let memory = model.memory();
        Ok(Gated::new(model, memory, EnergyConfig::default()))
    }

    fn cost(&self, model: &mut dyn WakeModel, samples: &[f32]) -> Result<Used, Failure> {
        let step = model.step();
        // ONNX Runtime plans its memory in the first runs, and a gate learns the room. Twenty
        // seconds are a room's length of stay.
        for samples in samples[..samples.len().min(20 * 16_000)].chunks_exact(step) {
            model.score(samples)?;
        }
        let used = || {
            cpu_seconds()
                .ok_or_else(|| Failure::internal("this system has no /proc to read CPU time from"))
        };
        let (before, mut worst) = (used()?, 0.0f64);
        for samples in samples.chunks_exact(step) {
            let started = Instant::now();
            model.score(samples)?;
            worst = worst.max(started.elapsed().as_secs_f64());
        }
        let seconds = (samples.len() / step * step) as f64 / 16_000.0;
        Ok(Used {
            seconds,
            cpu_percent: 100.0 * (used()? - before) / seconds,
            worst_ms: 1_000.0 * worst,
        })
    }

    fn peer(&self, peer: &mut Peer, words: usize, samples: &[f32]) -> Result<Used, Failure> {
        let file = std::env::temp_dir().join(format!("caal-bench-wake-{}.wav", std::process::id()));
        wav::write(&file, &Pcm::<Hz16k>::new(samples.to_vec()))?;
        let used = peer.ask(&serde_json::json!({ "wav": file, "words": WORDS[..words] }));
        // The figures are here or not; a file left behind is not worth an error.
        let _ = fs::remove_file(&file);
        used
    }

    fn hearing(&self, folder: &Path) -> Result<Hearing, Failure> {
        let (mut gated, mut plain) = (self.gated(WORDS.len())?, self.plain(WORDS.len())?);
        let mut hearing = Hearing::default();
        for entry in listed(folder)? {
            let clip = resample::<Hz16k>(&wav::read(&folder.join(&entry.path))?);
            let heard = detections(&mut gated, &clip)?;
            hearing.gate_differences += usize::from(heard != detections(&mut plain, &clip)?);
            let word = entry.label.replace(' ', "_");
            if entry.category == "wake_pos" && WORDS.contains(&word.as_str()) {
                let found = heard.iter().any(|&i| WORDS[i] == word);
                let (all, hits) = hearing.words.entry(word).or_default();
                *all += 1;
                *hits += usize::from(found);
            } else {
                hearing.other_seconds += clip.duration().as_secs_f64();
                hearing.false_alarms += heard.len();
            }
        }
        Ok(hearing)
    }
}

/// Words heard in a clip with a second of silence around it, as indices into [`WORDS`].
fn detections(model: &mut dyn WakeModel, clip: &Pcm<Hz16k>) -> Result<Vec<usize>, Failure> {
    model.reset();
    let step = model.step();
    let mut sound = vec![0.0; 12 * step];
    sound.extend(clip.samples());
    sound.resize((sound.len() + 12 * step).next_multiple_of(step), 0.0);
    let mut gate = WakeGate::new(WORDS.len(), GateConfig::default());
    let mut heard = Vec::new();
    for (i, samples) in sound.chunks_exact(step).enumerate() {
        let end = SamplePos::new(((i + 1) * step) as u64);
        let event = gate.push(end, model.score(samples)?);
        heard.extend(event.map(|event| event.word));
    }
    Ok(heard)
}

/// The list without impulse responses of rooms, which are no sound that anybody hears.
fn listed(folder: &Path) -> Result<Vec<Entry>, Failure> {
    let mut entries = manifest(folder, "label")?;
    entries.retain(|e| e.category != "rir");
    Ok(entries)
}

/// Sentences without pauses between them, as often as it takes.
fn continuous_speech(folder: &Path, len: usize) -> Result<Vec<f32>, Failure> {
    let mut sound = Vec::with_capacity(len);
    for entry in listed(folder)? {
        if entry.category == "asr" && sound.len() < len {
            sound.extend(resample::<Hz16k>(&wav::read(&folder.join(entry.path))?).into_samples());
        }
    }
    if sound.is_empty() {
        let folder = folder.display();
        return Err(Failure::request(format!(
            "{folder} has no recordings of the category asr; leave --speech out"
        )));
    }
    while sound.len() < len {
        sound.extend_from_within(..sound.len().min(len - sound.len()));
    }
    sound.truncate(len);
    Ok(sound)
}

/// Noise that swells and fades four times a second, as speech does, so that no gate sleeps.
fn never_quiet(len: usize) -> Vec<f32> {
    let mut noise = noise(0.3);
    (0..len)
        .map(|i| {
            let swell = (std::f32::consts::TAU * 4.0 * i as f32 / 16_000.0).sin();
            noise() * (0.55 + 0.45 * swell)
        })
        .collect()
}

/// The noise of a quiet room and a cheap microphone, about 60 dB below full scale.
fn faint_noise(len: usize) -> Vec<f32> {
    let mut noise = noise(0.003);
    (0..len).map(|_| noise()).collect()
}

/// White noise from a written generator, this wide from top to bottom.
fn noise(width: f32) -> impl FnMut() -> f32 {
    let mut seed = 1u32;
    move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((seed >> 8) as f32 / (1 << 24) as f32 - 0.5) * width
    }
}

fn print(report: &Report) -> Result<(), Failure> {
    say("wake word: CPU time in per cent of one core, slowest 80 ms step")?;
    say(format_args!(
        "{:<20} {:<8} {:>5} {:>8} {:>10} {:>9}",
        "detector", "sound", "words", "CPU %", "worst ms", "sound s"
    ))?;
    for cost in &report.costs {
        let Used {
            seconds,
            cpu_percent,
            worst_ms,
        } = cost.used;
        say(format_args!(
            "{:<20} {:<8} {:>5} {cpu_percent:>8.2} {worst_ms:>10.2} {seconds:>9.0}",
            cost.detector, cost.sound, cost.words
        ))?;
    }
    let Some(hearing) = &report.hearing else {
        return Ok(());
    };
    say(format_args!("\nthreshold 0.5, one step is enough, gate on"))?;
    for (word, (all, hits)) in &hearing.words {
        say(format_args!(
            "{word}: heard in {hits} of {all} recordings that hold it"
        ))?;
    }
    say(format_args!(
        "{} detections in {:.0} s of other recordings; recordings in which the gate changed anything: {}",
        hearing.false_alarms, hearing.other_seconds, hearing.gate_differences
    ))
}
