//! Ranges of IPv4 addresses: those closed to dynos, and those that an operator opens.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use shim::mask;

use crate::Error;

/// Addresses that dynos cannot reach unless the operator opens them: private, of this machine or link, reserved, and
/// cloud metadata services. IPv6 is missing, since dynos have no IPv6 connectivity.
pub(crate) const CLOSED: [&str; 16] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    // Carrier-grade NAT, and Alibaba's metadata service (100.100.100.200).
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    // Link-local, and most clouds' metadata services (169.254.169.254).
    "169.254.0.0/16",
    "172.16.0.0/12",
    // Protocol assignments, and Oracle's metadata service (192.0.0.192).
    "192.0.0.0/24",
    // Documentation and benchmarks, which some networks use as private addresses.
    "192.0.2.0/24",
    "192.168.0.0/16",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// A network, or a single address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    base: Ipv4Addr,
    prefix: u8,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl FromStr for Range {
    type Err = Error;

    /// Parses `10.1.0.0/16`, or `10.1.2.3` for a single address.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (base, prefix) = text.trim().split_once('/').unwrap_or((text.trim(), "32"));
        match (base.parse::<Ipv4Addr>(), prefix.parse::<u8>()) {
            (Ok(base), Ok(prefix @ 1..=32)) => {
                Ok(Range { base: Ipv4Addr::from(u32::from(base) & mask(prefix)), prefix })
            }
            _ => Err(Error::Host(format!(
                "`{text}` is not a valid network. Use e.g. 10.1.0.0/16, or 10.1.2.3 for a single address; dynos do not \
                 have IPv6."
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_addresses_are_read() {
        let read = |text: &str| text.parse::<Range>().map(|range| range.to_string()).ok();
        assert_eq!(read("10.1.2.3/16").as_deref(), Some("10.1.0.0/16"));
        assert_eq!(read(" 192.168.1.7 ").as_deref(), Some("192.168.1.7/32"));
        for bad in ["", "10.1.2.3/0", "10.1.2.3/33", "fd00::/8", "host"] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(CLOSED.iter().all(|range| read(range).as_deref() == Some(range)), "they are written as they are shown");
    }
}
