//! Who gets in: one layer around every route, so that a new one is guarded without thinking. A request is
//! held against its sizes, the name it asks for, the page it comes from and what it shows: the key, a login of
//! our page, a signature, or an address that the owner trusts. Only what is named here is open to everybody.
//! Rooms' signalling has tokens of its own. docs/security.md tells people about all this.

mod address;
mod body;
mod hosts;
mod key;
mod line;
mod login;
mod origin;
mod refusals;
mod seats;
mod sessions;
mod signature;
mod throttle;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{self, ConnectInfo, Request},
    http::{HeaderMap, Method, Uri, header, request::Parts, uri::PathAndQuery},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use tracing::warn;

use self::{
    address::Asker,
    body::{Verdict, paced},
    hosts::Hosts,
    key::Key,
    origin::From,
    sessions::Sessions,
    signature::Signatures,
    throttle::{Bucket, Failures},
};
use crate::settings::{Network, Settings};

pub use line::answer;
pub(in crate::http) use refusals::Problem;
pub use refusals::{Reason, Refusals};
pub use seats::Seats;

/// Longest body of any request, bytes: a picture of the screen. Routes say what is less.
const LONGEST_BODY: u64 = 16 << 20;

/// Longest body that is signed, bytes: it is read before anybody is let in.
const LONGEST_SIGNED: usize = 64 << 10;

/// Longest address with its query, bytes.
const LONGEST_ADDRESS: usize = 8 << 10;

/// Longest headers together, bytes: browsers send the cookies of everything on this host.
const LONGEST_HEADERS: usize = 32 << 10;

/// Wrong keys a minute from one address, and from all together.
const FAILURES: (f64, f64) = (10.0, 120.0);

/// Connection tests a minute: somebody who clicks.
const TESTS: f64 = 20.0;

/// Who asked, beside a request that was let through.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Whose address it is, as far as that is known.
    pub address: IpAddr,
    /// Whether they came over TLS.
    pub secure: bool,
    /// Whether they may do everything; false only where everybody may ask.
    pub entered: bool,
}

/// See the module's text. Clones are one guard.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

struct Inner {
    lock: Option<Lock>,
    signatures: Option<Signatures>,
    proxies: Vec<Network>,
    hosts: Hosts,
    origins: Vec<String>,
    /// These three are held for moments only.
    failures: Mutex<Failures>,
    tests: Mutex<Bucket>,
    told: Mutex<Bucket>,
    refusals: Refusals,
}

/// What there is where there is a key.
struct Lock {
    key: Key,
    in_path: bool,
    networks: Vec<Network>,
    sessions: Sessions,
}

/// How a route is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    /// Everybody may ask: is the server alive?
    Alive,
    /// Everybody may ask who may come as far as the door: the page's files, and its login.
    Page,
    /// It looks at tokens itself, and takes pages of every origin.
    Room,
    /// A test of a connection: whoever may come in, and not often.
    Test,
    /// Whoever may come in, or has signed the request.
    Signed,
    /// Whoever may come in.
    Closed,
}

impl Gate {
    fn of(method: &Method, path: &str) -> Self {
        let read = matches!(*method, Method::GET | Method::HEAD);
        let own = path.strip_prefix("/api").unwrap_or(path);
        match (path, own) {
            (_, "/health") if read => Self::Alive,
            ("/", _) if read => Self::Page,
            ("/api/login" | "/api/logout" | "/api/session", _) => Self::Page,
            _ if read && path.starts_with("/assets/") => Self::Page,
            ("/rtc", _) => Self::Room,
            _ if path.starts_with("/rtc/") || path.starts_with("/twirp/") => Self::Room,
            (_, "/announce" | "/wake" | "/reload-tools") => Self::Signed,
            _ if own.starts_with("/setup/test-") => Self::Test,
            _ => Self::Closed,
        }
    }
}

