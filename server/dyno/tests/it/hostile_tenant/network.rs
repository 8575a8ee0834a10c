//! The network: private addresses, the host's services, the machine's table of connections.

use std::net::{TcpListener, UdpSocket};

use dyno::{Host, ProcessDriver};

use crate::world::{World, until};

const REFUSED: &str = "refused_at() { timeout 5 bash -c \"exec 3<>/dev/tcp/$1/${2:-80}\" 2>&1 | grep -q refused; }\n";

#[tokio::test]
async fn private_networks_and_metadata_are_refused() {
    let world = World::new();
    let mut script = String::from(REFUSED);
    let closed = [
        "10.0.0.1",
        "10.255.255.254",
        "172.16.0.1",
        "172.31.255.254",
        "192.168.0.1",
        "192.168.255.254",
        "100.64.0.1",
        "100.100.100.200",
        "169.254.169.254",
        "169.254.170.2",
        "168.63.129.16",
        "192.0.0.192",
        "240.0.0.1",
        "0.1.2.3",
        "192.0.2.77",
        "198.18.0.1",
        "198.19.255.254",
        "198.51.100.1",
        "203.0.113.1",
    ];
    for address in closed {
        script.push_str(&format!("refused_at {address} || echo {address} is open\n"));
    }
    script.push_str("echo tried");
    let mut spec = world.spec("eval \"$SCRIPT\"");
    spec.env.insert("SCRIPT".into(), script);
    let (_, lines) = world.run(&spec).await;
    assert_eq!(lines, ["tried"]);
}

#[tokio::test]
async fn the_hosts_services_are_out_of_reach() {
    let world = World::new();
    let tcp = TcpListener::bind("0.0.0.0:0").unwrap();
    let udp = UdpSocket::bind("0.0.0.0:0").unwrap();
    udp.set_nonblocking(true).unwrap();
    let mut spec = world.spec("");
    spec.env.insert("TCP".into(), tcp.local_addr().unwrap().port().to_string());
    spec.env.insert("UDP".into(), udp.local_addr().unwrap().port().to_string());
    spec.env.insert("GATEWAY".into(), "import struct, socket; print(next(socket.inet_ntoa(struct.pack('<L', int(l.split()[2], 16))) for l in list(open('/proc/net/route'))[1:] if l.split()[1] == '00000000'))".into());
    super::all_fail_in(
        &world,
        spec,
        &[
            ("localhost is the dyno's own", "timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/$TCP'"),
            ("the host's end of the cable serves nothing", "timeout 5 bash -c \"exec 3<>/dev/tcp/$(/usr/bin/python3 -c \"$GATEWAY\")/$TCP\""),
            ("packets cannot be forged", "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)'"),
            ("the wire cannot be listened to", "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'"),
            ("interfaces cannot be changed", "ip link set lo down || ip addr add 10.231.0.9/30 dev eth0 || ip route add 10.0.0.0/8 dev lo"),
            ("an address that is not one's own cannot be used", "/usr/bin/python3 -c 'import socket; s = socket.socket(); s.setsockopt(0, 19, 1); s.bind((\"10.231.255.1\", 0))'"),
            ("families of sockets besides the usual are closed", "/usr/bin/python3 -c 'import socket\nfor f in (4, 5, 8, 9, 15, 17, 29, 30, 31, 32, 38, 40, 44):\n  try: socket.socket(f, 2); print(f); break\n  except OSError: pass\nelse: exit(1)'"),
            ("pairs of sockets are of one family", "/usr/bin/python3 -c 'import socket\nfor f in (2, 10, 16, 30, 38, 40):\n  for t in (1, 2, 5):\n    try: socket.socketpair(f, t)\n    except OSError as e:\n      if e.errno != 1: exit(0)\n    else: exit(0)\nexit(1)'"),
            ("protocols that the kernel would have to load are closed", "/usr/bin/python3 -c 'import socket\nfor p in (33, 132, 136, 115, 262):\n  for f in (2, 10):\n    try: socket.socket(f, 1, p)\n    except OSError as e:\n      if e.errno != 1: exit(0)\n    else: exit(0)\nexit(1)'"),
            ("the host's business is not asked for by netlink", "/usr/bin/python3 -c 'import socket\nfor p in (4, 6, 9, 12, 15, 16, 21):\n  try: socket.socket(16, 3, p)\n  except OSError: continue\n  exit(0)\nexit(1)'"),
        ],
    )
    .await;
    let from_gateway = world
        .say(&format!(
            "echo x > /dev/udp/$(/usr/bin/python3 -c \"import struct, socket; print(next(socket.inet_ntoa(struct.pack('<L', int(l.split()[2], 16))) for l in list(open('/proc/net/route'))[1:] if l.split()[1] == '00000000'))\")/{}; echo sent",
            udp.local_addr().unwrap().port()
        ))
        .await;
    assert_eq!(from_gateway, "sent");
    assert!(udp.recv(&mut [0; 8]).is_err(), "no datagram arrives");
}

