//! A language model inside this process, so that the first run needs no server: a small GGUF chat
//! model on candle's quantised kernels, on the CPU.
//!
//! The model lives on one engine thread with a pool of its own that has no more than the threads it
//! was given. It keeps the evaluated tokens of the last request and evaluates of the next only what
//! differs: of a conversation that goes on, that is the last question. Cancelling is dropping: it is
//! looked for before every token of the answer and every layer of the prompt.
//!
//! [`gguf`] file · [`tokens`] text ⇄ tokens · [`weights`] matrices · [`model`] the transformer ·
//! [`sample`] the next token.

mod gguf;
mod model;
mod sample;
mod tokens;
mod weights;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc;
use tracing::debug;

use self::{
    gguf::Gguf,
    model::{Cache, Model, Shape, Stopped},
    sample::{Dice, Sampling, goes_in_circles},
    tokens::{Tokens, Utf8Joiner},
};
use super::{
    ChatRequest, Delta, Llm, LlmError, Message, Usage, history, pictures,
    thoughts::{End, Habit, ThinkFilter},
};
use crate::engine::{Engine, EngineError, Job};

/// Which model to embed and how to run it.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddedConfig {
    /// A GGUF file of a chat model: `llama`, `qwen2` or `qwen3`.
    pub path: PathBuf,
    /// Threads of its own, from the process' budget. At least 1.
    pub threads: usize,
    /// Tokens of prompt and answer together; cut to what the model was trained on. A token of
    /// SmolLM2-135M costs 46 kB.
    pub context: usize,
    /// The longest answer, in tokens: about three quarters of a word each.
    pub max_tokens: usize,
    /// 0.0: always the likeliest word.
    pub temperature: f32,
    /// Above 1.0 it repeats itself less.
    pub repeat_penalty: f32,
    /// Of the dice; the same request then gives the same answer.
    pub seed: u64,
}

impl EmbeddedConfig {
    /// The model in `path` on `threads` threads, tuned for short spoken answers of a small model.
    pub fn new(path: impl Into<PathBuf>, threads: usize) -> Self {
        Self {
            path: path.into(),
            threads,
            context: 2048,
            max_tokens: 160,
            temperature: 0.0,
            repeat_penalty: 1.1,
            seed: 0,
        }
    }
}

/// What one request cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Of these, how many were evaluated; the others were still known from the last request.
    pub evaluated: usize,
    /// Tokens of the answer.
    pub answered: usize,
    /// From the start of the work to the first token.
    pub first: Duration,
    /// From there to the last.
    pub rest: Duration,
}

/// The [`Llm`] in this process. Clones share one engine.
#[derive(Clone)]
pub struct EmbeddedLlm {
    engine: Engine<Task, Result<Usage, LlmError>>,
    name: String,
    // Written by the engine thread at a job's end, read by benches and tests: no one waits for it.
    last: Arc<Mutex<Run>>,
}

struct Task {
    messages: Vec<Message>,
    /// `None`: only evaluate the prompt.
    answer: Option<mpsc::Sender<String>>,
}

/// Requests that may wait for the engine; one more is [`EngineError::Busy`].
const QUEUE: usize = 4;

/// Pieces of an answer that wait for the listener. When full, the engine waits.
const PIECES: usize = 32;

/// What the model in this file is called.
pub fn name_of(path: &Path) -> String {
    let file = path.file_stem().unwrap_or_default();
    format!("embedded {}", file.to_string_lossy())
}

impl EmbeddedLlm {
    /// Loads the model. Blocks for its time (about a second for 135 million weights): call it at
    /// start-up, on a thread that may wait.
    ///
    /// # Errors
    ///
    /// [`LlmError::BadModel`] when the file is missing, damaged or of a kind that is not supported.
    pub fn load(config: EmbeddedConfig) -> Result<Self, LlmError> {
        let last = Arc::new(Mutex::new(Run::default()));
        let name = name_of(&config.path);
        let log = last.clone();
        let engine = Engine::start(
            "language model",
            QUEUE,
            move || Speaker::load(&config),
            move |speaker, job| speaker.work(job, &log),
        )?;
        Ok(Self { engine, name, last })
    }

