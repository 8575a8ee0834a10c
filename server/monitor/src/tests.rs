//! Tests of the store as a whole.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::{ids::AppId, metrics::MetricPoint};
use chrono::{DateTime, Utc};

use crate::{Histogram, Limits, ProcessSample, Rollup, Sample, Store, codec, step_for};

const APP: AppId = AppId::from_u128(1);
/// Midnight of a day.
const DAY: i64 = 1_800_057_600;
const HOUR: i64 = 3_600;

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(DAY + second, 0).unwrap()
}

/// Ten seconds of an app with two web dynos: `n` requests of `n` ms each.
fn sample(n: u64) -> Sample {
    let mut service = Histogram::default();
    (0..n).for_each(|_| service.count_us(n * 1000));
    let mut web = ProcessSample::default();
    web.add_dyno(100, 512, 1_000_000_000);
    web.add_dyno(300, 512, 4_000_000_000);
    Sample {
        covers: Duration::from_secs(10),
        statuses: [0, n, 0, 1, 1],
        codes: BTreeMap::from([("H12".to_owned(), 1)]),
        bytes_in: n,
        bytes_out: 10 * n,
        queue: n,
        service,
        processes: BTreeMap::from([("web".to_owned(), web)]),
    }
}

fn files(dir: &Path) -> Vec<String> {
    let app: PathBuf = dir.join(APP.to_string());
    let files = std::fs::read_dir(app).unwrap();
    let mut names: Vec<String> = files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn samples_come_back_as_points_and_gaps_stay_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for ten in (1..=6).chain(13..=18) {
        store.record(APP, at(ten * 10), &sample(5)).unwrap();
    }
    let series = store.query(APP, at(0), at(180), 10).unwrap();
    let starts: Vec<i64> = series.points.iter().map(|p| (p.at - at(0)).num_seconds()).collect();
    assert_eq!(starts, [0, 10, 20, 30, 40, 50, 120, 130, 140, 150, 160, 170]);
    assert_eq!((series.from, series.to, series.step), (at(0), at(180), 10));

    let series = store.query(APP, at(1), at(170), 60).unwrap();
    assert_eq!((series.from, series.to), (at(0), at(180)));
    assert_eq!(series.points.iter().map(|p| p.at).collect::<Vec<_>>(), [at(0), at(120)]);
    let rollup = &series.points[0].rollup;
    assert_eq!((rollup.samples, rollup.covered_ms, rollup.requests()), (6, 60_000, 42));
    assert_eq!(rollup.statuses, [0, 30, 0, 6, 6]);
    assert_eq!((rollup.queue_max, rollup.queue()), (5, 5.0));
    assert_eq!(rollup.error_rate(), Some(6.0 / 42.0));
    assert_eq!(rollup.requests_per_second(), 0.7);
    let wire = MetricPoint::from(&series.points[0]);
    assert_eq!((wire.requests_2xx, wire.errors["H12"]), (30, 6));
    let web = wire.processes["web"];
    assert_eq!((web.dynos, web.memory, web.memory_max, web.memory_quota), (2, 200, 300, 512));
    assert_eq!(web.cpu, 0.25);
    let p95 = wire.p95_ms.unwrap();
    assert!((4.0..=6.0).contains(&p95), "{p95}");
    assert!(store.query(AppId::from_u128(2), at(0), at(100), 60).unwrap().points.is_empty());
    assert!(store.query(APP, at(100), at(0), 60).unwrap().points.is_empty());
}

#[test]
fn percentiles_of_an_hour_are_those_of_its_requests() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    // 359 fast intervals of one request, one interval with 1,000 slow ones.
    for ten in 1..360 {
        store.record(APP, at(ten * 10), &sample(1)).unwrap();
    }
    store.record(APP, at(HOUR), &sample(1_000)).unwrap();
    let series = store.query(APP, at(0), at(HOUR), HOUR).unwrap();
    assert_eq!(series.points.len(), 1);
    let p50 = series.points[0].quantile_ms(0.5).unwrap();
    assert!((900.0..1_100.0).contains(&p50), "{p50}");
}

#[test]
fn days_are_packed_and_old_ones_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_with(dir.path(), Limits { days: 3 }).unwrap();
    let before = |store: &Store, step| store.query(APP, at(0), at(24 * HOUR), step).unwrap();
    for ten in 1..=24 * HOUR / 10 {
        store.record(APP, at(ten * 10), &sample(3)).unwrap();
    }
    let as_sampled = before(&store, 60);
    assert_eq!(as_sampled.points.len(), 24 * 60);
    assert_eq!(before(&store, 10).points.len(), 24 * 360);
    let day = at(0).format("%Y-%m-%d").to_string();
    assert_eq!(files(dir.path()), [format!("{day}.samples")]);

    // Soon after midnight the day is still available in full; later it is packed.
    store.record(APP, at(25 * HOUR), &sample(3)).unwrap();
    assert!(files(dir.path()).contains(&format!("{day}.samples")));
    store.record(APP, at(27 * HOUR), &sample(3)).unwrap();
    assert!(files(dir.path()).contains(&format!("{day}.minutes")));
    assert!(!files(dir.path()).contains(&format!("{day}.samples")));
    assert_eq!(before(&store, 60), as_sampled);
    assert_eq!(before(&store, 10), as_sampled, "a minute is the finest now");
    let size = std::fs::metadata(dir.path().join(format!("{APP}/{day}.minutes"))).unwrap().len();
    assert!(size < 40_000, "{size}");

    // Late samples do not count twice.
    store.record(APP, at(10), &sample(3)).unwrap();
    assert_eq!(before(&store, 60), as_sampled);
    let store = Store::open_with(dir.path(), Limits { days: 3 }).unwrap();
    assert_eq!(before(&store, 60), as_sampled);

    store.record(APP, at(4 * 24 * HOUR + 3 * HOUR), &sample(3)).unwrap();
    assert!(before(&store, 60).points.is_empty());
    assert_eq!(files(dir.path()).len(), 2);
    store.tidy(at(30 * 24 * HOUR)).unwrap();
    assert!(files(dir.path()).is_empty());
}