#[tokio::test]
async fn what_a_dyno_needs_of_the_network_is_there() {
    let world = World::new();
    let program = "import socket\n\
        for family, kind in ((1, 1), (1, 2), (2, 1), (2, 2), (10, 1), (10, 2), (16, 3)): socket.socket(family, kind).close()\n\
        a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1), len(socket.if_nameindex()))";
    let mut spec = world.spec("/usr/bin/python3 -c \"$PROGRAM\"");
    spec.env.insert("PROGRAM".into(), program.into());
    let (_, lines) = world.run(&spec).await;
    assert_eq!(lines, ["b'x' 2"]);
}

#[tokio::test]
async fn a_flood_of_datagrams_does_not_fill_the_machines_table_of_connections() {
    let world = World::with(&documentation());
    let count = || {
        std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count").unwrap().trim().parse::<u64>().unwrap()
    };
    let before = count();
    // To an address for documentation, where nothing responds.
    let program = r#"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sent = 0
for port in range(1, 30000):
    try: sent += s.sendto(b"x", ("198.51.100.7", port))
    except OSError: pass
print(sent > 0)
"#;
    let mut spec = world.spec("/usr/bin/python3 -c \"$PROGRAM\"");
    spec.env.insert("PROGRAM".into(), program.into());
    let (_, lines) = world.run(&spec).await;
    assert_eq!(lines, ["True"]);
    let grown = count().saturating_sub(before);
    assert!((1000..9000).contains(&grown), "{grown} entries");
}

/// With a network for documentation allowed: packets leave, and nothing responds.
fn documentation() -> Host {
    Host { open: vec!["198.51.100.0/24".parse().unwrap()], ..Host::default() }
}

#[tokio::test]
async fn six_dynos_that_flood_leave_the_connections_of_a_seventh_alone() {
    let mut host = documentation();
    host.open.push("10.99.7.0/24".parse().unwrap());
    let world = World::with(&host);
    let place = Elsewhere::make();
    let flood = r#"
import itertools, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in itertools.count():
    # Far above its pace, and some processor left to whoever else tests.
    if n % 20 == 0: time.sleep(0.01)
    try: s.sendto(b"x", (f"198.51.100.{n // 60000 % 250 + 1}", n % 60000 + 1))
    except OSError: pass
    if n == 5000: print("well under way", flush=True)
"#;
    let mut floods = Vec::new();
    for _ in 0..6 {
        floods.push(world.start(&world.python(flood)).await.id);
    }
    for flood in floods {
        until(|| world.lines(flood).iter().any(|line| line == "well under way")).await;
    }
    let program = format!(
        r#"
import socket, time
refused, held = 0, []
for n in range(150):
    try: held.append(socket.create_connection(("{}", 8123), 20))
    except ConnectionRefusedError: refused += 1
    time.sleep(0.01)
print(len(held), "made", refused, "refused")
"#,
        Elsewhere::ADDRESS
    );
    let spec = world.python(&program);
    let (_, lines) = world.run(&spec).await;
    assert_eq!(lines, ["150 made 0 refused"]);
    drop(place);
}

#[tokio::test]
async fn what_is_closed_uses_up_nothing() {
    let mut host = Host::default();
    host.open.push("10.99.7.0/24".parse().unwrap());
    let world = World::with(&host);
    let place = Elsewhere::make();
    // The dyno that tries closed ports can still use the open one.
    let program = format!(
        r#"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(60000):
    try: s.sendto(b"x", ("10.1.2.3", n + 1))
    except OSError: pass
made = [socket.create_connection(("{}", 8123), 20) for n in range(20)]
print(len(made), "made")
"#,
        Elsewhere::ADDRESS
    );
    let spec = world.python(&program);
    let (_, lines) = world.run(&spec).await;
    assert_eq!(lines, ["20 made"]);
    drop(place);
}

