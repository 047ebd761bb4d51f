//! What people call a Whisper model, and where that is in the store: names of the manifest, sizes
//! (`base`, `tiny.en`), repositories of a hub (`Systran/faster-whisper-small`), folders, ggml files.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use super::{Model, ModelsError, Role, State, Store};

/// Sizes that `Systran/faster-whisper-<size>` exists for.
const SIZES: [&str; 11] = [
    "tiny",
    "tiny.en",
    "base",
    "base.en",
    "small",
    "small.en",
    "medium",
    "medium.en",
    "large-v1",
    "large-v2",
    "large-v3",
];

/// How a ggml file begins: the number 0x67676d6c, little endian.
const GGML_MAGIC: [u8; 4] = *b"lmgg";

/// The best known conversion of the turbo model.
const TURBO: &str = "deepdml/faster-whisper-large-v3-turbo-ct2";

/// What a name given to `pull` means.
#[derive(Clone, Debug)]
pub(crate) enum Wanted<'a> {
    /// A model of the manifest.
    Known(&'a Model),
    /// A repository of the hub with a CTranslate2 Whisper model.
    Repo(String),
}

/// Whether `name` is `org/name` as the hub spells it: it also names a folder, so nothing else may pass.
pub(crate) fn is_repo(name: &str) -> bool {
    let part = |p: &str| {
        !p.is_empty()
            && p.len() <= 96
            && !p.starts_with(['.', '-'])
            && !p.contains("--")
            && !p.contains("..")
            && p.chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    };
    name.split_once('/')
        .is_some_and(|(org, repo)| part(org) && part(repo))
}

/// The repository of a size; `None` if `name` is no size.
fn repo_of_size(name: &str) -> Option<String> {
    match name {
        "large" => Some("Systran/faster-whisper-large-v3".to_owned()),
        "turbo" | "large-v3-turbo" => Some(TURBO.to_owned()),
        size if SIZES.contains(&size) => Some(format!("Systran/faster-whisper-{size}")),
        _ => None,
    }
}

impl Store {
    /// What is to be fetched for `name`.
    pub(crate) fn wanted(&self, name: &str) -> Result<Wanted<'_>, ModelsError> {
        if let Some(model) = self.manifest().get(name) {
            return Ok(Wanted::Known(model));
        }
        if is_repo(name) {
            return Ok(Wanted::Repo(name.to_owned()));
        }
        let size = name.strip_prefix("whisper-").unwrap_or(name);
        if let Some(model) = self.manifest().get(&format!("whisper-{size}")) {
            return Ok(Wanted::Known(model));
        }
        repo_of_size(size)
            .map(Wanted::Repo)
            .ok_or_else(|| self.unknown(name))
    }

    /// Where the Whisper model `name` is. The CTranslate2 folder of a name of the manifest
    /// (`whisper-base`), a size (`base`, `tiny.en`, `large-v3`, `turbo`), a repository
    /// (`Systran/faster-whisper-small`), a folder of the store, or a path to a folder with a `model.bin`;
    /// or a ggml file, in the store or by its path (`ggml-base.bin`).
    ///
    /// # Errors
    ///
    /// When it is not on the disk, whole; the sentence says how to fetch it.
    pub fn resolve_whisper(&self, name: &str) -> Result<PathBuf, ModelsError> {
        if let Some(file) = self.file_named(name) {
            return match begins_as_ggml(&file) {
                Ok(()) => Ok(file),
                Err(reason) => Err(ModelsError::NoGgml { path: file, reason }),
            };
        }
        let is_model = |folder: &Path| folder.join("model.bin").is_file();
        if name.starts_with(['/', '.']) && is_model(Path::new(name)) {
            return Ok(PathBuf::from(name));
        }
        let names = self.whisper_names(name);
        for candidate in &names {
            if self.state(candidate) == State::Present {
                return Ok(self.path(candidate));
            }
        }
        // Folders that a person put there: nobody knows their digests, so they are taken as they are.
        let by_hand = !name.is_empty() && !name.contains("..");
        if by_hand && names.is_empty() && is_model(&self.path(name)) {
            return Ok(self.path(name));
        }
        if by_hand && is_model(Path::new(name)) {
            return Ok(PathBuf::from(name));
        }
        match names.into_iter().next() {
            Some(name) => Err(ModelsError::NotHere {
                state: self.state(&name),
                name,
            }),
            None if Path::new(name).is_dir() => Err(ModelsError::Unknown {
                name: name.to_owned(),
                hint: "the folder of that name holds no model.bin; name one with a Whisper model for CTranslate2".to_owned(),
            }),
            None => Err(self.unknown(name)),
        }
    }

    /// The file that `name` names: it ends in `.bin` and is no folder.
    fn file_named(&self, name: &str) -> Option<PathBuf> {
        let path = Path::new(name);
        if path.extension().is_none_or(|e| e != "bin") || path.is_dir() {
            return None;
        }
        let stored = self.path(name);
        Some(if !path.exists() && stored.is_file() {
            stored
        } else {
            path.to_owned()
        })
    }

    /// Names in the store that `name` may stand for, best first.
    fn whisper_names(&self, name: &str) -> Vec<String> {
        let size = name
            .strip_prefix("Systran/faster-whisper-")
            .or_else(|| name.strip_prefix("whisper-"))
            .unwrap_or(name);
        let mut names = Vec::new();
        for known in [name, &format!("whisper-{size}")] {
            let stt = self.manifest().get(known).filter(|m| m.role == Role::Stt);
            if let Some(model) = stt
                && !names.contains(&model.name)
            {
                names.push(model.name.clone());
            }
        }
        if is_repo(name) {
            names.push(name.to_owned());
        } else if let Some(repo) = repo_of_size(size) {
            names.push(repo);
        }
        names
    }
}

