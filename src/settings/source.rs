//! Where values come from: flags, file, environment, `.env`.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::resolve::SettingsError;

/// Values as written, from each place.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// From the command line, by key.
    pub flags: BTreeMap<&'static str, String>,
    /// The settings file.
    pub file: serde_json::Map<String, serde_json::Value>,
    /// The settings file's path, for errors.
    pub file_path: PathBuf,
    /// The environment and `.env`, by variable.
    pub environment: BTreeMap<String, String>,
    /// Folder for what the program keeps: models, settings.
    pub data_dir: PathBuf,
}

impl Sources {
    /// Reads the process environment, `.env` in the working folder, and the settings file.
    ///
    /// # Errors
    ///
    /// When a file is there and cannot be read, or is not what it should be.
    pub fn read() -> Result<Self, SettingsError> {
        let mut environment = read_dotenv(Path::new(".env"))?;
        environment.extend(
            std::env::vars_os().filter_map(|(key, value)| {
                Some((key.into_string().ok()?, value.into_string().ok()?))
            }),
        );
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
        let file = read_file(&file_path)?;
        Ok(Self {
            flags: BTreeMap::new(),
            file,
            file_path,
            environment,
            data_dir,
        })
    }
}

fn read_dotenv(path: &Path) -> Result<BTreeMap<String, String>, SettingsError> {
    let unreadable = |reason: String| SettingsError::File {
        path: path.to_owned(),
        reason,
    };
    match dotenvy::from_path_iter(path) {
        Ok(pairs) => pairs.collect::<Result<_, _>>().map_err(|e| {
            // The parser's error quotes the line, which may hold a secret.
            let line = match e {
                dotenvy::Error::LineParse(_, at) => {
                    format!("a line cannot be read (at byte {at} of it)")
                }
                _ => "it cannot be read".to_owned(),
            };
            unreadable(line)
        }),
        Err(dotenvy::Error::Io(e)) if e.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(_) => Err(unreadable("it cannot be read".to_owned())),
    }
}

fn read_file(path: &Path) -> Result<serde_json::Map<String, serde_json::Value>, SettingsError> {
    let unreadable = |reason: String| SettingsError::File {
        path: path.to_owned(),
        reason,
    };
    match fs::read(path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(serde_json::Value::Object(map)) => Ok(map),
            Ok(_) => Err(unreadable("it is not a JSON object".to_owned())),
            Err(e) => Err(unreadable(format!("it is not JSON (line {})", e.line()))),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(serde_json::Map::new()),
        Err(e) => Err(unreadable(e.to_string())),
    }
}
