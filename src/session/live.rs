//! The one live reply, as its session keeps book of it: what was made, and what was heard. And the one
//! that is made in advance, of which nobody knows.

use std::time::SystemTime;

use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

use super::{
    reply::Spoken,
    timings::{Marks, TurnTimings},
};
use crate::{
    audio::{Hz24k, SamplePos},
    llm::acts::Acts,
    pii::Pii,
    telemetry::Span,
    tts::{Clause, align},
    turn::{ReplyId, Take, TurnId},
};

/// Steps of one reply that are kept: a long story has a clause for each.
const STEPS: usize = 64;

/// The work on a reply. Dropped, it ends, and with it whatever it had to say.
#[derive(Debug)]
pub(super) struct Making {
    pub(super) task: AbortHandle,
    /// What it says; `None` after the last of it.
    pub(super) spoken: Option<mpsc::Receiver<Spoken>>,
    /// Tells it how much was played.
    pub(super) played: watch::Sender<u64>,
    /// Tells it that the user has said all.
    pub(super) sure: watch::Sender<bool>,
    /// What is called for it.
    pub(super) acts: Acts,
}

impl Drop for Making {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer that is made before the turn is over. It waits when the channel of its sound is full.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) take: Take,
    /// The words it answers.
    pub(super) text: String,
    /// The same as the model got them.
    pub(super) framed: String,
    pub(super) making: Making,
}

/// What a reply answers.
#[derive(Debug)]
pub(super) struct Asked {
    /// As the user said or typed it.
    pub(super) words: Pii<String>,
    /// As the model got it.
    pub(super) framed: String,
    /// When the question was over.
    pub(super) over_at: SystemTime,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct LiveReply {
    pub(super) id: ReplyId,
    turn: Option<TurnId>,
    /// What it answers; `None` for announcements and apologies.
    pub(super) asked: Option<Asked>,
    pub(super) marks: Marks,
    /// Said in passing: no part of the conversation.
    pub(super) passing: bool,
    /// Its first sound has gone to the room.
    pub(super) sounded: bool,
    /// All its sound has.
    pub(super) ended: bool,
    /// The listener hears it, or has.
    pub(super) audible: bool,
    pub(super) making: Making,
    /// What was done for it, for traces.
    steps: Vec<Span>,
    /// Those of the answer itself, with their samples so far.
    clauses: Vec<(Clause, u64)>,
    /// The sound that comes belongs to the last of [`Self::clauses`], not to an apology.
    kept: bool,
}

impl LiveReply {
    /// A reply of which nothing was heard yet.
    pub(super) fn new(
        id: ReplyId,
        turn: Option<TurnId>,
        asked: Option<Asked>,
        marks: Marks,
        making: Making,
    ) -> Self {
        Self {
            id,
            turn,
            asked,
            marks,
            passing: false,
            sounded: false,
            ended: false,
            audible: false,
            making,
            steps: Vec::new(),
            clauses: Vec::new(),
            kept: false,
        }
    }

    /// Something was done for it. Beyond what a trace can show nothing is kept.
    pub(super) fn step(&mut self, step: Span) {
        if self.steps.len() < STEPS {
            self.steps.push(step);
        }
    }

    /// What was done for it.
    pub(super) fn take_steps(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.steps)
    }

    /// The sound that comes from now on says `clause`; `kept` unless it is an apology.
    pub(super) fn clause(&mut self, clause: Clause, kept: bool) {
        self.kept = kept;
        if kept {
            self.clauses.push((clause, 0));
        }
    }

    /// So many more samples went to the room.
    pub(super) fn sound(&mut self, samples: usize) {
        self.sounded = true;
        if let Some((_, of_clause)) = self.clauses.last_mut().filter(|_| self.kept) {
            *of_clause += samples as u64;
        }
    }

    pub(super) fn played(&self, until: SamplePos<Hz24k>) {
        self.making.played.send_replace(until.samples());
    }

    /// The words of the answer that were heard, up to the last whole one.
    pub(super) fn heard(&self) -> String {
        let clauses = self
            .clauses
            .iter()
            .map(|(clause, samples)| (clause, *samples));
        align::heard(clauses, *self.making.played.borrow())
    }

    pub(super) fn timings(&self) -> TurnTimings {
        TurnTimings::of(self.turn, self.id, &self.marks)
    }
}
