//! One person in one room: wires turn machine, ear, engines and playout together and owns their
//! tasks. Knows no room, no socket and no concrete model.
//!
//! A [`Session`] takes [`Event`]s and gives [`Effect`]s; its room owns microphone and speaker, an
//! [`Ear`] that turns sound into events, and a [`Playout`] that turns effects into frames.
//! `Session::run` returns only when all its tasks are gone.

mod answered;
mod clip;
mod ear;
mod engines;
mod io;
mod listening;
mod live;
mod manner;
mod pace;
mod playout;
mod reply;
mod seat;
mod timings;
mod turns;

pub use crate::llm::pictures::{Picture, Shown};
pub use answered::Answered;
pub use ear::{Ear, EarConfig};
pub use engines::{EarModels, Engines, Load};
pub use io::{EarEvent, Effect, Event};
pub use manner::{Manner, Manners, WakeSource};
pub use pace::Clock;
pub use playout::{FRAME, Playout, PlayoutEvent};
pub(crate) use seat::{Carried, Seat};
pub use seat::{Ended, Setting, Watch};
pub use timings::{Marks, TurnTimings};
pub use turns::{Past, Turns};

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, info_span, warn};

use self::{
    clip::Clip,
    listening::Overhearing,
    live::{Asked, LiveReply, Making, Prepared},
    manner::News,
    pace::Pace,
    reply::{Asking, Reply, Script, Spoken, Voice},
};
use crate::{
    audio::{Hz16k, Pcm, SamplePos},
    clock::At,
    endpoint::{EndpointConfig, EndpointError, TurnEndModel},
    fault::Fault,
    llm::{
        acts::Acts,
        history::{self, Conversation, Ending, Limits},
    },
    mind::{self, Offers, Rules},
    pii::Pii,
    stt::{Language, SttError, Transcript},
    telemetry::{self, Interruption, Outcome, Span, metrics},
    tools::Caller,
    tts::Clauses,
    turn::{CancelReason, Input, Output, Prompt, ReplyId, Take, TurnConfig, TurnId, TurnMachine},
};

/// What a session is told: at its start, and again by [`Manner`].
#[derive(Clone)]
pub struct SessionConfig {
    /// The rules of turn taking.
    pub turn: TurnConfig,
    /// How judgements become waits.
    pub endpoint: EndpointConfig,
    /// What is spoken.
    pub language: Language,
    /// Names and spellings for the transcription.
    pub hints: String,
    /// What the assistant is told about itself: asked for with every question, because a conversation
    /// may go on for days. The same text as long as nothing changes that it speaks of (the day):
    /// engines keep what they have read.
    pub system: Arc<dyn Fn() -> String + Send + Sync>,
    /// The user's words as the model gets them: with the time of day, say.
    pub frame: Arc<dyn Fn(&str) -> String + Send + Sync>,
    /// How much of the conversation the model sees.
    pub history: Limits,
    /// How answers are made.
    pub mind: Rules,
    /// The room, for what speaks up later; empty where there is one place only.
    pub place: String,
    /// Voice or blend; empty for the engine's own.
    pub voice: String,
    /// Speed of speech.
    pub speed: f32,
    /// Cuts answers into clauses; called once per reply.
    pub clauses: Arc<dyn Fn() -> Clauses + Send + Sync>,
    /// What is said to who says the wake word and no more; empty for nothing.
    pub woken: Arc<dyn Fn() -> String + Send + Sync>,
    /// Which clock.
    pub clock: Clock,
}

/// The judge of pauses. Behind a mutex because a judgement runs on a blocking thread and a second
/// one may be asked for before it is done; never locked in async code.
type Judge = Arc<Mutex<Box<dyn TurnEndModel>>>;

