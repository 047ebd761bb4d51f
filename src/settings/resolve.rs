//! From values as written to values that can be used: all problems at once.

use std::{net::IpAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

use super::{
    source::Sources,
    table::{Kind, ROWS, Row},
};
use crate::{engine::Device, fault::Fault, models::HubOptions, pii::Pii};

/// Which language model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LlmProvider {
    /// Ollama when it answers, else the embedded model.
    Auto,
    /// Ollama only.
    Ollama,
    /// The model inside the binary only.
    Embedded,
}

/// All settings, checked.
#[derive(Clone, Debug)]
#[allow(
    missing_docs,
    reason = "each field is a row of the table, documented there"
)]
pub struct Settings {
    pub data_dir: PathBuf,
    pub models_dir: PathBuf,
    pub hub: HubOptions,
    pub device: Device,
    pub threads: Option<NonZeroUsize>,
    pub onnxruntime: Option<PathBuf>,
    pub whisper_model: String,
    pub language: String,
    pub stt_prompt: String,
    pub voice: String,
    pub speed: f32,
    pub pronunciation: Vec<(String, String)>,
    pub llm_provider: LlmProvider,
    pub ollama_host: String,
    pub ollama_model: String,
    pub num_ctx: u32,
    pub keep_alive: Option<Duration>,
    pub temperature: f32,
    pub embedded_model: String,
    pub agent_name: String,
    pub max_turns: usize,
    pub wake_words: Vec<String>,
    pub wake_threshold: f32,
    pub follow_up: Duration,
    pub turn_end_short: Duration,
    pub turn_end_long: Duration,
    pub wake_word_enabled: bool,
    pub livekit_url: Option<String>,
    pub livekit_api_key: String,
    pub livekit_api_secret: Pii<String>,
    pub livekit_agent_name: String,
    pub livekit_room: String,
    pub node_ip: Vec<IpAddr>,
    pub rtc_port: u16,
    pub rtc_udp_port: u16,
    pub rtc_tcp_port: u16,
    pub http_port: u16,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Neither `CAAL_HOME`, `XDG_DATA_HOME` nor `HOME` is set.
    #[error("there is no home folder to keep models in; set CAAL_HOME to a folder")]
    NoHome,
    /// A file of settings is there and unusable.
    #[error("{} cannot be used: {reason}; mend it or move it away", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Without its contents.
        reason: String,
    },
    /// One line per wrong value.
    #[error("{}", .0.join("\n"))]
    Values(Vec<String>),
}

impl SettingsError {
    /// What the error means for its caller: always the user's to mend.
    pub fn fault(&self) -> Fault {
        Fault::Request
    }
}

