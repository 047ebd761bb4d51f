//! Which wake words there are: classifier files in the model folders, and their names. Looks at file
//! names only; whether a file is a classifier shows when it is loaded.

use std::path::{Path, PathBuf};

use super::{
    WakeError,
    openwakeword::{EMBEDDING_FILE, MEL_FILE},
};

/// Folder of the pre-trained words in the model store.
const STORE_FOLDER: &str = "openwakeword";

/// Classifiers that openWakeWord publishes beside its wake words and that are none: they recognise
/// phrases of a command ("set a timer for ten minutes", "what is the weather").
const COMMANDS: [&str; 2] = ["timer", "weather"];

/// A wake word that can be loaded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WakeWord {
    /// What people call it: `hey_jarvis`.
    pub name: String,
    /// Its classifier.
    pub path: PathBuf,
}

impl WakeWord {
    /// The word of a classifier file, named after it: `Hey_Jarvis_v0.1.onnx` is `hey_jarvis`.
    pub fn of(path: &Path) -> Self {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut name = normalized(&stem);
        if let Some((head, version)) = name.rsplit_once("_v") {
            let is_version = version.starts_with(|c: char| c.is_ascii_digit())
                && version
                    .chars()
                    .all(|c| c.is_ascii_digit() || c == '.' || c == '_');
            if is_version && !head.is_empty() {
                name = head.to_owned();
            }
        }
        Self {
            name,
            path: path.to_owned(),
        }
    }

    /// Whether people call the assistant with it. False for the two published classifiers that
    /// recognise a command instead, which are listened for only when they are asked for by name; a
    /// word of somebody's own that is called like one of them is a wake word.
    pub fn calls(&self) -> bool {
        let folder = self.path.parent().and_then(Path::file_name);
        let published = folder.is_some_and(|name| name == STORE_FOLDER);
        !(published && COMMANDS.contains(&self.name.as_str()))
    }
}

/// All wake words of `folders`: the `*.onnx` in each and in its folder `openwakeword`. Sorted by name;
/// of two of one name that of the earlier folder counts. A folder that cannot be read holds none.
pub fn find(folders: &[PathBuf]) -> Vec<WakeWord> {
    let mut found: Vec<WakeWord> = Vec::new();
    for folder in folders {
        let mut here: Vec<PathBuf> = [folder.clone(), folder.join(STORE_FOLDER)]
            .iter()
            .filter_map(|folder| folder.read_dir().ok())
            .flatten()
            .filter_map(|entry| entry.ok().map(|e| e.path()))
            .filter(|path| is_classifier_name(path) && path.is_file())
            .collect();
        // A folder gives its files in no order.
        here.sort();
        for path in here {
            let word = WakeWord::of(&path);
            if !found.iter().any(|other| other.name == word.name) {
                found.push(word);
            }
        }
    }
    found.sort();
    found
}

/// The words named in `wanted`, in that order and once each. A name is written as people like
/// (`Hey Jarvis`, `hey-jarvis`, `hey_jarvis_v0.1`), or is the path of a classifier file.
///
/// # Errors
///
/// When one is not among `known`.
pub fn choose(known: &[WakeWord], wanted: &[String]) -> Result<Vec<WakeWord>, WakeError> {
    let mut chosen: Vec<WakeWord> = Vec::new();
    for name in wanted {
        let as_path = Path::new(name);
        let word = if as_path.extension().is_some_and(|e| e == "onnx") && as_path.is_file() {
            WakeWord::of(as_path)
        } else {
            let asked = WakeWord::of(Path::new(&format!("{}.onnx", name.trim()))).name;
            let found = known.iter().find(|word| word.name == asked);
            found.cloned().ok_or_else(|| WakeError::Unknown {
                name: name.clone(),
                known: match known {
                    [] => "none; fetch them with: caal models pull openwakeword".to_owned(),
                    some => some
                        .iter()
                        .map(|word| word.name.as_str())
                        .collect::<Vec<_>>()
                        .join(", "),
                },
            })?
        };
        if !chosen.contains(&word) {
            chosen.push(word);
        }
    }
    Ok(chosen)
}

fn is_classifier_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let hidden = name.starts_with('.');
    let onnx = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
    onnx && !hidden && name != MEL_FILE && name != EMBEDDING_FILE
}

/// Lower case, words joined by one underscore.
fn normalized(name: &str) -> String {
    name.to_lowercase()
        .split(|c: char| c == '_' || c == '-' || c.is_whitespace())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("_")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_word_is_named_after_its_file() {
        for (file, name) in [
            ("hey_jarvis_v0.1.onnx", "hey_jarvis"),
            ("Hey Jarvis.onnx", "hey_jarvis"),
            ("hey-jarvis_V2.onnx", "hey_jarvis"),
            ("alexa.onnx", "alexa"),
            ("hey_vera.onnx", "hey_vera"),
            ("agent_v.onnx", "agent_v"),
            ("hal_9000_v1_2.onnx", "hal_9000"),
        ] {
            assert_eq!(WakeWord::of(Path::new(file)).name, name, "{file}");
        }
    }

    #[test]
    fn words_are_found_in_the_store_and_where_somebody_dropped_them() {
        let store = tempfile::tempdir().unwrap();
        let mine = tempfile::tempdir().unwrap();
        let put = |path: PathBuf| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        for file in ["alexa.onnx", MEL_FILE, EMBEDDING_FILE, "README.md"] {
            put(store.path().join("openwakeword").join(file));
        }
        put(store.path().join("kokoro-82m/model.onnx"));
        put(store.path().join("computer_v2.onnx"));
        put(store.path().join(".computer.onnx.part"));
        put(mine.path().join("Alexa_v9.onnx"));
        put(mine.path().join("hey_caal.ONNX"));
        let folders = [
            store.path().to_owned(),
            mine.path().to_owned(),
            mine.path().join("no such folder"),
        ];
        let names: Vec<String> = find(&folders).into_iter().map(|w| w.name).collect();
        assert_eq!(names, ["alexa", "computer", "hey_caal"]);
        assert_eq!(
            find(&folders)[0].path,
            store.path().join("openwakeword/alexa.onnx")
        );
    }

    #[test]
    fn the_published_classifiers_of_commands_are_no_wake_words() {
        let calls = |path: &str| WakeWord::of(Path::new(path)).calls();
        assert!(!calls("models/openwakeword/timer.onnx"));
        assert!(!calls("models/openwakeword/weather_v0.1.onnx"));
        assert!(calls("models/openwakeword/alexa.onnx"));
        assert!(calls("models/weather.onnx"), "somebody's own");
    }

    #[test]
    fn names_are_taken_as_people_write_them_and_unknown_ones_are_told() {
        let known: Vec<WakeWord> = ["alexa.onnx", "hey_jarvis_v0.1.onnx"]
            .map(|f| WakeWord::of(Path::new(f)))
            .to_vec();
        let wanted = ["Hey Jarvis", "alexa", "hey_jarvis_v0.1"].map(str::to_owned);
        let chosen = choose(&known, &wanted).expect("both are there");
        let names: Vec<&str> = chosen.iter().map(|w| w.name.as_str()).collect();
        assert_eq!(names, ["hey_jarvis", "alexa"]);
        let error = choose(&known, &["marvin".to_owned()]).expect_err("it is not there");
        assert_eq!(
            error.to_string(),
            "there is no wake word \"marvin\"; there are: alexa, hey_jarvis"
        );
        let error = choose(&[], &["marvin".to_owned()]).expect_err("there are none");
        assert!(error.to_string().contains("caal models pull"), "{error}");
    }
}