/// What a task ended with.
enum Done {
    Transcribed(Take, Result<Transcript, SttError>, Duration),
    /// The words so far of one who speaks on.
    Overheard(TurnId, Result<Transcript, SttError>, Duration),
    Judged(Take, Result<f32, EndpointError>),
    Replied,
    Warmed,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Work {
    Transcribe(Take),
    Judge(Take),
}

/// Messages that a reply may be ahead of its session. A reply in advance stops here: three to four
/// seconds of sound.
const SPOKEN: usize = 8;

/// What a session still owes its room.
enum Owed {
    Time(At),
    Settled,
}

/// See the module's text.
pub struct Session {
    config: SessionConfig,
    machine: TurnMachine,
    engines: Engines,
    judge: Option<Judge>,
    pace: Pace,
    history: Conversation,
    /// Which tools the language model is told of.
    offers: Offers,
    clip: Option<Clip>,
    /// The sound of the speech that has just begun.
    beginning: Option<(SamplePos<Hz16k>, Pcm<Hz16k>)>,
    /// Moments of the turn that is going on.
    marks: Marks,
    turn: Option<TurnId>,
    live: Option<LiveReply>,
    /// An answer to what may be the whole question.
    prepared: Option<Prepared>,
    /// A reply that was cut off had something done: the machine is to hear of it.
    begun: Option<ReplyId>,
    work: HashMap<Work, AbortHandle>,
    tasks: JoinSet<Done>,
    owed: Option<Owed>,
    /// What is said to who has just said the wake word, on its way to the machine.
    greeting: Option<String>,
    news: News,
    /// For displays: what has been heard so far.
    hearing: Option<Effect>,
    /// The transcription for displays only, while the user speaks.
    overhearing: Option<Overhearing>,
    /// How much of the clip the last one saw.
    overheard: usize,
    /// How long the last transcription took.
    took: Option<Duration>,
    /// From when to when the words of this turn were recognised.
    recognised: Option<(TurnId, At, At)>,
    stop: CancellationToken,
}

impl Session {
    /// A session at rest. `turn_end` judges pauses; without one every pause waits as long as
    /// [`EndpointConfig::delay`] says for no judgement. Cancelling `stop` ends [`Session::run`].
    pub fn new(
        mut config: SessionConfig,
        engines: Engines,
        turn_end: Option<Box<dyn TurnEndModel>>,
        stop: CancellationToken,
    ) -> Self {
        config.turn.default_wait = config.endpoint.delay(None);
        Self {
            machine: TurnMachine::new(config.turn),
            pace: Pace::start(config.clock),
            history: Conversation::new(config.history),
            offers: Offers::default(),
            config,
            engines,
            judge: turn_end.map(|model| Arc::new(Mutex::new(model))),
            clip: None,
            beginning: None,
            marks: Marks::default(),
            turn: None,
            live: None,
            prepared: None,
            begun: None,
            work: HashMap::new(),
            tasks: JoinSet::new(),
            owed: None,
            greeting: None,
            news: News::default(),
            hearing: None,
            overhearing: None,
            overheard: 0,
            took: None,
            recognised: None,
            stop,
        }
    }

    /// Goes on from what was said before, oldest first.
    pub fn remembering(mut self, past: Vec<history::Past>) -> Self {
        self.history.restore(past);
        self
    }

