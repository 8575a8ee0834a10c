//! Copies lines from dynos and the router into the history, exactly once.
//!
//! The caller owns the loop: call `step` until it returns nothing, wait a little, call again. A step
//! is a short disk operation. After a crash at any point, a new follower resumes from the cursor in
//! the history, so that no line is lost or duplicated.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use api::ids::{AppId, RunId};
use chrono::{DateTime, Utc};
use spool::{Batch, Cursor, Entry, Reader, Source};
use uuid::Uuid;

use crate::line::Incoming;
use crate::{History, Result};

/// The name under which apps' logs store the cursor of the router's spool.
const ROUTER: &str = "router";
/// An entry of it is `<app uuid> at=info …`; the length of the id.
const ID_BYTES: usize = 36;
/// How much of it may be read again after a restart.
const PLACE_BYTES: u64 = 1 << 20;

/// The number of entries whose times are remembered.
const LAST: usize = 10;

/// The dyno whose output is followed.
#[derive(Clone, Debug)]
pub struct Dyno {
    /// The app whose log gets its lines.
    pub app: AppId,
    /// One run of a process; the name under which the log stores the cursor in its output. Pass it
    /// to [`History::forget`] when the output is deleted.
    pub id: RunId,
    /// `web.1`
    pub name: String,
}

/// Opens the output of a dyno at a cursor.
type Open = Box<dyn Fn(Cursor) -> Box<dyn Source> + Send>;

/// Follows the output of one dyno.
pub struct Follower {
    history: Arc<History>,
    dyno: Dyno,
    /// Its id, as the history wants it.
    spool: String,
    open: Open,
    source: Box<dyn Source>,
    /// The cursor in the history.
    kept: Cursor,
    has_ended: bool,
    /// Whether no other follower has copied anything of this output.
    is_first: bool,
    /// When the last entries were written, in microseconds.
    last_us: VecDeque<i64>,
}

impl Follower {
    /// A follower that resumes where the last one of this dyno stopped. `open` opens its output at a cursor.
    pub fn new(
        history: Arc<History>,
        dyno: Dyno,
        open: impl Fn(Cursor) -> Box<dyn Source> + Send + 'static,
    ) -> Result<Follower> {
        let spool = dyno.id.to_string();
        let kept = history.cursor(dyno.app, &spool)?.unwrap_or_default();
        let (is_first, last_us) = (kept == Cursor::default(), VecDeque::new());
        let (source, open) = (open(kept), Box::new(open));
        Ok(Follower { source, open, history, dyno, spool, kept, has_ended: false, is_first, last_us })
    }

    /// Whether a step would return nothing; cheaper than a step, and sometimes late by a few calls.
    pub fn is_idle(&mut self) -> bool {
        self.source.is_idle()
    }

    /// Whether the dyno has ended and a step has found that everything was copied.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// When the last entries of the output were written, at most ten, oldest first: the lines of two dynos with the same
    /// name differ in nothing else. `None` if an earlier follower may have copied some of them.
    pub fn last_times(&self) -> Option<Vec<DateTime<Utc>>> {
        let is_known = self.is_first || self.last_us.len() >= LAST;
        is_known.then(|| self.last_us.iter().filter_map(|us| DateTime::from_timestamp_micros(*us)).collect())
    }

    /// Copies at most `max` entries into the history and returns how many. After an error (a full
    /// disk) the next step retries.
    pub fn step(&mut self, max: usize) -> Result<usize> {
        let brought = self.bring(max);
        if brought.is_err() {
            self.source = (self.open)(self.kept);
        }
        brought
    }

    /// In batches, so that memory is bounded in bytes, too.
    fn bring(&mut self, max: usize) -> Result<usize> {
        let mut brought = 0;
        loop {
            let batch = self.source.read_batch(max - brought).context("read a dyno's output")?;
            self.has_ended = batch.is_end;
            brought += batch.entries.len();
            let is_full = batch.is_full;
            self.add(batch)?;
            if !is_full || brought >= max {
                return Ok(brought);
            }
        }
    }

    fn add(&mut self, Batch { entries, cursor, .. }: Batch) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let Dyno { app, name, .. } = &self.dyno;
        let lines: Vec<_> = entries.iter().map(|entry| dyno_line(entry, name)).collect();
        self.history.append_incoming(*app, &lines, &self.spool, cursor)?;
        let newest = lines.iter().skip(lines.len().saturating_sub(LAST));
        self.last_us.extend(newest.map(|line| line.at_us));
        self.last_us.drain(..self.last_us.len().saturating_sub(LAST));
        let is_next_segment = cursor.segment > self.kept.segment;
        self.kept = cursor;
        if is_next_segment {
            // Entries about to be deleted must be durable in the history, even after a power failure.
            self.history.sync(*app)?;
            self.source.forget_consumed().context("delete the consumed part of a dyno's output")?;
        }
        Ok(())
    }
}

fn dyno_line<'a>(entry: &'a Entry, dyno: &'a str) -> Incoming<'a> {
    let source = if entry.kind == b's' { "heroku" } else { "app" };
    Incoming { at_us: entry.at_us, source, dyno, text: &entry.text }
}

