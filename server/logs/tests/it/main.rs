//! A follower in a separate process, killed again and again.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::ids::{AppId, RunId};
use logs::{Dyno, Filter, Follower, History, Limits, Query};
use spool::{Entry, Reader, Writer};

const WORLD: &str = "LOGS_TEST_WORLD";
const APP: AppId = AppId::from_u128(1);

fn history(world: &Path) -> Arc<History> {
    let limits = Limits { segment_bytes: 100_000, ..Limits::default() };
    History::open_with(&world.join("logs"), limits).unwrap()
}

fn follower(history: Arc<History>, world: &Path) -> Follower {
    let dyno = Dyno { app: APP, id: RunId::from_u128(9), name: "web.1".to_owned() };
    let spool = world.join("spool");
    Follower::new(history, dyno, move |from| Box::new(Reader::new(&spool, from))).unwrap()
}

/// Does nothing unless started by the test below: then it is the process that is killed.
#[test]
fn process_that_follows() {
    let Some(world) = std::env::var_os(WORLD).map(PathBuf::from) else {
        return;
    };
    let mut follower = follower(history(&world), &world);
    loop {
        if follower.step(50).unwrap() == 0 {
            std::thread::yield_now();
        }
    }
}

fn start(world: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process_that_follows"])
        .env(WORLD, world)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_killed_process_neither_loses_nor_doubles_a_line() {
    let world = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(&world.path().join("spool"), 50_000).unwrap();
    let mut written = 0;
    for _ in 0..15 {
        let mut child = start(world.path());
        // It has started once it has copied something; then it is killed in the middle of its work.
        let before = bytes_in(world.path());
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut busy = 0;
        while busy < 40 {
            assert!(Instant::now() < deadline, "nothing is brought");
            for _ in 0..100 {
                let text = format!("line {written}").into_bytes();
                let at_us = chrono::Utc::now().timestamp_micros();
                writer.append(&Entry { at_us, kind: b'o', text }).unwrap();
                written += 1;
            }
            writer.flush().unwrap();
            busy += usize::from(bytes_in(world.path()) != before);
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let history = history(world.path());
    let mut follower = follower(Arc::clone(&history), world.path());
    while follower.step(10_000).unwrap() > 0 {}
    let lines = history.read(APP, &Query::default()).unwrap();
    let mut count = 0;
    for line in lines {
        assert_eq!(line.text, format!("line {count}"));
        count += 1;
        assert_eq!(line.seq, count);
    }
    assert_eq!(count, written);
    let last = history.last(APP, 1, &Filter::default()).unwrap();
    assert_eq!(last[0].seq, written);
}

/// Changes whenever something was appended.
fn bytes_in(world: &Path) -> u64 {
    let files = std::fs::read_dir(world.join("logs").join(APP.to_string()));
    let files = files.into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|m| m.len()).sum()
}
