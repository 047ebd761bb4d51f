//! Random walks: whatever the world does, in whatever order, the promises hold. The world answers
//! late, twice, with wrong ids, or never; some walks play real frames.
//!
//! 20,000 walks in the normal suite, 1,000,000 with `CAAL_LONG=1`. A failure prints its seed.

use std::{collections::BTreeSet, time::Duration};

use caal::{
    audio::Pcm,
    clock::At,
    fault::Fault,
    session::{Playout, PlayoutEvent},
    turn::{
        Activation, Attention, CancelReason, Duplex, Input, Output, Prompt, ReplyId, Take,
        TurnConfig, TurnId, TurnMachine,
    },
};

use super::config;
use crate::support;

/// Samples of a 5 ms fade at 24 kHz.
const FADE: usize = 120;

/// Knuth's MMIX generator: the same numbers everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let n = from.len() as u64;
        (n > 0).then(|| from[self.roll(n) as usize].clone())
    }
}

fn some_config(dice: &mut Dice) -> TurnConfig {
    TurnConfig {
        activation: [Activation::WakeWord, Activation::AlwaysOn][dice.roll(2) as usize],
        duplex: [Duplex::Half, Duplex::Full][dice.roll(2) as usize],
        ..config()
    }
}

struct LiveReply {
    id: ReplyId,
    /// Empty for announcements and apologies.
    words: Vec<String>,
    audible: bool,
    hushed: bool,
}

