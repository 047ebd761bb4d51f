//! Which language model answers with these settings, and that one built: Ollama, the embedded model, Ollama with
//! the embedded one behind it, or an OpenAI-compatible server.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::sync::watch;

use super::{Store, system_prompt};
#[cfg(feature = "embedded-llm")]
use crate::llm::{
    embedded::{self, EmbeddedConfig, EmbeddedLlm},
    fallback::Fallback,
    lazy::Lazy,
};
use crate::{
    cli::Failure,
    llm::{
        Llm, LlmError,
        choice::{Answering, Choice, Embedded, choose, choose_embedded, choose_server},
        fallback::Turned,
        ollama::{Ollama, OllamaConfig},
        openai::{GROQ_URL, OpenAi, OpenAiConfig, Service},
    },
    settings::{LlmProvider, Settings},
};

/// A language model, chosen.
pub struct Chosen {
    /// It, with the embedded model behind it where that may take over.
    pub llm: Arc<dyn Llm>,
    /// Who answers, for the user.
    pub sentence: String,
    /// Changes when another takes over; none where there is no other.
    pub turned: Option<watch::Receiver<Turned>>,
    /// Makes its first answer as fast as the later ones; for afterwards. Dropped, it is not done.
    pub warm_up: Option<BoxFuture<'static, Result<(), LlmError>>>,
}

/// Who would answer.
pub struct Answers {
    /// Who, and what the user is told.
    pub choice: Choice,
    /// The model that the server runs or should have; empty where it has none and none is set.
    pub model: String,
    /// Whether an Ollama is there, with or without the model.
    pub ollama: bool,
    /// How it is with the embedded model.
    pub embedded: Embedded,
    /// The server that is set, and no other, is to answer, and it does not at the moment.
    down: Option<Answering>,
}

impl Answers {
    /// Somebody does.
    pub(super) fn someone(&self) -> bool {
        self.choice.answering != Answering::Nobody
    }
}

/// How it is with the embedded model. Looks for its file.
pub(super) fn embedded_state(settings: &Settings) -> Embedded {
    match (
        cfg!(feature = "embedded-llm"),
        embedded_file(settings).is_file(),
    ) {
        _ if !matches!(
            settings.llm_provider,
            LlmProvider::Auto | LlmProvider::Embedded
        ) =>
        {
            Embedded::NotWanted
        }
        (false, _) => Embedded::NotBuilt,
        (true, false) => Embedded::NoFile,
        (true, true) => Embedded::Ready,
    }
}

/// How to reach the server of `settings` that speaks OpenAI's language; `None` where another is to answer.
pub(super) fn server(settings: &Settings) -> Option<OpenAiConfig> {
    let (service, url, key, model) = match settings.llm_provider {
        LlmProvider::Groq => (
            Service::Groq,
            GROQ_URL,
            &settings.groq_api_key,
            &settings.groq_model,
        ),
        LlmProvider::OpenAiCompatible => (
            Service::Compatible,
            &*settings.openai_base_url,
            &settings.openai_api_key,
            &settings.openai_model,
        ),
        LlmProvider::Auto | LlmProvider::Ollama | LlmProvider::Embedded => return None,
    };
    Some(OpenAiConfig {
        key: key.clone(),
        model: model.clone(),
        temperature: settings.temperature,
        ..OpenAiConfig::new(service, url)
    })
}

/// The models of `server`.
pub(super) async fn models_of(server: OpenAiConfig) -> Result<Vec<String>, LlmError> {
    OpenAi::new(server)?.models().await
}

