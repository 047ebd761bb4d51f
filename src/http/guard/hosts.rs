//! The names by which this server goes. A page of a stranger whose name was made to mean this machine (DNS
//! rebinding) asks for that name; whoever asks for a name that is none of ours is refused.

use std::net::IpAddr;

use axum::http::{HeaderMap, Uri, header, uri::Authority};

/// The names that count.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    /// This machine's own, without a domain; empty where it has none.
    own: String,
    /// Those that were set.
    set: Vec<String>,
}

impl Hosts {
    /// This machine's name, and those that were `set` (lower case).
    pub(super) fn of_this_machine(set: &[String]) -> Self {
        let name = rustix::system::uname();
        let name = name.nodename().to_string_lossy().to_ascii_lowercase();
        Self::new(&name, set)
    }

    fn new(machine: &str, set: &[String]) -> Self {
        Self {
            own: machine.split('.').next().unwrap_or_default().to_owned(),
            set: set.to_vec(),
        }
    }

    /// Whether `host` (without a port) means this server: an address, for no name stands behind it; a name
    /// without a dot, which nobody outside can give away; this machine's name at home or in its tailnet;
    /// a name that was set.
    pub(super) fn know(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return true;
        }
        let Some((first, rest)) = host.split_once('.') else {
            return !host.is_empty();
        };
        let home = matches!(
            rest,
            "local" | "localdomain" | "lan" | "home.arpa" | "internal"
        );
        rest == "localhost"
            || (first == self.own && home)
            || (self.is_own_in_tailnet(first) && is_tailnet(rest))
            || self.set.contains(&host)
    }

    /// A tailnet that has the name already appends a number.
    fn is_own_in_tailnet(&self, label: &str) -> bool {
        let rest = label.strip_prefix(self.own.as_str());
        let number = |rest: &str| {
            let digits = rest.strip_prefix('-');
            digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
        };
        !self.own.is_empty() && rest.is_some_and(|rest| rest.is_empty() || number(rest))
    }
}

/// `<tailnet>.ts.net`.
fn is_tailnet(domain: &str) -> bool {
    let tailnet = domain.strip_suffix(".ts.net");
    tailnet.is_some_and(|name| !name.is_empty() && !name.contains('.'))
}

/// Who is asked for: what the address says, else the header. `None` where neither is there, or there is
/// more than one.
pub(super) fn asked(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut all = headers.get_all(header::HOST).iter();
    let header = all.next();
    if all.next().is_some() {
        return None;
    }
    let authority: Authority = match uri.authority() {
        Some(authority) => authority.clone(),
        None => header?.to_str().ok()?.parse().ok()?,
    };
    (!authority.as_str().contains('@')).then_some(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_name_is_not_ours() {
        let hosts = Hosts::new("nas.example", &["caal.example.org".to_owned()]);
        for ours in [
            "localhost",
            "LOCALHOST.",
            "caal.localhost",
            "127.0.0.1",
            "[::1]",
            "192.168.1.5",
            "agent",
            "nas",
            "nas.local",
            "nas.tail1.ts.net",
            "nas-1.tail1.ts.net",
            "caal.example.org",
        ] {
            assert!(hosts.know(ours), "{ours}");
        }
        for not in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "other.tail1.ts.net",
            "nas-evil.tail1.ts.net",
            "nas.ts.net",
            "nas.evil.x.ts.net",
            "nas.ts.net.evil.example",
            "nas.tail1.xts.net",
            "other.local",
            "x.caal.example.org",
            "localhost.evil.example",
        ] {
            assert!(!hosts.know(not), "{not}");
        }
        assert!(!Hosts::new("", &[]).know("-1.tail1.ts.net"));
    }

    #[test]
    fn one_host_is_asked_for_and_no_second() {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(asked(&uri("/"), &headers), None);
        headers.append(header::HOST, "nas:1".parse().unwrap());
        assert_eq!(asked(&uri("/"), &headers).unwrap().as_str(), "nas:1");
        // The address beats the header: it is what the router sees.
        let absolute = asked(&uri("http://evil.example/"), &headers);
        assert_eq!(absolute.unwrap().host(), "evil.example");
        headers.append(header::HOST, "evil.example".parse().unwrap());
        assert_eq!(asked(&uri("/"), &headers), None);
        headers.remove(header::HOST);
        headers.append(header::HOST, "a@b".parse().unwrap());
        assert_eq!(asked(&uri("/"), &headers), None);
    }
}
