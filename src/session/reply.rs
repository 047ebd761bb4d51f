//! One answer: the language model's words become clauses, clauses become sound. The whole of it is
//! one future, so dropping that future cancels all of it.
//!
//! Two things run side by side: words are read and cut into clauses, and clauses are spoken, the
//! next one while the one before it plays. When something fails, what is already spoken plays on, and
//! one sentence of regret follows.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt, future};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tracing::{Instrument, info_span, warn};

use super::engines::{Busy, Engines};
use crate::{
    audio::{Hz24k, Pcm, SamplePos},
    fault::Fault,
    llm::{Message, acts::Acts, pictures::Picture},
    mind::{self, Doing, Offers, Question, Rules, Thought},
    pii::Pii,
    telemetry::{Engine, Span, metrics},
    tools::Caller,
    tts::{Clause, Clauses, SpeakRequest},
    turn::Trouble,
};

/// How far speech may be ahead of the listener: less is thrown away when the user cuts in.
const AHEAD: Duration = Duration::from_secs(2);

/// What a clause may take longer than the clauses before it did, per character.
const HASTE: f64 = 1.6;

/// Clauses that may wait for the voice. When full the language model waits: natural backpressure.
const CLAUSES: usize = 16;

/// What is to be said.
#[derive(Clone, Debug)]
pub(super) enum Script {
    /// What the language model answers.
    Ask(Box<Asking>),
    /// This text.
    Verbatim(String),
    /// One sentence of regret.
    Apology(Trouble),
}

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    /// The conversation with the question at its end.
    pub(super) messages: Vec<Message>,
    /// The question as it was said.
    pub(super) words: Pii<String>,
    pub(super) caller: Caller,
    /// Whether the user has said all.
    pub(super) sure: watch::Receiver<bool>,
    /// What is shown to the assistant.
    pub(super) pictures: Vec<Picture>,
    /// What is called for it.
    pub(super) acts: Acts,
    pub(super) offers: Offers,
    pub(super) rules: Rules,
}

/// A message of a reply to its session, on a channel of its own: with the reply its messages are gone.
#[derive(Debug)]
pub(super) enum Spoken {
    /// The language model's first characters.
    FirstToken,
    /// The sound that follows says this.
    Clause { clause: Clause, kept: bool },
    /// The next sound.
    Sound(Pcm<Hz24k>),
    /// Something was done, for traces.
    Step(Span),
    /// What is done with tools.
    Doing(Doing),
    /// Tools are still at work.
    Busy,
    /// Something failed; a sentence for people.
    Trouble(String),
    /// All was said.
    End,
}

/// How it is to be said.
#[derive(Clone)]
pub(super) struct Voice {
    pub(super) name: String,
    pub(super) speed: f32,
    /// Cuts text into clauses; a fresh copy for each reply.
    pub(super) clauses: Arc<dyn Fn() -> Clauses + Send + Sync>,
}

/// One reply's work.
pub(super) struct Reply {
    pub(super) engines: Engines,
    pub(super) voice: Voice,
    /// Samples played so far.
    pub(super) played: watch::Receiver<u64>,
    /// When full the work waits: for a session that is stuck, or one that does not know yet whether
    /// the answer is wanted.
    pub(super) out: mpsc::Sender<Spoken>,
    /// Kept to the end of the work.
    pub(super) _busy: Busy,
}

/// A clause on its way from words to sound.
struct Ready {
    clause: Clause,
    /// Part of the answer, not an apology: goes into the history.
    kept: bool,
}

/// The session is gone.
struct Gone;

impl Reply {
    /// Says `script`, to the end.
    pub(super) async fn run(self, script: Script) {
        let (ready, clauses) = mpsc::channel(CLAUSES);
        let (read, spoken) = future::join(self.read(script, ready), self.speak(clauses)).await;
        if read.is_ok() && spoken.is_ok() {
            let _ = self.say(Spoken::End).await; // the session is gone: so is its need
        }
    }

