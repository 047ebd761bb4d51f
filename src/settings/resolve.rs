//! From values as written to values that can be used: all problems at once.

use std::{fmt, net::IpAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

use serde_json::Value;

use super::{
    network::Network,
    source::Sources,
    table::Row,
    value::{self, quoted},
};
use crate::{engine::Device, fault::Fault, llm::prompt, models::HubOptions, pii::Pii};

/// Fewest letters of a key or secret that somebody chooses for us to be guarded with.
const SHORTEST_KEY: usize = 16;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Which language model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LlmProvider {
    /// Ollama when it answers, else the embedded model.
    Auto,
    /// Ollama only.
    Ollama,
    /// The model inside the binary only.
    Embedded,
    /// Groq only.
    Groq,
    /// The OpenAI-compatible server of the settings only.
    OpenAiCompatible,
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
    pub ollama_think: bool,
    pub num_ctx: u32,
    pub keep_alive: Option<Duration>,
    pub temperature: f32,
    pub groq_api_key: Pii<String>,
    pub groq_model: String,
    pub openai_base_url: String,
    pub openai_api_key: Pii<String>,
    pub openai_model: String,
    pub embedded_model: String,
    pub first_launch_completed: bool,
    pub agent_name: String,
    /// The template in use: the user's own where `prompt` says `custom` and there is one.
    pub prompt: Pii<String>,
    pub timezone: String,
    pub timezone_display: String,
    pub max_turns: usize,
    /// How often tools may be called for one question.
    pub tool_rounds: usize,
    /// Whether something is said while tools take long.
    pub tool_fillers: bool,
    /// Whether plain commands are done without the language model.
    pub fast_path: bool,
    /// Results of tools that the language model sees again, at least.
    pub tool_cache_size: usize,
    pub wake_greetings: Vec<String>,
    pub wake_words: Vec<String>,
    pub wake_threshold: f32,
    pub follow_up: Duration,
    pub allow_interruptions: bool,
    /// The row `min_endpointing_delay`.
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
    pub vk_agent_port: Option<u16>,
    pub api_key: Option<Pii<String>>,
    pub listen: Vec<IpAddr>,
    pub trusted_networks: Vec<Network>,
    pub key_in_path: bool,
    pub webhook_secret: Option<Pii<String>>,
    pub trusted_proxies: Vec<Network>,
    pub hosts: Vec<String>,
    pub origins: Vec<String>,
    pub keep_turn_words: bool,
    pub conversation_history: bool,
    /// Zero: every conversation begins anew.
    pub conversation_resume: Duration,
    /// None: for ever.
    pub conversation_retention: Option<Duration>,
    pub memory_enabled: bool,
    /// Who searches the web: `duckduckgo`, `searxng` or `off`.
    pub web_search: String,
    /// The row `web_search_url`, where it is set.
    pub web_search_url: Option<String>,
    pub hass_enabled: bool,
    pub hass_host: String,
    pub hass_token: Option<Pii<String>>,
    pub n8n_enabled: bool,
    pub n8n_url: String,
    pub n8n_token: Option<Pii<String>>,
    pub n8n_webhook_auth: Option<Pii<String>>,
    /// The file that names other servers; there may be none.
    pub mcp_servers: PathBuf,
    pub otlp_endpoint: Option<String>,
}

/// One value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The row.
    pub key: &'static str,
    /// A sentence for people: where it was set, what it may be. Never a secret.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why the settings cannot be used, or not be changed.
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
    /// A file of settings cannot be written; it is as it was.
    #[error("{} cannot be written ({reason}); nothing was changed", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says, and the next step.
        reason: String,
    },
    /// All wrong values; nothing was changed.
    #[error("{}", lines(.0))]
    Values(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    let texts: Vec<&str> = problems.iter().map(|p| p.text.as_str()).collect();
    texts.join("\n")
}

