//! A conversation through this machine's microphone and speakers, or through files: the room that
//! needs no network.
