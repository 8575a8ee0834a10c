//! Tests of the history as a whole.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::ids::{AppId, RunId};
use chrono::{DateTime, Utc};
use spool::{Cursor, Entry, Reader, Writer};

use crate::{Budget, Dyno, Error, Filter, Follower, History, Level, Limits, Line, NewLine, Query, Router, segment};

const APP: AppId = AppId::from_u128(1);

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
}

fn line(n: i64) -> NewLine {
    NewLine::app(at(n), "web.1", format!("line {n}"))
}

fn texts(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

fn numbered(range: std::ops::Range<i64>) -> Vec<String> {
    range.map(|n| format!("line {n}")).collect()
}

/// Small segments, so that a test has many.
fn small() -> Limits {
    Limits { segment_bytes: 200_000, age: Duration::from_secs(100 * 365 * 24 * 3600), ..Limits::default() }
}

fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let app = dir.join(APP.to_string());
    let Ok(files) = std::fs::read_dir(app) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = files.map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == extension));
    files.sort();
    files
}

fn fill(history: &History, range: std::ops::Range<i64>) {
    let all: Vec<i64> = range.collect();
    for batch in all.chunks(700) {
        history.append(APP, batch.iter().map(|n| line(*n)).collect()).unwrap();
    }
}

#[test]
fn lines_survive_a_restart_and_numbers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let all = Filter::default();
    for start in [0, 5, 10] {
        let history = History::open(dir.path()).unwrap();
        fill(&history, start..start + 5);
    }
    let history = History::open(dir.path()).unwrap();
    let lines = history.last(APP, 100, &all).unwrap();
    assert_eq!(texts(&lines), numbered(0..15));
    let seqs: Vec<u64> = lines.iter().map(|l| l.seq).collect();
    assert_eq!(seqs, (1..16).collect::<Vec<u64>>());
    assert_eq!(texts(&history.last(APP, 3, &all).unwrap()), numbered(12..15));
    assert_eq!(texts(&history.after(APP, 13, 100, &all).unwrap()), numbered(13..15));
    assert_eq!(texts(&history.after(APP, 2, 2, &all).unwrap()), numbered(2..4));
    assert!(history.after(APP, 15, 100, &all).unwrap().is_empty());
    assert!(history.last(APP, 0, &all).unwrap().is_empty());
    assert!(history.last(AppId::from_u128(2), 10, &all).unwrap().is_empty());
}

#[test]
fn segments_are_packed_and_read_alike() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open_with(dir.path(), small()).unwrap();
    fill(&history, 0..50_000);
    assert!(files(dir.path(), "zst").len() > 5);
    assert_eq!(files(dir.path(), "log").len(), 1);
    for history in [history, History::open_with(dir.path(), small()).unwrap()] {
        let all = history.read(APP, &Query::default()).unwrap().collect::<Vec<Line>>();
        assert_eq!(texts(&all), numbered(0..50_000));
        assert!(all.windows(2).all(|two| two[0].seq + 1 == two[1].seq));
        for n in [1, 100, 12_345, 49_999, 50_000, 60_000] {
            let last = history.last(APP, n, &Filter::default()).unwrap();
            assert_eq!(texts(&last), numbered((50_000 - n as i64).max(0)..50_000));
        }
        let before = Query { before: Some(1_001), last: Some(10), ..Query::default() };
        let page: Vec<Line> = history.read(APP, &before).unwrap().collect();
        assert_eq!(texts(&page), numbered(990..1_000));
        let totals = history.totals(APP).unwrap();
        assert_eq!((totals.lines, totals.newest_seq, totals.oldest), (50_000, 50_000, Some(at(0))));
        assert!(totals.bytes < 1_000_000, "{totals:?}");
    }
}

/// A filter, and an equivalent predicate in Rust.
type Case = (Filter, fn(&Line) -> bool);

