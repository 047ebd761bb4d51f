//! What is kept of one exchange when its answer is over: how long it took, how it ended, and the words,
//! for those who may keep them.

use std::time::SystemTime;

use super::timings::TurnTimings;
use crate::{
    pii::Pii,
    telemetry::{Outcome, Span},
};

/// A question that was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// When the question was over: the user's last speech, or when it was sent.
    pub asked_at: SystemTime,
    /// When the answer was.
    pub over_at: SystemTime,
    /// How long the answer took.
    pub timings: TurnTimings,
    /// How it ended.
    pub outcome: Outcome,
    /// What the user said or typed.
    pub user: Pii<String>,
    /// What was heard of the answer.
    pub assistant: Pii<String>,
    /// What was done for it, for traces.
    pub steps: Vec<Span>,
}

impl Answered {
    /// The tree of what was done, for a conversation in `room`. Without words.
    pub fn trace(&self, room: &str) -> Span {
        let mut turn = Span::new("turn", self.asked_at, self.over_at)
            .named("caal.room", room)
            .named("caal.turn.input", self.timings.input().name())
            .named("caal.turn.outcome", self.outcome.name());
        if let Some(total) = self.timings.total_ms {
            turn = turn.counted("caal.turn.total_ms", total);
        }
        for step in &self.steps {
            // Work in advance began before the question was over.
            turn.from = turn.from.min(step.from);
        }
        turn.parts.clone_from(&self.steps);
        turn
    }
}
