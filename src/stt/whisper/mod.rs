//! Whisper on ONNX Runtime, its graphs written by us from a CTranslate2 directory (`model.bin`,
//! `config.json`, `vocabulary.txt` or `.json`), so that every `Systran/faster-whisper-*` name works.
//!
//! | part | what it does |
//! |---|---|
//! | `ct2` | reads `model.bin` |
//! | `onnx`, `graph`, `quantize` | write the encoder and the decoder |
//! | `cache` | keeps them beside the model |
//! | `model` | runs them |
//! | `tokens`, `decode`, `speech` | vocabulary, decoding rules, was it speech at all: all pure |
//! | here | windows of up to 30 s, retries, the [`Stt`] port |
//!
//! Speed comes from cutting the encoder's context to the clip: a command of 3 s needs 384 of 1500
//! positions. Timestamps stay on, and a text that runs in circles is heard again with more context.

mod cache;
pub mod ct2;
mod decode;
mod graph;
mod model;
mod onnx;
mod quantize;
mod speech;
mod tokens;

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use tracing::debug;

pub use self::graph::{Precision, Sizes};
use self::{
    cache::CacheError,
    ct2::Weights,
    decode::{Stretch, circle, likeliest_language, pick, probability, segments},
    graph::GraphError,
    model::{Decoding, Model},
    speech::{Verdict, judge},
    tokens::Vocabulary,
};
use super::{Language, Segment, Stt, SttError, TranscribeRequest, Transcript};
use crate::{
    audio::{Hz16k, Pcm, Rate, mel::LogMel},
    engine::{Device, Engine, Runtime},
};

/// The longest clip that is transcribed at once.
const MAX_CLIP: Duration = Duration::from_secs(600);
/// The encoder's window.
const WINDOW_SECONDS: f64 = 30.0;
/// Encoder positions per second: two mel frames of 10 ms each.
const POSITIONS_PER_SECOND: f64 = 50.0;
/// Positions after the clip's end, and the least of all. A Whisper was trained on 1500 and gets worse
/// the further it is from that (base, half of the recordings of `caal bench stt`: 9.1 % word errors
/// with a margin of 64, 5.5 % with 192), and it says very short clips twice.
const MARGIN: usize = 192;
const LEAST_CONTEXT: usize = 384;
/// Where a text that ran in circles is heard again.
const RETRY_CONTEXT: usize = 768;
/// The smallest models loop below this much context (measured on tiny.en: 184 % word errors at 64
/// positions after the clip, 1.7 % at 768).
const TINY_WIDTH: usize = 384;
const TINY_CONTEXT: usize = 768;

/// A text of at most so many tokens before it ran in circles for good is no text.
const FEW_TOKENS: usize = 4;

/// How a [`Whisper`] is loaded.
#[derive(Clone, Debug)]
pub struct WhisperConfig {
    /// For people: `base`. `None` takes the folder's name.
    pub name: Option<String>,
    /// `None` chooses by device: int8 on CPUs, f32 elsewhere.
    pub precision: Option<Precision>,
    /// Folder for the written graphs; `None` is the model's own.
    pub cache: Option<PathBuf>,
    /// Requests that may wait; one more is refused as busy.
    pub queue: usize,
    /// How much the encoder hears.
    pub context: Context,
}

impl Default for WhisperConfig {
    fn default() -> Self {
        Self {
            name: None,
            precision: None,
            cache: None,
            queue: 4,
            context: Context::default(),
        }
    }
}

/// How much of a 30 s window the encoder computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// As much as the clip is long.
    Clip {
        /// Positions of 20 ms after the clip's end.
        margin: usize,
        /// At least this many positions.
        least: usize,
    },
    /// Always all of it, as other Whispers do; for comparisons.
    Full,
}

impl Default for Context {
    fn default() -> Self {
        Context::Clip {
            margin: MARGIN,
            least: LEAST_CONTEXT,
        }
    }
}

/// What one transcription is asked for besides the sound.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The language spoken.
    pub language: Language,
    /// Names and spellings to expect; empty for none.
    pub prompt: String,
}

