//! One suite per port, run over every engine behind it.

mod endpoint;
mod llm;
pub(crate) mod stt;
mod tts;
mod vad;
mod wake;
