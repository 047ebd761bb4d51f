//! Where values come from: flags, file, environment, `.env`, files that hold a secret. Reads; what a
//! value may be is the table's, writing is `store`'s.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{
    resolve::{Problem, SettingsError},
    table::{ROWS, Row},
};
use crate::pii::Pii;

/// A secret or a prompt is not longer than this, in bytes: somebody named the wrong file.
pub(super) const LONGEST_FILE: u64 = 64 * 1024;

/// Secrets that are no rows of the table, with the variable that names a file: the hub's.
const OTHER_SECRETS: &[(&str, &str)] = &[("HF_TOKEN", "HF_TOKEN_FILE")];

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On the command line.
    Flag,
    /// In the settings file.
    File,
    /// In this variable of the environment.
    Environment(&'static str),
    /// In this variable of the file `.env` in the working folder.
    DotEnv(&'static str),
    /// In the file that this variable, with `_FILE` behind it, names.
    SecretFile(&'static str, PathBuf),
    /// Nowhere.
    Default,
}

/// Values as written, from each place.
#[derive(Clone, Default)]
pub struct Sources {
    /// From the command line, by key.
    pub flags: BTreeMap<&'static str, String>,
    /// The settings file.
    pub file: Map<String, Value>,
    /// The settings file's path.
    pub file_path: PathBuf,
    /// The environment and `.env`, by variable; what a `_FILE` variable names stands here as the
    /// variable without that.
    pub environment: BTreeMap<String, String>,
    /// Variables that `.env` set.
    pub from_dotenv: Vec<String>,
    /// Variables that were read from a file, and which.
    pub from_files: BTreeMap<String, PathBuf>,
    /// The user's own prompt, where there is one.
    pub custom_prompt: Option<Pii<String>>,
    /// Its file.
    pub prompt_path: PathBuf,
    /// Folder for what the program keeps: models, settings.
    pub data_dir: PathBuf,
}

/// Names only: the values may be secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("flags", &self.flags.keys())
            .field("file", &self.file.keys())
            .field("file_path", &self.file_path)
            .field("prompt_path", &self.prompt_path)
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

impl Sources {
    /// Reads the process environment, `.env` in the working folder, the files that `_FILE` variables
    /// name, the settings file and the user's prompt.
    ///
    /// # Errors
    ///
    /// When a file is there and cannot be read, or is not what it should be.
    pub fn read() -> Result<Self, SettingsError> {
        let dotenv = read_dotenv(Path::new(".env"))?;
        let process: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let from_dotenv = dotenv
            .keys()
            .filter(|key| !process.contains_key(*key))
            .cloned()
            .collect();
        let mut environment = dotenv;
        environment.extend(process);
        Self::of(environment, from_dotenv)
    }

    /// The sources of this environment: its settings file, prompt and secrets are read.
    fn of(
        environment: BTreeMap<String, String>,
        from_dotenv: Vec<String>,
    ) -> Result<Self, SettingsError> {
        let set = |key: &str| {
            environment
                .get(key)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let data_dir = set("CAAL_HOME")
            .or_else(|| set("XDG_DATA_HOME").map(|d| d.join("caal")))
            .or_else(|| set("HOME").map(|d| d.join(".local/share/caal")))
            .ok_or(SettingsError::NoHome)?;
        let file_path = set("CAAL_SETTINGS_PATH").unwrap_or_else(|| data_dir.join("settings.json"));
        let prompt_path = set("CAAL_PROMPT_DIR")
            .unwrap_or_else(|| data_dir.join("prompt"))
            .join("custom.md");
        let mut sources = Self {
            file: read_file(&file_path)?,
            file_path,
            custom_prompt: read_prompt(&prompt_path)?,
            prompt_path,
            environment,
            from_dotenv,
            data_dir,
            ..Self::default()
        };
        sources.read_secret_files()?;
        Ok(sources)
    }

    fn read_secret_files(&mut self) -> Result<(), SettingsError> {
        let rows = ROWS.iter().filter(|row| row.is_secret());
        let rows = rows.map(|row| (row.key, row.env, format!("{}_FILE", row.env)));
        let others = OTHER_SECRETS
            .iter()
            .map(|(variable, file)| (*variable, *variable, (*file).to_owned()));
        for (key, variable, file_variable) in rows.chain(others) {
            let set = |name: &str| self.environment.get(name).filter(|value| !value.is_empty());
            let Some(path) = set(&file_variable).map(PathBuf::from) else {
                continue;
            };
            if set(variable).is_some() {
                let text = format!("{variable} and {file_variable} are both set; unset one");
                return Err(SettingsError::Values(vec![Problem { key, text }]));
            }
            let secret = read_short(&path)?.ok_or_else(|| {
                let reason = format!("{file_variable} names it, and there is no such file");
                unusable(&path, reason)
            })?;
            let secret = secret.trim().to_owned();
            self.environment.insert(variable.to_owned(), secret);
            self.from_files.insert(variable.to_owned(), path);
        }
        Ok(())
    }

    /// The value as written, and where: a default where nobody set any.
    pub(super) fn given(&self, row: &Row) -> (Value, Origin) {
        match self.flags.get(row.key) {
            Some(value) => (value.as_str().into(), Origin::Flag),
            None => self.lasting(row),
        }
    }

    /// The same, as if the command line said nothing: what the next start finds.
    pub(super) fn lasting(&self, row: &Row) -> (Value, Origin) {
        match self.file.get(row.key) {
            Some(value) if !value.is_null() => (value.clone(), Origin::File),
            _ => self.beneath(row),
        }
    }

    /// The same, as if the settings file and the command line said nothing.
    pub(super) fn beneath(&self, row: &Row) -> (Value, Origin) {
        for name in [row.env, row.also] {
            let Some(value) = self.environment.get(name).filter(|v| !v.is_empty()) else {
                continue;
            };
            let origin = match self.from_files.get(name) {
                Some(path) => Origin::SecretFile(name, path.clone()),
                None if self.from_dotenv.iter().any(|n| n == name) => Origin::DotEnv(name),
                None => Origin::Environment(name),
            };
            return (value.as_str().into(), origin);
        }
        (row.default.into(), Origin::Default)
    }

    /// `origin`, as the beginning of a sentence about the value.
    pub(super) fn place(&self, row: &Row, origin: &Origin) -> String {
        match origin {
            Origin::Flag => format!("--{}", row.key.replace('_', "-")),
            Origin::File => format!("{} in {}", row.key, self.file_path.display()),
            Origin::Environment(name) => (*name).to_owned(),
            Origin::DotEnv(name) => format!("{name} in .env"),
            Origin::SecretFile(name, _) => format!("{name}_FILE"),
            Origin::Default => row.key.to_owned(),
        }
    }
}

fn unusable(path: &Path, reason: impl Into<String>) -> SettingsError {
    SettingsError::File {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

fn read_dotenv(path: &Path) -> Result<BTreeMap<String, String>, SettingsError> {
    match dotenvy::from_path_iter(path) {
        Ok(pairs) => pairs.collect::<Result<_, _>>().map_err(|e| {
            // The parser's error quotes the line, which may hold a secret.
            let line = match e {
                dotenvy::Error::LineParse(_, at) => {
                    format!("a line cannot be read (at byte {at} of it)")
                }
                _ => "it cannot be read".to_owned(),
            };
            unusable(path, line)
        }),
        Err(dotenvy::Error::Io(e)) if e.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(_) => Err(unusable(path, "it cannot be read")),
    }
}

/// The settings file; empty where there is none. An empty file is one, too: containers mount those.
pub(super) fn read_file(path: &Path) -> Result<Map<String, Value>, SettingsError> {
    match fs::read(path) {
        Ok(bytes) if bytes.trim_ascii().is_empty() => Ok(Map::new()),
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => Err(unusable(path, "it is not a JSON object")),
            Err(e) => Err(unusable(
                path,
                format!("it is not JSON (line {})", e.line()),
            )),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
        Err(e) => Err(unusable(path, e.to_string())),
    }
}

/// The user's prompt; an empty file is none.
pub(super) fn read_prompt(path: &Path) -> Result<Option<Pii<String>>, SettingsError> {
    let text = read_short(path)?.filter(|text| !text.trim().is_empty());
    Ok(text.map(Pii))
}

fn read_short(path: &Path) -> Result<Option<String>, SettingsError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unusable(path, e.to_string())),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| unusable(path, e.to_string()))?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(unusable(path, "it is longer than 64 KiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| unusable(path, "it is not text (UTF-8)"))?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn of(home: &Path, pairs: &[(&str, &str)]) -> Result<Sources, SettingsError> {
        let home = [("CAAL_HOME", home.to_str().expect("a path of text"))];
        let pairs = home.iter().chain(pairs);
        let environment = pairs.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Sources::of(environment.collect(), Vec::new())
    }

    #[test]
    fn every_secret_may_stand_in_a_file_that_a_variable_names() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("key");
        fs::write(&file, "s3cret\n").unwrap();
        let path = file.to_str().unwrap();
        for row in ROWS.iter().filter(|row| row.is_secret()) {
            let name = format!("{}_FILE", row.env);
            let sources = of(home.path(), &[(&name, path)]).expect("right");
            let (value, origin) = sources.given(row);
            assert_eq!(value, "s3cret", "{name}");
            assert_eq!(origin, Origin::SecretFile(row.env, file.clone()));
        }
        let sources = of(home.path(), &[("HF_TOKEN_FILE", path)]).expect("right");
        let settings = Settings::resolve(&sources).expect("right");
        assert_eq!(settings.hub.token, Some(Pii("s3cret".to_owned())));
        assert!(!format!("{sources:?}{settings:?}").contains("s3cret"));
    }

    #[test]
    fn a_secret_that_is_set_twice_or_whose_file_is_not_there_is_a_clear_sentence() {
        let home = tempfile::tempdir().unwrap();
        let said = |pairs: &[(&str, &str)]| of(home.path(), pairs).unwrap_err().to_string();
        let both = said(&[("GROQ_API_KEY", "a"), ("GROQ_API_KEY_FILE", "/b")]);
        assert!(both.contains("both set; unset one"), "{both}");
        let gone = said(&[("GROQ_API_KEY_FILE", "/nowhere/key")]);
        assert!(gone.contains("/nowhere/key") && gone.contains("GROQ_API_KEY_FILE"));
        let wrong = home.path().join("weights");
        fs::write(&wrong, vec![b'x'; 70_000]).unwrap();
        assert!(said(&[("HASS_TOKEN_FILE", wrong.to_str().unwrap())]).contains("64 KiB"));
    }

    #[test]
    fn the_users_prompt_counts_where_it_is_chosen_and_there() {
        let home = tempfile::tempdir().unwrap();
        let prompt = |pairs: &[(&str, &str)]| {
            let sources = of(home.path(), pairs).expect("right");
            Settings::resolve(&sources).expect("right").prompt.0
        };
        let default = prompt(&[]);
        assert_eq!(prompt(&[("CAAL_PROMPT", "custom")]), default);
        fs::create_dir(home.path().join("prompt")).unwrap();
        fs::write(home.path().join("prompt/custom.md"), "You are a pirate.").unwrap();
        assert_eq!(prompt(&[]), default);
        assert_eq!(prompt(&[("CAAL_PROMPT", "custom")]), "You are a pirate.");
    }

    #[test]
    fn caals_second_name_of_a_variable_counts_where_the_first_is_not_set() {
        let home = tempfile::tempdir().unwrap();
        let port = |pairs: &[(&str, &str)]| {
            let sources = of(home.path(), pairs).expect("right");
            Settings::resolve(&sources).expect("right").http_port
        };
        assert_eq!(port(&[("WEBHOOK_PORT", "1")]), 1);
        assert_eq!(port(&[("WEBHOOK_PORT", "1"), ("CAAL_PORT", "2")]), 2);
    }
}
