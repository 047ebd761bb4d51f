//! The written graphs on disk, beside the model: `onnx-v<version>-<precision>/`. Made once, checked at
//! every start (sizes and SHA-256), made anew when the model changed or the cache is damaged.
//!
//! A folder appears under its name only when it is complete: it is written under another name, synced
//! and renamed, so that a crash or a second process never leaves half a model. Its writer holds a lock
//! on it meanwhile, which the system takes back however the process ends: the next start removes what
//! nobody holds. Where the model's folder cannot be written the graphs live in memory, with a warning.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::warn;

use super::{
    ct2::{Damaged, Weights},
    graph::{GraphError, Precision, Sizes, Writer},
    onnx::Builder,
};

/// Raised whenever the written graphs change: older caches are then left alone and made anew.
const VERSION: u32 = 1;
/// The file that says what a cache holds; written last.
const INDEX: &str = "index.json";
/// In the name of a folder that is being written.
const PART: &str = ".part-";

/// One of the two graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Encoder,
    Decoder,
}

impl Part {
    const BOTH: [Part; 2] = [Part::Encoder, Part::Decoder];

    fn model_file(self) -> &'static str {
        match self {
            Part::Encoder => "encoder.onnx",
            Part::Decoder => "decoder.onnx",
        }
    }

    /// Name of its tensors' file, as it stands in the model file.
    pub(crate) fn data_file(self) -> &'static str {
        match self {
            Part::Encoder => "encoder.bin",
            Part::Decoder => "decoder.bin",
        }
    }
}

/// Where the graphs are.
#[derive(Debug)]
pub(crate) enum Graphs {
    /// In this folder.
    Disk(PathBuf),
    /// Here, because there is no place for them: model and tensors of each part.
    Memory([(Vec<u8>, Arc<[u8]>); 2]),
}

impl Graphs {
    /// The model file of a part on disk.
    pub(crate) fn file(folder: &Path, part: Part) -> PathBuf {
        folder.join(part.model_file())
    }
}

/// Why there are no graphs.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// Disk full or another fault while the cache was written.
    #[error("{source}")]
    Write { folder: PathBuf, source: io::Error },
}

/// The graphs of `weights`, which were read from `model`, from the cache in `folder` or written now.
pub(crate) fn graphs<R: Read + Seek>(
    weights: &mut Weights<R>,
    sizes: Sizes,
    precision: Precision,
    model: &Path,
    folder: &Path,
) -> Result<Graphs, CacheError> {
    let target = folder.join(format!("onnx-v{VERSION}-{}", precision.name()));
    let source = Source::of(model);
    // Before anything is written: what a killed process left may be the room that is needed.
    sweep(folder);
    match check(&target, &source) {
        Ok(()) => return Ok(Graphs::Disk(target)),
        Err(Unusable::Absent) => {}
        Err(Unusable::Stale(reason)) => {
            warn!(folder = %target.display(), reason, "the prepared model is made anew");
        }
    }
    let part = part_of(&target);
    // Held until the folder has its name.
    let _lock = match begin(folder, &part) {
        Ok(lock) => lock,
        // A full disk is the user's to mend: every later start would be slow and need more memory.
        Err(e) if e.kind() == io::ErrorKind::StorageFull => {
            return Err(CacheError::Write {
                folder: target,
                source: e,
            });
        }
        Err(e) => {
            warn!(
                folder = %folder.display(), reason = %e,
                "the model's folder cannot be written: it is prepared in memory at every start"
            );
            return in_memory(weights, sizes, precision);
        }
    };
    let written = write(weights, sizes, precision, source.clone(), &part)
        .and_then(|()| publish(&part, &target, &source).map_err(GraphError::Write));
    if let Err(error) = written {
        let _ = fs::remove_dir_all(&part);
        return Err(match error {
            GraphError::Write(source) => CacheError::Write {
                folder: target,
                source,
            },
            weights => CacheError::Graph(weights),
        });
    }
    Ok(Graphs::Disk(target))
}

/// A name beside `target` that no other writer has now.
fn part_of(target: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    PathBuf::from(format!("{}{PART}{process}-{count}", target.display()))
}

/// Makes the folder `part` in `folder` and locks it. The lock ends with the file returned, or with the
/// process.
fn begin(folder: &Path, part: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    // Nobody sweeps between making and locking.
    let outer = File::open(folder)?;
    let _ = outer.lock(); // a file system without locks has no sweeping either
    fs::create_dir(part)?;
    let lock = File::open(part)?;
    let _ = lock.try_lock();
    Ok(lock)
}

/// What a cache was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: u128,
}

