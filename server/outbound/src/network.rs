//! Networks in the operator's notation: `10.0.0.0/8`, `fd00::/8`, `192.0.2.7`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// A range of addresses with a common prefix.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

impl Network {
    pub(crate) const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Self {
        Self { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    pub(crate) const fn v6(head: [u16; 4], bits: u8) -> Self {
        let [a, b, c, d] = head;
        Self { first: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)), bits }
    }

    pub(crate) fn is_v4(&self) -> bool {
        self.first.is_ipv4()
    }

    /// Whether all of it is in another one.
    pub(crate) fn is_in(&self, other: &Network) -> bool {
        self.bits >= other.bits && other.contains(self.first)
    }

    /// The IPv6 addresses by which hosts without IPv4 reach an IPv4 network (NAT64).
    pub fn behind_nat64(&self) -> Option<Network> {
        let IpAddr::V4(first) = self.first else { return None };
        let [a, b, c, d] = first.octets().map(u16::from);
        let first = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a << 8 | b, c << 8 | d);
        Some(Network { first: IpAddr::V6(first), bits: self.bits + 96 })
    }

    /// Whether it contains the address. An IPv4-mapped IPv6 address counts as the IPv4 address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.first, ip.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => {
                (u32::from(first) ^ u32::from(ip)).leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(first), IpAddr::V6(ip)) => {
                (u128::from(first) ^ u128::from(ip)).leading_zeros() >= u32::from(self.bits)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Network {
    type Err = String;

    /// Parses a network or an address. Rejects one with host bits set, which is probably a typo.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || format!("{text:?} is not a network; use for example 10.0.0.0/8, fd00::/8 or 192.0.2.7");
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let first: IpAddr = ip.parse().map_err(|_| wrong())?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| wrong()))?;
        let rest = match first {
            IpAddr::V4(ip) => u32::from(ip).checked_shl(bits.into()).unwrap_or(0) != 0,
            IpAddr::V6(ip) => u128::from(ip).checked_shl(bits.into()).unwrap_or(0) != 0,
        };
        match bits <= most && !rest {
            true => Ok(Self { first, bits }),
            false => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_they_are_written() {
        for text in ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "::1/128", "0.0.0.0/0", "::/0"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert_eq!("192.0.2.7".parse::<Network>().unwrap().to_string(), "192.0.2.7/32");
        for bad in ["", "10.0.0.1/8", "10.0.0.0/33", "10/8", "fd00::/129", "here", "10.0.0.0/", "fd00::1/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_network_contains_addresses_with_its_prefix() {
        let network: Network = "172.16.0.0/12".parse().unwrap();
        for (ip, inside) in [
            ("172.16.0.1", true),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("::ffff:172.16.0.1", true),
            ("fd00::1", false),
        ] {
            assert_eq!(network.contains(ip.parse().unwrap()), inside, "{ip}");
        }
    }
}
