//! `caal`: see `caal --help`. Arguments → settings → log → command → exit code.

#![warn(clippy::print_stdout, clippy::print_stderr)] // as in the library

use caal::{
    cli::{Cli, ExitCode, Failure},
    engine,
    settings::Sources,
    telemetry,
};
use clap::Parser as _;

fn main() -> ! {
    let code = run();
    // Not by returning: see there.
    engine::leave(code.number())
}

fn run() -> ExitCode {
    telemetry::discreet_panics();
    engine::forbid_telemetry();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no mistakes; anything else is the user's: 64.
            let code = if error.use_stderr() { 64 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match start(cli) {
        Ok(code) => code,
        Err(failure) => ExitCode::from(failure.report()),
    }
}

fn start(cli: Cli) -> Result<ExitCode, Failure> {
    let sources = Sources::read()?;
    let filter = sources
        .environment
        .get("CAAL_LOG")
        .or_else(|| sources.environment.get("RUST_LOG"))
        .cloned();
    let live = cli.settings(sources)?;
    telemetry::init(filter.as_deref(), cli.global.verbose, cli.log_reader());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| {
            Failure::internal(format!(
                "no threads to run on ({e}); free some memory and try again"
            ))
        })?;
    let result = runtime.block_on(cli.run(live));
    // A blocking read (a terminal, a sound card) must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}
