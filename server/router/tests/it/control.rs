//! The control socket, the copy on disk, the counters.

use std::os::unix::fs::PermissionsExt;

use router::AppState::{Maintenance, NoWeb, Up};
use router::{Control, Error};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::support::*;

#[tokio::test]
async fn a_table_holds_from_the_answer_on_and_is_on_disk() {
    let dyno = Dyno::saying("hello").await;
    let world = World::start().await;
    assert_eq!(world.control.version().await.unwrap(), 0);
    let routes = shop(Up, &[dyno.addr]);
    world.control.put(&routes).await.unwrap();
    assert_eq!(world.get("/").await.body, "hello");
    assert_eq!(world.control.version().await.unwrap(), 7);
    let path = router::table_dir(world.dir.path()).join("routes.json");
    let disk: router::Routes = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(disk, routes);
    world.control.put(&shop(Maintenance, &[dyno.addr])).await.unwrap();
    assert_eq!(world.get("/").await.status, 503);
    let mode = std::fs::metadata(world.dir.path().join("run/router.sock")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_new_router_continues_with_the_last_table() {
    let dyno = Dyno::saying("still here").await;
    let mut world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    world.stop().await;
    assert!(matches!(world.control.version().await, Err(Error::Unreachable { .. })));
    let world = World::on(world.dir.clone(), patient(), 2).await;
    assert_eq!(world.get("/").await.body, "still here");
    assert_eq!(world.control.version().await.unwrap(), 7);
}

#[tokio::test]
async fn a_broken_copy_does_not_keep_the_router_down() {
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let table = router::table_dir(dir.path());
    std::fs::create_dir_all(&table).unwrap();
    std::fs::write(table.join("routes.json"), "{\"version\": 3, \"apps").unwrap();
    let world = World::on(dir, patient(), 2).await;
    assert_eq!(world.control.version().await.unwrap(), 0);
    world.shop(NoWeb, &[]).await;
    assert!(world.get("/").await.body.contains("H14"));
}

#[tokio::test]
async fn an_invalid_table_is_rejected_with_a_message() {
    let world = World::start().await;
    world.shop(NoWeb, &[]).await;
    let socket = world.dir.path().join("run/router.sock");
    let mut client = Conn::new(UnixStream::connect(socket).await.unwrap());
    client.send("PUT /routes HTTP/1.1\r\nHost: r\r\nContent-Length: 2\r\n\r\n{}").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.starts_with("The body is not a valid routing table: "), "{}", answer.body);
    assert_eq!(world.control.version().await.unwrap(), 7);
    let nowhere = Control::new(std::path::Path::new("/nonexistent"));
    let error = nowhere.put(&shop(Up, &[])).await.unwrap_err();
    assert!(error.to_string().starts_with("The router is not responding on /nonexistent/router.sock."));
}

#[tokio::test]
async fn requests_are_counted() {
    let dyno = Dyno::answering(|head, _| match head.contains("/missing") {
        true => "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone".to_owned(),
        false => ok("ten bytes!"),
    })
    .await;
    let world = World::start().await;
    world.shop(Up, &[dyno.addr]).await;
    for path in ["/", "/", "/missing"] {
        world.get(path).await;
    }
    let mut client = world.client().await;
    client.send("POST / HTTP/1.1\r\nHost: shop.apps.test\r\nContent-Length: 3\r\n\r\nabc").await;
    client.answer().await;
    let earlier = world.control.counters().await.unwrap();
    world.shop(NoWeb, &[]).await;
    world.get("/").await;
    let counters = world.control.counters().await.unwrap();
    let app = &counters.apps[0];
    assert_eq!(app.app_id, SHOP);
    assert_eq!(app.statuses, [0, 3, 0, 1, 1]);
    assert_eq!((app.bytes_in, app.bytes_out, app.inflight), (3, 34, 0));
    assert_eq!(app.codes.get("H14"), Some(&1));
    assert_eq!(app.service.count(), 5);
    assert!(app.service.quantile(0.95).is_some());
    let since = app.since(&earlier.apps[0]);
    assert_eq!((since.requests(), since.statuses[4]), (1, 1));
    assert_eq!(counters.lines_dropped, 0);
}

#[tokio::test]
async fn a_table_that_cannot_be_written_is_in_use_and_said_to_be_unsaved() {
    let dyno = Dyno::saying("hello").await;
    let world = World::start().await;
    let obstacle = router::table_dir(world.dir.path()).join("routes.json.new");
    std::fs::create_dir(&obstacle).unwrap();
    let routes = shop(Up, &[dyno.addr]);
    let in_use = world.control.put(&routes).await.unwrap();
    assert_eq!((in_use.version, in_use.unsaved), (7, true));
    assert_eq!(world.control.in_use().await.unwrap(), in_use);
    assert_eq!(world.get("/").await.body, "hello");

    std::fs::remove_dir(&obstacle).unwrap();
    assert!(!world.control.put(&routes).await.unwrap().unsaved);
    assert!(!world.control.in_use().await.unwrap().unsaved);
}

#[tokio::test]
async fn a_table_is_not_written_while_an_earlier_one_is_even_if_its_sender_has_left() {
    let world = World::start().await;
    let (version, table) = (async || world.control.version().await.unwrap(), router::table_dir(world.dir.path()));
    let (new, pipe) = (table.join("routes.json.new"), table.join("pipe"));
    // Opening it takes until somebody reads it.
    assert!(std::process::Command::new("mkfifo").arg(&new).status().unwrap().success());
    let socket = world.dir.path().join("run/router.sock");
    let mut sender = UnixStream::connect(&socket).await.unwrap();
    let body = serde_json::to_string(&shop(NoWeb, &[])).unwrap();
    let length = body.len();
    let request = format!("PUT /routes HTTP/1.1\r\nHost: r\r\nContent-Length: {length}\r\n\r\n{body}");
    sender.write_all(request.as_bytes()).await.unwrap();
    let used = async { while version().await != 7 {} };
    tokio::time::timeout(LONG, used).await.unwrap();
    drop(sender);
    let (control, next) = (world.control.clone(), router::Routes { version: 8, ..shop(NoWeb, &[]) });
    let second = tokio::spawn(async move { control.put(&next).await.unwrap() });
    let mut seen = Vec::new();
    for _ in 0..100 {
        seen.push(version().await);
    }
    // Lets the first one go on before anything is asserted: a test that fails must be able to end. Renamed, so that
    // the second one gets a file of its own.
    let renamed = std::fs::rename(&new, &pipe).is_ok();
    if renamed {
        let read = move || drop(std::fs::read(&pipe).unwrap());
        tokio::task::spawn_blocking(read).await.unwrap();
    }
    assert!(renamed && seen.iter().all(|version| *version == 7), "{seen:?}");
    let in_use = second.await.unwrap();
    assert_eq!((in_use.version, in_use.unsaved), (8, false));
    let disk: router::Routes = serde_json::from_slice(&std::fs::read(table.join("routes.json")).unwrap()).unwrap();
    assert_eq!(disk.version, 8);
}