fn word_cases() -> Vec<Case> {
    let source = |s: &str| Filter { source: Some(s.to_owned()), ..Filter::default() };
    let dyno = |s: &str| Filter { dyno: Some(s.to_owned()), ..Filter::default() };
    let text = |s: &str| Filter { text: Some(s.to_owned()), ..Filter::default() };
    let regex = |s: &str| Filter { regex: Some(s.to_owned()), ..Filter::default() };
    vec![
        (source("heroku"), |l| l.source == "heroku"),
        (dyno("web"), |l| l.dyno.starts_with("web.")),
        (dyno("web.2"), |l| l.dyno == "web.2"),
        (text("üNÏCODE 1"), |l| l.text.starts_with("Ünïcode 1")),
        (text("ok 19995"), |l| l.text == "ok 19995"),
        (text("nowhere"), |_| false),
        (regex("^ok 1.5$"), |l| l.text.starts_with("ok 1") && l.text.ends_with('5') && l.text.len() == 6),
    ]
}

fn other_cases() -> Vec<Case> {
    let level = |level| Filter { level: Some(level), ..Filter::default() };
    let window = Filter { since: Some(at(5_000)), until: Some(at(5_100)), ..Filter::default() };
    let worker = Filter { since: Some(at(19_990)), dyno: Some("worker".to_owned()), ..Filter::default() };
    vec![
        (level(Level::Error), |l| l.level == Level::Error),
        (level(Level::Warn), |l| l.level >= Level::Warn),
        (window, |l| l.at >= at(5_000) && l.at < at(5_100)),
        (worker, |l| l.at >= at(19_990) && l.dyno == "worker.1"),
    ]
}

fn mixed_lines() -> Vec<NewLine> {
    let words = ["ok", "ERROR boom", "Ünïcode", "GET /x?y=1", "warn: pool"];
    let line = |n: i64| NewLine {
        // Slightly out of order.
        at: at(n + (n * 7) % 5),
        source: if n % 3 == 0 { "heroku" } else { "app" }.to_owned(),
        dyno: ["web.1", "web.2", "worker.1", "router"][n as usize % 4].to_owned(),
        text: format!("{} {n}", words[n as usize % words.len()]),
    };
    (0..20_000).map(line).collect()
}

#[test]
fn filters_agree_with_a_plain_search() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open_with(dir.path(), small()).unwrap();
    for batch in mixed_lines().chunks(333) {
        history.append(APP, batch.to_vec()).unwrap();
    }
    let all: Vec<Line> = history.read(APP, &Query::default()).unwrap().collect();
    assert_eq!(all.len(), 20_000);
    assert!(all.iter().any(|l| l.level == Level::Error) && all.iter().any(|l| l.level == Level::Warn));
    for (filter, check) in word_cases().into_iter().chain(other_cases()) {
        let wanted: Vec<Line> = all.iter().filter(|l| check(l)).cloned().collect();
        let found = history.after(APP, 0, usize::MAX, &filter).unwrap();
        assert_eq!(found, wanted, "{filter:?}");
        for n in [1, 7, 5_000] {
            let from = wanted.len().saturating_sub(n);
            assert_eq!(history.last(APP, n, &filter).unwrap(), wanted[from..], "{filter:?} {n}");
        }
        let counts = history.density(APP, &filter, 37, (at(-3), at(20_010)), &Budget::default()).unwrap();
        assert_eq!(counts.iter().map(|c| c.lines).sum::<u64>(), wanted.len() as u64);
        let errors = wanted.iter().filter(|l| l.level == Level::Error).count() as u64;
        assert_eq!(counts.iter().map(|c| c.errors).sum::<u64>(), errors);
    }
}

