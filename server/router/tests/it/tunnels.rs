//! Websockets and other protocols that a connection changes to.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use router::AppState::Up;
use router::Timeouts;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, client_async};

use crate::support::*;

async fn echo() -> Dyno {
    Dyno::script(|conn, _| async move {
        let Ok(mut socket) = accept_async(conn.stream).await else {
            return;
        };
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_websocket_carries_messages_both_ways() {
    let dyno = echo().await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let stream = world.client().await.stream;
    let (mut socket, response) = client_async("ws://shop.apps.test/live", stream).await.unwrap();
    assert_eq!(response.status(), 101);
    for text in ["hello", "again"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(text));
    }
    let large = Message::binary(vec![7; 3_000_000]);
    socket.send(large.clone()).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), large);
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    let line = world.line().await;
    assert!(line.starts_with("at=info method=GET path=\"/live\" "), "{line}");
    assert!(line.contains("status=101 "), "{line}");
    let counters = world.control.counters().await.unwrap();
    let app = &counters.apps[0];
    assert_eq!((app.inflight, app.statuses[0]), (0, 1));
    assert!(app.bytes_in > 3_000_000 && app.bytes_out > 3_000_000);
}

#[tokio::test]
async fn a_silent_websocket_is_closed() {
    let dyno = echo().await;
    let idle = Duration::from_millis(300);
    let world = World::with(Timeouts { idle, ..patient() }).await;
    world.shop(Up, &[dyno.addr]).await;
    let stream = world.client().await.stream;
    let (mut socket, _) = client_async("ws://shop.apps.test/", stream).await.unwrap();
    assert!(!matches!(socket.next().await, Some(Ok(_))));
    let line = world.line().await;
    assert!(line.starts_with("at=error code=H15 desc=\"Idle connection\" "), "{line}");
}

#[tokio::test]
async fn an_upgrade_that_the_dyno_declines_is_an_answer_like_any_other() {
    let dyno = Dyno::saying("no websockets").await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    let upgrade = "GET / HTTP/1.1\r\nHost: shop.apps.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.send(upgrade).await;
    assert_eq!(client.answer().await.body, "no websockets");
    client.send(&get("/")).await;
    assert_eq!(client.answer().await.body, "no websockets");
}

#[tokio::test]
async fn bytes_behind_the_head_are_not_lost() {
    let dyno = Dyno::script(|mut conn, _| async move {
        conn.head().await;
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: mine\r\n\r\nfirst!").await;
        assert_eq!(conn.bytes(6).await, "early!");
        conn.send("second").await;
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send("GET / HTTP/1.1\r\nHost: shop.apps.test\r\nConnection: Upgrade\r\nUpgrade: mine\r\n\r\nearly!").await;
    let head = client.head().await.expect("a head");
    assert_eq!(header(&head, "upgrade"), Some("mine"));
    assert_eq!(client.bytes(12).await, "first!second");
    assert!(client.ended().await);
}

#[tokio::test]
async fn websockets_do_not_hold_up_a_stop() {
    let dyno = echo().await;
    let mut world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let stream = world.client().await.stream;
    let (mut socket, _) = client_async("ws://shop.apps.test/", stream).await.unwrap();
    world.stop().await;
    assert!(!matches!(socket.next().await, Some(Ok(_))));
    assert!(world.line().await.contains("status=101"));
}
