//! From a question to the words of its answer: the language model, the tools that it calls, and how often.
//!
//! [`answer`] is one stream, and dropping it cancels all of it, but for one thing: a call that
//! [changes](crate::tools::Tool::changes) something in the world and was begun is brought to its end, and
//! what it brought is in the [`Acts`]. What the model writes goes out as it is written, also while tools are
//! offered; what it calls is done when it has written all, at once and side by side, each with its deadline.

mod arguments;
mod hands;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream, FuturesUnordered},
};
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};
use tracing::{Instrument as _, debug, info_span, warn};

use self::hands::{Done, Hands};
use crate::{
    llm::{
        ChatRequest, Delta, Llm, LlmError, Message, ToolCall, ToolSpec, Usage,
        acts::Acts,
        history,
        pictures::{self, Picture},
    },
    telemetry::{Kind, Span, metrics},
    tools::{
        Caller, Tool, Toolbox,
        choice::{self, Chooser},
        fast::{self, Now, Plan},
    },
};

/// How long tools may take before somebody says that it takes a moment.
const FILLER_AFTER: Duration = Duration::from_secs(1);

/// And before that is said again, and again. Less than a voice may be silent in an answer.
const STILL_AFTER: Duration = Duration::from_secs(12);

/// Said then, in turn.
const FILLERS: [&str; 5] = [
    "One moment.",
    "Let me see.",
    "I'm on it.",
    "Just a second.",
    "Let me check.",
];

/// Said from the second time on, in turn.
const STILL: [&str; 4] = [
    "I'm still on it.",
    "It takes a little longer.",
    "Still waiting for that.",
    "It's not done yet.",
];

/// What the language model is told where it has tools, behind what the assistant is told about itself. The
/// same for all tools: engines keep what they have read.
const WITH_TOOLS: &str = "You can act through tools. When the user wants something done, or asks for what a \
tool can find out, call the tool at once instead of announcing it, and never claim to have done what no \
tool has done. Afterwards tell the result in one short sentence. For everything else answer without a tool.";

/// Why there is no answer where the language model ended without a word.
pub const EMPTY: &str = "the language model gave an empty answer; ask again, or try another model";

/// Small tools that are offered with every question.
const ALWAYS: [&str; 6] = [
    "hass_control",
    "hass_get_state",
    "set_timer",
    "list_timers",
    "cancel_timer",
    "web_search",
];

/// How answers are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How often tools may be called for one question, one after the other.
    pub rounds: usize,
    /// Whether something is said while tools take long.
    pub fillers: bool,
    /// Whether plain commands are done without the language model.
    pub fast: bool,
    /// Tokens that the language model takes, the answer's among them.
    pub context: usize,
    /// How many of them tools may take.
    pub budget: usize,
    /// The user's time zone by its IANA name; empty for this machine's.
    pub zone: String,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            rounds: 5,
            fillers: true,
            fast: true,
            context: 8192,
            budget: 2048,
            zone: String::new(),
        }
    }
}

/// Which tools one conversation is offered, where there are more than fit. Clones are the same.
#[derive(Clone, Debug)]
pub struct Offers(Arc<Mutex<Chooser>>);

impl Default for Offers {
    fn default() -> Self {
        let always = ALWAYS.into_iter().map(str::to_owned);
        Self(Arc::new(Mutex::new(Chooser::new(always))))
    }
}

impl Offers {
    fn chooser(&self) -> MutexGuard<'_, Chooser> {
        // Nothing in there can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be answered.
pub struct Question {
    /// The conversation, oldest first; the last is the question.
    pub messages: Vec<Message>,
    /// The question as the user said it.
    pub words: String,
    /// Who asks.
    pub caller: Caller,
    /// Whether the user has said all; until then nothing is changed in the world.
    pub sure: watch::Receiver<bool>,
    /// What the user shows with it.
    pub pictures: Vec<Picture>,
    /// What was called for it is written down here.
    pub acts: Acts,
    /// The conversation's.
    pub offers: Offers,
    /// How the answer is made.
    pub rules: Rules,
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Thought {
    /// The language model's next characters.
    Text(String),
    /// Whole sentences of others: a tool's message, a filler. What was written before is complete.
    Say {
        /// The sentences.
        text: String,
        /// Part of the answer; a filler is none.
        kept: bool,
    },
    /// What is done with tools, for displays. What was written before is complete.
    Doing(Doing),
    /// Tools are still at work: told every [`STILL_AFTER`], also where nothing is said.
    Busy,
    /// Something was done, for traces.
    Step(Span),
}

/// How far the tools of a question are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// They are at work.
    Running,
    /// All are done.
    Complete,
    /// All have ended, and some failed.
    Failed,
}

impl Progress {
    /// For programs.
    pub fn name(self) -> &'static str {
        match self {
            Progress::Running => "running",
            Progress::Complete => "complete",
            Progress::Failed => "failed",
        }
    }
}

