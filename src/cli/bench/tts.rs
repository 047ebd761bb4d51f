//! `caal bench tts`: how fast Kokoro speaks, alone or in turn with kokoro-onnx on the same phonemes;
//! how soon the first sound of a sentence comes; and whether Whisper hears every word of it again.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::{
    Summary, WordErrors, peak_rss_mb,
    peer::{Peer, PeerArgs, Rival},
    word_errors,
};
use crate::{
    audio::{Hz24k, Pcm, resample},
    cli::{Failure, out::say},
    engine::{Role, Runtime},
    stt::{Stt, TranscribeRequest},
    tts::{
        Clauses, Dictionary, SpeakRequest, Tts,
        kokoro::{Accent, KokoroConfig, KokoroTts, Phonemizer},
    },
};

const RIVAL: Rival = Rival {
    package: "kokoro-onnx",
    script: include_str!("../../../scripts/peers/tts.py"),
};

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Voice to speak with; not a blend when there is a peer.
    #[arg(long, value_name = "NAME", default_value = "af_heart")]
    voice: String,
    /// How often each sentence is spoken.
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    #[command(flatten)]
    peer: PeerArgs,
    /// Speak 40 sentences the way a reply is spoken and let Whisper write them down; nothing else.
    #[arg(long)]
    read_back: bool,
    /// Print every sentence.
    #[arg(long)]
    each: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Sentences of 5 to 31 words for the speed table.
const SENTENCES: [&str; 8] = [
    "Good morning, how are you?",
    "The front door is locked.",
    "I have turned off the lights in the kitchen and the hall.",
    "It will rain until noon, and then the sun comes out.",
    "Your next appointment is with the dentist on Thursday at half past three in the afternoon.",
    "The recipe needs two eggs, a cup of flour, a little butter and a pinch of salt.",
    "I found three films about the sea, and the one you liked last summer starts at eight.",
    "The washing machine finished twenty minutes ago, the dryer is still running, and the window in the bathroom has been open since this morning, so you may want to close it before it rains.",
];

/// Twelve words with a comma after the fourth.
const COMMA_AFTER_FOUR: [&str; 6] = [
    "If you ask me, we should leave the house before the rain.",
    "Now that you're here, let me show you what I found today.",
    "In the living room, the lamp beside the window is still on.",
    "When the timer rings, please take the bread out of the oven.",
    "As you may know, the last train leaves in about ten minutes.",
    "Once it is dark, I will close all of the blinds again.",
];

/// Time for the whole sound of a sentence against its first piece.
#[derive(Debug, Serialize)]
struct FirstSound {
    sentences: usize,
    /// Until the first piece, the sentence cut into clauses as a reply is.
    first_ms: Option<Summary>,
    /// Until all of it, the sentence spoken uncut.
    whole_ms: Option<Summary>,
    /// First over whole, of each sentence.
    share: Option<Summary>,
}

#[derive(Debug, Serialize)]
struct Side {
    name: String,
    load_ms: f64,
    /// Per second of (our) sound.
    ms_per_second: Option<Summary>,
    peak_rss_mb: f64,
}

#[derive(Debug, Serialize)]
struct Speed {
    threads: usize,
    voice: String,
    sentences: usize,
    rounds: usize,
    seconds: f64,
    ours: Side,
    peer: Option<Side>,
    /// Our time over the peer's, of each sentence's best round: at most 1 is the bar.
    of_peer: Option<Summary>,
    first_sound: FirstSound,
}

#[derive(Debug, Serialize)]
struct ReadBack {
    sentences: usize,
    errors: WordErrors,
    rate: f64,
    misses: Vec<Miss>,
}

/// A sentence that was heard otherwise.
#[derive(Debug, Serialize)]
struct Miss {
    written: String,
    spoken: String,
    heard: String,
    errors: WordErrors,
}

/// Runs the bench on the Kokoro model in `kokoro` and prints its figures. `stt` loads the model that
/// listens; asked for with `--read-back` only.
///
/// # Errors
///
/// When a model or the peer is missing or fails.
pub async fn run(
    args: &Args,
    runtime: &Runtime,
    kokoro: &Path,
    stt: impl FnOnce() -> Result<Arc<dyn Stt>, Failure>,
) -> Result<(), Failure> {
    let config = KokoroConfig {
        default_voice: args.voice.clone(),
        ..KokoroConfig::default()
    };
    let begun = Instant::now();
    let tts = KokoroTts::load(runtime, kokoro, &config)?;
    let load_ms = millis(begun.elapsed());
    if args.read_back {
        let report = read_back(args, &tts, &*stt()?).await?;
        return show(args, &report, print_read_back);
    }
    let mut speed = speed(args, runtime, &tts, kokoro, load_ms).await?;
    speed.first_sound = first_sound(args, &tts).await?;
    speed.ours.peak_rss_mb = peak_rss_mb().unwrap_or_default();
    show(args, &speed, print_speed)
}

