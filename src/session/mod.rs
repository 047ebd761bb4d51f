//! One person in one room: wires turn machine, ear, engines and playout together and owns their
//! tasks. Knows no room, no socket and no concrete model.

mod engines;
mod playout;
mod timings;

pub use engines::{EarModels, Engines};
pub use playout::{FRAME, Playout, PlayoutEvent};
pub use timings::{Marks, TurnTimings};
