//! How long each stage of a turn took. One [`TurnTimings`] per answered turn, filled by the session,
//! logged once, shown by displays and benches.

use std::time::Duration;

use serde::Serialize;

use crate::{
    clock::At,
    telemetry::{Input, metrics},
    turn::{ReplyId, TurnId},
};

/// The moments of one turn. A mark is absent when it was not reached, or does not apply: a typed
/// question has no `user_stop`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Marks {
    /// The user's last speech.
    pub user_stop: Option<At>,
    /// The decision that the turn was over.
    pub endpoint: Option<At>,
    /// The words were known.
    pub transcript: Option<At>,
    /// The language model's first characters.
    pub first_token: Option<At>,
    /// The first piece of text that could be spoken.
    pub first_clause: Option<At>,
    /// Its first sound.
    pub first_sound: Option<At>,
    /// The first sample on its way to the speaker.
    pub audible: Option<At>,
}

/// The stages of one turn, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TurnTimings {
    /// The user's turn that was answered; absent for typed text.
    pub turn: Option<u64>,
    /// The answer.
    pub reply: u64,
    /// User's last speech → first sample of the answer: the one that matters.
    pub total_ms: Option<u32>,
    /// User's last speech → decision that the turn is over.
    pub endpoint_ms: Option<u32>,
    /// Decision → words. 0 when they were there already.
    pub stt_ms: Option<u32>,
    /// Words → the language model's first characters.
    pub llm_ms: Option<u32>,
    /// First characters → first clause.
    pub clause_ms: Option<u32>,
    /// First clause → its first sound.
    pub tts_ms: Option<u32>,
    /// First sound → first sample on its way to the speaker.
    pub playout_ms: Option<u32>,
}

impl TurnTimings {
    /// The stages between `marks`.
    pub fn of(turn: Option<TurnId>, reply: ReplyId, marks: &Marks) -> Self {
        Self {
            turn: turn.map(|t| t.0),
            reply: reply.0,
            total_ms: between(marks.user_stop, marks.audible),
            endpoint_ms: between(marks.user_stop, marks.endpoint),
            stt_ms: between(marks.endpoint, marks.transcript),
            llm_ms: between(marks.transcript, marks.first_token),
            clause_ms: between(marks.first_token, marks.first_clause),
            tts_ms: between(marks.first_clause, marks.first_sound),
            playout_ms: between(marks.first_sound, marks.audible),
        }
    }

    /// How the question was asked.
    pub fn input(&self) -> Input {
        match self.turn {
            Some(_) => Input::Voice,
            None => Input::Text,
        }
    }

    /// The stages by name, in their order; what does not apply is left out.
    pub fn stages(&self) -> impl Iterator<Item = (&'static str, u32)> {
        [
            ("endpoint", self.endpoint_ms),
            ("stt", self.stt_ms),
            ("llm", self.llm_ms),
            ("clause", self.clause_ms),
            ("tts", self.tts_ms),
            ("playout", self.playout_ms),
        ]
        .into_iter()
        .filter_map(|(name, ms)| Some((name, ms?)))
    }

    /// One line for a log, and the meters.
    pub fn log(&self) {
        tracing::info!(
            turn = self.turn,
            reply = self.reply,
            total_ms = self.total_ms,
            endpoint_ms = self.endpoint_ms,
            stt_ms = self.stt_ms,
            llm_ms = self.llm_ms,
            clause_ms = self.clause_ms,
            tts_ms = self.tts_ms,
            playout_ms = self.playout_ms,
            "turn answered"
        );
        metrics().turn_timed(self.total_ms, self.stages());
    }
}

fn between(from: Option<At>, to: Option<At>) -> Option<u32> {
    let d: Duration = to? - from?;
    Some(u32::try_from(d.as_millis()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_add_up_to_the_whole() {
        let at = |ms| Some(At::from_millis(ms));
        let marks = Marks {
            user_stop: at(1_000),
            endpoint: at(1_400),
            transcript: at(1_600),
            first_token: at(1_700),
            first_clause: at(1_900),
            first_sound: at(2_400),
            audible: at(2_410),
        };
        let timings = TurnTimings::of(Some(TurnId(1)), ReplyId(1), &marks);
        assert_eq!(timings.total_ms, Some(1_410));
        assert_eq!(timings.stages().map(|(_, ms)| ms).sum::<u32>(), 1_410);
        let typed = TurnTimings::of(
            None,
            ReplyId(2),
            &Marks {
                user_stop: None,
                ..marks
            },
        );
        assert_eq!((typed.total_ms, typed.llm_ms), (None, Some(100)));
    }
}
