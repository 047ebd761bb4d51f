//! One suite per port, run over every engine behind it.

mod endpoint;
mod llm;
mod tts;
mod vad;
mod wake;
