//! `caal serve` on a machine that has not all the models: it fetches what is missing, says how that goes, and is
//! ready when all is there. The hub is a server on the loopback; the models are real.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::ends::get;
use crate::models::server::Hub;

const JUDGE: &str = "smart-turn-v3.2";
const FILE: &str = "smart-turn-v3.2-cpu.onnx";
const REPO: (&str, &str) = (
    "pipecat-ai/smart-turn-v3",
    "f766f81d3cfdf7737ac64aad813d91bbfd56bf93",
);

struct Server(Child);

fn post(address: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connects");
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The models of the tests in a folder of its own, but for [`JUDGE`]. The files are the same on the disk.
fn all_but_one(folder: &Path) {
    fn link(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("readable") {
            let entry = entry.expect("an entry");
            let target = to.join(entry.file_name());
            match entry.file_type().expect("a kind").is_dir() {
                true => link(&entry.path(), &target),
                false => match fs::hard_link(entry.path(), &target) {
                    Ok(()) => {}
                    Err(_) => drop(fs::copy(entry.path(), &target).expect("a copy")),
                },
            }
        }
    }
    for entry in fs::read_dir(crate::support::models()).expect("readable") {
        let entry = entry.expect("an entry");
        if entry.path().is_dir() && entry.file_name() != JUDGE {
            link(&entry.path(), &folder.join(entry.file_name()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_fetches_what_is_missing_and_goes_on_from_there() {
    let hub = Hub::start().await; // which has not got it yet
    let home = tempfile::tempdir().expect("a folder");
    let models = home.path().join("models");
    all_but_one(&models);
    let mut server = Server(
        Command::new(env!("CARGO_BIN_EXE_caal"))
            .args(["serve", "--port", "0"])
            .env_clear()
            .env("PATH", "/nowhere") // neither pip nor npm
            .env("CAAL_HOME", home.path())
            .env("OLLAMA_HOST", "http://127.0.0.1:9")
            .env("HF_ENDPOINT", &hub.address)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs"),
    );
    let mut said = BufReader::new(server.0.stderr.take().expect("piped")).lines();
    let mut hear = |words: &str| {
        said.by_ref()
            .map_while(Result::ok)
            .find(|line| line.contains(words))
            .unwrap_or_else(|| panic!("it never said: {words}"))
    };

    let first = hear("models are missing");
    assert!(first.contains(JUDGE), "{first}");
    let port = first
        .split("localhost:")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    let address = format!("127.0.0.1:{}", port.expect("it says where the page is"));
    hear(&format!("fetching {JUDGE}"));
    hear("tried again every minute");
    let ready = get(&address, "/ready");
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    for words in [
        r#""status":"missing""#,
        r#""missing":["smart-turn-v3.2"]"#,
        r#"{"name":"ears","state":"missing","detail":"smart-turn-v3.2 is not here yet"}"#,
    ] {
        assert!(ready.contains(words), "{words}: {ready}");
    }
    assert!(get(&address, "/health").starts_with("HTTP/1.1 200"));
    let downloads = get(&address, "/api/downloads");
    assert!(downloads.contains(r#""state":"failed""#), "{downloads}");

    // Now it is there, and somebody does not wait a minute.
    let file = fs::read(crate::support::models().join(JUDGE).join(FILE)).expect("the model");
    hub.put_at(REPO.0, REPO.1, FILE, file);
    let answer = post(
        &address,
        "/api/downloads",
        r#"{"names":["smart-turn-v3.2"]}"#,
    );
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let out = BufReader::new(server.0.stdout.take().expect("piped"));
    let ready = out
        .lines()
        .map_while(Result::ok)
        .find(|line| line.starts_with("Ready"));
    assert!(ready.is_some(), "it ended before it was ready");
    let answer = get(&address, "/ready");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(r#""missing":[]"#), "{answer}");
    assert!(models.join(JUDGE).join(FILE).is_file());
}
