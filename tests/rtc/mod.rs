//! Rooms: one peer connection against another, and the room that the binary is itself.

mod embedded;
mod net;
mod peer;
mod sdp;
