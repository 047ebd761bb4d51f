//! A real Ollama as a child process on a free loopback port, with models of its own, gone when it is
//! dropped. Built by scripts/real-parts/ollama.sh.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use caal::llm::ollama::Ollama;
use tempfile::TempDir;

/// The model that is created from the GGUF file of the embedded one.
pub(crate) const MODEL: &str = "smollm2:135m";

/// A running server that has [`MODEL`].
pub(crate) struct OllamaProcess {
    child: Child,
    url: String,
    _home: TempDir,
}

impl OllamaProcess {
    /// Starts one; `None` where none was built.
    pub(crate) async fn start() -> Option<Self> {
        let binary = binary()?;
        let home = tempfile::tempdir().expect("a folder");
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let address = format!("127.0.0.1:{port}");
        let log = fs::File::create(home.path().join("log")).expect("a log");
        let child = command(&binary, home.path(), &address)
            .arg("serve")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Ollama starts");
        let server = Self {
            child,
            url: format!("http://{address}"),
            _home: home,
        };
        let waiting = async {
            while Ollama::probe(&server.url).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting)
            .await
            .expect("Ollama answers within a minute");
        server.create(&binary, &address);
        Some(server)
    }

    fn create(&self, binary: &Path, address: &str) {
        let gguf = gguf();
        let recipe = self._home.path().join("Modelfile");
        // One thread: several wait for each other by spinning, which on a machine whose cores are
        // taken (by other tests) makes it a hundred times slower.
        let text = format!("FROM {}\nPARAMETER num_thread 1\n", gguf.display());
        fs::write(&recipe, text).expect("writes");
        let output = command(binary, self._home.path(), address)
            .args(["create", MODEL, "-f"])
            .arg(&recipe)
            .output()
            .expect("runs");
        assert!(
            output.status.success(),
            "ollama create: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for OllamaProcess {
    fn drop(&mut self) {
        // Its model runner is a child of its own; SIGTERM lets it end that one first.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

fn command(binary: &Path, home: &Path, address: &str) -> Command {
    let mut command = Command::new(binary);
    command
        .env("HOME", home)
        .env("OLLAMA_HOST", address)
        .env("OLLAMA_MODELS", home.join("models"))
        .env("OLLAMA_NUM_PARALLEL", "2")
        .stdin(Stdio::null());
    command
}

/// The chat model of the embedded engine, which Ollama runs as well.
pub(crate) fn gguf() -> PathBuf {
    crate::support::models().join("smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf")
}

#[allow(
    clippy::disallowed_methods,
    reason = "tests are told where real parts are by their runner"
)]
fn binary() -> Option<PathBuf> {
    if let Ok(path) = std::env::var("CAAL_TEST_OLLAMA") {
        let path = PathBuf::from(path);
        assert!(
            path.is_file(),
            "CAAL_TEST_OLLAMA: there is no {}",
            path.display()
        );
        return Some(path);
    }
    let home = || std::env::var("HOME").map(|home| format!("{home}/.cache"));
    let cache = std::env::var("XDG_CACHE_HOME").or_else(|_| home()).ok()?;
    let path = Path::new(&cache).join("caal/ollama-0.17.4/ollama");
    path.is_file().then_some(path)
}
