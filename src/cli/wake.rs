//! `caal wake`: listens to a recording as the assistant would to a microphone, and says where it heard
//! a wake word.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use super::{
    ExitCode, Failure,
    out::{remark, say, say_all},
    plot::{Curve, Mark, Plot},
};
use crate::{
    audio::{Hz16k, Pcm, SamplePos, resample, wav},
    engine::{Runtime, RuntimeError},
    wake::{
        GateConfig, OpenWakeWord, WakeError, WakeEvent, WakeGate, WakeModel, WakeWord, choose, find,
    },
};

/// Silence before and after the recording: a recording cut at the word must be heard like one word of
/// a longer stream, and the models decide up to half a second after the word.
const MARGIN: Duration = Duration::from_millis(960);

/// Arguments of `caal wake`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// WAV file of any rate, channels and sample type.
    #[arg(value_name = "FILE.wav")]
    file: PathBuf,
    /// Wake word to listen for: a name, or the path of an openWakeWord classifier (.onnx). May be
    /// given several times. If none is given: all wake words that are there (not timer and weather,
    /// which are commands).
    #[arg(long = "model", value_name = "NAME")]
    words: Vec<String>,
    /// Score from which a word counts, 0 to 1.
    #[arg(long, value_name = "SCORE", default_value = "0.5", value_parser = score)]
    threshold: f32,
    /// Print JSON: {"detections": [{"model", "at" (seconds), "score"}]}.
    #[arg(long)]
    json: bool,
    /// Draw the scores over the waveform into this SVG file.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

fn score(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(score) if (0.0..=1.0).contains(&score) => Ok(score),
        _ => Err("a score is a number from 0 to 1".to_owned()),
    }
}

