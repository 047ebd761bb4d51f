//! What the HTTP API asks of the engines: which models, voices and wake words there are, and to get the
//! language model ready. Asks the disk and Ollama, not the loaded engines, so that it answers from the
//! first second.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{sync::oneshot, task::JoinSet, time::timeout};
use tracing::{info, warn};

use super::{
    App, Store, VOICE_MODEL,
    answering::{models_of, server, warming, who_answers},
    chat::Chats,
    trial, wake_folders,
};
use crate::{
    http::{
        Chat, ChatError, ChatQuestion, Chatting, House, Listening, Prewarm, Say, SayError, TryError,
    },
    llm::{
        choice::Answering,
        ollama::{Ollama, OllamaConfig},
    },
    settings::{Live, LlmProvider, Settings},
    telemetry,
    tools::mcp::ServerStatus,
    tts::KokoroTts,
    wake,
    wizard::{self, Service},
};

/// How long it is waited for tools that are looked for anew.
const RELOAD: Duration = Duration::from_secs(5);

/// Lookings at once; one more is none.
const RELOADS: usize = 4;

/// The house of these settings. Work that it begins ends with it.
pub fn house(settings: Live) -> Arc<OurHouse> {
    Arc::new(OurHouse {
        settings,
        app: OnceLock::new(),
        prewarming: Mutex::default(),
        reloading: Arc::default(),
        chats: Chats::default(),
    })
}

/// See the module's text.
pub struct OurHouse {
    settings: Live,
    /// The engines, from the moment when they are loaded.
    app: OnceLock<Arc<App>>,
    /// One at a time.
    prewarming: Mutex<JoinSet<()>>,
    /// Looking for tools anew, a few times at once.
    reloading: Arc<Mutex<JoinSet<()>>>,
    /// Conversations in writing.
    chats: Chats,
}

impl OurHouse {
    /// The engines are there. Once: later ones are not taken.
    pub fn move_in(&self, app: Arc<App>) {
        let _ = self.app.set(app);
    }
}

