//! Words to sound beyond the contract: what is read, and how.

mod every_word;
mod heard;
mod phonemes;
