//! The one place from which commands write: results to standard output, remarks to standard error.
//! `println!` panics when its reader has gone away (`| head`); nothing here does.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

use super::Failure;

/// A line on standard output.
///
/// # Errors
///
/// [`Failure::unread`] when the reader has gone away: nobody wants the rest, so the command ends. A
/// sentence when the disk that takes the output is full. A server ignores both.
pub(super) fn say(line: impl Display) -> Result<(), Failure> {
    written(writeln!(io::stdout().lock(), "{line}"))
}

/// As [`say`], without a line's end.
///
/// # Errors
///
/// Those of [`say`].
pub(super) fn say_all(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    written(write!(out, "{text}").and_then(|()| out.flush()))
}

/// A remark for the person at the terminal. If nobody can read it, nobody misses it.
pub(super) fn remark(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    result.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::unread(),
        _ => Failure::request(format!(
            "the output cannot be written ({error}); is the disk full?"
        )),
    })
}
