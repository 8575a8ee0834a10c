//! The rules for a user of the host with restricted network access.
//!
//! Even a compromised process of that user cannot connect to the host's own services, private networks or dynos.

use shim::PREFIX;

use super::nft::{list, set, to_ports};
use crate::Caller;

/// The chains and sets that restrict `caller`. `servers` are the host's name servers, as its own programs see them.
pub(super) fn chains(caller: &Caller, ports: &[u16], servers: &[String]) -> String {
    let Caller { user, closed, open } = caller;
    let sets = [("inside", closed), ("outside", open)].map(|(name, networks)| {
        let of = |v6: bool| networks.iter().filter(|text| text.contains(':') == v6).cloned().collect::<Vec<_>>();
        set(name, "ipv4_addr", &of(false)) + &set(&format!("{name}6"), "ipv6_addr", &of(true))
    });
    let ask = |word: &str, servers: Vec<String>| match servers.as_slice() {
        [] => String::new(),
        servers => format!("{word} daddr {{ {} }} meta l4proto {{ tcp, udp }} th dport 53 accept", list(servers)),
    };
    let (v6, v4) = servers.iter().cloned().partition(|server| server.contains(':'));
    let (ask, ask6, ports) = (ask("ip", v4), ask("ip6", v6), to_ports(ports, "fib daddr type local", "accept"));
    format!(
        r#"{}
  chain caller {{
    ct state established,related accept
    {ask}
    {ask6}
    oifname "{PREFIX}*" jump gone
    ip daddr @outside accept
    ip6 daddr @outside6 accept
    ip daddr @inside jump gone
    ip6 daddr @inside6 jump gone
    {ports}
    fib daddr type local jump gone
  }}
  chain callers {{
    type filter hook output priority -5; policy accept;
    meta skuid {user} jump caller
  }}"#,
        sets.concat()
    )
}