#[test]
fn density_is_counted_in_the_right_place() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open_with(dir.path(), small()).unwrap();
    fill(&history, 0..30_000);
    history.append(APP, vec![NewLine::app(at(10), "web.1", "ERROR late")]).unwrap();
    let counts = history.density(APP, &Filter::default(), 3, (at(0), at(30_000)), &Budget::default()).unwrap();
    let pairs: Vec<(u64, u64)> = counts.iter().map(|c| (c.lines, c.errors)).collect();
    assert_eq!(pairs, [(10_001, 1), (10_000, 0), (10_000, 0)]);
    let counts = history.density(APP, &Filter::default(), 2, (at(100), at(102)), &Budget::default()).unwrap();
    assert_eq!(counts.iter().map(|c| c.lines).collect::<Vec<_>>(), [1, 1]);
    for (buckets, from, to) in [(0, 0, 1), (20_000, 0, 1), (5, 1, 1)] {
        let error = history.density(APP, &Filter::default(), buckets, (at(from), at(to)), &Budget::default());
        assert!(matches!(error, Err(crate::Error::Filter(_))));
    }
}

#[test]
fn old_lines_go_and_numbers_do_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = Limits { bytes: 100_000, ..small() };
    let history = History::open_with(dir.path(), bytes).unwrap();
    fill(&history, 0..100_000);
    let totals = history.totals(APP).unwrap();
    assert!(totals.bytes < 100_000 + 300_000, "{totals:?}");
    assert!(totals.lines < 90_000 && totals.newest_seq == 100_000);
    let last = history.last(APP, 2, &Filter::default()).unwrap();
    assert_eq!(texts(&last), numbered(99_998..100_000));

    let month = Limits { age: Duration::from_secs(1_000), ..small() };
    let history = History::open_with(dir.path(), month).unwrap();
    history.append_from(APP, vec![line(100_000)], "x", Cursor { segment: 1, offset: 2 }).unwrap();
    history.expire(at(500_000)).unwrap();
    assert!(history.last(APP, 10, &Filter::default()).unwrap().is_empty());
    let history = History::open_with(dir.path(), month).unwrap();
    assert_eq!(history.cursor(APP, "x").unwrap(), Some(Cursor { segment: 1, offset: 2 }));
    history.append(APP, vec![line(600_000)]).unwrap();
    assert_eq!(history.last(APP, 10, &Filter::default()).unwrap()[0].seq, 100_002);
}

#[test]
fn a_torn_tail_is_taken_back_wherever_it_tears() {
    let dir = tempfile::tempdir().unwrap();
    let place = |n| Cursor { segment: 1, offset: n };
    let history = History::open(dir.path()).unwrap();
    history.append_from(APP, vec![line(0), line(1)], "s", place(10)).unwrap();
    let file = files(dir.path(), "log").remove(0);
    let whole = std::fs::read(&file).unwrap();
    history.append_from(APP, vec![line(2), line(3)], "s", place(20)).unwrap();
    let more = std::fs::read(&file).unwrap();
    for length in whole.len()..=more.len() {
        std::fs::write(&file, &more[..length]).unwrap();
        let history = History::open(dir.path()).unwrap();
        let (lines, offset) = if length == more.len() { (4, 20) } else { (2, 10) };
        assert_eq!(history.cursor(APP, "s").unwrap(), Some(place(offset)), "{length}");
        assert_eq!(texts(&history.last(APP, 9, &Filter::default()).unwrap()), numbered(0..lines));
        history.append(APP, vec![line(lines)]).unwrap();
        let lines_then = history.last(APP, 9, &Filter::default()).unwrap();
        assert_eq!(texts(&lines_then), numbered(0..lines + 1));
        assert_eq!(lines_then.last().unwrap().seq, lines as u64 + 1);
    }
    // A power failure can leave zeros in place of lines.
    let mut zeros = more.clone();
    zeros[whole.len() + 30..].fill(0);
    std::fs::write(&file, zeros).unwrap();
    let history = History::open(dir.path()).unwrap();
    assert_eq!(history.cursor(APP, "s").unwrap(), Some(place(10)));
    assert_eq!(texts(&history.last(APP, 9, &Filter::default()).unwrap()), numbered(0..2));
}

