//! A router that can open few files, in a separate process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use api::ids::AppId;
use router::{AppRoute, AppState, Backend, Config, Router, Routes, Sockets};
use spool::{Cursor, Reader};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::support::*;

const DIR: &str = "ROUTER_TEST_DIR";
const FILES: &str = "ROUTER_TEST_FILES";

const APPS: usize = 300;
const CLIENTS: usize = 8;

/// Sets how many files a process can open; 0 is this one.
fn limit_files(pid: libc::pid_t, files: libc::rlim_t) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls are given a struct on our stack, or nothing.
    let results = unsafe {
        let found = libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &mut limit);
        limit.rlim_cur = files;
        (found, libc::prlimit(pid, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()))
    };
    assert_eq!(results, (0, 0));
}

/// Does nothing unless started by the tests below: the limit is that of a whole process.
#[tokio::test]
async fn process_with_few_files() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), &dir, dir.join("run"));
    config.workers = 2;
    let sockets = Sockets::bind(&config).unwrap();
    limit_files(0, std::env::var(FILES).unwrap().parse().unwrap());
    let router = Router::new(config, sockets).unwrap();
    std::fs::write(dir.join("addr.new"), router.addr().to_string()).unwrap();
    std::fs::rename(dir.join("addr.new"), dir.join("addr")).unwrap();
    let stopped = async {
        let _ = tokio::io::stdin().read(&mut [0]).await;
    };
    router.run(stopped).await.unwrap();
}

/// A router with a limit of open files, and its process.
async fn start(files: u64) -> (World, libc::pid_t) {
    router::raise_file_limit();
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "files::process_with_few_files"])
        .env(DIR, dir.path())
        .env(FILES, files.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pid = child.id().unwrap() as libc::pid_t;
    let addr: SocketAddr = eventually("the address of the router", || {
        assert!(child.try_wait().unwrap().is_none(), "the router has ended");
        std::fs::read_to_string(dir.path().join("addr")).ok()?.parse().ok()
    })
    .await;
    let (stop, stopped) = oneshot::channel();
    let run = tokio::spawn(run(child, stopped));
    (World::of_process(dir, addr, stop, run), pid)
}

async fn run(mut child: Child, stopped: oneshot::Receiver<()>) -> anyhow::Result<()> {
    let _ = stopped.await;
    drop(child.stdin.take());
    anyhow::ensure!(child.wait().await?.success(), "the router failed");
    Ok(())
}

/// Apps that share a dyno, each with connections of its own.
fn apps(dyno: SocketAddr) -> Routes {
    let app = |n: usize| AppRoute {
        app_id: AppId::from_u128(n as u128),
        name: format!("app{n}"),
        hosts: vec![],
        state: AppState::Up,
        dynos: vec![Backend { dyno: "web.1".into(), addr: dyno }],
        standby: vec![],
    };
    Routes {
        version: 7,
        platform_hosts: vec!["wharf.test".into()],
        apps_domain: "apps.test".into(),
        apps: (0..APPS).map(app).collect(),
    }
}

/// A dyno that responds with the path.
async fn dyno() -> Dyno {
    Dyno::answering(|head, _| ok(head.split(' ').nth(1).unwrap())).await
}

async fn ask(client: &mut Conn<TcpStream>, app: usize, path: &str) {
    client.send(&format!("GET {path} HTTP/1.1\r\nHost: app{app}.apps.test\r\n\r\n")).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (200, path));
}

/// A client that has been served, perhaps after others were rejected.
async fn served_client(world: &World) -> Conn<TcpStream> {
    loop {
        let mut client = world.client().await;
        let _ = client.stream.write_all(b"GET / HTTP/1.1\r\nHost: app0.apps.test\r\n\r\n").await;
        let Some(head) = client.head().await else { continue };
        if head.starts_with("HTTP/1.1 200") {
            assert_eq!(client.body(&head).await.as_deref(), Some("/"));
            return client;
        }
    }
}

/// Requests to each app in turn, by several clients at the same time.
async fn ask_all(world: &World) {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut client = world.client().await;
        clients.spawn(async move {
            for app in 0..APPS {
                ask(&mut client, app, "/").await;
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
}

/// The number of lines of each app.
fn lines(world: &World) -> BTreeMap<AppId, usize> {
    let mut reader = Reader::new(&router::spool_dir(world.dir.path()), Cursor::default());
    let mut lines = BTreeMap::new();
    loop {
        let entries = reader.read(1000).unwrap();
        if entries.is_empty() {
            return lines;
        }
        for entry in entries {
            let text = String::from_utf8(entry.text).unwrap();
            let (app, text) = text.split_once(' ').unwrap();
            assert!(text.starts_with("at=info method=GET ") && text.contains(" status=200 "), "{text}");
            *lines.entry(app.parse().unwrap()).or_default() += 1;
        }
    }
}

fn all_apps(each: usize) -> BTreeMap<AppId, usize> {
    (0..APPS).map(|n| (AppId::from_u128(n as u128), each)).collect()
}

#[tokio::test]
async fn more_apps_than_files_are_requested_in_turn_without_a_failure() {
    let dyno = dyno().await;
    let (mut world, _) = start(256).await;
    world.control.put(&apps(dyno.addr)).await.unwrap();
    for _ in 0..2 {
        ask_all(&world).await;
    }
    let counters = world.control.counters().await.unwrap();
    assert_eq!(counters.lines_dropped, 0);
    world.stop().await;
    assert_eq!(lines(&world), all_apps(2 * CLIENTS));
}

/// As if other processes had used up the files that the router relies on.
#[tokio::test]
async fn idle_connections_are_closed_when_no_file_is_left() {
    let dyno = dyno().await;
    let (mut world, pid) = start(4096).await;
    world.control.put(&apps(dyno.addr)).await.unwrap();
    ask_all(&world).await;
    limit_files(pid, 64);
    ask_all(&world).await;
    assert_eq!(world.control.version().await.unwrap(), 7);
    world.stop().await;
    assert_eq!(lines(&world), all_apps(2 * CLIENTS));
}

#[tokio::test]
async fn with_as_many_clients_as_possible_the_control_socket_and_the_log_work() {
    // A line of some 8 KB: more of them than fit into one file of the spool.
    const REQUESTS: usize = 1200;
    let dyno = dyno().await;
    let (mut world, _) = start(256).await;
    let routes = apps(dyno.addr);
    world.control.put(&routes).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(world.client().await);
    }
    let mut client = served_client(&world).await;
    let path = format!("/{}", "x".repeat(8000));
    for n in 0..REQUESTS {
        ask(&mut client, 1, &path).await;
        if n % 100 == 0 {
            world.control.put(&routes).await.unwrap();
            assert!(world.control.counters().await.unwrap().connections < 256);
        }
    }
    world.stop().await;
    let expected = [(0, 1), (1, REQUESTS)].map(|(n, lines)| (AppId::from_u128(n), lines));
    assert_eq!(lines(&world), BTreeMap::from(expected));
    assert!(std::fs::read_dir(router::spool_dir(world.dir.path())).unwrap().count() > 1);
}
