//! The product as a process of its own, in a folder of its own, with its rooms or those of a real
//! livekit-server: what a client outside can measure.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    net::{Ipv4Addr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::scripted::{self, Scripted};
use crate::{
    cli::{Failure, bench::stats},
    settings::Settings,
};

/// Longest start that is still worth waiting for.
const PATIENCE: Duration = Duration::from_secs(120);

/// A folder that goes when it is dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// A new one among the system's temporary folders.
    pub(super) fn new() -> Result<Self, Failure> {
        let name = format!("caal-bench-{:016x}", RandomState::new().hash_one(0));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).map_err(|e| {
            Failure::request(format!(
                "{} cannot be made ({e}); set TMPDIR to a folder with room",
                path.display()
            ))
        })?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is in a temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `caal serve`, ready; ends when it is dropped, before its LiveKit server.
pub(super) struct Product {
    _child: Child,
    pid: u32,
    port: u16,
    livekit: Option<LiveKit>,
    _home: Scratch,
}

/// What a person needs to come in.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Invitation {
    pub(super) server_url: String,
    pub(super) participant_token: String,
}

impl Product {
    /// Starts it with `llm` as its language model, and with `livekit` as its rooms where one is given.
    ///
    /// # Errors
    ///
    /// When it does not become ready; with the last words of its log.
    pub(super) async fn start(
        settings: &Settings,
        llm: &Scripted,
        livekit: Option<LiveKit>,
    ) -> Result<Self, Failure> {
        let home = Scratch::new()?;
        let broken = |e: std::io::Error| Failure::internal(e.to_string());
        let models = fs::canonicalize(&settings.models_dir).map_err(broken)?;
        let log = home.path().join("log");
        let (url, key, secret) = match &livekit {
            Some(server) => (server.url(), KEY, server.secret.as_str()),
            None => (String::new(), "", ""),
        };
        let mut child = Command::new(std::env::current_exe().map_err(broken)?)
            .args(["serve", "--port", "0", "--models"])
            .arg(models)
            .args(["--device", settings.device.name()])
            .args(settings.threads.map(|n| format!("--threads={n}")))
            .current_dir(home.path())
            .env("CAAL_HOME", home.path())
            .env("CAAL_SETTINGS_PATH", "")
            .env("LLM_PROVIDER", "ollama")
            .env("OLLAMA_HOST", &llm.url)
            .env("OLLAMA_MODEL", scripted::MODEL)
            .env("CAAL_WAKE_WORD_ENABLED", "false")
            .env("LIVEKIT_URL", url)
            .env("LIVEKIT_API_KEY", key)
            .env("LIVEKIT_API_SECRET", secret)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).map_err(broken)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(broken)?;
        let pid = child.id();
        let mut lines = BufReader::new(child.stdout.take().expect("piped above")).lines();
        let ready = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.starts_with("Ready") {
                    let digits = line.rsplit("localhost:").next()?;
                    let end = digits.find(|c: char| !c.is_ascii_digit());
                    return digits[..end.unwrap_or(digits.len())].parse().ok();
                }
            }
            None
        };
        let port = timeout(PATIENCE, ready).await.ok().flatten();
        let (Some(port), Some(pid)) = (port, pid) else {
            let why = last_words(&log);
            return Err(Failure::internal(format!(
                "caal serve did not become ready; its last words: {why}"
            )));
        };
        if let Some(server) = &livekit {
            server.has_logged("worker registered").await?;
        }
        Ok(Self {
            _child: child,
            pid,
            port,
            livekit,
            _home: home,
        })
    }

    /// A way in, from the door that clients use.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub(super) async fn invite(&self) -> Result<Invitation, Failure> {
        let url = format!("http://127.0.0.1:{}/api/connection-details", self.port);
        let failed =
            |e: reqwest::Error| Failure::internal(format!("caal serve invites nobody ({e})"));
        crate::tls::install();
        let client = reqwest::Client::builder().no_proxy();
        let client = client.build().map_err(failed)?;
        let answer = client.post(url).body("{}").send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        answer.map_err(failed)?.json().await.map_err(failed)
    }

    /// CPU that it has used so far, in seconds.
    pub(super) fn cpu_seconds(&self) -> Option<f64> {
        stats::cpu_seconds_of(self.pid)
    }

    /// The most memory it has had, in MB.
    pub(super) fn peak_mb(&self) -> Option<f64> {
        stats::memory_mb_of(self.pid, "VmHWM:")
    }

    /// CPU that its LiveKit server has used so far, in seconds.
    pub(super) fn livekit_cpu_seconds(&self) -> Option<f64> {
        stats::cpu_seconds_of(self.livekit.as_ref()?.child.id()?)
    }
}

/// Its API key; the secret is another at every start.
const KEY: &str = "bench";

/// A real livekit-server on free ports of loopback; ends when it is dropped.
pub(super) struct LiveKit {
    child: Child,
    port: u16,
    secret: String,
    home: Scratch,
}

impl LiveKit {
    /// Starts `program`.
    ///
    /// # Errors
    ///
    /// When it does not start or does not answer.
    pub(super) async fn start(program: &Path) -> Result<Self, Failure> {
        let failed = |what: String| {
            Failure::request(format!(
                "{} {what}; give a livekit-server with --livekit-server (scripts/real-parts/livekit-server.sh builds one)",
                program.display()
            ))
        };
        let home = Scratch::new()?;
        let broken = |e: std::io::Error| Failure::internal(e.to_string());
        // Free now, and most likely still a moment later.
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(broken)?;
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(broken)?;
        let port = tcp.local_addr().map_err(broken)?.port();
        let media = udp.local_addr().map_err(broken)?.port();
        let secret: String = (0..4u8)
            .map(|n| format!("{:016x}", RandomState::new().hash_one(n)))
            .collect();
        // `bind_addresses` is for HTTP alone: media would be on every address without `interfaces`, and
        // ICE over TCP always is, so it is off.
        let config = format!(
            "port: {port}\nbind_addresses: [\"127.0.0.1\"]\nrtc:\n  udp_port: {media}\n  tcp_port: 0\n  \
             use_external_ip: false\n  enable_loopback_candidate: true\n  interfaces: {{includes: [lo]}}\n  \
             node_ip: 127.0.0.1\nkeys: {{{KEY}: {secret}}}\nlogging: {{level: info}}\n"
        );
        let file = home.path().join("config.yaml");
        fs::write(&file, config).map_err(broken)?;
        let log = fs::File::create(home.path().join("log")).map_err(broken)?;
        drop((tcp, udp));
        let mut child = Command::new(program)
            .arg("--config")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(broken)?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| failed(format!("cannot be started ({e})")))?;
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .is_err()
        {
            let ended = child.try_wait().is_ok_and(|status| status.is_some());
            if ended || Instant::now() > deadline {
                let why = last_words(&home.path().join("log"));
                return Err(failed(format!("did not start ({why})")));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Self {
            child,
            port,
            secret,
            home,
        })
    }

    fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Waits for words in its log: the only sign of a worker.
    async fn has_logged(&self, words: &str) -> Result<(), Failure> {
        let log = self.home.path().join("log");
        let waiting = async {
            while !fs::read_to_string(&log).is_ok_and(|log| log.contains(words)) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(20), waiting)
            .await
            .map_err(|_| {
                let why = last_words(&log);
                Failure::internal(format!("the livekit-server never said {words:?} ({why})"))
            })
    }
}

/// The last lines of a log, on one.
fn last_words(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let mut last: Vec<_> = text.lines().rev().take(3).collect();
    last.reverse();
    last.join(" / ")
}