#[test]
fn damage_in_the_middle_costs_no_more_than_its_batch() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(dir.path()).unwrap();
    let mut ends = Vec::new();
    for n in 0..3 {
        history.append(APP, vec![line(n)]).unwrap();
        let file = files(dir.path(), "log").remove(0);
        ends.push(std::fs::metadata(file).unwrap().len() as usize);
    }
    let file = files(dir.path(), "log").remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[ends[0]..ends[1] - 1].fill(b'x');
    std::fs::write(&file, bytes).unwrap();
    let history = History::open(dir.path()).unwrap();
    fill(&history, 3..4);
    let lines = history.last(APP, 9, &Filter::default()).unwrap();
    assert_eq!(texts(&lines), ["line 0", "line 2", "line 3"]);
    assert_eq!(lines[2].seq, 4);
}

#[test]
fn a_crash_while_packing_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open_with(dir.path(), small()).unwrap();
    fill(&history, 0..12_000);
    drop(history);
    let app = dir.path().join(APP.to_string());
    // As after a crash before the raw file was deleted, in the middle of writing another.
    let packed = files(dir.path(), "zst");
    let raw = packed[0].with_extension("log");
    let text = std::process::Command::new("zstdcat").arg(&packed[0]).output();
    let text = text.map(|out| out.stdout).unwrap_or_default();
    if !text.is_empty() {
        assert_eq!(segment::lines(&text).filter_map(|(_, r)| r).next().unwrap().seq, 1);
    }
    std::fs::write(&raw, text).unwrap();
    std::fs::write(app.join("00000000000000000009.tmp"), b"half").unwrap();
    let history = History::open_with(dir.path(), small()).unwrap();
    let all: Vec<Line> = history.read(APP, &Query::default()).unwrap().collect();
    assert_eq!(texts(&all), numbered(0..12_000));
    assert!(!raw.exists() && files(dir.path(), "tmp").is_empty());
}

#[test]
fn lines_are_added_once_even_if_an_old_segment_cannot_be_packed() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open_with(dir.path(), small()).unwrap();
    fill(&history, 0..1);
    let in_the_way = segment::packed_path(&dir.path().join(APP.to_string()), 1);
    std::fs::create_dir(&in_the_way).unwrap();
    fill(&history, 1..12_000);
    let all = history.read(APP, &Query::default()).unwrap().collect::<Vec<Line>>();
    assert_eq!(texts(&all), numbered(0..12_000));
    assert!(files(dir.path(), "log").len() > 1);
    std::fs::remove_dir(&in_the_way).unwrap();
    fill(&history, 12_000..24_000);
    assert_eq!(files(dir.path(), "log").len(), 1, "packed later");
    let all = history.read(APP, &Query::default()).unwrap().collect::<Vec<Line>>();
    assert_eq!(texts(&all), numbered(0..24_000));
}

#[tokio::test]
async fn a_tail_waits_reads_skips_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(dir.path()).unwrap();
    fill(&history, 0..10);
    let filter = Filter { text: Some("line 1".to_owned()), ..Filter::default() };
    let mut tail = history.tail(APP, 5, &filter).unwrap();
    assert!(tail.changed().await);
    assert!(tail.read(100, &Budget::default()).unwrap().is_empty());
    assert_eq!((tail.seq(), tail.lag()), (10, 0));
    let writer = Arc::clone(&history);
    let appending = tokio::task::spawn_blocking(move || fill(&writer, 10..20));
    assert!(tail.changed().await);
    appending.await.unwrap();
    assert_eq!(texts(&tail.read(4, &Budget::default()).unwrap()), numbered(10..14));
    assert_eq!((tail.seq(), tail.lag()), (14, 6));
    assert_eq!((tail.skip(2, &Budget::default()).unwrap(), tail.skip(2, &Budget::default()).unwrap()), (4, 0));
    assert_eq!(texts(&tail.read(9, &Budget::default()).unwrap()), numbered(18..20));
    // Lines that would not have been shown do not count as missed.
    let rare = Filter { text: Some("line 7".to_owned()), ..Filter::default() };
    let mut tail = history.tail(APP, 0, &rare).unwrap();
    assert_eq!((tail.skip(2, &Budget::default()).unwrap(), tail.seq()), (0, 7));
    assert_eq!(texts(&tail.read(9, &Budget::default()).unwrap()), numbered(7..8));
    history.delete(APP).unwrap();
    assert!(!tail.changed().await);
    history.append(APP, vec![line(1)]).unwrap();
    assert!(files(dir.path(), "log").is_empty());
    assert!(history.last(APP, 1, &Filter::default()).unwrap().is_empty());
}

