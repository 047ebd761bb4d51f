//! WebRTC and LiveKit: joining the rooms of a real server (`join`), and being the room (`endpoint`).
//! Knows no speech and no model; the rest of the house knows neither SDP nor str0m nor protobuf.
//!
//! Both ways end in the same thing: a [`Link`] to one room in which the assistant sits as a participant
//! of kind AGENT. Sound comes and goes through it as PCM, one piece of 20 ms after the other.

pub mod audio;
pub mod endpoint;
mod invite;
pub mod join;
mod link;
pub mod pacing;
pub mod peer;
pub mod sdp;
mod texts;

pub use invite::{Invitation, InviteError, Inviter};
pub use link::{
    AgentState, Closed, Departure, FRAME, Identity, Link, Participant, RoomCommand, RoomEvent,
};
