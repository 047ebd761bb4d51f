//! The secrets that tests use, searched for in all that the product answers and logs. Each of them has
//! [`MARK`] in it, and nothing that comes out of the product may: [`watch`] looks at every line that is logged
//! in this process, [`none_in`] at what came over a wire or from a process.

use std::{
    io::{self, Write},
    process::Output,
    sync::Once,
};

use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt as _};

/// What every secret of the tests has in it, and nothing else has.
pub(crate) const MARK: &str = "s3cret";

/// All of the product's own lines, and what libraries say of connections.
const LOUD: &str =
    "info,caal=trace,hyper=debug,hyper_util=debug,reqwest=debug,rmcp=debug,axum=trace";

/// Looks at every line that is logged in this process from now on, by whatever test. A secret ends the
/// process: the line may be any test's, and none is to pass beside it.
pub(crate) fn watch() {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| {
        let subscriber = fmt()
            .with_env_filter(EnvFilter::new(LOUD))
            .with_writer(|| Reader);
        let subscriber = subscriber.with_ansi(false).finish();
        subscriber.try_init().expect("nobody else has one for all");
    });
}

/// Reads lines, and keeps none.
struct Reader;

impl Write for Reader {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        if text.contains(MARK) {
            // Past what the tests' runner holds back.
            let _ = writeln!(io::stderr(), "a secret was logged: {text}");
            std::process::exit(70);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fails where `text`, which `whence` gave, has a secret in it.
#[track_caller]
pub(crate) fn none_in(text: &str, whence: &str) {
    let found = text.find(MARK);
    let around = found.map(|at| text.get(at.saturating_sub(300)..at + MARK.len()));
    assert!(found.is_none(), "{whence} tells a secret: {around:?}");
}

/// What a process said, searched.
#[track_caller]
pub(crate) fn searched(output: Output) -> Output {
    for said in [&output.stdout, &output.stderr] {
        none_in(&String::from_utf8_lossy(said), "a command");
    }
    output
}