impl Guard {
    /// A guard as `settings` want it, which counts in `refusals`. Reads who is logged in.
    pub fn new(settings: &Settings, refusals: Refusals) -> Self {
        let file = settings.data_dir.join("logins.json");
        Self(Arc::new(Inner {
            lock: Lock::of(settings, &file),
            signatures: settings.webhook_secret.as_ref().map(Signatures::new),
            proxies: settings.trusted_proxies.clone(),
            hosts: Hosts::of_this_machine(&settings.hosts),
            origins: settings.origins.clone(),
            failures: Mutex::new(Failures::per_minute(FAILURES.0, FAILURES.1)),
            tests: Mutex::new(Bucket::per_minute(TESTS)),
            told: Mutex::new(Bucket::per_minute(6.0)),
            refusals,
        }))
    }

    /// `router` behind this guard, and the routes by which our page logs in.
    pub fn around(&self, router: Router) -> Router {
        let inside = router.merge(login::routes(self.clone()));
        // Around the whole router and not only its routes: an address is changed before it is looked up.
        Router::new()
            .fallback_service(inside)
            .layer(middleware::from_fn_with_state(self.clone(), check))
    }

    /// For people: who gets in, and the next step.
    pub fn sentence(&self) -> &'static str {
        match &self.0.lock {
            None => {
                "Only this machine gets in; to let others in, set CAAL_API_KEY (make one with: openssl rand -hex 32)"
            }
            Some(_) => {
                "Whoever has the key gets in: the page asks for it once, programs send it as Authorization: Bearer"
            }
        }
    }

    fn refuse(&self, reason: Reason) -> Response {
        self.0.refusals.count(reason);
        reason.into_response()
    }

    /// Whether the key that `address` shows is the key. Who was wrong too often is not asked.
    fn opens(&self, lock: &Lock, shown: &str, address: IpAddr) -> Result<(), Reason> {
        let now = Instant::now();
        if !held(&self.0.failures).may_try(address, now) {
            return Err(Reason::Failures);
        }
        if lock.key.is(shown) {
            held(&self.0.failures).succeed(address);
            return Ok(());
        }
        held(&self.0.failures).note(address, now);
        if held(&self.0.told).take(now) {
            warn!(%address, "a wrong key was sent");
        }
        Err(Reason::WrongKey)
    }

    /// Whether a request may come in that shows what it has in its headers.
    fn enters(&self, shown: Option<&str>, ask: &Ask<'_>) -> Result<(), Reason> {
        let Some(lock) = &self.0.lock else {
            return match (ask.asker.forwarded, ask.peer.is_loopback()) {
                (true, _) => Err(Reason::Forwarded),
                (_, false) => Err(Reason::NotHere),
                (false, true) => Ok(()),
            };
        };
        if let Some(shown) = shown {
            return self.opens(lock, shown, ask.asker.address);
        }
        if lock.sessions.has(ask.headers) {
            let read = matches!(*ask.method, Method::GET | Method::HEAD);
            return match ask.from {
                From::Page => Ok(()),
                // A browser that says nothing, or a link: nothing is changed so.
                From::Program | From::Link if read => Ok(()),
                _ => Err(Reason::Origin),
            };
        }
        let Asker {
            address, certain, ..
        } = ask.asker;
        match certain && lock.networks.iter().any(|n| n.contains(address)) {
            true => Ok(()),
            false => Err(Reason::NoKey),
        }
    }

    /// Lets a request through, or says why not. What it showed in its path is not there any more.
    async fn admit(&self, mut head: Parts, body: Body) -> Result<(Request, Verdict), Reason> {
        let address = head.uri.path_and_query().map_or(0, |p| p.as_str().len());
        let in_path = take_key(&mut head.uri);
        let gate = Gate::of(&head.method, head.uri.path());
        // A room's token stands in the address, and what a client wants of it.
        if address > LONGEST_ADDRESS && gate != Gate::Room {
            return Err(Reason::Address);
        }
        let length = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
            name.as_str().len() + value.len()
        };
        if head.headers.iter().map(length).sum::<usize>() > LONGEST_HEADERS {
            return Err(Reason::Headers);
        }
        let asked = hosts::asked(&head.uri, &head.headers);
        let asked = asked.filter(|asked| self.0.hosts.know(asked.host()));
        let asked = asked.ok_or(Reason::Host)?;
        let declared = head.headers.get(header::CONTENT_LENGTH);
        let declared = declared.and_then(|n| n.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|n| n > LONGEST_BODY) {
            return Err(Reason::Body);
        }
        let (mut body, verdict) = paced(body, LONGEST_BODY);
        let peer = head.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |c| c.0.ip());
        let peer = peer.to_canonical();
        let asker = address::of(peer, &head.headers, &self.0.proxies);
        let from = origin::of(&head.method, &head.headers, &asked, &self.0.origins);
        if from == From::Stranger && gate != Gate::Room {
            return Err(Reason::Origin);
        }
        let lock = self.0.lock.as_ref();
        let in_path = in_path.filter(|_| lock.is_some_and(|lock| lock.in_path));
        let shown = bearer(&head.headers).map(str::to_owned).or(in_path);
        let ask = Ask {
            method: &head.method,
            headers: &head.headers,
            peer,
            asker,
            from,
        };
        let entered = match (gate, &self.0.signatures) {
            (Gate::Alive | Gate::Room, _) => Ok(()),
            (Gate::Signed, Some(signatures))
                if shown.is_none() && Signatures::are_on(&head.headers) =>
            {
                let whole = to_bytes(body, LONGEST_SIGNED).await;
                let whole = whole.map_err(|_| verdict.reason().unwrap_or(Reason::Body))?;
                let signed = signatures.admit(&head.headers, &whole);
                body = Body::from(whole);
                signed
            }
            _ => self.enters(shown.as_deref(), &ask),
        };
        match (gate, entered) {
            // Nothing comes in over a proxy where there is no key: then not the page either.
            (Gate::Page, Err(Reason::NoKey | Reason::WrongKey)) | (_, Ok(())) => {}
            (_, Err(reason)) => return Err(reason),
        }
        if gate == Gate::Test && !held(&self.0.tests).take(Instant::now()) {
            return Err(Reason::Tests);
        }
        let secure = asker.secure || origin::is_secure(&head.headers, &asked);
        head.extensions.insert(Caller {
            address: asker.address,
            secure,
            entered: entered.is_ok() && !matches!(gate, Gate::Alive | Gate::Room),
        });
        Ok((Request::from_parts(head, body), verdict))
    }
}

