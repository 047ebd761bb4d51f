//! Whisper: its rules, and its networks on ONNX Runtime, the graphs written by us from a CTranslate2
//! directory (`model.bin`, `config.json`, `vocabulary.txt` or `.json`), so that every
//! `Systran/faster-whisper-*` name works. The rules also serve `whisper_cpp`.
//!
//! | part | what it does |
//! |---|---|
//! | `ct2` | reads `model.bin` |
//! | `onnx`, `graph`, `quantize` | write the encoder and the decoder |
//! | `cache` | keeps them beside the model |
//! | `model` | runs them: one kind of `hearing::Acoustics` |
//! | `tokens`, `decode`, `speech` | vocabulary, decoding rules, was it speech at all: all pure |
//! | `hearing` | windows of up to 30 s, retries, languages, over any `Acoustics` |
//! | here | loading, the [`Stt`] port |
//!
//! Speed comes from cutting the encoder's context to the clip: a command of 3 s needs 384 of 1500
//! positions. Timestamps stay on, and a text that runs in circles is heard again with more context.

mod cache;
pub mod ct2;
mod decode;
mod graph;
pub(super) mod hearing;
mod model;
mod onnx;
mod quantize;
mod speech;
pub(super) mod tokens;

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::BoxFuture;

use self::{cache::CacheError, ct2::Weights, graph::GraphError, model::Model, tokens::Vocabulary};
pub use self::{
    cache::rehearse,
    graph::{Precision, Sizes},
    hearing::Whisper,
};
use super::{Language, Stt, SttError, TranscribeRequest, Transcript};
use crate::engine::{Device, Engine, Runtime};

/// Positions after the clip's end, and the least of all. A Whisper was trained on 1500 and gets worse
/// the further it is from that (base, half of the recordings of `caal bench stt`: 9.1 % word errors
/// with a margin of 64, 5.5 % with 192), and it says very short clips twice.
const MARGIN: usize = 192;
const LEAST_CONTEXT: usize = 384;

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
        Ok(Self::new(
            format!("whisper {name} ({}, {device})", precision.name()),
            Box::new(Model::load(runtime, &graphs, sizes)?),
            sizes,
            vocabulary,
            config.context,
        ))
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
        Self::start(queue, move || Whisper::load(&runtime, &dir, &config))
    }

    /// Starts the thread, where `load` makes the Whisper.
    pub(super) fn start(
        queue: usize,
        load: impl FnOnce() -> Result<Whisper, SttError> + Send + 'static,
    ) -> Result<Self, SttError> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let engine = Engine::start(
            "whisper",
            queue,
            move || {
                let whisper = load()?;
                let _ = tell.send(whisper.name().to_owned());
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
