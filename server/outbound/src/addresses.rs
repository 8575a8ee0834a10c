//! Classifies addresses that are not on the public internet.
//!
//! Based on the IANA registries of special-purpose addresses, RFC 6890 and its updates, and the metadata
//! services of clouds. IPv6 is an allowlist: only what is allocated for the internet counts as public.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::network::Network;

/// The kind of a non-public address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The machine itself, by a loopback address.
    Loopback,
    /// In a private network.
    Private,
    /// On the same link, including the metadata services of most clouds.
    LinkLocal,
    /// Services that a cloud provides to its machines.
    Metadata,
    /// Multicast.
    Multicast,
    /// For documentation, benchmarks, obsolete tunnels, or unallocated.
    Reserved,
    /// A public address of this machine, which can reach more of its own services that way than the internet can.
    Own,
}

impl Kind {
    /// Description with an article.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "the address of a metadata service",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
            Self::Own => "an address of the platform's own machine",
        }
    }
}

/// The first match determines the kind.
const SPECIAL: &[(Network, Kind)] = &[
    (Network::v4(100, 100, 100, 200, 32), Kind::Metadata),
    (Network::v4(168, 63, 129, 16, 32), Kind::Metadata),
    (Network::v4(192, 0, 0, 192, 32), Kind::Metadata),
    (Network::v6([0xfd00, 0xec2, 0, 0], 64), Kind::Metadata),
    (Network::v4(127, 0, 0, 0, 8), Kind::Loopback),
    (Network::v4(10, 0, 0, 0, 8), Kind::Private),
    (Network::v4(100, 64, 0, 0, 10), Kind::Private),
    (Network::v4(172, 16, 0, 0, 12), Kind::Private),
    (Network::v4(192, 168, 0, 0, 16), Kind::Private),
    (Network::v6([0xfc00, 0, 0, 0], 7), Kind::Private),
    (Network::v6([0xfec0, 0, 0, 0], 10), Kind::Private),
    (Network::v4(169, 254, 0, 0, 16), Kind::LinkLocal),
    (Network::v6([0xfe80, 0, 0, 0], 10), Kind::LinkLocal),
    (Network::v4(224, 0, 0, 0, 4), Kind::Multicast),
    (Network::v6([0xff00, 0, 0, 0], 8), Kind::Multicast),
    // Linux treats 0.0.0.0 as the machine itself.
    (Network::v4(0, 0, 0, 0, 8), Kind::Reserved),
    (Network::v4(192, 0, 0, 0, 24), Kind::Reserved),
    (Network::v4(192, 0, 2, 0, 24), Kind::Reserved),
    (Network::v4(192, 88, 99, 0, 24), Kind::Reserved),
    (Network::v4(198, 18, 0, 0, 15), Kind::Reserved),
    (Network::v4(198, 51, 100, 0, 24), Kind::Reserved),
    (Network::v4(203, 0, 113, 0, 24), Kind::Reserved),
    (Network::v4(240, 0, 0, 0, 4), Kind::Reserved),
    // Teredo (2001::/32), ORCHID, benchmarks and other experiments; 6to4; documentation.
    (Network::v6([0x2001, 0, 0, 0], 23), Kind::Reserved),
    (Network::v6([0x2001, 0xdb8, 0, 0], 32), Kind::Reserved),
    (Network::v6([0x2002, 0, 0, 0], 16), Kind::Reserved),
    (Network::v6([0x3fff, 0, 0, 0], 20), Kind::Reserved),
];

/// The IPv6 addresses allocated for the internet so far.
const GLOBAL: Network = Network::v6([0x2000, 0, 0, 0], 3);

/// The kind of `ip`; `None` if it is public.
pub fn kind(ip: IpAddr) -> Option<Kind> {
    let ip = plain(ip);
    if ip == IpAddr::V6(Ipv6Addr::LOCALHOST) {
        return Some(Kind::Loopback);
    }
    let special = SPECIAL.iter().find(|(network, _)| network.contains(ip)).map(|(_, kind)| *kind);
    special.or_else(|| (ip.is_ipv6() && !GLOBAL.contains(ip)).then_some(Kind::Reserved))
}

/// IPv6 addresses that are not public, except for those that represent an IPv4 address behind NAT64.
const UNKNOWN: [&str; 4] = [
    "::-64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff",
    "64:ff9b::1:0:0-1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "4000::/2",
    "8000::/1",
];

/// The non-public addresses in a form for firewalls: networks, and ranges from a first to a last address.
pub fn not_public() -> Vec<String> {
    let special =
        SPECIAL.iter().map(|(network, _)| network).filter(|network| network.is_in(&GLOBAL) || network.is_v4());
    let special = special.flat_map(|network| [Some(*network), network.behind_nat64()]).flatten();
    UNKNOWN.iter().map(|range| (*range).to_owned()).chain(special.map(String::from)).collect()
}

