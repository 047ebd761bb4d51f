//! The one integration binary: its module list is the table of contents.
#![allow(missing_docs, reason = "tests are named as sentences")]
#![allow(clippy::unwrap_used, reason = "a test may")]

mod architecture;
mod browser;
mod contract;
mod conversation;
mod docs;
mod fuzz;
mod http;
mod livekit;
mod llm;
mod models;
mod panel;
mod process;
mod rtc;
mod scenario;
mod settings;
mod sound;
mod store;
mod stt;
mod support;
mod text;
mod tools;
mod traces;
mod tts;
mod turn_taking;
mod wake;