/// What is done with tools.
#[derive(Clone, PartialEq)]
pub struct Doing {
    /// How far it is.
    pub progress: Progress,
    /// Names and arguments, in order.
    pub calls: Vec<(String, Value)>,
}

impl std::fmt::Debug for Doing {
    /// Without arguments, which hold what the user said.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.calls.iter().map(|(name, _)| name);
        f.debug_list().entry(&self.progress).entries(names).finish()
    }
}

/// The answer to `question`, piece by piece. An error is its last piece.
pub fn answer(
    llm: Arc<dyn Llm>,
    tools: Toolbox,
    question: Question,
) -> BoxStream<'static, Result<Thought, LlmError>> {
    let (out, thoughts) = mpsc::channel(1);
    let thinking = Thinking {
        llm,
        tools,
        question,
        out,
    };
    let state = (thoughts, Some(thinking.run().boxed()));
    stream::unfold(state, |(mut thoughts, mut work)| async move {
        loop {
            let Some(working) = &mut work else {
                // What is left, and then its end.
                let thought = thoughts.recv().await?;
                return Some((thought, (thoughts, work)));
            };
            tokio::select! {
                biased;
                thought = thoughts.recv() => return Some((thought?, (thoughts, work))),
                _ = working => work = None,
            }
        }
    })
    .fuse()
    .boxed()
}

/// Has `llm` read what the next answer in this conversation will begin with. What fails shows again with the
/// question.
pub async fn warm(
    llm: Arc<dyn Llm>,
    tools: Toolbox,
    offers: Offers,
    mut messages: Vec<Message>,
    rules: Rules,
) {
    let tools = offered(&*llm, &tools.all(), &offers, "", &rules);
    if !tools.is_empty() {
        told_of_tools(&mut messages);
    }
    let request = ChatRequest {
        messages,
        tools,
        pictures: Vec::new(),
    };
    if let Err(error) = llm.warm(request).await {
        debug!(%error, "the language model was not warmed up");
    }
}

/// What `llm` is told of `tools`.
fn offered(
    llm: &dyn Llm,
    tools: &[Arc<dyn Tool>],
    offers: &Offers,
    words: &str,
    rules: &Rules,
) -> Vec<Arc<ToolSpec>> {
    if !llm.takes_tools() {
        return Vec::new();
    }
    let offered = offers.chooser().choose(tools, words, rules.budget);
    offered.iter().map(|tool| tool.spec().clone()).collect()
}

/// Nobody listens any more.
struct Gone;

struct Thinking {
    llm: Arc<dyn Llm>,
    tools: Toolbox,
    question: Question,
    out: mpsc::Sender<Result<Thought, LlmError>>,
}

/// What the language model wrote.
#[derive(Default)]
struct Wrote {
    text: String,
    calls: Vec<ToolCall>,
    /// What was wrong with calls that could not be read.
    bad: Vec<String>,
}

/// What came of a round of calls.
enum Acted {
    /// All was said.
    Over,
    /// The language model goes on.
    On,
    /// It called wrongly; so the same.
    Wrongly,
}