#[test]
fn a_crash_while_packing_counts_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for ten in 1..100 {
        store.record(APP, at(ten * 10), &sample(3)).unwrap();
    }
    let expected = store.query(APP, at(0), at(HOUR), 60).unwrap();
    let day = dir.path().join(APP.to_string()).join(at(0).format("%Y-%m-%d").to_string());
    let samples = std::fs::read(day.with_extension("samples")).unwrap();
    store.tidy(at(27 * HOUR)).unwrap();
    std::fs::write(day.with_extension("samples"), samples).unwrap();
    assert_eq!(store.query(APP, at(0), at(HOUR), 60).unwrap(), expected);
    store.tidy(at(27 * HOUR)).unwrap();
    assert_eq!(store.query(APP, at(0), at(HOUR), 60).unwrap(), expected);
    assert!(!day.with_extension("samples").exists());
}

#[test]
fn a_torn_record_is_cut_off_wherever_it_tears() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.record(APP, at(10), &sample(3)).unwrap();
    let path = dir.path().join(APP.to_string()).join(&files(dir.path())[0]);
    let whole = std::fs::read(&path).unwrap();
    store.record(APP, at(20), &sample(4)).unwrap();
    let more = std::fs::read(&path).unwrap();
    for length in whole.len()..more.len() {
        for rest in [Vec::new(), vec![0; 100]] {
            std::fs::write(&path, [&more[..length], &rest[..]].concat()).unwrap();
            let store = Store::open(dir.path()).unwrap();
            assert_eq!(store.query(APP, at(0), at(60), 10).unwrap().points.len(), 1);
            store.record(APP, at(30), &sample(5)).unwrap();
            let series = store.query(APP, at(0), at(60), 10).unwrap();
            assert_eq!(series.points.iter().map(|p| p.at).collect::<Vec<_>>(), [at(0), at(20)]);
        }
    }
}

#[test]
fn records_go_to_disk_and_back() {
    let mut full = Rollup::of(&sample(7));
    full.statuses = [u64::MAX, 0, 1, 128, 300];
    full.codes = (0..100).map(|n| (format!("é{n}"), n)).collect();
    full.service.buckets = (0..192).map(|n| (n, u64::from(n) + 1)).collect();
    for rollup in [full, Rollup::default(), Rollup::of(&Sample::default())] {
        let mut bytes = Vec::new();
        codec::encode(1_800_000_000_123, &rollup, &mut bytes);
        let (records, length) = codec::decode(&bytes);
        assert_eq!(records, [(1_800_000_000_123, rollup)]);
        assert_eq!(length, bytes.len());
    }
}

#[tokio::test]
async fn listeners_hear_of_samples_and_deletion_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut feed = store.subscribe();
    store.record(APP, at(10), &sample(3)).unwrap();
    let (app, point) = feed.recv().await.unwrap();
    assert_eq!((app, point.at, point.rollup), (APP, at(5), Rollup::of(&sample(3))));
    store.delete(APP).unwrap();
    assert!(store.query(APP, at(0), at(60), 10).unwrap().points.is_empty());
    store.record(APP, at(20), &sample(3)).unwrap();
    assert_eq!(store.query(APP, at(0), at(60), 10).unwrap().points.len(), 1);
}

/// What an alert needs: the rule "p95 at least 400 ms for 5 consecutive minutes", over a week.
#[test]
fn a_rule_can_be_replayed_over_a_week() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let minutes = 7 * 24 * 60;
    let is_slow = |minute: i64| (3_000..3_019).contains(&minute) || (9_000..9_004).contains(&minute);
    for minute in 1..=minutes {
        let mut one = sample(if is_slow(minute) { 600 } else { 2 });
        one.covers = Duration::from_secs(60);
        store.record(APP, at(minute * 60), &one).unwrap();
    }
    let series = store.query(APP, at(0), at(minutes * 60), 60).unwrap();
    assert_eq!(series.points.len() as i64, minutes);
    let slow: Vec<bool> = series.points.iter().map(|p| p.quantile_ms(0.95) >= Some(400.0)).collect();
    let fired = slow.windows(6).filter(|w| w[1..].iter().all(|s| *s) && !w[0]).count();
    assert_eq!(fired, 1, "once for 19 minutes, not for 4");
    assert_eq!(slow.iter().filter(|s| **s).count(), 23);
}

#[test]
fn a_chart_gets_a_fitting_step() {
    for (range, step) in [(HOUR, 10), (24 * HOUR, 300), (7 * 24 * HOUR, 1_800), (30 * 24 * HOUR, 7_200)] {
        assert_eq!(step_for(at(0), at(range)), step);
    }
    let year = 365 * 24 * HOUR;
    assert!(year / step_for(at(0), at(year)) <= 400);
}
