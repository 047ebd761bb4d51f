//! `caal bench turn`: how long after a user's last speech the answer is heard. Recorded
//! questions and commands are played in real time to the whole assistant, one conversation each.
//!
//! The last speech is found in the recording by its energy, not by the assistant's own detector; the
//! answer begins at its first sample above -60 dB. Stages are the session's own marks.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use super::{
    Summary,
    recordings::{OURS, manifest},
};
use crate::{
    audio::{self, Hz16k, Hz24k, Pcm, SamplePos, wav},
    cli::{ExitCode, Failure, out::say},
    local::file::{self, Answer, Options, Speed},
    session::{Effect, Setting, TurnTimings, Watch},
};

/// The questions and commands of docs/benchmarks.md, by path below the folder of recordings. They are
/// not part of the repository; of a folder without them, the whole category command is played.
pub(super) const RECORDINGS: [&str; 20] = [
    "command/ohf__what_time_is_it.wav",
    "command/ohf__what_s_the_date.wav",
    "command/ohf__what_s_the_weather.wav",
    "command/ohf__what_s_the_weather_like_in_New_York.wav",
    "command/ohf__what_s_the_temperature.wav",
    "command/ohf__what_is_the_Outdoor_Humidity.wav",
    "command/ohf__is_the_Front_Door_locked.wav",
    "command/ohf__is_the_Garage_Door_open.wav",
    "command/ohf__timer_status.wav",
    "command/ohf__set_a_timer_for_5_minutes.wav",
    "command/ohf__turn_off_lights_in_the_Office.wav",
    "command/ohf__cancel_all_timers.wav",
    "command/azure__whatstheweatherlike.wav",
    "command/azure__TurnOnTheLamp.wav",
    "command/rhasspy__turn_on_the_living_room_lamp.wav",
    "command/google__book_a_room.wav",
    "command/google__230pm.wav",
    "command/s2i__0075d273-51bb-47cb-b323-4437bd0de029.wav",
    "command/s2i__6d362a1d-64fe-4cb7-b12e-289dabf84713.wav",
    "command/s2i__d05dadab-a1a5-4a9f-bcf3-fc5392e7652a.wav",
];

/// Arguments of `caal bench turn`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of recordings with manifest.tsv: columns path, transcript, category, parted by tabs.
    /// Those of the category command are played.
    #[arg(long, value_name = "DIR", default_value = OURS)]
    speech: PathBuf,
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// One recording's result, in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    recording: String,
    /// Last speech → first audible sample; `None` where nothing was answered.
    pub(super) total_ms: Option<f64>,
    timings: Option<TurnTimings>,
}

/// Runs it; `setting` makes a new conversation over the engines that are loaded.
///
/// # Errors
///
/// A recording that is missing, or what [`Failure`] says.
pub async fn run(
    args: &Args,
    mut setting: impl FnMut() -> Result<Setting, Failure>,
) -> Result<ExitCode, Failure> {
    let clips = recordings(&args.speech)?
        .into_iter()
        .map(|name| Ok((read(&args.speech, &name)?, name)))
        .collect::<Result<Vec<_>, Failure>>()?;
    // The first conversation pays for caches that fill once.
    let (clip, name) = &clips[0];
    one(name, clip, setting()?).await?;
    let mut rows = Vec::new();
    for (clip, name) in &clips {
        let row = one(name, clip, setting()?).await?;
        if !args.json {
            say(line(&row))?;
        }
        rows.push(row);
    }
    report(args.json, &rows)?;
    Ok(ExitCode::SUCCESS)
}

/// What is played; never nothing.
pub(super) fn recordings(folder: &Path) -> Result<Vec<String>, Failure> {
    if RECORDINGS.iter().all(|name| folder.join(name).is_file()) {
        return Ok(RECORDINGS.map(str::to_owned).to_vec());
    }
    let mut entries = manifest(folder, "transcript")?;
    entries.retain(|e| e.category == "command");
    if entries.is_empty() {
        return Err(Failure::request(format!(
            "{} lists no recording of the category command; give another folder with --speech",
            folder.display()
        )));
    }
    Ok(entries.into_iter().map(|e| e.path).collect())
}

pub(super) fn read(folder: &Path, name: &str) -> Result<Pcm<Hz16k>, Failure> {
    Ok(audio::resample(&wav::read(&folder.join(name))?))
}

/// Remembers the first answer's timings.
#[derive(Default)]
struct First(Option<TurnTimings>);

impl Watch for First {
    fn effect(&mut self, effect: &Effect) {
        if let Effect::Timings(timings) = effect {
            self.0.get_or_insert_with(|| timings.clone());
        }
    }
}

