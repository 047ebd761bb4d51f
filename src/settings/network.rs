//! A network, as people write it: `192.168.1.0/24`. Values and their comparison; who asks, and what
//! follows, is the business of whoever holds one.

use std::{fmt, net::IpAddr, str::FromStr};

/// Addresses that begin alike: an address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

/// It is no network, or one so large that nearly everybody is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no network such as 192.168.1.0/24")]
pub struct NoNetwork;

impl Network {
    /// Whether `address` is in it. IPv4 written as IPv6 is IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                begins(first.to_bits(), self.bits) == begins(address.to_bits(), self.bits)
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let begins = |n: u128| n.checked_shr(128 - u32::from(self.bits)).unwrap_or(0);
                begins(first.to_bits()) == begins(address.to_bits())
            }
            _ => false,
        }
    }

    /// Those of a list with commas; `None` where one is none.
    pub(super) fn list(text: &str) -> Option<Vec<Self>> {
        let words = text.split(',').map(str::trim).filter(|w| !w.is_empty());
        words.map(|word| word.parse().ok()).collect()
    }
}

fn begins(n: u32, bits: u8) -> u32 {
    n.checked_shr(32 - u32::from(bits)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NoNetwork;

    /// `100.64.0.0/10`, `fd7a:115c:a1e0::/48`, or one address. At least 8 bits count (7 of IPv6: private
    /// networks begin so).
    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let (least, most) = match first {
            IpAddr::V4(_) => (8, 32),
            IpAddr::V6(_) => (7, 128),
        };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| NoNetwork)?,
            None => most,
        };
        match (least..=most).contains(&bits) {
            true => Ok(Self { first, bits }),
            false => Err(NoNetwork),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        let network: Network = network.parse().expect("a network");
        network.contains(address.parse().expect("an address"))
    }

    #[test]
    fn a_network_holds_what_begins_like_it() {
        assert!(holds("100.64.0.0/10", "100.64.0.1"));
        assert!(holds("100.64.0.0/10", "100.127.255.255"));
        assert!(!holds("100.64.0.0/10", "100.128.0.0"));
        assert!(!holds("100.64.0.0/10", "100.63.255.255"));
        assert!(holds("192.168.1.5", "::ffff:192.168.1.5"));
        assert!(!holds("192.168.1.5", "192.168.1.4"));
        assert!(holds("fd7a:115c:a1e0::/48", "fd7a:115c:a1e0:5::1"));
        assert!(!holds("fd7a:115c:a1e0::/48", "fd7a:115c:a1e1::1"));
        assert!(!holds("::1", "127.0.0.1"));
        // What is written behind the bits that count is not looked at.
        assert!(holds("192.168.1.5/24", "192.168.1.9"));
    }

    #[test]
    fn the_whole_world_is_no_network() {
        for bad in [
            "0.0.0.0/0",
            "::/0",
            "10.0.0.0/33",
            "home",
            "1.2.3.4/",
            "/8",
            "10.0.0.0/-8",
        ] {
            assert_eq!(bad.parse::<Network>(), Err(NoNetwork), "{bad}");
        }
    }
}