impl Thinking {
    async fn run(self) -> Result<(), Gone> {
        let tools = self.tools.all();
        let Question {
            words,
            offers,
            rules,
            ..
        } = &self.question;
        let specs = offered(&*self.llm, &tools, offers, words, rules);
        let mut messages = self.question.messages.clone();
        if !specs.is_empty() {
            told_of_tools(&mut messages);
        }
        if self.fast(&tools).await? {
            return Ok(());
        }
        let before = messages.len();
        messages.extend(self.question.acts.messages()); // what was done fast, and the model is to tell
        let mut wrong = 0;
        let mut last = None;
        for round in 0..=self.question.rules.rounds {
            let wrote = match self.ask(&messages, &specs).await? {
                Ok(wrote) => wrote,
                Err(error) => return self.tell(Err(error)).await,
            };
            if wrote.calls.is_empty() && wrote.bad.is_empty() {
                if round > 0 && wrote.text.trim().is_empty() {
                    // It has said nothing about what it did.
                    let text = last.take().unwrap_or_else(|| "Done.".to_owned());
                    self.say(&text, true).await?;
                }
                return Ok(());
            }
            if round == self.question.rules.rounds {
                break;
            }
            let acted = match wrote.calls.is_empty() {
                true => self.unreadable(&wrote),
                false => self.act(&wrote, &tools, &mut last).await?,
            };
            match acted {
                Acted::Over => return Ok(()),
                Acted::On => {}
                Acted::Wrongly if wrong == 0 => wrong += 1,
                Acted::Wrongly => break,
            }
            messages.truncate(before);
            messages.extend(self.question.acts.messages());
        }
        warn!("the language model calls tools and comes to no end");
        self.say("Sorry, I could not work out how to do that.", false)
            .await
    }

