//! The words between a session and the room it is in: what it is told, what it asks for.

use std::time::Duration;

use super::{answered::Answered, playout::PlayoutEvent, timings::TurnTimings};
use crate::{
    audio::{Hz16k, Hz24k, Pcm, SamplePos},
    clock::At,
    mind::Doing,
    turn::{Attention, Phase, ReplyId, TurnId},
};

/// What a room tells its session.
#[derive(Clone, Debug)]
pub enum Event {
    /// The ear noticed something.
    Ear(EarEvent),
    /// The playout played something.
    Playout(PlayoutEvent),
    /// The user typed; answered like speech.
    Typed(String),
    /// Speak this as it is, when nobody else has the floor.
    Announce(String),
    /// As if the wake word had been said.
    Wake,
    /// Silence, please.
    Interrupt,
    /// It is now this late: only under [`Clock::Driven`](super::Clock::Driven).
    Time(At),
    /// Answer with [`Effect::Settled`] when everything before this is dealt with; under
    /// [`Clock::Driven`](super::Clock::Driven) only when no engine is being waited for, too.
    Settle,
}

/// What an ear notices. Positions count samples of the microphone's stream.
#[derive(Clone, Debug, PartialEq)]
pub enum EarEvent {
    /// A wake word.
    Wake {
        /// Its name.
        word: String,
        /// How certain, `0.0..=1.0`.
        score: f32,
    },
    /// The user began to speak.
    SpeechStarted {
        /// Where `sound` begins.
        from: SamplePos<Hz16k>,
        /// The sound up to now, with what came just before the speech.
        sound: Pcm<Hz16k>,
    },
    /// More sound since the user began, pauses included.
    Heard {
        /// Where `sound` begins.
        from: SamplePos<Hz16k>,
        /// The sound.
        sound: Pcm<Hz16k>,
    },
    /// The user paused, or is done.
    SpeechEnded {
        /// Where the speech ended.
        at: SamplePos<Hz16k>,
        /// How long ago that was.
        silent_for: Duration,
    },
    /// The ear's models failed and it hears nothing from now on.
    Failed {
        /// For people.
        why: String,
    },
}

/// What a session asks of its room, and what it tells displays.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// What the ear is to do from now on.
    Attend(Attention),
    /// The next sound of `reply`.
    Play {
        /// Which.
        reply: ReplyId,
        /// The sound.
        sound: Pcm<Hz24k>,
    },
    /// All sound of `reply` is there.
    PlayEnd {
        /// Which.
        reply: ReplyId,
    },
    /// Fall silent at once, keep the rest.
    Hush(ReplyId),
    /// Go on.
    Unhush(ReplyId),
    /// Throw the rest away.
    Flush(ReplyId),
    /// Who has the floor.
    Show(Phase),
    /// A wake word was heard.
    Woken {
        /// Its name.
        word: String,
        /// How certain, `0.0..=1.0`.
        score: f32,
    },
    /// What the user has said up to a pause; more may follow, and it may be heard otherwise then.
    Hearing {
        /// In which turn.
        turn: TurnId,
        /// All its words so far.
        text: String,
    },
    /// What the user said, as it is being answered.
    UserSaid {
        /// In which turn; absent for typed text.
        turn: Option<TurnId>,
        /// The words.
        text: String,
    },
    /// The assistant is about to say this, as written.
    Saying {
        /// In which reply.
        reply: ReplyId,
        /// The words.
        text: String,
    },
    /// As much of a reply as was heard. The last word on it.
    AssistantSaid {
        /// Which.
        reply: ReplyId,
        /// The words.
        text: String,
        /// False when the user cut in.
        complete: bool,
    },
    /// An answer has become audible; so long did it take.
    Timings(TurnTimings),
    /// A question's answer is over; follows its [`Effect::AssistantSaid`].
    Answered(Box<Answered>),
    /// What is done with tools for the question.
    Doing(Doing),
    /// Something failed; a sentence for people with the next step.
    Trouble(String),
    /// Everything before the [`Event::Settle`] is dealt with.
    Settled {
        /// What time it is in the session.
        at: At,
        /// Nobody speaks, and nothing is awaited.
        at_rest: bool,
    },
}