/// A history and spools that survive crashes.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        World { dir: tempfile::tempdir().unwrap() }
    }

    fn history(&self) -> Arc<History> {
        History::open_with(&self.dir.path().join("logs"), small()).unwrap()
    }

    fn spool(&self) -> PathBuf {
        self.dir.path().join("spool")
    }

    fn writer(&self) -> Writer {
        Writer::open(&self.spool(), 2_000).unwrap()
    }

    fn dyno(&self) -> Dyno {
        Dyno { app: APP, id: RunId::from_u128(9), name: "web.1".to_owned() }
    }

    fn follower(&self, history: Arc<History>) -> Follower {
        let spool = self.spool();
        Follower::new(history, self.dyno(), move |from| Box::new(Reader::new(&spool, from))).unwrap()
    }
}

fn entry(kind: u8, text: impl Into<Vec<u8>>) -> Entry {
    Entry { at_us: 1_700_000_000_000_000, kind, text: text.into() }
}

#[test]
fn a_dynos_output_becomes_lines() {
    let world = World::new();
    let mut writer = world.writer();
    writer.append(&entry(b'o', "out\r")).unwrap();
    writer.append(&entry(b'e', b"bad \xff\x00 \x1b[31mred".to_vec())).unwrap();
    writer.append(&entry(b's', "State changed from starting to up")).unwrap();
    writer.append(&entry(b'o', "x".repeat(25_000))).unwrap();
    writer.flush().unwrap();
    let history = world.history();
    let mut follower = world.follower(Arc::clone(&history));
    assert_eq!(follower.step(100).unwrap(), 4);
    assert_eq!(follower.step(100).unwrap(), 0);
    let lines = history.last(APP, 100, &Filter::default()).unwrap();
    let shown: Vec<String> = lines[..3].iter().map(|l| l.to_string()).collect();
    assert_eq!(
        shown,
        [
            "2023-11-14T22:13:20.000000+00:00 app[web.1]: out",
            "2023-11-14T22:13:20.000000+00:00 app[web.1]: bad \u{fffd}\u{fffd} \u{1b}[31mred\u{1b}[0m",
            "2023-11-14T22:13:20.000000+00:00 heroku[web.1]: State changed from starting to up",
        ]
    );
    let lengths: Vec<usize> = lines[3..].iter().map(|l| l.text.len()).collect();
    assert_eq!(lengths, [10_000, 10_000, 5_000]);
    history.forget(APP, &world.dyno().id.to_string()).unwrap();
    assert_eq!(world.history().cursor(APP, &world.dyno().id.to_string()).unwrap(), None);
}

