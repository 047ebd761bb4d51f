//! Where tests find real models and recordings, and the loaded ONNX Runtime they share.

mod dice;
mod disk;
#[cfg(feature = "whisper-cpp")]
pub(crate) mod ggml;
mod relay;
pub(crate) mod secrets;

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

pub(crate) use dice::Dice;
pub(crate) use disk::SmallDisk;
pub(crate) use relay::{Bad, Relay};

use caal::engine::{Device, Runtime};

/// The folder with real models. `scripts/test` fetches them and sets `CAAL_MODELS`.
#[allow(
    clippy::disallowed_methods,
    reason = "tests are told where the models are by their runner"
)]
pub(crate) fn models() -> PathBuf {
    secrets::watch();
    let folder = std::env::var("CAAL_MODELS")
        .map(PathBuf::from)
        .expect("CAAL_MODELS is not set: run scripts/test, which fetches the models first");
    assert!(
        folder.is_dir(),
        "{} is missing: run scripts/test",
        folder.display()
    );
    folder
}

/// The recordings: `CAAL_SPEECH`, or `../shared/speech` beside the checkout. `None` where there are
/// none: they are not part of the repository.
#[allow(
    clippy::disallowed_methods,
    reason = "tests are told where recordings are by their runner"
)]
pub(crate) fn speech() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/speech");
    let folder = std::env::var("CAAL_SPEECH").map_or(beside, PathBuf::from);
    folder.join("manifest.tsv").is_file().then_some(folder)
}

/// ONNX Runtime on the CPU, loaded once for the whole test binary.
pub(crate) fn runtime() -> Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            let library = models().join("onnxruntime/libonnxruntime.so");
            Runtime::load(&library, Device::Cpu, None).expect("ONNX Runtime loads")
        })
        .clone()
}

/// Whether the runner asks for the long runs: `CAAL_LONG=1`.
#[allow(clippy::disallowed_methods, reason = "the runner asks for them")]
pub(crate) fn long() -> bool {
    std::env::var("CAAL_LONG").is_ok()
}

/// Whoever holds this is the only test that runs whole assistants: two at once would be slower than people
/// wait for.
pub(crate) async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ALONE.lock().await
}
