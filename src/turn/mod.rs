//! Who has the floor: the turn-taking rules. Pure: no clock, no thread, no I/O.
//!
//! [`TurnMachine`] decides who speaks; its driver (`session`) does the work. The vocabulary between
//! the two stands in [`io`](self) ([`Input`], [`Output`]), what a user may set in [`TurnConfig`].

mod config;
mod io;
mod machine;

pub use config::{Activation, Duplex, TurnConfig};
pub use io::{
    Attention, CancelReason, Input, Output, Phase, Prompt, ReplyId, Take, Trouble, TurnId,
};
pub use machine::TurnMachine;