#[test]
fn a_server_killed_anywhere_neither_loses_nor_doubles_a_line() {
    let world = World::new();
    let mut writer = world.writer();
    let mut written = 0;
    let mut killed = 0;
    let mut seed = 12_345u64;
    for round in 0..60 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        for _ in 0..(seed >> 33) % 40 {
            writer.append(&entry(b'o', format!("line {written}"))).unwrap();
            written += 1;
        }
        writer.flush().unwrap();
        let mut follower = world.follower(world.history());
        let mut steps = (seed >> 40) % 5;
        while steps > 0 && follower.step(1 + (seed >> 20) as usize % 20).unwrap() > 0 {
            steps -= 1;
        }
        drop(follower);
        if round % 2 == 0 {
            // Killed during the last write: it is truncated at an arbitrary point.
            if let Some(file) = files(&world.dir.path().join("logs"), "log").last() {
                let bytes = std::fs::read(file).unwrap();
                let last = bytes.windows(2).rposition(|two| two == b"\n@").map_or(0, |n| n + 1);
                let cut = last + (seed >> 17) as usize % (bytes.len() - last).max(1);
                // Not beyond what caused spool segments to be deleted.
                let text = String::from_utf8_lossy(&bytes[..last]).into_owned();
                let oldest = std::fs::read_dir(world.spool()).unwrap();
                let oldest = oldest.map(|f| f.unwrap().file_name().into_string().unwrap()).min();
                let oldest: u64 = oldest.unwrap().replace(".spool", "").parse().unwrap();
                let kept = text.lines().rfind(|l| l.starts_with('@'));
                let kept = kept.and_then(|l| l.split(' ').nth(3)?.parse().ok()).unwrap_or(0);
                if kept >= oldest || (kept == 0 && last == 0 && round == 0) {
                    std::fs::write(file, &bytes[..cut]).unwrap();
                    killed += 1;
                }
            }
        }
    }
    let history = world.history();
    let mut follower = world.follower(Arc::clone(&history));
    while follower.step(100).unwrap() > 0 {}
    let lines: Vec<Line> = history.read(APP, &Query::default()).unwrap().collect();
    assert_eq!(texts(&lines), numbered(0..written));
    assert!(killed > 5, "{killed}");
    assert!(std::fs::read_dir(world.spool()).unwrap().count() <= 2);
}

#[test]
fn a_step_copies_so_many_entries_however_long_they_are() {
    let world = World::new();
    let mut writer = world.writer();
    (0..100).for_each(|_| writer.append(&entry(b'o', "x".repeat(10_000))).unwrap());
    writer.flush().unwrap();
    let history = world.history();
    let mut follower = world.follower(Arc::clone(&history));
    assert_eq!([90, 90, 90].map(|most| follower.step(most).unwrap()), [90, 10, 0]);
    assert_eq!(history.totals(APP).unwrap().lines, 100);
    assert!(!follower.has_ended(), "more may be written");
}

#[test]
fn router_lines_go_to_their_apps_once_each() {
    let world = World::new();
    let mut writer = world.writer();
    let apps: Vec<AppId> = (1..4).map(AppId::from_u128).collect();
    let place = world.dir.path().join("logs/router.place");
    let mut written = 0;
    for round in 0..30 {
        for _ in 0..17 {
            let text = format!("{} at=info line={written}", apps[written % 3]);
            writer.append(&entry(b'r', text)).unwrap();
            written += 1;
        }
        writer.append(&entry(b'r', "nonsense")).unwrap();
        writer.append(&entry(b'r', "é".repeat(30))).unwrap();
        writer.flush().unwrap();
        let before = std::fs::read(&place);
        let oldest = || std::fs::read_dir(world.spool()).unwrap().map(|f| f.unwrap().file_name()).min();
        let oldest_before = oldest();
        let mut router = Router::new(world.history(), &world.spool()).unwrap();
        router.step(11, |app| app != apps[2]).unwrap();
        // Killed before the cursor was stored, but after the apps got their lines.
        if round % 3 == 0 && oldest() == oldest_before {
            match before {
                Ok(before) => std::fs::write(&place, before).unwrap(),
                Err(_) => std::fs::remove_file(&place).unwrap(),
            }
        }
    }
    let history = world.history();
    let mut router = Router::new(Arc::clone(&history), &world.spool()).unwrap();
    while router.step(1_000, |app| app != apps[2]).unwrap() > 0 {}
    for (i, app) in apps.iter().enumerate() {
        let lines = history.last(*app, 10_000, &Filter::default()).unwrap();
        let wanted: Vec<String> = (i..written).step_by(3).map(|n| format!("at=info line={n}")).collect();
        assert_eq!(texts(&lines), if i == 2 { Vec::new() } else { wanted });
        assert!(lines.iter().all(|l| l.source == "heroku" && l.dyno == "router"));
    }
    assert!(std::fs::read_dir(world.spool()).unwrap().count() <= 2);
}

