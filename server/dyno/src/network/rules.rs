//! The nftables table.

use std::io::{ErrorKind, Write};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use super::ranges::{CLOSED, Range};
use crate::Error;

/// What the host's ends of all cables begin with.
pub(super) const PREFIX: &str = "wharf-";

/// What the table is made from.
pub(super) struct Rules<'a> {
    /// The range of the dynos.
    pub range: String,
    /// Name servers that dynos may ask.
    pub servers: &'a [Ipv4Addr],
    /// TCP ports of this host that they may connect to.
    pub doors: &'a [u16],
    /// Private networks that they may reach.
    pub open: &'a [Range],
    /// What the machine's table of connections holds.
    pub connections: u64,
}

/// Replaces the table as a whole, in one transaction, and has other firewalls let dynos out.
pub(super) fn apply(rules: &Rules) -> Result<(), Error> {
    // A kernel may not know how to forget connections sooner; the limits hold all the same.
    if let Err(why) = replace_table(&rules.table(true)) {
        replace_table(&rules.table(false))?;
        tracing::info!("connections of dynos are forgotten at the machine's pace: {why}");
    }
    if let Err(why) = pass_iptables() {
        tracing::warn!(why, "iptables may keep dynos from reaching the internet");
    }
    Ok(())
}

/// Docker and ufw forward nothing but what they know, and that a packet was accepted in our table
/// does not count in theirs: it takes rules in the chain of iptables. They are made even if nothing
/// is in the way yet, because Docker may start after us. What our table drops stays dropped.
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
    let mut stdin = nft.stdin.take().expect("it was piped");
    // If nft died its own words, below, say more than the broken pipe.
    let _ = stdin.write_all(table.as_bytes());
    drop(stdin);
    let output = nft.wait_with_output().map_err(Error::io("wait for nft"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::Host(format!(
            "The rules for the dynos' network were refused. nft says: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}

/// Connections of one dyno at one time, in each direction, if the machine can hold many.
const CONNECTIONS: u64 = 8192;
/// New connections of one dyno in a second, and how many may come at once.
const PACE: (u64, u64) = (500, 5000);
/// How long an ended connection is remembered, in seconds.
const LINGER: u64 = 5;

impl Rules<'_> {
    /// `reject` rather than `drop`: who tries learns it at once instead of hanging.
    fn table(&self, brief: bool) -> String {
        let Rules { range, .. } = self;
        let (dns, doors) = (self.name_servers(), self.doors());
        let (sets, linger) = (self.sets(), if brief { brief_chain() } else { String::new() });
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
    oifname "{PREFIX}*" reject
    ct state new jump bounded
    {dns}
    ip daddr @opened accept
    ip daddr @closed reject
    accept
  }}
  chain from_dyno_in {{
    ct state established,related accept
    ip saddr != {range} drop
    ct state new jump bounded
    {dns}
    {doors}
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
    ip daddr {range} oifname "{PREFIX}*" ct state new add @inwards {{ ip daddr ct count over {each} }} jump refused
  }}
  chain gone {{
    meta l4proto tcp reject with tcp reset
    reject
  }}
  chain outwards {{
    type nat hook postrouting priority 100; policy accept;
    ip saddr {range} oifname != "{PREFIX}*" masquerade
  }}
}}
"#,
            bounded = self.bounded(),
            each = self.each(),
        )
    }

    fn name_servers(&self) -> String {
        match self.servers {
            [] => String::new(),
            servers => format!("ip daddr {{ {} }} meta l4proto {{ tcp, udp }} th dport 53 accept", list(servers)),
        }
    }

    fn doors(&self) -> String {
        match self.doors {
            [] => String::new(),
            doors => format!("tcp dport {{ {} }} accept", list(doors)),
        }
    }

    /// Sets of networks, and of who has how many connections.
    fn sets(&self) -> String {
        let networks = |name: &str, elements: String| {
            let elements = if elements.is_empty() { elements } else { format!("elements = {{ {elements} }}\n") };
            format!("  set {name} {{\ntype ipv4_addr\nflags interval\nauto-merge\n{elements}}}\n")
        };
        let counters = |name: &str, key: &str, flags: &str| {
            format!("  set {name} {{\ntypeof {key}\nsize 65535\nflags dynamic{flags}\n}}\n")
        };
        [
            networks("opened", list(self.open)),
            networks("closed", list(&CLOSED)),
            counters("of_one", "ip saddr", ""),
            counters("inwards", "ip daddr", ""),
            counters("of_all", "meta nfproto", ""),
            counters("pace", "ip saddr", ",timeout\ntimeout 1m"),
        ]
        .concat()
    }

    /// What is new from a dyno is counted, by itself and among those of all dynos, so that neither
    /// the machine's table of connections nor its ports run out. A sender that is somebody else is
    /// none.
    fn bounded(&self) -> String {
        let (all, each, (pace, burst)) = (self.connections / 2, self.each(), PACE);
        // Ended connections are not counted, but are still in the table for two minutes at worst.
        let pace_of_all = (self.connections / 4 / 120).max(pace);
        let burst_of_all = (self.connections / 16).max(burst);
        format!(
            r#"  chain bounded {{
    fib saddr . iif oif missing drop
    update @pace {{ ip saddr limit rate over {pace}/second burst {burst} packets }} jump refused
    limit rate over {pace_of_all}/second burst {burst_of_all} packets jump refused
    add @of_one {{ ip saddr ct count over {each} }} jump refused
    add @of_all {{ meta nfproto ct count over {all} }} jump refused
  }}"#
        )
    }

    fn each(&self) -> u64 {
        (self.connections / 8).min(CONNECTIONS)
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// Has the machine forget soon what dynos have ended.
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
        Rules { range: "10.231.0.0/16".into(), servers: &[], doors: &[], open, connections }
    }

    #[test]
    fn what_the_operator_opens_comes_before_what_is_closed() {
        let open = ["10.1.0.0/16".parse().unwrap()];
        let table = rules(&open, 262_144).table(true);
        let at = |text: &str| table.find(text).unwrap();
        assert!(at("ip daddr @opened accept") < at("ip daddr @closed reject"));
        assert!(at("elements = { 10.1.0.0/16 }") < at("elements = { 0.0.0.0/8"));
        assert!(!rules(&[], 262_144).table(true).contains("elements = {  }"));
        for never in ["203.0.113", "198.18"] {
            assert!(!table.contains(never), "{never} is not private");
        }
    }

    #[test]
    fn a_small_machine_keeps_most_of_its_connections() {
        assert_eq!([1024, 65_536, 262_144].map(|n| rules(&[], n).each()), [128, 8192, 8192]);
        assert!(rules(&[], 65_536).table(false).contains("ct count over 32768"));
    }
}
