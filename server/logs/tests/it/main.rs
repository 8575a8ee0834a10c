//! Followers in a separate process, killed again and again.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::ids::{AppId, RunId};
use logs::{Dyno, Filter, Follower, History, Limits, Query, Router};
use spool::{Entry, Reader, Writer};

const WORLD: &str = "LOGS_TEST_WORLD";
/// The letter of the entries: those of a dyno, or of the router.
const KIND: &str = "LOGS_TEST_KIND";
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

/// One step of whoever follows entries of this kind.
fn stepper(history: Arc<History>, world: &Path, kind: u8) -> Box<dyn FnMut(usize) -> usize> {
    if kind == b'r' {
        let mut router = Router::new(history, &world.join("spool")).unwrap();
        return Box::new(move |most| router.step(most, |_| true).unwrap());
    }
    let mut follower = follower(history, world);
    Box::new(move |most| follower.step(most).unwrap())
}

/// Does nothing unless started by the tests below: then it is the process that is killed.
#[test]
fn process_that_follows() {
    let Some(world) = std::env::var_os(WORLD).map(PathBuf::from) else {
        return;
    };
    let mut step = stepper(history(&world), &world, std::env::var(KIND).unwrap().as_bytes()[0]);
    loop {
        if step(50) == 0 {
            std::thread::yield_now();
        }
    }
}

fn start(world: &Path, kind: u8) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process_that_follows"])
        .env(WORLD, world)
        .env(KIND, char::from(kind).to_string())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_killed_process_neither_loses_nor_doubles_a_line() {
    kill_again_and_again(b'o');
}

#[test]
fn a_killed_process_neither_loses_nor_doubles_a_request() {
    kill_again_and_again(b'r');
}

#[test]
fn a_follower_knows_when_the_last_entries_were_written() {
    let world = tempfile::tempdir().unwrap();
    let history = history(world.path());
    let mut writer = Writer::open(&world.path().join("spool"), 50_000).unwrap();
    let times = |follower: &Follower| {
        follower.last_times().map(|times| times.iter().map(|at| at.timestamp_micros()).collect::<Vec<_>>())
    };
    let mut first = follower(history.clone(), world.path());
    assert_eq!(times(&first), Some(Vec::new()));
    for n in 0..12 {
        writer.append(&Entry { at_us: n, kind: b'o', text: b"x".to_vec() }).unwrap();
    }
    writer.flush().unwrap();
    while first.step(5).unwrap() > 0 {}
    assert_eq!(times(&first), Some((2..12).collect()));
    // It does not know what the one before has copied.
    assert_eq!(times(&follower(history, world.path())), None);
}

fn kill_again_and_again(kind: u8) {
    // Also lines that are not stored as they are.
    let said = |n: u64| if n.is_multiple_of(7) { format!("line {n} \u{2013} x") } else { format!("line {n}") };
    let id = if kind == b'r' { format!("{APP} ") } else { String::new() };
    let world = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(&world.path().join("spool"), 50_000).unwrap();
    let mut written = 0;
    for _ in 0..15 {
        let mut child = start(world.path(), kind);
        // It has started once it has copied something; then it is killed in the middle of its work.
        let before = bytes_in(world.path());
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut busy = 0;
        while busy < 40 {
            assert!(Instant::now() < deadline, "nothing is brought");
            for _ in 0..100 {
                let text = format!("{id}{}", said(written)).into_bytes();
                let at_us = chrono::Utc::now().timestamp_micros();
                writer.append(&Entry { at_us, kind, text }).unwrap();
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
    let mut step = stepper(Arc::clone(&history), world.path(), kind);
    while step(10_000) > 0 {}
    let lines = history.read(APP, &Query::default()).unwrap();
    let mut count = 0;
    for line in lines {
        assert_eq!(line.text, said(count));
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