pub(super) async fn one(
    recording: &str,
    clip: &Pcm<Hz16k>,
    setting: Setting,
) -> Result<Row, Failure> {
    let mut first = First::default();
    let options = Options {
        speed: Speed::RealTime,
        echo: 0.0,
    };
    let answer = file::talk(clip, setting, options, &mut first)
        .await
        .map_err(|_| Failure::internal("the conversation ended unexpectedly; see the log"))?;
    let total = audible(&answer)
        .map(|at| (at.as_secs_f64() - last_speech(clip).duration().as_secs_f64()) * 1_000.0);
    Ok(Row {
        recording: recording.to_owned(),
        total_ms: total,
        timings: first.0,
    })
}

/// When the answer was first audible, in real time.
fn audible(answer: &Answer) -> Option<Duration> {
    let begin = answer.begins.first()?;
    let sound = &answer.sound.samples()[begin.at.index()..];
    let quiet = sound.iter().position(|s| s.abs() > 0.001)?;
    Some(begin.real + SamplePos::<Hz24k>::new(quiet as u64).duration())
}

/// End of the last speech.
fn last_speech(clip: &Pcm<Hz16k>) -> SamplePos<Hz16k> {
    SamplePos::new(speech(clip).end as u64)
}

/// The samples from the first to the last 20 ms that stand out: 10 dB above the quiet parts and within
/// 35 dB of the loudest.
pub(super) fn speech(clip: &Pcm<Hz16k>) -> Range<usize> {
    const PIECE: usize = 320;
    let levels: Vec<f32> = clip
        .samples()
        .chunks(PIECE)
        .map(|piece| 20.0 * audio::rms(piece).max(1e-6).log10())
        .collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f32::total_cmp);
    let (Some(loudest), Some(quiet)) = (sorted.last(), sorted.get(sorted.len() / 10)) else {
        return 0..0;
    };
    let threshold = (loudest - 35.0).max(quiet + 10.0).min(*loudest);
    let loud = |level: &f32| *level >= threshold;
    let first = levels.iter().position(loud).unwrap_or_default();
    let last = levels.iter().rposition(loud).unwrap_or_default();
    first * PIECE..((last + 1) * PIECE).min(clip.len())
}

fn line(row: &Row) -> String {
    let Some(total) = row.total_ms else {
        return format!("{:<58} no answer", row.recording);
    };
    let stages: Vec<_> = row
        .timings
        .iter()
        .flat_map(TurnTimings::stages)
        .map(|(name, ms)| format!("{name} {ms}"))
        .collect();
    format!(
        "{:<58} {total:>6.0} ms  {}",
        row.recording,
        stages.join("  ")
    )
}

#[derive(Serialize)]
struct Report<'a> {
    total_ms: Option<Summary>,
    /// Without the wait for the end of the turn.
    work_ms: Option<Summary>,
    stages_ms: Vec<(&'static str, Option<Summary>)>,
    unanswered: usize,
    rows: &'a [Row],
}

fn report(json: bool, rows: &[Row]) -> Result<(), Failure> {
    let totals: Vec<f64> = rows.iter().filter_map(|r| r.total_ms).collect();
    let stage = |name: &str| -> Vec<f64> {
        rows.iter()
            .flat_map(|r| &r.timings)
            .flat_map(TurnTimings::stages)
            .filter(|(n, _)| *n == name)
            .map(|(_, ms)| f64::from(ms))
            .collect()
    };
    let work: Vec<f64> = rows
        .iter()
        .filter_map(|r| Some(r.total_ms? - f64::from(r.timings.as_ref()?.endpoint_ms?)))
        .collect();
    let names = ["endpoint", "stt", "llm", "clause", "tts", "playout"];
    let report = Report {
        total_ms: Summary::of(&totals),
        work_ms: Summary::of(&work),
        stages_ms: names
            .iter()
            .map(|name| (*name, Summary::of(&stage(name))))
            .collect(),
        unanswered: rows.iter().filter(|r| r.total_ms.is_none()).count(),
        rows,
    };
    if json {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::internal(error.to_string()))?;
        say(text)?;
        return Ok(());
    }
    say(format_args!(
        "\n{:<28} {:>8} {:>8}",
        "milliseconds", "p50", "p95"
    ))?;
    let row = |name: &str, summary: &Option<Summary>| match summary {
        Some(s) => say(format_args!("{name:<28} {:>8.0} {:>8.0}", s.p50, s.p95)),
        None => Ok(()),
    };
    row("last speech to first sound", &report.total_ms)?;
    row("  without the endpoint wait", &report.work_ms)?;
    for (name, summary) in &report.stages_ms {
        row(&format!("  {name}"), summary)?;
    }
    say(format_args!(
        "{} of {} answered",
        rows.len() - report.unanswered,
        rows.len()
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_speech_is_found_before_the_room_noise_after_it() {
        let mut samples = vec![0.001; 16_000 * 3];
        samples[16_000..32_000].fill(0.3);
        let clip = Pcm::new(samples);
        assert_eq!(last_speech(&clip).samples(), 32_000);
        assert_eq!(speech(&clip), 16_000..32_000);
        assert_eq!(last_speech(&Pcm::default()).samples(), 0);
    }
}