/// Who answers with these settings. Asks the server whether it is there, and loads nothing.
pub async fn who_answers(settings: &Settings) -> Answers {
    let embedded = embedded_state(settings);
    if settings.llm_provider == LlmProvider::Embedded {
        return Answers {
            choice: choose_embedded(embedded),
            model: String::new(),
            ollama: false,
            embedded,
            down: None,
        };
    }
    if let Some(server) = server(settings) {
        let (service, set) = (server.service, server.model.clone());
        let probe = models_of(server).await;
        let model = match &probe {
            // Nobody named a model: take the first that is there.
            Ok(models) if set.is_empty() => models.first().cloned().unwrap_or_default(),
            _ => set,
        };
        return Answers {
            choice: choose_server(&probe, service.name(), service.model(), &model),
            down: is_down(&probe).then_some(Answering::Server),
            model,
            ollama: false,
            embedded,
        };
    }
    let probe = Ollama::probe(&settings.ollama_host).await;
    let model = match &probe {
        // Nobody named a model: take the first that is there.
        Ok(models) if settings.ollama_model.is_empty() => {
            models.first().map_or_else(String::new, |m| m.name.clone())
        }
        _ => settings.ollama_model.clone(),
    };
    Answers {
        choice: choose(&probe, &model, embedded),
        model,
        ollama: probe.is_ok(),
        embedded,
        down: (settings.llm_provider == LlmProvider::Ollama && is_down(&probe))
            .then_some(Answering::Ollama),
    }
}

/// Nobody is there, or whoever is there is not well.
fn is_down<T>(probe: &Result<T, LlmError>) -> bool {
    matches!(probe, Err(LlmError::Remote { .. }))
}

/// Who answers, built. Where it is Ollama, and the provider is `auto`, the embedded model stands behind
/// it, loaded only when it is needed.
///
/// # Errors
///
/// When nobody can answer.
pub async fn llm(settings: &Settings) -> Result<Chosen, Failure> {
    built(settings, who_answers(settings).await).await
}

/// The same, where a server that is set and is not there may come yet: it was not there when the house lost its
/// power, either. Until it is, each question is told so, and all that needs no model goes on.
///
/// # Errors
///
/// When nobody can answer, now or later.
pub(super) async fn llm_for_long(settings: &Settings) -> Result<Chosen, Failure> {
    let mut answers = who_answers(settings).await;
    if let Some(down) = answers.down
        && !answers.model.is_empty()
    {
        answers
            .choice
            .sentence
            .push_str(". Until the server answers, questions that need it are told so");
        answers.choice.answering = down;
    }
    built(settings, answers).await
}

async fn built(settings: &Settings, answers: Answers) -> Result<Chosen, Failure> {
    let Answers {
        choice,
        model,
        embedded,
        ..
    } = answers;
    let file = embedded_file(settings);
    match choice.answering {
        Answering::Ollama => {
            let ollama = Ollama::new(OllamaConfig {
                url: settings.ollama_host.clone(),
                model,
                num_ctx: settings.num_ctx,
                keep_alive: settings.keep_alive,
                think: settings.ollama_think,
                temperature: settings.temperature,
                ..OllamaConfig::default()
            })?;
            Ok(match embedded {
                Embedded::Ready => with_fallback(ollama, settings, &file, choice.sentence),
                Embedded::NoFile | Embedded::NotBuilt | Embedded::NotWanted => {
                    alone(ollama, settings, choice.sentence)
                }
            })
        }
        Answering::Server => match server(settings) {
            Some(config) => {
                let server = OpenAi::new(OpenAiConfig { model, ..config })?;
                Ok(alone_there(server, settings, choice.sentence))
            }
            None => Err(Failure::internal(
                "a server was chosen that is not set; please report it",
            )),
        },
        Answering::Embedded => load_embedded(settings, &file, choice.sentence).await,
        Answering::Nobody if settings.llm_provider == LlmProvider::Embedded => {
            Err(Failure::request(choice.sentence))
        }
        Answering::Nobody => Err(Failure::remote(choice.sentence)),
    }
}

