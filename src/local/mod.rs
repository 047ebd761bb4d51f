//! A conversation through this machine's microphone and speakers, or through files: the room that
//! needs no network. [`device`] and [`file`](mod@file) bring the sound, [`display`] shows what goes on,
//! [`Log`] logs it.

pub mod device;
pub mod display;
pub mod file;
mod line;
mod log;

pub use log::Log;
