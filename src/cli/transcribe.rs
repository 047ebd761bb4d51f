//! `caal transcribe`: a recording to text, JSON or subtitles.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use serde_json::json;

use super::{
    ExitCode, Failure,
    out::{remark, say, say_all},
};
use crate::{
    app,
    audio::{resample, wav},
    settings::Settings,
    stt::{Language, TranscribeRequest, Transcript},
};

/// Arguments of `caal transcribe`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Recording: WAV of any rate, channels and sample type, up to 10 minutes.
    file: PathBuf,
    /// Print JSON: text, language, seconds, segments.
    #[arg(long, conflicts_with = "srt")]
    json: bool,
    /// Print SubRip subtitles.
    #[arg(long)]
    srt: bool,
    /// Language spoken: a Whisper code (en, de, …) or auto (setting language).
    #[arg(long, value_name = "CODE")]
    language: Option<String>,
    /// Names and spellings to expect (setting stt_prompt).
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Model: a name from `caal models list`, a hub name, a folder, or a ggml file where built with
    /// whisper.cpp (setting whisper_model).
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

pub(super) async fn run(args: Args, mut settings: Settings) -> Result<ExitCode, Failure> {
    let sound = wav::read(&args.file)?;
    if let Some(model) = args.model {
        settings.whisper_model = model;
    }
    let language = args
        .language
        .map_or(settings.language.clone(), |l| l.to_lowercase());
    let request = TranscribeRequest {
        clip: std::sync::Arc::new(resample(&sound)),
        language: match language.as_str() {
            "auto" => Language::Auto,
            _ => Language::Code(language),
        },
        prompt: args.prompt.unwrap_or_else(|| settings.stt_prompt.clone()),
    };
    let stt = app::stt(&settings, || app::runtime(&settings))?;
    let transcript = stt.transcribe(request).await?;
    if args.json {
        say(format_args!("{:#}", as_json(&transcript)))?;
    } else if transcript.text.is_empty() {
        remark(format_args!("caal: no words in {}", args.file.display()));
    } else if args.srt {
        say_all(as_srt(&transcript))?;
    } else {
        say(transcript.text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(transcript: &Transcript) -> serde_json::Value {
    let segments: Vec<_> = transcript
        .segments
        .iter()
        .map(|s| json!({ "start": seconds(s.start), "end": seconds(s.end), "text": s.text }))
        .collect();
    json!({
        "text": transcript.text,
        "language": transcript.language,
        "seconds": seconds(transcript.duration),
        "segments": segments,
    })
}

/// To the millisecond: more digits are noise.
fn seconds(d: Duration) -> f64 {
    (d.as_secs_f64() * 1000.0).round() / 1000.0
}

fn as_srt(transcript: &Transcript) -> String {
    let stamp = |d: Duration| {
        let ms = d.as_millis();
        let (s, m, h) = (ms / 1000 % 60, ms / 60_000 % 60, ms / 3_600_000);
        format!("{h:02}:{m:02}:{s:02},{:03}", ms % 1000)
    };
    let mut out = String::new();
    for (number, s) in transcript.segments.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{}\n{} --> {}\n{}\n",
            number + 1,
            stamp(s.start),
            stamp(s.end),
            s.text
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stt::Segment;

    fn transcript() -> Transcript {
        Transcript {
            text: "Hello there.".into(),
            language: "en".into(),
            duration: Duration::from_millis(3_661_500),
            segments: vec![Segment {
                start: Duration::from_millis(3_600_020),
                end: Duration::from_millis(3_661_500),
                text: "Hello there.".into(),
            }],
            confidence: None,
        }
    }

    #[test]
    fn subtitles_have_numbers_times_and_blank_lines() {
        let expected = "1\n01:00:00,020 --> 01:01:01,500\nHello there.\n\n";
        assert_eq!(as_srt(&transcript()), expected);
        assert_eq!(as_srt(&Transcript::default()), "");
    }

    #[test]
    fn json_has_the_promised_fields() {
        let json = as_json(&transcript());
        assert_eq!(json["text"], "Hello there.");
        assert_eq!(json["seconds"], 3661.5);
        assert_eq!(json["segments"][0]["start"], 3600.02);
    }
}
