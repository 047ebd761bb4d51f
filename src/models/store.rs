//! The folder with the models: where each is, in what state, and how much room it takes.
//!
//! All functions block on the disk. [`Store::state`] is quick where a stamp vouches for the files and
//! hashes them once where none does (about a second for the default set).

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    FileEntry, Manifest, Model, ModelsError,
    record::{Origin, Record, STAMP, sha256_of},
};

/// Ending of a file that is not all there yet.
pub(crate) const PART: &str = ".part";

/// The models on disk. Clones are cheap; nothing is cached, so several processes may share a store.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    manifest: Arc<Manifest>,
}

/// How much of a model is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Every file is there and right.
    Present,
    /// Nothing is there.
    Missing,
    /// These files are missing.
    Incomplete(Vec<String>),
    /// These files have the wrong size or content.
    Damaged(Vec<String>),
}

impl State {
    /// `present`, `missing`, `incomplete` or `damaged`.
    pub const fn name(&self) -> &'static str {
        match self {
            State::Present => "present",
            State::Missing => "missing",
            State::Incomplete(_) => "incomplete",
            State::Damaged(_) => "damaged",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Present | State::Missing => f.write_str(self.name()),
            State::Incomplete(files) => write!(f, "incomplete (without {})", some(files)),
            State::Damaged(files) => write!(f, "damaged ({})", some(files)),
        }
    }
}

/// The first of many.
fn some(files: &[String]) -> String {
    match files {
        [] => "its list of files".to_owned(),
        [one] => one.clone(),
        [one, rest @ ..] => format!("{one} and {} more", rest.len()),
    }
}

/// How thoroughly to look at files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// Believe the stamp.
    Stamp,
    /// Hash everything.
    Content,
}

/// A model that was fetched from a hub by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HubModel {
    pub(crate) repo: String,
    pub(crate) bytes: u64,
}