/// Where the time of one transcription went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    /// Spectrogram.
    pub mel: Duration,
    /// Encoder.
    pub encode: Duration,
    /// Decoder, all steps.
    pub decode: Duration,
    /// Tokens sampled, retries included.
    pub steps: usize,
    /// Encoder runs: windows and retries.
    pub encodes: usize,
}

/// A Whisper on the caller's thread. See [`WhisperStt`] for the one behind the port.
pub struct Whisper {
    name: String,
    model: Model,
    sizes: Sizes,
    vocabulary: Vocabulary,
    mel: LogMel,
    context: Context,
}

impl Whisper {
    /// Loads the CTranslate2 model in `dir`. The first load writes the graphs (seconds), later ones
    /// check them.
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged or of another kind of model, or the disk is full.
    pub fn load(runtime: &Runtime, dir: &Path, config: &WhisperConfig) -> Result<Self, SttError> {
        let file = dir.join("model.bin");
        let bad = |path: &Path, reason: String| SttError::BadModel {
            path: path.display().to_string(),
            reason,
        };
        let open = File::open(&file).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => bad(dir, "it has no model.bin".to_owned()),
            _ => bad(&file, e.to_string()),
        })?;
        let damaged = |e: ct2::Damaged| bad(&file, format!("model.bin is damaged: {e}"));
        let mut weights = Weights::open(BufReader::new(open)).map_err(damaged)?;
        let sizes = Sizes::of(&mut weights).map_err(damaged)?;
        let vocabulary = Vocabulary::load(dir).map_err(|reason| bad(dir, reason))?;
        if vocabulary.len() != sizes.vocabulary {
            let (has, needs) = (vocabulary.len(), sizes.vocabulary);
            let reason = format!("its vocabulary has {has} tokens, model.bin {needs}");
            return Err(bad(dir, reason));
        }
        let precision = config.precision.unwrap_or(match runtime.device() {
            Device::Cpu => Precision::Int8,
            Device::Cuda => Precision::F32,
        });
        let folder = config.cache.as_deref().unwrap_or(dir);
        let graphs = cache::graphs(&mut weights, sizes, precision, &file, folder);
        let graphs = graphs.map_err(|e| match e {
            CacheError::Graph(GraphError::Weights(e)) => damaged(e),
            CacheError::Graph(GraphError::Write(e)) => SttError::Model(e.to_string()),
            CacheError::Write { folder, source } => SttError::Prepare {
                path: folder.display().to_string(),
                reason: source.to_string(),
            },
        })?;
        let name = config.name.clone().unwrap_or_else(|| folder_name(dir));
        let device = match runtime.device() {
            Device::Cpu => "CPU",
            Device::Cuda => "CUDA",
        };
        Ok(Self {
            name: format!("whisper {name} ({}, {device})", precision.name()),
            model: Model::load(runtime, &graphs, sizes)?,
            sizes,
            vocabulary,
            mel: LogMel::new(sizes.mels),
            context: config.context,
        })
    }

    /// Which model this is, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The model's sizes.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Transcribes `clip`. Asks `abandoned` between decoder steps; when it is true, returns what there
    /// is so far.
    ///
    /// # Errors
    ///
    /// A clip over 10 minutes, a language that the model does not know, or a failure of the model.
    pub fn transcribe(
        &mut self,
        clip: &Pcm<Hz16k>,
        options: &Options,
        abandoned: &dyn Fn() -> bool,
    ) -> Result<(Transcript, Timings), SttError> {
        if clip.duration() > MAX_CLIP {
            return Err(SttError::ClipTooLong {
                len: clip.duration(),
                max: MAX_CLIP,
            });
        }
        let mut job = Job {
            language: self.language(&options.language)?,
            prompt: self.prompt(&options.prompt),
            timings: Timings::default(),
            abandoned,
        };
        let mut heard: Vec<Stretch> = Vec::new();
        let mut logprob = (0.0, 0);
        let window = (WINDOW_SECONDS * f64::from(Hz16k::HZ)) as usize;
        let mut at = 0;
        while at < clip.len() && !abandoned() {
            // Silence before the first sound costs time, and Whisper's first timestamp is at most 1 s.
            at += speech::silence_before(&clip.samples()[at..]);
            let rest = &clip.samples()[at..];
            let samples = &rest[..rest.len().min(window)];
            let seconds = samples.len() as f64 / f64::from(Hz16k::HZ);
            let offset = at as f64 / f64::from(Hz16k::HZ);
            let mut next = seconds;
            if !speech::is_silent(samples) {
                let attempt = self.window(samples, &mut job)?;
                let evidence = attempt.evidence();
                let verdict = judge(&evidence);
                debug!(
                    no_speech = evidence.no_speech,
                    logprob = evidence.logprob,
                    seconds,
                    ?verdict,
                    "window"
                );
                if verdict == Verdict::Speech {
                    let more = rest.len() > window;
                    let (stretches, after) =
                        segments(&self.vocabulary, &attempt.tokens, seconds, more);
                    next = after;
                    heard.extend(stretches.into_iter().map(|s| Stretch {
                        start: s.start + offset,
                        end: s.end + offset,
                        tokens: s.tokens,
                    }));
                    logprob.0 += attempt.logprob_sum;
                    logprob.1 += attempt.tokens.len() + 1;
                }
            }
            // A tenth of a second at least: time must go on.
            at += ((next * f64::from(Hz16k::HZ)) as usize).max(Hz16k::HZ as usize / 10);
        }
        let transcript = self.transcript(clip, &job, heard, logprob);
        Ok((transcript, job.timings))
    }

    fn transcript(
        &self,
        clip: &Pcm<Hz16k>,
        job: &Job<'_>,
        heard: Vec<Stretch>,
        (logprob, tokens): (f32, usize),
    ) -> Transcript {
        let all: Vec<u32> = heard
            .iter()
            .flat_map(|s| s.tokens.iter().copied())
            .collect();
        let segments: Vec<Segment> = heard
            .into_iter()
            .map(|s| Segment {
                start: Duration::from_secs_f64(s.start),
                end: Duration::from_secs_f64(s.end),
                text: self.vocabulary.text(&s.tokens).trim().to_owned(),
            })
            .filter(|s| !s.text.is_empty())
            .collect();
        let text = if segments.is_empty() {
            String::new()
        } else {
            self.vocabulary.text(&all).trim().to_owned()
        };
        Transcript {
            confidence: (!text.is_empty() && tokens > 0).then(|| logprob / tokens as f32),
            text,
            language: job.language.code(&self.vocabulary).to_owned(),
            duration: clip.duration(),
            segments,
        }
    }

    fn language(&self, asked: &Language) -> Result<Spoken, SttError> {
        let known = &self.vocabulary.languages;
        match asked {
            Language::Auto if known.is_empty() => Ok(Spoken::Fixed),
            Language::Auto => Ok(Spoken::Unknown),
            Language::Code(code) => {
                let code = code.trim().to_lowercase();
                if let Some((_, token)) = known.iter().find(|(c, _)| *c == code) {
                    Ok(Spoken::Token(*token))
                } else if known.is_empty() && code == "en" {
                    Ok(Spoken::Fixed)
                } else {
                    Err(SttError::Language {
                        model: self.name.clone(),
                        hint: self.vocabulary.language_hint(&code),
                        language: code,
                    })
                }
            }
        }
    }

    /// The prompt's last tokens: half of the decoder's context is for them, as in OpenAI's.
    fn prompt(&self, text: &str) -> Vec<u32> {
        let text = text.trim();
        if text.is_empty() {
            return Vec::new();
        }
        let tokens = self.vocabulary.tokens(&format!(" {text}"));
        let room = self.sizes.text_context / 2 - 1;
        let mut prompt = vec![self.vocabulary.special.previous];
        prompt.extend(&tokens[tokens.len().saturating_sub(room)..]);
        prompt
    }

    /// The contexts in which to hear a window of `seconds`, least first.
    fn contexts(&self, seconds: f64) -> Vec<usize> {
        let whole = self.sizes.audio_context;
        let Context::Clip { margin, least } = self.context else {
            return vec![whole];
        };
        let clip = (seconds * POSITIONS_PER_SECOND).ceil() as usize + margin;
        let least = if self.sizes.width <= TINY_WIDTH {
            least.max(TINY_CONTEXT)
        } else {
            least
        };
        let first = clip.max(least).min(whole);
        let mut contexts = vec![first];
        contexts.extend(
            [RETRY_CONTEXT, whole]
                .into_iter()
                .filter(|&c| c > first && c <= whole),
        );
        contexts.dedup();
        contexts
    }

    /// Hears one window; again with more context if the text runs in circles.
    fn window(&mut self, samples: &[f32], job: &mut Job<'_>) -> Result<Attempt, SttError> {
        let seconds = samples.len() as f64 / f64::from(Hz16k::HZ);
        let contexts = self.contexts(seconds);
        let mut last = None;
        for context in contexts {
            let attempt = self.attempt(samples, context, job)?;
            let loops = circle(&attempt.words(&self.vocabulary)).is_some();
            let good = attempt.ended && !loops;
            last = Some(attempt);
            if good || (job.abandoned)() {
                break;
            }
        }
        let mut attempt = last.expect("there is at least one context");
        // Still in circles: say the stretch once. If the model ended by itself it was really said so.
        if !attempt.ended {
            attempt.cut_circle(&self.vocabulary);
        }
        Ok(attempt)
    }

    fn attempt(
        &mut self,
        samples: &[f32],
        context: usize,
        job: &mut Job<'_>,
    ) -> Result<Attempt, SttError> {
        let mark = Instant::now();
        let mel = self.mel.compute(samples, context * 2);
        job.timings.mel += mark.elapsed();
        let mark = Instant::now();
        let mut decoding = self.model.hear(mel)?;
        job.timings.encode += mark.elapsed();
        job.timings.encodes += 1;
        let mark = Instant::now();
        let attempt = self.decode(&mut decoding, samples, job);
        job.timings.decode += mark.elapsed();
        attempt
    }

    fn decode(
        &mut self,
        decoding: &mut Decoding,
        samples: &[f32],
        job: &mut Job<'_>,
    ) -> Result<Attempt, SttError> {
        let special = self.vocabulary.special;
        if job.language == Spoken::Unknown {
            let logits = self.model.say(decoding, &[special.start], &[0])?;
            decoding.rewind(&self.model)?;
            job.language = likeliest_language(&self.vocabulary, &logits)
                .map_or(Spoken::Fixed, |(_, token)| Spoken::Token(token));
        }
        let mut prompt = job.prompt.clone();
        let start = prompt.len();
        prompt.push(special.start);
        if let Spoken::Token(token) = job.language {
            prompt.extend([token, special.transcribe]);
        }
        let mut logits = self
            .model
            .say(decoding, &prompt, &[start, prompt.len() - 1])?;
        let mut first = logits.split_off(self.sizes.vocabulary);
        let no_speech = probability(&logits, special.no_speech);
        let seconds = samples.len() as f64 / f64::from(Hz16k::HZ);
        // The model likes to end on a whole second after the clip; forbidding that changed its words.
        let last_timestamp = ((seconds + 1.0) * POSITIONS_PER_SECOND).ceil() as u32;
        let room = self.sizes.text_context / 2;
        let ceiling = (10.0 + 8.0 * seconds) as usize;
        let ceiling = ceiling
            .min(room)
            .min(self.sizes.text_context - prompt.len());
        let mut attempt = Attempt {
            tokens: Vec::new(),
            logprob_sum: 0.0,
            no_speech,
            ended: false,
            circle_only: false,
        };
        while attempt.tokens.len() < ceiling && !(job.abandoned)() {
            let next = pick(
                &self.vocabulary,
                &mut first,
                &attempt.tokens,
                last_timestamp,
            );
            attempt.logprob_sum += next.logprob;
            job.timings.steps += 1;
            if next.token == special.end {
                attempt.ended = true;
                break;
            }
            attempt.tokens.push(next.token);
            first = self.model.say(decoding, &[next.token], &[0])?;
        }
        Ok(attempt)
    }
}

