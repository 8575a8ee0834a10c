//! The addresses of dynos: the range, and the slot of a dyno in it.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The name prefix of the host's ends of veth pairs.
pub const PREFIX: &str = "wharf-";

/// The longest prefix of a range whose addresses are not reused soon: 1023 starts later at the earliest.
const LONGEST_PREFIX: u8 = 20;

/// The address range of dynos. One per host, and at least a /20 to run dynos in: slots are assigned in rotation, and the
/// router's table may contain the address of a dyno that has exited until the next one is accepted. With few slots, the
/// address could belong to another app's dyno by then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Network {
    base: Ipv4Addr,
    prefix: u8,
}

impl Default for Network {
    /// 10.231.0.0/16, enough for 16383 dynos.
    fn default() -> Self {
        Network { base: Ipv4Addr::new(10, 231, 0, 0), prefix: 16 }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl std::str::FromStr for Network {
    type Err = Error;

    /// Parses `10.231.0.0/16`; the prefix length is 8 to 28.
    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = text
            .split_once('/')
            .and_then(|(base, prefix)| Some((base.parse::<Ipv4Addr>().ok()?, prefix.parse::<u8>().ok()?)));
        match parsed {
            Some((base, prefix)) if (8..=28).contains(&prefix) => {
                Ok(Network { base: Ipv4Addr::from(u32::from(base) & mask(prefix)), prefix })
            }
            _ => Err(Error::Host(format!(
                "`{text}` is not a valid range of dyno addresses. Use e.g. 10.231.0.0/16, \
                 with a prefix from 8 to 28."
            ))),
        }
    }
}

/// A dyno's slot in the range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its number.
    pub slot: u32,
    /// The name of the veth pair's end on the host.
    pub interface: String,
    /// The host's end.
    pub gateway: Ipv4Addr,
    /// The dyno's end.
    pub address: Ipv4Addr,
}

impl Network {
    /// Fails if the range is so small that addresses would be reused too soon.
    pub fn check_size(&self) -> Result<(), Error> {
        match self.prefix {
            ..=LONGEST_PREFIX => Ok(()),
            _ => Err(Error::Host(format!(
                "The range {self} for dynos is too small: the address of a dyno that has exited would soon be that of \
                 another app's. Use a prefix of at most {LONGEST_PREFIX}, such as 10.231.0.0/16."
            ))),
        }
    }

    /// The number of slots.
    pub fn slots(&self) -> u32 {
        1 << (30 - u32::from(self.prefix))
    }

    /// The slot with this number.
    pub fn slot(&self, slot: u32) -> Lease {
        let base = u32::from(self.base) + slot * 4;
        Lease {
            slot,
            interface: format!("{}{slot}", PREFIX),
            gateway: Ipv4Addr::from(base + 1),
            address: Ipv4Addr::from(base + 2),
        }
    }

    /// The interface in a line of /proc/net/route, if it is not ours and its route overlaps the range.
    pub fn foreign_route<'a>(&self, line: &'a str) -> Option<&'a str> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let hex = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::from_be);
        let (target, netmask) = (hex(fields.get(1)?)?, hex(fields.get(7)?)?);
        let common = netmask & mask(self.prefix);
        let overlaps = netmask != 0 && (target & common) == (u32::from(self.base) & common);
        (overlaps && !fields[0].starts_with(PREFIX)).then_some(fields[0])
    }
}

/// The bits that all addresses with a prefix of this length have in common.
pub fn mask(prefix: u8) -> u32 {
    u32::MAX << (32 - u32::from(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed_and_divided() {
        let network: Network = "10.9.7.1/24".parse().unwrap();
        assert_eq!(network.to_string(), "10.9.7.0/24");
        let lease = network.slot(3);
        assert_eq!(lease.gateway.to_string(), "10.9.7.13");
        assert_eq!(lease.address.to_string(), "10.9.7.14");
        assert!("10.9.7.1".parse::<Network>().is_err());
        assert!("10.9.7.1/30".parse::<Network>().is_err());
    }

    #[test]
    fn ranges_that_reuse_addresses_soon_are_rejected() {
        for (range, fits) in [("10.231.0.0/16", true), ("10.9.0.0/20", true), ("10.9.0.0/21", false)] {
            assert_eq!(range.parse::<Network>().unwrap().check_size().is_ok(), fits, "{range}");
        }
        let error = "10.9.7.0/28".parse::<Network>().unwrap().check_size().unwrap_err().to_string();
        assert!(error.starts_with("The range 10.9.7.0/28 for dynos is too small"), "{error}");
    }

    #[test]
    fn a_range_in_use_is_noticed() {
        let network = Network::default();
        let line = |interface: &str, target: &str, mask: &str| {
            format!("{interface}\t{target}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0")
        };
        assert_eq!(network.foreign_route(&line("eth0", "00000000", "00000000")), None);
        assert_eq!(network.foreign_route(&line("eth0", "000200C0", "00FFFFFF")), None);
        assert_eq!(network.foreign_route(&line("tun0", "0000000A", "000000FF")), Some("tun0"));
        assert_eq!(network.foreign_route(&line("br0", "0005E70A", "00FFFFFF")), Some("br0"));
        assert_eq!(network.foreign_route(&line("wharf-1", "0400E70A", "FCFFFFFF")), None);
    }
}
