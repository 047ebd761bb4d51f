//! The ONNX Runtime library: found, loaded once, and its threads shared out.
//!
//! The library is loaded at run time (`libonnxruntime.so`, ONNX Runtime 1.24 or newer), so the same
//! binary runs on the CPU build and on the CUDA build of it.
//!
//! The thread budget ([`cores`]) bounds each model by itself: Whisper, Kokoro, the judge of pauses and
//! the embedded language model may each use all cores, because they mostly take turns (speech is
//! understood before it is answered, a clause is written before it is spoken), and whoever runs alone
//! should have the machine. Where two overlap, as when a clause is spoken while the next is written,
//! the system shares the cores out: no thread spins for longer than [`SPIN_MICROSECONDS`]. What runs
//! all day has one thread ([`Role`]).

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use ort::{
    environment::Environment,
    ep,
    session::{Session, builder::GraphOptimizationLevel, builder::SessionBuilder},
};

use crate::fault::Fault;

/// How long a thread waits for its next piece of the same run before it gives its core away. A model's
/// parts follow each other within some ten microseconds, for which falling asleep and being woken costs
/// more time and more CPU than waiting; without end (ONNX Runtime's default) it takes the core from
/// other engines. `docs/benchmarks.md` has the figures.
const SPIN_MICROSECONDS: &str = "1000";

/// Keeps ONNX Runtime from telling Microsoft what it runs. Its builds for Linux (seen in 1.31) make a
/// database and a device's identity under `~/.cache/Microsoft` as soon as they are loaded, before
/// `with_telemetry(false)` can be said; only this variable keeps them from it. Call it first thing in
/// `main`: with other threads about it does nothing.
#[allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "a library reads it, and there is no other way to tell it"
)]
pub fn forbid_telemetry() {
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if alone {
        // SAFETY: there is one thread, this one, so nobody reads the environment meanwhile.
        unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
    }
}

/// Lets everything else go first on the calling thread, and on those that it starts from now on: for
/// long work that plays ahead of its listener, beside ears and senders that must not wait. Nothing
/// happens where the system does not know priorities of threads.
#[allow(unsafe_code, reason = "std knows no priorities")]
pub fn yield_to_others() {
    #[cfg(target_os = "linux")]
    {
        /// Such a thread gets a third of what one without gets.
        const NICE: libc::c_int = 5;
        // SAFETY: takes numbers only. On Linux "process 0" is the calling thread.
        if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } != 0 {
            tracing::debug!("the voice runs with the priority of everything else");
        }
    }
}

/// Ends the process, at once, with this exit code; the last thing `main` does. Returning from `main`
/// runs the destructors of ONNX Runtime's statics, and a thread that still loads or runs a model uses
/// them: it died of SIGSEGV (1 of 9 stops while models loaded). What the process holds goes back to the
/// system either way.
///
/// Standard output is not flushed: that would wait for a reader that does not read. Every line that ends
/// is out already (`cli/out.rs`).
#[allow(unsafe_code, reason = "std ends a process with its destructors only")]
pub fn leave(code: u8) -> ! {
    // SAFETY: `_exit` takes any number, touches no memory of ours and does not come back, so no thread
    // can see what it leaves behind.
    unsafe { libc::_exit(code.into()) }
}

/// Which processor the models run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Device {
    /// The CPU execution provider.
    #[default]
    Cpu,
    /// The CUDA execution provider; needs a CUDA build of ONNX Runtime and the NVIDIA driver.
    Cuda,
}

impl Device {
    /// As in settings.
    pub fn name(self) -> &'static str {
        match self {
            Device::Cpu => "cpu",
            Device::Cuda => "cuda",
        }
    }
}

/// What a model is for; decides how many threads it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs on every few milliseconds of sound, all day: one thread (wake word, VAD).
    Ear,
    /// Runs once per turn while somebody waits: all cores (Whisper, Kokoro, end of turn).
    Voice,
}

/// Why a model cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No library at the path.
    #[error(
        "ONNX Runtime is not at {path}; fetch what is missing with: {fetch} (or correct ORT_DYLIB_PATH, where that is set)"
    )]
    LibraryMissing {
        /// Where it was looked for.
        path: PathBuf,
        /// The command that fetches the build for the device.
        fetch: &'static str,
    },
    /// There is a file, but it is not a library of the right version.
    #[error(
        "{path} could not be loaded as ONNX Runtime 1.24 or newer ({reason}); fetch it anew with: caal models rm onnxruntime && caal models pull onnxruntime"
    )]
    LibraryUnusable {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// CUDA was asked for and cannot be had.
    #[error(
        "the device setting is cuda, but {0}; install the CUDA build (caal models pull onnxruntime-cuda) and the NVIDIA driver, or set CAAL_DEVICE=cpu"
    )]
    NoCuda(String),
    /// No model file at the path.
    #[error("model file {0} is missing; fetch it with: caal models pull")]
    ModelMissing(PathBuf),
    /// The model file cannot be loaded.
    #[error(
        "model file {path} is damaged or of another kind ({reason}); check it with: caal models verify"
    )]
    ModelUnusable {
        /// The file.
        path: PathBuf,
        /// What ONNX Runtime said.
        reason: String,
    },
}

