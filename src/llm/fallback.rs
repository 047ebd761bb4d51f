//! Two language models as one: when the first (an Ollama) cannot answer, the second (the model in this
//! process) does, until the first is back. Who answers at the start is [`super::choice`]'s.
//!
//! A person waits meanwhile, so the first has [`Patience`]s here that are shorter than the server's own
//! and shorter than what the turn machine grants an answer: else the machine would cancel the question
//! before anybody noticed that the server is dead.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures_util::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};
use tracing::debug;

use super::{ChatRequest, Delta, Llm, LlmError, choice::capitalised};

/// Which of the two answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turned {
    /// The first, as intended.
    First,
    /// The second; `why` is a sentence for the user, who is told once.
    Second {
        /// What happened to the first, with the next step.
        why: String,
    },
}

/// How long the first may be silent before its first word, until the second answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// After it has failed or never answered: it may be loading its model.
    pub cold: Duration,
    /// When it has answered before.
    pub warm: Duration,
}

impl Default for Patience {
    /// Within `TurnConfig::think_limit`, with time left for the second (a test holds them together). A
    /// warm model that needs 20 s to read a question is none to talk to.
    fn default() -> Self {
        Self {
            cold: Duration::from_secs(60),
            warm: Duration::from_secs(20),
        }
    }
}

/// Makes the first ready to answer: resolves when it is, or when it cannot be.
pub type WarmUp = dyn Fn() -> BoxFuture<'static, Result<(), LlmError>> + Send + Sync;

/// See the module's text.
///
/// It turns over only before the first word: an answer that broke off within is an error, because
/// another model cannot end another's sentence. After it has turned, nobody waits for the first any
/// more: when a question comes and `RETRY_AFTER` has passed, the second answers it, and the first is
/// warmed up beside it; if that succeeds, the next question is the first's. Warming is what a restarted
/// server needs: one whose client goes away stops loading its model.
pub struct Fallback {
    first: Arc<dyn Llm>,
    second: Arc<dyn Llm>,
    patience: Patience,
    warm_up: Arc<WarmUp>,
    state: Arc<State>,
    /// At most one warming. Ends with the last of the fallback and its answers; it holds neither.
    warming: Arc<Mutex<JoinSet<()>>>,
}

struct State {
    turned: watch::Sender<Turned>,
    // Held for a copy only, never across a wait.
    health: Mutex<Health>,
}

#[derive(Clone, Copy)]
enum Health {
    /// Nothing is known yet.
    Cold,
    /// It answered last time.
    Warm,
    /// It failed; since when it is left alone.
    Failed(Instant),
}

/// Long enough that a dead server costs nothing, short enough that a restarted one is soon back.
const RETRY_AFTER: Duration = Duration::from_secs(60);

impl Fallback {
    /// `first`, and `second` where it fails. `warm_up` makes `first` ready.
    pub fn new(first: Arc<dyn Llm>, second: Arc<dyn Llm>, warm_up: Arc<WarmUp>) -> Self {
        let (turned, _) = watch::channel(Turned::First);
        Self {
            first,
            second,
            patience: Patience::default(),
            warm_up,
            state: Arc::new(State {
                turned,
                health: Mutex::new(Health::Cold),
            }),
            warming: Arc::default(),
        }
    }

    /// Who answers, as it changes. A change is what the user is told by whoever shows the
    /// conversation: it is not spoken, so that the answer does not wait for it.
    pub fn turned(&self) -> watch::Receiver<Turned> {
        self.state.turned.subscribe()
    }

    /// Warms the first up, once. If it fails, the second answers the next question at once.
    ///
    /// # Errors
    ///
    /// Why it failed.
    pub fn warm_up(&self) -> BoxFuture<'static, Result<(), LlmError>> {
        let asked = Asked {
            first: self.first.name(),
            second: self.second.name(),
            state: self.state.clone(),
        };
        asked.warmed((self.warm_up)())
    }
}

/// What remembers how the first did.
#[derive(Clone)]
struct Asked {
    first: String,
    second: String,
    state: Arc<State>,
}

