//! Clients that prevent others from being served: many sockets, incomplete requests, slow readers.

use std::time::Duration;

use router::AppState::Up;
use router::{Config, Timeouts};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixListener};

use crate::support::*;

/// A server that responds to each request once it is complete.
fn server(world: &World) {
    let listener = UnixListener::bind(world.dir.path().join("run/server.sock")).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut conn = Conn::new(stream);
                while let Some(head) = conn.head().await {
                    let Some(_) = conn.body(&head).await else { return };
                    conn.send(&ok("from the server")).await;
                }
            });
        }
    });
}

/// One that accepts requests and never responds.
async fn silent_dyno() -> Dyno {
    Dyno::script(|mut conn, _| async move {
        conn.head().await;
        std::future::pending::<()>().await;
    })
    .await
}

/// A response of the platform that has begun: its client and its server.
async fn stream(world: &World) -> (Conn<TcpStream>, Conn<tokio::net::UnixStream>) {
    let listener = UnixListener::bind(world.dir.path().join("run/server.sock")).unwrap();
    let mut client = world.client().await;
    client.send("GET /stream HTTP/1.1\r\nHost: wharf.test\r\n\r\n").await;
    let mut conn = Conn::new(listener.accept().await.unwrap().0);
    conn.head().await.unwrap();
    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    (client, conn)
}

/// Opens `n` connections, sends `bytes` on each, and keeps them open.
async fn flood(world: &World, n: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let mut open = Vec::new();
    for _ in 0..n {
        let mut stream = TcpStream::connect(world.addr).await.unwrap();
        let _ = stream.write_all(bytes).await;
        open.push(stream);
    }
    open
}

