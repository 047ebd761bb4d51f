//! Pages of other origins: which may ask, what their browsers are told, and how a request is known to be of our
//! own page. Browsers say where a request comes from, and pages cannot make them lie; who says nothing is no
//! browser.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, uri::Authority},
    response::Response,
};

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// From our own page: its browser says so.
    Page,
    /// No browser says anything: a program.
    Program,
    /// From a page that was allowed.
    Allowed,
    /// From somebody who follows a link, or wrote the address: such a request changes nothing.
    Link,
    /// From a page of somebody else.
    Stranger,
}

/// Where a request comes from that asks for `asked`.
pub(super) fn of(
    method: &Method,
    headers: &HeaderMap,
    asked: &Authority,
    allowed: &[String],
) -> From {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text(&SITE);
    let safe = matches!(*method, Method::GET | Method::HEAD);
    let follows = safe && text(&MODE) == Some("navigate") && text(&DEST) == Some("document");
    match text(&header::ORIGIN) {
        // Browsers ask for their own origin with the same words, proxies or not.
        Some(_) if site == Some("same-origin") => From::Page,
        Some(origin) if is_at(origin, asked) && site.is_none_or(|site| site == "none") => {
            From::Page
        }
        Some(origin) if allowed.iter().any(|one| one == origin) => From::Allowed,
        Some(_) => From::Stranger,
        None => match site {
            None => From::Program,
            Some("same-origin") => From::Page,
            Some(_) if follows => From::Link,
            Some("none") if safe => From::Link,
            Some(_) => From::Stranger,
        },
    }
}

/// Whether `origin` is `http://` or `https://` and then `asked`, as it was asked for.
fn is_at(origin: &str, asked: &Authority) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let usual = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let asked = asked.as_str();
    let asked = asked.strip_suffix(usual).unwrap_or(asked);
    asked.eq_ignore_ascii_case(authority)
}

/// Whether our page was loaded over TLS, as far as its browser says: a proxy may stand between.
pub(super) fn is_secure(headers: &HeaderMap, asked: &Authority) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|o| o.to_str().ok());
    origin.is_some_and(|origin| origin.starts_with("https://") && is_at(origin, asked))
}

/// What the browser of a page that may ask is told beside the answer.
pub(super) fn allow(origin: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

/// The answer to a browser that asks first whether a page may ask.
pub(super) fn preflight(origin: HeaderValue, asked: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if asked.contains_key("access-control-request-private-network") {
        let name = HeaderName::from_static("access-control-allow-private-network");
        headers.insert(name, HeaderValue::from_static("true"));
    }
    allow(origin, headers);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(method: &Method, pairs: &[(&str, &str)]) -> From {
        let headers = pairs.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        let asked = "nas:8889".parse().unwrap();
        let allowed = ["https://panel.example".to_owned()];
        of(method, &headers.collect(), &asked, &allowed)
    }

    #[test]
    fn our_page_a_program_and_a_stranger_are_told_apart() {
        let (get, post) = (Method::GET, Method::POST);
        let own = ("origin", "http://nas:8889");
        let other = ("origin", "http://nas:9000");
        let site = |value| ("sec-fetch-site", value);
        for (method, sent, expected) in [
            (&post, &[][..], From::Program),
            (&post, &[own], From::Page),
            (&post, &[("origin", "https://NAS:8889")], From::Page),
            // Behind a proxy that asks us by another name.
            (
                &post,
                &[("origin", "https://a.example"), site("same-origin")],
                From::Page,
            ),
            (&get, &[site("same-origin")], From::Page),
            (
                &post,
                &[("origin", "https://panel.example"), site("cross-site")],
                From::Allowed,
            ),
            (&post, &[other], From::Stranger),
            (&post, &[other, site("same-site")], From::Stranger),
            (&post, &[("origin", "null")], From::Stranger),
            (&post, &[("origin", "file://nas:8889")], From::Stranger),
            (&post, &[own, site("cross-site")], From::Stranger),
            (&get, &[site("cross-site")], From::Stranger),
            (&get, &[site("none")], From::Link),
            (&post, &[site("none")], From::Stranger),
        ] {
            assert_eq!(from(method, sent), expected, "{method} {sent:?}");
        }
    }

    #[test]
    fn a_link_may_be_followed_and_a_frame_not_filled() {
        let sent = |dest| {
            [
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", dest),
            ]
        };
        assert_eq!(from(&Method::GET, &sent("document")), From::Link);
        assert_eq!(from(&Method::GET, &sent("iframe")), From::Stranger);
        assert_eq!(from(&Method::POST, &sent("document")), From::Stranger);
    }

    #[test]
    fn the_browser_tells_that_it_came_over_tls() {
        let asked: Authority = "nas.tail1.ts.net".parse().unwrap();
        let of = |origin: &str| HeaderMap::from_iter([(header::ORIGIN, origin.parse().unwrap())]);
        assert!(is_secure(&of("https://nas.tail1.ts.net"), &asked));
        assert!(!is_secure(&of("http://nas.tail1.ts.net"), &asked));
        assert!(!is_secure(&of("https://other.example"), &asked));
    }
}
