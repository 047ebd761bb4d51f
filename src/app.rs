//! Composition root: the only file (beside `cli` and tests) that names Whisper, Kokoro, Ollama, ….
//! Turns settings into running engines.

use std::{path::PathBuf, time::Duration};

use crate::{
    engine::{Runtime, RuntimeError},
    http::Parts,
    settings::Settings,
};

/// How long running work may take to end when the process is asked to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// All engines of the process, loaded.
#[derive(Debug)]
pub struct App {
    /// ONNX Runtime.
    pub runtime: Runtime,
}

impl App {
    /// Loads every engine that a conversation needs.
    ///
    /// # Errors
    ///
    /// The first engine that cannot be had.
    pub async fn build(settings: Settings) -> Result<Self, RuntimeError> {
        Ok(Self {
            runtime: runtime(&settings)?,
        })
    }

    /// Which engine does what.
    pub fn parts(&self) -> Parts {
        Parts::default()
    }

    /// What the user should know about the engines that were chosen.
    pub fn greeting(&self) -> String {
        String::new()
    }
}

/// ONNX Runtime as set.
///
/// # Errors
///
/// When there is no library, or none for the device.
pub fn runtime(settings: &Settings) -> Result<Runtime, RuntimeError> {
    let library: PathBuf = settings
        .onnxruntime
        .clone()
        .unwrap_or_else(|| settings.models_dir.join("onnxruntime/libonnxruntime.so"));
    Runtime::load(&library, settings.device, settings.threads)
}