impl Settings {
    /// Checks every value of `sources`.
    ///
    /// # Errors
    ///
    /// [`SettingsError::Values`] with all wrong values, each with its name, where it was set and what
    /// it may be.
    pub fn resolve(sources: &Sources) -> Result<Self, SettingsError> {
        let mut reader = Reader {
            sources,
            problems: Vec::new(),
        };
        let path = |text: String| (!text.is_empty()).then(|| PathBuf::from(text));
        let settings = Self {
            data_dir: sources.data_dir.clone(),
            models_dir: path(reader.text("models_dir"))
                .unwrap_or_else(|| sources.data_dir.join("models")),
            hub: HubOptions::from_env(&sources.environment),
            device: match reader.text("device").as_str() {
                "cuda" => Device::Cuda,
                _ => Device::Cpu,
            },
            threads: NonZeroUsize::new(reader.number("threads") as usize),
            onnxruntime: path(reader.text("onnxruntime")),
            whisper_model: reader.text("whisper_model"),
            language: reader.text("language").to_lowercase(),
            stt_prompt: reader.text("stt_prompt"),
            voice: reader.text("tts_voice_kokoro"),
            speed: reader.number("speech_speed") as f32,
            pronunciation: reader.map("pronunciation"),
            llm_provider: match reader.text("llm_provider").as_str() {
                "ollama" => LlmProvider::Ollama,
                "embedded" => LlmProvider::Embedded,
                _ => LlmProvider::Auto,
            },
            ollama_host: reader.text("ollama_host"),
            ollama_model: reader.text("ollama_model"),
            num_ctx: reader.number("num_ctx") as u32,
            keep_alive: reader.keep_alive(),
            temperature: reader.number("temperature") as f32,
            embedded_model: reader.text("embedded_model"),
            agent_name: reader.text("agent_name"),
            max_turns: reader.number("max_turns") as usize,
            wake_words: reader.words("wake_word_model"),
            wake_threshold: reader.number("wake_word_threshold") as f32,
            follow_up: Duration::from_secs_f64(reader.number("wake_word_timeout")),
            turn_end_short: Duration::from_secs_f64(reader.number("turn_end_short")),
            turn_end_long: Duration::from_secs_f64(reader.number("turn_end_long")),
            wake_word_enabled: reader.flag("wake_word_enabled"),
            livekit_url: Some(reader.text("livekit_url")).filter(|url| !url.is_empty()),
            livekit_api_key: reader.text("livekit_api_key"),
            livekit_api_secret: Pii(reader.text("livekit_api_secret")),
            livekit_agent_name: reader.text("livekit_agent_name"),
            livekit_room: reader.text("livekit_room"),
            node_ip: reader.addresses("node_ip"),
            rtc_port: reader.number("rtc_port") as u16,
            rtc_udp_port: reader.number("rtc_udp_port") as u16,
            rtc_tcp_port: reader.number("rtc_tcp_port") as u16,
            http_port: reader.number("http_port") as u16,
        };
        let key_or_secret =
            settings.livekit_api_key.is_empty() != settings.livekit_api_secret.0.is_empty();
        if key_or_secret {
            let problem =
                "LIVEKIT_API_KEY and LIVEKIT_API_SECRET belong together; set both or none";
            reader.problems.push(problem.to_owned());
        } else if settings.livekit_url.is_some() && settings.livekit_api_key.is_empty() {
            let problem = "LIVEKIT_URL is set without LIVEKIT_API_KEY and LIVEKIT_API_SECRET; set them as the LiveKit server has them";
            reader.problems.push(problem.to_owned());
        }
        if reader.problems.is_empty() && settings.turn_end_long < settings.turn_end_short {
            reader
                .problems
                .push("turn_end_long is shorter than turn_end_short; make it longer".to_owned());
        }
        if reader.problems.is_empty() {
            Ok(settings)
        } else {
            Err(SettingsError::Values(reader.problems))
        }
    }
}

/// Reads single values and keeps the problems.
struct Reader<'a> {
    sources: &'a Sources,
    problems: Vec<String>,
}

