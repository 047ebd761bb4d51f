//! The table of settings: everything else about them is derived from it. The first
//! [`CAAL_ROWS`] are CAAL's own, by its names and in its order, because its clients expect them.

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Any text of one line, empty allowed.
    Text,
    /// A file or folder.
    Path,
    /// `http://` or `https://`.
    Url,
    /// The same, or empty.
    OptionalUrl,
    /// `ws://` or `wss://` (`http://` and `https://` mean the same); may be empty.
    SocketUrl,
    /// Any text of one line; never shown. Its variable with `_FILE` behind names a file that holds it.
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
    /// Texts, as a list; in the environment with `|` or line ends between.
    Lines,
    /// A map of texts.
    Map,
    /// How long something stays: `10m`, `24h`, `90` (seconds), a negative number for ever.
    Stay,
    /// IP addresses with commas between; may be empty.
    Addresses,
    /// Networks with commas between, such as `100.64.0.0/10`; may be empty.
    Networks,
    /// Names of hosts with commas between; may be empty.
    Hosts,
    /// Origins of pages with commas between, such as `https://caal.example`; may be empty.
    Origins,
    /// The name of a time zone; may be empty.
    Zone,
    /// A language that Whisper knows, by its code; or `auto`.
    Language,
}

/// When a change of a setting is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// With the next request that asks for it.
    AtOnce,
    /// Between two turns, in conversations that are going on, too.
    NextTurn,
    /// When the program is started again.
    NextStart,
}

impl Applies {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Applies::AtOnce => "at once",
            Applies::NextTurn => "next turn",
            Applies::NextStart => "next start",
        }
    }
}

/// Who may change a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Whoever may use the HTTP API.
    Api,
    /// Only somebody on this machine (`caal settings`, the file, the environment): what it says
    /// decides which code is loaded, which ports are open, and who may come in.
    Machine,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name in the settings file.
    pub key: &'static str,
    /// Its environment variable; empty for none.
    pub env: &'static str,
    /// A second variable that means the same, for whoever comes from another program; empty for none.
    pub also: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Used when nobody says anything.
    pub default: &'static str,
    /// When a change is seen.
    pub applies: Applies,
    /// Who may change it.
    pub reach: Reach,
    /// What it does, for people.
    pub doc: &'static str,
}

impl Row {
    /// The row of `key`.
    pub fn find(key: &str) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.key == key)
    }

    /// The row that people mean by `name`: its key, or one of its variables.
    pub fn named(name: &str) -> Option<&'static Row> {
        let is = |text: &str| !text.is_empty() && text == name;
        let mut rows = ROWS.iter();
        rows.find(|row| row.key == name || is(row.env) || is(row.also))
    }

    /// The row whose key is most like `name`, for who has misspelt it.
    pub fn near(name: &str) -> Option<&'static Row> {
        let name = name.trim().to_lowercase().replace('-', "_");
        let like = |row: &&Row| {
            let (mut one, mut other) = (pairs(row.key), pairs(&name));
            let all = one.len() + other.len();
            one.retain(|pair| {
                let at = other.iter().position(|p| p == pair);
                at.map(|at| other.swap_remove(at)).is_some()
            });
            // Dice's coefficient of the pairs of letters, in hundredths.
            (200 * one.len()).checked_div(all).unwrap_or(0)
        };
        let best = ROWS.iter().max_by_key(like)?;
        (like(&best) >= 50).then_some(best)
    }

    /// Whether its value is never shown.
    pub fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    const fn taking_effect(mut self, applies: Applies) -> Self {
        self.applies = applies;
        self
    }

    const fn on_this_machine(mut self) -> Self {
        self.reach = Reach::Machine;
        self
    }

    const fn also(mut self, variable: &'static str) -> Self {
        self.also = variable;
        self
    }
}

fn pairs(text: &str) -> Vec<(char, char)> {
    text.chars().zip(text.chars().skip(1)).collect()
}

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
        also: "",
        kind,
        default,
        applies: Applies::NextStart,
        reach: Reach::Api,
        doc,
    }
}