/// What one transcription carries from window to window.
struct Job<'a> {
    language: Spoken,
    /// `<|startofprev|>` and the prompt, or nothing.
    prompt: Vec<u32>,
    timings: Timings,
    abandoned: &'a dyn Fn() -> bool,
}

/// The language of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoken {
    /// The model knows only English and has no token for it.
    Fixed,
    /// To be heard from the first window with speech in it.
    Unknown,
    Token(u32),
}

impl Spoken {
    fn code(self, vocabulary: &Vocabulary) -> &str {
        match self {
            Spoken::Fixed => "en",
            // Nothing was said in it.
            Spoken::Unknown => "",
            Spoken::Token(token) => vocabulary
                .languages
                .iter()
                .find(|(_, t)| *t == token)
                .map_or("", |(code, _)| code),
        }
    }
}

/// What the decoder said to one window.
struct Attempt {
    tokens: Vec<u32>,
    logprob_sum: f32,
    no_speech: f32,
    /// Whether the model ended by itself, below the ceiling.
    ended: bool,
    /// Whether it said hardly anything but one circle.
    circle_only: bool,
}

impl Attempt {
    fn words(&self, vocabulary: &Vocabulary) -> Vec<u32> {
        let words = self.tokens.iter().copied();
        words.filter(|&t| !vocabulary.is_timestamp(t)).collect()
    }

