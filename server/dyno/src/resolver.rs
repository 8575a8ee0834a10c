//! Which name servers dynos ask.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

/// Where real name servers are listed when the first file only names one on the loopback, which
/// a dyno does not reach: its loopback is another.
const FILES: [&str; 4] = [
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/resolvconf/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
];

/// When this host does not say.
const PUBLIC: [Ipv4Addr; 2] = [Ipv4Addr::new(1, 1, 1, 1), Ipv4Addr::new(8, 8, 8, 8)];

/// The name servers that dynos ask.
pub(crate) fn nameservers() -> Vec<Ipv4Addr> {
    let lists = FILES.iter().filter_map(|file| fs::read_to_string(file).ok());
    lists.map(|text| parse(&text)).find(|list| !list.is_empty()).unwrap_or_else(|| PUBLIC.into())
}

/// The file `/etc/resolv.conf` of a dyno.
pub(crate) fn resolv_conf() -> String {
    let mut text: String = nameservers().iter().map(|ip| format!("nameserver {ip}\n")).collect();
    let host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    for line in host.lines() {
        if line.starts_with("search ") || line.starts_with("options ") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Those a dyno can reach: it has no IPv6.
fn parse(text: &str) -> Vec<Ipv4Addr> {
    let addresses = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok());
    addresses
        .filter_map(|ip| match ip {
            IpAddr::V4(ip) if !ip.is_loopback() && !ip.is_unspecified() => Some(ip),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dyno_reaches() {
        let text = "# local\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver fe80::1\nsearch example.com\n";
        assert_eq!(parse(text), [Ipv4Addr::new(192, 0, 2, 1)]);
    }
}
