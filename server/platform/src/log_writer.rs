//! Writes the platform's own lines into the apps' logs, on a dedicated thread: no request and no reconciler waits for the
//! disk, nor for the compression of a block.
//!
//! The queue is bounded. When the disk cannot keep up, further lines of the app are dropped, and its log says how many
//! where they would have been: `Error L12`, Heroku's code for an overflow of a local buffer. Lines that could not be
//! written are reported like that, too. The output of dynos and router comes from their spools instead (`ingest`), which
//! are read only as fast as lines can be written, so that none of them are dropped here.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use api::ids::AppId;
use chrono::{DateTime, SecondsFormat, Utc};
use logs::{History, NewLine};

/// The maximum number of lines that wait for the disk or are being written.
const MOST_LINES: usize = 10_000;
/// Their maximum size, in bytes.
const MOST_BYTES: usize = 8 << 20;
/// One app can fill half of the queue: a quarter that waits, and one that is being written.
const SHARE: usize = 4;
/// The approximate size of a line without its text, in bytes.
const LINE_BYTES: usize = 128;
/// The name under which Heroku reports dropped lines. No process type can have it.
const REPORTER: &str = "logplex";

/// Starts the thread that writes, and gives it lines. Dropping it ends the thread once all of them are written.
pub(crate) struct LogWriter {
    queue: Arc<Queue>,
}

impl LogWriter {
    /// Starts the thread. Fails if no thread can be created.
    pub fn start(history: Arc<History>) -> io::Result<Self> {
        let writer = Self { queue: Arc::default() };
        let queue = writer.queue.clone();
        std::thread::Builder::new().name("log writer".into()).spawn(move || write_all(&history, &queue))?;
        Ok(writer)
    }

    /// Queues a line for the log of an app. Never waits: a line for which there is no space is dropped and counted.
    pub fn write(&self, app: AppId, line: NewLine) {
        self.queue.push(app, line);
    }