/// Listens to the file with the classifiers of the model store `store`.
///
/// # Errors
///
/// When the file is no WAV, a word is unknown, a model is missing, or the plot cannot be written.
pub fn run(args: &Args, store: &Path, runtime: &Runtime) -> Result<ExitCode, Failure> {
    let clip = resample::<Hz16k>(&wav::read(&args.file)?);
    let mut model = load(args, store, runtime)?;
    let heard = listen(&mut model, &clip, args.threshold)?;
    if let Some(path) = &args.plot {
        let svg = draw(args, &clip, &heard, model.words());
        fs::write(path, svg).map_err(|e| {
            let path = path.display();
            Failure::request(format!(
                "{path} cannot be written ({e}); choose another with --plot"
            ))
        })?;
    }
    if args.json {
        say(as_json(&heard, model.words()))?;
    } else {
        say_all(as_text(&heard, model.words()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a recording holds.
struct Heard {
    /// Scores after each step, and the time of the step's end in the recording in seconds.
    scores: Vec<(f64, Vec<f32>)>,
    events: Vec<(f64, WakeEvent)>,
}

fn load(args: &Args, store: &Path, runtime: &Runtime) -> Result<OpenWakeWord, Failure> {
    let known = find(&[store.to_owned()]);
    let folder = store.join("openwakeword");
    if !args.words.is_empty() {
        let words = choose(&known, &args.words)?;
        return Ok(OpenWakeWord::load(runtime, &folder, &words)?);
    }
    let mut words = known;
    words.retain(WakeWord::calls);
    loop {
        if words.is_empty() {
            let store = store.display();
            return Err(Failure::request(format!(
                "there are no wake words in {store}; fetch them with: caal models pull openwakeword"
            )));
        }
        // A file that somebody dropped there and that is no classifier must not keep the others
        // from being used; asked for by name it is an error.
        match OpenWakeWord::load(runtime, &folder, &words) {
            Ok(model) => return Ok(model),
            Err(error) => match culprit(&error, &words) {
                Some(i) => {
                    remark(format_args!("caal: left out: {error}"));
                    words.remove(i);
                }
                None => return Err(error.into()),
            },
        }
    }
}

/// Which of the words' files an error is about.
fn culprit(error: &WakeError, words: &[WakeWord]) -> Option<usize> {
    let path = match error {
        WakeError::BadModel { path, .. } => Path::new(path),
        WakeError::Load(RuntimeError::ModelUnusable { path, .. }) => path,
        _ => return None,
    };
    words.iter().position(|word| word.path == path)
}

fn listen(
    model: &mut dyn WakeModel,
    clip: &Pcm<Hz16k>,
    threshold: f32,
) -> Result<Heard, WakeError> {
    if clip.is_empty() {
        return Ok(Heard {
            scores: Vec::new(),
            events: Vec::new(),
        });
    }
    let step = model.step();
    let margin = (SamplePos::<Hz16k>::at(MARGIN).index() / step) * step;
    let mut sound = vec![0.0; margin];
    sound.extend(clip.samples());
    sound.resize((sound.len() + margin).next_multiple_of(step), 0.0);
    let config = GateConfig {
        threshold,
        ..GateConfig::default()
    };
    let mut gate = WakeGate::new(model.words().len(), config);
    let mut heard = Heard {
        scores: Vec::new(),
        events: Vec::new(),
    };
    for (i, samples) in sound.chunks_exact(step).enumerate() {
        let scores = model.score(samples)?;
        let end = SamplePos::new(((i + 1) * step) as u64);
        // Times are those of the recording, without the silence around it.
        let seconds = (end.duration().as_secs_f64() - margin as f64 / f64::from(16_000))
            .clamp(0.0, clip.duration().as_secs_f64());
        if let Some(event) = gate.push(end, scores) {
            heard.events.push((seconds, event));
        }
        heard.scores.push((seconds, scores.to_vec()));
    }
    Ok(heard)
}

fn as_json(heard: &Heard, words: &[String]) -> serde_json::Value {
    let detections: Vec<_> = heard
        .events
        .iter()
        .map(|(seconds, event)| {
            json!({
                "model": words[event.word],
                "at": rounded(*seconds, 1e3),
                "score": rounded(f64::from(event.score), 1e6),
            })
        })
        .collect();
    json!({ "detections": detections })
}

fn rounded(value: f64, per_one: f64) -> f64 {
    (value * per_one).round() / per_one
}

fn as_text(heard: &Heard, words: &[String]) -> String {
    let lines = |(seconds, event): &(f64, WakeEvent)| {
        let word = &words[event.word];
        format!("{seconds:8.2} s  {word}  (score {:.2})\n", event.score)
    };
    if !heard.events.is_empty() {
        return heard.events.iter().map(lines).collect();
    }
    let best = heard
        .scores
        .iter()
        .flat_map(|(seconds, scores)| {
            let named = scores.iter().zip(words);
            named.map(move |(score, word)| (*score, *seconds, word))
        })
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((score, seconds, word)) => format!(
            "no wake word (listened for {}; best score {score:.2} of {word} at {seconds:.2} s)\n",
            words.join(", ")
        ),
        None => "no wake word: the file holds no sound\n".to_owned(),
    }
}

fn draw(args: &Args, clip: &Pcm<Hz16k>, heard: &Heard, words: &[String]) -> String {
    let curves = words.iter().enumerate().map(|(i, word)| Curve {
        name: word,
        points: heard
            .scores
            .iter()
            .map(|(seconds, scores)| (*seconds, f64::from(scores[i])))
            .collect(),
    });
    let marks = heard.events.iter().map(|(seconds, event)| Mark {
        seconds: *seconds,
        value: f64::from(event.score),
        label: format!("{} at {seconds:.2} s", words[event.word]),
        curve: event.word,
    });
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    Plot {
        title: &format!("Wake words in {name}"),
        value_name: "score",
        curves: curves.collect(),
        marks: marks.collect(),
        limit: (rounded(f64::from(args.threshold), 1e3), "threshold"),
        samples: clip.samples(),
        sample_rate_hz: 16_000,
    }
    .svg()
}
