//! The nftables table.

use std::io::{ErrorKind, Write};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use crate::Error;

/// What the host's ends of all cables begin with.
pub(super) const PREFIX: &str = "wharf-";

/// Replaces the table as a whole, in one transaction, and has other firewalls let dynos out.
/// Dynos may ask the name servers `servers` and connect to the TCP ports `doors` of this host.
pub(super) fn apply(range: &str, servers: &[Ipv4Addr], doors: &[u16]) -> Result<(), Error> {
    replace_table(&table(range, servers, doors))?;
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

fn table(range: &str, servers: &[Ipv4Addr], doors: &[u16]) -> String {
    let dns = match servers {
        [] => String::new(),
        servers => {
            let list: Vec<String> = servers.iter().map(Ipv4Addr::to_string).collect();
            let list = list.join(", ");
            format!("ip daddr {{ {list} }} meta l4proto {{ tcp, udp }} th dport 53 accept")
        }
    };
    let doors = match doors {
        [] => String::new(),
        doors => {
            let list: Vec<String> = doors.iter().map(u16::to_string).collect();
            format!("tcp dport {{ {} }} accept", list.join(", "))
        }
    };
    // `reject` rather than `drop`: who tries learns it at once instead of hanging.
    format!(
        r#"table inet wharf {{}}
delete table inet wharf
table inet wharf {{
  chain from_dyno_out {{
    ip saddr != {range} drop
    meta nfproto ipv6 drop
    ip daddr 169.254.0.0/16 reject
    oifname "{PREFIX}*" reject
    accept
  }}
  chain from_dyno_in {{
    ct state established,related accept
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
"#
    )
}
