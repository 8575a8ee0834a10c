//! The network of dynos: addresses and firewall rules.
//!
//! Each dyno has a network namespace with a veth pair and four addresses (a /30) of the range: the second is the
//! host's end, the third the dyno's. Shims create the namespaces and assign the slots ([`shim::network`]). The rules are
//! the nftables table `inet wharf`, which each [`prepare`] replaces as a whole:
//!
//! - outbound: to the internet, with the host's address (NAT), but not to private networks and cloud metadata
//!   services, unless the operator opens them ([`ranges`](crate::ranges));
//! - connections are counted and rate-limited: each dyno has a guaranteed share, and beyond that draws from a shared
//!   pool ([`shares`]);
//! - dynos cannot connect to each other or to this host, except to its name server, if it runs one, and to the
//!   router's public ports (`allowed_ports`);
//! - inbound: from this host only, where the router runs;
//! - packets to an address without a dyno are rejected immediately instead of taking the default route.

mod callers;
mod nft;
mod rules;
mod shares;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use shim::Network;
use shim::network::{RESOLVERS, nameservers, prepare_ledger};

use crate::{Error, Host};

/// Prepares this host's network for dynos: forwarding and rules. Fails if the range is too small or in use.
pub(crate) fn prepare(host: &Host) -> Result<(), Error> {
    host.network.check_size()?;
    prepare_ledger().map_err(Error::io("create the ledger of the dynos' addresses"))?;
    check_unused(&host.network)?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").map_err(Error::io("switch on net.ipv4.ip_forward"))?;
    let servers = nameservers();
    if servers.is_empty() {
        tracing::warn!(
            "no name server of this host can be reached from dynos, so names will not resolve \
             in them; put one into /etc/resolv.conf that is not on 127.0.0.0/8"
        );
    }
    let Host { network, allowed_ports, open, caller, .. } = host;
    let own = fs::read_to_string(RESOLVERS[0]).map_or_else(|_| Vec::new(), |text| servers_of_host(&text));
    rules::apply(&rules::Rules {
        range: network.to_string(),
        servers: &servers,
        allowed_ports,
        open,
        connections: connections(),
        caller: caller.as_ref().map(|caller| (caller, own.as_slice())),
    })
}

/// Fails if another interface has a route into the range.
fn check_unused(network: &Network) -> Result<(), Error> {
    let routes = fs::read_to_string("/proc/net/route").map_err(Error::io("read the routes"))?;
    match routes.lines().skip(1).find_map(|line| network.foreign_route(line)) {
        None => Ok(()),
        Some(interface) => Err(Error::Host(format!(
            "The range {network} for dynos is in use on this host (interface {interface}). \
             Choose another range for dynos."
        ))),
    }
}

/// The size of the machine's connection table. It cannot be read before the table is first used.
fn connections() -> u64 {
    let most = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max");
    most.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(65_536)
}

/// The name servers that programs on the host use; if none is configured, one on the host itself.
fn servers_of_host(text: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let named = text.lines().map(words).filter(|words| words.first().is_some_and(|word| word == "nameserver"));
    let servers: Vec<String> = named
        .filter_map(|words| words.get(1)?.split('%').next()?.parse::<IpAddr>().ok())
        .map(|server| server.to_string())
        .collect();
    if servers.is_empty() { vec![Ipv4Addr::LOCALHOST.to_string()] } else { servers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_asks_its_loopback_too() {
        let text = "search x\nnameserver 127.0.0.53\nnameserver ::1\nnameserver fe80::1%eth0\nnameserver x\n";
        assert_eq!(servers_of_host(text), ["127.0.0.53", "::1", "fe80::1"]);
        assert_eq!(servers_of_host("options edns0\n"), ["127.0.0.1"]);
    }
}
