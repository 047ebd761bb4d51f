//! The table of settings: everything else about them is derived from it.

use std::fmt::Write as _;

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Any text, empty allowed.
    Text,
    /// A file or folder.
    Path,
    /// `http://` or `https://`.
    Url,
    /// `ws://` or `wss://` (`http://` and `https://` mean the same); may be empty.
    SocketUrl,
    /// Any text; never shown.
    Secret,
    /// `true` or `false` (also `1`/`0`, `yes`/`no`, `on`/`off`).
    Bool,
    /// A whole number in this range.
    Int(u32, u32),
    /// A number in this range.
    Number(f64, f64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Words with commas between, at least one.
    Words,
    /// A map of words, in the settings file only.
    Map,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name in the settings file.
    pub key: &'static str,
    /// Its environment variable; empty for none.
    pub env: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Used when nobody says anything.
    pub default: &'static str,
    /// What it does, for people.
    pub doc: &'static str,
}

/// All settings, in the order of the documentation.
pub const ROWS: &[Row] = &[
    row(
        "models_dir",
        "CAAL_MODELS",
        Kind::Path,
        "",
        "Folder of the model files. Empty: `models` in the data folder (`$XDG_DATA_HOME/caal`, else `~/.local/share/caal`).",
    ),
    row(
        "device",
        "CAAL_DEVICE",
        Kind::Choice(&["cpu", "cuda"]),
        "cpu",
        "Processor for Whisper and Kokoro. `cuda` needs the CUDA build of ONNX Runtime (`caal models pull onnxruntime-cuda`).",
    ),
    row(
        "threads",
        "CAAL_THREADS",
        Kind::Int(0, 64),
        "0",
        "Processor cores that one model may use. 0: all of this machine's, at most 8.",
    ),
    row(
        "onnxruntime",
        "ORT_DYLIB_PATH",
        Kind::Path,
        "",
        "ONNX Runtime library. Empty: the one that `caal models pull` fetched.",
    ),
    row(
        "whisper_model",
        "WHISPER_MODEL",
        Kind::Text,
        "whisper-base",
        "Speech recognition model: a name from `caal models list`, a hub name such as `Systran/faster-whisper-small`, a folder with a CTranslate2 Whisper model, or a ggml file such as `ggml-base.bin` (only where built with `--features whisper-cpp`).",
    ),
    row(
        "language",
        "CAAL_LANGUAGE",
        Kind::Text,
        "en",
        "Language spoken to the assistant: a Whisper code (`en`, `de`, …) or `auto`.",
    ),
    row(
        "stt_prompt",
        "CAAL_STT_PROMPT",
        Kind::Text,
        "",
        "Names and spellings that speech recognition should expect, as a sentence.",
    ),
    row(
        "tts_voice_kokoro",
        "TTS_VOICE",
        Kind::Text,
        "af_heart",
        "Voice, or a blend such as `af_bella(2)+af_sky(1)`.",
    ),
    row(
        "speech_speed",
        "CAAL_SPEED",
        Kind::Number(0.5, 2.0),
        "1.0",
        "Speed of speech; 1 is the voice's own.",
    ),
    row(
        "pronunciation",
        "",
        Kind::Map,
        "",
        "How words are said: `{\"Nguyen\": \"win\"}`. In the settings file only.",
    ),
    row(
        "llm_provider",
        "LLM_PROVIDER",
        Kind::Choice(&["auto", "ollama", "embedded"]),
        "auto",
        "Who answers. `auto`: Ollama when it answers, else the model inside the binary, also when Ollama is lost later.",
    ),
    row(
        "ollama_host",
        "OLLAMA_HOST",
        Kind::Url,
        "http://localhost:11434",
        "Address of Ollama.",
    ),
    row(
        "ollama_model",
        "OLLAMA_MODEL",
        Kind::Text,
        "",
        "Model that Ollama runs. Empty: the first one it has.",
    ),
    row(
        "num_ctx",
        "OLLAMA_NUM_CTX",
        Kind::Int(1024, 131_072),
        "8192",
        "Context of the language model in tokens.",
    ),
    row(
        "keep_alive",
        "OLLAMA_KEEP_ALIVE",
        Kind::Text,
        "-1",
        "How long Ollama keeps the model loaded: `10m`, `24h`, `-1` for always.",
    ),
    row(
        "temperature",
        "OLLAMA_TEMPERATURE",
        Kind::Number(0.0, 2.0),
        "0.7",
        "Freedom of the language model.",
    ),
    row(
        "embedded_model",
        "CAAL_EMBEDDED_MODEL",
        Kind::Text,
        "smollm2-135m-instruct",
        "Language model inside the binary: a name from `caal models list` or a GGUF file.",
    ),
    row(
        "agent_name",
        "CAAL_ASSISTANT_NAME",
        Kind::Text,
        "Cal",
        "What the assistant calls itself.",
    ),
    row(
        "max_turns",
        "OLLAMA_MAX_TURNS",
        Kind::Int(1, 100),
        "20",
        "Turns of the conversation that the language model is given.",
    ),
    row(
        "wake_word_model",
        "CAAL_WAKE_WORD",
        Kind::Words,
        "hey_jarvis",
        "Wake word, where one is asked for, or several: `hey_jarvis,alexa`.",
    ),
    row(
        "wake_word_threshold",
        "CAAL_WAKE_THRESHOLD",
        Kind::Number(0.0, 1.0),
        "0.5",
        "Score from which a wake word counts.",
    ),
    row(
        "wake_word_timeout",
        "CAAL_WAKE_TIMEOUT",
        Kind::Number(1.0, 30.0),
        "3.0",
        "Seconds after an answer in which no wake word is needed.",
    ),
    row(
        "turn_end_short",
        "CAAL_TURN_END_SHORT",
        Kind::Number(0.1, 1.0),
        "0.25",
        "Seconds of silence that end a turn which sounds complete.",
    ),
    row(
        "turn_end_long",
        "CAAL_TURN_END_LONG",
        Kind::Number(0.3, 4.0),
        "1.5",
        "Seconds of silence that end a turn which sounds unfinished.",
    ),
    row(
        "wake_word_enabled",
        "CAAL_WAKE_WORD_ENABLED",
        Kind::Bool,
        "false",
        "In rooms: sleep until the wake word. Without it the assistant always listens.",
    ),
    row(
        "livekit_url",
        "LIVEKIT_URL",
        Kind::SocketUrl,
        "",
        "A LiveKit server to work for. Empty: `caal serve` is the room itself.",
    ),
    row(
        "livekit_api_key",
        "LIVEKIT_API_KEY",
        Kind::Text,
        "",
        "API key of the LiveKit server. Without a server: of the room itself, made at the first start where none is set.",
    ),
    row(
        "livekit_api_secret",
        "LIVEKIT_API_SECRET",
        Kind::Secret,
        "",
        "API secret that belongs to the key.",
    ),
    row(
        "livekit_agent_name",
        "CAAL_AGENT_NAME",
        Kind::Text,
        "",
        "Name for explicit dispatch on a LiveKit server. Empty: it comes into every new room.",
    ),
    row(
        "livekit_room",
        "CAAL_ROOM",
        Kind::Text,
        "voice_assistant_room",
        "The room that clients are sent to.",
    ),
    row(
        "node_ip",
        "CAAL_NODE_IP",
        Kind::Text,
        "",
        "Addresses at which clients reach this machine's media ports, with commas. Empty: those of its network cards. In a container: the host's.",
    ),
    row(
        "rtc_port",
        "CAAL_RTC_PORT",
        Kind::Int(0, 65535),
        "7880",
        "Port of the room's signalling (HTTP, WebSocket).",
    ),
    row(
        "rtc_udp_port",
        "CAAL_RTC_UDP_PORT",
        Kind::Int(0, 65535),
        "7882",
        "Port of the room's sound over UDP.",
    ),
    row(
        "rtc_tcp_port",
        "CAAL_RTC_TCP_PORT",
        Kind::Int(0, 65535),
        "7881",
        "Port of the room's sound over TCP, for networks without UDP.",
    ),
    row(
        "http_port",
        "CAAL_PORT",
        Kind::Int(0, 65_535),
        "8889",
        "Port of the HTTP API. 0: any free one.",
    ),
];