    /// Words to clauses.
    async fn read(&self, script: Script, ready: mpsc::Sender<Ready>) -> Result<(), Gone> {
        let mut cutter = (self.voice.clauses)();
        let (text, kept) = match script {
            Script::Ask(asking) => match self.ask(*asking, &mut cutter, &ready).await? {
                None => return Ok(()),
                Some(trouble) => (apology(trouble).to_owned(), false),
            },
            Script::Verbatim(text) => (text, true),
            Script::Apology(trouble) => (apology(trouble).to_owned(), false),
        };
        let mut all = cutter.push(&text);
        all.extend(cutter.finish());
        send(&ready, all, kept).await
    }

    /// The answer to clauses; what went wrong, if anything did.
    async fn ask(
        &self,
        asking: Asking,
        cutter: &mut Clauses,
        ready: &mpsc::Sender<Ready>,
    ) -> Result<Option<Trouble>, Gone> {
        let question = Question {
            messages: asking.messages,
            words: asking.words.0,
            caller: asking.caller,
            sure: asking.sure,
            pictures: asking.pictures,
            acts: asking.acts,
            offers: asking.offers,
            rules: asking.rules,
        };
        let (llm, tools) = (self.engines.llm.clone(), self.engines.tools.clone());
        let mut thoughts = mind::answer(llm, tools, question);
        let mut said_anything = false;
        let mut first = true;
        let trouble = loop {
            match thoughts.next().await {
                Some(Ok(Thought::Text(text))) => {
                    if std::mem::take(&mut first) {
                        self.say(Spoken::FirstToken).await?;
                    }
                    let clauses = cutter.push(&text);
                    said_anything |= !clauses.is_empty();
                    send(ready, clauses, true).await?;
                }
                Some(Ok(Thought::Say { text, kept })) => {
                    send(ready, whole(cutter, ""), true).await?;
                    let clauses = whole(cutter, &text);
                    said_anything |= !clauses.is_empty();
                    send(ready, clauses, kept).await?;
                }
                Some(Ok(Thought::Doing(doing))) => {
                    let rest = whole(cutter, "");
                    said_anything |= !rest.is_empty();
                    send(ready, rest, true).await?;
                    self.say(Spoken::Doing(doing)).await?;
                }
                Some(Ok(Thought::Busy)) => self.say(Spoken::Busy).await?,
                Some(Ok(Thought::Step(step))) => self.say(Spoken::Step(step)).await?,
                Some(Err(error)) => {
                    warn!(%error, fault = ?error.fault(), "no (more) answer");
                    metrics().engine_error(Engine::Llm, error.fault());
                    self.say(Spoken::Trouble(error.to_string())).await?;
                    break Some(Trouble::Failed(error.fault()));
                }
                None => break None,
            }
        };
        let rest = cutter.finish();
        said_anything |= !rest.is_empty();
        send(ready, rest, true).await?;
        if trouble.is_none() && !said_anything {
            warn!("{}", mind::EMPTY);
            self.say(Spoken::Trouble(mind::EMPTY.to_owned())).await?;
            return Ok(Some(Trouble::Failed(Fault::Internal)));
        }
        Ok(trouble)
    }

