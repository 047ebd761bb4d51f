//! `caal say`: text to a WAV file, with the product's whole way from text to sound.

use std::{
    io::{IsTerminal, Read, Write as _},
    path::PathBuf,
};

use futures_util::StreamExt;

use super::{
    ExitCode, Failure,
    out::{remark, writable},
};
use crate::{
    app,
    audio::{Hz24k, Pcm, wav},
    settings::Settings,
    tts::{Clauses, SpeakRequest},
};

/// Arguments of `caal say`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to say; `-` reads it from standard input.
    text: String,
    /// WAV file to write (24 kHz, 16 bit, mono).
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Voice or blend: af_heart, af_bella(2)+af_sky(1) (setting tts_voice_kokoro); "list" names them
    /// all.
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// Speed, 0.5 to 2.0 (setting speech_speed).
    #[arg(long, value_name = "FACTOR", value_parser = speed)]
    speed: Option<f32>,
}

fn speed(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(speed) if (0.5..=2.0).contains(&speed) => Ok(speed),
        _ => Err("a speed is a number from 0.5 to 2.0; 1 is the voice's own".to_owned()),
    }
}

/// More text than this is a mistake or a book: an hour of speech.
const MAX_CHARACTERS: usize = 50_000;

pub(super) async fn run(args: Args, settings: Settings) -> Result<ExitCode, Failure> {
    let mut text = args.text;
    if text == "-" {
        text.clear();
        std::io::stdin()
            .take(4 * MAX_CHARACTERS as u64 + 1)
            .read_to_string(&mut text)
            .map_err(|_| Failure::request("standard input is not UTF-8 text"))?;
    }
    if text.trim().is_empty() {
        return Err(Failure::request(
            "there is nothing to say; give a text: caal say \"Hello\" -o hello.wav",
        ));
    }
    if text.chars().count() > MAX_CHARACTERS {
        return Err(Failure::request(format!(
            "the text is longer than {MAX_CHARACTERS} characters; cut it into parts"
        )));
    }
    writable(&args.out, "--out")?;
    let dictionary = app::dictionary(&settings)?;
    let runtime = app::runtime(&settings)?;
    let tts = app::tts(&settings, &runtime)?;
    let voice = args.voice.unwrap_or_else(|| settings.voice.clone());
    let speed = args.speed.unwrap_or(settings.speed);

    let mut clauses = Clauses::new(dictionary);
    let mut pending = clauses.push(&text);
    pending.extend(clauses.finish());
    let total = pending.len();
    let progress = std::io::stderr().is_terminal() && total > 3;
    let mut sound = Pcm::<Hz24k>::default();
    for (done, clause) in pending.into_iter().enumerate() {
        let request = SpeakRequest {
            text: clause.spoken,
            voice: voice.clone(),
            speed,
            pause: clause.pause,
        };
        let mut pieces = tts.speak(request);
        while let Some(piece) = pieces.next().await {
            sound.append(&piece?);
        }
        if progress {
            let line = format!("\rcaal: {} of {total} clauses", done + 1);
            let _ = std::io::stderr().write_all(line.as_bytes()); // as with a remark
        }
    }
    if progress {
        remark("");
    }
    if sound.is_empty() {
        return Err(Failure::request(
            "there is no word to say in this text; give one with words or numbers",
        ));
    }
    wav::write(&args.out, &sound)?;
    remark(format_args!(
        "caal: {:.1} s of speech in {}",
        sound.duration().as_secs_f64(),
        args.out.display()
    ));
    Ok(ExitCode::SUCCESS)
}