#[test]
fn a_full_disk_is_tried_again() {
    let world = World::new();
    let mut writer = world.writer();
    writer.append(&entry(b'o', "line 0")).unwrap();
    writer.flush().unwrap();
    let history = world.history();
    let mut follower = world.follower(Arc::clone(&history));
    // A file in place of the app's directory.
    let app = world.dir.path().join("logs").join(APP.to_string());
    assert_eq!(history.totals(APP).unwrap().lines, 0);
    std::fs::write(&app, b"").unwrap();
    assert!(follower.step(10).is_err());
    std::fs::remove_file(&app).unwrap();
    assert_eq!(follower.step(10).unwrap(), 1);
    assert_eq!(texts(&history.last(APP, 9, &Filter::default()).unwrap()), numbered(0..1));
}

#[test]
fn a_million_lines_are_written_found_and_streamed() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { segment_bytes: Limits::default().segment_bytes, ..small() };
    let history = History::open_with(dir.path(), limits).unwrap();
    let count = 1_000_000;
    for start in (0..count).step_by(5_000) {
        let lines = (start..start + 5_000).map(|n| {
            let text = if n == 123_456 { "needle".to_owned() } else { format!("request handled n={n} ms=12") };
            NewLine::app(at(n / 100), "web.1", text)
        });
        history.append(APP, lines.collect()).unwrap();
    }
    let lines = history.read(APP, &Query { last: Some(100_000), ..Query::default() }).unwrap();
    let mut next = count as u64 - 100_000;
    for line in lines {
        next += 1;
        assert_eq!(line.seq, next);
    }
    assert_eq!(next, count as u64);
    let needle = Filter { text: Some("NEEDLE".to_owned()), ..Filter::default() };
    assert_eq!(history.last(APP, 5, &needle).unwrap()[0].seq, 123_457);
    let counts = history.density(APP, &Filter::default(), 100, (at(0), at(count / 100)), &Budget::default()).unwrap();
    assert!(counts.iter().all(|c| c.lines == 10_000));
    let since = Filter { since: Some(at(count / 100 - 1)), ..Filter::default() };
    assert_eq!(history.after(APP, 0, 1_000, &since).unwrap().len(), 100);
}

#[test]
fn threads_share_a_history() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open_with(dir.path(), small()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let history = &history;
            scope.spawn(move || {
                for n in 0..200 {
                    let lines = (0..20).map(|i| NewLine::app(at(n), "web.1", format!("{thread} {n} {i}")));
                    history.append(APP, lines.collect()).unwrap();
                }
            });
        }
        for _ in 0..50 {
            let seqs: Vec<u64> = history.read(APP, &Query::default()).unwrap().map(|l| l.seq).collect();
            assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<u64>>());
        }
    });
    assert_eq!(history.read(APP, &Query::default()).unwrap().count(), 16_000);
}

