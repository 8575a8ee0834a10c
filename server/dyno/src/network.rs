//! The network of dynos: addresses and firewall rules.
//!
//! Each dyno has a network namespace with a veth pair and four addresses (a /30) of the range: the second is the
//! host's end, the third the dyno's. The ledger assigns the slots. The rules are the nftables table `inet wharf`,
//! which each [`prepare`] replaces as a whole:
//!
//! - outbound: to the internet, with the host's address (NAT), but not to private networks and cloud metadata
//!   services, unless the operator opens them ([`ranges`](crate::ranges));
//! - connections are counted and rate-limited: each dyno has a guaranteed share, and beyond that draws from a shared
//!   pool ([`shares`]);
//! - dynos cannot connect to each other or to this host, except to its name server, if it runs one, and to the
//!   router's public ports (`allowed_ports`);
//! - inbound: from this host only, where the router runs;
//! - packets to an address without a dyno are rejected immediately instead of taking the default route.
//!
//! Inside a dyno, IPv6 exists on the loopback interface only. Its resolv.conf has the host's name servers. Those on the
//! host's own loopback (systemd-resolved, dnsmasq) cannot be reached from a dyno, so their upstream servers are read
//! from the files of these programs.

mod callers;
mod ledger;
mod netlink;
mod nft;
mod rules;
mod shares;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;

use self::ledger::Ledger;
use crate::addresses::{Lease, Network};
use crate::state::StateDir;
use crate::{Error, Host};

const INSIDE: &str = "eth0";

/// The files with the host's name servers; those after the first belong to programs that listen on the loopback
/// interface themselves.
const RESOLVERS: [&str; 4] = [
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/dnsmasq/resolv.conf",
];

/// Prepares this host's network for dynos: forwarding and rules. Fails if the range is too small or in use.
pub(crate) fn prepare(host: &Host) -> Result<(), Error> {
    host.network.check_size()?;
    ledger::prepare().map_err(Error::io("create the ledger of the dynos' addresses"))?;
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

/// Assigns an address slot to the dyno of `state` and records it there. Idempotent.
pub(crate) fn lease(network: &Network, state: &StateDir) -> io::Result<Lease> {
    let ledger = Ledger::open()?;
    if let Some(lease) = state.lease()? {
        ledger.note(lease.slot, state)?;
        return Ok(lease);
    }
    let Some(slot) = ledger.free(network.slots()) else {
        return Err(io::Error::other(format!("all addresses of {network} are taken")));
    };
    let lease = network.slot(slot);
    state.write_lease(&lease)?;
    ledger.note(slot, state)?;
    ledger.go_on_after(slot)?;
    Ok(lease)
}

/// Moves this process into a network namespace of its own, connected to the host by a veth pair.
pub(crate) fn enter(lease: &Lease) -> io::Result<()> {
    let mut host = netlink::Socket::open()?;
    // SAFETY: plain system call; this process has one thread.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // For future interfaces, so not for the loopback. Absent in a kernel without IPv6.
    let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    let mut inside = netlink::Socket::open()?;
    let namespace = File::open("/proc/self/ns/net")?;
    inside.up(1)?;
    if let Err(e) = host.make_veth(&lease.interface, INSIDE, namespace.as_raw_fd()) {
        if e.kind() != ErrorKind::AlreadyExists {
            return Err(e);
        }
        // Left over from a dyno that had this slot and was killed.
        host.delete(&lease.interface)?;
        host.make_veth(&lease.interface, INSIDE, namespace.as_raw_fd())?;
    }
    let outer = host.index(&lease.interface)?;
    host.add_address(outer, lease.gateway, 30)?;
    host.up(outer)?;
    let inner = inside.index(INSIDE)?;
    inside.add_address(inner, lease.address, 30)?;
    inside.up(inner)?;
    inside.add_default_route(lease.gateway)
}

/// Removes the veth pair and releases the slot.
pub(crate) fn release(lease: &Lease, state: &StateDir) -> io::Result<()> {
    let ledger = Ledger::open()?;
    if !ledger.belongs_to(lease.slot, state) {
        return Ok(());
    }
    match netlink::Socket::open()?.delete(&lease.interface) {
        Err(e) if e.raw_os_error() != Some(libc::ENODEV) => return Err(e),
        _ => {}
    }
    ledger.forget(lease.slot)
}

/// The size of the machine's connection table. It cannot be read before the table is first used.
fn connections() -> u64 {
    let most = fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max");
    most.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(65_536)
}

/// The name servers for a dyno's resolv.conf: see the top of this file.
pub(crate) fn resolv_conf() -> String {
    let servers = nameservers();
    let mut text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    text.push_str("options timeout:2 attempts:3\n");
    text
}

fn nameservers() -> Vec<Ipv4Addr> {
    let files = RESOLVERS.iter().filter_map(|path| fs::read_to_string(path).ok());
    files.map(|text| reachable_servers(&text)).find(|servers| !servers.is_empty()).unwrap_or_default()
}

fn reachable_servers(text: &str) -> Vec<Ipv4Addr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next()?.parse::<Ipv4Addr>().ok())?
    });
    servers.filter(|server| !server.is_loopback() && !server.is_unspecified()).take(3).collect()
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

    #[test]
    fn loopback_name_servers_are_passed_over() {
        let text = "search x\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.2\n";
        assert_eq!(reachable_servers(text), [Ipv4Addr::new(10, 0, 0, 2)]);
    }
}