    /// Waits until everything that was queued before is written or reported as lost. Blocks the thread.
    pub fn flush(&self) {
        self.queue.flush();
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The lines that wait, shared by the callers and the thread.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    added: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct State {
    apps: BTreeMap<AppId, Waiting>,
    /// Includes what is being written.
    size: Size,
    /// How many lines have ever been added, including dropped ones.
    added: u64,
    /// How many of them have been dealt with.
    done: u64,
    is_closed: bool,
    /// The thread has ended.
    has_ended: bool,
}

/// What waits for the log of one app.
#[derive(Default)]
struct Waiting {
    entries: Vec<Entry>,
    size: Size,
    /// Lines that were dropped after the last entry.
    dropped: Option<Dropped>,
}

enum Entry {
    Line(NewLine),
    Dropped(Dropped),
}

/// The size of lines in memory.
#[derive(Clone, Copy, Default)]
struct Size {
    lines: usize,
    bytes: usize,
}

impl Size {
    fn of(line: &NewLine) -> Self {
        Self { lines: 1, bytes: line.text.len() + LINE_BYTES }
    }

    fn plus(self, other: Self) -> Self {
        Self { lines: self.lines + other.lines, bytes: self.bytes + other.bytes }
    }

    fn minus(self, other: Self) -> Self {
        Self { lines: self.lines - other.lines, bytes: self.bytes - other.bytes }
    }

    /// Whether it is at most one of so many shares of the queue.
    fn fits(self, shares: usize) -> bool {
        self.lines <= MOST_LINES / shares && self.bytes <= MOST_BYTES / shares
    }
}

/// Lines that are not in the log.
#[derive(Clone, Copy)]
struct Dropped {
    lines: u64,
    /// When the first and the last of them were written.
    since: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Dropped {
    fn one(at: DateTime<Utc>) -> Self {
        Self { lines: 1, since: at, until: at }
    }

    /// These lines and later ones.
    fn and(self, later: Self) -> Self {
        Self { lines: self.lines + later.lines, until: later.until, ..self }
    }

    fn line(&self) -> NewLine {
        let since = self.since.to_rfc3339_opts(SecondsFormat::Secs, true);
        NewLine::heroku(self.until, REPORTER, format!("Error L12: {} messages dropped since {since}.", self.lines))
    }
}

impl Entry {
    fn line(self) -> NewLine {
        match self {
            Self::Line(line) => line,
            Self::Dropped(dropped) => dropped.line(),
        }
    }

    /// What is lost if it cannot be written.
    fn lost(&self) -> Dropped {
        match self {
            Self::Line(line) => Dropped::one(line.at),
            Self::Dropped(dropped) => *dropped,
        }
    }
}

impl State {
    fn push(&mut self, app: AppId, line: NewLine) {
        self.added += 1;
        let waiting = self.apps.entry(app).or_default();
        let (all, of_app) = (self.size.plus(Size::of(&line)), waiting.size.plus(Size::of(&line)));
        if !all.fits(1) || !of_app.fits(SHARE) {
            let one = Dropped::one(line.at);
            waiting.dropped = Some(waiting.dropped.map_or(one, |dropped| dropped.and(one)));
            return;
        }
        waiting.entries.extend(waiting.dropped.take().map(Entry::Dropped));
        waiting.entries.push(Entry::Line(line));
        (self.size, waiting.size) = (all, of_app);
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, app: AppId, line: NewLine) {
        self.lock().push(app, line);
        self.added.notify_one();
    }

    /// Takes everything, once there is something, and the number of lines that were added until now. `None` once the
    /// queue is closed and empty.
    fn take(&self) -> Option<(BTreeMap<AppId, Waiting>, u64)> {
        let mut state = self.lock();
        while state.added == state.done {
            if state.is_closed {
                return None;
            }
            state = self.added.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Some((std::mem::take(&mut state.apps), state.added))
    }

    /// Frees the space of what was taken, and reports what of it is lost when its log can be written again.
    fn done(&self, size: Size, added: u64, lost: Vec<(AppId, Dropped)>) {
        let mut state = self.lock();
        (state.size, state.done) = (state.size.minus(size), added);
        for (app, lost) in lost {
            state.apps.entry(app).or_default().entries.insert(0, Entry::Dropped(lost));
        }
        drop(state);
        self.written.notify_all();
    }

    fn flush(&self) {
        let mut state = self.lock();
        let added = state.added;
        while state.done < added && !state.has_ended {
            state = self.written.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.added.notify_one();
    }
}

/// Ends waiting for the thread, even if it panics.
struct Ending<'a>(&'a Queue);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.lock().has_ended = true;
        self.0.written.notify_all();
    }
}

fn write_all(history: &History, queue: &Queue) {
    let _ending = Ending(queue);
    while let Some((apps, added)) = queue.take() {
        let size = apps.values().fold(Size::default(), |size, waiting| size.plus(waiting.size));
        let lost = apps.into_iter().filter_map(|(app, waiting)| Some((app, append(history, app, waiting)?)));
        queue.done(size, added, lost.collect());
    }
}

/// Appends what waits to the log of an app. Returns what is lost, if it cannot be written.
fn append(history: &History, app: AppId, waiting: Waiting) -> Option<Dropped> {
    let entries: Vec<Entry> = waiting.entries.into_iter().chain(waiting.dropped.map(Entry::Dropped)).collect();
    let all = entries.iter().map(Entry::lost).reduce(Dropped::and);
    let err = history.append(app, entries.into_iter().map(Entry::line).collect()).err()?;
    tracing::error!(app.id = %app, "could not write to the app's log: {err}");
    all
}

#[cfg(test)]
mod tests {
    use logs::Filter;

    use super::*;

    const DUSK: AppId = AppId::from_u128(1);
    const DAWN: AppId = AppId::from_u128(2);

    fn line(n: usize) -> NewLine {
        NewLine::app(DateTime::UNIX_EPOCH + chrono::Duration::seconds(n as i64), "api", format!("line {n}"))
    }

    fn texts(history: &History, app: AppId) -> Vec<String> {
        let lines = history.last(app, 20_000, &Filter::default()).unwrap();
        lines.into_iter().map(|line| line.text).collect()
    }

    /// Writes what is in the queue.
    fn write(history: &History, queue: &Queue) {
        queue.close();
        write_all(history, queue);
    }

    #[test]
    fn lines_are_written_in_order_and_none_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path()).unwrap();
        let writer = LogWriter::start(history.clone()).unwrap();
        for n in 0..15_000 {
            writer.write([DUSK, DAWN][n % 2], line(n));
            if n % 5000 == 0 {
                writer.flush();
            }
        }
        writer.flush();
        for (first, app) in [DUSK, DAWN].into_iter().enumerate() {
            let all: Vec<String> = (first..15_000).step_by(2).map(|n| format!("line {n}")).collect();
            assert_eq!(texts(&history, app), all);
        }
    }