    /// Runs until `stop` is cancelled, `events` ends, or the room no longer takes `effects`.
    pub async fn run(mut self, mut events: mpsc::Receiver<Event>, effects: mpsc::Sender<Effect>) {
        let stop = self.stop.clone();
        let _counted = metrics().session();
        self.warm();
        let gone = loop {
            if self.drain(&effects).await.is_err() {
                break true;
            }
            let greeting = self.greeting.take().map(|text| Input::Greet { text });
            if let Some(input) = greeting.or_else(|| self.new_rules()) {
                self.input(input);
                continue;
            }
            let engaged = self.config.clock == Clock::Driven && self.engaged();
            self.pace.freeze(engaged);
            if !engaged && let Some(owed) = self.owed.take() {
                if self.settle(owed, &effects).await.is_err() {
                    break true;
                }
                continue;
            }
            let deadline = self.machine.deadline();
            tokio::select! {
                biased;
                () = stop.cancelled() => break false,
                // Heeded above, or when the turn that is going on is over.
                () = self.news.wait(), if !self.news.unheeded() => {}
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.finished(done);
                }
                message = said(&mut self.live), if speaks(&self.live) => {
                    if self.spoken(message, &effects).await.is_err() {
                        break true;
                    }
                }
                event = events.recv(), if self.owed.is_none() => match event {
                    Some(event) => if self.event(event, &effects).await.is_err() {
                        break true;
                    },
                    None => break false,
                },
                () = self.pace.until(deadline), if deadline.is_some() => {
                    let at = deadline.expect("asked before");
                    self.pace.advance(at);
                    self.input(Input::Tick);
                }
            }
        };
        self.tasks.shutdown().await;
        if gone {
            info!("the room is gone");
        }
    }

    /// An engine is being waited for.
    fn engaged(&self) -> bool {
        !self.work.is_empty()
            || self
                .live
                .as_ref()
                .is_some_and(|live| !live.sounded && !live.ended)
    }

    /// Brings a driven session to where its room wants it, one deadline at a time.
    async fn settle(&mut self, owed: Owed, effects: &mpsc::Sender<Effect>) -> Result<(), Gone> {
        match owed {
            Owed::Time(at) => match self.machine.deadline().filter(|due| *due <= at) {
                Some(due) => {
                    self.pace.advance(due);
                    self.owed = Some(Owed::Time(at));
                    self.input(Input::Tick);
                }
                None => self.pace.advance(at),
            },
            Owed::Settled => {
                let at_rest = self.machine.at_rest();
                send(
                    effects,
                    Effect::Settled {
                        at: self.pace.now(),
                        at_rest,
                    },
                )
                .await?;
            }
        }
        Ok(())
    }

    fn input(&mut self, input: Input) {
        self.machine.handle(self.pace.now(), input);
    }

    async fn event(&mut self, event: Event, effects: &mpsc::Sender<Effect>) -> Result<(), Gone> {
        match event {
            Event::Ear(event) => self.heard(event, effects).await?,
            Event::Playout(event) => self.played(event, effects).await?,
            Event::Typed(text) => self.input(Input::Typed { text }),
            Event::Announce(text) => self.input(Input::Announce { text }),
            Event::Wake => self.input(Input::Wake),
            Event::Interrupt => self.input(Input::Interrupt),
            Event::Time(at) => self.owed = Some(Owed::Time(at)),
            Event::Settle => self.owed = Some(Owed::Settled),
        }
        Ok(())
    }

    async fn heard(&mut self, event: EarEvent, effects: &mpsc::Sender<Effect>) -> Result<(), Gone> {
        match event {
            EarEvent::Wake { word, score } => {
                info!(word, score, "wake word");
                metrics().wake_word(&word);
                self.warm();
                send(effects, Effect::Woken { word, score }).await?;
                self.input(Input::Wake);
                self.greeting = Some((self.config.woken)());
            }
            EarEvent::SpeechStarted { from, sound } => {
                if let Some(clip) = &mut self.clip {
                    clip.add(from, &sound);
                    clip.speech_resumed();
                }
                self.beginning = Some((from, sound));
                self.input(Input::SpeechStarted);
            }
            EarEvent::Heard { from, sound } => {
                if let Some(clip) = &mut self.clip {
                    clip.add(from, &sound);
                }
                self.overhear();
            }
            EarEvent::SpeechEnded { at, silent_for } => {
                if let Some(clip) = &mut self.clip {
                    clip.speech_ended(at);
                }
                self.marks.user_stop = Some(self.pace.mark().saturating_sub(silent_for));
                self.input(Input::SpeechEnded { silent_for });
            }
            EarEvent::Failed { why } => {
                warn!(why, "the ear hears nothing from now on");
                metrics().engine_error(telemetry::Engine::Ear, Fault::Internal);
                send(effects, Effect::Trouble(why)).await?;
            }
        }
        Ok(())
    }

