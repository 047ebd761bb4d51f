//! The Hugging Face hub over HTTP: what a repository holds, and its files, resumed by byte range.
//!
//! `GET {endpoint}/api/models/{repo}/revision/{revision}?blobs=true` lists a repository;
//! `GET {endpoint}/{repo}/resolve/{revision}/{path}` answers with the file, or with a redirect to a
//! CDN whose headers already say size (`X-Linked-Size`) and, for large files, sha256
//! (`X-Linked-Etag`). So a file that is not the wanted one costs no download. Redirects are followed
//! here and not by the HTTP client, because the token may only go to the hub itself.

use std::{path::PathBuf, sync::Mutex, time::Duration};

use reqwest::{
    StatusCode, Url,
    header::{AUTHORIZATION, ETAG, HeaderMap, HeaderValue, LOCATION, RANGE, RETRY_AFTER},
};
use serde::Deserialize;

use crate::{fault::Fault, pii::Pii};

/// Where the hub is and who asks. From the environment: see `HubOptions::from_env` in settings.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// `https://huggingface.co`, or a mirror (`HF_ENDPOINT`).
    pub endpoint: String,
    /// Sent to the endpoint only (`HF_TOKEN`, or the file that `hf auth login` wrote).
    pub token: Option<Pii<String>>,
    /// The cache of other programs on this machine, looked into first (`HF_HOME/hub`).
    pub cache: Option<PathBuf>,
    /// No request to the hub at all (`HF_HUB_OFFLINE`).
    pub offline: bool,
    /// How long to wait for it.
    pub patience: Patience,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            endpoint: "https://huggingface.co".to_owned(),
            token: None,
            cache: None,
            offline: false,
            patience: Patience::default(),
        }
    }
}

/// When to give up on a server, and how long to leave it alone in between.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To connect.
    pub connect: Duration,
    /// Between two pieces of an answer.
    pub stall: Duration,
    /// Tries in a row that bring nothing.
    pub tries: u32,
    /// Before the second try; doubles from try to try.
    pub pause: Duration,
    /// The longest wait that a server may ask for.
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            tries: 5,
            pause: Duration::from_secs(1),
            longest: Duration::from_secs(60),
        }
    }
}

/// Redirects in a row; the hub itself uses two.
const MAX_REDIRECTS: usize = 10;

/// Why a request brought nothing.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// Try again, after this long if the server said so.
    Again(String, Option<Duration>),
    /// Trying again will not help.
    Final(String, Fault),
    /// There is no way to the hub: nothing else need be tried there.
    Unreachable(String),
}

impl Trouble {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Trouble::Again(reason, _)
            | Trouble::Final(reason, _)
            | Trouble::Unreachable(reason) => reason,
        }
    }

    pub(crate) fn fault(&self) -> Fault {
        match self {
            Trouble::Final(_, fault) => *fault,
            Trouble::Again(..) | Trouble::Unreachable(_) => Fault::Remote,
        }
    }
}

/// The hub, during one pull.
pub(crate) struct Hub {
    client: reqwest::Client,
    options: HubOptions,
    /// Why it cannot be reached, once that is known: 60 files need not wait for 60 time-outs.
    down: Mutex<Option<String>>,
}

/// A file of a repository.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote<'a> {
    pub(crate) repo: &'a str,
    pub(crate) revision: &'a str,
    pub(crate) path: &'a str,
}

/// What the hub says of a file before it gives it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promise {
    /// Size of the whole file.
    pub(crate) bytes: Option<u64>,
    /// Of the whole file; the hub knows it of large files only.
    pub(crate) sha256: Option<String>,
}

/// What a repository holds.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Listing {
    /// The commit that the revision stands for.
    pub(crate) sha: Option<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Clone, Debug, Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

#[derive(Clone, Debug, Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

impl Listing {
    /// Path, size and sha256 of each file, as far as the hub says.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, Promise)> {
        self.siblings.iter().map(|s| {
            let promise = Promise {
                bytes: s.lfs.as_ref().and_then(|l| l.size).or(s.size),
                sha256: s.lfs.as_ref().and_then(|l| sha256_in(l.sha256.as_deref()?)),
            };
            (s.rfilename.as_str(), promise)
        })
    }
}

