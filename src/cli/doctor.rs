//! `caal doctor`: what is there, what is missing, the one next step.

use std::{fmt::Write as _, io::IsTerminal, net::Ipv4Addr, time::Duration};

use serde::Serialize;

use super::{ExitCode, Failure, out::say};
use crate::{
    app::{self, Answers},
    engine::Device,
    llm::choice::{Answering, Embedded, SUGGESTED},
    local::device::{self, Devices},
    models::{ModelsError, State, Store},
    settings::{LlmProvider, Settings},
};

/// Arguments of `caal doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    /// There and working.
    Good,
    /// Missing, but a conversation is possible without it.
    Weak,
    /// Missing, and nothing works without it.
    Bad,
}

#[derive(Debug, Serialize)]
struct Check {
    part: String,
    health: Health,
    finding: String,
    /// A command or an action.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
}

impl Check {
    fn good(part: &str, finding: impl Into<String>) -> Self {
        Self {
            part: part.to_owned(),
            health: Health::Good,
            finding: finding.into(),
            step: None,
        }
    }

    fn not(self, health: Health, step: impl Into<String>) -> Self {
        Self {
            health,
            step: Some(step.into()),
            ..self
        }
    }
}

/// Exit code when a part is missing without which nothing works (`sysexits`: unavailable).
const BROKEN: u8 = 69;

pub(super) async fn run(args: Args, settings: Settings) -> Result<ExitCode, Failure> {
    let mut checks = vec![machine(), data_folder(&settings)];
    checks.extend(models(&settings));
    checks.push(speech_to_text(&settings));
    checks.push(runtime(&settings));
    checks.push(language_model(&settings).await);
    checks.extend(sound());
    checks.push(port(&settings).await);
    let bad = checks.iter().any(|c| c.health == Health::Bad);
    let next = checks
        .iter()
        .find(|c| c.health == Health::Bad)
        .or_else(|| checks.iter().find(|c| c.health == Health::Weak))
        .and_then(|c| c.step.clone())
        .unwrap_or_else(|| "all is there: caal talk".to_owned());
    if args.json {
        let report = serde_json::json!({ "ready": !bad, "checks": checks, "next": next });
        say(format_args!("{report:#}"))?;
    } else {
        say(as_text(&checks, &next))?;
    }
    Ok(if bad {
        ExitCode::from(BROKEN)
    } else {
        ExitCode::SUCCESS
    })
}

/// All of it at once: a reader who wants the first line only still gets it whole.
fn as_text(checks: &[Check], next: &str) -> String {
    let mut text = String::new();
    let colour = std::io::stdout().is_terminal();
    let width = checks
        .iter()
        .map(|c| c.part.chars().count())
        .max()
        .unwrap_or(0);
    for check in checks {
        let (mark, code) = match check.health {
            Health::Good => ("ok", "32"),
            Health::Weak => ("--", "33"),
            Health::Bad => ("!!", "31"),
        };
        let mark = if colour {
            format!("\x1b[{code}m{mark}\x1b[0m")
        } else {
            mark.to_owned()
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{mark}  {:width$}  {}", check.part, check.finding);
    }
    let _ = write!(text, "\nNext step: {next}");
    text
}

fn machine() -> Check {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut finding = format!("{cores} cores, {}", std::env::consts::ARCH);
    #[cfg(target_arch = "x86_64")]
    {
        let vnni = std::arch::is_x86_feature_detected!("avx512vnni")
            || std::arch::is_x86_feature_detected!("avxvnni");
        let avx2 = std::arch::is_x86_feature_detected!("avx2");
        finding.push_str(match (vnni, avx2) {
            (true, _) => ", AVX2 and VNNI",
            (false, true) => ", AVX2",
            (false, false) => ", no AVX2: speech will be slow",
        });
    }
    Check::good("machine", finding)
}

fn data_folder(settings: &Settings) -> Check {
    let folder = &settings.models_dir;
    let finding = folder.display().to_string();
    let writable = std::fs::create_dir_all(folder)
        .and_then(|()| tempfile_in(folder))
        .map_err(|e| {
            format!("make {finding} writable, or set CAAL_MODELS to a folder that is ({e})")
        });
    match writable {
        Ok(()) => Check::good("models folder", finding),
        Err(step) => Check::good("models folder", format!("{finding} cannot be written"))
            .not(Health::Weak, step),
    }
}

/// Whether a file can be made in `folder`.
fn tempfile_in(folder: &std::path::Path) -> std::io::Result<()> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    std::fs::File::create(&path)?;
    std::fs::remove_file(&path)
}

/// The models that every conversation needs, whatever is set.
fn models(settings: &Settings) -> Vec<Check> {
    let store = Store::new(&settings.models_dir);
    let names = store.manifest().defaults().filter_map(|model| {
        match (&*model.name, settings.device) {
            // What the settings name instead is looked at by the checks that follow.
            ("whisper-base" | "smollm2-135m-instruct", _) => None,
            ("onnxruntime", _) if settings.onnxruntime.is_some() => None,
            ("onnxruntime", Device::Cuda) => Some("onnxruntime-cuda"),
            (name, _) => Some(name),
        }
    });
    names
        .map(|name| {
            let check = Check::good(&format!("model {name}"), "");
            let state = store.state(name);
            let step = match &state {
                State::Present => {
                    return Check {
                        finding: "there".into(),
                        ..check
                    };
                }
                State::Missing | State::Incomplete(_) if name == "onnxruntime-cuda" => {
                    format!("caal models pull {name}")
                }
                State::Missing | State::Incomplete(_) => "caal models pull".to_owned(),
                State::Damaged(_) => format!("caal models rm {name} && caal models pull {name}"),
            };
            Check {
                finding: state.to_string(),
                ..check
            }
            .not(Health::Bad, step)
        })
        .collect()
}