    /// Does a plain command without the language model. False where it is none, or the tool does not take it
    /// so: then the language model decides.
    async fn fast(&self, tools: &[Arc<dyn Tool>]) -> Result<bool, Gone> {
        let Question {
            rules, words, acts, ..
        } = &self.question;
        let plan = match rules.fast {
            true => fast::understand(words, now(&rules.zone)),
            false => None,
        };
        let Some(plan) = plan else {
            return Ok(false);
        };
        // What was done last is to be undone, or so it may be: that is for who knows how.
        if plan.tool == Plan::TAKE_BACK && did_something(&self.question.messages) {
            return Ok(false);
        }
        if [Plan::STOP, Plan::TAKE_BACK].contains(&plan.tool) {
            self.say("Okay.", true).await?;
            return Ok(true);
        }
        if !tools.iter().any(|tool| tool.spec().name == plan.tool) {
            return Ok(false);
        }
        let call = ToolCall {
            id: "call_fast".to_owned(),
            name: plan.tool.to_owned(),
            arguments: Value::Object(plan.arguments),
        };
        let calls = [call];
        let round = acts.begin("", &calls);
        self.doing(Progress::Running, &shown(&calls)).await?;
        let done = self.all_of(&self.hands(tools, round), &calls).await?;
        let Some(done) = done.into_iter().next() else {
            return Ok(false);
        };
        let progress = match done.problem {
            Some(_) => Progress::Failed,
            None => Progress::Complete,
        };
        self.doing(progress, &shown(&calls)).await?;
        if done.wrong || done.refused {
            acts.undo(round);
            return Ok(false);
        }
        self.tell(Ok(Thought::Step(done.step))).await?;
        match done.problem.or(done.say) {
            Some(text) => {
                self.say(&text, true).await?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn hands<'a>(&'a self, tools: &'a [Arc<dyn Tool>], round: usize) -> Hands<'a> {
        Hands {
            tools,
            toolbox: &self.tools,
            caller: &self.question.caller,
            sure: &self.question.sure,
            acts: &self.question.acts,
            round,
        }
    }

    /// The language model's next words, said as they come, and its calls.
    async fn ask(
        &self,
        messages: &[Message],
        specs: &[Arc<ToolSpec>],
    ) -> Result<Result<Wrote, LlmError>, Gone> {
        let (began, started) = (SystemTime::now(), Instant::now());
        let offered: usize = specs.iter().map(|spec| choice::tokens(spec)).sum();
        let context = self.question.rules.context;
        // A quarter is the answer's. What does not fit would be cut by the server, and nobody would know where.
        let shown = self.question.pictures.len() * pictures::TOKENS;
        let room = (context - context / 4).saturating_sub(offered + shown);
        let messages = history::fit(messages, room, history::tokens);
        let mut deltas = self.llm.chat(ChatRequest {
            messages,
            tools: specs.to_vec(),
            pictures: self.question.pictures.clone(),
        });
        let mut wrote = Wrote::default();
        let mut usage = None;
        let span = info_span!("llm");
        let failed = loop {
            match deltas.next().instrument(span.clone()).await {
                Some(Ok(Delta::Usage(cost))) => usage = Some(cost),
                Some(Ok(Delta::Call(call))) => wrote.calls.push(call),
                Some(Ok(Delta::BadCall(why))) => wrote.bad.push(why),
                Some(Ok(Delta::Text(text))) => {
                    wrote.text.push_str(&text);
                    self.tell(Ok(Thought::Text(text))).await?;
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        let step = self.asked(began, started.elapsed(), usage, failed.as_ref());
        self.tell(Ok(Thought::Step(step))).await?;
        Ok(match failed {
            Some(error) => Err(error),
            None => Ok(wrote),
        })
    }

    /// The language model has ended, for the meters and for traces.
    fn asked(
        &self,
        began: SystemTime,
        took: Duration,
        usage: Option<Usage>,
        failed: Option<&LlmError>,
    ) -> Span {
        metrics().llm_answered(took, usage.map(|usage| (usage.input, usage.output)));
        let (provider, model) = self.llm.model();
        let mut step = Span::new(format!("chat {model}"), began, began + took)
            .named("gen_ai.operation.name", "chat")
            .named("gen_ai.provider.name", provider)
            .named("gen_ai.request.model", model);
        step.kind = Kind::Client;
        if let Some(usage) = usage {
            step = step
                .counted("gen_ai.usage.input_tokens", usage.input)
                .counted("gen_ai.usage.output_tokens", usage.output);
        }
        step.failed = failed.map(|error| error.fault().name());
        step
    }

    /// Does what the model called. `last` becomes a sentence about it, for a model that says nothing.
    async fn act(
        &self,
        wrote: &Wrote,
        tools: &[Arc<dyn Tool>],
        last: &mut Option<String>,
    ) -> Result<Acted, Gone> {
        let acts = &self.question.acts;
        let calls = once_each(&wrote.calls);
        let round = acts.begin(&wrote.text, &calls);
        let shown = shown(&calls);
        self.doing(Progress::Running, &shown).await?;
        for call in &calls {
            self.question.offers.chooser().used(&call.name);
        }
        let done = self.all_of(&self.hands(tools, round), &calls).await?;
        let failed = done.iter().any(|done| done.problem.is_some());
        let progress = match failed {
            true => Progress::Failed,
            false => Progress::Complete,
        };
        self.doing(progress, &shown).await?;
        for done in &done {
            self.tell(Ok(Thought::Step(done.step.clone()))).await?;
        }
        *last = done.iter().find_map(|done| done.problem.clone());
        if done.iter().any(|done| done.wrong) {
            return Ok(Acted::Wrongly);
        }
        let says: Option<Vec<&str>> = done.iter().map(|done| done.say.as_deref()).collect();
        let Some(says) = says else {
            return Ok(Acted::On);
        };
        self.say(&says.join(" "), true).await?;
        if done.len() > 1 || !wants_more(&self.question.words) {
            return Ok(Acted::Over);
        }
        acts.came(round, 0, format!("{} (The user was told so.)", says[0]));
        *last = Some(String::new());
        Ok(Acted::On)
    }

    /// Writes down that nothing of what the model called could be read, so that it hears of it.
    fn unreadable(&self, wrote: &Wrote) -> Acted {
        let acts = &self.question.acts;
        let call = ToolCall {
            id: "call_unreadable".to_owned(),
            name: "unreadable".to_owned(),
            arguments: Value::Object(serde_json::Map::new()),
        };
        let round = acts.begin(&wrote.text, &[call]);
        let why = wrote.bad.join("; ");
        acts.came(round, 0, format!("Error: {why}; call the tool again."));
        Acted::Wrongly
    }

    /// Every call's end, in order. Meanwhile somebody may say that it takes a moment.
    async fn all_of(&self, hands: &Hands<'_>, calls: &[ToolCall]) -> Result<Vec<Done>, Gone> {
        let mut work: FuturesUnordered<BoxFuture<'static, (usize, Done)>> = calls
            .iter()
            .enumerate()
            .map(|(i, call)| {
                let doing = hands.begin(i, call);
                async move { (i, doing.await) }.boxed()
            })
            .collect();
        let mut done: Vec<Option<Done>> = calls.iter().map(|_| None).collect();
        let fillers = self.question.rules.fillers;
        let mut filler = Box::pin(sleep(if fillers { FILLER_AFTER } else { STILL_AFTER }));
        let mut filled = false;
        while !work.is_empty() {
            tokio::select! {
                biased;
                Some((i, end)) = work.next() => done[i] = Some(end),
                () = &mut filler => {
                    filler.set(sleep(STILL_AFTER));
                    self.tell(Ok(Thought::Busy)).await?;
                    if fillers {
                        self.say(next_of(if filled { &STILL } else { &FILLERS }), false).await?;
                    }
                    filled = true;
                }
            }
        }
        Ok(done.into_iter().flatten().collect())
    }

    async fn doing(&self, progress: Progress, calls: &[(String, Value)]) -> Result<(), Gone> {
        let calls = calls.to_vec();
        self.tell(Ok(Thought::Doing(Doing { progress, calls })))
            .await
    }

    async fn say(&self, text: &str, kept: bool) -> Result<(), Gone> {
        if text.trim().is_empty() {
            return Ok(());
        }
        let text = text.to_owned();
        self.tell(Ok(Thought::Say { text, kept })).await
    }

    async fn tell(&self, thought: Result<Thought, LlmError>) -> Result<(), Gone> {
        self.out.send(thought).await.map_err(|_| Gone)
    }
}

/// Whether something was called for the question before the newest.
fn did_something(messages: &[Message]) -> bool {
    let older = messages.iter().rev();
    let mut older = older.skip_while(|message| !matches!(message, Message::User(_)));
    older.next();
    older
        .take_while(|message| !matches!(message, Message::User(_)))
        .any(|message| matches!(message, Message::Calls { .. }))
}

/// Tells the language model that it has tools, in the first message.
fn told_of_tools(messages: &mut Vec<Message>) {
    match messages.first_mut() {
        Some(Message::System(text)) => {
            text.push('\n');
            text.push_str(WITH_TOOLS);
        }
        _ => messages.insert(0, Message::System(WITH_TOOLS.to_owned())),
    }
}

/// Names and arguments.
fn shown(calls: &[ToolCall]) -> Vec<(String, Value)> {
    let shown = calls.iter();
    shown
        .map(|call| (call.name.clone(), call.arguments.clone()))
        .collect()
}

/// What the clock and the calendar say where the user is.
fn now(zone: &str) -> Option<Now> {
    let here = jiff::Zoned::now();
    let now = match zone {
        "" => here,
        zone => here.in_tz(zone).ok()?,
    };
    Some(Now {
        year: now.year(),
        month: u8::try_from(now.month()).ok()?,
        day: u8::try_from(now.day()).ok()?,
        hour: u8::try_from(now.hour()).ok()?,
        minute: u8::try_from(now.minute()).ok()?,
    })
}

/// Small models call the same twice at once.
fn once_each(calls: &[ToolCall]) -> Vec<ToolCall> {
    let mut once: Vec<ToolCall> = Vec::new();
    for call in calls {
        let same = |other: &ToolCall| other.name == call.name && other.arguments == call.arguments;
        if !once.iter().any(same) {
            once.push(call.clone());
        }
    }
    once
}

/// Whether the user may have asked for more than one thing.
fn wants_more(words: &str) -> bool {
    let words = words.to_lowercase();
    let mut words = words.split(|c: char| !c.is_alphanumeric());
    words.any(|word| {
        matches!(
            word,
            "and" | "then" | "also" | "after" | "before" | "und" | "dann"
        )
    })
}

fn next_of(fillers: &[&'static str]) -> &'static str {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    fillers[NEXT.fetch_add(1, Ordering::Relaxed) % fillers.len()]
}
