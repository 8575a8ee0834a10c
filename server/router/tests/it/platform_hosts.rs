//! The platform's own hosts, served by the server behind a Unix socket.

use std::path::PathBuf;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use router::AppState::Up;
use router::Timeouts;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use crate::support::*;

fn socket(world: &World) -> PathBuf {
    world.dir.path().join("run/server.sock")
}

/// A server that echoes the head of each request, and serves websockets at `/live`.
fn server(world: &World) -> JoinHandle<()> {
    let path = socket(world);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(connection(Conn::new(stream)));
        }
    })
}

async fn connection(mut conn: Conn<UnixStream>) {
    while let Some(head) = conn.head().await {
        if head.starts_with("GET /slow") {
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        let body = conn.body(&head).await.unwrap();
        conn.send(&ok(&format!("{head}{body}"))).await;
    }
}

#[tokio::test]
async fn the_server_learns_who_asks_and_where() {
    let world = World::start().await;
    world.shop(Up, &[]).await;
    let _server = server(&world);
    for host in ["wharf.test", "API.wharf.test:5000", "localhost:5000", "127.0.0.1", "[::1]:5000"] {
        let mut client = world.client().await;
        client
            .send(&format!(
                "POST /apps HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: 4\r\n\r\nbody"
            ))
            .await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 200, "{host}");
        let head = &answer.body;
        assert!(head.ends_with("body"));
        assert_eq!(header(head, "host"), Some(host));
        assert_eq!(header(head, "x-forwarded-host"), Some(host));
        assert_eq!(header(head, "x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(header(head, "x-forwarded-proto"), Some("http"));
        assert_eq!(header(head, "request-id"), header(head, "x-request-id"));
    }
    assert!(lines_in(&router::spool_dir(world.dir.path())).is_empty());
}

#[tokio::test]
async fn time_outs_are_for_apps_only() {
    let short = Duration::from_millis(100);
    let world = World::with(Timeouts { first_byte: short, idle: short, ..patient() }).await;
    let _server = server(&world);
    let mut client = world.client().await;
    client.send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn a_restart_of_the_server_is_waited_for() {
    let world = World::start().await;
    let first = server(&world);
    let mut client = world.client().await;
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    first.abort();
    let _ = first.await;
    std::fs::remove_file(socket(&world)).unwrap();
    client.send("GET /again HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut post = world.client().await;
    post.send("POST /too HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi").await;
    let early = tokio::time::timeout(Duration::from_millis(300), client.head()).await;
    assert!(early.is_err(), "it was answered by nobody");
    let _second = server(&world);
    assert!(client.answer().await.body.starts_with("GET /again"));
    assert!(post.answer().await.body.ends_with("hi"));
}

#[tokio::test]
async fn a_server_that_stays_down_is_reported() {
    let world = World::with(Timeouts { platform: Duration::from_millis(200), ..patient() }).await;
    let sentence = "Wharf's control plane is restarting. Apps keep running.";
    let mut client = world.client().await;
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains(&sentence.replace('\'', "&#39;")), "{}", answer.body);
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\nAccept: application/vnd.heroku+json; version=3\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 503);
    let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(json["message"], sentence);
}

#[tokio::test]
async fn websockets_reach_the_server() {
    let world = World::start().await;
    let listener = UnixListener::bind(socket(&world)).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            let _ = socket.send(message).await;
        }
    });
    let stream = world.client().await.stream;
    let (mut live, _) = tokio_tungstenite::client_async("ws://localhost/live", stream).await.unwrap();
    live.send(Message::text("hi")).await.unwrap();
    assert_eq!(live.next().await.unwrap().unwrap(), Message::text("hi"));
}