/// The world around one machine, and what it knows to be promised.
struct World {
    seed: u64,
    config: TurnConfig,
    machine: TurnMachine,
    now: At,
    dice: Dice,
    live: Option<LiveReply>,
    captured: Option<TurnId>,
    asked: Vec<Take>,
    judged: Vec<Take>,
    /// Takes whose words are no longer wanted.
    stale: BTreeSet<Take>,
    /// Words given to the machine so far: each its own number.
    said: u64,
    /// Words that an audible reply has answered.
    answered: BTreeSet<String>,
    /// Words that the next answer must begin with.
    owed: Vec<String>,
    replies: u64,
    cancelled: Vec<ReplyId>,
    /// Real frames, in some walks.
    playout: Option<Playout>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let config = some_config(&mut dice);
        let playout = (dice.roll(16) == 0).then(Playout::new);
        let mut world = Self {
            seed,
            machine: TurnMachine::new(config),
            config,
            now: At::START,
            dice,
            live: None,
            captured: None,
            asked: Vec::new(),
            judged: Vec::new(),
            stale: BTreeSet::new(),
            said: 0,
            answered: BTreeSet::new(),
            owed: Vec::new(),
            replies: 0,
            cancelled: Vec::new(),
            playout,
        };
        world.drain();
        world
    }

    #[track_caller]
    fn must(&self, holds: bool, promise: &str) {
        assert!(
            holds,
            "{promise} (seed {}, at {:?}, {:?})",
            self.seed, self.now, self.machine
        );
    }

    fn word(&mut self) -> String {
        self.said += 1;
        format!("w{}", self.said)
    }

    fn give(&mut self, input: Input) {
        let was = self.live.as_ref().map(|l| (l.id, l.audible, l.hushed));
        // What the world knows before the machine does.
        match &input {
            Input::ReplyAudible { reply } => {
                if let Some(live) = self.live.as_mut().filter(|l| l.id == *reply) {
                    live.audible = true;
                    for word in &live.words {
                        let new = self.answered.insert(word.clone());
                        assert!(new, "two answers to {word} (seed {})", self.seed);
                    }
                }
            }
            // What is worked on counts as answered: it is not to be done twice.
            Input::ReplyBusy { reply } => {
                let live = self.live.as_mut().filter(|l| l.id == *reply && !l.audible);
                for word in live
                    .map(|l| std::mem::take(&mut l.words))
                    .unwrap_or_default()
                {
                    let new = self.answered.insert(word.clone());
                    assert!(new, "two answers to {word} (seed {})", self.seed);
                }
            }
            Input::ReplyOver { reply } => {
                if let Some(live) = self.live.take_if(|l| l.id == *reply)
                    && live.hushed
                    && !live.audible
                {
                    self.owed = live.words;
                }
            }
            // The user wants silence: nothing is owed any more.
            Input::Interrupt => self.owed.clear(),
            _ => {}
        }
        self.machine.handle(self.now, input.clone());
        let outputs = self.drain();
        let Some((id, audible, hushed)) = was else {
            return;
        };
        let now_hushed = self.live.as_ref().filter(|l| l.id == id).map(|l| l.hushed);
        match input {
            Input::SpeechStarted if audible && self.config.duplex == Duplex::Half => {
                self.must(
                    outputs == 0 || hushed,
                    "its own voice is not taken for the user's",
                );
            }
            Input::SpeechStarted
                if audible
                    && self.config.activation == Activation::AlwaysOn
                    && self.config.duplex == Duplex::Full =>
            {
                self.must(
                    now_hushed != Some(false),
                    "a barge-in hushes, or cuts, in the same call",
                );
            }
            _ => {}
        }
    }

    fn drain(&mut self) -> usize {
        let mut outputs = 0;
        while let Some(output) = self.machine.poll_output() {
            outputs += 1;
            self.check(output);
        }
        let waiting = !self.machine.at_rest();
        self.must(
            !waiting || self.machine.deadline().is_some(),
            "every wait has a deadline",
        );
        let speaking = self.live.as_ref().is_some_and(|l| l.audible && !l.hushed);
        if speaking && self.config.duplex == Duplex::Half {
            let deaf = self.machine.attention() == Attention::Deaf;
            self.must(deaf, "with loudspeakers the ears are shut while it speaks");
        }
        outputs
    }

    fn check(&mut self, output: Output) {
        match output {
            Output::StartReply { reply, prompt } => {
                self.must(self.live.is_none(), "at most one live reply");
                self.must(reply.0 == self.replies + 1, "reply ids count up");
                self.replies = reply.0;
                let words = match prompt {
                    Prompt::User(text) => {
                        let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
                        self.must(words.starts_with(&self.owed), "no words are lost");
                        self.owed.clear();
                        let stale = words.iter().any(|w| w == "stale");
                        self.must(
                            !stale,
                            "words of a take that was forgotten are not answered",
                        );
                        for word in &words {
                            self.must(!self.answered.contains(word), "one answer to a turn");
                        }
                        words
                    }
                    Prompt::Apology(_) => {
                        self.owed.clear();
                        Vec::new()
                    }
                    Prompt::Verbatim(_) | Prompt::Greeting(_) => Vec::new(),
                };
                self.live = Some(LiveReply {
                    id: reply,
                    words,
                    audible: false,
                    hushed: false,
                });
            }
            Output::Cancel { reply, why } => {
                let live = self.live.take().filter(|l| l.id == reply);
                self.must(live.is_some(), "only the live reply is cancelled");
                let live = live.expect("just checked");
                self.cancelled.push(reply);
                let resumed = matches!(why, CancelReason::BargeIn | CancelReason::Superseded);
                if resumed && !live.audible {
                    self.owed = live.words;
                }
                if let Some(playout) = &mut self.playout {
                    playout.flush(reply);
                }
            }
            Output::Hush { reply } => {
                let live = self.live.as_mut().filter(|l| l.id == reply && !l.hushed);
                live.map(|l| l.hushed = true)
                    .expect("only the live reply is hushed, once");
                if let Some(playout) = &mut self.playout {
                    playout.hush(reply);
                }
            }
            Output::Unhush { reply } => {
                let live = self.live.as_mut().filter(|l| l.id == reply && l.hushed);
                live.map(|l| l.hushed = false)
                    .expect("only what is hushed is unhushed");
                if let Some(playout) = &mut self.playout {
                    playout.unhush(reply);
                }
            }
            Output::Capture { turn } => {
                self.must(self.captured.is_none(), "one turn is captured at a time");
                self.captured = Some(turn);
            }
            Output::Release { turn } => {
                let released = self.captured.take();
                self.stale
                    .extend(self.asked.iter().filter(|t| t.turn == turn));
                self.must(released == Some(turn), "what is released was captured");
            }
            Output::Transcribe { take } => {
                self.must(
                    self.captured == Some(take.turn),
                    "only the open turn is transcribed",
                );
                self.must(!self.asked.contains(&take), "a take is transcribed once");
                self.asked.push(take);
            }
            Output::JudgeTurnEnd { take } => {
                self.must(
                    self.captured == Some(take.turn),
                    "only the open turn is judged",
                );
                self.judged.push(take);
            }
            Output::Forget { take } => {
                self.stale.insert(take);
            }
            Output::Prepare { take, text } => {
                self.must(
                    self.captured == Some(take.turn) && !self.stale.contains(&take),
                    "only the open turn is answered in advance",
                );
                self.must(self.live.is_none(), "and only when nothing else is");
                let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
                self.must(words.starts_with(&self.owed), "with all that is owed");
            }
            Output::Attend(_) | Output::TurnOver { .. } | Output::Show(_) => {}
        }
    }

    /// Ticks up to `until`, sometimes late.
    fn pass(&mut self, until: At) {
        let mut ticks = 0;
        while let Some(due) = self.machine.deadline().filter(|d| *d <= until) {
            ticks += 1;
            self.must(ticks < 1_000, "a deadline that is reached is dealt with");
            let late = Duration::from_millis(self.dice.roll(3) * self.dice.roll(20));
            self.now = self.now.max(due + late).min(until.max(due));
            self.give(Input::Tick);
        }
        self.now = self.now.max(until);
    }

    fn step(&mut self) {
        let ms = match self.dice.roll(10) {
            0 => 0,
            1..=5 => self.dice.roll(60),
            6..=8 => self.dice.roll(800),
            _ => self.dice.roll(30_000),
        };
        self.pass(self.now + Duration::from_millis(ms));
        if self.playout.is_some() {
            self.play();
        }
        let any = ReplyId(self.dice.roll(self.replies + 2));
        let live = self.live.as_ref().map(|l| (l.id, l.hushed, l.audible));
        let input = match self.dice.roll(27) {
            0 => Input::Wake,
            24 => Input::Greet {
                text: "yes?".to_owned(),
            },
            25 => {
                let config = TurnConfig {
                    follow_up: Duration::from_millis(self.dice.roll(6_000)),
                    ..some_config(&mut self.dice)
                };
                if self.machine.at_rest() {
                    self.config = config;
                }
                Input::Rules(Box::new(config))
            }
            1..=5 => Input::SpeechStarted,
            6..=9 => {
                let silent_for = Duration::from_millis(self.dice.roll(400));
                Input::SpeechEnded { silent_for }
            }
            10..=13 => {
                let Some(take) = self.dice.pick(&self.asked) else {
                    return;
                };
                match self.dice.roll(8) {
                    0 => Input::Transcript {
                        take,
                        text: String::new(),
                    },
                    1 => Input::TranscriptFailed {
                        take,
                        fault: Fault::Busy,
                    },
                    _ if self.stale.contains(&take) => Input::Transcript {
                        take,
                        text: "stale".to_owned(),
                    },
                    _ => Input::Transcript {
                        take,
                        text: self.word(),
                    },
                }
            }
            14..=15 => {
                let Some(take) = self.dice.pick(&self.judged) else {
                    return;
                };
                let wait = Duration::from_millis(self.dice.roll(4_000));
                Input::TurnEnd { take, wait }
            }
            16..=18 => match live {
                // Only a playout says these, and it does not play what is hushed.
                Some((reply, false, false)) if self.playout.is_none() => {
                    Input::ReplyAudible { reply }
                }
                Some((reply, false, true)) => Input::ReplyProgress { reply },
                Some((reply, ..)) if self.dice.roll(2) == 0 => Input::ReplyBusy { reply },
                _ => Input::ReplyProgress { reply: any },
            },
            19 => match live {
                Some((reply, ..)) if self.playout.is_none() => Input::ReplyOver { reply },
                _ => return,
            },
            20 if live.is_none_or(|(id, ..)| id != any) => Input::ReplyOver { reply: any },
            21 => Input::Typed { text: self.word() },
            22 => match self.dice.roll(3) {
                0 => Input::Interrupt,
                _ => Input::Announce {
                    text: "news".to_owned(),
                },
            },
            _ => Input::Tick,
        };
        self.give(input);
    }

    /// Sound comes for live and dead replies; a frame is played.
    fn play(&mut self) {
        let value = |reply: ReplyId| reply.0 as f32 / 65_536.0;
        let dead = self.dice.pick(&self.cancelled);
        let (n, ends) = (self.dice.roll(2_000) as usize, self.dice.roll(6) == 0);
        let live = self.live.as_ref().map(|l| l.id);
        let playout = self.playout.as_mut().expect("asked before");
        for reply in [live, dead].into_iter().flatten() {
            playout.push(reply, &Pcm::new(vec![value(reply); n]));
            if ends && live == Some(reply) {
                playout.end(reply);
            }
        }
        let mut events = Vec::new();
        let frame = playout.frame(&mut events);
        let allowed = self
            .live
            .as_ref()
            .filter(|l| !l.hushed)
            .map(|l| value(l.id));
        for &sample in frame.iter().flat_map(|f| &f.samples()[FADE..]) {
            let good = sample == 0.0 || allowed.is_some_and(|v| sample <= v);
            self.must(
                good,
                "no sound of a hushed or cancelled reply after its fade",
            );
        }
        for event in events {
            self.give(match event {
                PlayoutEvent::Audible { reply } => Input::ReplyAudible { reply },
                PlayoutEvent::Played { reply, .. } => Input::ReplyProgress { reply },
                PlayoutEvent::Over { reply, .. } => Input::ReplyOver { reply },
            });
        }
    }

    /// With nothing but time, everything comes to rest.
    fn settle(&mut self) {
        for _ in 0..200 {
            let Some(due) = self.machine.deadline() else {
                break;
            };
            self.now = self.now.max(due);
            self.give(Input::Tick);
        }
        self.must(
            self.machine.at_rest() && self.machine.deadline().is_none(),
            "it comes to rest",
        );
        self.must(
            self.live.is_none() && self.captured.is_none(),
            "nothing is left over",
        );
    }
}

#[test]
fn whatever_the_world_does_the_promises_hold() {
    let walks = if support::long() { 1_000_000 } else { 20_000 };
    for seed in 1..=walks {
        let mut world = World::new(seed);
        for _ in 0..60 {
            world.step();
        }
        world.settle();
    }
}
