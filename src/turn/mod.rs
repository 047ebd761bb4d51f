//! Who has the floor: the turn-taking rules. Pure: no clock, no thread, no I/O.
