//! The log: set up once in `main`. To standard error, so that standard output belongs to results.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How much the log says when nobody asks for more: what a person at the terminal should know.
const DEFAULT_FILTER: &str = "warn,caal=info,ort=error";

/// Starts the log. `filter` is in the syntax of `RUST_LOG`; `None` for the default. `verbose` raises
/// our own part to debug (1) or trace (2 and more).
pub fn init(filter: Option<&str>, verbose: u8) {
    let filter = match (filter, verbose) {
        (Some(filter), _) => EnvFilter::builder().parse_lossy(filter),
        (None, 0) => EnvFilter::new(DEFAULT_FILTER),
        (None, 1) => EnvFilter::new("warn,caal=debug,ort=error"),
        (None, _) => EnvFilter::new("info,caal=trace,ort=warn"),
    };
    let format = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second start in one process (tests) keeps the first.
    let _ = format.try_init();
}
