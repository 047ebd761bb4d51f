//! A wire between us and a server that can be cut: every connection through it ends at once, without a
//! word of WebSocket.

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// The wire. Ends when it is dropped.
pub(crate) struct Cut {
    port: u16,
    cuts: watch::Sender<u32>,
    _tasks: JoinSet<()>,
}

impl Cut {
    /// A wire to the server at `port`.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = listener.local_addr().unwrap().port();
        let (cuts, cut) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((mut us, _)) = listener.accept().await {
                let mut cut = cut.clone();
                cut.mark_unchanged();
                lines.spawn(async move {
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else {
                        return;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut us, &mut server) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self {
            port: ours,
            cuts,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Cuts every connection.
    pub(crate) fn now(&mut self) {
        self.cuts.send_modify(|n| *n += 1);
    }
}