impl House for OurHouse {
    fn models(&self) -> BoxFuture<'static, Vec<String>> {
        let settings = self.settings.current();
        let (host, server) = (settings.ollama_host.clone(), server(&settings));
        async move {
            if let Some(server) = server {
                return models_of(server).await.unwrap_or_default();
            }
            let found = wizard::ask(&Service::ModelServer { host }).await;
            found
                .ok()
                .and_then(|found| found.models)
                .unwrap_or_default()
        }
        .boxed()
    }

    fn voices(&self) -> BoxFuture<'static, Vec<String>> {
        let folder = Store::new(&self.settings.current().models_dir).path(VOICE_MODEL);
        on_disk(move || KokoroTts::voice_names(&folder).unwrap_or_default())
    }

    fn wake_words(&self) -> BoxFuture<'static, Vec<String>> {
        let folders = wake_folders(&self.settings.current().models_dir);
        on_disk(move || {
            let words = wake::find(&folders)
                .into_iter()
                .filter(wake::WakeWord::calls);
            words
                .map(|word| format!("models/{}.onnx", word.name))
                .collect()
        })
    }

    fn say(&self, say: Say) -> BoxFuture<'static, Result<Vec<u8>, SayError>> {
        let (app, settings) = (self.app.get().cloned(), self.settings.current());
        async move {
            let app = app.ok_or(SayError::Loading)?;
            trial::say(&app, &settings, say).await
        }
        .boxed()
    }

    fn chat(&self, question: ChatQuestion) -> BoxFuture<'static, Result<Chatting, ChatError>> {
        let (app, chats) = (self.app.get().cloned(), self.chats.clone());
        async move {
            let app = app.ok_or(ChatError::Loading)?;
            let settings = app.settings();
            Ok(chats.ask(&app, &settings, question).await)
        }
        .boxed()
    }

    fn sees(&self) -> BoxFuture<'static, bool> {
        match self.app.get() {
            Some(app) => app.engines().llm.sees(),
            None => std::future::ready(false).boxed(),
        }
    }

    fn servers(&self) -> Vec<ServerStatus> {
        self.app.get().map(|app| app.servers()).unwrap_or_default()
    }

    fn reload_tools(&self) -> BoxFuture<'static, usize> {
        let (app, reloading) = (self.app.get().cloned(), self.reloading.clone());
        async move {
            let Some(app) = app else { return 0 };
            let (done, ended) = oneshot::channel();
            {
                let mut tasks = reloading.lock().unwrap_or_else(PoisonError::into_inner);
                while tasks.try_join_next().is_some() {}
                if tasks.len() < RELOADS {
                    let app = app.clone();
                    tasks.spawn(async move {
                        app.reload_tools().await;
                        let _ = done.send(()); // who asked may have gone
                    });
                } else {
                    drop(done); // they are being listed already
                }
            }
            // Whoever asks waits no longer; what is slower comes by itself.
            let _ = timeout(RELOAD, ended).await;
            app.engines().tools.all().len()
        }
        .boxed()
    }

    fn chats(&self) -> Vec<Chat> {
        self.chats.list()
    }

    fn forget_chat(&self, id: String) -> BoxFuture<'static, bool> {
        let (app, chats) = (self.app.get().cloned(), self.chats.clone());
        async move { chats.forget(app.as_deref(), &id).await }.boxed()
    }

    fn listen(
        &self,
        word: String,
        rate_hz: u32,
    ) -> BoxFuture<'static, Result<Box<dyn Listening>, TryError>> {
        let (app, settings) = (self.app.get().cloned(), self.settings.current());
        async move {
            let load = move || trial::listen(app.as_deref(), &settings, &word, rate_hz);
            let loading = tokio::task::spawn_blocking(load);
            let ended = |e| {
                let how = telemetry::ended(&e);
                TryError::Failed(format!("the thread that loads it {how}; see the log"))
            };
            loading.await.map_err(ended)?
        }
        .boxed()
    }

    fn prewarm(&self) -> Prewarm {
        let settings = self.settings.current();
        if !matches!(
            settings.llm_provider,
            LlmProvider::Auto | LlmProvider::Ollama
        ) {
            return Prewarm::Skipped("Prewarm only applies to Ollama provider");
        }
        let mut tasks = self
            .prewarming
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        if tasks.is_empty() {
            tasks.spawn(async move {
                match prewarm(&settings).await {
                    Ok(Some(model)) => info!(model, "loaded ahead of its first question"),
                    Ok(None) => info!("there is no Ollama whose model could be loaded ahead"),
                    Err(why) => warn!("the language model was not loaded ahead: {why}"),
                }
            });
        }
        Prewarm::Started
    }
}

/// Has Ollama load its model; which one, where there is an Ollama.
async fn prewarm(settings: &Settings) -> Result<Option<String>, String> {
    let answers = who_answers(settings).await;
    if answers.choice.answering != Answering::Ollama {
        return Ok(None);
    }
    let config = OllamaConfig {
        url: settings.ollama_host.clone(),
        model: answers.model.clone(),
        num_ctx: settings.num_ctx,
        keep_alive: settings.keep_alive,
        think: settings.ollama_think,
        temperature: settings.temperature,
        ..OllamaConfig::default()
    };
    let ollama = Ollama::new(config).map_err(|e| e.to_string())?;
    let warm_up = warming(&ollama, settings)();
    warm_up.await.map_err(|e| e.to_string())?;
    Ok(Some(answers.model))
}

/// What `look` finds, looked for on a thread for that; nothing where it fails.
fn on_disk<T: Default + Send + 'static>(
    look: impl FnOnce() -> T + Send + 'static,
) -> BoxFuture<'static, T> {
    async move { tokio::task::spawn_blocking(look).await.unwrap_or_default() }.boxed()
}
