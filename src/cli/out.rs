//! The one place from which commands write: results to standard output, remarks to standard error.
//! `println!` panics when its reader has gone away (`| head`); nothing here does.

use std::{
    fmt::Display,
    fs::File,
    io::{self, ErrorKind, Write},
    path::Path,
};

use super::Failure;

/// A result that cannot be written is found before the work, not after it. Leaves nothing behind: a
/// command that fails must not look like one that gave an empty result. `option` is what names the file.
///
/// # Errors
///
/// When `out` cannot be written.
pub(super) fn writable(out: &Path, option: &str) -> Result<(), Failure> {
    let probe = match File::create_new(out) {
        Ok(_) => std::fs::remove_file(out),
        // There already: it stays as it is until there is a new one.
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            File::options().append(true).open(out).map(drop)
        }
        Err(e) => Err(e),
    };
    probe.map_err(|error| {
        Failure::request(format!(
            "{} cannot be written ({error}); give another file with {option}",
            out.display()
        ))
    })
}

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
