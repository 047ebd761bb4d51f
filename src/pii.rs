//! What a person said, was told, or is called: never in a log by accident.

use std::fmt;

/// Wraps personal data so that `Debug` and `Display` print `…`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Pii<T>(pub T);

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl<T> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