    async fn played(
        &mut self,
        event: PlayoutEvent,
        effects: &mpsc::Sender<Effect>,
    ) -> Result<(), Gone> {
        let mark = self.pace.mark();
        let (PlayoutEvent::Audible { reply }
        | PlayoutEvent::Played { reply, .. }
        | PlayoutEvent::Over { reply, .. }) = event;
        let Some(live) = self.live.as_mut().filter(|live| live.id == reply) else {
            return Ok(()); // of a reply that was cancelled meanwhile
        };
        match event {
            PlayoutEvent::Audible { .. } => {
                live.marks.audible = Some(mark);
                live.audible = true;
                let timings = live.asked.is_some().then(|| live.timings());
                self.input(Input::ReplyAudible { reply });
                if let Some(timings) = timings {
                    timings.log();
                    send(effects, Effect::Timings(timings)).await?;
                }
            }
            PlayoutEvent::Played { until, .. } => {
                live.played(until);
                self.input(Input::ReplyProgress { reply });
            }
            PlayoutEvent::Over { until, .. } => {
                live.played(until);
                self.close(Ending::Complete, effects).await?;
                self.input(Input::ReplyOver { reply });
            }
        }
        Ok(())
    }

    async fn spoken(
        &mut self,
        message: Option<Spoken>,
        effects: &mpsc::Sender<Effect>,
    ) -> Result<(), Gone> {
        let mark = self.pace.mark();
        let Some(live) = self.live.as_mut() else {
            return Ok(());
        };
        let Some(message) = message else {
            // It has said all, or its task has panicked: then a deadline comes.
            live.making.spoken = None;
            live.ended = true;
            return Ok(());
        };
        let reply = live.id;
        let effect = match message {
            Spoken::FirstToken => {
                live.marks.first_token.get_or_insert(mark);
                return Ok(());
            }
            Spoken::Step(step) => {
                live.step(step);
                return Ok(());
            }
            Spoken::Clause { clause, kept } => {
                live.marks.first_clause.get_or_insert(mark);
                let text = clause.text.clone();
                live.clause(clause, kept);
                Effect::Saying { reply, text }
            }
            Spoken::Sound(sound) => {
                live.marks.first_sound.get_or_insert(mark);
                live.sound(sound.len());
                Effect::Play { reply, sound }
            }
            Spoken::Trouble(why) => Effect::Trouble(why),
            Spoken::Doing(doing) => {
                self.input(Input::ReplyBusy { reply });
                Effect::Doing(doing)
            }
            Spoken::Busy => {
                self.input(Input::ReplyBusy { reply });
                return Ok(());
            }
            Spoken::End => {
                live.ended = true;
                Effect::PlayEnd { reply }
            }
        };
        send(effects, effect).await
    }