/// Follows the router's spool, whose lines go to many apps.
///
/// Each app's log stores the cursor of its own last line, and a file beside the logs a cursor that
/// all apps have passed. The file may lag, and is written once per [`PLACE_BYTES`]: apps skip entries that they already
/// have.
pub struct Router {
    history: Arc<History>,
    spool: PathBuf,
    reader: Reader,
    /// The cursor that all apps have passed,
    kept: Cursor,
    /// and the one in the file.
    stored: Cursor,
    /// Segments before this one are deleted.
    deleted: u64,
    /// Apps that got lines since segments were last deleted.
    touched: BTreeSet<AppId>,
}

impl Router {
    /// A follower that resumes where the last one stopped.
    pub fn new(history: Arc<History>, spool: &Path) -> Result<Router> {
        let kept = read_place(&place_path(&history))?;
        Ok(Router {
            reader: Reader::new(spool, kept),
            history,
            spool: spool.to_owned(),
            kept,
            stored: kept,
            deleted: 0,
            touched: BTreeSet::new(),
        })
    }

    /// Whether a step would return nothing; cheaper than a step, and sometimes late by a few calls.
    pub fn is_idle(&mut self) -> bool {
        self.reader.is_idle()
    }

    /// Copies at most `max` entries to their apps' logs and returns how many it read. Entries of apps
    /// that are not `known` are dropped. After an error the next step retries.
    pub fn step(&mut self, max: usize, known: impl Fn(AppId) -> bool) -> Result<usize> {
        let brought = self.bring(max, known);
        if brought.is_err() {
            self.reader = Reader::new(&self.spool, self.kept);
        }
        brought
    }

    fn bring(&mut self, max: usize, known: impl Fn(AppId) -> bool) -> Result<usize> {
        let entries = self.reader.read_placed(max).context("read the router's spool")?;
        if entries.is_empty() {
            return Ok(0);
        }
        let mut apps: BTreeMap<AppId, Vec<(Cursor, Incoming<'_>)>> = BTreeMap::new();
        // Consecutive lines often belong to the same app, whose id is then parsed once.
        let mut last: (&[u8], Option<AppId>) = (&[], None);
        for (place, entry) in &entries {
            let Some((id, text)) = entry.text.split_at_checked(ID_BYTES) else { continue };
            if id != last.0 {
                last = (id, Uuid::try_parse_ascii(id).ok().map(AppId));
            }
            if let (Some(app), Some(text)) = (last.1, text.strip_prefix(b" ")) {
                let line = Incoming { at_us: entry.at_us, source: "heroku", dyno: "router", text };
                apps.entry(app).or_default().push((*place, line));
            }
        }
        for (app, lines) in apps.into_iter().filter(|(app, _)| known(*app)) {
            self.bring_to(app, lines)?;
        }
        self.keep()?;
        Ok(entries.len())
    }

    fn bring_to(&mut self, app: AppId, mut lines: Vec<(Cursor, Incoming<'_>)>) -> Result<()> {
        let had = self.history.cursor(app, ROUTER)?.unwrap_or_default();
        lines.retain(|(place, _)| *place > had);
        let Some((place, _)) = lines.last() else {
            return Ok(());
        };
        let place = *place;
        let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
        self.history.append_incoming(app, &lines, ROUTER, place)?;
        self.touched.insert(app);
        Ok(())
    }

    fn keep(&mut self) -> Result<()> {
        let cursor = self.reader.cursor();
        let is_next_segment = cursor.segment > self.deleted;
        if is_next_segment {
            for app in std::mem::take(&mut self.touched) {
                self.history.sync(app)?;
            }
        }
        self.kept = cursor;
        let is_due = cursor.offset.saturating_sub(self.stored.offset) >= PLACE_BYTES;
        if is_next_segment || is_due || cursor.segment != self.stored.segment {
            write_place(&place_path(&self.history), cursor)?;
            self.stored = cursor;
        }
        if is_next_segment {
            self.reader.forget_consumed().context("delete the consumed part of the router's spool")?;
            self.deleted = cursor.segment;
        }
        Ok(())
    }
}

fn place_path(history: &History) -> PathBuf {
    history.dir().join("router.place")
}

fn read_place(path: &Path) -> Result<Cursor> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => Err(e).with_context(|| format!("read {}", path.display()))?,
    };
    let numbers = text.trim().split_once(' ');
    let cursor = numbers
        .and_then(|(segment, offset)| Some(Cursor { segment: segment.parse().ok()?, offset: offset.parse().ok()? }));
    // If it is lost or corrupt, starting over is harmless.
    Ok(cursor.unwrap_or_default())
}

fn write_place(path: &Path, cursor: Cursor) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let text = format!("{} {}\n", cursor.segment, cursor.offset);
    std::fs::write(&temporary, text)
        .and_then(|()| std::fs::rename(&temporary, path))
        .with_context(|| format!("write {}", path.display()))?;
    Ok(())
}