    /// Evaluates the beginning that all requests share, so that the first answer comes as fast as
    /// the later ones. Dropping the future cancels.
    ///
    /// # Errors
    ///
    /// As [`Llm::chat`].
    pub async fn warm_up(&self, system: &str) -> Result<(), LlmError> {
        let task = Task {
            messages: vec![Message::System(system.to_owned())],
            answer: None,
        };
        self.engine.call(task).await?.map(drop)
    }

    /// What the last finished request cost.
    pub fn last_run(&self) -> Run {
        *self.last.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Llm for EmbeddedLlm {
    fn chat(&self, request: ChatRequest) -> BoxStream<'static, Result<Delta, LlmError>> {
        let (answer, pieces) = mpsc::channel(PIECES);
        let engine = self.engine.clone();
        let call = async move {
            let messages = match request.pictures.is_empty() {
                true => request.messages,
                false => pictures::unseen(&request.messages),
            };
            let task = Task {
                messages,
                answer: Some(answer),
            };
            engine.call(task).await
        };
        let listening = Listening {
            pieces,
            call: Some(call.boxed()),
            end: Ok(None),
        };
        stream::try_unfold(listening, Listening::next).boxed()
    }

    fn warm(&self, request: ChatRequest) -> BoxFuture<'static, Result<(), LlmError>> {
        let engine = self.engine.clone();
        let task = Task {
            messages: request.messages,
            answer: None,
        };
        async move { engine.call(task).await?.map(drop) }.boxed()
    }

    /// Models that are small enough for this are only confused by tools.
    fn takes_tools(&self) -> bool {
        false
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// The listener's end of an answer. Dropping it drops the call, which the engine sees.
struct Listening {
    pieces: mpsc::Receiver<String>,
    call: Option<BoxFuture<'static, Result<Result<Usage, LlmError>, EngineError>>>,
    /// How the call ended, told after the last piece; with what it cost, once.
    end: Result<Option<Usage>, LlmError>,
}

impl Listening {
    async fn next(mut self) -> Result<Option<(Delta, Self)>, LlmError> {
        loop {
            let piece = match &mut self.call {
                None => self.pieces.recv().await,
                Some(call) => tokio::select! {
                    biased;
                    piece = self.pieces.recv(), if !self.pieces.is_closed() => piece,
                    end = call => {
                        self.call = None;
                        self.end = end.map_err(LlmError::from).flatten().map(Some);
                        continue;
                    }
                },
            };
            match piece {
                Some(text) => return Ok(Some((Delta::Text(text), self))),
                // All is said; how it ended follows at once.
                None => match self.call.take() {
                    Some(call) => {
                        self.end = call.await.map_err(LlmError::from).flatten().map(Some);
                    }
                    None => {
                        let end = std::mem::replace(&mut self.end, Ok(None))?;
                        return Ok(end.map(|usage| (Delta::Usage(usage), self)));
                    }
                },
            }
        }
    }
}

/// What lives on the engine thread.
struct Speaker {
    pool: rayon::ThreadPool,
    model: Model,
    tokens: Tokens,
    cache: Cache,
    context: usize,
    max_tokens: usize,
    sampling: Sampling,
    seed: u64,
}

impl Speaker {
    fn load(config: &EmbeddedConfig) -> Result<Self, LlmError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.threads.max(1))
            .thread_name(|i| format!("language model {i}"))
            .build()
            .map_err(|e| LlmError::Model(format!("no threads: {e}")))?;
        let started = Instant::now();
        let mut file = Gguf::open(&config.path)?;
        let shape = Shape::read(&file)?;
        let tokens = Tokens::read(&file, &shape.architecture)?;
        let context = config.context.min(shape.context).max(16);
        let model = pool.install(|| Model::load(&mut file, shape))?;
        debug!(took = ?started.elapsed(), "language model loaded");
        Ok(Self {
            pool,
            model,
            tokens,
            cache: Cache::default(),
            context,
            // Room for the question, however long the answer may be.
            max_tokens: config.max_tokens.clamp(1, context / 2),
            sampling: Sampling {
                temperature: config.temperature,
                repeat_penalty: config.repeat_penalty.max(1.0),
            },
            seed: config.seed,
        })
    }

