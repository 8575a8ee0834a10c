//! Connectivity.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use dyno::{Driver, Handle, Host, ProcessDriver, Spec};

use crate::world::{World, until};

const SERVER: &str = "exec /usr/bin/python3 -m http.server --bind 0.0.0.0 $PORT";

fn get(addr: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(5))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

async fn serve(world: &World) -> (Spec, Handle) {
    let mut spec = world.spec(SERVER);
    spec.port = Some(8123);
    let handle = world.start(&spec).await;
    let addr = handle.addr.unwrap();
    until(|| get(addr).is_ok()).await;
    (spec, handle)
}

/// Connects from inside; `open`, or the error.
fn knock(addr: impl std::fmt::Display, port: u16) -> String {
    format!("timeout 5 bash -c 'exec 3<>/dev/tcp/{addr}/{port}' 2>&1 && echo open || echo closed")
}

/// The address of this host on the route to the internet, if it has one.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[tokio::test]
async fn the_host_reaches_the_port() {
    let world = World::new();
    let (spec, handle) = serve(&world).await;
    assert!(get(handle.addr.unwrap()).unwrap().starts_with("HTTP/1.0 200"));
    world.driver.remove(spec.id).await.unwrap();
    let error = TcpStream::connect_timeout(&handle.addr.unwrap(), Duration::from_secs(5)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_dyno_does_not_reach_the_host() {
    let world = World::new();
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let spec = world.spec("exec sleep 1000");
    world.start(&spec).await;
    let net = std::fs::read_to_string(world.state(spec.id).join("net.json")).unwrap();
    let net: serde_json::Value = serde_json::from_str(&net).unwrap();
    let neighbour_gateway = net["gateway"].as_str().unwrap().to_owned();

    let mut targets = vec!["127.0.0.1".to_owned(), neighbour_gateway];
    targets.extend(own_address().map(|address| address.to_string()));
    for target in targets {
        TcpStream::connect_timeout(&format!("{target}:{port}").parse().unwrap(), Duration::from_secs(5)).unwrap();
        let said = world.say(&knock(&target, port)).await;
        assert!(said.ends_with("closed"), "{target}: {said}");
    }
}

#[tokio::test]
async fn a_dyno_reaches_an_open_door_of_the_host() {
    let Some(address) = own_address() else { return };
    let world = World::new();
    let [door, wall] = [(); 2].map(|()| TcpListener::bind("0.0.0.0:0").unwrap());
    let [open, closed] = [&door, &wall].map(|l| l.local_addr().unwrap().port());
    // The rules are global: another test that starts meanwhile replaces them.
    let mut said = String::new();
    for _ in 0..5 {
        ProcessDriver::new(world.data.path(), &Host { allowed_ports: vec![open], ..Host::default() }).unwrap();
        said = world.say(&knock(address, open)).await;
        if said.ends_with("open") {
            break;
        }
    }
    assert!(said.ends_with("open"), "{said}");
    let said = world.say(&knock(address, closed)).await;
    assert!(said.ends_with("closed"), "{said}");
}

#[tokio::test]
async fn dynos_do_not_reach_each_other() {
    let world = World::new();
    let (_, handle) = serve(&world).await;
    let addr = handle.addr.unwrap();
    let said = world.say(&knock(addr.ip(), addr.port())).await;
    assert!(said.ends_with("closed"), "{said}");
}

#[tokio::test]
async fn a_dyno_reaches_itself() {
    let world = World::new();
    let mut spec = world.spec(&format!(
        "{} & until (exec 3<>/dev/tcp/127.0.0.1/$PORT) 2>/dev/null; do sleep 0.1; done; {}",
        &SERVER[5..],
        knock("localhost", 8123)
    ));
    spec.port = Some(8123);
    let (_, lines) = world.run(&spec).await;
    assert!(lines.iter().any(|line| line == "open"), "{lines:?}");
}

#[tokio::test]
async fn metadata_services_are_out_of_reach() {
    let world = World::new();
    let said = world.say(&knock("169.254.169.254", 80)).await;
    assert!(said.ends_with("closed") && said.contains("refused"), "{said}");
}

#[tokio::test]
async fn the_way_out_is_the_gateway_and_ipv6_is_loopback_only() {
    let world = World::new();
    let said = world
        .say("cat /proc/net/route | wc -l; cat /proc/net/if_inet6 | grep -v lo | wc -l; cat /proc/net/dev | grep -c :; cat /proc/net/fib_trie | grep -c 127.0.0.1")
        .await;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["3", "0"], "{said}");
}
