//! A conversation in a LiveKit room: joins a [`Link`](crate::rtc::Link) to a session. Knows no SDP and
//! no model; whether the room is a real server's or our own, it cannot tell.
//!
//! [`host()`] holds the conversations of one room, each from the first person who comes to the last who
//! goes; [`lobby()`] does so for all rooms. Orders from outside come over the [`Desk`].

mod asker;
mod caption;
mod desk;
mod ear;
mod host;
mod lobby;
mod mix;
mod topics;

pub use desk::{Desk, Order, OrderError, RoomStatus};
pub use host::{Host, Outcome, host};
pub use lobby::lobby;