impl Store {
    /// The store in the folder `root`, with the models of the embedded manifest. The folder need not
    /// exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::with_manifest(root, Manifest::load())
    }

    /// The store in `root` with the models of another manifest.
    pub fn with_manifest(root: impl Into<PathBuf>, manifest: Manifest) -> Self {
        Self {
            root: root.into(),
            manifest: Arc::new(manifest),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The models that caal knows.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The folder of the model `name`, whether it is there or not. `org/name` of a hub is the folder
    /// `org--name`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name.replace('/', "--"))
    }

    /// In what state the model `name` is. Believes the stamp of an earlier look; without one it hashes
    /// the files (and stamps them, where the store can be written).
    pub fn state(&self, name: &str) -> State {
        self.look(name, Look::Stamp)
    }

    /// Like [`Store::state`], but hashes every file.
    pub fn verify(&self, name: &str) -> State {
        self.look(name, Look::Content)
    }

    fn look(&self, name: &str, look: Look) -> State {
        let folder = self.path(name);
        if !folder.is_dir() {
            return State::Missing;
        }
        let record = Record::read(&folder);
        let files: Vec<FileEntry> = match (self.manifest.get(name), &record) {
            (Some(model), _) => model.files.clone(),
            (None, Some(record)) => record.files.iter().map(|f| f.entry()).collect(),
            // Fetched by name and cut off: what belongs to it is known when it is complete.
            (None, None) => return State::Incomplete(Vec::new()),
        };
        look_at(&folder, &files, record.unwrap_or_default(), look)
    }

    /// Files of `model` that are not there or not right, in its order.
    pub(crate) fn lacking(&self, model: &Model) -> Vec<FileEntry> {
        let bad: BTreeSet<String> = match self.state(&model.name) {
            State::Present => BTreeSet::new(),
            State::Missing => return model.files.clone(),
            // Damaged names the damaged only; look for the missing as well.
            State::Incomplete(files) | State::Damaged(files) => files.into_iter().collect(),
        };
        let folder = self.path(&model.name);
        model
            .files
            .iter()
            .filter(|f| bad.contains(&f.path) || !folder.join(&f.path).is_file())
            .cloned()
            .collect()
    }

    /// Stamps `files` of the model `name`, which were just found right.
    pub(crate) fn stamp(
        &self,
        name: &str,
        origin: Option<Origin>,
        files: &[FileEntry],
    ) -> Result<(), ModelsError> {
        let folder = self.path(name);
        let mut record = Record::read(&folder).unwrap_or_default();
        if origin.is_some() {
            record = Record {
                origin,
                files: Vec::new(),
            };
        }
        for file in files {
            record.add(&folder, file);
        }
        record
            .write(&folder)
            .map_err(|e| ModelsError::disk("write the stamp in", &folder, e))
    }

    /// Models of hubs in the store, by name, complete or not.
    pub(crate) fn hub_models(&self) -> Vec<HubModel> {
        let Ok(entries) = fs::read_dir(&self.root) else {
            return Vec::new();
        };
        let mut found: Vec<HubModel> = entries
            .filter_map(Result::ok)
            .filter(|e| e.path().is_dir())
            .filter_map(|e| {
                let folder = e.file_name().into_string().ok()?;
                let repo = folder.replacen("--", "/", 1);
                super::whisper::is_repo(&repo).then(|| HubModel {
                    bytes: size_of(&e.path()),
                    repo,
                })
            })
            .collect();
        found.sort_by(|a, b| a.repo.cmp(&b.repo));
        found
    }

    /// Deletes the model `name` with everything in its folder, and says how many bytes that freed.
    ///
    /// # Errors
    ///
    /// When there is no such folder, or the disk refuses.
    pub fn remove(&self, name: &str) -> Result<u64, ModelsError> {
        self.check_name(name)?;
        let folder = self.path(name);
        if !folder.is_dir() {
            return Err(ModelsError::Unknown {
                name: name.to_owned(),
                hint: format!("on this disk: {} does not exist", folder.display()),
            });
        }
        // A pull in the middle of this model would be left without its folder.
        let lock = self.try_lock();
        if matches!(lock, Ok(None)) {
            return Err(ModelsError::InUse(self.root.clone()));
        }
        let freed = size_of(&folder);
        fs::remove_dir_all(&folder).map_err(|e| ModelsError::disk("delete", &folder, e))?;
        Ok(freed)
    }

    /// Whether `name` may name a model of the store.
    pub(crate) fn check_name(&self, name: &str) -> Result<(), ModelsError> {
        if self.manifest.get(name).is_some() || super::whisper::is_repo(name) {
            return Ok(());
        }
        Err(self.unknown(name))
    }

    /// Whether [`Store::pull`] knows `name`; asks nobody.
    ///
    /// # Errors
    ///
    /// When it does not; the sentence tells what is known.
    pub fn check_pull(&self, name: &str) -> Result<(), ModelsError> {
        self.wanted(name).map(drop)
    }

    /// The error for a name that nobody knows.
    pub(crate) fn unknown(&self, name: &str) -> ModelsError {
        let hint = match self.manifest.nearest(name) {
            Some(near) => format!("did you mean {near}? Known are: {}", self.manifest.names()),
            None => format!(
                "known are: {}; a Whisper model of the Hugging Face hub is named org/name",
                self.manifest.names()
            ),
        };
        ModelsError::Unknown {
            name: name.to_owned(),
            hint,
        }
    }
}

fn look_at(folder: &Path, files: &[FileEntry], mut record: Record, look: Look) -> State {
    let mut missing = Vec::new();
    let mut damaged = Vec::new();
    let mut news = false;
    for file in files {
        let path = folder.join(&file.path);
        let Ok(meta) = fs::metadata(&path) else {
            missing.push(file.path.clone());
            continue;
        };
        if meta.len() != file.bytes {
            damaged.push(file.path.clone());
        } else if look == Look::Content || !record.vouches(folder, file) {
            match sha256_of(&path) {
                Ok(sha256) if sha256 == file.sha256 => {
                    record.add(folder, file);
                    news = true;
                }
                _ => damaged.push(file.path.clone()),
            }
        }
    }
    if news {
        // A store that cannot be written (an image, another user's) is looked at anew each time.
        let _ = record.write(folder);
    }
    let nothing_else = missing.len() == files.len() && !has_parts(folder);
    match (damaged.is_empty(), missing.is_empty()) {
        (false, _) => State::Damaged(damaged),
        (true, false) if nothing_else => State::Missing,
        (true, false) => State::Incomplete(missing),
        (true, true) => State::Present,
    }
}

