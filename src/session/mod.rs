//! One person in one room: wires turn machine, ear, engines and playout together and owns their
//! tasks. Knows no room, no socket and no concrete model.