impl RuntimeError {
    /// What the error means for its caller. A missing or damaged file is the user's to mend.
    pub fn fault(&self) -> Fault {
        Fault::Request
    }
}

/// Threads that any one model may use: as `set`, else as the machine has (at most 8: more do not help
/// models of this size).
pub fn cores(set: Option<NonZeroUsize>) -> usize {
    set.or_else(|| std::thread::available_parallelism().ok())
        .map_or(2, |n| n.get().min(8))
}

/// A process may have one, whoever asks for it first: a server that loads its engines again after it fetched
/// models, and somebody who tries a wake word meanwhile.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// ONNX Runtime, loaded. Clones are cheap and share it.
#[derive(Clone, Debug)]
pub struct Runtime {
    environment: Environment,
    device: Device,
    cores: usize,
}

impl Runtime {
    /// Loads the library at `library`; a process loads one, and whoever asks later gets that. `cores` bounds the threads of any one model; `None` takes the
    /// machine's (at most 8: more do not help models of this size).
    ///
    /// # Errors
    ///
    /// When the library is missing, is no ONNX Runtime, or `device` is CUDA and the library has none.
    pub fn load(
        library: &Path,
        device: Device,
        cores: Option<NonZeroUsize>,
    ) -> Result<Self, RuntimeError> {
        if !library.is_file() {
            return Err(RuntimeError::LibraryMissing {
                path: library.to_owned(),
                fetch: match device {
                    Device::Cpu => "caal models pull",
                    Device::Cuda => "caal models pull onnxruntime-cuda",
                },
            });
        }
        let unusable = |reason: String| RuntimeError::LibraryUnusable {
            path: library.to_owned(),
            reason: first_line(&reason),
        };
        // Held while it is loaded: of two at once the second waits. Nothing in it is left half done.
        let mut loaded = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
        let environment = match &*loaded {
            Some(environment) => environment.clone(),
            None => {
                let environment = ort::init_from(library)
                    .map_err(|e| unusable(e.to_string()))?
                    .with_name("caal")
                    .with_telemetry(false)
                    .build()
                    .map_err(|e| unusable(e.to_string()))?;
                loaded.insert(environment).clone()
            }
        };
        drop(loaded);
        let runtime = Self {
            environment,
            device,
            cores: self::cores(cores),
        };
        if device == Device::Cuda {
            use ort::ep::ExecutionProvider as _;
            match ep::CUDA::is_available() {
                Ok(true) => {}
                Ok(false) => {
                    return Err(RuntimeError::NoCuda(format!(
                        "{} is a CPU build",
                        library.display()
                    )));
                }
                Err(e) => return Err(RuntimeError::NoCuda(first_line(&e.to_string()))),
            }
        }
        Ok(runtime)
    }

    /// The processor that sessions of this runtime use.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Threads that a model of `role` may use.
    pub fn threads(&self, role: Role) -> usize {
        match role {
            Role::Ear => 1,
            Role::Voice => self.cores,
        }
    }

    /// A builder with this process' settings: threads by role, short spinning, exact int8 products, the device.
    ///
    /// # Errors
    ///
    /// When ONNX Runtime refuses an option: a library too old or too new.
    pub fn builder(&self, role: Role) -> Result<SessionBuilder, ort::Error> {
        let mut builder = Session::builder(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(self.threads(role))?
            .with_inter_threads(1)?
            .with_intra_op_spinning(true)?
            .with_config_entry("session.intra_op.spin_duration_us", SPIN_MICROSECONDS)?
            // A library that does not know the line above at least rests between two runs.
            .with_config_entry("session.force_spinning_stop", "1")?
            .with_inter_op_spinning(false)?
            // Exact int8 products on CPUs without VNNI, where Smart Turn says 0.76 instead of 0.99 with those that
            // saturate; no effect on others.
            .with_precise_qmm()?;
        if self.device == Device::Cuda && role == Role::Voice {
            builder = builder
                .with_execution_providers([ep::CUDA::default().build().error_on_failure()])?;
        }
        Ok(builder)
    }

    /// Loads the model at `path`.
    ///
    /// # Errors
    ///
    /// When the file is missing or no model.
    pub fn session(&self, role: Role, path: &Path) -> Result<Session, RuntimeError> {
        if !path.is_file() {
            return Err(RuntimeError::ModelMissing(path.to_owned()));
        }
        self.builder(role)
            .and_then(|mut b| b.commit_from_file(path))
            .map_err(|e| RuntimeError::ModelUnusable {
                path: path.to_owned(),
                reason: first_line(&e.to_string()),
            })
    }
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(200)
        .collect()
}
