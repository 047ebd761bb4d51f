//! Who really asks: the address of the connection, or, where a proxy that is trusted stands between, the one
//! that it names. What others say about that is not believed.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName};

use crate::settings::Network;

/// Headers that proxies add. One of them is enough to know that a request was passed on.
const MARKS: [&str; 13] = [
    "forwarded",
    "via",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fly-client-ip",
    "tailscale-user-login",
];

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asker {
    /// Whose address it is, as far as it is known.
    pub(super) address: IpAddr,
    /// Somebody passed the request on.
    pub(super) forwarded: bool,
    /// The address is nobody's word: that of the connection, with nobody between, or of a proxy that is
    /// trusted.
    pub(super) certain: bool,
    /// A proxy that is trusted says that it was asked over TLS.
    pub(super) secure: bool,
}

/// Who asks over a connection of `peer`.
pub(super) fn of(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> Asker {
    let peer = peer.to_canonical();
    let trusted = |address: IpAddr| proxies.iter().any(|network| network.contains(address));
    let forwarded = MARKS.iter().any(|mark| headers.contains_key(*mark));
    let mut asker = Asker {
        address: peer,
        forwarded,
        certain: !forwarded,
        secure: false,
    };
    if !forwarded || !trusted(peer) {
        return asker;
    }
    asker.secure =
        last(headers, "x-forwarded-proto").is_some_and(|p| p.eq_ignore_ascii_case("https"));
    // From the nearest to the farthest: the first that is no proxy of ours is who asks. What stands
    // before it is that one's word.
    let named = headers.get_all("x-forwarded-for").iter();
    let named: Vec<&str> = named
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .collect();
    for word in named.into_iter().rev() {
        let Some(address) = address(word.trim()) else {
            asker.certain = false;
            return asker;
        };
        asker.address = address;
        asker.certain = true;
        if !trusted(address) {
            return asker;
        }
    }
    asker
}

/// Some proxies write the port, too.
fn address(word: &str) -> Option<IpAddr> {
    let bare = word.parse::<IpAddr>().ok();
    let with_port = || Some(word.parse::<std::net::SocketAddr>().ok()?.ip());
    let in_brackets = || word.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address: IpAddr = bare.or_else(with_port).or_else(in_brackets)?;
    Some(address.to_canonical())
}

/// The last word of a header's last line: that of the nearest proxy.
fn last<'h>(headers: &'h HeaderMap, name: &'static str) -> Option<&'h str> {
    let line = headers
        .get_all(HeaderName::from_static(name))
        .iter()
        .next_back()?;
    line.to_str().ok()?.rsplit(',').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(peer: &str, pairs: &[(&'static str, &str)]) -> Asker {
        let headers = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let proxies = ["127.0.0.1".parse().unwrap(), "10.1.0.0/16".parse().unwrap()];
        of(peer.parse().unwrap(), &headers.collect(), &proxies)
    }

    fn address_of(peer: &str, pairs: &[(&'static str, &str)]) -> (String, bool) {
        let asker = asker(peer, pairs);
        (asker.address.to_string(), asker.certain)
    }

    #[test]
    fn a_stranger_is_not_believed() {
        let said = [
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "https"),
        ];
        let asker = asker("192.168.1.9", &said);
        assert_eq!(asker.address.to_string(), "192.168.1.9");
        assert!(asker.forwarded && !asker.certain && !asker.secure);
        for mark in MARKS {
            assert!(
                self::asker("192.168.1.9", &[(mark, "x")]).forwarded,
                "{mark}"
            );
        }
        assert!(!self::asker("192.168.1.9", &[]).forwarded);
    }

    #[test]
    fn a_trusted_proxy_names_who_asks_and_nobody_before_it() {
        let for_ = |text| [("x-forwarded-for", text)];
        let found = |peer, text| address_of(peer, &for_(text));
        let certain = |address: &str| (address.to_owned(), true);
        assert_eq!(found("127.0.0.1", "100.64.0.9"), certain("100.64.0.9"));
        // What the client itself wrote stands on the left.
        assert_eq!(
            found("127.0.0.1", "100.64.0.9, 203.0.113.5"),
            certain("203.0.113.5")
        );
        assert_eq!(
            found("127.0.0.1", "100.64.0.9, 10.1.2.3"),
            certain("100.64.0.9")
        );
        assert_eq!(
            found("::ffff:127.0.0.1", "[2001:db8::1]:99"),
            certain("2001:db8::1")
        );
        assert_eq!(found("127.0.0.1", "100.64.0.9:5000"), certain("100.64.0.9"));
        assert_eq!(
            found("127.0.0.1", "unknown"),
            ("127.0.0.1".to_owned(), false)
        );
        assert_eq!(
            found("127.0.0.1", "?, 10.1.2.3"),
            ("10.1.2.3".to_owned(), false)
        );
        let only = address_of("127.0.0.1", &[("forwarded", "for=100.64.0.9")]);
        assert_eq!(only, ("127.0.0.1".to_owned(), false));
    }

    #[test]
    fn two_lines_are_one_list_and_the_nearest_proxy_has_the_last_word() {
        let lines = [
            ("x-forwarded-for", "100.64.0.9"),
            ("x-forwarded-proto", "https, http"),
        ];
        assert!(!asker("127.0.0.1", &lines).secure);
        let proto = [
            ("x-forwarded-proto", "http, https"),
            ("x-forwarded-for", "1.2.3.4"),
        ];
        assert!(asker("127.0.0.1", &proto).secure);
    }
}
