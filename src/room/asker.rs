//! A question from outside, from its asking to the words of its answer: which of the conversation's replies
//! is the answer, and all its words.

use tokio::sync::oneshot;

use crate::turn::{ReplyId, TurnId};

/// Somebody outside who waits for the words of an answer; a later one takes the place of an earlier.
pub(super) struct Asker {
    question: String,
    stage: Stage,
    answer: oneshot::Sender<String>,
}

/// How far the answer is.
enum Stage {
    /// The question is not taken up yet.
    Waiting,
    /// The next reply is the answer.
    Asked,
    /// So much of it is being said.
    Answering(ReplyId, String),
}

impl Asker {
    /// Waits for the answer to `question`.
    pub(super) fn new(question: &str, answer: oneshot::Sender<String>) -> Self {
        Self {
            question: question.trim().to_owned(),
            stage: Stage::Waiting,
            answer,
        }
    }

    /// The conversation has taken up `text`; in no turn where it was typed.
    pub(super) fn heard(&mut self, turn: Option<TurnId>, text: &str) {
        if turn.is_none() && text.trim() == self.question && matches!(self.stage, Stage::Waiting) {
            self.stage = Stage::Asked;
        }
    }

    /// `reply` is about to say `text`.
    pub(super) fn saying(&mut self, reply: ReplyId, text: &str) {
        match &mut self.stage {
            Stage::Asked => self.stage = Stage::Answering(reply, text.trim().to_owned()),
            Stage::Answering(own, words) if *own == reply => {
                words.push(' ');
                words.push_str(text.trim());
            }
            Stage::Waiting | Stage::Answering(..) => {}
        }
    }

    /// Whether `reply` is the answer.
    pub(super) fn is_answered_by(&self, reply: ReplyId) -> bool {
        matches!(&self.stage, Stage::Answering(own, _) if *own == reply)
    }

    /// Gives the words to whoever asked.
    pub(super) fn tell(self) {
        if let Stage::Answering(_, words) = self.stage {
            // Whoever asked may have gone.
            let _ = self.answer.send(words);
        }
    }
}
