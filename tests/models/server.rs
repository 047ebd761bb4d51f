//! A server that speaks the hub's HTTP on the loopback, with a CDN on another port, and misbehaves on
//! request: cuts, silence, wrong bytes, refusals.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Response, header},
};
use caal::{
    models::{HubOptions, Patience},
    pii::Pii,
};
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, task::JoinSet};

/// The commit of every repository of the server.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A token that must be seen by the hub only.
pub(crate) const TOKEN: &str = "hf_verys3crettoken";

/// What goes wrong with one answer that carries a file's bytes.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The connection ends after so many bytes.
    Cut(usize),
    /// Nothing more comes after so many bytes, and the connection stays.
    Silence(usize),
    /// The bytes are others than promised.
    Wrong,
    /// The range is ignored: everything from the beginning.
    NoRange,
    /// This status, with these headers.
    Status(u16, Vec<(&'static str, String)>),
}

/// A request that the server saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) cdn: bool,
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) authorization: Option<String>,
}

#[derive(Default)]
struct Shelf {
    /// By `org/name/path`.
    files: BTreeMap<String, Bytes>,
    faults: BTreeMap<String, VecDeque<Fault>>,
    /// Revisions that there are beside `main` and [`COMMIT`].
    revisions: Vec<String>,
    /// Whole repositories that are refused: status and error code.
    refused: BTreeMap<String, (u16, &'static str)>,
    seen: Vec<Seen>,
    cdn: String,
    /// Whether the hub tells the sha256 of large files.
    secretive: bool,
}

type Shared = Arc<Mutex<Shelf>>;

/// The running server; it stops when dropped.
pub(crate) struct Hub {
    shelf: Shared,
    pub(crate) address: String,
    _tasks: JoinSet<()>,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        let shelf = Shared::default();
        let mut tasks = JoinSet::new();
        let mut serve = async |router: Router| {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = format!("http://{}", listener.local_addr().unwrap());
            tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
            address
        };
        let cdn = Router::new().fallback(cdn).with_state(shelf.clone());
        let cdn = serve(cdn).await;
        let address = serve(Router::new().fallback(hub).with_state(shelf.clone())).await;
        shelf.lock().unwrap().cdn = cdn;
        Self {
            shelf,
            address,
            _tasks: tasks,
        }
    }

    /// Options with this server as the hub, and no patience.
    pub(crate) fn options(&self) -> HubOptions {
        HubOptions {
            endpoint: self.address.clone(),
            token: Some(Pii(TOKEN.to_owned())),
            cache: None,
            offline: false,
            patience: Patience {
                connect: Duration::from_secs(5),
                stall: Duration::from_millis(300),
                tries: 3,
                pause: Duration::from_millis(1),
                longest: Duration::from_secs(2),
            },
        }
    }

    pub(crate) fn put(&self, repo: &str, path: &str, bytes: impl Into<Bytes>) {
        let mut shelf = self.shelf.lock().unwrap();
        shelf.files.insert(format!("{repo}/{path}"), bytes.into());
    }

    /// A file of a repository whose present revision is this one.
    #[cfg(feature = "embedded-llm")] // for servers that are started whole
    pub(crate) fn put_at(&self, repo: &str, revision: &str, path: &str, bytes: impl Into<Bytes>) {
        self.put(repo, path, bytes);
        let mut shelf = self.shelf.lock().unwrap();
        shelf.revisions.push(revision.to_owned());
    }

    /// A Whisper model as conversions have it, with a large `model.bin`.
    pub(crate) fn put_whisper(&self, repo: &str) {
        self.put(repo, "model.bin", large(600_000));
        self.put(repo, "config.json", "{\"suppress_ids\": []}");
        self.put(repo, "tokenizer.json", "{}");
        self.put(repo, "vocabulary.txt", "a\nb\n");
        self.put(repo, "README.md", "# nobody needs this");
    }

    /// The next answers that carry this file's bytes go wrong so, one after the other.
    pub(crate) fn spoil(&self, repo: &str, path: &str, faults: &[Fault]) {
        let mut shelf = self.shelf.lock().unwrap();
        let queue = faults.iter().cloned().collect();
        shelf.faults.insert(format!("{repo}/{path}"), queue);
    }

