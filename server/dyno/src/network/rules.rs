//! The nftables table.

use std::io::{ErrorKind, Write};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use shim::PREFIX;

use super::shares::{LINGER, LISTS, Shares};
use super::{callers, nft};
use crate::ranges::{CLOSED, Range};
use crate::{Caller, Error};

/// The parameters of the table.
pub(super) struct Rules<'a> {
    /// The range of the dynos.
    pub range: String,
    /// Name servers that dynos can use.
    pub servers: &'a [Ipv4Addr],
    /// TCP ports of this host that they can connect to.
    pub allowed_ports: &'a [u16],
    /// Private networks that they can reach.
    pub open: &'a [Range],
    /// The size of the machine's connection table.
    pub connections: u64,
    /// A user of the host with restricted access, and the host's name servers.
    pub caller: Option<(&'a Caller, &'a [String])>,
}

/// Replaces the whole table in one transaction, and allows dynos' traffic in other firewalls.
pub(super) fn apply(rules: &Rules) -> Result<(), Error> {
    // A kernel may not support shorter timeouts for closed connections; the limits hold in any case.
    if let Err(why) = replace_table(&rules.table(true)) {
        replace_table(&rules.table(false))?;
        tracing::info!("connection tracking of dynos uses the default timeouts: {why}");
    }
    if let Err(why) = pass_iptables() {
        tracing::warn!(why, "iptables may block the internet access of dynos");
    }
    Ok(())
}

/// Docker and ufw drop forwarded packets that they do not know, whatever our table accepts, so iptables needs rules of
/// its own. They are added even if no other firewall is active yet, because Docker may start later. Packets that our
/// table drops stay dropped.
fn pass_iptables() -> Result<(), String> {
    let out = format!("-i {PREFIX}+ -j ACCEPT");
    let back = format!("-o {PREFIX}+ -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT");
    for rule in [out, back] {
        for command in ["-C FORWARD", "-I FORWARD"] {
            let words = command.split(' ').chain(rule.split(' '));
            match Command::new("iptables").arg("-w").args(words).stdin(Stdio::null()).output() {
                Ok(output) if output.status.success() => break,
                Ok(_) if command.starts_with("-C") => {}
                Ok(output) => return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
                Err(e) => return Err(e.to_string()),
            }
        }
    }
    Ok(())
}

