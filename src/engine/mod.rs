//! What every local model stands on: a thread of its own ([`thread`]), the ONNX Runtime library
//! ([`load`]) and the process' thread budget. Knows nothing of voice.

pub mod load;
pub mod thread;

pub use load::{
    Device, Role, Runtime, RuntimeError, cores, forbid_telemetry, leave, yield_to_others,
};
pub use thread::{Engine, EngineError, Job};
