//! What every conversation has in common, in whatever room: one session, one ear, one playout, and
//! somebody who watches. The rooms (`local`, `room`) bring the sound and the time.

use std::collections::VecDeque;

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{Span, warn};

use super::{Clock, Ear, Effect, Engines, Event, Manners, Playout, Session, SessionConfig};
use crate::{
    audio::{Hz24k, Pcm},
    endpoint::TurnEndModel,
    llm::history::Past,
    telemetry,
    turn::Attention,
};

/// Between room and session either way. When full the sender waits: both sides take without
/// delay, so that means a stall of seconds.
const QUEUE: usize = 64;

/// What a conversation needs.
pub struct Setting {
    /// The session's; its clock is set by the room.
    pub config: SessionConfig,
    /// What it asks.
    pub engines: Engines,
    /// Judges pauses.
    pub turn_end: Option<Box<dyn TurnEndModel>>,
    /// Hears.
    pub ear: Ear,
    /// What changes while the conversation goes on; none where nothing does.
    pub manners: Option<Manners>,
    /// What was said before it began, oldest first.
    pub past: Vec<Past>,
}

/// Sees what goes on: displays, benches, tests.
pub trait Watch: Send {
    /// Something happened.
    fn effect(&mut self, effect: &Effect);

    /// The microphone's level over the last 20 ms: root mean square, `0.0..=1.0`.
    fn level(&mut self, _rms: f32) {}

    /// Something about devices, as a sentence.
    fn note(&mut self, _text: &str) {}

    /// The devices in use, by name; `None` while one is missing. Told at the start and when it
    /// changes.
    fn devices(&mut self, _microphone: Option<&str>, _loudspeaker: Option<&str>) {}
}

/// The session has ended: it was told to, or it panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

/// See the module's text.
pub(crate) struct Seat<'w, W: Watch + ?Sized> {
    /// `None` while it listens on its thread.
    ear: Option<Ear>,
    /// What the ear is to listen for, in order, from its next sound on.
    attentions: Vec<Attention>,
    pub(crate) playout: Playout,
    events: mpsc::Sender<Event>,
    effects: mpsc::Receiver<Effect>,
    pub(crate) watch: &'w mut W,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

/// An effect that the room has carried out.
pub(crate) enum Carried {
    /// Nothing more to know.
    Out,
    /// The answer to [`Event::Settle`].
    Settled { at_rest: bool },
}

impl<'w, W: Watch + ?Sized> Seat<'w, W> {
    pub(crate) fn open(setting: Setting, clock: Clock, watch: &'w mut W) -> Self {
        let Setting {
            config,
            engines,
            turn_end,
            mut ear,
            manners,
            past,
        } = setting;
        let stop = CancellationToken::new();
        let config = SessionConfig { clock, ..config };
        let mut session = Session::new(config, engines, turn_end, stop.clone()).remembering(past);
        if let Some(manners) = manners {
            ear.follow(manners.clone());
            session = session.following(manners);
        }
        let (events, events_rx) = mpsc::channel(QUEUE);
        let (effects_tx, effects) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        tasks.spawn(session.run(events_rx, effects_tx));
        Self {
            ear: Some(ear),
            attentions: Vec::new(),
            playout: Playout::new(),
            events,
            effects,
            watch,
            tasks,
            stop,
        }
    }

    /// The ear, for a room that listens in a task of its own: it tells [`Self::events`] what it hears
    /// and is told by the room what to attend to.
    pub(crate) fn take_ear(&mut self) -> Option<Ear> {
        self.ear.take()
    }

    /// Where the session is told what happens.
    pub(crate) fn events(&self) -> mpsc::Sender<Event> {
        self.events.clone()
    }

    /// The microphone's next sound. The ear's models take a few milliseconds of a blocking thread,
    /// so that no task of another conversation waits for them. This seat does wait: what the ear
    /// heard is told before the next frame is played, in the order of the sound.
    ///
    /// A blocking thread of the runtime, not one of its own: a test's paused clock stands still
    /// while such a thread works, and would run on while another one did.
    pub(crate) async fn hear(&mut self, sound: Vec<f32>) -> Result<(), Ended> {
        self.watch.level(crate::audio::rms(&sound));
        let mut ear = self.ear.take().ok_or(Ended)?;
        let span = Span::current();
        let attentions = std::mem::take(&mut self.attentions);
        let listening = tokio::task::spawn_blocking(move || {
            let _in_span = span.entered();
            // Falling asleep takes the wake word model through seconds of sound.
            for attention in attentions {
                ear.attend(attention);
            }
            let mut heard = Vec::new();
            ear.push(&sound, |event| heard.push(event));
            (ear, heard)
        });
        let (ear, heard) = listening.await.map_err(|error| {
            warn!(error = telemetry::ended(&error), "the ear has ended");
            Ended
        })?;
        self.ear = Some(ear);
        for event in heard {
            self.tell(Event::Ear(event)).await?;
        }
        Ok(())
    }

    /// Tells the session something, and carries out what it asks meanwhile: two full queues facing
    /// each other would wait for ever.
    pub(crate) async fn tell(&mut self, event: Event) -> Result<(), Ended> {
        let mut asked = VecDeque::new();
        let permit = loop {
            tokio::select! {
                biased;
                permit = self.events.reserve() => break permit.map_err(|_| Ended)?,
                effect = self.effects.recv() => asked.push_back(effect.ok_or(Ended)?),
            }
        };
        permit.send(event);
        for effect in asked {
            self.carry_out(effect);
        }
        Ok(())
    }

    /// The session's next wish, carried out.
    pub(crate) async fn next(&mut self) -> Result<Carried, Ended> {
        let effect = self.effects.recv().await.ok_or(Ended)?;
        Ok(self.carry_out(effect))
    }

    /// The session's wishes so far, carried out.
    pub(crate) fn catch_up(&mut self) -> Result<Carried, Ended> {
        let mut last = Carried::Out;
        loop {
            match self.effects.try_recv() {
                Ok(effect) => {
                    if let settled @ Carried::Settled { .. } = self.carry_out(effect) {
                        last = settled;
                    }
                }
                Err(mpsc::error::TryRecvError::Empty) => return Ok(last),
                Err(mpsc::error::TryRecvError::Disconnected) => return Err(Ended),
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Carried {
        self.watch.effect(&effect);
        match effect {
            // Without an ear of its own it is for the room that took it.
            Effect::Attend(attention) if self.ear.is_some() => self.attentions.push(attention),
            Effect::Play { reply, sound } => self.playout.push(reply, &sound),
            Effect::PlayEnd { reply } => self.playout.end(reply),
            Effect::Hush(reply) => self.playout.hush(reply),
            Effect::Unhush(reply) => self.playout.unhush(reply),
            Effect::Flush(reply) => {
                self.playout.flush(reply);
            }
            Effect::Settled { at_rest, .. } => return Carried::Settled { at_rest },
            _ => {}
        }
        Carried::Out
    }

    /// The speaker's next 20 ms; `None` for silence.
    pub(crate) async fn frame(&mut self) -> Result<Option<Pcm<Hz24k>>, Ended> {
        let mut events = Vec::new();
        let frame = self.playout.frame(&mut events);
        for event in events {
            self.tell(Event::Playout(event)).await?;
        }
        Ok(frame)
    }

    /// Ends the session and waits for it.
    pub(crate) async fn close(mut self) {
        self.stop.cancel();
        self.effects.close();
        while self.tasks.join_next().await.is_some() {}
    }
}