fn replace_table(table: &str) -> Result<(), Error> {
    let missing = |e: std::io::Error| match e.kind() {
        ErrorKind::NotFound => Error::Host("The program `nft` is missing. Install the package `nftables`.".to_owned()),
        _ => Error::io("run nft")(e),
    };
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    let mut stdin = nft.stdin.take().expect("its stdin is piped");
    // If nft failed, its own output, below, is more useful than the broken pipe.
    let _ = stdin.write_all(table.as_bytes());
    drop(stdin);
    let output = nft.wait_with_output().map_err(Error::io("wait for nft"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::Host(format!(
            "The firewall rules of dynos were rejected. Output of nft: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}

impl Rules<'_> {
    /// `reject` rather than `drop`, so that clients fail immediately instead of hanging.
    fn table(&self, brief: bool) -> String {
        let Rules { range, .. } = self;
        let shares = Shares::of(self.connections, brief);
        let (dns, allowed_ports) = (self.name_servers(), nft::to_ports(self.allowed_ports, "", "goto open"));
        let (sets, linger) = (self.sets(), if brief { brief_chain() } else { String::new() });
        let caller = self
            .caller
            .map(|(caller, servers)| callers::chains(caller, self.allowed_ports, servers))
            .unwrap_or_default();
        format!(
            r#"table inet wharf {{}}
delete table inet wharf
table inet wharf {{
{sets}
{linger}
  chain refused {{
    limit rate 6/minute log prefix "wharf refuses connections: "
    meta l4proto tcp reject with tcp reset
    reject
  }}
{bounded}
  chain from_dyno_out {{
    ip saddr != {range} drop
    meta nfproto ipv6 drop
    ct state new fib saddr . iif oif missing drop
    oifname "{PREFIX}*" reject
    {dns}
    ip daddr @opened goto open
    ip daddr @closed reject
    goto open
  }}
  chain from_dyno_in {{
    ct state established,related accept
    ip saddr != {range} drop
    ct state new fib saddr . iif oif missing drop
    {dns}
    {allowed_ports}
    reject
  }}
  chain forward {{
    type filter hook forward priority -5; policy accept;
    iifname "{PREFIX}*" jump from_dyno_out
    oifname "{PREFIX}*" ct state established,related accept
    oifname "{PREFIX}*" drop
    ip daddr {range} reject
  }}
  chain input {{
    type filter hook input priority -5; policy accept;
    iifname "{PREFIX}*" jump from_dyno_in
  }}
  chain output {{
    type filter hook output priority -5; policy accept;
    ip daddr {range} oifname != "lo" oifname != "{PREFIX}*" jump gone
    ip daddr {range} oifname "{PREFIX}*" ct state new add @inwards {{ ip daddr . {list} ct count over {each} }} jump refused
  }}
  chain gone {{
    meta l4proto tcp reject with tcp reset
    reject
  }}
{caller}
  chain outwards {{
    type nat hook postrouting priority 100; policy accept;
    ip saddr {range} oifname != "{PREFIX}*" masquerade
  }}
}}
"#,
            bounded = bounded(&shares),
            list = list_of(LISTS.0),
            each = shares.each / LISTS.0,
        )
    }

    fn name_servers(&self) -> String {
        match self.servers {
            [] => String::new(),
            servers => {
                format!("ip daddr {{ {} }} meta l4proto {{ tcp, udp }} th dport 53 goto open", nft::list(servers))
            }
        }
    }

    /// Sets of networks, and of the connections per dyno. The number of a list has the type of a mark, an integer.
    fn sets(&self) -> String {
        let networks = |name: &str, elements: Vec<String>| nft::set(name, "ipv4_addr", &elements);
        let counters = |name: &str, key: &str, flags: &str| {
            format!("  set {name} {{\ntypeof {key}\nsize 65535\nflags dynamic{flags}\n}}\n")
        };
        [
            networks("opened", self.open.iter().map(Range::to_string).collect()),
            networks("closed", CLOSED.map(str::to_owned).into()),
            counters("own", "ip saddr", ""),
            counters("of_one", "ip saddr . meta mark", ""),
            counters("inwards", "ip daddr . meta mark", ""),
            counters("pool", "meta mark", ""),
            counters("pace", "ip saddr", ",timeout\ntimeout 1m"),
        ]
        .concat()
    }
}

/// Allowed new connections are counted; rejected ones do not count. Only those beyond the dyno's own share draw from
/// the pool.
fn bounded(shares: &Shares) -> String {
    let Shares { own, each, pool, pace: (pace, burst), pool_pace: (pool_pace, pool_burst) } = shares;
    format!(
        r#"  chain hasty {{
    limit rate over {pool_pace}/second burst {pool_burst} packets jump refused
  }}
  chain many {{
    add @of_one {{ ip saddr . {} ct count over {} }} jump refused
    add @pool {{ {} ct count over {} }} jump refused
  }}
  chain bounded {{
    update @pace {{ ip saddr limit rate over {pace}/second burst {burst} packets }} jump hasty
    add @own {{ ip saddr ct count over {own} }} jump many
  }}
  chain open {{
    ct state new jump bounded
    accept
  }}"#,
        list_of(LISTS.0),
        (each - own) / LISTS.0,
        list_of(LISTS.1),
        pool / LISTS.1,
    )
}

/// The number of the list, out of `lists`, in which a connection is counted.
fn list_of(lists: u64) -> String {
    format!("jhash ip saddr . ip daddr . th sport . th dport mod {lists}")
}

/// Shortens the time for which closed connections of dynos are remembered.
fn brief_chain() -> String {
    format!(
        r#"  ct timeout brief {{
    protocol tcp
    l3proto ip
    policy = {{ time_wait: {LINGER}, close: {LINGER} }}
  }}
  chain brief_out {{
    type filter hook output priority -6; policy accept;
    oifname "{PREFIX}*" meta l4proto tcp ct state new ct timeout set "brief"
  }}
  chain brief_through {{
    type filter hook forward priority -6; policy accept;
    iifname "{PREFIX}*" meta l4proto tcp ct state new ct timeout set "brief"
  }}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules<'a>(open: &'a [Range], connections: u64) -> Rules<'a> {
        Rules { range: "10.231.0.0/16".into(), servers: &[], allowed_ports: &[], open, connections, caller: None }
    }

    #[test]
    fn allowed_networks_precede_closed_ones() {
        let open = ["10.1.0.0/16".parse().unwrap()];
        let table = rules(&open, 262_144).table(true);
        let at = |text: &str| table.find(text).unwrap();
        assert!(at("ip daddr @opened goto open") < at("ip daddr @closed reject"));
        assert!(at("elements = { 10.1.0.0/16 }") < at("elements = { 0.0.0.0/8"));
        assert!(!rules(&[], 262_144).table(true).contains("elements = {  }"));
    }

    #[test]
    fn what_is_refused_in_any_case_is_not_counted() {
        let table = rules(&[], 262_144).table(true);
        let way_out = table.split("chain from_dyno_out {").nth(1).and_then(|rest| rest.split('}').next()).unwrap();
        assert!(!way_out.contains("bounded") && way_out.trim_end().ends_with("goto open"), "{way_out}");
    }
}