#[tokio::test]
async fn a_private_network_is_reached_when_the_operator_opens_it() {
    let world = World::new();
    let place = Elsewhere::make();
    let knock =
        format!("timeout 5 bash -c 'exec 3<>/dev/tcp/{}/8123' 2>&1 && echo open || echo closed", Elsewhere::ADDRESS);
    assert!(world.say(&knock).await.ends_with("closed"));
    let host = Host { open: vec!["10.99.7.0/24".parse().unwrap()], ..Host::default() };
    ProcessDriver::new(world.data.path(), &host).unwrap();
    assert_eq!(world.say(&knock).await, "open");
    ProcessDriver::new(world.data.path(), &Host::default()).unwrap();
    assert!(world.say(&knock).await.ends_with("closed"));
    drop(place);
}

/// A process of the host that was compromised by a response.
#[tokio::test]
async fn a_caller_reaches_nothing_inside_but_what_is_open() {
    let user = *dyno::uids::WORKERS.end();
    let place = Elsewhere::make();
    let [v4, v6] = ["127.0.0.1:0", "[::1]:0"].map(|addr| TcpListener::bind(addr).unwrap());
    let [any, door] = [(); 2].map(|()| TcpListener::bind("0.0.0.0:0").unwrap());
    let ports = [&v4, &v6, &any, &door].map(|listener| listener.local_addr().unwrap().port());
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let closed = texts(&["127.0.0.0/8", "10.0.0.0/8", "::-1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "8000::/1"]);
    let host = |open: &[&str]| Host {
        caller: Some(dyno::Caller { user, closed: closed.clone(), open: texts(open) }),
        allowed_ports: vec![ports[3]],
        ..Host::default()
    };
    let world = World::with(&host(&[]));
    let mut spec = world.spec("exec /usr/bin/python3 -m http.server --bind 0.0.0.0 $PORT");
    spec.port = Some(8123);
    let dyno = world.start(&spec).await.addr.unwrap();
    until(|| std::net::TcpStream::connect(dyno).is_ok()).await;
    let all = [
        ("loopback", format!("127.0.0.1 {}", ports[0])),
        ("loopback of IPv6", format!("::1 {}", ports[1])),
        ("its own address in a private network", format!("10.99.7.1 {}", ports[2])),
        ("another machine there", format!("{} 8123", Elsewhere::ADDRESS)),
        ("a dyno", format!("{} 8123", dyno.ip())),
        ("its name server's port elsewhere", "10.99.7.2 53".to_owned()),
    ];
    let reached = |user: u32| {
        let open = |(name, address): &(&'static str, String)| {
            let knock = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)";
            let mut words = vec![format!("--reuid={user}"), "--clear-groups".into()];
            words.extend(["/usr/bin/python3", "-c", knock].map(str::to_owned));
            words.extend(address.split(' ').map(str::to_owned));
            let tried = std::process::Command::new("setpriv").args(words).output().unwrap();
            tried.status.success().then_some(*name)
        };
        all.iter().filter_map(open).collect::<Vec<_>>()
    };
    assert_eq!(reached(user), Vec::<&str>::new());
    assert_eq!(reached(user - 1).len(), 5, "others of the host are not kept from anything");
    ProcessDriver::new(world.data.path(), &host(&["127.0.0.0/8", "10.0.0.0/8"])).unwrap();
    assert_eq!(reached(user), [all[0].0, all[2].0, all[3].0], "never a dyno");
    drop(place);
}

/// A machine in a private network: a namespace with a veth pair to the host, and a server in it.
struct Elsewhere {
    server: std::process::Child,
    name: String,
}

impl Elsewhere {
    const ADDRESS: &str = "10.99.7.2";

    fn make() -> Elsewhere {
        let name = format!("elsewhere{}", std::process::id());
        let run = |words: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            assert!(std::process::Command::new(words[0]).args(&words[1..]).status().unwrap().success(), "{words:?}");
        };
        run(&format!("ip netns add {name}"));
        run(&format!("ip link add else0 type veth peer name eth0 netns {name}"));
        run("ip addr add 10.99.7.1/24 dev else0");
        run("ip link set else0 up");
        run(&format!("ip -n {name} addr add {}/24 dev eth0", Self::ADDRESS));
        run(&format!("ip -n {name} link set eth0 up"));
        let mut server = std::process::Command::new("ip");
        // Connections are established even if no process accepts them, however busy the machine is.
        let program = "import socket, sys, time\n\
            s = socket.create_server((sys.argv[1], 8123), backlog=1024)\n\
            time.sleep(1e6)";
        server.args(["netns", "exec", &name, "python3", "-c", program, Self::ADDRESS]);
        let server = server.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        let address = format!("{}:8123", Self::ADDRESS).parse().unwrap();
        let second = std::time::Duration::from_secs(1);
        while std::net::TcpStream::connect_timeout(&address, second).is_err() {
            std::thread::yield_now();
        }
        Elsewhere { server, name }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = std::process::Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}
