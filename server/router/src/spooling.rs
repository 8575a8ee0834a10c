//! Lines on their way to the spool. No request ever waits for the disk.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::ids::AppId;
use chrono::{DateTime, SecondsFormat, Utc};
use spool::{Entry, Writer};
use uuid::Uuid;

/// Limits of the lines waiting in memory: their number, and their bytes, since a line may have several thousand.
const QUEUE: usize = 100_000;
const QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// How long lines are batched before they are written.
const GATHER: Duration = Duration::from_millis(20);
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// Size limit of unread lines while the server is down. Beyond it, lines are dropped, so that the disk does not fill
/// up.
const SPOOL_BYTES: u64 = 1024 * 1024 * 1024;

/// Takes lines from requests and passes them to a separate thread.
pub(crate) struct Spool {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    lines: Lines,
    /// Per app: the number of dropped lines, and the time of the first.
    dropped: HashMap<AppId, (u64, DateTime<Utc>)>,
    dropped_total: u64,
    stopping: bool,
}

/// Lines in a single reused buffer: memory that one thread allocates and another frees is slow.
#[derive(Default)]
struct Lines {
    text: Vec<u8>,
    /// The time of each in microseconds, and its end.
    ends: Vec<(i64, usize)>,
}

impl Lines {
    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }
}

impl Spool {
    /// Opens the spool in `dir`, which is created if it is missing.
    pub(crate) fn open(dir: &Path) -> io::Result<Spool> {
        Spool::limited(dir, SPOOL_BYTES)
    }

