//! `caal serve`: the server. Sockets first, then models, then ready; drains on SIGTERM or Ctrl-C.

use std::{net::Ipv4Addr, process::ExitCode, time::Instant};

use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::Failure;
use crate::{
    app::App,
    http::{self, Readiness},
    settings::Settings,
};

/// Arguments of `caal serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Port of the HTTP API (setting http_port); 0 for any free one.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// Runs until SIGTERM or Ctrl-C.
///
/// # Errors
///
/// When the port is taken, or a model cannot be loaded.
pub(super) async fn run(args: Args, settings: Settings) -> Result<ExitCode, Failure> {
    let port = args.port.unwrap_or(settings.http_port);
    // Loopback only: there is no key yet that would let anybody else in.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|e| {
            let hint = "is another caal running? Choose another port with --port";
            Failure::request(format!("port {port} cannot be used ({e}); {hint}"))
        })?;
    let address = listener
        .local_addr()
        .map_err(|e| Failure::internal(e.to_string()))?;
    let started = Instant::now();
    let (readiness, watcher) = watch::channel(Readiness::Loading);
    let stop = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    let router = http::router(http::State { readiness: watcher });
    tasks.spawn({
        let stop = stop.clone();
        async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await
        }
    });

    eprintln!("caal: loading the models…");
    let loaded = tokio::select! {
        biased;
        () = super::stop_signal() => None,
        loaded = App::build(settings) => Some(loaded?),
    };
    if let Some(app) = &loaded {
        readiness.send_replace(Readiness::Ready(app.parts()));
        info!(seconds = started.elapsed().as_secs_f32(), "ready");
        println!("{}", app.greeting());
        println!(
            "Ready: open http://localhost:{} or run: caal talk",
            address.port()
        );
        super::stop_signal().await;
        eprintln!("caal: stopping; once more to stop at once");
    }
    readiness.send_replace(Readiness::Draining);
    stop.cancel();
    let drained = async { while tasks.join_next().await.is_some() {} };
    tokio::select! {
        () = drained => {}
        () = super::stop_signal() => {}
        () = tokio::time::sleep(crate::app::SHUTDOWN_GRACE) => {}
    }
    Ok(ExitCode::SUCCESS)
}
