//! The other side of a bench: a Python package that does the same work, in a process of its own, asked
//! in turn with ours. One line of JSON in, one out; the first line out says what runs:
//! `{"ready": NAME, "load_ms": …}`. The scripts stand in `scripts/peers` and in this binary.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::cli::Failure;

/// Whether there is another side, and where it lives.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PeerArgs {
    /// Measure the Python package that does the same beside ours, in turn.
    #[arg(long)]
    pub(super) peer: bool,
    /// A Python that has it (scripts/bench makes one with all of them).
    #[arg(long, value_name = "PYTHON", default_value = "python3")]
    pub(super) peer_python: PathBuf,
}

/// A package and the script that asks it.
pub(super) struct Rival {
    pub(super) package: &'static str,
    pub(super) script: &'static str,
}

impl PeerArgs {
    /// Starts `rival` with `arguments` and waits until it is ready. `None` where no peer is asked for.
    ///
    /// # Errors
    ///
    /// When Python or the package is missing.
    pub(super) fn start(
        &self,
        rival: &Rival,
        arguments: &[&OsStr],
    ) -> Result<Option<Peer>, Failure> {
        if !self.peer {
            return Ok(None);
        }
        let gone = |what: String| {
            Failure::request(format!(
                "the peer did not start ({what}); make a venv with {} and name its python with --peer-python (now {})",
                rival.package,
                self.peer_python.display()
            ))
        };
        let mut child = Command::new(&self.peer_python)
            .args(["-c", rival.script])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| gone(e.to_string()))?;
        let input = child.stdin.take().expect("piped above");
        let output = BufReader::new(child.stdout.take().expect("piped above"));
        let mut peer = Peer {
            child,
            input,
            output,
            name: String::new(),
            load_ms: 0.0,
            rss_mb: 0.0,
        };
        let ready: Ready = peer.line().map_err(gone)?;
        (peer.name, peer.load_ms) = (ready.ready, ready.load_ms);
        Ok(Some(peer))
    }
}

/// A rival at work: only while it is asked.
pub(super) struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// What it is, with versions.
    pub(super) name: String,
    /// Milliseconds it took to load its model.
    pub(super) load_ms: f64,
    /// Its peak memory so far, where it says so.
    pub(super) rss_mb: f64,
}

#[derive(Deserialize)]
struct Ready {
    ready: String,
    load_ms: f64,
}

impl Peer {
    /// Asks for one piece of work and waits for it.
    ///
    /// # Errors
    ///
    /// When the peer has ended or answers something else.
    pub(super) fn ask<T: DeserializeOwned>(&mut self, wish: &Value) -> Result<T, Failure> {
        let failed = |what: String| Failure::internal(format!("the peer failed ({what})"));
        writeln!(self.input, "{wish}").map_err(|e| failed(e.to_string()))?;
        let answer: Value = self.line().map_err(failed)?;
        if let Some(rss_mb) = answer.get("rss_mb").and_then(Value::as_f64) {
            self.rss_mb = rss_mb;
        }
        serde_json::from_value(answer).map_err(|e| failed(e.to_string()))
    }

    fn line<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(0) => Err("it ended; what it said stands above".to_owned()),
            Ok(_) => serde_json::from_str(&line).map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends with its input; a broken one is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell takes `-c SCRIPT arguments` as Python does.
    fn shell(script: &'static str) -> Result<Option<Peer>, Failure> {
        let args = PeerArgs {
            peer: true,
            peer_python: "sh".into(),
        };
        let package = "echo";
        args.start(&Rival { package, script }, &[OsStr::new("m")])
    }

    #[test]
    fn a_peer_answers_line_by_line_and_tells_its_memory() {
        let script = r#"echo "{\"ready\":\"$0\",\"load_ms\":2}"; while read line; do echo "{\"text\":$line,\"rss_mb\":7.5}"; done"#;
        #[derive(Deserialize)]
        struct Heard {
            text: u32,
        }
        let mut peer = shell(script).expect("starts").expect("asked for");
        assert_eq!((peer.name.as_str(), peer.load_ms), ("m", 2.0));
        for number in [3, 4] {
            let heard: Heard = peer.ask(&serde_json::json!(number)).expect("answers");
            assert_eq!(heard.text, number);
        }
        assert_eq!(peer.rss_mb, 7.5);
    }

    #[test]
    fn a_peer_that_is_not_there_is_told_with_the_next_step() {
        let error = shell("exit 1").err().expect("it ended").to_string();
        assert!(error.contains("make a venv with echo"), "{error}");
        let args = PeerArgs {
            peer: true,
            peer_python: "/no/such/python".into(),
        };
        let rival = Rival {
            package: "echo",
            script: "",
        };
        let error = args.start(&rival, &[]).err().expect("none").to_string();
        assert!(
            error.contains("--peer-python (now /no/such/python)"),
            "{error}"
        );
        let none = PeerArgs {
            peer: false,
            ..args
        };
        assert!(none.start(&rival, &[]).expect("no error").is_none());
    }
}
