//! Dynos of others: they share only the kernel, which must not be usable as a channel.

use dyno::Driver;

use crate::world::{World, until};

/// Leaves something in every place that could be shared, and keeps running.
const LEAVE: &str = r#"
import os, socket, time, ctypes
open("/dev/shm/left", "w").write("x")
open("/tmp/left", "w").write("x")
libc = ctypes.CDLL(None)
libc.shmget(4242, 4096, 0o1666)
libc.msgget(4242, 0o1666)
libc.semget(4242, 1, 0o1666)
name = socket.socket(socket.AF_UNIX)
name.bind("\0left")
name.listen()
tcp = socket.socket()
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
tcp.bind(("0.0.0.0", 8123))
tcp.listen()
print("left", flush=True)
time.sleep(1000)
"#;

#[tokio::test]
async fn dynos_of_one_user_share_nothing() {
    let world = World::new();
    // An abstract socket of the host, which mount namespaces cannot hide.
    use std::os::linux::net::SocketAddrExt;
    let name = std::os::unix::net::SocketAddr::from_abstract_name(b"of-the-host").unwrap();
    let _host = std::os::unix::net::UnixListener::bind_addr(&name).unwrap();
    let mut first = world.python(LEAVE);
    first.port = Some(8123);
    let handle = world.start(&first).await;
    until(|| world.lines(handle.id) == ["left"]).await;

    let mut spec = world.spec("");
    spec.env.insert("OTHER".into(), handle.addr.unwrap().ip().to_string());
    super::all_fail_in(
        &world,
        spec,
        &[
            ("shared memory by name is each dyno's own", "ls /dev/shm/left"),
            ("temporary files are each dyno's own", "ls /tmp/left"),
            ("shared memory by key is each dyno's own", "/usr/bin/python3 -c \"$CALL\" 29 4242 4096 0"),
            ("queues of messages are each dyno's own", "/usr/bin/python3 -c \"$CALL\" 68 4242 0"),
            ("semaphores are each dyno's own", "/usr/bin/python3 -c \"$CALL\" 64 4242 1 0"),
            (
                "abstract sockets of other dynos cannot be reached",
                "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"\\0left\")'",
            ),
            (
                "abstract sockets of the host cannot be reached",
                "/usr/bin/python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"\\0of-the-host\")'",
            ),
            ("ports of other dynos cannot be reached", "timeout 5 bash -c 'exec 3<>/dev/tcp/$OTHER/8123'"),
            ("processes of other dynos are not seen, though the user is the same", "pgrep -f left"),
            (
                "another dyno's address cannot be taken",
                "/usr/bin/python3 -c 'import os, socket; socket.socket().bind((os.environ[\"OTHER\"], 0))'",
            ),
        ],
    )
    .await;
    world.driver.signal(first.id, libc::SIGKILL).await.unwrap();
}
