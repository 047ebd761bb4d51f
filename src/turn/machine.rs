//! The turn-taking rules as one state machine.
//!
//! Sans-IO: time comes in with every input, work goes out as [`Output`]s. The driver's contract is
//! *one* [`TurnMachine::handle`], then [`TurnMachine::poll_output`] until it gives `None`, then wait
//! for an input or for [`TurnMachine::deadline`].
//!
//! ```text
//!            Wake                 SpeechStarted            SpeechEnded
//!  Asleep ─────────▶ Awake ─────────────────────▶ Hearing ─────────────▶ Settling ── judge, draft
//!    ▲                │ ▲                          ▲  ▲                     │
//!    │ follow-up over │ │ reply over (+ Echo)      │  └── SpeechStarted ────┤ silent long enough:
//!    └────────────────┘ │                          │                        ▼ words there already?
//!                    Speaking ◀── first sound ── Thinking ◀── words ─ Transcribing
//!                      │  ▲                        │  ▲
//!        SpeechStarted │  │ SpeechEnded in time    │  │ the same before anything was audible:
//!          hush at once▼  │ unhush                 ▼  │ the words are carried into the next turn
//!                    Overlapped ── barge-in delay over: cancel ─▶ Hearing
//! ```
//!
//! Every state in which something is awaited has a deadline, so that no engine, ear or speaker that
//! falls silent can hold the floor.

mod moves;

use std::{collections::VecDeque, fmt, time::Duration};

use super::{
    config::{Activation, Duplex, TurnConfig},
    io::{Attention, CancelReason, Input, Output, Phase, ReplyId, Take, Trouble, TurnId},
};
use crate::{clock::At, fault::Fault};

/// Announcements that wait for the floor. When full the oldest is dropped: news goes stale.
const MAX_ANNOUNCEMENTS: usize = 16;

/// Pauses of one turn whose words are worth an answer in advance. Who makes more of them is thinking
/// aloud, and every answer would be thrown away.
const MOST_PREPARED: u32 = 3;

/// How much longer to stay awake after a noise without words. Short, so that a noisy room does not
/// keep the assistant awake.
const GRACE: Duration = Duration::from_secs(2);

/// The user's turn while it is being heard.
#[derive(Clone, Debug)]
struct Turn {
    id: TurnId,
    /// Which pause comes next, or is present.
    pause: u32,
    /// Since when the user has been speaking, this time.
    since: At,
    /// Speech before that.
    spoken: Duration,
    /// When it becomes too long.
    ceiling: At,
    /// Until when to stay awake if it turns out to be nothing.
    awake_until: At,
}

impl Turn {
    fn take(&self) -> Take {
        Take {
            turn: self.id,
            pause: self.pause,
        }
    }

    /// The user speaks on.
    fn resumed(mut self, now: At) -> Self {
        self.pause += 1;
        self.since = now;
        self
    }
}

/// The transcription that runs ahead of the decision.
#[derive(Clone, Debug)]
enum Draft {
    /// Nothing worth transcribing was said yet.
    None,
    Due(At),
    Asked,
    Words(String),
    Failed(Fault),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Answer,
    Announcement,
    Greeting,
    Apology,
}

/// Where an exchange leads back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Awake,
    Asleep,
}

/// The one live reply.
#[derive(Clone, Copy, Debug)]
struct Live {
    id: ReplyId,
    kind: Kind,
    then: Then,
}

/// How far the reply under an overlap had got.
#[derive(Clone, Copy, Debug)]
enum Under {
    Unheard { until: At },
    Heard,
}

#[derive(Clone, Debug)]
enum State {
    Asleep,
    /// `None`: for good.
    Awake {
        until: Option<At>,
    },
    Hearing {
        turn: Turn,
    },
    Settling {
        turn: Turn,
        silent_since: At,
        until: At,
        draft: Draft,
    },
    Transcribing {
        turn: Turn,
        until: At,
    },
    Thinking {
        live: Live,
        until: At,
    },
    Speaking {
        live: Live,
        until: At,
    },
    Overlapped {
        live: Live,
        under: Under,
        turn: Turn,
        decide: At,
    },
    /// Short speech over a reply has ended: words end the reply, a cough does not.
    Doubting {
        live: Live,
        under: Under,
        turn: Turn,
        silent_since: At,
        until: At,
    },
    Echo {
        then: Then,
        until: At,
    },
}