impl Source {
    fn of(model: &Path) -> Self {
        let meta = fs::metadata(model).ok();
        let modified = meta.as_ref().and_then(|m| m.modified().ok());
        let since = modified.and_then(|m| m.duration_since(SystemTime::UNIX_EPOCH).ok());
        Self {
            bytes: meta.map_or(0, |m| m.len()),
            modified: since.map_or(0, |s| s.as_nanos()),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Index {
    source: Source,
    files: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    bytes: u64,
    sha256: String,
}

/// Why a cache is not used.
enum Unusable {
    Absent,
    Stale(&'static str),
}

fn check(folder: &Path, source: &Source) -> Result<(), Unusable> {
    let Ok(index) = fs::read(folder.join(INDEX)) else {
        let there = folder.exists();
        return Err(if there {
            Unusable::Stale("its index is missing")
        } else {
            Unusable::Absent
        });
    };
    let Ok(index) = serde_json::from_slice::<Index>(&index) else {
        return Err(Unusable::Stale("its index is damaged"));
    };
    if index.source != *source {
        return Err(Unusable::Stale("the model has changed"));
    }
    for part in Part::BOTH {
        for name in [part.model_file(), part.data_file()] {
            let entry = index.files.iter().find(|e| e.name == name);
            let whole = entry.is_some_and(|e| {
                digest(&folder.join(name)).ok() == Some((e.bytes, e.sha256.clone()))
            });
            if !whole {
                return Err(Unusable::Stale("a file in it is damaged or missing"));
            }
        }
    }
    Ok(())
}

fn digest(file: &Path) -> io::Result<(u64, String)> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(file)?);
    let mut sink = Hashing::new(io::sink());
    io::copy(&mut reader, &mut sink)?;
    Ok((sink.bytes, hex(sink.hash)))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Counts and hashes what passes.
struct Hashing<W> {
    inner: W,
    bytes: u64,
    hash: Sha256,
}

impl<W> Hashing<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            bytes: 0,
            hash: Sha256::new(),
        }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn part_graph<R: Read + Seek, W: Write>(
    weights: &mut Weights<R>,
    sizes: Sizes,
    precision: Precision,
    part: Part,
    sink: W,
) -> Result<(Vec<u8>, W), GraphError> {
    let builder = Builder::new(part.model_file(), sink, part.data_file());
    let writer = Writer::new(weights, sizes, precision, builder);
    match part {
        Part::Encoder => writer.encoder(),
        Part::Decoder => writer.decoder(),
    }
}

fn write<R: Read + Seek>(
    weights: &mut Weights<R>,
    sizes: Sizes,
    precision: Precision,
    source: Source,
    folder: &Path,
) -> Result<(), GraphError> {
    let mut files = Vec::new();
    for part in Part::BOTH {
        let sink = BufWriter::with_capacity(1 << 20, File::create(folder.join(part.data_file()))?);
        let (model, mut sink) = part_graph(weights, sizes, precision, part, Hashing::new(sink))?;
        sink.flush()?;
        sink.inner.get_ref().sync_all()?;
        files.push(Entry {
            name: part.data_file().to_owned(),
            bytes: sink.bytes,
            sha256: hex(sink.hash),
        });
        synced(&folder.join(part.model_file()), &model)?;
        files.push(Entry {
            name: part.model_file().to_owned(),
            bytes: model.len() as u64,
            sha256: hex(Sha256::new_with_prefix(&model)),
        });
    }
    let index = serde_json::to_vec_pretty(&Index { source, files }).map_err(io::Error::from)?;
    synced(&folder.join(INDEX), &index)?;
    Ok(())
}

fn synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives the finished folder its name. Another process may have been faster, or a damaged folder may
/// stand in the way.
fn publish(part: &Path, target: &Path, source: &Source) -> io::Result<()> {
    let mut result = fs::rename(part, target);
    for _ in 0..3 {
        if result.is_ok() || !target.exists() {
            break;
        }
        if check(target, source).is_ok() {
            // The other one's is as good as ours.
            return fs::remove_dir_all(part);
        }
        // Renamed first: two processes that remove one folder would fail on each other's files.
        let away = part_of(target);
        if fs::rename(target, &away).is_ok() {
            let _ = fs::remove_dir_all(&away);
        }
        result = fs::rename(part, target);
    }
    result?;
    // The name itself is on disk only when its folder is.
    match target.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// Removes what processes that were killed left half-written: every such folder that nobody holds.
fn sweep(folder: &Path) {
    let (Ok(outer), Ok(entries)) = (File::open(folder), fs::read_dir(folder)) else {
        return;
    };
    // Somebody who begins or sweeps just now: the next start comes soon enough.
    if outer.try_lock().is_err() {
        return;
    }
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !(name.starts_with("onnx-v") && name.contains(PART)) {
            continue;
        }
        let held = File::open(entry.path()).is_ok_and(|part| part.try_lock().is_err());
        if !held {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn in_memory<R: Read + Seek>(
    weights: &mut Weights<R>,
    sizes: Sizes,
    precision: Precision,
) -> Result<Graphs, CacheError> {
    let mut make = |part| -> Result<(Vec<u8>, Arc<[u8]>), GraphError> {
        let (model, data) = part_graph(weights, sizes, precision, part, Vec::new())?;
        Ok((model, data.into()))
    };
    Ok(Graphs::Memory([make(Part::Encoder)?, make(Part::Decoder)?]))
}

/// Writes both graphs to nowhere: whether these weights make a Whisper that could be run.
///
/// # Errors
///
/// When a tensor is missing, of a wrong shape, or cannot be read.
pub fn rehearse<R: Read + Seek>(
    weights: &mut Weights<R>,
    precision: Precision,
) -> Result<(), Damaged> {
    let sizes = Sizes::of(weights)?;
    for part in Part::BOTH {
        part_graph(weights, sizes, precision, part, io::sink()).map_err(|e| match e {
            GraphError::Weights(damaged) => damaged,
            GraphError::Write(e) => Damaged::Read(e),
        })?;
    }
    Ok(())
}
