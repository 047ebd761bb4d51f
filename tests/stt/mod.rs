//! Whisper's own stories: shapes of models that are too large to fetch (with synthetic weights), its
//! cache, damaged files, cancellation, and agreement with another implementation.

mod cut_short;
mod large;
mod synthetic;
mod whisper;
#[cfg(feature = "whisper-cpp")]
mod whisper_cpp;