/// See the module's text.
pub struct TurnMachine {
    config: TurnConfig,
    state: State,
    turns: u64,
    replies: u64,
    /// Words of the user that no audible reply has answered yet, in the order said.
    carried: Vec<String>,
    announcements: VecDeque<String>,
    /// What is said, and when, to whoever said the wake word and nothing since. Only while awake.
    greeting: Option<(At, String)>,
    /// Until when the room rings from a reply that was cut.
    rings_until: At,
    outbox: VecDeque<Output>,
}

impl TurnMachine {
    /// At rest, with what that means for ears and displays in the outbox.
    pub fn new(config: TurnConfig) -> Self {
        let state = match config.activation {
            Activation::WakeWord => State::Asleep,
            Activation::AlwaysOn => State::Awake { until: None },
        };
        let mut machine = Self {
            config,
            state,
            turns: 0,
            replies: 0,
            carried: Vec::new(),
            announcements: VecDeque::new(),
            greeting: None,
            rings_until: At::START,
            outbox: VecDeque::new(),
        };
        machine.emit(Output::Attend(machine.attention()));
        machine.emit(Output::Show(machine.phase()));
        machine
    }

    /// Takes one input at `now`, which never runs backwards. Outputs of the last call must have been
    /// drained.
    pub fn handle(&mut self, now: At, input: Input) {
        debug_assert!(
            self.outbox.is_empty(),
            "drain poll_output before the next input"
        );
        let (phase, attention) = (self.phase(), self.attention());
        let state = std::mem::replace(&mut self.state, State::Asleep);
        self.state = self.next(now, state, input);
        if !matches!(self.state, State::Awake { .. }) {
            self.greeting = None; // they speak, or are spoken to
        }
        if self.attention() != attention {
            self.emit(Output::Attend(self.attention()));
        }
        if self.phase() != phase {
            self.emit(Output::Show(self.phase()));
        }
    }

    /// The next thing to do; `None` when there is no more for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When to call [`Self::handle`] with [`Input::Tick`], if nothing else comes. `None` only at
    /// rest.
    pub fn deadline(&self) -> Option<At> {
        match &self.state {
            State::Asleep => None,
            State::Awake { until } => {
                let greeting = self.greeting.as_ref().map(|(at, _)| *at);
                [*until, greeting].into_iter().flatten().min()
            }
            State::Hearing { turn } => Some(turn.ceiling),
            State::Settling {
                until,
                draft: Draft::Due(at),
                ..
            } => Some(*until.min(at)),
            State::Settling { until, .. }
            | State::Transcribing { until, .. }
            | State::Thinking { until, .. }
            | State::Speaking { until, .. }
            | State::Doubting { until, .. }
            | State::Echo { until, .. } => Some(*until),
            State::Overlapped { decide, .. } => Some(*decide),
        }
    }

    /// Nothing is going on and nothing is awaited.
    pub fn at_rest(&self) -> bool {
        matches!(self.state, State::Asleep | State::Awake { .. }) && self.greeting.is_none()
    }