#[test]
fn a_search_ends_with_its_patience_and_can_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open_with(dir.path(), small()).unwrap();
    fill(&history, 0..20_000);
    let rare = Filter { text: Some("line 19999".to_owned()), ..Filter::default() };
    let little = || Budget::of(Duration::from_secs(60), 300_000);
    let query = |budget| Query { filter: rare.clone(), last: Some(1), budget, ..Query::default() };
    let some = Filter { text: Some("line 7".to_owned()), ..Filter::default() };
    let last = Query { filter: some, last: Some(100_000), budget: little(), ..Query::default() };
    assert!(matches!(history.read(APP, &last).map(drop), Err(Error::Stopped)), "counting backwards is searching, too");
    let late = Budget::of(Duration::ZERO, u64::MAX);
    assert!(matches!(history.read(APP, &query(late)).map(drop), Err(Error::Stopped)));
    let cancelled = Budget::default();
    cancelled.cancel();
    assert!(matches!(history.read(APP, &query(cancelled.clone())).map(drop), Err(Error::Stopped)));
    let counted = history.density(APP, &rare, 3, (at(0), at(30_000)), &cancelled);
    assert!(matches!(counted, Err(Error::Stopped)));

    // After resuming, each line is returned once.
    let mut lines = history.read(APP, &Query { budget: little(), ..Query::default() }).unwrap();
    let (mut all, mut turns) = (Vec::new(), 0);
    loop {
        all.extend(lines.by_ref());
        if !lines.is_stopped() {
            break;
        }
        turns += 1;
        lines.go_on(little());
    }
    assert!(turns > 1);
    assert_eq!(texts(&all), numbered(0..20_000));
    let mut tail = history.tail(APP, 0, &rare).unwrap();
    let mut found = Vec::new();
    while tail.lag() > 0 {
        found.extend(tail.read(10, &little()).unwrap());
    }
    assert_eq!(texts(&found), ["line 19999"]);
}

#[test]
fn a_search_lets_others_have_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open_with(dir.path(), small()).unwrap();
    fill(&history, 0..20_000);
    let rests = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = rests.clone();
    let rest = move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(2));
    };
    let rare = Filter { text: Some("line 19999".to_owned()), ..Filter::default() };
    // What is spent in breaks does not count as its time.
    let budget = Budget::of(Duration::from_secs(60), u64::MAX).with_breaks(Duration::from_micros(10), rest);
    let query = Query { filter: rare, last: Some(1), budget, ..Query::default() };
    assert_eq!(texts(&history.read(APP, &query).unwrap().collect_most(1).unwrap()), ["line 19999"]);
    assert!(rests.load(std::sync::atomic::Ordering::Relaxed) > 10);
}

#[test]
fn as_much_text_is_collected_as_memory_allows() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(dir.path()).unwrap();
    let long = |n: i64| format!("{n:04} {}", "x".repeat(9000));
    for begin in (0..1200).step_by(100) {
        let lines: Vec<_> = (begin..begin + 100).map(|n| NewLine::app(at(n), "web.1", long(n))).collect();
        history.append(APP, lines).unwrap();
    }
    let collected = |query: Query| history.read(APP, &query).unwrap().collect_most(1200).unwrap();
    let (newest, oldest) = (collected(Query { last: Some(1200), ..Query::default() }), collected(Query::default()));
    for lines in [&newest, &oldest] {
        let bytes: usize = lines.iter().map(|line| line.text.len()).sum();
        assert!((8_000_000..8_500_000).contains(&bytes), "{bytes}");
    }
    assert!(newest.last().unwrap().text.starts_with("1199 "), "the newest are there");
    assert!(oldest[0].text.starts_with("0000 "), "the oldest are there");
}

#[test]
fn a_pattern_is_bounded_before_it_is_compiled() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::open(dir.path()).unwrap();
    fill(&history, 0..1);
    for regex in ["a".repeat(1001), "(a{100}){100}".to_owned(), "(".repeat(300) + &")".repeat(300)] {
        let filter = Filter { regex: Some(regex), ..Filter::default() };
        assert!(matches!(history.last(APP, 1, &filter), Err(Error::Filter(_))));
    }
    let usual = Filter { regex: Some(r"\w+ (\d{1,3}|x)$".to_owned()), ..Filter::default() };
    assert_eq!(history.last(APP, 1, &usual).unwrap().len(), 1);
}