/// How many of [`ROWS`], from the first, are CAAL's.
pub const CAAL_ROWS: usize = 29;

/// All settings, in the order of the documentation.
pub const ROWS: &[Row] = &[
    row(
        "first_launch_completed",
        "",
        Kind::Bool,
        "false",
        "Whether the page's first-run wizard was gone through or skipped.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "agent_name",
        "CAAL_ASSISTANT_NAME",
        Kind::Text,
        "Cal",
        "What the assistant calls itself.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "prompt",
        "CAAL_PROMPT",
        Kind::Choice(&["default", "custom"]),
        "default",
        "What the assistant is told about itself: the prompt inside the binary, or `custom.md` in `CAAL_PROMPT_DIR` (else the folder `prompt` of the data folder). Without that file: the default. In it are filled in `{{ASSISTANT_NAME}}`, `{{CURRENT_DATE_CONTEXT}}`, `{{DATE}}`, `{{TIMEZONE}}`.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "wake_greetings",
        "CAAL_WAKE_GREETINGS",
        Kind::Lines,
        "Yes?|Hello!|I'm listening.|What can I do?|How can I help?|Go ahead.|I'm here.",
        "What is said when the assistant is woken, one of them by chance: over the API, or by its wake word where no word follows that at once. None: nothing. In the environment with `|` between.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "stt_provider",
        "STT_PROVIDER",
        Kind::Choice(&["speaches", "groq"]),
        "speaches",
        "Who recognises speech, for CAAL's clients. Today this machine does, whatever is set; `groq` is kept for the engine that is to come.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "llm_provider",
        "LLM_PROVIDER",
        Kind::Choice(&["auto", "ollama", "embedded", "groq", "openai_compatible"]),
        "auto",
        "Who answers. `auto`: Ollama when it answers, else the model inside the binary, also when Ollama is lost later. The others answer alone: `groq` (outside the house), `openai_compatible` (vLLM, llama.cpp, LM Studio and others, at `openai_base_url`).",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "tts_provider",
        "TTS_PROVIDER",
        Kind::Choice(&["kokoro", "piper"]),
        "kokoro",
        "Who speaks. Today Kokoro does, whatever is set; `piper` is kept for the engine that is to come.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "tts_voice_kokoro",
        "TTS_VOICE",
        Kind::Text,
        "af_heart",
        "Voice, or a blend such as `af_bella(2)+af_sky(1)`.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "tts_voice_piper",
        "CAAL_PIPER_VOICE",
        Kind::Text,
        "speaches-ai/piper-en_US-ryan-high",
        "Voice of Piper. Kept for the engine that is to come.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "temperature",
        "OLLAMA_TEMPERATURE",
        Kind::Number(0.0, 2.0),
        "0.7",
        "Freedom of the language model that a server (Ollama, Groq, OpenAI-compatible) runs.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "ollama_host",
        "OLLAMA_HOST",
        Kind::Url,
        "http://localhost:11434",
        "Address of Ollama.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "ollama_model",
        "OLLAMA_MODEL",
        Kind::Text,
        "",
        "Model that Ollama runs. Empty: the first one it has.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "num_ctx",
        "OLLAMA_NUM_CTX",
        Kind::Int(1024, 131_072),
        "8192",
        "Context of the language model that Ollama runs, in tokens.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "groq_api_key",
        "GROQ_API_KEY",
        Kind::Secret,
        "",
        "API key of Groq.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "groq_model",
        "GROQ_MODEL",
        Kind::Text,
        "llama-3.3-70b-versatile",
        "Model that Groq runs.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "hass_enabled",
        "HASS_ENABLED",
        Kind::Bool,
        "false",
        "Whether Home Assistant is used.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "hass_host",
        "HASS_HOST",
        Kind::OptionalUrl,
        "",
        "Address of Home Assistant, such as `http://homeassistant.local:8123`.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "hass_token",
        "HASS_TOKEN",
        Kind::Secret,
        "",
        "Long-lived access token of Home Assistant.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "n8n_enabled",
        "N8N_ENABLED",
        Kind::Bool,
        "false",
        "Whether the workflows of n8n are used.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "n8n_url",
        "N8N_MCP_URL",
        Kind::OptionalUrl,
        "",
        "MCP address of n8n, such as `http://host:5678/mcp-server/http`.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "n8n_token",
        "N8N_MCP_TOKEN",
        Kind::Secret,
        "",
        "Access token of n8n's MCP server.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "max_turns",
        "OLLAMA_MAX_TURNS",
        Kind::Int(1, 100),
        "20",
        "Turns of the conversation that the language model is given.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "tool_cache_size",
        "TOOL_CACHE_SIZE",
        Kind::Int(0, 10),
        "3",
        "Calls of tools whose results the language model sees again in the next turns, at least; from twice as many on the oldest are dropped.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "wake_word_enabled",
        "CAAL_WAKE_WORD_ENABLED",
        Kind::Bool,
        "false",
        "In rooms: sleep until the wake word. Without it the assistant always listens.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "wake_word_model",
        "CAAL_WAKE_WORD",
        Kind::Words,
        "models/hey_jarvis.onnx",
        "Wake word, where one is asked for, or several: `hey_jarvis,alexa`. CAAL's `models/hey_jarvis.onnx` means the same as `hey_jarvis`.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "wake_word_threshold",
        "CAAL_WAKE_THRESHOLD",
        Kind::Number(0.0, 1.0),
        "0.5",
        "Score from which a wake word counts.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "wake_word_timeout",
        "CAAL_WAKE_TIMEOUT",
        Kind::Number(1.0, 30.0),
        "3.0",
        "Seconds after an answer in which no wake word is needed.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "allow_interruptions",
        "CAAL_ALLOW_INTERRUPTIONS",
        Kind::Bool,
        "true",
        "In rooms: whether the user may speak over the assistant. If not, the microphone is not heard while it speaks.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "min_endpointing_delay",
        "CAAL_TURN_END_SHORT",
        Kind::Number(0.1, 1.0),
        "0.25",
        "Seconds of silence that end a turn which sounds complete.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "turn_end_long",
        "CAAL_TURN_END_LONG",
        Kind::Number(0.3, 4.0),
        "1.5",
        "Seconds of silence that end a turn which sounds unfinished.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "language",
        "CAAL_LANGUAGE",
        Kind::Language,
        "en",
        "Language spoken to the assistant: a Whisper code (`en`, `de`, …) or `auto`.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "stt_prompt",
        "CAAL_STT_PROMPT",
        Kind::Text,
        "",
        "Names and spellings that speech recognition should expect, as a sentence.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "whisper_model",
        "WHISPER_MODEL",
        Kind::Text,
        "whisper-base",
        "Speech recognition model: a name from `caal models list`, a hub name such as `Systran/faster-whisper-small`, a folder with a CTranslate2 Whisper model, or a ggml file such as `ggml-base.bin` (only where built with `--features whisper-cpp`).",
    ),
    row(
        "speech_speed",
        "CAAL_SPEED",
        Kind::Number(0.5, 2.0),
        "1.0",
        "Speed of speech; 1 is the voice's own.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "pronunciation",
        "",
        Kind::Map,
        "",
        "How words are said: `{\"Nguyen\": \"win\"}`. Not in the environment.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "keep_alive",
        "OLLAMA_KEEP_ALIVE",
        Kind::Stay,
        "-1",
        "How long Ollama keeps the model loaded: `10m`, `24h`, `-1` for always.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "embedded_model",
        "CAAL_EMBEDDED_MODEL",
        Kind::Text,
        "smollm2-135m-instruct",
        "Language model inside the binary: a name from `caal models list` or a GGUF file.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "timezone",
        "TIMEZONE",
        Kind::Zone,
        "",
        "Time zone of the assistant's day and hour: a name such as `Europe/Berlin`. Empty: this machine's.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "timezone_display",
        "TIMEZONE_DISPLAY",
        Kind::Text,
        "",
        "What that zone is called when it is spoken of: `Pacific Time`. Empty: its short name.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "models_dir",
        "CAAL_MODELS",
        Kind::Path,
        "",
        "Folder of the model files. Empty: `models` in the data folder (`$XDG_DATA_HOME/caal`, else `~/.local/share/caal`).",
    )
    .on_this_machine(),
    row(
        "device",
        "CAAL_DEVICE",
        Kind::Choice(&["cpu", "cuda"]),
        "cpu",
        "Processor for Whisper and Kokoro. `cuda` needs the CUDA build of ONNX Runtime (`caal models pull onnxruntime-cuda`).",
    )
    .on_this_machine(),
    row(
        "threads",
        "CAAL_THREADS",
        Kind::Int(0, 64),
        "0",
        "Processor cores that one model may use. 0: all of this machine's, at most 8.",
    )
    .on_this_machine(),
    row(
        "onnxruntime",
        "ORT_DYLIB_PATH",
        Kind::Path,
        "",
        "ONNX Runtime library. Empty: the one that `caal models pull` fetched.",
    )
    .on_this_machine(),
    row(
        "livekit_url",
        "LIVEKIT_URL",
        Kind::SocketUrl,
        "",
        "A LiveKit server to work for. Empty: `caal serve` is the room itself.",
    )
    .on_this_machine(),
    row(
        "livekit_api_key",
        "LIVEKIT_API_KEY",
        Kind::Text,
        "",
        "API key of the LiveKit server. Without a server: of the room itself, made at the first start where none is set.",
    )
    .on_this_machine(),
    row(
        "livekit_api_secret",
        "LIVEKIT_API_SECRET",
        Kind::Secret,
        "",
        "API secret that belongs to the key.",
    )
    .on_this_machine(),
    row(
        "livekit_agent_name",
        "CAAL_AGENT_NAME",
        Kind::Text,
        "",
        "Name for explicit dispatch on a LiveKit server. Empty: it comes into every new room.",
    )
    .on_this_machine(),
    row(
        "livekit_room",
        "CAAL_ROOM",
        Kind::Text,
        "voice_assistant_room",
        "The room that clients are sent to.",
    )
    .on_this_machine(),
    row(
        "node_ip",
        "CAAL_NODE_IP",
        Kind::Addresses,
        "",
        "Addresses at which clients reach this machine's media ports, with commas. Empty: those of its network cards. In a container: the host's.",
    )
    .on_this_machine(),
    row(
        "rtc_port",
        "CAAL_RTC_PORT",
        Kind::Int(0, 65535),
        "7880",
        "Port of the room's signalling (HTTP, WebSocket).",
    )
    .on_this_machine(),
    row(
        "rtc_udp_port",
        "CAAL_RTC_UDP_PORT",
        Kind::Int(0, 65535),
        "7882",
        "Port of the room's sound over UDP.",
    )
    .on_this_machine(),
    row(
        "rtc_tcp_port",
        "CAAL_RTC_TCP_PORT",
        Kind::Int(0, 65535),
        "7881",
        "Port of the room's sound over TCP, for networks without UDP.",
    )
    .on_this_machine(),
    row(
        "http_port",
        "CAAL_PORT",
        Kind::Int(0, 65_535),
        "8889",
        "Port of the HTTP API. 0: any free one.",
    )
    .on_this_machine()
    .also("WEBHOOK_PORT"),
    row(
        "vk_agent_port",
        "VK_AGENT_PORT",
        Kind::Int(0, 65_535),
        "0",
        "A second port for VK-Agent's paths, where its callers look for them (3004). 0: none.",
    )
    .on_this_machine(),
    row(
        "api_key",
        "CAAL_API_KEY",
        Kind::Secret,
        "",
        "Key to the page and the HTTP API: at least 16 letters and digits, such as `openssl rand -hex 32` writes. Empty: only this machine gets in. See [security.md](security.md), as for the next seven.",
    )
    .on_this_machine(),
    row(
        "listen",
        "CAAL_LISTEN",
        Kind::Addresses,
        "",
        "Addresses at which the page and the HTTP API listen. Empty: 127.0.0.1, or all where there is a key.",
    )
    .on_this_machine(),
    row(
        "trusted_networks",
        "CAAL_TRUSTED_NETWORKS",
        Kind::Networks,
        "",
        "Networks whose devices need no key, for CAAL's mobile app, which can send none: `100.64.0.0/10` is a tailnet. Everybody in them gets in.",
    )
    .on_this_machine(),
    row(
        "key_in_path",
        "CAAL_KEY_IN_PATH",
        Kind::Bool,
        "false",
        "Whether the key may stand in the path, `/api/key/<key>/settings`, for CAAL's web front end, which can send it nowhere else.",
    )
    .on_this_machine(),
    row(
        "webhook_secret",
        "CAAL_WEBHOOK_SECRET",
        Kind::Secret,
        "",
        "Secret with which callers sign `/announce`, `/wake` and `/reload-tools` instead of sending the key (Standard Webhooks): `whsec_` and base64, or at least 16 letters.",
    )
    .on_this_machine(),
    row(
        "trusted_proxies",
        "CAAL_TRUSTED_PROXIES",
        Kind::Networks,
        "",
        "Proxies that are believed when they say for whom they ask (`X-Forwarded-For`, `X-Forwarded-Proto`): `127.0.0.1`.",
    )
    .on_this_machine(),
    row(
        "hosts",
        "CAAL_HOSTS",
        Kind::Hosts,
        "",
        "Names by which this server is asked for, beside localhost, its addresses and its own name: `caal.example.org`.",
    )
    .on_this_machine(),
    row(
        "origins",
        "CAAL_ORIGINS",
        Kind::Origins,
        "",
        "Pages of other origins that may use the HTTP API from a browser: `https://panel.example.org`.",
    )
    .on_this_machine(),
    row(
        "keep_turn_words",
        "CAAL_KEEP_TURN_WORDS",
        Kind::Bool,
        "false",
        "Whether the list of past turns (`/api/turns`, in memory only) keeps what was said beside how long it took.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "tool_rounds",
        "CAAL_TOOL_ROUNDS",
        Kind::Int(1, 20),
        "5",
        "How often tools may be called for one question, one after the other.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "tool_fillers",
        "CAAL_TOOL_FILLERS",
        Kind::Bool,
        "true",
        "Whether something is said (\"One moment.\") where tools take longer than a second.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "fast_path",
        "CAAL_FAST_PATH",
        Kind::Bool,
        "true",
        "Whether plain commands (\"turn on the lamp\", \"set a timer for five minutes\") are done at once, without the language model. See [tools.md](tools.md).",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "conversation_history",
        "CAAL_CONVERSATION_HISTORY",
        Kind::Bool,
        "true",
        "Whether conversations are kept on this machine's disk (`caal.db` in the data folder), so that the assistant remembers after a reconnect and a restart. Off: from then on nothing is written and nothing is remembered; what is there stays until it is deleted (`caal conversations delete --all`). See [security.md](security.md).",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "conversation_resume",
        "CAAL_CONVERSATION_RESUME",
        Kind::Int(0, 10_080),
        "30",
        "Minutes after the last answer in which a conversation goes on where it was, when somebody comes back into its room. 0: every conversation begins anew.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "conversation_retention",
        "CAAL_CONVERSATION_RETENTION",
        Kind::Int(0, 36_500),
        "30",
        "Days after which what was said is deleted from the disk. 0: never.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "memory_enabled",
        "CAAL_MEMORY",
        Kind::Bool,
        "true",
        "Whether the assistant may keep facts and notes that it is asked to remember, and is given those facts with every question. Off: they are neither used nor added to; `caal memory clear` deletes them.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "web_search",
        "CAAL_WEB_SEARCH",
        Kind::Choice(&["duckduckgo", "searxng", "off"]),
        "duckduckgo",
        "Who is asked when the assistant searches the web: DuckDuckGo, a SearXNG server (`web_search_url`), or nobody.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "web_search_url",
        "CAAL_WEB_SEARCH_URL",
        Kind::OptionalUrl,
        "",
        "The SearXNG server to search with, such as `http://localhost:8888`; it must allow the format `json`.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "mcp_servers",
        "CAAL_MCP_SERVERS",
        Kind::Path,
        "",
        "File that names more MCP servers, as CAAL's `mcp_servers.json` does; see [tools.md](tools.md). It names programs that are run. Empty: `mcp_servers.json` beside the settings file. A change of the file is seen within seconds.",
    )
    .taking_effect(Applies::AtOnce)
    .on_this_machine(),
    row(
        "n8n_webhook_auth",
        "N8N_WEBHOOK_AUTH",
        Kind::Secret,
        "",
        "What n8n's webhooks want to see, where they want a login: `Bearer …`, `Basic user:password` or `Header-Name: value`.",
    )
    .taking_effect(Applies::AtOnce),
    row(
        "openai_base_url",
        "OPENAI_BASE_URL",
        Kind::OptionalUrl,
        "",
        "Address of an OpenAI-compatible server, such as `http://localhost:8000/v1`; without a path `/v1` is meant.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "openai_api_key",
        "OPENAI_API_KEY",
        Kind::Secret,
        "",
        "Key that the OpenAI-compatible server wants. Empty: none is sent.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "openai_model",
        "OPENAI_MODEL",
        Kind::Text,
        "",
        "Model that the OpenAI-compatible server runs. Empty: the first one it has.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "ollama_think",
        "OLLAMA_THINK",
        Kind::Bool,
        "false",
        "Whether a model of Ollama that can reason does so before it answers. It answers later, and better where that is needed; what it thinks is never spoken.",
    )
    .taking_effect(Applies::NextTurn),
    row(
        "otlp_endpoint",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        Kind::OptionalUrl,
        "",
        "Collector that a trace of every turn is sent to (OTLP over HTTP), such as `http://localhost:4318`. Empty: none. See [monitoring.md](monitoring.md).",
    )
    .on_this_machine(),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// From the contract with CAAL's clients, section 6.1.
    const CAAL: &str = "first_launch_completed agent_name prompt wake_greetings stt_provider \
        llm_provider tts_provider tts_voice_kokoro tts_voice_piper temperature ollama_host \
        ollama_model num_ctx groq_api_key groq_model hass_enabled hass_host hass_token n8n_enabled \
        n8n_url n8n_token max_turns tool_cache_size wake_word_enabled wake_word_model \
        wake_word_threshold wake_word_timeout allow_interruptions min_endpointing_delay";

    #[test]
    fn caals_keys_come_first_in_its_order() {
        let ours: Vec<&str> = ROWS[..CAAL_ROWS].iter().map(|row| row.key).collect();
        assert_eq!(ours, CAAL.split_whitespace().collect::<Vec<_>>());
        assert!(ROWS[..CAAL_ROWS].iter().all(|row| row.reach == Reach::Api));
    }

    #[test]
    fn no_key_and_no_variable_stands_twice() {
        let mut seen = BTreeSet::new();
        for row in ROWS {
            assert!(seen.insert(row.key), "{}", row.key);
            for variable in [row.env, row.also] {
                assert!(variable.is_empty() || seen.insert(variable), "{variable}");
            }
        }
    }

    #[test]
    fn what_decides_about_code_and_doors_is_out_of_the_apis_reach() {
        for key in [
            "models_dir",
            "onnxruntime",
            "http_port",
            "livekit_api_secret",
        ] {
            assert_eq!(Row::find(key).map(|row| row.reach), Some(Reach::Machine));
        }
    }
}