    /// Who has the floor, for displays.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Asleep
            | State::Echo {
                then: Then::Asleep, ..
            } => Phase::Asleep,
            State::Awake { .. }
            | State::Hearing { .. }
            | State::Settling { .. }
            | State::Echo {
                then: Then::Awake, ..
            } => Phase::Listening,
            State::Thinking { live, .. } if live.kind == Kind::Greeting => Phase::Listening,
            State::Transcribing { .. } | State::Thinking { .. } => Phase::Thinking,
            State::Overlapped {
                under: Under::Unheard { .. },
                ..
            }
            | State::Doubting {
                under: Under::Unheard { .. },
                ..
            } => Phase::Thinking,
            State::Speaking { .. } | State::Overlapped { .. } | State::Doubting { .. } => {
                Phase::Speaking
            }
        }
    }

    /// What the ears are to do.
    pub fn attention(&self) -> Attention {
        let half = self.config.duplex == Duplex::Half;
        match &self.state {
            State::Asleep => Attention::WakeWord,
            State::Speaking { .. } | State::Echo { .. } if half => Attention::Deaf,
            State::Thinking { live, .. } | State::Speaking { live, .. }
                if live.then == Then::Asleep =>
            {
                Attention::WakeWord
            }
            _ => Attention::Speech,
        }
    }

    fn next(&mut self, now: At, state: State, input: Input) -> State {
        use State::*;
        match (state, input) {
            // Its own echo.
            (state, Input::SpeechStarted) if now < self.rings_until => state,

            (Asleep | Awake { until: Some(_) }, Input::Wake) => self.awake(now),

            (state @ Awake { .. }, Input::Greet { text }) => {
                self.greeting = Some((now + self.config.greet_after, text))
                    .filter(|(_, text)| !text.trim().is_empty());
                state
            }
            (state @ (Asleep | Awake { .. }), Input::Rules(rules)) if self.greeting.is_none() => {
                self.ruled(now, state, *rules)
            }

            (Awake { until }, Input::SpeechStarted) => {
                let awake_until = until.unwrap_or(now);
                Hearing {
                    turn: self.capture(now, awake_until),
                }
            }
            (state @ Awake { .. }, Input::Tick) => self.waited(now, state),

            (Hearing { turn }, Input::SpeechEnded { silent_for }) => {
                self.settle(now, turn, silent_for)
            }
            (Hearing { turn }, Input::Tick) if now >= turn.ceiling => {
                self.emit(Output::TurnOver { turn: turn.id });
                self.transcribing(now, turn, Draft::None)
            }

            (Settling { turn, .. }, Input::SpeechStarted) => {
                self.emit(Output::Forget { take: turn.take() });
                Hearing {
                    turn: turn.resumed(now),
                }
            }
            (
                Settling {
                    turn,
                    silent_since,
                    draft,
                    ..
                },
                Input::TurnEnd { take, wait },
            ) if take == turn.take() => {
                let until = silent_since + wait.min(self.config.max_wait);
                let draft = match draft {
                    Draft::Due(_) => self.transcribe(&turn),
                    draft => draft,
                };
                self.settled(
                    now,
                    Settling {
                        turn,
                        silent_since,
                        until,
                        draft,
                    },
                )
            }
            (
                Settling {
                    turn,
                    silent_since,
                    until,
                    draft: Draft::Asked,
                },
                Input::Transcript { take, text },
            ) if take == turn.take() => {
                self.prepare(&turn, &text);
                Settling {
                    turn,
                    silent_since,
                    until,
                    draft: Draft::Words(text),
                }
            }
            (
                Settling {
                    turn,
                    silent_since,
                    until,
                    draft: Draft::Asked,
                },
                Input::TranscriptFailed { take, fault },
            ) if take == turn.take() => Settling {
                turn,
                silent_since,
                until,
                draft: Draft::Failed(fault),
            },
            (state @ Settling { .. }, Input::Tick) => self.settled(now, state),

            (Transcribing { turn, .. }, Input::Transcript { take, text })
                if take == turn.take() =>
            {
                self.words(now, &turn, &text)
            }
            (Transcribing { turn, .. }, Input::TranscriptFailed { take, fault })
                if take == turn.take() =>
            {
                self.emit(Output::Release { turn: turn.id });
                self.apologise(now, Trouble::Failed(fault))
            }
            // Spoken on before the words were known: one longer turn. Past the ceiling it is not
            // taken up again, or an endless voice would hold the floor.
            (Transcribing { turn, .. }, Input::SpeechStarted) if now < turn.ceiling => {
                self.emit(Output::Forget { take: turn.take() });
                Hearing {
                    turn: turn.resumed(now),
                }
            }
            (Transcribing { turn, until }, Input::Tick) if now >= until => {
                self.emit(Output::Release { turn: turn.id });
                self.apologise(now, Trouble::TooSlow)
            }

            (Thinking { live, .. }, Input::ReplyAudible { reply }) if reply == live.id => {
                self.answered(live);
                Speaking {
                    live,
                    until: now + self.config.stall_limit,
                }
            }
            (Speaking { live, .. }, Input::ReplyProgress { reply }) if reply == live.id => {
                Speaking {
                    live,
                    until: now + self.config.stall_limit,
                }
            }
            (Thinking { live, .. }, Input::ReplyBusy { reply }) if reply == live.id => {
                self.answered(live);
                Thinking {
                    live,
                    until: now + self.config.think_limit,
                }
            }
            (Speaking { live, .. }, Input::ReplyBusy { reply }) if reply == live.id => {
                self.answered(live);
                Speaking {
                    live,
                    until: now + self.config.stall_limit,
                }
            }
            // Hushed, or cut off with something begun.
            (state, Input::ReplyBusy { .. }) => {
                self.carried.clear();
                state
            }
            (Thinking { live, .. }, Input::ReplyOver { reply }) if reply == live.id => {
                self.answered(live); // without a sound: there was nothing to say
                self.rest(now, live.then)
            }
            (Speaking { live, .. }, Input::ReplyOver { reply }) if reply == live.id => {
                self.fade(now, live.then)
            }
            (Thinking { live, until }, Input::SpeechStarted) if live.then == Then::Awake => {
                self.overlap(now, live, Under::Unheard { until })
            }
            (Speaking { live, .. }, Input::SpeechStarted)
                if live.then == Then::Awake && self.config.duplex == Duplex::Full =>
            {
                self.overlap(now, live, Under::Heard)
            }
            (Thinking { live, .. }, Input::Wake) if live.then == Then::Asleep => {
                self.cancel(live, CancelReason::Superseded);
                self.awake(now)
            }
            (Speaking { live, .. }, Input::Wake) if live.then == Then::Asleep => {
                self.cut(now, live, CancelReason::Superseded);
                self.awake(now)
            }
            (Thinking { live, until }, Input::Tick) if now >= until => {
                self.cancel(live, CancelReason::TooSlow);
                self.too_slow(now, live)
            }
            (Speaking { live, until }, Input::Tick) if now >= until => {
                self.cut(now, live, CancelReason::TooSlow);
                self.too_slow(now, live)
            }

            (
                Overlapped {
                    live, under, turn, ..
                },
                Input::SpeechEnded { silent_for },
            ) => self.doubt(now, live, under, turn, silent_for),
            (Doubting { live, turn, .. }, Input::SpeechStarted) => {
                // Twice: somebody wants to speak.
                self.emit(Output::Forget { take: turn.take() });
                self.cancel(live, CancelReason::BargeIn);
                Hearing {
                    turn: turn.resumed(now),
                }
            }
            (
                Doubting {
                    live,
                    turn,
                    silent_since,
                    ..
                },
                Input::Transcript { take, text },
            ) if take == turn.take() && !text.trim().is_empty() => {
                self.cancel(live, CancelReason::BargeIn);
                self.interjected(now, turn, silent_since, text)
            }
            (
                Doubting {
                    live, under, turn, ..
                },
                Input::Transcript { take, .. } | Input::TranscriptFailed { take, .. },
            ) if take == turn.take() => self.undo(now, live, under, &turn),
            (
                Doubting {
                    live,
                    under,
                    turn,
                    until,
                    ..
                },
                Input::Tick,
            ) if now >= until => self.undo(now, live, under, &turn),
            (
                Doubting {
                    live,
                    under: Under::Unheard { .. },
                    turn,
                    silent_since,
                    until,
                },
                Input::ReplyAudible { reply },
            ) if reply == live.id => {
                self.answered(live);
                Doubting {
                    live,
                    under: Under::Heard,
                    turn,
                    silent_since,
                    until,
                }
            }
            // Nothing is left to go on with: its words are a turn like any other.
            (
                Doubting {
                    live,
                    turn,
                    silent_since,
                    until,
                    ..
                },
                Input::ReplyOver { reply },
            ) if reply == live.id => {
                self.emit(Output::JudgeTurnEnd { take: turn.take() });
                Settling {
                    turn,
                    silent_since,
                    until,
                    draft: Draft::Asked,
                }
            }
            (
                Overlapped {
                    live, turn, decide, ..
                },
                Input::Tick,
            ) if now >= decide => {
                self.cancel(live, CancelReason::BargeIn);
                Hearing { turn }
            }
            // Its first sample was on its way when it was hushed.
            (
                Overlapped {
                    live,
                    under: Under::Unheard { .. },
                    turn,
                    decide,
                },
                Input::ReplyAudible { reply },
            ) if reply == live.id => {
                self.answered(live);
                Overlapped {
                    live,
                    under: Under::Heard,
                    turn,
                    decide,
                }
            }
            (Overlapped { live, turn, .. }, Input::ReplyOver { reply }) if reply == live.id => {
                Hearing { turn }
            }

            (Echo { then, until }, Input::Tick) if now >= until => self.rest(now, then),

            (state, Input::Typed { text }) => self.typed(now, state, &text),
            (state, Input::Announce { text }) => self.announce(now, state, text),
            (state, Input::Interrupt) => self.interrupt(now, state),

            // Everything else is late, early or already true.
            (state, _) => state,
        }
    }
}

/// The state without what people said.
impl fmt::Debug for TurnMachine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnMachine")
            .field("phase", &self.phase())
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}
