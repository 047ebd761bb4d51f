//! What the machine does on its way from state to state: each a small step that answers with the next
//! state and leaves its orders in the outbox.

use std::time::Duration;

use super::{
    Draft, GRACE, Kind, Live, MAX_ANNOUNCEMENTS, MOST_PREPARED, State, Then, Turn, TurnMachine,
    Under,
};
use crate::{
    clock::At,
    turn::{
        config::{Activation, Duplex, TurnConfig},
        io::{CancelReason, Output, Prompt, ReplyId, Trouble, TurnId},
    },
};

impl TurnMachine {
    /// Awake, and a deadline may be over: greets, or falls asleep.
    pub(super) fn waited(&mut self, now: At, state: State) -> State {
        if let Some((_, text)) = self.greeting.take_if(|(at, _)| now >= *at) {
            return self.reply(now, Prompt::Greeting(text), Kind::Greeting, Then::Awake);
        }
        match state {
            State::Awake { until: Some(until) } if now >= until => State::Asleep,
            state => state,
        }
    }

    /// Other rules, at rest.
    pub(super) fn ruled(&mut self, now: At, state: State, rules: TurnConfig) -> State {
        self.config = rules;
        match (rules.activation, state) {
            (Activation::AlwaysOn, _) => State::Awake { until: None },
            // Nobody needs a wake word for what they were just about to say.
            (Activation::WakeWord, State::Awake { until: None }) => self.awake(now),
            (Activation::WakeWord, State::Awake { until: Some(until) }) => State::Awake {
                until: Some(until.min(now + rules.follow_up)),
            },
            (Activation::WakeWord, state) => state,
        }
    }

    /// A pause begins: ask whether it is the end, and for the words as soon as that is known.
    pub(super) fn settle(&mut self, now: At, mut turn: Turn, silent_for: Duration) -> State {
        let silent_since = now.saturating_sub(silent_for).max(turn.since);
        turn.spoken += silent_since - turn.since;
        self.emit(Output::JudgeTurnEnd { take: turn.take() });
        let until = silent_since + self.config.default_wait.min(self.config.max_wait);
        let draft = match turn.spoken < self.config.min_speech {
            true => Draft::None,
            false => Draft::Due(silent_since + self.config.draft_after),
        };
        self.settled(
            now,
            State::Settling {
                turn,
                silent_since,
                until,
                draft,
            },
        )
    }

    /// Does what is due in a pause.
    pub(super) fn settled(&mut self, now: At, state: State) -> State {
        let State::Settling {
            turn,
            silent_since,
            until,
            draft,
        } = state
        else {
            return state;
        };
        if now < until && now < turn.ceiling {
            let draft = match draft {
                Draft::Due(at) if now >= at => self.transcribe(&turn),
                draft => draft,
            };
            // A pause ends with its turn's ceiling at the latest.
            let until = until.min(turn.ceiling.max(now));
            return State::Settling {
                turn,
                silent_since,
                until,
                draft,
            };
        }
        if turn.spoken < self.config.min_speech {
            self.emit(Output::Release { turn: turn.id });
            return self.no_words(now, &turn);
        }
        self.emit(Output::TurnOver { turn: turn.id });
        self.transcribing(now, turn, draft)
    }

    /// The turn is over; its words may be there already.
    pub(super) fn transcribing(&mut self, now: At, turn: Turn, draft: Draft) -> State {
        match draft {
            Draft::Words(text) => return self.words(now, &turn, &text),
            Draft::Failed(fault) => {
                self.emit(Output::Release { turn: turn.id });
                return self.apologise(now, Trouble::Failed(fault));
            }
            Draft::Asked => {}
            Draft::None | Draft::Due(_) => {
                self.transcribe(&turn);
            }
        }
        let until = now + self.config.transcribe_limit + turn.spoken;
        State::Transcribing { turn, until }
    }

    pub(super) fn transcribe(&mut self, turn: &Turn) -> Draft {
        self.emit(Output::Transcribe { take: turn.take() });
        Draft::Asked
    }

    /// The words of a turn that may be over.
    pub(super) fn prepare(&mut self, turn: &Turn, text: &str) {
        let text = text.trim();
        if text.is_empty() || turn.pause > MOST_PREPARED || turn.spoken < self.config.min_speech {
            return;
        }
        let carried = self.carried.iter().map(String::as_str);
        let text = carried.chain([text]).collect::<Vec<_>>().join(" ");
        self.emit(Output::Prepare {
            take: turn.take(),
            text,
        });
    }