/// The IPv4 address embedded in an IPv6 address: mapped (`::ffff:a.b.c.d`), compatible (`::a.b.c.d`), or the
/// well-known NAT64 prefix (`64:ff9b::a.b.c.d`), which hosts without IPv4 get for every name.
pub(crate) fn plain(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let is_one = match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => true,
        // `::` and `::1` are addresses in their own right.
        [0, 0, 0, 0, 0, 0] => g != 0,
        _ => false,
    };
    match is_one {
        true => IpAddr::V4(Ipv4Addr::from((u32::from(g) << 16) | u32::from(h))),
        false => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_called_by_its_name() {
        let all: [(Kind, &[&str]); 6] = [
            (
                Kind::Loopback,
                &["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1"],
            ),
            (
                Kind::Private,
                &[
                    "10.0.0.1",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.0.1",
                    "100.64.0.1",
                    "100.127.255.255",
                    "fd00::1",
                    "fc00::1",
                    "fec0::1",
                    "::ffff:10.0.0.1",
                ],
            ),
            (Kind::LinkLocal, &["169.254.169.254", "169.254.170.2", "fe80::1", "febf::1", "64:ff9b::a9fe:a9fe"]),
            (
                Kind::Metadata,
                &["168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "::ffff:168.63.129.16"],
            ),
            (Kind::Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1"]),
            (
                Kind::Reserved,
                &[
                    "0.0.0.0",
                    "0.1.2.3",
                    "192.0.0.8",
                    "192.0.2.1",
                    "192.88.99.1",
                    "198.18.0.1",
                    "198.19.255.255",
                    "198.51.100.1",
                    "203.0.113.80",
                    "240.0.0.1",
                    "255.255.255.255",
                    "::",
                    "2001::1",
                    "2001:2::1",
                    "2001:10::1",
                    "2001:20::1",
                    "2001:db8::1",
                    "2002:7f00:1::1",
                    "3fff::1",
                    "100::1",
                    "5f00::1",
                    "64:ff9b:1::1",
                    "4000::1",
                ],
            ),
        ];
        for (expected, ips) in all {
            for ip in ips {
                assert_eq!(kind(ip.parse().unwrap()), Some(expected), "{ip}");
            }
        }
    }

    #[test]
    fn a_firewall_gets_the_same_networks() {
        let list = not_public();
        let listed = |ip: IpAddr| {
            list.iter().any(|item| match item.split_once('-') {
                Some((first, last)) => {
                    let (first, last): (Ipv6Addr, Ipv6Addr) = (first.parse().unwrap(), last.parse().unwrap());
                    matches!(ip, IpAddr::V6(ip) if first <= ip && ip <= last)
                }
                None => item.parse::<Network>().unwrap().contains(ip),
            })
        };
        // The first and last of each network, and their neighbours.
        for (network, _) in SPECIAL {
            for text in [String::from(*network), network.behind_nat64().map(String::from).unwrap_or_default()] {
                let Some((first, bits)) = text.split_once('/') else { continue };
                let near = |first: u128, size: u128| {
                    [first.wrapping_sub(1), first, first.wrapping_add(size - 1), first.wrapping_add(size)]
                };
                let all: Vec<IpAddr> = match (first.parse::<IpAddr>().unwrap(), bits.parse::<u32>().unwrap()) {
                    (IpAddr::V4(ip), bits) => near(u32::from(ip).into(), 1 << (32 - bits))
                        .map(|n| IpAddr::V4(Ipv4Addr::from(n as u32)))
                        .into(),
                    (IpAddr::V6(ip), bits) => {
                        near(ip.into(), 1 << (128 - bits)).map(|n| IpAddr::V6(Ipv6Addr::from(n))).into()
                    }
                };
                for ip in all {
                    assert_eq!(listed(ip), kind(ip).is_some(), "{ip}");
                }
            }
        }
        for ip in ["2000::", "3fff:ffff::1", "64:ff9b::1.1.1.1", "1.1.1.1", "::1", "::ffff:1:2", "1fff::1", "4000::1"] {
            let ip = ip.parse().unwrap();
            assert_eq!(listed(ip), kind(ip).is_some(), "{ip}");
        }
    }

    #[test]
    fn what_is_public_is_nothing_special() {
        for ip in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "128.0.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:200::1",
            "2001:4860:4860::8888",
            "64:ff9b::101:101",
            "::ffff:1.1.1.1",
        ] {
            assert_eq!(kind(ip.parse().unwrap()), None, "{ip}");
        }
    }
}
