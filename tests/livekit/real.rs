//! A real livekit-server as a child process on free loopback ports, and people with LiveKit's own Python
//! SDK in its rooms. Built by scripts/real-parts/livekit-server.sh and livekit-python.sh.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use caal::rtc::join::Server;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{ChildStdin, ChildStdout},
    time::timeout,
};

pub(crate) const KEY: &str = "devkey";
pub(crate) const SECRET: &str = "s3crets3crets3crets3crets3crets3cret";

/// Longest wait for anything: a busy machine is slow, a broken one is found out all the same.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A running server; gone when it is dropped.
pub(crate) struct RealServer {
    child: Child,
    parts: Parts,
    port: u16,
    home: TempDir,
}

#[derive(Clone)]
struct Parts {
    server: PathBuf,
    python: PathBuf,
}

impl RealServer {
    /// Starts one; `None` where none was built.
    pub(crate) async fn start() -> Option<Self> {
        Self::with("").await
    }

    /// The same, with more lines of YAML in its configuration.
    pub(crate) async fn with(more: &str) -> Option<Self> {
        let parts = Parts {
            server: built(
                "CAAL_TEST_LIVEKIT",
                "livekit-server-1.9.12/livekit-server",
                "scripts/real-parts/livekit-server.sh",
            )?,
            python: python()?,
        };
        let home = tempfile::tempdir().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (port, media) = (
            tcp.local_addr().unwrap().port(),
            udp.local_addr().unwrap().port(),
        );
        // `bind_addresses` is for HTTP alone: media would be on every address without `interfaces`, and
        // ICE over TCP always is, so it is off.
        let config = format!(
            "port: {port}\nbind_addresses: [\"127.0.0.1\"]\nrtc:\n  udp_port: {media}\n  tcp_port: 0\n  \
             use_external_ip: false\n  enable_loopback_candidate: true\n  interfaces: {{includes: [lo]}}\n  \
             node_ip: 127.0.0.1\nkeys: {{{KEY}: {SECRET}}}\nlogging: {{level: info}}\n{more}"
        );
        fs::write(home.path().join("config.yaml"), config).unwrap();
        drop((tcp, udp));
        let child = spawn(&parts, home.path());
        let server = Self {
            child,
            parts,
            port,
            home,
        };
        server.answers().await;
        Some(server)
    }

    async fn answers(&self) {
        let waiting = async {
            let address = ("127.0.0.1", self.port);
            while tokio::net::TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, waiting)
            .await
            .expect("the server answers");
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same ports.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(&self.parts, self.home.path());
        self.answers().await;
    }

    /// Waits for words in its log.
    pub(crate) async fn has_logged(&self, words: &str) {
        let waiting = async {
            loop {
                let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
                if log.contains(words) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let logged = timeout(PATIENCE, waiting).await;
        logged.unwrap_or_else(|_| panic!("the server never said {words:?}"));
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    pub(crate) fn server(&self) -> Server {
        Server::new(&self.url(), KEY, SECRET).unwrap()
    }

    /// Somebody who joins `room` and whose microphone gives a tone; `agent` is dispatched by name.
    pub(crate) fn human(&self, room: &str, identity: &str, agent: &str, hz: u32) -> Human {
        let errors = fs::File::create(self.home.path().join(identity)).unwrap();
        let who = [&self.url(), KEY, SECRET, room, identity, agent];
        Human::start(&self.parts.python, who, hz, errors.into())
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for file in fs::read_dir(self.home.path()).unwrap() {
                let path = file.unwrap().path();
                let text = fs::read_to_string(&path).unwrap_or_default();
                let tail: Vec<_> = text.lines().rev().take(15).collect();
                eprintln!("{}, last first:\n{}", path.display(), tail.join("\n"));
            }
        }
    }
}

fn spawn(parts: &Parts, home: &Path) -> Child {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(home.join("log"))
        .unwrap();
    Command::new(&parts.server)
        .arg("--config")
        .arg(home.join("config.yaml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("livekit-server starts")
}

/// Somebody in a room.
pub(crate) struct Human {
    commands: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _child: tokio::process::Child,
}

impl Human {
    /// Somebody at any server with our key; `None` where there is no SDK.
    pub(crate) fn at(url: &str, room: &str, identity: &str) -> Option<Self> {
        let who = [url, KEY, SECRET, room, identity, ""];
        Some(Self::start(&python()?, who, 0, Stdio::inherit()))
    }

    fn start(python: &Path, who: [&str; 6], hz: u32, errors: Stdio) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/livekit/human.py");
        let mut child = tokio::process::Command::new(python)
            .arg(script)
            .args(who)
            .arg(hz.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .expect("Python starts");
        Self {
            commands: child.stdin.take().unwrap(),
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            _child: child,
        }
    }

    pub(crate) async fn does(&mut self, command: &str) {
        let line = format!("{command}\n");
        self.commands.write_all(line.as_bytes()).await.unwrap();
    }

    /// Waits until something is told that fits.
    pub(crate) async fn tells(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.tells_before(what, fits, |_| false).await
    }

    /// The same, and nothing that must not be before it.
    pub(crate) async fn tells_before(
        &mut self,
        what: &str,
        fits: impl Fn(&Value) -> bool,
        not: impl Fn(&Value) -> bool,
    ) -> Value {
        let waiting = async {
            loop {
                let line = self.lines.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("the human has gone before {what}"));
                let value: Value = serde_json::from_str(&line).unwrap();
                assert!(!not(&value), "{value} before {what}");
                if fits(&value) {
                    return value;
                }
            }
        };
        let told = timeout(PATIENCE, waiting).await;
        told.unwrap_or_else(|_| panic!("the human never told of {what}"))
    }

    /// Waits until a tone is heard from `who`: within one bin of a tenth of a second, and loud.
    pub(crate) async fn hears(&mut self, who: &str, hz: i64) {
        let tone = |v: &Value| {
            v["event"] == "heard"
                && v["who"] == who
                && (v["hz"].as_i64().unwrap() - hz).abs() <= 15
                && v["rms"].as_i64().unwrap() > 2_000
        };
        self.tells("the tone", tone).await;
    }
}

fn python() -> Option<PathBuf> {
    built(
        "CAAL_TEST_LIVEKIT_PYTHON",
        "livekit-python/bin/python",
        "scripts/real-parts/livekit-python.sh",
    )
}

#[allow(
    clippy::disallowed_methods,
    reason = "tests are told where real parts are by their runner"
)]
fn built(variable: &str, place: &str, script: &str) -> Option<PathBuf> {
    if let Ok(path) = std::env::var(variable) {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "{variable}: there is no {}", path.display());
        return Some(path);
    }
    let cache = std::env::var("XDG_CACHE_HOME").map(PathBuf::from).ok();
    let home = || Some(PathBuf::from(std::env::var("HOME").ok()?).join(".cache"));
    let path = cache.or_else(home)?.join("caal").join(place);
    if !path.is_file() {
        eprintln!("skipped: a real part is missing; get it with {script}");
        return None;
    }
    Some(path)
}
