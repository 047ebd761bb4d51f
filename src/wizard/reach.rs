//! Where a connection test may go: an address of this machine, of the house, or of the world, and none by which
//! machines are run (link-local, metadata of clouds) or which is nobody's. A name is looked up once, all of its
//! addresses are held against the rule, and the request goes to those and nowhere else.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use reqwest::{Client, Url, redirect::Policy};

use crate::tls;

/// Addresses at which clouds tell a machine its secrets, beside the link-local ones.
const METADATA: [IpAddr; 5] = [
    // Alibaba, Oracle, Azure.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    // Amazon, Google.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Addresses of one name that are looked at.
const MOST: usize = 16;

/// What asks `url`, and follows no redirect; `None` where it may not be asked, or nobody knows the name.
pub(super) async fn client(url: &Url, patience: Duration) -> Option<Client> {
    let host = url.host_str()?;
    let port = url.port_or_known_default()?;
    let addresses: Vec<SocketAddr> = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => vec![(address, port).into()],
        Err(_) => {
            let found = tokio::net::lookup_host((host, port));
            let found = tokio::time::timeout(patience, found).await.ok()?.ok()?;
            found.take(MOST).collect()
        }
    };
    if addresses.is_empty() || !addresses.iter().all(|address| may_ask(address.ip())) {
        return None;
    }
    builder(patience)
        // A proxy would look the name up again.
        .no_proxy()
        .resolve_to_addrs(host, &addresses)
        .build()
        .ok()
}

/// What asks an address that we chose ourselves.
pub(super) fn builder(patience: Duration) -> reqwest::ClientBuilder {
    tls::install();
    Client::builder()
        .timeout(patience)
        .connect_timeout(patience)
        // A key meant for one host does not follow to another.
        .redirect(Policy::none())
}

fn may_ask(address: IpAddr) -> bool {
    let address = address.to_canonical();
    if METADATA.contains(&address) {
        return false;
    }
    match address {
        IpAddr::V4(v4) => {
            let first = v4.octets()[0];
            !(first == 0 || first >= 224 || v4.is_link_local())
        }
        IpAddr::V6(v6) => {
            let link_local = v6.segments()[0] & 0xffc0 == 0xfe80;
            !(v6.is_unspecified() || v6.is_multicast() || link_local)
                && inside(v6).is_none_or(|v4| may_ask(v4.into()))
        }
    }
}

/// The address of IPv4 that a gateway would make of it (NAT64, 6to4, and the oldest way).
fn inside(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = v6.to_bits();
    let low = Ipv4Addr::from_bits(bits as u32);
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(low),
        [0x2002, ..] => Some(Ipv4Addr::from_bits((bits >> 80) as u32)),
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => Some(low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_may_be_asked_and_what_runs_machines_may_not() {
        for may in [
            "127.0.0.1",
            "::1",
            "192.168.1.5",
            "10.0.0.1",
            "100.64.0.9",
            "172.17.0.1",
            "1.1.1.1",
            "fd7a:115c:a1e0::1",
            "2606:4700::1111",
            "64:ff9b::1.1.1.1",
        ] {
            assert!(may_ask(may.parse().unwrap()), "{may}");
        }
        for not in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "ff02::1",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
        ] {
            assert!(!may_ask(not.parse().unwrap()), "{not}");
        }
    }

    #[tokio::test]
    async fn other_ways_to_write_an_address_are_that_address() {
        for url in [
            "http://169.254.169.254/latest",
            "http://2852039166/",
            "http://0xa9.0xfe.0xa9.0xfe/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://0/",
        ] {
            let url = Url::parse(url).unwrap();
            assert!(
                client(&url, Duration::from_secs(1)).await.is_none(),
                "{url}"
            );
        }
        let here = Url::parse("http://localhost:11434").unwrap();
        assert!(client(&here, Duration::from_secs(9)).await.is_some());
    }
}