/// The model that is set, and which engine would run it.
fn speech_to_text(settings: &Settings) -> Check {
    let part = "speech to text";
    let name = &settings.whisper_model;
    let step = "set WHISPER_MODEL=whisper-base";
    match Store::new(&settings.models_dir).resolve_whisper(name) {
        Ok(model) if model.is_dir() => Check::good(part, name),
        Ok(_) if cfg!(feature = "whisper-cpp") => {
            Check::good(part, format!("{name}, by whisper.cpp on the CPU"))
        }
        Ok(_) => Check::good(
            part,
            format!("{name} is a ggml model, whisper.cpp is not built in"),
        )
        .not(
            Health::Bad,
            format!(
                "{step}, or build with: cargo build --release --features embedded-llm,whisper-cpp"
            ),
        ),
        Err(e) => {
            let step = match &e {
                ModelsError::NotHere {
                    name,
                    state: State::Damaged(_),
                } => format!("caal models rm {name} && caal models pull {name}"),
                ModelsError::NotHere { name, .. } => format!("caal models pull {name}"),
                _ => step.to_owned(),
            };
            Check::good(part, e.to_string()).not(Health::Bad, step)
        }
    }
}

fn runtime(settings: &Settings) -> Check {
    let device = match settings.device {
        Device::Cpu => "on the CPU",
        Device::Cuda => "on CUDA",
    };
    match app::runtime(settings) {
        Ok(_) => Check::good("ONNX Runtime", format!("loads, {device}")),
        Err(e) => {
            let step = match (&settings.onnxruntime, settings.device) {
                (Some(_), _) => "set ORT_DYLIB_PATH to ONNX Runtime's library, or leave it out",
                (None, Device::Cpu) => "caal models pull onnxruntime",
                (None, Device::Cuda) => "caal models pull onnxruntime-cuda",
            };
            Check::good("ONNX Runtime", e.to_string()).not(Health::Bad, step)
        }
    }
}

/// Who answers, by the same choice that `serve` makes.
async fn language_model(settings: &Settings) -> Check {
    let part = "language model";
    let Answers {
        choice,
        model,
        ollama,
        embedded,
        ..
    } = app::who_answers(settings).await;
    let named = &settings.embedded_model;
    let store = Store::new(&settings.models_dir);
    let known = store.manifest().get(named).is_some();
    let fetch = match known {
        true => format!("caal models pull {named}"),
        false => "set CAAL_EMBEDDED_MODEL to a GGUF file that is there".to_owned(),
    };
    let from_ollama = match &*model {
        "" => format!("ollama pull {SUGGESTED}"),
        model => format!("ollama pull {model}"),
    };
    match (choice.answering, embedded) {
        (Answering::Ollama, Embedded::NoFile) => Check::good(
            part,
            format!("Ollama, {model}; nobody when it is lost"),
        )
        .not(Health::Weak, fetch),
        (Answering::Ollama, _) => Check::good(part, format!("Ollama, {model}")),
        (Answering::Server, _) => Check::good(part, choice.sentence),
        (Answering::Embedded, _) if known && store.state(named) != State::Present => {
            Check::good(part, format!("the built-in {named} is {}", store.state(named))).not(
                Health::Bad,
                format!("caal models rm {named} && caal models pull {named}"),
            )
        }
        (Answering::Embedded, _) => Check::good(part, choice.sentence).not(
            Health::Weak,
            match ollama {
                true => from_ollama,
                false => format!(
                    "talk to it: caal talk; for better answers install Ollama (ollama.com) and run: ollama pull {SUGGESTED}"
                ),
            },
        ),
        (Answering::Nobody, embedded) => Check::good(part, choice.sentence).not(
            Health::Bad,
            match embedded {
                Embedded::NoFile => fetch,
                _ if ollama => from_ollama,
                Embedded::NotWanted if settings.llm_provider != LlmProvider::Ollama => {
                    "start that server, or set LLM_PROVIDER=auto".to_owned()
                }
                Embedded::NotWanted => "start Ollama, or set LLM_PROVIDER=auto".to_owned(),
                Embedded::NotBuilt | Embedded::Ready => {
                    "start Ollama, or build with the model inside: cargo build --release --features embedded-llm"
                        .to_owned()
                }
            },
        ),
    }
}

fn sound() -> Vec<Check> {
    let step = "plug one in; without, use files: caal talk --in question.wav --out answer.wav";
    if let Err(error) = device::check(&Devices::default()) {
        return vec![Check::good("sound", error.to_string()).not(Health::Weak, step)];
    }
    let devices = device::list();
    [("microphone", "input"), ("loudspeaker", "output")]
        .into_iter()
        .map(|(part, direction)| {
            let mut there = devices.iter().filter(|d| d.direction == direction);
            let used = there.clone().find(|d| d.default).or_else(|| there.next());
            Check::good(
                part,
                used.map_or("the system's default", |d| d.name.as_str()),
            )
        })
        .collect()
}

async fn port(settings: &Settings) -> Check {
    let part = "server";
    let port = settings.http_port;
    let url = format!("http://127.0.0.1:{port}/health");
    crate::tls::install();
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(2))
        .no_proxy()
        .build();
    let alive = match client {
        Ok(client) => client
            .get(url)
            .send()
            .await
            .is_ok_and(|r| r.status().is_success()),
        Err(_) => false,
    };
    if alive {
        return Check::good(part, format!("runs on port {port}"));
    }
    match tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(_) => Check::good(part, format!("not running; port {port} is free")),
        Err(e) => Check::good(part, format!("port {port} cannot be used ({e})"))
            .not(Health::Weak, "choose another port: caal serve --port 8890"),
    }
}