/// Looks at the first bytes of `file`; the error is a reason.
fn begins_as_ggml(file: &Path) -> Result<(), String> {
    let mut start = [0; GGML_MAGIC.len()];
    let read = File::open(file).and_then(|mut f| f.read_exact(&mut start));
    match read {
        Ok(()) if start == GGML_MAGIC => Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound => Err("there is no such file".to_owned()),
        Err(e) if e.kind() != ErrorKind::UnexpectedEof => Err(e.to_string()),
        _ if file.file_name().is_some_and(|n| n == "model.bin") => {
            Err("of a CTranslate2 model, name the folder".to_owned())
        }
        _ => Err("it does not begin as a ggml file does".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_hub_would_accept_is_a_repository() {
        for good in ["Systran/faster-whisper-base", "a/b", "a_b/c.d-e"] {
            assert!(is_repo(good), "{good}");
        }
        for bad in [
            "base", "a/b/c", "../b", "a/..", "a/.b", "/b", "a/", "a--b/c", "a/b c", "a/b?x",
            "C:\\/b",
        ] {
            assert!(!is_repo(bad), "{bad}");
        }
    }

    #[test]
    fn every_way_to_name_a_model_finds_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path());
        assert_eq!(
            store.whisper_names("Systran/faster-whisper-base"),
            ["whisper-base", "Systran/faster-whisper-base"]
        );
        assert_eq!(store.whisper_names("tiny.en")[0], "whisper-tiny.en");
        assert_eq!(
            store.whisper_names("whisper-small"),
            ["Systran/faster-whisper-small"]
        );
        assert_eq!(store.whisper_names("turbo"), [TURBO]);
        assert_eq!(
            store.whisper_names("kokoro-82m"),
            [""; 0],
            "that is no Whisper model"
        );
        let error = store.resolve_whisper("base").unwrap_err().to_string();
        assert_eq!(
            error,
            "the model whisper-base is missing; fetch it with: caal models pull whisper-base"
        );
        let error = store.resolve_whisper("large-v3").unwrap_err().to_string();
        assert!(
            error.ends_with("caal models pull Systran/faster-whisper-large-v3"),
            "{error}"
        );
        let error = store.resolve_whisper("bse").unwrap_err().to_string();
        assert!(error.contains("no model called \"bse\""), "{error}");
    }

    #[test]
    fn a_ggml_file_is_told_by_how_it_begins() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("store"));
        let file = dir.path().join("ggml-tiny.bin");
        let name = file.to_str().unwrap();
        let reason = |name: &str| store.resolve_whisper(name).unwrap_err().to_string();
        assert!(reason(name).contains("no such file"), "{}", reason(name));
        for (content, ok) in [(&b"lmgg rest"[..], true), (b"GGUF", false), (b"lm", false)] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(store.resolve_whisper(name).is_ok(), ok, "{content:?}");
        }
        assert!(reason(name).contains("does not begin"), "{}", reason(name));
        std::fs::create_dir_all(store.path("")).unwrap();
        std::fs::write(store.path("ggml-base.bin"), "lmgg").unwrap();
        assert_eq!(
            store.resolve_whisper("ggml-base.bin").unwrap(),
            store.path("ggml-base.bin")
        );
        let model = dir.path().join("model.bin");
        std::fs::write(&model, "x").unwrap();
        assert!(reason(model.to_str().unwrap()).contains("name the folder"));
    }

    #[test]
    fn a_folder_with_a_model_in_it_is_taken_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("store"));
        let own = dir.path().join("own");
        std::fs::create_dir_all(&own).unwrap();
        let name = own.to_str().unwrap();
        assert!(store.resolve_whisper(name).is_err());
        std::fs::write(own.join("model.bin"), "x").unwrap();
        assert_eq!(store.resolve_whisper(name).unwrap(), own);
        std::fs::create_dir_all(store.path("mine")).unwrap();
        std::fs::write(store.path("mine").join("model.bin"), "x").unwrap();
        assert_eq!(store.resolve_whisper("mine").unwrap(), store.path("mine"));
    }
}