impl Lock {
    fn of(settings: &Settings, file: &Path) -> Option<Self> {
        let key = settings.api_key.as_ref()?;
        Some(Self {
            key: Key::new(key),
            in_path: settings.key_in_path,
            networks: settings.trusted_networks.clone(),
            sessions: Sessions::kept(key, file),
        })
    }
}

/// What a request says about itself, beside what it shows.
struct Ask<'r> {
    method: &'r Method,
    headers: &'r HeaderMap,
    peer: IpAddr,
    asker: Asker,
    from: From,
}

/// The layer: see [`Guard::around`].
async fn check(
    extract::State(guard): extract::State<Guard>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    let origin = head.headers.get(header::ORIGIN);
    let allowed = origin.filter(|o| {
        guard
            .0
            .origins
            .iter()
            .any(|one| one.as_bytes() == o.as_bytes())
    });
    let allowed = allowed.cloned();
    let asks_first = head.method == Method::OPTIONS
        && head
            .headers
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if let (Some(origin), true) = (&allowed, asks_first) {
        return origin::preflight(origin.clone(), &head.headers);
    }
    let mut response = match guard.admit(head, body).await {
        Err(reason) => guard.refuse(reason),
        Ok((request, verdict)) => {
            let response = next.run(request).await;
            match (verdict.reason(), response.status()) {
                // The route only knows that the body broke off.
                (Some(reason), _) => guard.refuse(reason),
                (None, axum::http::StatusCode::PAYLOAD_TOO_LARGE) => {
                    guard.0.refusals.count(Reason::Body);
                    response
                }
                _ => response,
            }
        }
    };
    if let Some(origin) = allowed
        && !response
            .headers()
            .contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN)
    {
        origin::allow(origin, response.headers_mut());
    }
    response
}

/// Takes the key out of an address that begins with one.
fn take_key(uri: &mut Uri) -> Option<String> {
    let (key, rest) = key::in_path(uri.path())?;
    let rest = match uri.query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest,
    };
    let mut parts = uri.clone().into_parts();
    // What was part of a path and begins with a slash is a path.
    parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
    *uri = Uri::from_parts(parts).ok()?;
    Some(key)
}

/// The key in `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// A lock that is never held over anything that can fail.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
