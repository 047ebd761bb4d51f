//! CAAL: a local voice assistant in one binary. See `docs/ARCHITECTURE.md` for the tour.

#![warn(clippy::print_stdout, clippy::print_stderr)] // they panic: `cli/out.rs` writes

pub mod app;
pub mod audio;
pub mod cli;
pub mod clock;
pub mod endpoint;
pub mod engine;
pub mod fault;
pub mod http;
pub mod llm;
pub mod local;
pub mod mind;
pub mod models;
mod onnx;
pub mod pii;
pub mod room;
pub mod rtc;
pub mod session;
pub mod settings;
pub mod store;
pub mod stt;
pub mod telemetry;
mod tls;
pub mod tools;
pub mod tts;
pub mod turn;
pub mod vad;
pub mod wake;
pub mod wizard;
