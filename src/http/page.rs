//! The page for the browser: the files that `build.rs` took from `web/dist`, and the headers that keep
//! it safe. Nothing is read from disk, so there is no path to climb: an address is in the table or
//! it is not there.

use axum::{
    Router,
    body::Bytes,
    extract::{self, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, uri::Authority},
    response::{IntoResponse, Response},
    routing::get,
};

use super::{Place, State};

/// A file of the page.
struct File {
    /// The path that browsers ask for: `/` or `/assets/…`.
    address: &'static str,
    /// Its media type.
    kind: &'static str,
    plain: &'static [u8],
    /// The same, compressed, where that was worth it.
    gzip: Option<&'static [u8]>,
}

/// The built page; empty where cargo built without one.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Shown at `/` where there is no page in the binary.
static UNBUILT: File = File {
    address: "/",
    kind: "text/html; charset=utf-8",
    plain: include_bytes!("unbuilt.html"),
    gzip: None,
};

/// `GET` and `HEAD` of `/` and `/assets/…`.
pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/", get(serve))
        .route("/assets/{name}", get(serve))
}

async fn serve(extract::State(state): extract::State<State>, request: Request) -> Response {
    let address = request.uri().path();
    let file = FILES.iter().find(|f| f.address == address);
    let place = state.rooms.as_ref().map(|rooms| &rooms.place);
    match file {
        Some(file) => file.answer(request.headers(), place),
        None if address == "/" => UNBUILT.answer(request.headers(), place),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

impl File {
    /// Whether its name changes with its content: that of the page and of the licences does not.
    fn hashed(&self) -> bool {
        self.address != "/" && !self.kind.starts_with("text/plain")
    }

    fn answer(&self, asked: &HeaderMap, place: Option<&Place>) -> Response {
        let gzip = self.gzip.filter(|_| takes_gzip(asked));
        let body = Bytes::from_static(gzip.unwrap_or(self.plain));
        let mut response = body.into_response();
        let headers = response.headers_mut();
        let mut set = |name: HeaderName, value: &'static str| {
            headers.insert(name, HeaderValue::from_static(value));
        };
        set(header::CONTENT_TYPE, self.kind);
        set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        set(header::REFERRER_POLICY, "no-referrer");
        set(header::VARY, "accept-encoding");
        if gzip.is_some() {
            set(header::CONTENT_ENCODING, "gzip");
        }
        if self.hashed() {
            set(header::CACHE_CONTROL, "public, max-age=31536000, immutable");
            return response;
        }
        set(header::CACHE_CONTROL, "no-cache");
        set(
            HeaderName::from_static("permissions-policy"),
            "microphone=(self), speaker-selection=(self), camera=(), geolocation=()",
        );
        let host = asked.get(header::HOST).and_then(|h| h.to_str().ok());
        headers.insert(header::CONTENT_SECURITY_POLICY, policy(host, place));
        response
    }
}

fn takes_gzip(asked: &HeaderMap) -> bool {
    let accepted = asked
        .get(header::ACCEPT_ENCODING)
        .and_then(|v| v.to_str().ok());
    accepted.unwrap_or_default().split(',').any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let named = parts.next().is_some_and(|n| n.eq_ignore_ascii_case("gzip"));
        named && !parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// The content security policy of the page: files of this server only. It may speak with this server,
/// and with the room's: on any port of the host that the browser asked for, or where `place` says.
fn policy(host: Option<&str>, place: Option<&Place>) -> HeaderValue {
    let asked = host.and_then(|h| h.parse::<Authority>().ok());
    let near = sources(asked.as_ref().map(Authority::host).unwrap_or_default(), "*");
    let far = match place {
        Some(Place::Url(url)) => url.parse::<Uri>().ok(),
        Some(Place::Here) | None => None,
    };
    let far = far.and_then(|url| url.into_parts().authority);
    let far = far.map(|a| {
        sources(
            a.host(),
            a.port().map_or("*".to_owned(), |p| p.to_string()).as_str(),
        )
    });
    let far = far.filter(|far| *far != near).unwrap_or_default();
    let text = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self' {near} {far}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'"
    );
    HeaderValue::from_str(&text).expect("hosts are checked to be plain ASCII")
}

/// A room server at `host` as sources of a policy. livekit-client asks it by HTTP why a socket was refused.
fn sources(host: &str, port: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || !host.chars().all(plain) {
        // Policies cannot name an IPv6 address.
        return "ws: wss: http: https:".to_owned();
    }
    format!("ws://{host}:{port} wss://{host}:{port} http://{host}:{port} https://{host}:{port}")
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Method;
    use tokio::sync::watch;
    use tower::ServiceExt;

    use super::*;
    use crate::http::Readiness;

    async fn ask(method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        let (_keep, readiness) = watch::channel(Readiness::Loading);
        let state = crate::http::test_state(readiness);
        let router: Router = routes().with_state(state);
        router.oneshot(request).await.expect("infallible")
    }

    async fn get(path: &str) -> Response {
        ask(Method::GET, path, &[]).await
    }

    async fn body(response: Response) -> Bytes {
        to_bytes(response.into_body(), 1 << 24)
            .await
            .expect("a body")
    }

    fn header_of(response: &Response, name: &str) -> String {
        let value = response.headers().get(name);
        value.map_or(String::new(), |v| v.to_str().expect("text").to_owned())
    }

    #[tokio::test]
    async fn the_page_forbids_what_it_does_not_need() {
        let page = ask(Method::GET, "/", &[(header::HOST, "nas.local:8889")]).await;
        assert_eq!(page.status(), StatusCode::OK);
        let policy = header_of(&page, "content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "ws://nas.local:*",
        ] {
            assert!(policy.contains(part), "{part} is missing in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!policy.contains("ws: "), "{policy}");
        assert_eq!(header_of(&page, "x-content-type-options"), "nosniff");
        assert_eq!(header_of(&page, "referrer-policy"), "no-referrer");
        assert_eq!(header_of(&page, "cache-control"), "no-cache");
        let html = String::from_utf8(body(page).await.to_vec()).expect("text");
        assert!(html.contains("CAAL"), "{html}");
        let inline = html.contains("<style") || html.contains("<script>");
        assert!(!inline && !html.contains(" style="), "{html}");
    }

    fn connect(host: Option<&str>, place: Option<&Place>) -> String {
        let policy = policy(host, place).to_str().expect("text").to_owned();
        let (_, from) = policy.split_once("connect-src ").expect("there is one");
        let (sources, _) = from.split_once(';').expect("others follow");
        sources.trim().to_owned()
    }

    #[test]
    fn a_host_cannot_write_into_the_policy() {
        for host in [
            None,
            Some("[::1]:8889"),
            Some("a; script-src *"),
            Some("a'b"),
            Some(""),
        ] {
            assert_eq!(
                connect(host, None),
                "'self' ws: wss: http: https:",
                "{host:?}"
            );
        }
        let one =
            "'self' ws://localhost:* wss://localhost:* http://localhost:* https://localhost:*";
        assert_eq!(connect(Some("localhost:8889"), Some(&Place::Here)), one);
    }

    #[test]
    fn the_policy_names_the_room_server_where_that_is_another() {
        let far = Place::Url("wss://rooms.example:7443/x".into());
        let sources = connect(Some("localhost"), Some(&far));
        assert!(sources.contains(" wss://rooms.example:7443 "), "{sources}");
        assert!(sources.contains(" ws://localhost:* "), "{sources}");
        let strange = Place::Url("wss://a;script-src *".into());
        let sources = connect(Some("localhost"), Some(&strange));
        assert!(!sources.contains("script"), "{sources}");
    }

    #[tokio::test]
    async fn head_is_get_without_the_body() {
        let (full, head) = (get("/").await, ask(Method::HEAD, "/", &[]).await);
        assert_eq!(full.headers(), head.headers());
        assert!(body(head).await.is_empty() && !body(full).await.is_empty());
    }

    #[tokio::test]
    async fn hashed_files_are_kept_for_good_and_come_compressed_to_who_takes_it() {
        for file in FILES.iter().filter(|f| f.address != "/") {
            let plain = get(file.address).await;
            assert_eq!(plain.status(), StatusCode::OK, "{}", file.address);
            let kept = header_of(&plain, "cache-control").contains("immutable");
            assert_eq!(kept, file.hashed(), "{}", file.address);
            assert_eq!(header_of(&plain, "content-type"), file.kind);
            assert_eq!(header_of(&plain, "content-encoding"), "");
            assert_eq!(body(plain).await, file.plain);
            let asked = [(header::ACCEPT_ENCODING, "br;q=1, gzip;q=0.5")];
            let packed = ask(Method::GET, file.address, &asked).await;
            let gzip = header_of(&packed, "content-encoding") == "gzip";
            assert_eq!(gzip, file.gzip.is_some());
            assert_eq!(body(packed).await, file.gzip.unwrap_or(file.plain));
        }
    }

    #[test]
    fn gzip_is_only_for_those_who_ask() {
        let takes = |value: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static(value),
            )]))
        };
        assert!(takes("gzip, deflate, br") && takes("GZIP"));
        assert!(!takes("gzip;q=0") && !takes("identity") && !takes("xgzip"));
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn nothing_else_is_there() {
        for path in [
            "/index.html",
            "/assets/",
            "/assets/none.js",
            "/assets/../Cargo.toml",
            "/assets/..%2f..%2fCargo.toml",
            "/assets/%2e%2e/%2e%2e/etc/passwd",
            "//etc/passwd",
        ] {
            assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
        let post = ask(Method::POST, "/", &[]).await;
        assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
