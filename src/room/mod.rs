//! A conversation in a LiveKit room: joins a [`Link`](crate::rtc::Link) to a session. Knows no SDP and
//! no model; whether the room is a real server's or our own, it cannot tell.
//!
//! [`host`] holds one conversation from the first person who comes to the last who goes.

mod caption;
mod ear;
mod host;
mod mix;
mod topics;

pub use host::{Host, Outcome, host};
