//! The metrics of all apps, on disk.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use chrono::{DateTime, Duration, Utc};
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::recent::{LastHour, Recent, SLOT_MS};
use crate::{Point, Result, Rollup, Sample, Series, codec, days};

/// Samples are kept at full resolution until this long after their day; then the resolution is a minute.
const PACK_AFTER_MS: i64 = 2 * 60 * days::MINUTE_MS;
/// Maximum number of intervals of a series.
const MAX_POINTS: i64 = 50_000;
/// Maximum number of points buffered for a slow subscriber.
const FEED_POINTS: usize = 1_024;

/// The retention of metrics.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Days; older ones are deleted.
    pub days: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { days: 30 }
    }
}

/// The metrics of all apps: one directory each, one file per day. Only one process at a time may have it open.
///
/// The last hours are stored as sampled, older days per minute. Recorded samples survive a crash of the
/// process; a record torn by a power failure is truncated.
pub struct Store {
    dir: PathBuf,
    limits: Limits,
    apps: Mutex<HashMap<Uuid, Today>>,
    feed: broadcast::Sender<(Uuid, Point)>,
}

/// The write position of an app.
struct Today {
    day: i64,
    /// Bytes of the day's file.
    length: u64,
    /// The day of the last cleanup of the app's older files.
    tidied: i64,
    /// Loaded on first request.
    recent: Option<Recent>,
}

impl Default for Today {
    fn default() -> Today {
        Today { day: i64::MIN, length: 0, tidied: i64::MIN, recent: None }
    }
}

impl Store {
    /// Opens the metrics in `dir`, which is created if missing.
    pub fn open(dir: &Path) -> Result<Arc<Store>> {
        Store::open_with(dir, Limits::default())
    }

    /// Like [`Store::open`], with custom retention.
    pub fn open_with(dir: &Path, limits: Limits) -> Result<Arc<Store>> {
        std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        Ok(Arc::new(Store {
            dir: dir.to_owned(),
            limits,
            apps: Mutex::default(),
            feed: broadcast::Sender::new(FEED_POINTS),
        }))
    }

    /// Stores a sample taken at `at`. A sample for an already packed day is dropped.
    pub fn record(&self, app: Uuid, at: DateTime<Utc>, sample: &Sample) -> Result<()> {
        let now_ms = at.timestamp_millis();
        // It is assigned to the middle of its interval, regardless of jitter at either end.
        let at_ms = now_ms - sample.covers.as_millis() as i64 / 2;
        let rollup = Rollup::of(sample);
        let mut record = Vec::new();
        codec::encode(at_ms, &rollup, &mut record);

        let dir = self.app_dir(app);
        let day = days::day_of(at_ms);
        let mut apps = self.lock();
        let today = apps.entry(app).or_default();
        let finished = days::day_of(now_ms - PACK_AFTER_MS);
        if finished > today.tidied {
            self.tidy_app(&dir, now_ms)?;
            today.tidied = finished;
        }
        if day < today.tidied {
            return Ok(());
        }
        if day != today.day {
            today.length = days::repair(&dir, day)?;
            today.day = day;
        }
        days::write(&dir, day, today.length, &record)?;
        today.length += record.len() as u64;
        if let Some(recent) = &mut today.recent {
            recent.add(at_ms, &rollup);
        }
        drop(apps);
        let at = DateTime::from_timestamp_millis(at_ms).unwrap_or(at);
        // There may be no subscribers.
        let _ = self.feed.send((app, Point { at, rollup }));
        Ok(())
    }

