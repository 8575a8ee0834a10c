//! What a compromised download process can reach on the machine.

use std::{net::TcpListener, process::Command};

use crate::world::World;

/// Whether a process of this user connects to a port of the machine's loopback.
fn connects(user: u32, port: u16) -> bool {
    let knock = "import socket, sys; socket.create_connection((\"127.0.0.1\", int(sys.argv[1])), 5)";
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), "--clear-groups", "/usr/bin/python3", "-c", knock, &port.to_string()]);
    command.output().unwrap().status.success()
}

#[test]
fn a_compromised_download_reaches_only_allowed_networks() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut up = world.up(&[]);
    assert!(!connects(worker::DOWNLOADS, port) && connects(worker::GIT, port));
    assert!(!connects(worker::DOWNLOADS, world.port), "nor the platform itself, which listens for this machine alone");
    assert!(up.stop().success());
    let mut up = world.up(&["--outbound-networks", "127.0.0.1"]);
    assert!(connects(worker::DOWNLOADS, port));
    assert!(up.stop().success());
}
