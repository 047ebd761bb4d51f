//! Why a model cannot be used or fetched, in sentences for the person at the terminal.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::fault::Fault;

/// Why a model is not there.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// No model of that name.
    #[error("there is no model called {name:?}; {hint}")]
    Unknown {
        /// As typed.
        name: String,
        /// What to do instead.
        hint: String,
    },
    /// A file is named that is no Whisper in ggml's format.
    #[error(
        "{} is no ggml model: {reason}; name a ggml file such as ggml-base.bin, or a faster-whisper model such as whisper-base", path.display()
    )]
    NoGgml {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Known, but not (all) on the disk.
    #[error("the model {name} is {state}; fetch it with: caal models pull {name}")]
    NotHere {
        /// The model.
        name: String,
        /// In what state it is.
        state: super::State,
    },
    /// Models whose files are not what they should be.
    #[error("{}; fetch them anew with: caal models pull {}", .0.join("; "), .1.join(" "))]
    NotIntact(Vec<String>, Vec<String>),
    /// No source gave the files.
    #[error("{model} could not be fetched: {}", list(attempts))]
    NoSource {
        /// The model.
        model: String,
        /// Every source that was tried, and why it failed.
        attempts: Vec<Attempt>,
    },
    /// Several models could not be had, each for its own reason.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<ModelsError>),
    /// Another process is fetching into the store.
    #[error("another caal is fetching models into {}; wait for it, or stop it", .0.display())]
    InUse(PathBuf),
    /// The disk is too full.
    #[error(
        "the disk of {} has too little room: {needed} bytes ({}) are needed{}; make room, or put the models on another disk", path.display(), people(*needed), free.map(|n| format!(" and {n} ({}) are free", people(n))).unwrap_or_default()
    )]
    DiskFull {
        /// Where the models are kept.
        path: PathBuf,
        /// Bytes that have to be written.
        needed: u64,
        /// Bytes that can be written, where known.
        free: Option<u64>,
    },
    /// The disk refused.
    #[error("could not {doing} {}: {source}", path.display())]
    Disk {
        /// What was tried: `write`, `read`, ….
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl ModelsError {
    /// What the error means for its caller.
    pub fn fault(&self) -> Fault {
        match self {
            ModelsError::Unknown { .. }
            | ModelsError::NoGgml { .. }
            | ModelsError::NotHere { .. }
            | ModelsError::NotIntact(..)
            | ModelsError::DiskFull { .. }
            | ModelsError::Disk { .. } => Fault::Request,
            ModelsError::InUse(_) => Fault::Busy,
            ModelsError::Several(errors) => {
                let remote = errors.iter().find(|e| e.fault() != Fault::Request);
                remote.map_or(Fault::Request, ModelsError::fault)
            }
            ModelsError::NoSource { attempts, .. } => {
                let all_ours = attempts.iter().all(|a| a.fault == Fault::Request);
                if all_ours {
                    Fault::Request
                } else {
                    Fault::Remote
                }
            }
        }
    }

    pub(crate) fn disk(doing: &'static str, path: &Path, source: std::io::Error) -> Self {
        ModelsError::Disk {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

/// One source that was tried in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which: `Systran/faster-whisper-base on the Hugging Face hub`.
    pub source: String,
    /// Why it did not work, with the next step where there is one.
    pub reason: String,
    /// Whether trying again can help.
    pub fault: Fault,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.reason)
    }
}

fn list(attempts: &[Attempt]) -> String {
    let lines: Vec<String> = attempts.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

/// `145.2 MB`: decimal, as disks and networks count.
pub(crate) fn people(bytes: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let b = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", b / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", b / 1e6),
        _ => format!("{:.2} GB", b / 1e9),
    }
}