    #[test]
    fn lines_that_wait_are_written_when_the_writer_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path()).unwrap();
        let writer = LogWriter::start(history.clone()).unwrap();
        let mut newest = history.subscribe(DUSK).unwrap();
        (0..100).for_each(|n| writer.write(DUSK, line(n)));
        drop(writer);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(newest.wait_for(|seq| *seq == 100)).unwrap();
    }

    #[test]
    fn without_space_lines_are_dropped_and_the_log_says_how_many_and_where() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path()).unwrap();
        // The thread does not run yet: nobody waits for it.
        let queue = Queue::default();
        let most = MOST_LINES / SHARE;
        (0..most + 7).for_each(|n| queue.push(DUSK, line(n)));
        assert_eq!(history.totals(DUSK).unwrap().lines, 0, "nothing is written by the caller");
        // The flood of one app leaves space for the others.
        queue.push(DAWN, line(0));

        let (taken, added) = queue.take().unwrap();
        let size = taken.values().fold(Size::default(), |size, waiting| size.plus(waiting.size));
        taken.into_iter().for_each(|(app, waiting)| assert!(append(&history, app, waiting).is_none()));
        queue.done(size, added, Vec::new());
        queue.push(DUSK, line(9000));
        write(&history, &queue);
        let mut all: Vec<String> = (0..most).map(|n| format!("line {n}")).collect();
        all.push("Error L12: 7 messages dropped since 1970-01-01T00:41:40Z.".into());
        all.push("line 9000".into());
        assert_eq!(texts(&history, DUSK), all);
        assert_eq!(texts(&history, DAWN), ["line 0"]);
        let report = &history.last(DUSK, 2, &Filter::default()).unwrap()[0];
        assert_eq!(
            (report.source.as_str(), report.dyno.as_str(), report.level),
            ("heroku", "logplex", logs::Level::Error)
        );
    }

    #[test]
    fn a_report_stands_where_the_lines_are_missing() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path()).unwrap();
        let queue = Queue::default();
        let huge = |n: i64| NewLine::app(DateTime::from_timestamp(n, 0).unwrap(), "api", "x".repeat(MOST_BYTES));
        queue.push(DUSK, line(0));
        queue.push(DUSK, huge(60));
        queue.push(DUSK, huge(120));
        queue.push(DUSK, line(1));
        queue.push(DUSK, huge(180));
        write(&history, &queue);
        let all = [
            "line 0",
            "Error L12: 2 messages dropped since 1970-01-01T00:01:00Z.",
            "line 1",
            "Error L12: 1 messages dropped since 1970-01-01T00:03:00Z.",
        ];
        assert_eq!(texts(&history, DUSK), all);
    }

    #[test]
    fn the_queue_is_bounded_for_all_apps_together() {
        let queue = Queue::default();
        let text = "x".repeat(10_000);
        for app in 0..100 {
            (0..100).for_each(|_| {
                queue.push(AppId::from_u128(app), NewLine::app(DateTime::UNIX_EPOCH, "api", text.as_str()))
            });
        }
        let state = queue.lock();
        let waiting: usize = state.apps.values().flat_map(|app| &app.entries).map(|_| text.len()).sum();
        let dropped: u64 =
            state.apps.values().filter_map(|app| app.dropped.as_ref()).map(|dropped| dropped.lines).sum();
        assert!(waiting <= MOST_BYTES && waiting > MOST_BYTES * 9 / 10, "{waiting} bytes wait");
        assert_eq!(waiting / text.len() + usize::try_from(dropped).unwrap(), 10_000);
    }

    #[test]
    fn lines_that_could_not_be_written_are_reported_when_the_disk_works_again() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path()).unwrap();
        // The log of the app cannot be created.
        let place = folder.path().join(DUSK.to_string());
        std::fs::write(&place, "").unwrap();
        let writer = LogWriter::start(history.clone()).unwrap();
        (5..8).for_each(|n| writer.write(DUSK, line(n)));
        writer.flush();
        writer.write(DUSK, line(8));
        writer.flush();
        std::fs::remove_file(&place).unwrap();
        writer.write(DUSK, line(9));
        writer.flush();
        let all = ["Error L12: 4 messages dropped since 1970-01-01T00:00:05Z.", "line 9"];
        assert_eq!(texts(&history, DUSK), all);
    }
}
