//! Rooms: one peer connection against another, and the room that the binary is itself.

mod net;
mod peer;
mod sdp;
