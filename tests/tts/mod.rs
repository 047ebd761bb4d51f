//! Words to sound beyond the contract: what is read, and how.

mod phonemes;
