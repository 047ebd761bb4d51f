//! Rooms: one peer connection against another, and the room that the binary is itself.

mod door;
mod embedded;
mod net;
mod peer;
mod sdp;
