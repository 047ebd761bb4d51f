//! A conversation through this machine's microphone and speakers, or through files: the room that
//! needs no network. [`device`] and [`file`](mod@file) bring the sound, [`room`](mod@room) is what
//! both have in common, [`display`] shows what goes on, [`Log`] logs it.

pub mod device;
pub mod display;
pub mod file;
mod line;
mod log;
mod room;

pub use log::Log;
pub use room::{Ended, Setting, Watch};
