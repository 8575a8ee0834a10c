//! Dynos that are taken out of the table while requests are in progress.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use api::ids::AppId;
use futures::{SinkExt, StreamExt};
use router::AppState::{Booting, NoWeb, Up};
use router::{AppRoute, Control, InUse};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, client_async};

use crate::support::*;

/// A dyno that responds to one request per permit, and counts the requests.
struct Held {
    dyno: Dyno,
    came: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
}

impl Held {
    async fn new() -> Held {
        let (came, permits) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (count, wait) = (came.clone(), permits.clone());
        let dyno = Dyno::script(move |mut conn, _| {
            let (count, wait) = (count.clone(), wait.clone());
            async move {
                while let Some(head) = conn.head().await {
                    conn.body(&head).await;
                    count.fetch_add(1, SeqCst);
                    wait.acquire().await.unwrap().forget();
                    conn.send(&ok("at last")).await;
                }
            }
        })
        .await;
        Held { dyno, came, permits }
    }

    /// Begins a request on a new connection. Requests are answered in order of arrival.
    async fn ask(&self, world: &World) -> Conn<TcpStream> {
        let before = self.came.load(SeqCst);
        let mut client = world.client().await;
        client.send(&get("/")).await;
        eventually("a request at the dyno", || (self.came.load(SeqCst) > before).then_some(())).await;
        client
    }
}

/// Takes all dynos of the shop out of the table.
async fn empty(control: &Control) -> InUse {
    control.put(&shop(NoWeb, &[])).await.unwrap()
}

async fn busy(world: &World) -> Vec<SocketAddr> {
    world.control.in_use().await.unwrap().busy
}

/// Waits until one of these dynos has no requests in progress.
fn drained(world: &World, dynos: &[SocketAddr]) -> JoinHandle<InUse> {
    let (control, dynos) = (world.control.clone(), dynos.to_vec());
    tokio::spawn(async move { control.drained(&dynos).await.unwrap() })
}

#[tokio::test]
async fn a_dyno_is_busy_until_its_last_request_has_been_answered() {
    let (held, idle) = (Held::new().await, Dyno::saying("hello").await);
    let world = World::start().await;
    world.shop(Up, &[held.dyno.addr]).await;
    let clients = [held.ask(&world).await, held.ask(&world).await];
    world.shop(Up, &[idle.addr]).await;
    assert_eq!(world.get("/").await.body, "hello");
    assert_eq!(empty(&world.control).await, InUse { version: 7, busy: vec![held.dyno.addr], unsaved: false });

    let waiting = drained(&world, &[held.dyno.addr]);
    for mut client in clients {
        assert_eq!(busy(&world).await, [held.dyno.addr]);
        held.permits.add_permits(1);
        assert_eq!(client.answer().await.body, "at last");
    }
    assert_eq!(waiting.await.unwrap(), InUse { version: 7, busy: Vec::new(), unsaved: false });
    assert_eq!(held.came.load(SeqCst), 2);
}

#[tokio::test]
async fn a_stream_keeps_a_dyno_busy_until_its_client_leaves() {
    let held = Held::new().await;
    let world = World::start().await;
    world.shop(Up, &[held.dyno.addr]).await;
    let client = held.ask(&world).await;
    assert_eq!(empty(&world.control).await.busy, [held.dyno.addr]);
    let waiting = drained(&world, &[held.dyno.addr]);
    drop(client);
    assert!(waiting.await.unwrap().busy.is_empty());
}

#[tokio::test]
async fn a_websocket_does_not_keep_a_dyno_busy() {
    let dyno = Dyno::script(|conn, _| async move {
        let mut socket = accept_async(conn.stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() && socket.send(message).await.is_err() {
                return;
            }
        }
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    let (mut socket, _) = client_async("ws://shop.apps.test/", world.client().await.stream).await.unwrap();
    assert!(empty(&world.control).await.busy.is_empty());
    // It continues nevertheless.
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
}

#[tokio::test]
async fn whoever_waits_for_several_dynos_hears_of_the_first() {
    let (slow, quick) = (Held::new().await, Held::new().await);
    let world = World::start().await;
    let mut clients = Vec::new();
    for held in [&slow, &quick] {
        world.shop(Up, &[held.dyno.addr]).await;
        clients.push(held.ask(&world).await);
    }
    let mut both = vec![slow.dyno.addr, quick.dyno.addr];
    both.sort();
    let mut found = empty(&world.control).await.busy;
    found.sort();
    assert_eq!(found, both);
    let waiting = drained(&world, &both);
    quick.permits.add_permits(1);
    assert_eq!(waiting.await.unwrap().busy, [slow.dyno.addr]);
    // One of them has none already.
    assert_eq!(drained(&world, &both).await.unwrap().busy, [slow.dyno.addr]);
}

#[tokio::test]
async fn dynos_of_an_app_that_is_gone_are_waited_for_too() {
    let held = Held::new().await;
    let world = World::start().await;
    world.shop(Up, &[held.dyno.addr]).await;
    let mut client = held.ask(&world).await;
    let mut routes = shop(Up, &[]);
    routes.apps = vec![AppRoute { app_id: AppId::nil(), name: "other".into(), ..routes.apps.remove(0) }];
    assert_eq!(world.control.put(&routes).await.unwrap().busy, [held.dyno.addr]);
    let waiting = drained(&world, &[held.dyno.addr]);
    held.permits.add_permits(1);
    assert_eq!(client.answer().await.body, "at last");
    assert!(waiting.await.unwrap().busy.is_empty());
}

#[tokio::test]
async fn a_request_that_waits_for_another_dyno_does_not_keep_the_first_one_busy() {
    let (came, permits) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, wait) = (came.clone(), permits.clone());
    // It closes its connection instead of answering the second request.
    let first = Dyno::script(move |mut conn, _| {
        let (count, wait) = (count.clone(), wait.clone());
        async move {
            conn.head().await.unwrap();
            conn.send(&ok("once")).await;
            conn.head().await.unwrap();
            count.fetch_add(1, SeqCst);
            wait.acquire().await.unwrap().forget();
        }
    })
    .await;
    let second = Dyno::saying("twice").await;
    let world = World::start().await;
    world.shop(Up, &[first.addr]).await;
    assert_eq!(world.get("/").await.body, "once");
    let mut client = world.client().await;
    client.send(&get("/")).await;
    eventually("a request at the dyno", || (came.load(SeqCst) == 1).then_some(())).await;
    assert_eq!(world.control.put(&shop(Booting, &[])).await.unwrap().busy, [first.addr]);

    let waiting = drained(&world, &[first.addr]);
    permits.add_permits(1);
    // Not because the router had waited long enough: then it would still be busy.
    assert!(waiting.await.unwrap().busy.is_empty());
    world.shop(Up, &[second.addr]).await;
    assert_eq!(client.answer().await.body, "twice");
}