    pub(crate) fn refuse(&self, repo: &str, status: u16, code: &'static str) {
        let mut shelf = self.shelf.lock().unwrap();
        shelf.refused.insert(repo.to_owned(), (status, code));
    }

    /// From now on the hub does not tell the sha256 of large files.
    pub(crate) fn hide_digests(&self) {
        self.shelf.lock().unwrap().secretive = true;
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shelf.lock().unwrap().seen.clone()
    }

    /// The ranges asked of the CDN for a file, in order; `None` for the whole file.
    pub(crate) fn ranges(&self, path: &str) -> Vec<Option<String>> {
        let seen = self.seen().into_iter();
        seen.filter(|s| s.cdn && s.path.ends_with(path))
            .map(|s| s.range)
            .collect()
    }
}

/// Bytes that look different everywhere, so that a wrong offset shows.
pub(crate) fn large(len: u32) -> Vec<u8> {
    (0..len)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// Lays `files` down as the cache of Hugging Face's own programs does.
pub(crate) fn fill_cache(cache: &Path, repo: &str, files: &[(&str, Vec<u8>)]) {
    let home = cache.join(format!("models--{}", repo.replace('/', "--")));
    for folder in ["refs", "blobs", &format!("snapshots/{COMMIT}")] {
        std::fs::create_dir_all(home.join(folder)).unwrap();
    }
    std::fs::write(home.join("refs/main"), COMMIT).unwrap();
    for (name, bytes) in files {
        let blob = sha256(bytes);
        std::fs::write(home.join("blobs").join(&blob), bytes).unwrap();
        let link = home.join("snapshots").join(COMMIT).join(name);
        std::os::unix::fs::symlink(format!("../../blobs/{blob}"), link).unwrap();
    }
}

fn note(shelf: &mut Shelf, request: &Request, cdn: bool) {
    let text = |name| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    shelf.seen.push(Seen {
        cdn,
        path: request.uri().path().to_owned(),
        range: text(header::RANGE),
        authorization: text(header::AUTHORIZATION),
    });
}

fn status(code: u16) -> axum::http::response::Builder {
    Response::builder().status(code)
}

async fn hub(State(shelf): State<Shared>, request: Request) -> Response<Body> {
    let mut shelf = shelf.lock().unwrap();
    note(&mut shelf, &request, false);
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let api = path.strip_prefix("api/models/");
    let words: Vec<&str> = api.unwrap_or(&path).split('/').collect();
    let [org, name, verb, revision, rest @ ..] = words.as_slice() else {
        return status(404).body(Body::empty()).unwrap();
    };
    if *org == "old" {
        // A repository that was renamed: a redirect within the hub, without a host.
        let moved = request.uri().path().replacen("/old/", "/new/", 1);
        return status(307)
            .header("location", moved)
            .body(Body::empty())
            .unwrap();
    }
    let repo = format!("{org}/{name}");
    if let Some((code, error)) = shelf.refused.get(&repo) {
        let answer = status(*code).header("x-error-code", *error);
        return answer.body(Body::from("{\"error\": \"no\"}")).unwrap();
    }
    let ours = format!("{repo}/");
    if !shelf.files.keys().any(|f| f.starts_with(&ours)) {
        // The hub does not tell a stranger that a repository does not exist.
        return status(401).body(Body::empty()).unwrap();
    }
    if api.is_some() && *verb == "revision" {
        let siblings: Vec<serde_json::Value> = shelf
            .files
            .iter()
            .filter_map(|(path, bytes)| Some((path.strip_prefix(&ours)?, bytes)))
            .map(|(path, bytes)| {
                let mut file = serde_json::json!({ "rfilename": path, "size": bytes.len() });
                if is_large(bytes) && !shelf.secretive {
                    file["lfs"] =
                        serde_json::json!({ "sha256": sha256(bytes), "size": bytes.len() });
                }
                file
            })
            .collect();
        let answer = serde_json::json!({ "id": repo, "sha": COMMIT, "siblings": siblings });
        return Response::new(Body::from(answer.to_string()));
    }
    let known =
        ["main", COMMIT].contains(revision) || shelf.revisions.iter().any(|r| r == revision);
    if *verb != "resolve" || !known {
        let answer = status(404).header("x-error-code", "RevisionNotFound");
        return answer.body(Body::empty()).unwrap();
    }
    let key = format!("{repo}/{}", rest.join("/"));
    let Some(bytes) = shelf.files.get(&key).cloned() else {
        let answer = status(404).header("x-error-code", "EntryNotFound");
        return answer.body(Body::empty()).unwrap();
    };
    if !is_large(&bytes) {
        let fault = shelf.faults.get_mut(&key).and_then(VecDeque::pop_front);
        let git_hash = format!("\"{}\"", &sha256(&bytes)[..40]);
        return send(&bytes, request.headers(), fault.as_ref(), &git_hash);
    }
    let mut answer = status(302)
        .header("x-repo-commit", COMMIT)
        .header("x-linked-size", bytes.len())
        .header(
            "location",
            format!("{}/{key}?X-Signature=alsos3cret", shelf.cdn),
        );
    if !shelf.secretive {
        answer = answer.header("x-linked-etag", format!("\"{}\"", sha256(&bytes)));
    }
    answer.body(Body::empty()).unwrap()
}

async fn cdn(State(shelf): State<Shared>, request: Request) -> Response<Body> {
    let mut shelf = shelf.lock().unwrap();
    note(&mut shelf, &request, true);
    let key = request.uri().path().trim_start_matches('/').to_owned();
    let Some(bytes) = shelf.files.get(&key).cloned() else {
        return status(404).body(Body::empty()).unwrap();
    };
    let fault = shelf.faults.get_mut(&key).and_then(VecDeque::pop_front);
    // A CDN's own ETag is of its own making.
    send(&bytes, request.headers(), fault.as_ref(), "\"cdn-1\"")
}

/// Large files go through the CDN, as they do on the hub.
fn is_large(bytes: &Bytes) -> bool {
    bytes.len() > 1000
}

fn send(all: &Bytes, headers: &HeaderMap, fault: Option<&Fault>, etag: &str) -> Response<Body> {
    if let Some(Fault::Status(code, more)) = fault {
        let mut answer = status(*code);
        for (name, value) in more {
            answer = answer.header(*name, value);
        }
        return answer.body(Body::empty()).unwrap();
    }
    let first = headers
        .get(header::RANGE)
        .and_then(|r| {
            r.to_str()
                .unwrap()
                .strip_prefix("bytes=")?
                .strip_suffix('-')
        })
        .map_or(0, |n| n.parse().unwrap());
    let first = match fault {
        Some(Fault::NoRange) => 0,
        _ => first,
    };
    if first > 0 && first >= all.len() {
        let answer = status(416).header("content-range", format!("bytes */{}", all.len()));
        return answer.body(Body::empty()).unwrap();
    }
    let mut bytes = all.slice(first..);
    let mut answer = status(200);
    if first > 0 {
        let range = format!("bytes {first}-{}/{}", all.len() - 1, all.len());
        answer = status(206).header("content-range", range);
    }
    let answer = answer
        .header("content-length", bytes.len())
        .header("accept-ranges", "bytes")
        .header("etag", etag);
    let body = match fault {
        Some(Fault::Cut(n)) => {
            let some = Ok(bytes.slice(..bytes.len().min(*n)));
            let end = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
            // The bytes go out before the connection ends.
            Body::from_stream(stream::iter([some]).chain(stream::once(async {
                tokio::task::yield_now().await;
                end
            })))
        }
        Some(Fault::Silence(n)) => {
            let some = Ok::<_, Infallible>(bytes.slice(..bytes.len().min(*n)));
            Body::from_stream(stream::iter([some]).chain(stream::pending()))
        }
        Some(Fault::Wrong) => {
            let mut wrong = bytes.to_vec();
            if let Some(byte) = wrong.last_mut() {
                *byte ^= 1;
            }
            bytes = wrong.into();
            Body::from(bytes)
        }
        _ => Body::from(bytes),
    };
    answer.body(body).unwrap()
}