/// The GGUF file that is set: a name of the manifest or a path.
pub(super) fn embedded_file(settings: &Settings) -> PathBuf {
    let named = Path::new(&settings.embedded_model);
    if named.extension().is_some_and(|e| e == "gguf") {
        return named.to_owned();
    }
    let store = Store::new(&settings.models_dir);
    let file = store
        .manifest()
        .get(&settings.embedded_model)
        .and_then(|m| m.files.iter().find(|f| f.path.ends_with(".gguf")))
        .map(|f| f.path.clone());
    store
        .path(&settings.embedded_model)
        .join(file.unwrap_or_default())
}

#[cfg(feature = "embedded-llm")]
fn embedded_config(settings: &Settings, file: &Path) -> EmbeddedConfig {
    EmbeddedConfig::new(file, crate::engine::cores(settings.threads))
}

/// Ollama, and nobody behind it.
fn alone(ollama: Ollama, settings: &Settings, sentence: String) -> Chosen {
    let warm_up = Some(warming(&ollama, settings)());
    Chosen {
        llm: Arc::new(ollama),
        sentence,
        turned: None,
        warm_up,
    }
}

/// A server, and nobody behind it.
fn alone_there(server: OpenAi, settings: &Settings, sentence: String) -> Chosen {
    let (reader, system) = (server.clone(), system_prompt(settings));
    Chosen {
        llm: Arc::new(server),
        sentence,
        turned: None,
        warm_up: Some(async move { reader.warm_up(&system).await }.boxed()),
    }
}

/// Has Ollama load its model and read the system prompt, whenever it is called.
pub(super) fn warming(
    ollama: &Ollama,
    settings: &Settings,
) -> impl Fn() -> BoxFuture<'static, Result<(), LlmError>> + Send + Sync + use<> {
    let (ollama, settings) = (ollama.clone(), settings.clone());
    move || {
        let (ollama, system) = (ollama.clone(), system_prompt(&settings));
        async move { ollama.warm_up(Some(&system)).await }.boxed()
    }
}

/// Ollama, and the model in `file` behind it.
#[cfg(feature = "embedded-llm")]
fn with_fallback(ollama: Ollama, settings: &Settings, file: &Path, sentence: String) -> Chosen {
    let config = embedded_config(settings, file);
    let name = embedded::name_of(file);
    let second = Lazy::new(name, move || {
        let model = EmbeddedLlm::load(config.clone())?;
        Ok(Arc::new(model) as Arc<dyn Llm>)
    });
    let warming = Arc::new(warming(&ollama, settings));
    let both = Fallback::new(Arc::new(ollama), Arc::new(second), warming);
    Chosen {
        turned: Some(both.turned()),
        warm_up: Some(both.warm_up()),
        llm: Arc::new(both),
        sentence,
    }
}

#[cfg(not(feature = "embedded-llm"))]
fn with_fallback(ollama: Ollama, settings: &Settings, _: &Path, sentence: String) -> Chosen {
    alone(ollama, settings, sentence)
}

#[cfg(feature = "embedded-llm")]
async fn load_embedded(
    settings: &Settings,
    file: &Path,
    sentence: String,
) -> Result<Chosen, Failure> {
    let config = embedded_config(settings, file);
    let loaded = tokio::task::spawn_blocking(move || EmbeddedLlm::load(config))
        .await
        .map_err(|e| {
            Failure::internal(format!(
                "the language model failed while it was loaded: {e}"
            ))
        })?;
    let model = loaded?;
    let (reader, system) = (model.clone(), system_prompt(settings));
    Ok(Chosen {
        llm: Arc::new(model),
        sentence,
        turned: None,
        warm_up: Some(async move { reader.warm_up(&system).await }.boxed()),
    })
}

#[cfg(not(feature = "embedded-llm"))]
#[allow(
    clippy::unused_async,
    reason = "the same signature as with the feature"
)]
async fn load_embedded(_: &Settings, _: &Path, _: String) -> Result<Chosen, Failure> {
    Err(Failure::request(
        "this caal was built without a language model inside; build it with --features embedded-llm",
    ))
}
