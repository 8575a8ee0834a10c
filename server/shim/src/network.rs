//! The network namespace of a dyno: its place in the range, its interface and its name servers.
//!
//! The slots of the range are assigned by a ledger that all data directories of the host share.
//!
//! Inside a dyno, IPv6 exists on the loopback interface only. Its resolv.conf has the host's name servers. Those on the
//! host's own loopback (systemd-resolved, dnsmasq) cannot be reached from a dyno, so their upstream servers are read
//! from the files of these programs.

mod ledger;
mod netlink;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use self::ledger::Ledger;
pub use self::ledger::prepare as prepare_ledger;
use crate::{Lease, Network, StateDir};

const INSIDE: &str = "eth0";

/// The files with the host's name servers; those after the first belong to programs that listen on the loopback
/// interface themselves.
pub const RESOLVERS: [&str; 4] = [
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/dnsmasq/resolv.conf",
];

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

/// The network namespace of this process, and the host's.
pub(crate) struct Namespace {
    host: netlink::Socket,
    inside: netlink::Socket,
}

/// Moves this process into a network namespace of its own.
pub(crate) fn enter() -> io::Result<Namespace> {
    let host = netlink::Socket::open()?;
    // SAFETY: plain system call; this process has one thread.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // For future interfaces, so not for the loopback. Absent in a kernel without IPv6.
    let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    Ok(Namespace { host, inside: netlink::Socket::open()? })
}

impl Namespace {
    /// Connects it to the host by a veth pair.
    pub fn connect(self, lease: &Lease) -> io::Result<()> {
        let Namespace { mut host, mut inside } = self;
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
}

/// Removes the veth pair and releases the slot.
pub fn release(lease: &Lease, state: &StateDir) -> io::Result<()> {
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

/// The name servers for a dyno's resolv.conf: see the top of this file.
pub(crate) fn resolv_conf() -> String {
    let servers = nameservers();
    let mut text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    text.push_str("options timeout:2 attempts:3\n");
    text
}

/// The name servers of this host that dynos can reach.
pub fn nameservers() -> Vec<Ipv4Addr> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_name_servers_are_passed_over() {
        let text = "search x\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.2\n";
        assert_eq!(reachable_servers(text), [Ipv4Addr::new(10, 0, 0, 2)]);
    }
}
