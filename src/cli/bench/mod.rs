//! `caal bench`: the tables of docs/benchmarks.md, on the user's own machine. Statistics and the word
//! error rate stand here; each bench has a file of its own.

mod stats;
pub mod stt;
pub mod wake;
mod words;

pub use stats::{Summary, cpu_seconds, peak_rss_mb};
pub use words::{WordErrors, normalize_words, word_errors};