fn has_parts(folder: &Path) -> bool {
    walk(folder).is_ok_and(|files| {
        files
            .iter()
            .any(|f| f.extension().is_some_and(|e| e == &PART[1..]))
    })
}

fn size_of(folder: &Path) -> u64 {
    walk(folder).map_or(0, |files| {
        files
            .iter()
            .filter(|f| f.file_name().is_some_and(|n| n != STAMP))
            .filter_map(|f| fs::metadata(f).ok())
            .map(|m| m.len())
            .sum()
    })
}

/// All files below `folder`.
fn walk(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.append(&mut walk(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with one model of two files, `a` = "alpha" and `d/b` = "beta".
    fn store() -> (tempfile::TempDir, Store) {
        let text = r#"
            [[model]]
            name = "m"
            role = "vad"
            description = ""
            licence = "MIT"
            files = [
                { path = "a", bytes = 5, sha256 = "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8" },
                { path = "d/b", bytes = 4, sha256 = "f44e64e75f3948e9f73f8dfa94721c4ce8cbb4f265c4790c702b2d41cfbf2753" },
            ]
            [[model.sources]]
            kind = "pip"
            packages = ["x==1"]
            gives = { "*" = ["*"] }
        "#;
        let dir = tempfile::tempdir().unwrap();
        let store = Store::with_manifest(dir.path(), Manifest::parse(text).unwrap());
        (dir, store)
    }

    fn put(store: &Store, file: &str, text: &str) {
        let path = store.path("m").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_model_is_missing_then_incomplete_then_present() {
        let (_dir, store) = store();
        assert_eq!(store.state("m"), State::Missing);
        put(&store, "a", "alpha");
        assert_eq!(store.state("m"), State::Incomplete(vec!["d/b".to_owned()]));
        put(&store, "d/b", "beta");
        assert_eq!(store.state("m"), State::Present);
        assert!(store.path("m").join(STAMP).is_file());
    }

    #[test]
    fn a_part_is_no_file() {
        let (_dir, store) = store();
        put(&store, "a.part", "alpha");
        let State::Incomplete(files) = store.state("m") else {
            panic!("{}", store.state("m"));
        };
        assert_eq!(files, ["a", "d/b"]);
    }

    #[test]
    fn a_changed_file_is_damaged_though_its_size_is_right() {
        let (_dir, store) = store();
        put(&store, "a", "alpha");
        put(&store, "d/b", "bexa");
        assert_eq!(store.state("m"), State::Damaged(vec!["d/b".to_owned()]));
        put(&store, "d/b", "beta");
        assert_eq!(store.state("m"), State::Present);
        // The time of change gives it away although a stamp says that it was right.
        put(&store, "a", "alphx");
        assert_eq!(store.state("m"), State::Damaged(vec!["a".to_owned()]));
        let lacking = store.lacking(store.manifest().get("m").unwrap());
        assert_eq!(lacking.len(), 1);
    }

    #[test]
    fn verify_does_not_believe_the_stamp() {
        let (_dir, store) = store();
        put(&store, "a", "alpha");
        put(&store, "d/b", "beta");
        assert_eq!(store.state("m"), State::Present);
        let path = store.path("m").join("a");
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "alphx").unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
        assert_eq!(store.state("m"), State::Present, "the stamp is believed");
        assert_eq!(store.verify("m"), State::Damaged(vec!["a".to_owned()]));
    }

    #[test]
    fn removing_says_what_it_freed_and_refuses_names_it_does_not_know() {
        let (dir, store) = store();
        put(&store, "a", "alpha");
        put(&store, "d/b.part", "be");
        assert_eq!(store.remove("m").unwrap(), 7);
        assert_eq!(store.state("m"), State::Missing);
        fs::create_dir(dir.path().join("else")).unwrap();
        for name in ["m", "else", "..", "../x", "", "."] {
            let error = store.remove(name).unwrap_err();
            assert_eq!(error.fault(), crate::fault::Fault::Request, "{name}");
        }
        assert!(dir.path().join("else").is_dir());
    }
}
