//! The log of one app: its segments, appending and retention.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use chrono::{DateTime, Utc};
use spool::Cursor;
use tokio::sync::watch;

use crate::batch::{Batch, Header, Mark};
use crate::block::Blocks;
use crate::filter::Matcher;
use crate::line::Incoming;
use crate::state::{Segment, State};
use crate::view::View;
use crate::{Limits, Result, segment};

/// The size of an app's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines that can be read.
    pub lines: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Time of the oldest line.
    pub oldest: Option<DateTime<Utc>>,
    /// Number of the newest line; 0 before the first.
    pub newest_seq: u64,
}

/// The log of one app.
pub(crate) struct Stream {
    dir: PathBuf,
    limits: Limits,
    state: Mutex<Option<State>>,
    /// Held while packing and deleting segments, by one thread at a time.
    tidying: Mutex<()>,
    newest: watch::Sender<u64>,
}

impl Stream {
    pub fn new(dir: PathBuf, limits: Limits) -> Stream {
        Stream { dir, limits, state: Mutex::default(), tidying: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Appends lines and the cursor of their spool in one write.
    pub fn append(&self, lines: &[Incoming<'_>], mark: Option<Mark>) -> Result<()> {
        if lines.is_empty() && mark.is_none() {
            return Ok(());
        }
        let mut guard = self.lock()?;
        let state = loaded(&mut guard);
        if state.is_deleted {
            return Ok(());
        }
        let is_new = self.open_segment(state)?;
        let batch = Batch::new(lines, state.next_seq, mark.clone());
        state.write(&batch)?;
        if let Some(mark) = mark {
            state.set_cursor(mark);
        }
        self.newest.send_replace(state.next_seq - 1);
        drop(guard);
        // The lines are written: an error would make the caller write them again. The next segment tries again.
        if is_new && let Err(err) = self.tidy(Utc::now()) {
            tracing::error!(folder = %self.dir.display(), "could not pack the closed part of a log: {err}");
        }
        Ok(())
    }

    /// The cursor of a spool.
    pub fn cursor(&self, spool: &str) -> Result<Option<Cursor>> {
        Ok(loaded(&mut self.lock()?).cursors.get(spool).copied())
    }

    /// The segments in which a line may match, oldest first, and the number of the newest line.
    pub fn views(&self, matcher: &Matcher) -> Result<(Vec<View>, u64)> {
        let mut guard = self.lock()?;
        let state = loaded(&mut guard);
        let views = state
            .segments
            .iter()
            .filter(|segment| matcher.may_pass(&segment.total))
            .map(Segment::view)
            .collect::<std::io::Result<Vec<View>>>()
            .with_context(|| format!("open the log in {}", self.dir.display()))?;
        Ok((views, state.next_seq - 1))
    }

    pub fn totals(&self) -> Result<Totals> {
        let mut guard = self.lock()?;
        let state = loaded(&mut guard);
        let mut totals = Totals { newest_seq: state.next_seq - 1, ..Totals::default() };
        let mut oldest = i64::MAX;
        for segment in &state.segments {
            totals.lines += u64::from(segment.total.lines);
            totals.bytes += u64::from(segment.total.stored);
            oldest = oldest.min(segment.total.min_us);
        }
        if totals.lines > 0 {
            totals.oldest = DateTime::from_timestamp_micros(oldest);
        }
        Ok(totals)
    }

    /// Watches the number of the newest line; `u64::MAX` once the log is deleted.
    pub fn subscribe(&self) -> Result<watch::Receiver<u64>> {
        drop(self.lock()?); // loads the state
        Ok(self.newest.subscribe())
    }

    /// Fsyncs appended lines, so that they survive a power failure.
    pub fn sync(&self) -> Result<()> {
        let path = {
            let mut guard = self.lock()?;
            let raw = loaded(&mut guard).segments.last().filter(|s| s.raw.is_some());
            raw.map(|segment| segment.path.clone())
        };
        if let Some(path) = path {
            let file = segment::open_to_write(&path).context("open the log")?;
            file.sync_data().context("sync the log")?;
        }
        Ok(())
    }

    /// Permanently deletes the log: later lines are dropped, tails end.
    pub fn delete(&self) -> Result<()> {
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *guard = Some(State { segments: Vec::new(), next_seq: 1, cursors: Default::default(), is_deleted: true });
        trees::remove(&self.dir).with_context(|| format!("delete {}", self.dir.display()))?;
        self.newest.send_replace(u64::MAX);
        Ok(())
    }

    /// Packs closed segments, and deletes lines beyond the limits of age or size.
    pub fn tidy(&self, now: DateTime<Utc>) -> Result<()> {
        let Ok(_tidying) = self.tidying.try_lock() else {
            return Ok(());
        };
        self.trim(now)?;
        while self.pack_one()? {}
        self.trim(now)
    }

    /// Also closes the newest segment if all its lines have expired.
    pub fn expire(&self, now: DateTime<Utc>) -> Result<()> {
        let mut guard = self.lock()?;
        let state = loaded(&mut guard);
        let is_old = |segment: &Segment| segment.total.max_us < self.cutoff_us(now);
        if state.segments.last().is_some_and(|last| last.total.lines > 0 && is_old(last)) {
            self.add_segment(state)?;
        }
        drop(guard);
        self.tidy(now)
    }

    fn lock(&self) -> Result<MutexGuard<'_, Option<State>>> {
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if guard.is_none() {
            let state = State::load(&self.dir).with_context(|| format!("open the log in {}", self.dir.display()))?;
            self.newest.send_replace(state.next_seq - 1);
            *guard = Some(state);
        }
        Ok(guard)
    }

    /// Ensures that the last segment is writable; returns whether it is a new one.
    fn open_segment(&self, state: &mut State) -> Result<bool> {
        let has_room = state.segments.last().is_some_and(|last| {
            let is_raw = last.raw.as_ref();
            is_raw.is_some_and(|raw| raw.bytes < self.limits.segment_bytes || last.total.lines == 0)
        });
        if has_room {
            return Ok(false);
        }
        self.add_segment(state)?;
        Ok(true)
    }

    /// Starts a segment with the cursors of all spools, because older segments may be deleted.
    fn add_segment(&self, state: &mut State) -> Result<()> {
        let mut bytes = Vec::new();
        let mut blocks = Blocks::default();
        for (spool, cursor) in &state.cursors {
            let header =
                Header { bytes: 0, lines: 0, mark: Some(Mark { spool: spool.clone(), cursor: Some(*cursor) }) };
            let header = header.encode();
            blocks.push_other(header.len());
            bytes.extend(header);
        }
        let segment = Segment::raw(&self.dir, state.next_seq, blocks);
        std::fs::create_dir_all(&self.dir)
            .and_then(|()| segment::replace(&segment.path, &bytes))
            .with_context(|| format!("write {}", segment.path.display()))?;
        state.segments.push(segment);
        Ok(())
    }

    fn pack_one(&self) -> Result<bool> {
        let (raw_path, first_seq, file, blocks) = {
            let mut guard = self.lock()?;
            let segments = &loaded(&mut guard).segments;
            let closed = &segments[..segments.len().saturating_sub(1)];
            let Some(segment) = closed.iter().find(|s| s.raw.is_some()) else {
                return Ok(false);
            };
            let file = File::open(&segment.path).context("open the log")?;
            let blocks = segment.raw.clone().unwrap_or_default().list;
            (segment.path.clone(), segment.first_seq, file, blocks)
        };
        let packed = segment::pack(&file, &blocks, &segment::packed_path(&self.dir, first_seq));
        let mut guard = self.lock()?;
        let state = loaded(&mut guard);
        if state.is_deleted {
            return Ok(false);
        }
        let packed = packed.with_context(|| format!("pack {}", raw_path.display()))?;
        if let Some(segment) = state.segments.iter_mut().find(|s| s.first_seq == first_seq) {
            *segment = Segment::packed(&self.dir, first_seq, &packed);
        }
        segment::remove(&raw_path).with_context(|| format!("delete {}", raw_path.display()))?;
        Ok(true)
    }

    /// Deletes the oldest segments; the last one is kept regardless of size.
    fn trim(&self, now: DateTime<Utc>) -> Result<()> {
        let mut guard = self.lock()?;
        let state = loaded(&mut guard);
        let stored = |segment: &Segment| u64::from(segment.total.stored);
        let mut bytes: u64 = state.segments.iter().map(stored).sum();
        while state.segments.len() > 1 {
            let oldest = &state.segments[0];
            if bytes <= self.limits.bytes && oldest.total.max_us >= self.cutoff_us(now) {
                break;
            }
            segment::remove(&oldest.path).with_context(|| format!("delete {}", oldest.path.display()))?;
            bytes -= stored(oldest);
            state.segments.remove(0);
        }
        Ok(())
    }

    fn cutoff_us(&self, now: DateTime<Utc>) -> i64 {
        let age = i64::try_from(self.limits.age.as_micros()).unwrap_or(i64::MAX);
        now.timestamp_micros().saturating_sub(age)
    }
}

fn loaded<'a>(guard: &'a mut MutexGuard<'_, Option<State>>) -> &'a mut State {
    guard.as_mut().expect("lock() loads it")
}