    /// The words of a turn that is over.
    pub(super) fn words(&mut self, now: At, turn: &Turn, text: &str) -> State {
        self.emit(Output::Release { turn: turn.id });
        self.carry(text);
        self.no_words(now, turn)
    }

    /// Answers what is still unanswered, or goes back to waiting.
    fn no_words(&mut self, now: At, turn: &Turn) -> State {
        if !self.carried.is_empty() {
            return self.answer(now);
        }
        match self.rest(now, Then::Awake) {
            // A noise does not earn a whole follow-up.
            State::Awake { until: Some(_) } => {
                let until = turn.awake_until.max(now + GRACE.min(self.config.follow_up));
                State::Awake { until: Some(until) }
            }
            state => state,
        }
    }

    pub(super) fn overlap(&mut self, now: At, live: Live, under: Under) -> State {
        self.emit(Output::Hush { reply: live.id });
        let turn = self.capture(now, now);
        State::Overlapped {
            live,
            under,
            turn,
            decide: now + self.config.barge_in_delay,
        }
    }

    /// Short speech over a reply has ended; its words tell whether it was meant.
    pub(super) fn doubt(
        &mut self,
        now: At,
        live: Live,
        under: Under,
        mut turn: Turn,
        silent_for: Duration,
    ) -> State {
        let silent_since = now.saturating_sub(silent_for).max(turn.since);
        turn.spoken += silent_since - turn.since;
        if turn.spoken < self.config.min_speech {
            return self.undo(now, live, under, &turn);
        }
        self.transcribe(&turn);
        State::Doubting {
            live,
            under,
            turn,
            silent_since,
            until: now + self.config.doubt_limit,
        }
    }

    /// It was a cough: the reply goes on.
    pub(super) fn undo(&mut self, now: At, live: Live, under: Under, turn: &Turn) -> State {
        self.emit(Output::Release { turn: turn.id });
        self.emit(Output::Unhush { reply: live.id });
        match under {
            Under::Unheard { until } => State::Thinking { live, until },
            Under::Heard => State::Speaking {
                live,
                until: now + self.config.stall_limit,
            },
        }
    }

    /// It was meant, and its words are there: a pause of a turn, to be judged.
    pub(super) fn interjected(
        &mut self,
        now: At,
        turn: Turn,
        silent_since: At,
        text: String,
    ) -> State {
        self.emit(Output::JudgeTurnEnd { take: turn.take() });
        self.prepare(&turn, &text);
        let until = silent_since + self.config.default_wait.min(self.config.max_wait);
        self.settled(
            now,
            State::Settling {
                turn,
                silent_since,
                until,
                draft: Draft::Words(text),
            },
        )
    }

    /// The assistant has just fallen silent.
    pub(super) fn fade(&mut self, now: At, then: Then) -> State {
        match self.config.duplex {
            Duplex::Half => State::Echo {
                then,
                until: now + self.config.echo_tail,
            },
            Duplex::Full => self.rest(now, then),
        }
    }

    pub(super) fn too_slow(&mut self, now: At, live: Live) -> State {
        self.answered(live);
        match live.kind {
            Kind::Answer => self.apologise(now, Trouble::TooSlow),
            Kind::Announcement | Kind::Greeting | Kind::Apology => self.rest(now, live.then),
        }
    }

    pub(super) fn typed(&mut self, now: At, state: State, text: &str) -> State {
        use State::*;
        if text.trim().is_empty() {
            return state;
        }
        match state {
            // What is being said belongs to it: both are answered together.
            Hearing { .. } | Settling { .. } | Transcribing { .. } => {
                self.carry(text);
                state
            }
            Overlapped { live, turn, .. } => {
                self.cancel(live, CancelReason::Superseded);
                self.carry(text);
                Hearing { turn }
            }
            Doubting {
                live,
                turn,
                silent_since,
                until,
                ..
            } => {
                self.cancel(live, CancelReason::Superseded);
                self.carry(text);
                Settling {
                    turn,
                    silent_since,
                    until,
                    draft: Draft::Asked,
                }
            }
            Thinking { live, .. } => {
                self.cancel(live, CancelReason::Superseded);
                self.carry(text);
                self.answer(now)
            }
            Speaking { live, .. } => {
                self.cut(now, live, CancelReason::Superseded);
                self.carry(text);
                self.answer(now)
            }
            Asleep | Awake { .. } | Echo { .. } => {
                self.carry(text);
                self.answer(now)
            }
        }
    }

