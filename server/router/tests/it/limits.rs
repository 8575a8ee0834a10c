//! Malicious and slow clients.

use std::time::Duration;

use router::AppState::Up;
use router::Timeouts;

use crate::support::*;

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_head_must_come_in_time() {
    let world = World::with(Timeouts { header: SHORT, ..patient() }).await;
    let mut client = world.client().await;
    client.send("GET / HTTP/1.1\r\nHost: shop").await;
    assert!(client.head().await.is_none());
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let dyno = Dyno::script(|mut conn, _| async move {
        conn.head().await;
        tokio::time::sleep(SHORT * 3).await;
        conn.send(&ok("late")).await;
    })
    .await;
    let world = World::with(Timeouts { keep_alive: SHORT, header: SHORT, ..patient() }).await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send(&get("/")).await;
    assert_eq!(client.answer().await.body, "late");
    assert!(client.ended().await);
}

#[tokio::test]
async fn nonsense_is_refused() {
    let dyno = Dyno::saying("").await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let long = "x".repeat(9000);
    let huge = "x".repeat(2_000_000);
    for (request, status) in [
        ("CONNECT shop.apps.test:443 HTTP/1.1\r\nHost: shop.apps.test\r\n\r\n".to_owned(), 405),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: shop.apps.test\r\nHost: other.test\r\n\r\n".to_owned(), 400),
        (format!("GET /{long} HTTP/1.1\r\nHost: shop.apps.test\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nHost: shop.apps.test\r\nX: {huge}\r\n\r\n"), 431),
        ("NONSENSE\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nHost: shop.apps.test\r\nContent-Length: x\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nHost: shop.apps.test\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(), 400),
    ] {
        let mut client = world.client().await;
        // It may be rejected before all of it was sent.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, request.as_bytes()).await;
        let shown: String = request.chars().take(60).collect();
        if let Some(head) = client.head().await {
            assert_eq!(&head[9..12], status.to_string(), "{shown}");
        } else {
            assert_eq!(status, 431, "{shown}");
        }
    }
    assert_eq!(dyno.connections(), 0);
}

#[tokio::test]
async fn a_length_beside_chunks_smuggles_nothing() {
    let dyno = Dyno::answering(|head, body| {
        assert!(header(head, "content-length").is_none() || header(head, "transfer-encoding").is_none());
        ok(&format!("{}:{body}", head.split(' ').nth(1).unwrap()))
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client
        .send(
            "POST /a HTTP/1.1\r\nHost: shop.apps.test\r\nContent-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\n0\r\n\r\n",
        )
        .await;
    if let Some(head) = client.head().await
        && head.starts_with("HTTP/1.1 200")
    {
        assert_eq!(client.body(&head).await.unwrap(), "/a:abc");
    }
}

#[tokio::test]
async fn a_port_in_use_is_reported_with_advice() {
    let world = World::start().await;
    let other = tempfile::tempdir().unwrap();
    let config = router::Config::new(world.addr, other.path(), other.path().join("run"));
    let error = router::serve(config, async {}).await.unwrap_err().to_string();
    assert!(error.contains("is in use by another program"), "{error}");
    assert!(error.contains("--listen 127.0.0.1:"), "{error}");
}
