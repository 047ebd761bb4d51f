//! MCP servers that are programs of this machine, spoken to over standard input and output. They end with
//! their connection: asked by the end of their input, then by SIGTERM, then killed, and waited for.

use std::{process::Stdio, time::Duration};

use rmcp::{
    RoleClient,
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{Transport, async_rw::AsyncRwTransport},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    task::JoinSet,
    time::timeout,
};
use tracing::debug;

use rustix::process::{Pid, Signal, kill_process_group};

use super::http::MOST;
use crate::pii::Pii;

/// How long a program that was asked to end may take, each time.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest line of a program's own log that is passed on, in bytes.
const LONGEST_LINE: u64 = 400;

/// A program that runs, with what it has started itself. Dropping it kills them.
pub(super) struct Program {
    child: Child,
    /// All of them, until they have ended.
    group: Group,
    pipes: AsyncRwTransport<RoleClient, ChildStdout, ChildStdin>,
    /// Passes on what it says of itself.
    _log: JoinSet<()>,
}

/// The processes of a program.
struct Group(Option<Pid>);

impl Group {
    fn send(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            // They may have ended by themselves meanwhile.
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.send(Signal::KILL);
    }
}

impl Program {
    /// Starts `command`. What it writes to standard error goes to our log at level debug, without the
    /// values in `env`.
    ///
    /// # Errors
    ///
    /// A sentence that reads on from the server's name.
    pub(super) fn start(
        name: &str,
        command: &str,
        args: &[String],
        env: &[(String, String)],
    ) -> Result<Self, String> {
        let mut child = Command::new(command)
            .args(args)
            .envs(env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // Ctrl-C in a terminal is for us: what was begun is brought to its end first.
            .process_group(0)
            .spawn()
            .map_err(|e| format!("its program {command} cannot be started ({})", e.kind()))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let group = Group(id.and_then(Pid::from_raw));
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.ok_or("its program has no input or output")?;
        let mut tasks = JoinSet::new();
        if let Some(stderr) = child.stderr.take() {
            let secrets = args.iter().chain(env.iter().map(|(_, value)| value));
            tasks.spawn(log(
                name.to_owned(),
                stderr,
                Pii(secrets.cloned().collect()),
            ));
        }
        let pipes = AsyncRwTransport::new_client(stdout, stdin).with_max_line_length(MOST);
        Ok(Self {
            child,
            group,
            pipes,
            _log: tasks,
        })
    }
}

/// Passes on what a program says of itself.
async fn log(name: String, stderr: ChildStderr, secrets: Pii<Vec<String>>) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut lines)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(1..) => {}
            _ => return,
        }
        let mut text = String::from_utf8_lossy(&line).trim().to_owned();
        for secret in secrets.0.iter().filter(|secret| secret.len() >= 4) {
            text = text.replace(secret.as_str(), "…");
        }
        debug!(server = name, "{text}");
    }
}

impl Transport<RoleClient> for Program {
    type Error = std::io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = std::io::Result<()>> + Send + 'static {
        self.pipes.send(message)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        self.pipes.receive().await
    }

    async fn close(&mut self) -> std::io::Result<()> {
        self.pipes.close().await?;
        if timeout(PATIENCE, self.child.wait()).await.is_err() {
            self.group.send(Signal::TERM);
            if timeout(PATIENCE, self.child.wait()).await.is_err() {
                self.group.send(Signal::KILL);
                self.child.wait().await?;
            }
        }
        // What a wrapper (npx, uv) has left behind.
        self.group.send(Signal::TERM);
        self.group.0 = None;
        Ok(())
    }
}
