//! The one live reply, as its session keeps book of it: what was made, and what was heard.

use tokio::{sync::watch, task::AbortHandle};

use super::timings::{Marks, TurnTimings};
use crate::{
    audio::{Hz24k, SamplePos},
    tts::{Clause, align},
    turn::{ReplyId, TurnId},
};

/// See the module's text.
#[derive(Debug)]
pub(super) struct LiveReply {
    pub(super) id: ReplyId,
    turn: Option<TurnId>,
    /// What it answers, as the model got it; `None` for announcements and apologies.
    pub(super) user: Option<String>,
    pub(super) marks: Marks,
    /// Its first sound has gone to the room.
    pub(super) sounded: bool,
    /// All its sound has.
    pub(super) ended: bool,
    /// The listener hears it, or has.
    pub(super) audible: bool,
    pub(super) task: AbortHandle,
    /// Those of the answer itself, with their samples so far.
    clauses: Vec<(Clause, u64)>,
    /// The sound that comes belongs to the last of [`Self::clauses`], not to an apology.
    kept: bool,
    played: watch::Sender<u64>,
}

impl LiveReply {
    /// A reply about to begin; its task is filled in by the function that is given back. The
    /// receiver tells the task how much was played.
    pub(super) fn new(
        id: ReplyId,
        turn: Option<TurnId>,
        user: Option<String>,
        marks: Marks,
    ) -> (impl FnOnce(AbortHandle) -> Self, watch::Receiver<u64>) {
        let (played, receiver) = watch::channel(0);
        let live = move |task| Self {
            id,
            turn,
            user,
            marks,
            sounded: false,
            ended: false,
            audible: false,
            task,
            clauses: Vec::new(),
            kept: false,
            played,
        };
        (live, receiver)
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
        self.played.send_replace(until.samples());
    }

    /// The words of the answer that were heard, up to the last whole one.
    pub(super) fn heard(&self) -> String {
        let clauses = self
            .clauses
            .iter()
            .map(|(clause, samples)| (clause, *samples));
        align::heard(clauses, *self.played.borrow())
    }

    pub(super) fn timings(&self) -> TurnTimings {
        TurnTimings::of(self.turn, self.id, &self.marks)
    }
}
