//! Whether the platform's port is free, or which process has it.

use std::{
    fs,
    io::{self, ErrorKind},
    net::{Ipv6Addr, SocketAddr, TcpListener},
    path::Path,
};

use anyhow::{Context, Result, bail};

/// Replaces port 0 with a free one, and checks that `listen` can be bound.
/// Errors name the process that has the port.
pub fn claim(listen: SocketAddr) -> Result<SocketAddr> {
    let held = match TcpListener::bind(listen) {
        Ok(held) => held,
        Err(err) => bail!(sentence(listen, &err)),
    };
    held.local_addr().context("read the local address")
}

fn sentence(listen: SocketAddr, err: &io::Error) -> String {
    match err.kind() {
        ErrorKind::AddrInUse => {
            let by = holder(listen.port()).map(|who| format!(" by {who}")).unwrap_or_default();
            format!("Port {} is in use{by}. Stop that process, or choose another port with --listen.", listen.port())
        }
        ErrorKind::AddrNotAvailable => {
            format!(
                "This machine does not have the address {}. Use one of its addresses with --listen, or 0.0.0.0 for all.",
                listen.ip()
            )
        }
        _ => format!("Could not listen on {listen}: {err}. Choose another address with --listen."),
    }
}

/// Which process listens on a port: `nginx (process 812)`.
fn holder(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .find_map(|table| listener_inode(&fs::read_to_string(table).ok()?, port))?;
    let socket = format!("socket:[{inode}]");
    let holds = |process: &Path| {
        let fds = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        fds.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|link| link.as_os_str() == socket.as_str())
    };
    // `self` and `thread-self` are listed too, but have no useful name.
    let has_number = |p: &Path| p.file_name().is_some_and(|n| n.as_encoded_bytes().iter().all(u8::is_ascii_digit));
    let mut processes = fs::read_dir("/proc").ok()?.flatten().map(|e| e.path()).filter(|p| has_number(p));
    let process = processes.find(|p| holds(p))?;
    let name = fs::read_to_string(process.join("comm")).ok()?;
    Some(format!("{} (process {})", name.trim(), process.file_name()?.to_string_lossy()))
}

/// The inode of the socket that listens on `port`, from a kernel table.
fn listener_inode(table: &str, port: u16) -> Option<u64> {
    const LISTENING: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let local = words.get(1)?.rsplit_once(':')?.1;
        let matches = u16::from_str_radix(local, 16) == Ok(port) && words.get(3) == Some(&LISTENING);
        matches.then(|| words.get(9)?.parse().ok()).flatten()
    })
}

/// Whether this machine can listen on [::1], as some clients expect of `localhost`.
pub fn has_ipv6_loopback() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_reported_with_its_process() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = held.local_addr().unwrap();
        let why = claim(addr).unwrap_err().to_string();
        assert!(why.starts_with(&format!("Port {} is in use by ", addr.port())), "{why}");
        assert!(why.contains(&format!("(process {})", std::process::id())), "{why}");
    }

    #[test]
    fn port_0_becomes_a_free_one_and_a_strange_address_is_refused() {
        assert_ne!(claim("127.0.0.1:0".parse().unwrap()).unwrap().port(), 0);
        let why = claim("192.0.2.1:0".parse().unwrap()).unwrap_err().to_string();
        assert!(why.starts_with("This machine does not have the address 192.0.2.1."), "{why}");
    }
}