    fn cut_circle(&mut self, vocabulary: &Vocabulary) {
        let Some(range) = circle(&self.words(vocabulary)) else {
            return;
        };
        self.circle_only = range.start <= FEW_TOKENS;
        let mut words = 0;
        self.tokens.retain(|&t| {
            words += usize::from(!vocabulary.is_timestamp(t));
            words <= range.start
        });
    }

    fn evidence(&self) -> speech::Evidence {
        speech::Evidence {
            no_speech: self.no_speech,
            logprob: self.logprob_sum / (self.tokens.len() + 1) as f32,
            circle_only: self.circle_only,
        }
    }
}

/// `whisper-base` and `faster-whisper-base` are `base`.
fn folder_name(dir: &Path) -> String {
    let name = dir.file_name().map(|n| n.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let short = name.strip_prefix("faster-").unwrap_or(&name);
    short.strip_prefix("whisper-").unwrap_or(short).to_owned()
}

/// Whisper behind the [`Stt`] port: one thread, a short queue.
pub struct WhisperStt {
    name: String,
    engine: Engine<TranscribeRequest, Result<Transcript, SttError>>,
}

impl WhisperStt {
    /// Loads the CTranslate2 model in `dir` on its own thread. Blocks until it is ready: for start-up.
    ///
    /// # Errors
    ///
    /// As [`Whisper::load`].
    pub fn load(runtime: Runtime, dir: &Path, config: WhisperConfig) -> Result<Self, SttError> {
        let (dir, queue) = (dir.to_owned(), config.queue);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let engine = Engine::start(
            "whisper",
            queue,
            move || {
                let whisper = Whisper::load(&runtime, &dir, &config)?;
                let _ = tell.send(whisper.name.clone());
                Ok::<_, SttError>(whisper)
            },
            |whisper, job: crate::engine::Job<TranscribeRequest, _>| {
                let options = Options {
                    language: job.request.language.clone(),
                    prompt: job.request.prompt.clone(),
                };
                let clip = job.request.clip.clone();
                let result = whisper.transcribe(&clip, &options, &|| job.abandoned());
                job.answer(result.map(|(transcript, _)| transcript));
            },
        )?;
        Ok(Self {
            name: told.recv().unwrap_or_default(),
            engine,
        })
    }
}

impl Stt for WhisperStt {
    fn transcribe(
        &self,
        request: TranscribeRequest,
    ) -> BoxFuture<'static, Result<Transcript, SttError>> {
        let engine = self.engine.clone();
        Box::pin(async move { engine.call(request).await? })
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
