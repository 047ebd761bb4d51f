//! A language model that is loaded when it is first asked. The one that answers only when another is
//! lost should cost an idle server neither memory nor time; once loaded it stays.

use std::sync::{Arc, Mutex, OnceLock};

use futures_util::{
    StreamExt as _, TryStreamExt as _, future::BoxFuture, stream, stream::BoxStream,
};
use tracing::info;

use super::{ChatRequest, Delta, Llm, LlmError};
use crate::telemetry;

/// See the module's text.
pub struct Lazy {
    name: String,
    loader: Arc<Loader>,
}

struct Loader {
    load: Box<dyn Fn() -> Result<Arc<dyn Llm>, LlmError> + Send + Sync>,
    loaded: OnceLock<Arc<dyn Llm>>,
    // Held while the model is loaded, on a blocking thread only: two who ask wait for one loading.
    one: Mutex<()>,
}

impl Lazy {
    /// A model that is called `name` and that `load` loads. `load` may block; when it fails, the next
    /// request tries again. A loading whose request is dropped goes on, for the next one.
    pub fn new(
        name: String,
        load: impl Fn() -> Result<Arc<dyn Llm>, LlmError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            loader: Arc::new(Loader {
                load: Box::new(load),
                loaded: OnceLock::new(),
                one: Mutex::new(()),
            }),
        }
    }
}

impl Loader {
    fn get(&self) -> Result<Arc<dyn Llm>, LlmError> {
        let _one = self.one.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(llm) = self.loaded.get() {
            return Ok(llm.clone());
        }
        let llm = (self.load)()?;
        info!("{} is loaded", llm.name());
        Ok(self.loaded.get_or_init(|| llm).clone())
    }
}

impl Llm for Lazy {
    fn chat(&self, request: ChatRequest) -> BoxStream<'static, Result<Delta, LlmError>> {
        if let Some(llm) = self.loader.loaded.get() {
            return llm.chat(request);
        }
        let loader = self.loader.clone();
        stream::once(async move {
            let loading = tokio::task::spawn_blocking(move || loader.get());
            let llm = loading.await.map_err(|e| {
                LlmError::Model(format!("the thread that loads it {}", telemetry::ended(&e)))
            })??;
            Ok::<_, LlmError>(llm.chat(request))
        })
        .try_flatten()
        .boxed()
    }

    /// Not before it is loaded: then nobody knows.
    fn takes_tools(&self) -> bool {
        let loaded = self.loader.loaded.get();
        loaded.is_some_and(|llm| llm.takes_tools())
    }

    /// As the last.
    fn sees(&self) -> BoxFuture<'static, bool> {
        match self.loader.loaded.get() {
            Some(llm) => llm.sees(),
            None => Box::pin(std::future::ready(false)),
        }
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
