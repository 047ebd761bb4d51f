//! Whisper from a ggml file (`ggml-base.bin`, quantised ones too), its networks run by whisper.cpp on
//! the CPU. Feature `whisper-cpp`: it needs cmake and a C++ compiler to build.
//!
//! | part | what it does |
//! |---|---|
//! | `file` | checks every byte of structure before whisper.cpp, which aborts on garbage, sees the file |
//! | `vocabulary` | what a ggml file does not say of its tokens |
//! | `acoustics` | whisper.cpp as [`Acoustics`](super::whisper) |
//! | here | loading, the [`Stt`] port |
//!
//! Everything else (windows, decoding rules, silence, language, prompt) is [`super::whisper`]'s, not
//! whisper.cpp's, so that both engines hear alike. whisper.cpp's own `whisper_full` was read and not
//! taken for that: 1.8.3 computes "no speech" from the logits of the prompt's first token, which it did
//! not compute, unless the prompt is one token long; it asks its abort callback no more often than we
//! ask (after the encoder, after each token); and its tokeniser is no byte pair encoding.

mod acoustics;
mod file;
mod vocabulary;

use std::{
    fs::File,
    io::{self, BufReader},
    path::Path,
};

use futures_util::future::BoxFuture;
use tracing::debug;

use self::acoustics::WhisperRs;
use super::{
    Stt, SttError, TranscribeRequest, Transcript, WhisperStt,
    whisper::{Context, Whisper},
};

/// How a [`WhisperCpp`] is loaded.
#[derive(Clone, Debug)]
pub struct WhisperCppConfig {
    /// Threads that it may use.
    pub threads: usize,
    /// Requests that may wait; one more is refused as busy.
    pub queue: usize,
    /// How much the encoder hears.
    pub context: Context,
}

impl WhisperCppConfig {
    /// The defaults with `threads`.
    pub fn new(threads: usize) -> Self {
        Self {
            threads: threads.max(1),
            queue: 4,
            context: Context::default(),
        }
    }
}

/// whisper.cpp behind the [`Stt`] port: one thread that asks, [`WhisperCppConfig::threads`] that
/// compute, a short queue.
pub struct WhisperCpp {
    stt: WhisperStt,
}

impl WhisperCpp {
    /// Loads the ggml file on a thread of its own. Blocks until it is ready: for start-up.
    ///
    /// # Errors
    ///
    /// As [`open`].
    pub fn load(file: &Path, config: WhisperCppConfig) -> Result<Self, SttError> {
        let file = file.to_owned();
        let stt = WhisperStt::start(config.queue, move || open(&file, &config))?;
        Ok(Self { stt })
    }
}

impl Stt for WhisperCpp {
    fn transcribe(
        &self,
        request: TranscribeRequest,
    ) -> BoxFuture<'static, Result<Transcript, SttError>> {
        self.stt.transcribe(request)
    }

    fn name(&self) -> String {
        self.stt.name()
    }
}

/// Loads the ggml file at `path`, for use on the caller's thread.
///
/// # Errors
///
/// When the file is missing, damaged or no Whisper in ggml's format.
pub fn open(path: &Path, config: &WhisperCppConfig) -> Result<Whisper, SttError> {
    let bad = |reason: String| SttError::BadGgml {
        path: path.display().to_string(),
        reason,
    };
    let opened = File::open(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => bad("there is no such file".to_owned()),
        _ => bad(e.to_string()),
    })?;
    let ggml = file::read(BufReader::new(opened)).map_err(|e| bad(e.to_string()))?;
    let vocabulary = vocabulary::vocabulary(ggml.tokens, ggml.sizes.vocabulary);
    let model = WhisperRs::load(path, ggml.sizes, config.threads).map_err(bad)?;
    let name = format!("whisper.cpp {} ({}, CPU)", name(path), ggml.format);
    debug!(%name, threads = config.threads, "loaded");
    let model = Box::new(model);
    Ok(Whisper::new(
        name,
        model,
        ggml.sizes,
        vocabulary,
        config.context,
    ))
}

/// `ggml-base.en.bin` is `base.en`.
fn name(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let short = name.strip_suffix(".bin").unwrap_or(&name);
    short.strip_prefix("ggml-").unwrap_or(short).to_owned()
}