    /// The metrics of `[from, to)` in intervals of `step` seconds, which is increased if the store has no finer
    /// resolution (multiples of ten seconds for today, of a minute before). `from` is rounded down and `to` up
    /// to a multiple of the step.
    pub fn query(&self, app: Uuid, from: DateTime<Utc>, to: DateTime<Utc>, step: i64) -> Result<Series> {
        let (from_ms, to_ms) = (from.timestamp_millis(), to.timestamp_millis());
        let dir = self.app_dir(app);
        let (first, last) = (days::day_of(from_ms), days::day_of(to_ms));
        let kept = days::list(&dir).context("list metrics")?;
        let wanted = kept.iter().filter(|(day, _)| (first..=last).contains(day));
        let has_packed = wanted.clone().any(|(_, is_packed)| *is_packed);
        let least = (to_ms - from_ms) / 1000 / MAX_POINTS + 1;
        let finest = if has_packed { 60 } else { 10 };
        let step = (step.max(least).max(1) as u64).next_multiple_of(finest) as i64;
        let step_ms = step * 1000;
        let start_ms = from_ms.div_euclid(step_ms) * step_ms;
        let end_ms = (to_ms + step_ms - 1).div_euclid(step_ms) * step_ms;
        let mut days: Vec<i64> = wanted.map(|(day, _)| *day).collect();
        days.dedup();
        let mut stretches: BTreeMap<i64, Rollup> = BTreeMap::new();
        for day in days {
            let (mut records, _) = days::read(&dir, day)?;
            records.retain(|(at_ms, _)| (start_ms..end_ms).contains(at_ms));
            for (at_ms, rollup) in days::merge(records, step_ms) {
                stretches.entry(at_ms).or_default().merge(&rollup);
            }
        }
        let time = |ms| DateTime::from_timestamp_millis(ms).unwrap_or_default();
        let points = stretches.into_iter().map(|(at_ms, rollup)| Point { at: time(at_ms), rollup });
        Ok(Series { from: time(start_ms), to: time(end_ms), step, points: points.collect() })
    }

    /// The requests of the hour before `now`. Read from the files once per app, then kept up to date by
    /// [`Store::record`].
    pub fn recent(&self, app: Uuid, now: DateTime<Utc>) -> Result<LastHour> {
        // Held while the files are read, so that nothing is recorded meanwhile.
        let mut apps = self.lock();
        let today = apps.entry(app).or_default();
        let now_ms = now.timestamp_millis();
        if let Some(recent) = &mut today.recent {
            return Ok(recent.until(now_ms));
        }
        let mut recent = Recent::new(now_ms);
        for point in self.query(app, now - Duration::hours(1), now, SLOT_MS / 1000)?.points {
            recent.add(point.at.timestamp_millis(), &point.rollup);
        }
        Ok(today.recent.insert(recent).until(now_ms))
    }

    /// Subscribes to recorded samples, as points that start in the middle of their interval.
    pub fn subscribe(&self) -> broadcast::Receiver<(Uuid, Point)> {
        self.feed.subscribe()
    }

    /// Deletes an app's metrics.
    pub fn delete(&self, app: Uuid) -> Result<()> {
        let mut apps = self.lock();
        apps.remove(&app);
        let dir = self.app_dir(app);
        trees::remove(&dir).with_context(|| format!("delete {}", dir.display()))
    }

    /// Packs finished days and deletes expired ones, for all apps. Call it once a day; apps that are being
    /// sampled do this on their own.
    pub fn tidy(&self, now: DateTime<Utc>) -> Result<()> {
        for app in std::fs::read_dir(&self.dir).context("list metrics")? {
            let path = app.context("list metrics")?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| Uuid::try_parse(name).is_ok()) {
                let _apps = self.lock();
                self.tidy_app(&path, now.timestamp_millis())?;
            }
        }
        Ok(())
    }

    fn tidy_app(&self, dir: &Path, now_ms: i64) -> Result<()> {
        let oldest = days::day_of(now_ms) - i64::from(self.limits.days);
        let unfinished = days::day_of(now_ms - PACK_AFTER_MS);
        for (day, is_packed) in days::list(dir).context("list metrics")? {
            if day < oldest {
                days::delete(dir, day)?;
            } else if day < unfinished && !is_packed {
                days::pack(dir, day)?;
            }
        }
        Ok(())
    }

    fn app_dir(&self, app: Uuid) -> PathBuf {
        self.dir.join(app.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Today>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