const HALVES: [&[u8]; 8] = [
    b"",
    b"GET / HTTP/1.1\r\nHost: shop.app",
    b"POST / HTTP/1.1\r\nHost: shop.apps.test\r\nContent-Length: 1000\r\n\r\nhalf",
    b"POST /apps HTTP/1.1\r\nHost: wharf.test\r\nContent-Length: 1000\r\n\r\nhalf",
    b"POST /apps HTTP/1.1\r\nHost: wharf.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha",
    b"POST /apps HTTP/1.1\r\nHost: wharf.test\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

/// From the attacker's own address, as behind an unconfigured proxy.
#[tokio::test]
async fn eleven_hundred_halves_of_requests_change_nothing_for_others() {
    let dyno = Dyno::answering(|_, _| ok("from the app")).await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    server(&world);
    for half in HALVES {
        let open = flood(&world, 1100, half).await;
        for _ in 0..20 {
            assert_eq!(world.get("/").await.body, "from the app", "{}", half.escape_ascii());
            let mut client = world.client().await;
            client.send("POST /apps HTTP/1.1\r\nHost: wharf.test\r\nContent-Length: 2\r\n\r\n{}").await;
            assert_eq!(client.answer().await.body, "from the server", "{}", half.escape_ascii());
        }
        drop(open);
    }
    assert!(world.control.counters().await.unwrap().evicted > 0);
}

#[tokio::test]
async fn an_address_with_all_its_slots_in_use_has_to_wait() {
    let dyno = silent_dyno().await;
    let world = World::configured(|config| config.limits.per_address = 3).await;
    world.shop(Up, &[dyno.addr]).await;
    let at_work = flood(&world, 3, get("/").as_bytes()).await;
    eventually("three requests", || (dyno.connections() == 3).then_some(())).await;
    let answer = world.get("/").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(world.control.counters().await.unwrap().refused >= 1);
    drop(at_work);
}

#[tokio::test]
async fn websockets_count_as_long_as_they_are_open() {
    let dyno = Dyno::script(|conn, _| async move {
        let _open = tokio_tungstenite::accept_async(conn.stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let world = World::configured(|config| config.limits.per_address = 3).await;
    world.shop(Up, &[dyno.addr]).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let stream = world.client().await.stream;
        open.push(tokio_tungstenite::client_async("ws://shop.apps.test/", stream).await.unwrap());
    }
    assert_eq!(world.control.counters().await.unwrap().connections, 3);
    assert_eq!(world.get("/").await.status, 429);
    open.clear();
    let control = world.control.clone();
    loop {
        if control.counters().await.unwrap().connections == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
}

/// One address does not exhaust the server's capacity, however many connections it may have.
#[tokio::test]
async fn an_address_has_so_many_requests_to_the_platform() {
    let world = World::configured(|config| config.limits.platform_per_address = 2).await;
    world.shop(Up, &[]).await;
    let listener = UnixListener::bind(world.dir.path().join("run/server.sock")).unwrap();
    let at_work = flood(&world, 2, b"GET /stream HTTP/1.1\r\nHost: wharf.test\r\n\r\n").await;
    let mut served = Vec::new();
    for _ in 0..2 {
        let mut conn = Conn::new(listener.accept().await.unwrap().0);
        conn.head().await.unwrap();
        served.push(conn);
    }
    let mut third = world.client().await;
    third.send("GET / HTTP/1.1\r\nHost: wharf.test\r\n\r\n").await;
    assert_eq!(third.answer().await.status, 429);
    drop((at_work, served));
}

fn hurried(config: &mut Config) {
    config.timeouts = Timeouts { idle: Duration::from_millis(400), ..patient() };
}

#[tokio::test]
async fn a_body_that_trickles_towards_the_platform_is_let_go() {
    let world = World::configured(hurried).await;
    world.shop(Up, &[]).await;
    server(&world);
    let mut client = world.client().await;
    client.send("POST /apps HTTP/1.1\r\nHost: wharf.test\r\nContent-Length: 900\r\n\r\n").await;
    let mut written = 0;
    // An occasional byte, well within the idle timeout.
    while written < 400 && client.stream.write_all(b"x").await.is_ok() {
        written += 1;
        if tokio::time::timeout(Duration::from_millis(50), client.more()).await.is_ok() {
            break;
        }
    }
    assert_eq!(client.answer().await.status, 408);
    assert!(written < 400, "it was let go by the clock, not by its length");
}

#[tokio::test]
async fn a_long_upload_with_progress_continues() {
    let world = World::configured(hurried).await;
    world.shop(Up, &[]).await;
    server(&world);
    let mut client = world.client().await;
    client.send("POST /shop.git/git-receive-pack HTTP/1.1\r\nHost: wharf.test\r\nContent-Length: 40000\r\n\r\n").await;
    // Several times the idle timeout in total.
    for _ in 0..20 {
        client.stream.write_all(&[b'x'; 2000]).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(80), client.head()).await;
        if let Ok(Some(head)) = early {
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            return;
        }
    }
    assert_eq!(client.answer().await.body, "from the server");
}

#[tokio::test]
async fn an_unread_response_of_the_platform_is_aborted() {
    let world = World::configured(hurried).await;
    world.shop(Up, &[]).await;
    let (client, mut conn) = stream(&world).await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let endless = async { while conn.stream.write_all(chunk.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(LONG, endless).await.expect("the router lets go of the stream");
    drop(client);
}

#[tokio::test]
async fn a_stream_of_the_platform_may_be_silent() {
    let world = World::configured(hurried).await;
    world.shop(Up, &[]).await;
    let (mut client, mut conn) = stream(&world).await;
    client.head().await.unwrap();
    let silent = tokio::time::timeout(Duration::from_millis(1200), client.more()).await;
    assert!(silent.is_err(), "it was broken off");
    conn.send("2\r\nhi\r\n").await;
    assert_eq!(client.chunk().await.as_deref(), Some("hi"));
}

#[tokio::test]
async fn one_app_does_not_keep_all_of_the_router() {
    let dyno = silent_dyno().await;
    // Half of all connections.
    let world = World::configured(|config| config.limits.connections = 16).await;
    world.shop(Up, &[dyno.addr]).await;
    let at_work = flood(&world, 8, get("/").as_bytes()).await;
    eventually("eight requests", || (dyno.connections() == 8).then_some(())).await;
    let answer = world.get("/").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("H11"), "{}", answer.body);
    drop(at_work);
}
