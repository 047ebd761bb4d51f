//! At which of its addresses this machine can be reached: they go into the descriptions, and media is
//! listened for at each. A browser on the same machine needs the LAN's address, too: Firefox does not
//! try loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Beginnings of the names of networks that lead nowhere but into containers and virtual machines.
const INWARD: [&str; 7] = ["docker", "br-", "veth", "virbr", "podman", "cni", "lxc"];

/// Addresses of this machine in the order in which they should be tried; loopback is last.
pub(super) fn own() -> Vec<IpAddr> {
    let mut found = Vec::new();
    if let (Ok(trie), Ok(routes)) = (
        std::fs::read_to_string("/proc/net/fib_trie"),
        std::fs::read_to_string("/proc/net/route"),
    ) {
        found.extend(
            lan(&trie, &routes)
                .into_iter()
                .map(IpAddr::V4)
                .filter(|ip| can_bind(*ip)),
        );
    }
    // Where there is no such file, and for IPv6: the address from which the rest of the world is
    // reached. Nothing is sent.
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    for (any, far) in [
        (Ipv4Addr::UNSPECIFIED.into(), IpAddr::from([192, 0, 2, 1])),
        (Ipv6Addr::UNSPECIFIED.into(), v6.into()),
    ] {
        let any: IpAddr = any;
        let here = UdpSocket::bind((any, 0))
            .and_then(|s| s.connect((far, 9)).and_then(|()| s.local_addr()));
        found.extend(here.map(|a| a.ip()));
    }
    found.push(Ipv4Addr::LOCALHOST.into());
    let mut known = std::collections::HashSet::new();
    found.retain(|ip| !ip.is_unspecified() && known.insert(*ip));
    found
}

fn can_bind(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// The addresses in Linux's table of local ones, without loopback and without inward networks.
fn lan(trie: &str, routes: &str) -> Vec<Ipv4Addr> {
    let inward: Vec<(u32, u32)> = routes.lines().skip(1).filter_map(inward_net).collect();
    let mut found = Vec::new();
    let mut last = None;
    for line in trie.lines() {
        let line = line.trim_start();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL")
            && let Some(ip) = last
            && !ip.is_loopback()
            && !found.contains(&ip)
            && !inward
                .iter()
                .any(|(net, mask)| u32::from(ip) & mask == *net)
        {
            found.push(ip);
        }
    }
    found
}

/// Network and mask of a line of the routing table that leads inward.
fn inward_net(line: &str) -> Option<(u32, u32)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (name, net, mask) = (words.first()?, words.get(1)?, words.get(7)?);
    if !INWARD.iter().any(|start| name.starts_with(start)) {
        return None;
    }
    // As the kernel has them in memory: bytes in the machine's order.
    let read = |hex: &str| Some(u32::from_be(u32::from_str_radix(hex, 16).ok()?));
    let mask = read(mask)?;
    (mask != 0).then_some((read(net)?, mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_containers_networks_are_left_out() {
        let trie = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 172.17.0.1\n        /32 host LOCAL\n     |-- 192.168.1.5\n        /32 host LOCAL\n     |-- 192.168.1.255\n        /32 link BROADCAST\n     |-- 192.168.1.5\n        /32 host LOCAL\n";
        let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
            eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\n\
            eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n\
            docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\n";
        assert_eq!(lan(trie, routes), [Ipv4Addr::new(192, 168, 1, 5)]);
    }

    #[test]
    fn there_is_always_an_address() {
        assert!(own().contains(&Ipv4Addr::LOCALHOST.into()));
    }
}
