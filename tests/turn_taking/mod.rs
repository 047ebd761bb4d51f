//! Turn taking with no runtime: inputs with times in, a text log out. One story each; the promises
//! that hold in every story are in [`walks`].

mod stories;
mod walks;

use std::time::Duration;

use caal::{
    clock::At,
    turn::{Activation, Duplex, Input, Take, TurnConfig, TurnId, TurnMachine},
};

/// Round numbers, so that stories can be computed by hand.
pub(crate) fn config() -> TurnConfig {
    TurnConfig {
        activation: Activation::WakeWord,
        duplex: Duplex::Full,
        default_wait: Duration::from_millis(700),
        max_wait: Duration::from_secs(3),
        draft_after: Duration::from_millis(300),
        max_turn: Duration::from_secs(30),
        min_speech: Duration::from_millis(60),
        barge_in_delay: Duration::from_millis(600),
        doubt_limit: Duration::from_secs(2),
        follow_up: Duration::from_secs(5),
        greet_after: Duration::from_millis(500),
        echo_tail: Duration::from_millis(400),
        transcribe_limit: Duration::from_secs(10),
        think_limit: Duration::from_secs(20),
        stall_limit: Duration::from_secs(15),
    }
}

/// Plays `script` and gives the log. Ticks come by themselves at each deadline, also for 200 s after
/// the last input.
pub(crate) fn play(config: TurnConfig, script: &[(u64, Input)]) -> String {
    let mut machine = TurnMachine::new(config);
    let mut log = String::new();
    let mut drain = |m: &mut TurnMachine, at: At| {
        while let Some(o) = m.poll_output() {
            log.push_str(&format!("{at:?} {o:?}\n"));
        }
    };
    drain(&mut machine, At::START);
    let end = script.last().map_or(0, |(ms, _)| ms + 200_000);
    let inputs = script
        .iter()
        .map(|(ms, i)| (At::from_millis(*ms), i.clone()));
    for (at, input) in inputs.chain([(At::from_millis(end), Input::Tick)]) {
        let mut ticks = 0;
        while let Some(due) = machine.deadline().filter(|due| *due <= at) {
            machine.handle(due, Input::Tick);
            drain(&mut machine, due);
            ticks += 1;
            assert!(ticks < 1_000, "a deadline that is reached is dealt with");
        }
        machine.handle(at, input);
        drain(&mut machine, at);
    }
    log
}

pub(crate) fn ended() -> Input {
    Input::SpeechEnded {
        silent_for: Duration::from_millis(200),
    }
}

pub(crate) fn take(turn: u64, pause: u32) -> Take {
    Take {
        turn: TurnId(turn),
        pause,
    }
}

pub(crate) fn said(turn: u64, pause: u32, text: &str) -> Input {
    Input::Transcript {
        take: take(turn, pause),
        text: text.to_owned(),
    }
}

pub(crate) fn judged(turn: u64, pause: u32, wait_ms: u64) -> Input {
    Input::TurnEnd {
        take: take(turn, pause),
        wait: Duration::from_millis(wait_ms),
    }
}