impl Asked {
    fn warmed(
        self,
        warming: BoxFuture<'static, Result<(), LlmError>>,
    ) -> BoxFuture<'static, Result<(), LlmError>> {
        Box::pin(async move {
            let warmed = warming.await;
            match &warmed {
                Ok(()) => self.works(),
                Err(error) => self.failed(error),
            }
            warmed
        })
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.state.health.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn failed(&self, error: &impl fmt::Display) {
        *self.health() = Health::Failed(Instant::now());
        let why = format!(
            "{}. Until then {} answers.",
            capitalised(&error.to_string()),
            self.second
        );
        let told = self.state.turned.send_if_modified(|turned| {
            let first_time = *turned == Turned::First;
            if first_time {
                *turned = Turned::Second { why: why.clone() };
            }
            first_time
        });
        if told {
            debug!("{why}");
        }
    }

    fn works(&self) {
        *self.health() = Health::Warm;
        let back = self
            .state
            .turned
            .send_if_modified(|turned| std::mem::replace(turned, Turned::First) != Turned::First);
        if back {
            debug!("{} answers again", self.first);
        }
    }
}

/// Whether another model may answer instead. A wrong request is wrong for the other as well.
fn another_may(error: &LlmError) -> bool {
    matches!(error, LlmError::Remote { .. } | LlmError::NoModel { .. })
}

impl Llm for Fallback {
    fn chat(&self, request: ChatRequest) -> BoxStream<'static, Result<Delta, LlmError>> {
        let (first, second) = (self.first.clone(), self.second.clone());
        let patience = self.patience;
        let (warm_up, warming) = (self.warm_up.clone(), self.warming.clone());
        let asked = Asked {
            first: first.name(),
            second: second.name(),
            state: self.state.clone(),
        };
        stream::once(async move {
            let health = *asked.health();
            let patience = match health {
                Health::Cold => patience.cold,
                Health::Warm => patience.warm,
                Health::Failed(at) => {
                    if at.elapsed() >= RETRY_AFTER {
                        let mut warming = warming.lock().unwrap_or_else(|e| e.into_inner());
                        while warming.try_join_next().is_some() {}
                        if warming.is_empty() {
                            let again = asked.warmed(warm_up());
                            // How it ended is in the state.
                            warming.spawn(async move { drop(again.await) });
                        }
                    }
                    return second.chat(request);
                }
            };
            let mut answer = first.chat(request.clone());
            match timeout(patience, answer.next()).await {
                Err(_) => asked.failed(&format_args!(
                    "{} gave no answer in {} s; see whether it still loads the model, or try a smaller one",
                    asked.first,
                    patience.as_secs()
                )),
                Ok(Some(Err(e))) if another_may(&e) => asked.failed(&e),
                Ok(begin) => {
                    if !matches!(begin, Some(Err(_))) {
                        asked.works();
                    }
                    return stream::iter(begin).chain(answer).boxed();
                }
            }
            // The server need not write what nobody reads.
            drop(answer);
            second.chat(request)
        })
        .flatten()
        .boxed()
    }

    /// The first's; the second is not woken for it.
    fn warm(&self, request: ChatRequest) -> BoxFuture<'static, Result<(), LlmError>> {
        let turned = self.state.turned.borrow();
        match *turned {
            Turned::First => self.first.warm(request),
            Turned::Second { .. } => self.second.warm(request),
        }
    }

    fn takes_tools(&self) -> bool {
        let turned = self.state.turned.borrow();
        match *turned {
            Turned::First => self.first.takes_tools(),
            Turned::Second { .. } => self.second.takes_tools(),
        }
    }

    fn sees(&self) -> BoxFuture<'static, bool> {
        let turned = self.state.turned.borrow();
        match *turned {
            Turned::First => self.first.sees(),
            Turned::Second { .. } => self.second.sees(),
        }
    }

    fn name(&self) -> String {
        let turned = self.state.turned.borrow();
        match *turned {
            Turned::First => self.first.name(),
            Turned::Second { .. } => self.second.name(),
        }
    }

    fn model(&self) -> (&'static str, String) {
        let turned = self.state.turned.borrow();
        match *turned {
            Turned::First => self.first.model(),
            Turned::Second { .. } => self.second.model(),
        }
    }
}