    fn work(&mut self, job: Job<Task, Result<Usage, LlmError>>, log: &Mutex<Run>) {
        let mut run = Run::default();
        let gone = || {
            let listening = job
                .request
                .answer
                .as_ref()
                .is_none_or(|answer| !answer.is_closed());
            job.abandoned() || !listening
        };
        let result = match self.prompt(&job.request) {
            Ok(prompt) => self.answer(&prompt, job.request.answer.as_ref(), &gone, &mut run),
            Err(e) => Err(e),
        };
        debug!(?run, abandoned = job.abandoned(), "request done");
        // Before the answer: who has it may ask what it cost.
        *log.lock().unwrap_or_else(|e| e.into_inner()) = run;
        let count = |tokens| u32::try_from(tokens).unwrap_or(u32::MAX);
        job.answer(result.map(|()| Usage {
            input: count(run.prompt),
            output: count(run.answered),
        }));
    }

    /// The tokens of the request, without the oldest exchanges where there are too many.
    fn prompt(&self, task: &Task) -> Result<Vec<u32>, LlmError> {
        if task.answer.is_none() {
            // The beginning of a conversation, without the mark that asks for an answer.
            return Ok(match &task.messages[..] {
                [] => Vec::new(),
                [first] => self.tokens.beginning(first)?,
                [first, ..] => {
                    let mut prompt = self.tokens.prompt(&task.messages)?;
                    let mark = self.tokens.prompt(&[])?.len();
                    prompt.truncate(prompt.len().saturating_sub(mark));
                    match prompt.len() < self.context - self.max_tokens {
                        true => prompt,
                        // The question will be fitted otherwise.
                        false => self.tokens.beginning(first)?,
                    }
                }
            });
        }
        let max = self.context - self.max_tokens;
        // The marks around the messages: the beginning, and what asks for an answer.
        let frame = self.tokens.prompt(&[])?.len();
        // A message that cannot be counted counts as nothing here and is an error below.
        let count = |m: &Message| self.tokens.message(m).map_or(0, |tokens| tokens.len());
        let messages = history::fit(&task.messages, max.saturating_sub(frame), count);
        let prompt = self.tokens.prompt(&messages)?;
        if prompt.len() > max {
            return Err(LlmError::TooLong { max });
        }
        Ok(prompt)
    }

    fn answer(
        &mut self,
        prompt: &[u32],
        answer: Option<&mpsc::Sender<String>>,
        gone: &(dyn Fn() -> bool + Sync),
        run: &mut Run,
    ) -> Result<(), LlmError> {
        if prompt.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        run.prompt = prompt.len();
        let kept = self.cache.keep_common(prompt);
        run.evaluated = prompt.len() - kept;
        let Some(mut scores) = self.evaluate(&prompt[kept..], gone)? else {
            return Ok(());
        };
        run.first = started.elapsed();
        let Some(answer) = answer else {
            return Ok(());
        };
        let mut said = Vec::with_capacity(self.max_tokens);
        let mut dice = Dice::new(self.seed);
        let (mut joiner, mut thoughts) =
            (Utf8Joiner::default(), ThinkFilter::new(&Habit::default()));
        let started = Instant::now();
        while said.len() < self.max_tokens && !gone() {
            let token = self.sampling.pick(&mut scores, &said, &mut dice);
            if self.tokens.ends(token) {
                break;
            }
            said.push(token);
            run.answered = said.len();
            let text = thoughts.push(&joiner.push(&self.tokens.bytes(token)));
            if !text.is_empty() && answer.blocking_send(text).is_err() {
                break;
            }
            if goes_in_circles(&said) {
                break;
            }
            match self.evaluate(&[token], gone)? {
                Some(next) => scores = next,
                None => break,
            }
        }
        let rest = thoughts.finish(End::Whole);
        if !rest.is_empty() {
            // A listener who is gone needs no rest.
            let _ = answer.blocking_send(rest);
        }
        run.rest = started.elapsed();
        Ok(())
    }

    /// The scores after `tokens`; `None` when nobody waits any more.
    fn evaluate(
        &mut self,
        tokens: &[u32],
        gone: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Vec<f32>>, LlmError> {
        let (model, cache) = (&self.model, &mut self.cache);
        match self.pool.install(|| model.scores(tokens, cache, gone)) {
            Ok(Ok(scores)) => Ok(Some(scores)),
            Ok(Err(Stopped)) => Ok(None),
            Err(e) => {
                // Some layers have seen more than others.
                self.cache = Cache::default();
                Err(LlmError::Model(e.to_string()))
            }
        }
    }
}