impl Reader<'_> {
    /// The value and where it was set.
    fn raw(&self, row: &Row) -> (String, String) {
        let Sources {
            flags,
            file,
            file_path,
            environment,
            ..
        } = self.sources;
        if let Some(value) = flags.get(row.key) {
            return (value.clone(), format!("--{}", row.key.replace('_', "-")));
        }
        if let Some(value) = file.get(row.key) {
            let text = match value {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Null => row.default.to_owned(),
                other => other.to_string(),
            };
            return (text, format!("{} in {}", row.key, file_path.display()));
        }
        if let Some(value) = environment.get(row.env).filter(|v| !v.is_empty()) {
            return (value.clone(), row.env.to_owned());
        }
        (row.default.to_owned(), row.key.to_owned())
    }

    fn text(&mut self, key: &str) -> String {
        let row = find(key);
        let (value, place) = self.raw(row);
        let value = value.trim().to_owned();
        let problem = match row.kind {
            Kind::Choice(words) if !words.contains(&value.as_str()) => {
                Some(format!("it must be one of: {}", words.join(", ")))
            }
            Kind::Url => {
                // OLLAMA_HOST is often written without a scheme, as Ollama itself allows.
                let url = if value.contains("://") {
                    value.clone()
                } else {
                    format!("http://{value}")
                };
                let known = url.starts_with("http://") || url.starts_with("https://");
                match reqwest::Url::parse(&url) {
                    Ok(parsed) if known && parsed.has_host() => {
                        return url.trim_end_matches('/').to_owned();
                    }
                    _ => Some("it must be a URL such as http://localhost:11434".to_owned()),
                }
            }
            Kind::SocketUrl if !value.is_empty() => match reqwest::Url::parse(&value) {
                Ok(url)
                    if matches!(url.scheme(), "ws" | "wss" | "http" | "https")
                        && url.has_host() =>
                {
                    return value.trim_end_matches('/').to_owned();
                }
                _ => Some("it must be a URL such as ws://192.168.1.5:7880".to_owned()),
            },
            _ => None,
        };
        if let Some(problem) = problem {
            self.problems
                .push(format!("{place} is {}: {problem}", quoted(row, &value)));
        }
        value
    }

    fn words(&mut self, key: &str) -> Vec<String> {
        let row = find(key);
        let (value, place) = self.raw(row);
        let words: Vec<String> = value
            .split(',')
            .map(|word| word.trim().to_owned())
            .collect();
        if words.iter().any(String::is_empty) {
            let problem = format!(
                "it must be one name or several with commas, such as {}",
                row.default
            );
            self.problems
                .push(format!("{place} is {}: {problem}", quoted(row, &value)));
        }
        words
    }

    fn number(&mut self, key: &str) -> f64 {
        let row = find(key);
        let (value, place) = self.raw(row);
        let (low, high, whole) = match row.kind {
            Kind::Int(low, high) => (f64::from(low), f64::from(high), true),
            Kind::Number(low, high) => (low, high, false),
            _ => unreachable!("{key} is no number in the table"),
        };
        match value.trim().parse::<f64>() {
            Ok(n) if (low..=high).contains(&n) && (!whole || n.fract() == 0.0) => n,
            _ => {
                let kind = if whole { "a whole number" } else { "a number" };
                let problem = format!("it must be {kind} from {low} to {high}");
                self.problems
                    .push(format!("{place} is {}: {problem}", quoted(row, &value)));
                low
            }
        }
    }

    fn flag(&mut self, key: &str) -> bool {
        let row = find(key);
        let (value, place) = self.raw(row);
        match value.trim().to_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => {
                let problem = "it must be true or false";
                self.problems
                    .push(format!("{place} is {}: {problem}", quoted(row, &value)));
                false
            }
        }
    }

    fn addresses(&mut self, key: &str) -> Vec<IpAddr> {
        let row = find(key);
        let (value, place) = self.raw(row);
        let mut addresses = Vec::new();
        for word in value.split(',').map(str::trim).filter(|w| !w.is_empty()) {
            match word.parse() {
                Ok(address) => addresses.push(address),
                Err(_) => {
                    let problem = "it must be IP addresses, such as 192.168.1.5";
                    self.problems
                        .push(format!("{place} is {}: {problem}", quoted(row, word)));
                }
            }
        }
        addresses
    }

    /// `10m`, `24h`, `30s`, `90` (seconds), a negative number for ever: as Ollama writes it.
    fn keep_alive(&mut self) -> Option<Duration> {
        let row = find("keep_alive");
        let (value, place) = self.raw(row);
        let value = value.trim();
        let (digits, unit) = match value.char_indices().find(|(_, c)| c.is_ascii_alphabetic()) {
            Some((at, _)) => value.split_at(at),
            None => (value, "s"),
        };
        let seconds = match unit {
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3600),
            _ => None,
        };
        match (digits.parse::<i64>(), seconds) {
            (Ok(n), Some(_)) if n < 0 => None,
            (Ok(n), Some(unit)) => Some(Duration::from_secs(n.unsigned_abs().saturating_mul(unit))),
            _ => {
                let problem = "it must be a time such as 10m, 24h, or -1 for always";
                self.problems
                    .push(format!("{place} is {}: {problem}", quoted(row, value)));
                None
            }
        }
    }

    fn map(&mut self, key: &str) -> Vec<(String, String)> {
        let row = find(key);
        match self.sources.file.get(row.key) {
            None | Some(serde_json::Value::Null) => Vec::new(),
            Some(serde_json::Value::Object(map)) => map
                .iter()
                .filter_map(|(word, value)| match value {
                    serde_json::Value::String(said) => Some((word.clone(), said.clone())),
                    _ => {
                        self.problems.push(format!(
                            "{key} in {}: {word:?} must be a text, such as {{\"Nguyen\": \"win\"}}",
                            self.sources.file_path.display()
                        ));
                        None
                    }
                })
                .collect(),
            Some(_) => {
                self.problems.push(format!(
                    "{key} in {} must be a map of texts, such as {{\"Nguyen\": \"win\"}}",
                    self.sources.file_path.display()
                ));
                Vec::new()
            }
        }
    }
}

