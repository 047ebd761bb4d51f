//! The log: set up once in `main`. To standard error, so that standard output belongs to results. And
//! what is told of a panic: where, never with what, for a panic's message may quote what a user said
//! (that of a string cut in the middle of a character does). Beside the log, in files of their own: the
//! meters (`metrics`) and the traces (`trace`).

mod metrics;
mod trace;

pub use metrics::{
    CONTENT_TYPE, Engine, Held, Input, Interruption, Metrics, Outcome, cpu_seconds, metrics,
};
pub use trace::{Exporter, Fact, Kind, Span};

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt::Display,
    io::{IsTerminal, Write as _},
    panic::{self, PanicHookInfo},
    thread,
};

use tokio::task::JoinError;
use tracing_subscriber::EnvFilter;

/// Who reads the log when nobody asks for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A server's journal: what happens, turn by turn.
    Journal,
    /// A person at a terminal, who sees the command's own lines: only what is wrong.
    Person,
}

/// Starts the log. `filter` is in the syntax of `RUST_LOG`; `None` leaves it to `reader` and `verbose`,
/// which raises our own part to debug (1) or trace (2 and more).
pub fn init(filter: Option<&str>, verbose: u8, reader: Reader) {
    let filter = match (filter, verbose) {
        (Some(filter), _) => EnvFilter::builder().parse_lossy(filter),
        (None, 0) => EnvFilter::new(match reader {
            Reader::Journal => "warn,caal=info,ort=error,str0m=error",
            Reader::Person => "warn,ort=error,str0m=error",
        }),
        (None, 1) => EnvFilter::new("warn,caal=debug,ort=error,str0m=error"),
        (None, _) => EnvFilter::new("info,caal=trace,ort=warn"),
    };
    let format = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Nobody may be reading: a line that cannot be written is lost, and no reason to panic.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second start in one process (tests) keeps the first.
    let _ = format.try_init();
}

/// From now on a panic tells its thread and its place in the source, and its message only where that
/// was written as it stands in the source. With `RUST_BACKTRACE=1` also the way there.
pub fn discreet_panics() {
    panic::set_hook(Box::new(|info| {
        let current = thread::current();
        let name = current.name().unwrap_or("without a name");
        let mut text = panic_text(name, info);
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            text.push_str(&format!("\n{trace}"));
        }
        // There is nobody left to tell that standard error is closed.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }));
}

fn panic_text(thread: &str, info: &PanicHookInfo<'_>) -> String {
    let place: &dyn Display = match info.location() {
        Some(place) => place,
        None => &"an unknown place",
    };
    let text = format!("caal: a bug: thread {thread} panicked at {place}");
    // A message with values in it is a `String`.
    match info.payload().downcast_ref::<&'static str>() {
        Some(literal) => format!("{text}: {literal}"),
        None => text,
    }
}

/// How a task ended that brought no result. [`JoinError`] itself would quote the panic's message.
pub fn ended(error: &JoinError) -> &'static str {
    match error.is_panic() {
        true => "panicked",
        false => "was cancelled",
    }
}