const fn row(
    key: &'static str,
    env: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Row {
    Row {
        key,
        env,
        kind,
        default,
        doc,
    }
}

/// `docs/settings.md`: a test holds the file against this text.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Settings\n\n\
         From strongest to weakest: the command line, the settings file (`settings.json` in the data folder, or\n\
         the file named by `CAAL_SETTINGS_PATH`), the environment, a `.env` file in the working folder, the default.\n\n\
         | key | environment | values | default | what it does |\n|---|---|---|---|---|\n",
    );
    for row in ROWS {
        let env = if row.env.is_empty() {
            "–".to_owned()
        } else {
            format!("`{}`", row.env)
        };
        let default = if row.default.is_empty() {
            "–".to_owned()
        } else {
            format!("`{}`", row.default)
        };
        let values = match row.kind {
            Kind::Text => "text".to_owned(),
            Kind::Path => "path".to_owned(),
            Kind::Words => "words with commas".to_owned(),
            Kind::Url => "URL".to_owned(),
            Kind::SocketUrl => "URL, `ws://…`".to_owned(),
            Kind::Secret => "secret".to_owned(),
            Kind::Bool => "`true`, `false`".to_owned(),
            Kind::Int(low, high) => format!("{low} to {high}"),
            Kind::Number(low, high) => format!("{low} to {high}"),
            Kind::Choice(words) => words
                .iter()
                .map(|w| format!("`{w}`"))
                .collect::<Vec<_>>()
                .join(", "),
            Kind::Map => "map".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "| `{}` | {env} | {values} | {default} | {} |",
            row.key, row.doc
        );
    }
    out
}