    fn limited(dir: &Path, most_bytes: u64) -> io::Result<Spool> {
        std::fs::create_dir_all(dir)?;
        let writer = Writer::open(dir, SEGMENT_BYTES)?;
        let queue = Arc::new(Queue::default());
        let spooler = Spooler {
            queue: queue.clone(),
            writer,
            dir: dir.to_owned(),
            unchecked_bytes: SEGMENT_BYTES,
            most_bytes,
            full: false,
        };
        let thread = std::thread::Builder::new().name("router spool".to_owned()).spawn(move || spooler.run())?;
        Ok(Spool { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Adds a line of `app`, or counts it as dropped when too many wait.
    pub(crate) fn push(&self, app: AppId, text: &[u8]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let at_us = now.map_or(0, |since| since.as_micros() as i64);
        let mut state = self.queue.lock();
        if state.lines.ends.len() >= QUEUE || state.lines.text.len() >= QUEUE_BYTES {
            state.count_dropped(app, Utc::now());
            return;
        }
        let lines = &mut state.lines;
        lines.text.extend_from_slice(text);
        lines.ends.push((at_us, lines.text.len()));
        if lines.ends.len() == 1 {
            drop(state);
            self.queue.filled.notify_one();
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.queue.lock().dropped_total
    }

    /// Writes the rest and ends the thread. Blocks until then.
    pub(crate) fn close(&self) {
        self.queue.lock().stopping = true;
        self.queue.filled.notify_one();
        let thread = self.thread.lock().unwrap_or_else(|broken| broken.into_inner()).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes router lines panicked");
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

impl State {
    fn count_dropped(&mut self, app: AppId, at: DateTime<Utc>) {
        self.dropped.entry(app).or_insert((0, at)).0 += 1;
        self.dropped_total += 1;
    }
}

struct Spooler {
    queue: Arc<Queue>,
    writer: Writer,
    dir: PathBuf,
    /// Written since the directory was last measured.
    unchecked_bytes: u64,
    /// Size limit on disk.
    most_bytes: u64,
    full: bool,
}

impl Spooler {
    fn run(mut self) {
        let mut batch = Lines::default();
        loop {
            let stopping = self.wait();
            if !stopping {
                std::thread::sleep(GATHER);
            }
            let dropped = {
                let mut state = self.queue.lock();
                std::mem::swap(&mut batch, &mut state.lines);
                std::mem::take(&mut state.dropped)
            };
            if stopping && batch.ends.is_empty() && dropped.is_empty() {
                return;
            }
            self.write(&batch, dropped);
            batch.clear();
            if stopping {
                return;
            }
        }
    }

    /// Waits for lines. Returns whether these are the last ones.
    fn wait(&self) -> bool {
        let mut state = self.queue.lock();
        while state.lines.ends.is_empty() && !state.stopping {
            state = self.queue.filled.wait(state).unwrap_or_else(|broken| broken.into_inner());
        }
        state.stopping
    }

    fn write(&mut self, batch: &Lines, dropped: HashMap<AppId, (u64, DateTime<Utc>)>) {
        self.measure();
        let mut lost = 0;
        let mut start = 0;
        for (at_us, end) in &batch.ends {
            let text = &batch.text[start..*end];
            start = *end;
            if self.full || self.writer.append_parts(*at_us, b'r', text).is_err() {
                self.lose(text);
                lost += 1;
            }
        }
        self.unchecked_bytes += batch.text.len() as u64;
        for (app, (n, since)) in dropped {
            if self.full || self.writer.append(&note(app, n, since)).is_err() {
                // Reported with the next line that can be written.
                self.queue.lock().dropped.entry(app).or_insert((0, since)).0 += n;
            }
        }
        if let Err(error) = self.writer.flush() {
            tracing::error!(%error, "could not write router lines to {}", self.dir.display());
        }
        if lost > 0 {
            tracing::error!(
                "could not write {lost} router lines: the disk of {} may be full, or the server may have been down for long",
                self.dir.display()
            );
        }
    }

    fn lose(&self, text: &[u8]) {
        let app = text.get(..36).and_then(|id| Uuid::try_parse_ascii(id).ok()).map(AppId);
        if let Some(app) = app {
            self.queue.lock().count_dropped(app, Utc::now());
        }
    }

    fn measure(&mut self) {
        if self.unchecked_bytes < SEGMENT_BYTES && !self.full {
            return;
        }
        self.unchecked_bytes = 0;
        let files = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let bytes: u64 = files.flat_map(|f| f.metadata()).map(|m| m.len()).sum();
        self.full = bytes > self.most_bytes;
    }
}

/// The line that reports dropped lines.
fn note(app: AppId, n: u64, since: DateTime<Utc>) -> Entry {
    let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
    Entry {
        at_us: Utc::now().timestamp_micros(),
        kind: b'r',
        text: format!("{app} Error L12: {n} messages dropped since {since}.").into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spool::{Cursor, Reader};

    /// Includes what an earlier router left.
    #[test]
    fn an_unread_spool_stops_growing_and_reports_dropped_lines() {
        let dir = tempfile::tempdir().expect("a directory");
        let (app, most) = (AppId::from_u128(7), 20_000);
        let line = format!("{app} {}", "x".repeat(8000));
        let size = || {
            std::fs::read_dir(dir.path())
                .expect("a spool")
                .flatten()
                .map(|f| f.metadata().expect("a file").len())
                .sum::<u64>()
        };
        let mut dropped = 0;
        for _ in 0..6 {
            let spool = Spool::limited(dir.path(), most).expect("a spool");
            spool.push(app, line.as_bytes());
            spool.close();
            dropped += spool.dropped();
        }
        assert!((most..most + 10_000).contains(&size()) && dropped == 3, "{} bytes, {dropped} dropped", size());
    }

    #[test]
    fn lines_that_wait_for_the_disk_have_a_bound_in_bytes() {
        let queue = Arc::new(Queue::default());
        let spool = Spool { queue: queue.clone(), thread: Mutex::new(None) };
        let line = vec![b'x'; 1024 * 1024];
        for _ in 0..100 {
            spool.push(AppId::from_u128(7), &line);
        }
        let dropped = spool.dropped();
        assert_eq!((queue.lock().lines.text.len(), dropped), (QUEUE_BYTES, 36));
    }

    #[test]
    fn lines_arrive_in_order_and_missing_ones_are_counted() {
        let dir = tempfile::tempdir().expect("a directory");
        let spool = Spool::open(dir.path()).expect("a spool");
        let app = AppId::from_u128(7);
        spool.push(app, format!("{app} first").as_bytes());
        spool.push(app, format!("{app} second").as_bytes());
        spool.queue.lock().count_dropped(app, Utc::now());
        spool.close();
        let lines = Reader::new(dir.path(), Cursor::default()).read(10).expect("lines");
        let texts: Vec<_> = lines.iter().map(|e| String::from_utf8_lossy(&e.text)).collect();
        assert_eq!(texts[0], format!("{app} first"));
        assert_eq!(texts[1], format!("{app} second"));
        assert!(texts[2].contains("Error L12: 1 messages dropped since 20"), "{texts:?}");
        assert_eq!(spool.dropped(), 1);
    }
}