/// A URL may hold a password, and a secret is one: they are not quoted.
fn quoted(row: &Row, value: &str) -> String {
    match row.kind {
        Kind::Url | Kind::SocketUrl | Kind::Secret => "unusable".to_owned(),
        _ => format!("{:?}", value.chars().take(60).collect::<String>()),
    }
}

fn find(key: &str) -> &'static Row {
    ROWS.iter()
        .find(|row| row.key == key)
        .expect("every key read here is a row of the table")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(environment: &[(&str, &str)], file: &str) -> Sources {
        Sources {
            environment: environment
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            file: serde_json::from_str(file).expect("JSON of the test"),
            file_path: "settings.json".into(),
            data_dir: "/data".into(),
            ..Sources::default()
        }
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        let settings = Settings::resolve(&sources(&[], "{}")).expect("defaults are right");
        assert_eq!(settings.models_dir, PathBuf::from("/data/models"));
        assert_eq!(settings.whisper_model, "whisper-base");
        assert_eq!(settings.follow_up, Duration::from_secs(3));
        assert_eq!(settings.threads, None);
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_environment() {
        let mut all = sources(
            &[("TTS_VOICE", "am_adam"), ("CAAL_PORT", "1")],
            r#"{"tts_voice_kokoro": "bf_emma"}"#,
        );
        assert_eq!(Settings::resolve(&all).expect("right").voice, "bf_emma");
        assert_eq!(Settings::resolve(&all).expect("right").http_port, 1);
        all.flags.insert("tts_voice_kokoro", "am_puck".to_owned());
        assert_eq!(Settings::resolve(&all).expect("right").voice, "am_puck");
    }

    #[test]
    fn all_problems_come_at_once_each_with_its_place() {
        let wrong = sources(
            &[
                ("CAAL_DEVICE", "gpu"),
                ("OLLAMA_HOST", "ftp://user:hunter2@x"),
                ("CAAL_THREADS", "2.5"),
            ],
            r#"{"num_ctx": "many", "pronunciation": {"a": 1}}"#,
        );
        let Err(SettingsError::Values(problems)) = Settings::resolve(&wrong) else {
            panic!("wrong")
        };
        assert_eq!(problems.len(), 5, "{problems:#?}");
        let text = problems.join("\n");
        assert!(
            text.contains("CAAL_DEVICE is \"gpu\": it must be one of: cpu, cuda"),
            "{text}"
        );
        assert!(text.contains("num_ctx in settings.json"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn how_long_a_model_stays_is_written_as_ollama_writes_it() {
        let keep = |text: &str| {
            Settings::resolve(&sources(&[("OLLAMA_KEEP_ALIVE", text)], "{}")).map(|s| s.keep_alive)
        };
        assert_eq!(keep("10m").expect("right"), Some(Duration::from_secs(600)));
        assert_eq!(keep("90").expect("right"), Some(Duration::from_secs(90)));
        assert_eq!(keep("-1").expect("right"), None);
        assert!(keep("a while").is_err());
    }

    #[test]
    fn ollamas_own_way_of_writing_its_address_is_understood() {
        let settings = Settings::resolve(&sources(&[("OLLAMA_HOST", "10.0.0.2:11434/")], "{}"));
        assert_eq!(
            settings.expect("right").ollama_host,
            "http://10.0.0.2:11434"
        );
    }
}