fn show<T: Serialize>(
    args: &Args,
    report: &T,
    print: impl Fn(&T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if args.json {
        let text = serde_json::to_string_pretty(report)
            .map_err(|e| Failure::internal(format!("the report cannot be written ({e})")))?;
        say(text)?;
    } else {
        print(report)?;
    }
    Ok(())
}

async fn speed(
    args: &Args,
    runtime: &Runtime,
    tts: &KokoroTts,
    model: &Path,
    load_ms: f64,
) -> Result<Speed, Failure> {
    let threads = runtime.threads(Role::Voice);
    let accent = if args.voice.starts_with('b') {
        Accent::British
    } else {
        Accent::American
    };
    let mut phonemizer = Phonemizer::default();
    let count = threads.to_string();
    let arguments = [model.as_os_str(), count.as_ref()];
    let mut peer = args.peer.start(&RIVAL, &arguments)?;
    let (mut ours, mut theirs, mut of_peer) = (Vec::new(), Vec::new(), Vec::new());
    let mut seconds = 0.0;
    for (number, text) in SENTENCES.iter().enumerate() {
        let phonemes = phonemizer.phonemes(text, accent);
        let (mut best, mut peer_best, mut length) = (f64::INFINITY, f64::INFINITY, 0.0);
        // The first sentence warms both up and is spoken once more.
        for round in 0..args.rounds.max(1) + usize::from(number == 0) {
            let (sound, _, all) = speak(tts, text, Duration::ZERO).await?;
            let said = match &mut peer {
                Some(peer) => Some(said(peer, &phonemes, &args.voice)?),
                None => None,
            };
            if number == 0 && round == 0 {
                continue;
            }
            // Both are divided by our length: they cut silence differently, the work is the same.
            length = sound.duration().as_secs_f64();
            best = best.min(millis(all));
            ours.push(millis(all) / length);
            if let Some(said) = said {
                peer_best = peer_best.min(said.ms);
                theirs.push(said.ms / length);
            }
        }
        seconds += length;
        if peer.is_some() {
            of_peer.push(best / peer_best);
        }
        if args.each && !args.json {
            say(format_args!(
                "{length:>5.2} s  ours {best:>6.0} ms  peer {peer_best:>6.0} ms  {text}"
            ))?;
        }
    }
    Ok(Speed {
        threads,
        voice: args.voice.clone(),
        sentences: SENTENCES.len(),
        rounds: args.rounds.max(1),
        seconds,
        ours: Side {
            name: format!("caal, {}, {threads} threads", tts.name()),
            load_ms,
            ms_per_second: Summary::of(&ours),
            peak_rss_mb: 0.0,
        },
        peer: peer.as_ref().map(|peer| Side {
            name: peer.name.clone(),
            load_ms: peer.load_ms,
            ms_per_second: Summary::of(&theirs),
            peak_rss_mb: peer.rss_mb,
        }),
        of_peer: Summary::of(&of_peer),
        first_sound: FirstSound {
            sentences: 0,
            first_ms: None,
            whole_ms: None,
            share: None,
        },
    })
}

async fn first_sound(args: &Args, tts: &KokoroTts) -> Result<FirstSound, Failure> {
    let (mut firsts, mut wholes, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for sentence in COMMA_AFTER_FOUR {
        let clauses = clauses(sentence);
        let (mut first, mut whole) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..args.rounds.max(1) {
            let opening = &clauses[0];
            let (_, sooner, _) = speak(tts, &opening.0, opening.1).await?;
            let uncut: Vec<&str> = clauses.iter().map(|c| c.0.as_str()).collect();
            let (_, _, all) = speak(tts, &uncut.join(" "), Duration::ZERO).await?;
            first = first.min(millis(sooner));
            whole = whole.min(millis(all));
        }
        if args.each && !args.json {
            say(format_args!(
                "first {first:>6.0} ms of {whole:>6.0} ms  {} clauses  {sentence}",
                clauses.len()
            ))?;
        }
        firsts.push(first);
        wholes.push(whole);
        shares.push(first / whole);
    }
    Ok(FirstSound {
        sentences: COMMA_AFTER_FOUR.len(),
        first_ms: Summary::of(&firsts),
        whole_ms: Summary::of(&wholes),
        share: Summary::of(&shares),
    })
}

async fn read_back(args: &Args, tts: &KokoroTts, stt: &dyn Stt) -> Result<ReadBack, Failure> {
    let mut errors = WordErrors::default();
    let mut misses = Vec::new();
    for (written, reference) in super::readback::SENTENCES {
        let mut sound = Pcm::default();
        let mut spoken = Vec::new();
        for (text, pause) in clauses(written) {
            sound.append(&speak(tts, &text, pause).await?.0);
            spoken.push(text);
        }
        let clip = resample(&crate::audio::AnyPcm {
            rate_hz: 24_000,
            samples: sound.into_samples(),
        });
        let heard = stt.transcribe(TranscribeRequest::new(clip)).await?.text;
        let wrong = heard_errors(written, reference, &heard);
        if args.each && !args.json {
            say(format_args!(
                "{} errors  {written} -> {heard}",
                wrong.errors()
            ))?;
        }
        if wrong.errors() > 0 {
            misses.push(Miss {
                written: written.to_owned(),
                spoken: spoken.join(" | "),
                heard,
                errors: wrong.clone(),
            });
        }
        errors += &wrong;
    }
    Ok(ReadBack {
        sentences: super::readback::SENTENCES.len(),
        rate: errors.rate(),
        errors,
        misses,
    })
}

/// Errors against the nearer of the two ways to write what was to be said.
fn heard_errors(written: &str, reference: &str, heard: &str) -> WordErrors {
    let mut heard = heard.to_owned();
    for (from, to) in super::readback::SPELLINGS {
        heard = heard.replace(from, to);
    }
    let as_written = word_errors(&written.replace("**", ""), &heard);
    let as_heard = word_errors(reference, &heard);
    if as_written.errors() < as_heard.errors() {
        as_written
    } else {
        as_heard
    }
}

/// The clauses of a text as a reply is cut on a processor, with the pause after each.
fn clauses(text: &str) -> Vec<(String, Duration)> {
    let mut cutter = Clauses::new(Dictionary::default()).hurried();
    let mut all = cutter.push(text);
    all.extend(cutter.finish());
    all.into_iter()
        .filter(|clause| !clause.spoken.is_empty())
        .map(|clause| (clause.spoken, clause.pause))
        .collect()
}

/// The sound of `text`, the time to its first piece and to its last.
async fn speak(
    tts: &KokoroTts,
    text: &str,
    pause: Duration,
) -> Result<(Pcm<Hz24k>, Duration, Duration), Failure> {
    let begun = Instant::now();
    let mut first = None;
    let mut sound = Pcm::default();
    let mut pieces = tts.speak(SpeakRequest {
        text: text.to_owned(),
        voice: String::new(),
        speed: 1.0,
        pause,
    });
    while let Some(piece) = pieces.next().await {
        sound.append(&piece?);
        first.get_or_insert_with(|| begun.elapsed());
    }
    let all = begun.elapsed();
    Ok((sound, first.unwrap_or(all), all))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn print_speed(report: &Speed) -> Result<(), Failure> {
    say(format_args!(
        "{} sentences, {:.1} s of sound, {} rounds, voice {}, {} threads",
        report.sentences, report.seconds, report.rounds, report.voice, report.threads
    ))?;
    for side in [Some(&report.ours), report.peer.as_ref()]
        .into_iter()
        .flatten()
    {
        let (p50, p95) = side.ms_per_second.map_or((0.0, 0.0), |s| (s.p50, s.p95));
        say(format_args!(
            "{:<58} median {p50:>5.0} ms per second of sound  p95 {p95:>5.0}  peak {:>4.0} MB  load {:.0} ms",
            side.name, side.peak_rss_mb, side.load_ms
        ))?;
    }
    if let Some(share) = report.of_peer {
        say(format_args!(
            "{:.2} of the peer's time in the median (best rounds; {:.2} to {:.2})",
            share.p50, share.min, share.max
        ))?;
    }
    let FirstSound {
        sentences,
        first_ms: Some(first),
        whole_ms: Some(whole),
        share: Some(share),
    } = &report.first_sound
    else {
        return Ok(());
    };
    say(format_args!(
        "first sound of {sentences} sentences of 12 words with a comma after the fourth: {:.0} ms, the whole {:.0} ms: {:.0} % ({:.0} to {:.0} %)",
        first.p50,
        whole.p50,
        share.p50 * 100.0,
        share.min * 100.0,
        share.max * 100.0
    ))
}

fn print_read_back(report: &ReadBack) -> Result<(), Failure> {
    for miss in &report.misses {
        let e = &miss.errors;
        say(format_args!(
            "{} wrong, {} missing, {} too many\n  written {}\n  spoken  {}\n  heard   {}",
            e.substituted, e.deleted, e.inserted, miss.written, miss.spoken, miss.heard
        ))?;
    }
    let e = &report.errors;
    say(format_args!(
        "{} sentences, {} words: {:.2} % word errors ({} wrong, {} missing, {} too many)",
        report.sentences,
        e.words,
        report.rate * 100.0,
        e.substituted,
        e.deleted,
        e.inserted
    ))
}

#[derive(Deserialize)]
struct Said {
    ms: f64,
}

/// The time that kokoro-onnx takes for these phonemes.
fn said(peer: &mut Peer, phonemes: &str, voice: &str) -> Result<Said, Failure> {
    peer.ask(&serde_json::json!({ "phonemes": phonemes, "voice": voice, "speed": 1.0 }))
}

#[cfg(test)]
mod tests {
    use super::{super::normalize_words, *};

    #[test]
    fn the_sentences_are_what_their_names_say() {
        for sentence in COMMA_AFTER_FOUR {
            assert_eq!(sentence.split(' ').count(), 12, "{sentence}");
            let opening = sentence.split(',').next().unwrap_or_default();
            assert_eq!(opening.split(' ').count(), 4, "{sentence}");
        }
        for sentence in SENTENCES {
            assert!(
                (5..=34).contains(&normalize_words(sentence).len()),
                "{sentence}"
            );
        }
    }
}
