//! The words between the turn machine and its driver: what it is told, what it asks for.

use std::time::Duration;

use super::config::TurnConfig;
use crate::fault::Fault;

/// One stretch of user speech with its pauses, numbered from 1 within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnId(pub u64);

/// One spoken answer, numbered from 1 within a session. A message that carries an old `ReplyId` is
/// stale and is dropped, whatever it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyId(pub u64);

/// A turn as it stood at one pause. The user speaking on makes the next take; work for an older one
/// is stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Take {
    /// Which turn.
    pub turn: TurnId,
    /// Which of its pauses, from 1.
    pub pause: u32,
}

/// What a driver tells the machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The wake word was heard.
    Wake,
    /// The user began to speak.
    SpeechStarted,
    /// The user has been silent for `silent_for`: a pause, or the end.
    SpeechEnded {
        /// How long ago the last speech was; detection takes its time.
        silent_for: Duration,
    },
    /// The judgement asked for by [`Output::JudgeTurnEnd`].
    TurnEnd {
        /// As asked.
        take: Take,
        /// Silence, counted from the last speech, that is to end the turn.
        wait: Duration,
    },
    /// The words asked for by [`Output::Transcribe`]; empty when nothing was said.
    Transcript {
        /// As asked.
        take: Take,
        /// The words.
        text: String,
    },
    /// There will be no words for `take`.
    TranscriptFailed {
        /// As asked.
        take: Take,
        /// What the error means.
        fault: Fault,
    },
    /// The first sample of `reply` left for the speaker.
    ReplyAudible {
        /// Which.
        reply: ReplyId,
    },
    /// More of `reply` was played since the last time.
    ReplyProgress {
        /// Which.
        reply: ReplyId,
    },
    /// `reply` is being worked on without a sound, by whoever has a deadline of its own: a tool. What it is
    /// asked for was begun, and is not asked for once more with what the user adds.
    ReplyBusy {
        /// Which.
        reply: ReplyId,
    },
    /// The last sample of `reply` was played, or it ended without any.
    ReplyOver {
        /// Which.
        reply: ReplyId,
    },
    /// The user typed.
    Typed {
        /// What.
        text: String,
    },
    /// Speak `text` as it is, as soon as nobody else has the floor.
    Announce {
        /// What.
        text: String,
    },
    /// Somebody has just said the wake word: say `text` unless they speak on at once.
    Greet {
        /// What.
        text: String,
    },
    /// Go by these rules from now on. Only at rest; else it does nothing, and is to be said again: what
    /// is going on ends by the rules under which it began.
    Rules(Box<TurnConfig>),
    /// The user wants silence (a button): whatever is being said or prepared ends.
    Interrupt,
    /// [`deadline`](super::TurnMachine::deadline) was reached.
    Tick,
}

/// What the machine asks of its driver.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// What the ears are to do from now on.
    Attend(Attention),
    /// Keep microphone sound for `turn`, pre-roll included, until [`Output::Release`].
    Capture {
        /// Which.
        turn: TurnId,
    },
    /// The sound of `turn` is no longer needed, nor any work for it.
    Release {
        /// Which.
        turn: TurnId,
    },
    /// Is the user done? Answer with [`Input::TurnEnd`], soon or not at all.
    JudgeTurnEnd {
        /// The turn as it stands.
        take: Take,
    },
    /// Transcribe the sound so far; answer with [`Input::Transcript`] or
    /// [`Input::TranscriptFailed`]. It may be ahead of the turn's end: [`Output::Forget`] follows if
    /// the user speaks on.
    Transcribe {
        /// The turn as it stands.
        take: Take,
    },
    /// The user spoke on: drop all work for `take`, keep its sound.
    Forget {
        /// Which.
        take: Take,
    },
    /// `text` will be asked if the user has nothing to add. The answer may be begun, as long as nobody
    /// hears of it: [`Output::StartReply`] follows with the same words, or [`Output::Forget`] or
    /// other words, and then it was for nothing.
    Prepare {
        /// The turn as it stands.
        take: Take,
        /// The words of [`Prompt::User`].
        text: String,
    },
    /// The user's turn is over.
    TurnOver {
        /// Which.
        turn: TurnId,
    },
    /// Answer `prompt`. At most one reply lives at a time.
    StartReply {
        /// The new reply.
        reply: ReplyId,
        /// What to say.
        prompt: Prompt,
    },
    /// Stop sending samples of `reply`; keep the rest.
    Hush {
        /// Which.
        reply: ReplyId,
    },
    /// Go on where [`Output::Hush`] stopped.
    Unhush {
        /// Which.
        reply: ReplyId,
    },
    /// Stop all work for `reply` and throw its sound away.
    Cancel {
        /// Which.
        reply: ReplyId,
        /// Why.
        why: CancelReason,
    },
    /// For displays.
    Show(Phase),
}

/// What a reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// The language model's answer to these words.
    User(String),
    /// This text.
    Verbatim(String),
    /// This text, which is no part of the conversation.
    Greeting(String),
    /// One sentence of regret.
    Apology(Trouble),
}

/// What went wrong with an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    /// Something said so.
    Failed(Fault),
    /// Something did not answer in time.
    TooSlow,
}

/// Why a reply was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CancelReason {
    /// The user spoke over it.
    BargeIn,
    /// The user spoke on, typed, or said the wake word, before or while it was spoken.
    Superseded,
    /// The user wanted silence.
    Interrupted,
    /// Nothing came of it in time.
    TooSlow,
}

/// What the ears listen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attention {
    /// The wake word only.
    WakeWord,
    /// Speech.
    Speech,
    /// Nothing: the assistant hears itself.
    Deaf,
}

/// For displays: who has the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Waiting for the wake word.
    Asleep,
    /// Waiting for, or hearing, the user.
    Listening,
    /// Working on an answer.
    Thinking,
    /// Speaking.
    Speaking,
}

impl Phase {
    /// In displays and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Asleep => "asleep",
            Phase::Listening => "listening",
            Phase::Thinking => "thinking",
            Phase::Speaking => "speaking",
        }
    }
}