    fn finished(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done::Overheard(turn, result, took)) => {
                self.overhearing = None;
                self.took = Some(took);
                let open = |clip: &Clip| clip.turn == turn && clip.is_open();
                match result {
                    Ok(transcript) if self.clip.as_ref().is_some_and(open) => {
                        self.show_heard(turn, &transcript);
                    }
                    Ok(_) => {}
                    Err(error) => warn!(%error, turn = turn.0, "no words for displays"),
                }
            }
            Ok(Done::Transcribed(take, result, took)) => {
                self.work.remove(&Work::Transcribe(take));
                self.took = Some(took);
                let now = self.pace.mark();
                self.recognised = Some((take.turn, now.saturating_sub(took), now));
                match result {
                    Ok(transcript) => {
                        self.show_heard(take.turn, &transcript);
                        self.input(Input::Transcript {
                            take,
                            text: transcript.text,
                        });
                    }
                    Err(error) => {
                        let fault = error.fault();
                        warn!(%error, ?fault, turn = take.turn.0, "no transcript");
                        metrics().engine_error(telemetry::Engine::Stt, fault);
                        self.input(Input::TranscriptFailed { take, fault });
                    }
                }
            }
            Ok(Done::Judged(take, result)) => {
                self.work.remove(&Work::Judge(take));
                let probability = result
                    .inspect_err(|error| {
                        warn!(%error, "no judgement");
                        metrics().engine_error(telemetry::Engine::TurnEnd, error.fault());
                    })
                    .ok();
                let wait = self.config.endpoint.delay(probability);
                self.input(Input::TurnEnd { take, wait });
            }
            Ok(Done::Replied | Done::Warmed) => {}
            Err(error) if error.is_cancelled() => {}
            // What it was to answer runs into its deadline.
            Err(error) => {
                warn!(
                    error = telemetry::ended(&error),
                    "a task of the session has ended"
                );
                self.work.retain(|_, task| !task.is_finished());
            }
        }
    }

    async fn drain(&mut self, effects: &mpsc::Sender<Effect>) -> Result<(), Gone> {
        if let Some(hearing) = self.hearing.take() {
            send(effects, hearing).await?;
        }
        loop {
            while let Some(output) = self.machine.poll_output() {
                self.perform(output, effects).await?;
            }
            let Some(reply) = self.begun.take() else {
                return Ok(());
            };
            self.input(Input::ReplyBusy { reply });
        }
    }

    async fn perform(
        &mut self,
        output: Output,
        effects: &mpsc::Sender<Effect>,
    ) -> Result<(), Gone> {
        match output {
            Output::Capture { turn } => {
                self.follow();
                let (from, sound) = self.beginning.take().unwrap_or_else(|| {
                    (SamplePos::new(0), Pcm::default()) // a room without an ear
                });
                self.clip = Some(Clip::new(turn, from, sound));
                self.overheard = 0;
                self.marks = Marks::default();
            }
            Output::Release { turn } => {
                self.drop_work(|take| take.turn == turn);
                self.overhearing = None;
                self.clip.take_if(|clip| clip.turn == turn);
            }
            Output::Forget { take } => {
                self.prepared.take_if(|prepared| prepared.take == take);
                self.drop_work(|t| t == take);
            }
            Output::Prepare { take, text } => self.prepare(take, text),
            Output::JudgeTurnEnd { take } => self.judge(take),
            Output::Transcribe { take } => self.transcribe(take),
            Output::TurnOver { turn } => {
                self.turn = Some(turn);
                self.marks.endpoint = Some(self.pace.mark());
            }
            Output::StartReply { reply, prompt } => {
                self.start(reply, prompt, effects).await?;
            }
            Output::Cancel { reply, why } => {
                info!(reply = reply.0, ?why, "reply cancelled");
                self.count_interruption(why);
                send(effects, Effect::Flush(reply)).await?;
                let live = self.live.as_ref();
                let begun = live.is_some_and(|live| live.making.acts.count() > 0);
                self.close(Ending::Interrupted, effects).await?;
                // It is in the history, heard or not.
                self.begun = begun.then_some(reply);
            }
            Output::Hush { reply } => send(effects, Effect::Hush(reply)).await?,
            Output::Unhush { reply } => {
                metrics().false_interruption();
                send(effects, Effect::Unhush(reply)).await?;
            }
            Output::Attend(attention) => send(effects, Effect::Attend(attention)).await?,
            Output::Show(phase) => send(effects, Effect::Show(phase)).await?,
        }
        Ok(())
    }

    async fn start(
        &mut self,
        id: ReplyId,
        prompt: Prompt,
        effects: &mpsc::Sender<Effect>,
    ) -> Result<(), Gone> {
        if self.turn.is_none() && !matches!(prompt, Prompt::Apology(_)) {
            self.follow(); // typed, or nobody's turn
        }
        let prepared = self.prepared.take();
        let mut marks = Marks {
            transcript: Some(self.pace.mark()),
            ..Marks::default()
        };
        let mut turn = None;
        let passing = matches!(prompt, Prompt::Greeting(_));
        let (making, asked) = match prompt {
            Prompt::User(text) => {
                turn = self.turn.take();
                if turn.is_some() {
                    marks = Marks {
                        transcript: marks.transcript,
                        ..self.marks
                    };
                }
                let (making, framed) = match prepared.filter(|prepared| prepared.text == text) {
                    Some(Prepared { framed, making, .. }) => (making, framed),
                    None => {
                        let framed = (self.config.frame)(&text);
                        (self.ask(&text, &framed), framed)
                    }
                };
                making.sure.send_replace(true);
                let asked = Asked {
                    words: Pii(text.clone()),
                    framed,
                    over_at: self.calendar(marks.user_stop.or(marks.transcript)),
                };
                send(effects, Effect::UserSaid { turn, text }).await?;
                (making, Some(asked))
            }
            Prompt::Verbatim(text) | Prompt::Greeting(text) => {
                metrics().announcement();
                (self.make(Script::Verbatim(text)), None)
            }
            Prompt::Apology(trouble) => (self.make(Script::Apology(trouble)), None),
        };
        let mut live = LiveReply::new(id, turn, asked, marks, making);
        live.passing = passing;
        for step in self.steps_before(turn, &marks) {
            live.step(step);
        }
        self.live = Some(live);
        Ok(())
    }

    /// Begins an answer that may be wanted soon, unless somebody is being answered: what may be for
    /// nothing takes nobody's time.
    fn prepare(&mut self, take: Take, text: String) {
        self.prepared = None;
        if !self.engines.load.replies.idle() {
            return;
        }
        let framed = (self.config.frame)(&text);
        let making = self.ask(&text, &framed);
        self.prepared = Some(Prepared {
            take,
            text,
            framed,
            making,
        });
    }

    /// The question as the model gets it. Into the history only when its answer is heard: until then
    /// the machine carries it.
    fn ask(&mut self, words: &str, framed: &str) -> Making {
        let mut asked = self.history.clone();
        asked.user_said(framed);
        let (sure, watched) = watch::channel(false);
        let acts = Acts::default();
        let asking = Asking {
            messages: asked.request(&(self.config.system)()).messages,
            words: Pii(words.to_owned()),
            caller: Caller {
                place: self.config.place.clone(),
            },
            sure: watched,
            pictures: self.engines.shown.now(),
            acts: acts.clone(),
            offers: self.offers.clone(),
            rules: self.config.mind.clone(),
        };
        let mut making = self.make(Script::Ask(Box::new(asking)));
        making.sure = sure;
        making.acts = acts;
        making
    }

    /// Has the language model read what the next question will begin with, while it has nothing else to do.
    fn warm(&mut self) {
        if !self.engines.load.replies.idle() {
            return;
        }
        let work = mind::warm(
            self.engines.llm.clone(),
            self.engines.tools.clone(),
            self.offers.clone(),
            self.history.request(&(self.config.system)()).messages,
            self.config.mind.clone(),
        );
        self.tasks.spawn(async move {
            work.await;
            Done::Warmed
        });
    }

    /// The work on a reply, under way.
    fn make(&mut self, script: Script) -> Making {
        let (played, watched) = watch::channel(0);
        let (out, spoken) = mpsc::channel(SPOKEN);
        let work = Reply {
            engines: self.engines.clone(),
            voice: Voice {
                name: self.config.voice.clone(),
                speed: self.config.speed,
                clauses: self.config.clauses.clone(),
            },
            played: watched,
            out,
            _busy: self.engines.load.replies.begin(),
        };
        let task = self.tasks.spawn(
            async move {
                work.run(script).await;
                Done::Replied
            }
            .instrument(info_span!("reply")),
        );
        Making {
            task,
            spoken: Some(spoken),
            played,
            sure: watch::Sender::new(true),
            acts: Acts::default(),
        }
    }

    /// The live reply is over: its work ends, and what was heard of it goes into the history.
    async fn close(&mut self, ending: Ending, effects: &mpsc::Sender<Effect>) -> Result<(), Gone> {
        let Some(mut live) = self.live.take() else {
            return Ok(());
        };
        let complete = ending == Ending::Complete;
        let outcome = match (live.audible, complete) {
            (false, _) => Outcome::Unheard,
            (true, false) => Outcome::Interrupted,
            (true, true) => Outcome::Complete,
        };
        let timings = live.timings();
        if live.asked.is_some() {
            metrics().turn_over(outcome, timings.input());
        }
        // What was done was done, whether anything was heard of it or not.
        if let Some(asked) = &live.asked
            && (live.audible || live.making.acts.count() > 0)
        {
            self.history.user_said(&asked.framed);
            self.history.acted(live.making.acts.clone());
        }
        if !live.audible {
            return Ok(());
        }
        let text = live.heard().trim_end().to_owned();
        if !live.passing {
            self.history.assistant_heard(&text, ending);
        }
        let said = Effect::AssistantSaid {
            reply: live.id,
            text: text.clone(),
            complete,
        };
        send(effects, said).await?;
        let Some(asked) = live.asked.take() else {
            return Ok(());
        };
        let over_at = SystemTime::now();
        if let Some(audible) = live.marks.audible {
            live.step(Span::new("playout", self.calendar(Some(audible)), over_at));
        }
        let answered = Answered {
            asked_at: asked.over_at,
            over_at,
            steps: live.take_steps(),
            timings,
            outcome,
            user: asked.words,
            assistant: Pii(text),
        };
        send(effects, Effect::Answered(Box::new(answered))).await
    }

    /// What was done for the question in `turn` before its answer was begun.
    fn steps_before(&self, turn: Option<TurnId>, marks: &Marks) -> Vec<Span> {
        let mut steps = Vec::new();
        if let (Some(stop), Some(endpoint)) = (marks.user_stop, marks.endpoint) {
            let (from, to) = (self.calendar(Some(stop)), self.calendar(Some(endpoint)));
            steps.push(Span::new("endpoint", from, to));
        }
        if let Some((of, from, to)) = self.recognised
            && Some(of) == turn
        {
            let (from, to) = (self.calendar(Some(from)), self.calendar(Some(to)));
            let engine = self.engines.stt.name();
            steps.push(Span::new("stt", from, to).named("caal.engine", engine));
        }
        steps
    }

    /// When it was `at`, by the calendar: now, less what has passed since.
    fn calendar(&self, at: Option<At>) -> SystemTime {
        let ago = at.map_or(Duration::ZERO, |at| self.pace.mark().saturating_since(at));
        SystemTime::now() - ago
    }

    /// A reply that is heard is cut off.
    fn count_interruption(&self, why: CancelReason) {
        if !self.live.as_ref().is_some_and(|live| live.audible) {
            return;
        }
        metrics().interruption(match why {
            CancelReason::BargeIn => Interruption::BargeIn,
            CancelReason::Superseded => Interruption::Superseded,
            CancelReason::Interrupted => Interruption::Stopped,
            CancelReason::TooSlow => return, // nobody's doing
        });
    }
}

/// Whether `live` may still say something.
fn speaks(live: &Option<LiveReply>) -> bool {
    live.as_ref()
        .is_some_and(|live| live.making.spoken.is_some())
}

/// The next that `live` says; for ever nothing where [`speaks`] says no.
async fn said(live: &mut Option<LiveReply>) -> Option<Spoken> {
    match live.as_mut().and_then(|live| live.making.spoken.as_mut()) {
        Some(spoken) => spoken.recv().await,
        None => std::future::pending().await,
    }
}

/// The room no longer takes effects.
struct Gone;

async fn send(effects: &mpsc::Sender<Effect>, effect: Effect) -> Result<(), Gone> {
    effects.send(effect).await.map_err(|_| Gone)
}