impl SettingsError {
    /// What the error means for its caller: the user's to mend, but for a disk that takes nothing.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoHome | Self::File { .. } | Self::Values(_) => Fault::Request,
            Self::Write { .. } => Fault::Internal,
        }
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
        match Self::read(sources) {
            (settings, problems) if problems.is_empty() => Ok(settings),
            (_, problems) => Err(SettingsError::Values(problems)),
        }
    }

    /// The values of `sources`, and all that is wrong with them: there the defaults stand.
    pub(super) fn read(sources: &Sources) -> (Self, Vec<Problem>) {
        let mut reader = Reader {
            sources,
            problems: Vec::new(),
        };
        let settings = reader.settings();
        reader.check_together(&settings);
        (settings, reader.problems)
    }
}

/// Reads single values and keeps the problems.
struct Reader<'a> {
    sources: &'a Sources,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn settings(&mut self) -> Settings {
        let sources = self.sources;
        let path = |text: String| (!text.is_empty()).then(|| PathBuf::from(text));
        Settings {
            data_dir: sources.data_dir.clone(),
            models_dir: path(self.text("models_dir"))
                .unwrap_or_else(|| sources.data_dir.join("models")),
            hub: HubOptions::from_env(&sources.environment),
            device: match self.text("device").as_str() {
                "cuda" => Device::Cuda,
                _ => Device::Cpu,
            },
            threads: NonZeroUsize::new(self.whole("threads") as usize),
            onnxruntime: path(self.text("onnxruntime")),
            whisper_model: self.text("whisper_model"),
            language: self.text("language").to_lowercase(),
            stt_prompt: self.text("stt_prompt"),
            voice: self.text("tts_voice_kokoro"),
            speed: self.number("speech_speed") as f32,
            pronunciation: self.map("pronunciation"),
            llm_provider: match self.text("llm_provider").as_str() {
                "ollama" => LlmProvider::Ollama,
                "embedded" => LlmProvider::Embedded,
                "groq" => LlmProvider::Groq,
                "openai_compatible" => LlmProvider::OpenAiCompatible,
                _ => LlmProvider::Auto,
            },
            ollama_host: self.text("ollama_host"),
            ollama_model: self.text("ollama_model"),
            ollama_think: self.flag("ollama_think"),
            num_ctx: self.whole("num_ctx"),
            keep_alive: value::stay(&self.text("keep_alive")).flatten(),
            temperature: self.number("temperature") as f32,
            groq_api_key: Pii(self.text("groq_api_key")),
            groq_model: self.text("groq_model"),
            openai_base_url: self.text("openai_base_url"),
            openai_api_key: Pii(self.text("openai_api_key")),
            openai_model: self.text("openai_model"),
            embedded_model: self.text("embedded_model"),
            first_launch_completed: self.flag("first_launch_completed"),
            agent_name: self.text("agent_name"),
            prompt: {
                let custom = self.text("prompt") == "custom";
                let own = sources.custom_prompt.as_ref().filter(|_| custom);
                own.cloned()
                    .unwrap_or_else(|| Pii(prompt::DEFAULT_TEMPLATE.to_owned()))
            },
            timezone: self.text("timezone"),
            timezone_display: self.text("timezone_display"),
            max_turns: self.whole("max_turns") as usize,
            tool_rounds: self.whole("tool_rounds") as usize,
            tool_fillers: self.flag("tool_fillers"),
            fast_path: self.flag("fast_path"),
            tool_cache_size: self.whole("tool_cache_size") as usize,
            wake_greetings: self.list("wake_greetings"),
            wake_words: self.wake_words(),
            wake_threshold: self.number("wake_word_threshold") as f32,
            follow_up: self.seconds("wake_word_timeout"),
            allow_interruptions: self.flag("allow_interruptions"),
            turn_end_short: self.seconds("min_endpointing_delay"),
            turn_end_long: self.seconds("turn_end_long"),
            wake_word_enabled: self.flag("wake_word_enabled"),
            livekit_url: Some(self.text("livekit_url")).filter(|url| !url.is_empty()),
            livekit_api_key: self.text("livekit_api_key"),
            livekit_api_secret: Pii(self.text("livekit_api_secret")),
            livekit_agent_name: self.text("livekit_agent_name"),
            livekit_room: self.text("livekit_room"),
            node_ip: value::addresses(&self.text("node_ip")).unwrap_or_default(),
            rtc_port: self.port("rtc_port"),
            rtc_udp_port: self.port("rtc_udp_port"),
            rtc_tcp_port: self.port("rtc_tcp_port"),
            http_port: self.port("http_port"),
            vk_agent_port: Some(self.port("vk_agent_port")).filter(|port| *port > 0),
            api_key: self.secret("api_key"),
            listen: value::addresses(&self.text("listen")).unwrap_or_default(),
            trusted_networks: Network::list(&self.text("trusted_networks")).unwrap_or_default(),
            key_in_path: self.flag("key_in_path"),
            webhook_secret: self.secret("webhook_secret"),
            trusted_proxies: Network::list(&self.text("trusted_proxies")).unwrap_or_default(),
            hosts: self.words("hosts"),
            origins: self.words("origins"),
            keep_turn_words: self.flag("keep_turn_words"),
            conversation_history: self.flag("conversation_history"),
            conversation_resume: MINUTE * self.whole("conversation_resume"),
            conversation_retention: Some(DAY * self.whole("conversation_retention"))
                .filter(|days| !days.is_zero()),
            memory_enabled: self.flag("memory_enabled"),
            web_search: self.text("web_search"),
            web_search_url: Some(self.text("web_search_url")).filter(|url| !url.is_empty()),
            hass_enabled: self.flag("hass_enabled"),
            hass_host: self.text("hass_host"),
            hass_token: self.secret("hass_token"),
            n8n_enabled: self.flag("n8n_enabled"),
            n8n_url: self.text("n8n_url"),
            n8n_token: self.secret("n8n_token"),
            n8n_webhook_auth: self.secret("n8n_webhook_auth"),
            mcp_servers: path(self.text("mcp_servers"))
                .unwrap_or_else(|| self.sources.file_path.with_file_name("mcp_servers.json")),
            otlp_endpoint: Some(self.text("otlp_endpoint")).filter(|url| !url.is_empty()),
        }
    }

    /// What single values cannot tell.
    fn check_together(&mut self, settings: &Settings) {
        let key_or_secret =
            settings.livekit_api_key.is_empty() != settings.livekit_api_secret.0.is_empty();
        let mut problem = |key, text: &str| {
            let text = text.to_owned();
            self.problems.push(Problem { key, text });
        };
        if key_or_secret {
            problem(
                "livekit_api_secret",
                "LIVEKIT_API_KEY and LIVEKIT_API_SECRET belong together; set both or none",
            );
        } else if settings.livekit_url.is_some() && settings.livekit_api_key.is_empty() {
            problem(
                "livekit_api_key",
                "LIVEKIT_URL is set without LIVEKIT_API_KEY and LIVEKIT_API_SECRET; set them as the LiveKit server has them",
            );
        }
        let long = |secret: &Pii<String>| {
            secret.0.len() >= SHORTEST_KEY && secret.0.bytes().all(|b| b.is_ascii_graphic())
        };
        match &settings.api_key {
            Some(key) if !long(key) => problem(
                "api_key",
                "CAAL_API_KEY must be at least 16 letters, digits or signs without blanks; make one with: openssl rand -hex 32",
            ),
            Some(_) => {}
            None => {
                if settings.listen.iter().any(|address| !address.is_loopback()) {
                    problem(
                        "listen",
                        "CAAL_LISTEN names an address that others reach, and there is no key; set CAAL_API_KEY (make one with: openssl rand -hex 32)",
                    );
                }
                if !settings.trusted_networks.is_empty() {
                    problem(
                        "trusted_networks",
                        "CAAL_TRUSTED_NETWORKS is set, and without a key only this machine gets in; set CAAL_API_KEY, too",
                    );
                }
                if settings.key_in_path {
                    problem(
                        "key_in_path",
                        "CAAL_KEY_IN_PATH is set, and there is no key; set CAAL_API_KEY, too",
                    );
                }
            }
        }
        if settings.webhook_secret.as_ref().is_some_and(|s| !long(s)) {
            problem(
                "webhook_secret",
                "CAAL_WEBHOOK_SECRET must be at least 16 letters, digits or signs without blanks; make one with: openssl rand -hex 32",
            );
        }
        if settings.turn_end_long < settings.turn_end_short {
            problem(
                "turn_end_long",
                "turn_end_long is shorter than min_endpointing_delay; make it longer",
            );
        }
    }

    /// The value of `key`; its default, where what is set cannot be used, which is noted.
    fn value(&mut self, key: &'static str) -> Value {
        let row = Row::find(key).expect("every key read here is a row of the table");
        let (given, origin) = self.sources.given(row);
        value::check(row, &given).unwrap_or_else(|must| {
            let place = self.sources.place(row, &origin);
            let text = format!("{place} is {}: {must}", quoted(row, &given));
            self.problems.push(Problem { key, text });
            value::default(row)
        })
    }

    fn text(&mut self, key: &'static str) -> String {
        match self.value(key) {
            Value::String(text) => text,
            _ => unreachable!("{key} is no text in the table"),
        }
    }

    fn secret(&mut self, key: &'static str) -> Option<Pii<String>> {
        Some(self.text(key))
            .filter(|secret| !secret.is_empty())
            .map(Pii)
    }

    fn words(&mut self, key: &'static str) -> Vec<String> {
        let text = self.text(key);
        value::split(&text).map(str::to_owned).collect()
    }

    fn number(&mut self, key: &'static str) -> f64 {
        let value = self.value(key);
        value.as_f64().expect("a number in the table")
    }

    fn whole(&mut self, key: &'static str) -> u32 {
        let value = self.value(key).as_u64();
        value
            .and_then(|n| u32::try_from(n).ok())
            .expect("a whole number in the table, whose ranges are u32")
    }

    fn port(&mut self, key: &'static str) -> u16 {
        u16::try_from(self.whole(key)).expect("the table's range of a port")
    }

    fn seconds(&mut self, key: &'static str) -> Duration {
        Duration::from_secs_f64(self.number(key))
    }

    fn flag(&mut self, key: &'static str) -> bool {
        self.value(key) == Value::Bool(true)
    }

    fn list(&mut self, key: &'static str) -> Vec<String> {
        let texts = self.value(key);
        let texts = texts.as_array().into_iter().flatten();
        texts.filter_map(|t| Some(t.as_str()?.to_owned())).collect()
    }

    fn map(&mut self, key: &'static str) -> Vec<(String, String)> {
        let texts = self.value(key);
        let texts = texts.as_object().into_iter().flatten();
        texts
            .filter_map(|(word, said)| Some((word.clone(), said.as_str()?.to_owned())))
            .collect()
    }

    /// CAAL writes `models/hey_jarvis.onnx` for what is called `hey_jarvis` here.
    fn wake_words(&mut self) -> Vec<String> {
        let text = self.text("wake_word_model");
        text.split(',')
            .map(|word| {
                let bare = word.strip_prefix("models/");
                let bare = bare.and_then(|file| file.strip_suffix(".onnx"));
                bare.unwrap_or(word).to_owned()
            })
            .collect()
    }
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
        assert!(problems.iter().any(|p| p.key == "pronunciation"));
        let text = SettingsError::Values(problems).to_string();
        assert!(
            text.contains("CAAL_DEVICE is \"gpu\": it must be one of: cpu, cuda"),
            "{text}"
        );
        assert!(text.contains("num_ctx in settings.json"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn nobody_from_outside_is_let_in_without_a_key() {
        let said = |pairs: &[(&str, &str)]| match Settings::resolve(&sources(pairs, "{}")) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        let key = ("CAAL_API_KEY", "0123456789abcdef");
        for set in [
            ("CAAL_LISTEN", "127.0.0.1, 0.0.0.0"),
            ("CAAL_TRUSTED_NETWORKS", "100.64.0.0/10"),
            ("CAAL_KEY_IN_PATH", "true"),
        ] {
            let text = said(&[set]);
            assert!(
                text.contains(set.0) && text.contains("CAAL_API_KEY"),
                "{text}"
            );
            assert_eq!(said(&[set, key]), "");
        }
        assert_eq!(said(&[("CAAL_LISTEN", "127.0.0.1")]), "");
        for weak in ["short", "0123456789 abcdef", "0123456789äbcdef"] {
            let text = said(&[("CAAL_API_KEY", weak), ("CAAL_WEBHOOK_SECRET", weak)]);
            assert!(
                text.contains("CAAL_API_KEY must") && !text.contains(weak),
                "{text}"
            );
            assert!(text.contains("CAAL_WEBHOOK_SECRET must"), "{text}");
        }
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
