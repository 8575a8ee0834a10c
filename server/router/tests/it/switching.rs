//! Changes of the routing table under load do not affect requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use router::AppState::Up;
use tokio::task::JoinSet;

use crate::support::*;

/// Clients that send requests continuously until they are stopped, and fail the test at the first error.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: JoinSet<()>,
}

impl Load {
    fn on(world: &World, n: usize) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for i in 0..n {
            let (stop, answered, addr) = (stop.clone(), answered.clone(), world.addr);
            clients.spawn(async move {
                let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
                let mut client = Conn::new(stream);
                let request = match i % 2 {
                    0 => get("/"),
                    _ => "POST / HTTP/1.1\r\nHost: shop.apps.test\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
                };
                while !stop.load(SeqCst) {
                    client.send(&request).await;
                    let answer = client.answer().await;
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    answered.fetch_add(1, SeqCst);
                }
            });
        }
        Load { stop, answered, clients }
    }

    async fn answers(&self, more: usize) {
        let wanted = self.answered.load(SeqCst) + more;
        eventually("answers", || (self.answered.load(SeqCst) >= wanted).then_some(())).await;
    }

    async fn finish(mut self) -> usize {
        self.stop.store(true, SeqCst);
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
        self.answered.load(SeqCst)
    }
}

/// A dyno that responds slowly enough to be interrupted, and counts the requests that it has begun.
async fn slow(busy: Arc<AtomicUsize>) -> Dyno {
    Dyno::script(move |mut conn, _| {
        let busy = busy.clone();
        async move {
            while let Some(head) = conn.head().await {
                busy.fetch_add(1, SeqCst);
                conn.body(&head).await.unwrap();
                tokio::time::sleep(Duration::from_millis(3)).await;
                conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab").await;
                tokio::time::sleep(Duration::from_millis(3)).await;
                conn.send("cd").await;
                busy.fetch_sub(1, SeqCst);
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynos_are_exchanged_without_a_failed_request() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let world = World::on(dir, patient(), 3).await;
    let mut old: Vec<(Dyno, Arc<AtomicUsize>)> = Vec::new();
    let mut load = None;
    for _ in 0..15 {
        let mut new = Vec::new();
        for _ in 0..2 {
            let busy = Arc::new(AtomicUsize::new(0));
            new.push((slow(busy.clone()).await, busy));
        }
        let addrs: Vec<_> = new.iter().map(|(dyno, _)| dyno.addr).collect();
        world.shop(Up, &addrs).await;
        // Like the supervisor: the old ones end when their requests are done.
        for (dyno, busy) in old.drain(..) {
            eventually("end of old requests", || (busy.load(SeqCst) == 0).then_some(())).await;
            dyno.refuse().await;
        }
        old = new;
        load.get_or_insert_with(|| Load::on(&world, 16)).answers(100).await;
    }
    let answered = load.unwrap().finish().await;
    assert!(answered >= 1500);
    for line in world.lines(answered).await {
        assert!(line.starts_with("at=info method="), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynos_that_close_idle_connections_fail_no_request() {
    // Closes the connection after every response without announcing it, the worst behaviour that is allowed.
    let dyno = Dyno::script(|mut conn, _| async move {
        if let Some(head) = conn.head().await {
            conn.body(&head).await.unwrap();
            conn.send(&ok("bye")).await;
        }
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    for _ in 0..300 {
        client.send(&get("/")).await;
        assert_eq!(client.answer().await.body, "bye");
    }
}

#[tokio::test]
async fn a_request_is_repeated_on_a_fresh_connection_if_that_is_safe() {
    // The first connection dies at its second request.
    let dyno = Dyno::script(|mut conn, n| async move {
        let mut left = if n == 0 { 1 } else { usize::MAX };
        while let Some(head) = conn.head().await {
            let body = conn.body(&head).await.unwrap();
            if left == 0 {
                return;
            }
            left -= 1;
            conn.send(&ok(&body)).await;
        }
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    assert_eq!(world.get("/").await.status, 200);
    let mut client = world.client().await;
    client.send("PUT / HTTP/1.1\r\nHost: shop.apps.test\r\nContent-Length: 3\r\n\r\nabc").await;
    assert_eq!(client.answer().await.body, "abc");
    assert_eq!(dyno.connections(), 2);
}

#[tokio::test]
async fn a_body_that_is_still_being_sent_is_repeated_from_its_beginning() {
    let (say, mut said) = tokio::sync::watch::channel(false);
    let say = std::sync::Arc::new(say);
    // The first connection dies in the middle of its second request.
    let dyno = Dyno::script(move |mut conn, n| {
        let say = say.clone();
        async move {
            conn.head().await.unwrap();
            if n == 0 {
                conn.send(&ok("")).await;
                conn.head().await.unwrap();
                assert_eq!(conn.chunk().await.as_deref(), Some("abc"));
                return;
            }
            let mut body = String::new();
            while let Some(chunk) = conn.chunk().await.filter(|chunk| !chunk.is_empty()) {
                body += &chunk;
                say.send_replace(true);
            }
            conn.send(&ok(&body)).await;
        }
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    assert_eq!(world.get("/").await.status, 200);
    let mut client = world.client().await;
    client.send("PUT / HTTP/1.1\r\nHost: shop.apps.test\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    client.send("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n").await;
    tokio::time::timeout(LONG, said.wait_for(|said| *said)).await.unwrap().unwrap();
    client.send("2\r\nde\r\n0\r\n\r\n").await;
    assert_eq!(client.answer().await.body, "abcde");
    assert_eq!(dyno.connections(), 2);
}

#[tokio::test]
async fn what_may_not_be_repeated_is_not() {
    let dyno = Dyno::script(|mut conn, _| async move {
        let head = conn.head().await.unwrap();
        conn.body(&head).await.unwrap();
        conn.send(&ok("")).await;
        conn.head().await;
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    assert_eq!(world.get("/").await.status, 200);
    let mut client = world.client().await;
    client.send("POST / HTTP/1.1\r\nHost: shop.apps.test\r\nContent-Length: 0\r\n\r\n").await;
    assert!(client.answer().await.body.contains("H13"));
    assert_eq!(dyno.connections(), 1);
}

#[tokio::test]
async fn a_removed_dyno_finishes_its_request_and_loses_its_idle_connections() {
    let (go, wait) = tokio::sync::watch::channel(false);
    let old = Dyno::script(move |mut conn, n| {
        let mut wait = wait.clone();
        async move {
            while conn.head().await.is_some() {
                if n == 0 {
                    wait.wait_for(|go| *go).await.unwrap();
                }
                conn.send(&ok("old")).await;
            }
        }
    })
    .await;
    let new = Dyno::saying("new").await;
    let world = World::start().await;
    world.shop(Up, &[old.addr]).await;
    let mut waiting = world.client().await;
    waiting.send(&get("/")).await;
    eventually("the first request", || (old.connections() == 1).then_some(())).await;
    assert_eq!(world.get("/").await.body, "old");
    assert_eq!(old.connections(), 2);
    world.shop(Up, &[new.addr]).await;
    assert_eq!(world.get("/").await.body, "new");
    go.send(true).unwrap();
    assert_eq!(waiting.answer().await.body, "old");
    waiting.send(&get("/")).await;
    assert_eq!(waiting.answer().await.body, "new");
    assert_eq!(old.connections(), 2);
}

#[tokio::test]
async fn a_stop_lets_requests_finish_and_takes_no_new_ones() {
    let (go, wait) = tokio::sync::watch::channel(false);
    let dyno = Dyno::script(move |mut conn, _| {
        let mut wait = wait.clone();
        async move {
            conn.head().await;
            wait.wait_for(|go| *go).await.unwrap();
            conn.send(&ok("finished")).await;
        }
    })
    .await;
    let mut world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let mut client = world.client().await;
    client.send(&get("/")).await;
    eventually("the request", || (dyno.connections() == 1).then_some(())).await;
    world.tell_stop();
    let addr = world.addr;
    let refused = async {
        while tokio::net::TcpStream::connect(addr).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, refused).await.unwrap();
    go.send(true).unwrap();
    assert_eq!(client.answer().await.body, "finished");
    world.stop().await;
    assert!(client.ended().await);
    assert!(world.line().await.contains("status=200"));
}

#[tokio::test]
async fn clients_that_have_connected_are_served_when_the_router_stops() {
    let dyno = Dyno::saying("served").await;
    let mut world = World::on(Arc::new(tempfile::tempdir().unwrap()), patient(), 2).await;
    world.shop(Up, &[dyno.addr]).await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = world.client().await;
        client.send(&get("/")).await;
        clients.push(client);
    }
    world.stop().await;
    for mut client in clients {
        assert_eq!(client.answer().await.body, "served");
    }
    assert_eq!(world.lines(100).await.len(), 100);
}