    /// Clauses to sound.
    async fn speak(&self, mut clauses: mpsc::Receiver<Ready>) -> Result<(), Gone> {
        let mut played = self.played.clone();
        let mut made = 0u64;
        let mut cost = Cost::default();
        while let Some(Ready { clause, kept }) = clauses.recv().await {
            if clause.spoken.is_empty() {
                self.say(Spoken::Clause { clause, kept }).await?; // an emoji, say
                continue;
            }
            let ahead = cost.ahead(clause.spoken.len());
            let enough = |played: &u64| made.saturating_sub(*played) <= ahead.samples();
            if played.wait_for(enough).await.is_err() {
                return Err(Gone);
            }
            let request = SpeakRequest {
                text: clause.spoken.clone(),
                voice: self.voice.name.clone(),
                speed: self.voice.speed,
                pause: clause.pause,
            };
            let letters = clause.spoken.len();
            self.say(Spoken::Clause { clause, kept }).await?;
            let (began, started) = (SystemTime::now(), Instant::now());
            let mut sound = self.engines.tts.speak(request);
            let span = info_span!("tts");
            while let Some(piece) = sound.next().instrument(span.clone()).await {
                match piece {
                    Ok(piece) => {
                        made += piece.len() as u64;
                        self.say(Spoken::Sound(piece)).await?;
                    }
                    // No apology: the voice is what failed.
                    Err(error) => {
                        warn!(%error, fault = ?error.fault(), "no voice");
                        metrics().engine_error(Engine::Tts, error.fault());
                        self.say(Spoken::Trouble(error.to_string())).await?;
                        return self.say(Spoken::End).await.and(Err(Gone));
                    }
                }
            }
            let took = started.elapsed();
            cost.took(letters, took);
            let step = Span::new("tts", began, began + took)
                .named("caal.engine", self.engines.tts.name())
                .counted("caal.tts.letters", letters as u64);
            self.say(Spoken::Step(step)).await?;
        }
        Ok(())
    }

    async fn say(&self, message: Spoken) -> Result<(), Gone> {
        self.out.send(message).await.map_err(|_| Gone)
    }
}

/// What `cutter` still has, and `text`, which is complete: more may be said behind it.
fn whole(cutter: &mut Clauses, text: &str) -> Vec<Clause> {
    let mut clauses = cutter.push(text);
    clauses.extend(cutter.finish());
    if let Some(last) = clauses.last_mut()
        && !last.text.ends_with(char::is_whitespace)
    {
        last.text.push(' ');
    }
    clauses
}

async fn send(ready: &mpsc::Sender<Ready>, all: Vec<Clause>, kept: bool) -> Result<(), Gone> {
    for clause in all {
        ready.send(Ready { clause, kept }).await.map_err(|_| Gone)?;
    }
    Ok(())
}

/// What speaking has cost so far in this reply.
#[derive(Debug, Default)]
struct Cost {
    letters: usize,
    time: Duration,
}

impl Cost {
    fn took(&mut self, letters: usize, time: Duration) {
        self.letters += letters;
        self.time += time;
    }

    /// How much sound may be unheard when a clause of `letters` is begun: [`AHEAD`], or as long as
    /// making it will take, so that the listener never waits because of the bound.
    fn ahead(&self, letters: usize) -> SamplePos<Hz24k> {
        if self.letters == 0 {
            return SamplePos::new(u64::MAX); // nothing is known yet
        }
        let each = self.time.as_secs_f64() / self.letters as f64;
        let need = Duration::from_secs_f64(each * letters as f64 * HASTE);
        SamplePos::at(AHEAD.max(need + Duration::from_millis(200)))
    }
}

/// What is said when an exchange fails.
fn apology(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::TooSlow => "Sorry, that took too long. Please try again.",
        Trouble::Failed(Fault::Busy) => "Sorry, I am busy right now. Please try again in a moment.",
        Trouble::Failed(Fault::Remote) => "Sorry, I cannot reach my language model right now.",
        Trouble::Failed(Fault::Request) => {
            "Sorry, one of my settings is wrong. Please look at the message on the screen."
        }
        Trouble::Failed(Fault::Internal) => "Sorry, something went wrong. Please try again.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_voice_may_run_further_ahead_so_that_nobody_waits_for_it() {
        let mut cost = Cost::default();
        assert_eq!(cost.ahead(40).samples(), u64::MAX);
        cost.took(100, Duration::from_secs(1));
        assert_eq!(cost.ahead(40), SamplePos::at(AHEAD));
        cost.took(100, Duration::from_secs(19));
        assert_eq!(
            cost.ahead(40),
            SamplePos::at(Duration::from_millis(40 * 160 + 200))
        );
    }
}