impl Hub {
    /// Nothing is sent yet.
    pub(crate) fn new(options: HubOptions) -> Result<Self, String> {
        crate::tls::install();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(options.patience.connect)
            .read_timeout(options.patience.stall)
            .user_agent(concat!("caal/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| deepest(&e))?;
        Ok(Self {
            client,
            options,
            down: Mutex::new(None),
        })
    }

    pub(crate) fn patience(&self) -> Patience {
        self.options.patience
    }

    pub(crate) fn options(&self) -> &HubOptions {
        &self.options
    }

    /// What `repo` holds at `revision`.
    pub(crate) async fn list(&self, repo: &str, revision: &str) -> Result<Listing, Trouble> {
        let path = format!("api/models/{repo}/revision/{revision}");
        let mut url = self.url(&path)?;
        url.set_query(Some("blobs=true"));
        let (response, _) = self.get(url, None, repo, &|_| Ok(())).await?;
        let body = response
            .bytes()
            .await
            .map_err(|e| Trouble::Again(self.say(&e), None))?;
        serde_json::from_slice(&body).map_err(|_| {
            Trouble::Final(
                "the answer to the list of files is no list: is HF_ENDPOINT a hub?".to_owned(),
                Fault::Remote,
            )
        })
    }

    /// Opens a file from byte `from` on, and tells what the hub promises of the whole file. `check` may
    /// refuse the promise: then the CDN is not even asked. `None` in place of the answer: there is
    /// nothing from that byte on.
    pub(crate) async fn open(
        &self,
        file: Remote<'_>,
        from: u64,
        check: &(dyn Fn(&Promise) -> Result<(), Trouble> + Sync),
    ) -> Result<(Option<reqwest::Response>, Promise), Trouble> {
        let Remote {
            repo,
            revision,
            path,
        } = file;
        let url = self.url(&format!("{repo}/resolve/{revision}/{path}"))?;
        let range = (from > 0).then(|| format!("bytes={from}-"));
        let (response, headers) = self.get(url, range, repo, check).await?;
        let mut promise = promised(&headers);
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Ok((None, promise));
        }
        if promise.bytes.is_none() {
            promise.bytes = match response.status() {
                StatusCode::PARTIAL_CONTENT => range_of(&response).and_then(|(_, total)| total),
                _ => response.content_length(),
            };
        }
        check(&promise)?;
        Ok((Some(response), promise))
    }

    /// Why nothing can be had from the hub in this pull, where that is known already.
    pub(crate) fn closed(&self) -> Option<Trouble> {
        if self.options.offline {
            let reason = "HF_HUB_OFFLINE is set, so the hub is not asked; unset it to download";
            return Some(Trouble::Final(reason.to_owned(), Fault::Request));
        }
        self.down().clone().map(Trouble::Unreachable)
    }

    fn url(&self, path: &str) -> Result<Url, Trouble> {
        if let Some(trouble) = self.closed() {
            return Err(trouble);
        }
        let text = format!("{}/{path}", self.options.endpoint.trim_end_matches('/'));
        Url::parse(&text).map_err(|e| {
            let reason = format!("HF_ENDPOINT is no address ({e})");
            Trouble::Final(reason, Fault::Request)
        })
    }

    fn down(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        // Held for an assignment only: nobody can panic meanwhile.
        self.down.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Gets `url` through redirects. The second value holds the headers of all answers on the way: what
    /// the hub says of a file stands in the redirect, not in the CDN's answer.
    async fn get(
        &self,
        url: Url,
        range: Option<String>,
        repo: &str,
        check: &(dyn Fn(&Promise) -> Result<(), Trouble> + Sync),
    ) -> Result<(reqwest::Response, HeaderMap), Trouble> {
        let home = url.origin();
        let mut url = url;
        let mut headers = HeaderMap::new();
        for _ in 0..MAX_REDIRECTS {
            let mut request = self.client.get(url.clone());
            if let Some(range) = &range {
                request = request.header(RANGE, range);
            }
            if let Some(token) = &self.options.token
                && url.origin() == home
            {
                request = request.header(AUTHORIZATION, bearer(token)?);
            }
            let response = request.send().await.map_err(|e| {
                let reason = self.say(&e);
                if e.is_connect() {
                    Trouble::Unreachable(reason)
                } else {
                    Trouble::Again(reason, None)
                }
            })?;
            let from_hub = url.origin() == home;
            for (name, value) in response.headers() {
                // The CDN's own ETag says nothing that the hub promised.
                if from_hub && !headers.contains_key(name) {
                    headers.insert(name, value.clone());
                }
            }
            let status = response.status();
            if status.is_redirection() {
                check(&promised(&headers))?;
                let next = response.headers().get(LOCATION);
                url = next
                    .and_then(|l| l.to_str().ok())
                    .and_then(|l| url.join(l).ok())
                    .filter(|u| matches!(u.scheme(), "http" | "https"))
                    .ok_or_else(|| Trouble::Final(redirect_to_nowhere(), Fault::Remote))?;
                continue;
            }
            if status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE {
                return Ok((response, headers));
            }
            return Err(self.refused(&response, repo));
        }
        let reason = format!("more than {MAX_REDIRECTS} redirects in a row");
        Err(Trouble::Final(reason, Fault::Remote))
    }

    /// What a status that is no success means, with the next step.
    fn refused(&self, response: &reqwest::Response, repo: &str) -> Trouble {
        let code = response
            .headers()
            .get("x-error-code")
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default();
        let number = response.status().as_u16();
        let page = format!("{}/{repo}", self.options.endpoint.trim_end_matches('/'));
        let reason = match (number, code) {
            (401 | 403, "GatedRepo") | (403, _) => format!(
                "access is restricted ({number}): ask for it at {page}, then set HF_TOKEN to a token of that account"
            ),
            (401, _) if self.options.token.is_some() => format!(
                "the hub does not know {repo}, or the token in HF_TOKEN may not read it (401): check both"
            ),
            (401, _) => format!(
                "the hub does not know {repo}, or it is private (401): check the spelling, or set HF_TOKEN"
            ),
            (404, "RevisionNotFound") => format!("{repo} has no such revision (404)"),
            (404, "EntryNotFound") => format!("{repo} has no such file (404)"),
            (404, _) => format!("not found in {repo} (404): check the spelling at {page}"),
            (429, _) => {
                let asked = response
                    .headers()
                    .get(RETRY_AFTER)
                    .and_then(|v| v.to_str().ok())
                    .and_then(|v| v.trim().parse().ok())
                    .map(Duration::from_secs);
                return match asked {
                    Some(wait) if wait > self.options.patience.longest => Trouble::Final(
                        format!(
                            "the hub is asked too often (429) and wants {} s of rest: try again then, or set HF_TOKEN",
                            wait.as_secs()
                        ),
                        Fault::Remote,
                    ),
                    wait => Trouble::Again("the hub is asked too often (429)".to_owned(), wait),
                };
            }
            (408 | 500..=599, _) => {
                return Trouble::Again(format!("the server is in trouble ({number})"), None);
            }
            _ => format!("the server answered {number}"),
        };
        Trouble::Final(reason, Fault::Request)
    }

    /// An error of the HTTP client for people. Never its address: a CDN's holds a signature.
    pub(crate) fn say(&self, error: &reqwest::Error) -> String {
        let patience = self.options.patience;
        if error.is_connect() {
            if error.is_timeout() {
                return format!("no connection within {} s", patience.connect.as_secs_f32());
            }
            return format!("it cannot be reached ({})", deepest(error));
        }
        if error.is_timeout() {
            return format!(
                "the server fell silent for {} s",
                patience.stall.as_secs_f32()
            );
        }
        format!("the connection was cut ({})", deepest(error))
    }

    /// Remembers that there is no way to the hub.
    pub(crate) fn set_down(&self, reason: &str) {
        *self.down() = Some(reason.to_owned());
    }
}

fn redirect_to_nowhere() -> String {
    "the server redirects to nowhere".to_owned()
}

fn bearer(token: &Pii<String>) -> Result<HeaderValue, Trouble> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.0)).map_err(|_| {
        let reason = "HF_TOKEN holds characters that no token has: set it anew";
        Trouble::Final(reason.to_owned(), Fault::Request)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// What the hub's own headers say of a file.
fn promised(headers: &HeaderMap) -> Promise {
    Promise {
        bytes: number(headers, "x-linked-size"),
        sha256: digest(headers),
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// The sha256 that the hub promises; small files have a git hash there instead.
fn digest(headers: &HeaderMap) -> Option<String> {
    let tag = headers.get("x-linked-etag").or_else(|| headers.get(ETAG))?;
    sha256_in(
        tag.to_str()
            .ok()?
            .trim_start_matches("W/")
            .trim_matches('"'),
    )
}

/// `text` if it is a sha256: 64 hexadecimal digits.
fn sha256_in(text: &str) -> Option<String> {
    (text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit())).then(|| text.to_lowercase())
}

/// First byte and total of a partial answer: `bytes 100-199/200`.
pub(crate) fn range_of(response: &reqwest::Response) -> Option<(u64, Option<u64>)> {
    let text = response.headers().get("content-range")?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()))
}

/// The innermost cause: what the system said.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