    pub(super) fn announce(&mut self, now: At, state: State, text: String) -> State {
        if text.trim().is_empty() {
            return state;
        }
        if self.announcements.len() == MAX_ANNOUNCEMENTS {
            self.announcements.pop_front();
        }
        self.announcements.push_back(text);
        match state {
            State::Asleep => self.rest(now, Then::Asleep),
            State::Awake { .. } => self.rest(now, Then::Awake),
            busy => busy,
        }
    }

    pub(super) fn interrupt(&mut self, now: At, state: State) -> State {
        use State::*;
        self.greeting = None;
        match state {
            Thinking { live, .. } => {
                self.cancel(live, CancelReason::Interrupted);
                self.answered(live);
                self.rest(now, live.then)
            }
            Speaking { live, .. } => {
                self.cancel(live, CancelReason::Interrupted);
                self.fade(now, live.then)
            }
            Overlapped { live, turn, .. } => {
                self.cancel(live, CancelReason::Interrupted);
                self.answered(live);
                Hearing { turn }
            }
            Doubting { live, turn, .. } => {
                self.cancel(live, CancelReason::Interrupted);
                self.answered(live);
                self.emit(Output::Release { turn: turn.id });
                self.fade(now, Then::Awake)
            }
            Transcribing { turn, .. } => {
                self.emit(Output::Release { turn: turn.id });
                self.carried.clear();
                self.rest(now, Then::Awake)
            }
            state => state,
        }
    }

    pub(super) fn awake(&self, now: At) -> State {
        State::Awake {
            until: match self.config.activation {
                Activation::WakeWord => Some(now + self.config.follow_up),
                Activation::AlwaysOn => None,
            },
        }
    }

    /// Nobody speaks: the next announcement, or waiting.
    pub(super) fn rest(&mut self, now: At, then: Then) -> State {
        if let Some(text) = self.announcements.pop_front() {
            return self.reply(now, Prompt::Verbatim(text), Kind::Announcement, then);
        }
        match (self.config.activation, then) {
            (Activation::WakeWord, Then::Asleep) => State::Asleep,
            _ => self.awake(now),
        }
    }

    fn answer(&mut self, now: At) -> State {
        let words = self.carried.join(" ");
        self.reply(now, Prompt::User(words), Kind::Answer, Then::Awake)
    }

    pub(super) fn apologise(&mut self, now: At, trouble: Trouble) -> State {
        self.carried.clear();
        self.reply(now, Prompt::Apology(trouble), Kind::Apology, Then::Awake)
    }

    pub(super) fn reply(&mut self, now: At, prompt: Prompt, kind: Kind, then: Then) -> State {
        self.replies += 1;
        let id = ReplyId(self.replies);
        self.emit(Output::StartReply { reply: id, prompt });
        let then = match self.config.activation {
            Activation::WakeWord => then,
            Activation::AlwaysOn => Then::Awake,
        };
        State::Thinking {
            live: Live { id, kind, then },
            until: now + self.config.think_limit,
        }
    }

    /// The user's words have had their reply.
    pub(super) fn answered(&mut self, live: Live) {
        if !matches!(live.kind, Kind::Announcement | Kind::Greeting) {
            self.carried.clear();
        }
    }

    pub(super) fn capture(&mut self, now: At, awake_until: At) -> Turn {
        self.turns += 1;
        let id = TurnId(self.turns);
        self.emit(Output::Capture { turn: id });
        Turn {
            id,
            pause: 1,
            since: now,
            spoken: Duration::ZERO,
            ceiling: now + self.config.max_turn,
            awake_until,
        }
    }

    pub(super) fn cancel(&mut self, live: Live, why: CancelReason) {
        self.emit(Output::Cancel {
            reply: live.id,
            why,
        });
    }

    /// Cancels a reply that was being heard.
    pub(super) fn cut(&mut self, now: At, live: Live, why: CancelReason) {
        self.cancel(live, why);
        if self.config.duplex == Duplex::Half {
            self.rings_until = now + self.config.echo_tail;
        }
    }

    fn carry(&mut self, text: &str) {
        let text = text.trim();
        if !text.is_empty() {
            self.carried.push(text.to_owned());
        }
    }

    pub(super) fn emit(&mut self, output: Output) {
        self.outbox.push_back(output);
    }
}
