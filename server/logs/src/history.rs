//! The logs of all apps.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context;
use api::ids::AppId;
use chrono::{DateTime, Utc};
use spool::Cursor;
use tokio::sync::watch;

use crate::batch::Mark;
use crate::line::{Incoming, Line, clean_name};
use crate::stream::{Stream, Totals};
use crate::{Bucket, Budget, Filter, Limits, Lines, NewLine, Query, Result, Tail, density};

/// The logs of all apps, one directory each. Only one process at a time may have it open.
///
/// Appending does not fsync: it survives a crash of the process, but not a power failure; a partial
/// batch is discarded when the log is next opened. A log is opened on first use, which reads its
/// newest segment.
pub struct History {
    dir: PathBuf,
    limits: Limits,
    streams: RwLock<HashMap<AppId, Arc<Stream>>>,
}

impl History {
    /// Opens the histories in `dir`, which is created if missing.
    pub fn open(dir: &Path) -> Result<Arc<History>> {
        History::open_with(dir, Limits::default())
    }

    /// Like [`History::open`], with custom retention.
    pub fn open_with(dir: &Path, limits: Limits) -> Result<Arc<History>> {
        std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        Ok(Arc::new(History { dir: dir.to_owned(), limits, streams: RwLock::default() }))
    }

    /// Appends lines to an app's log, atomically.
    pub fn append(&self, app: AppId, lines: Vec<NewLine>) -> Result<()> {
        let lines: Vec<_> = lines.iter().map(NewLine::incoming).collect();
        self.stream(app).append(&lines, None)
    }

    /// Appends lines read from a spool, and stores its `cursor`, in one write: after a crash, both exist or neither.
    /// `spool` is a name chosen by the caller, such as a dyno's id.
    pub fn append_from(&self, app: AppId, lines: Vec<NewLine>, spool: &str, cursor: Cursor) -> Result<()> {
        let lines: Vec<_> = lines.iter().map(NewLine::incoming).collect();
        self.append_incoming(app, &lines, spool, cursor)
    }

    /// Like [`History::append_from`].
    pub(crate) fn append_incoming(
        &self,
        app: AppId,
        lines: &[Incoming<'_>],
        spool: &str,
        cursor: Cursor,
    ) -> Result<()> {
        let mark = Mark { spool: clean_name(spool).into_owned(), cursor: Some(cursor) };
        self.stream(app).append(lines, Some(mark))
    }

    /// The cursor up to which a spool has been read into an app's log.
    pub fn cursor(&self, app: AppId, spool: &str) -> Result<Option<Cursor>> {
        self.stream(app).cursor(&clean_name(spool))
    }

    /// Forgets the cursor of a spool. Call it once the spool is deleted: an existing spool would be
    /// read from the start.
    pub fn forget(&self, app: AppId, spool: &str) -> Result<()> {
        if self.cursor(app, spool)?.is_none() {
            return Ok(());
        }
        let mark = Mark { spool: clean_name(spool).into_owned(), cursor: None };
        self.stream(app).append(&[], Some(mark))
    }

    /// The last `n` lines that match, oldest first. For many, [`History::read`] needs less memory.
    pub fn last(&self, app: AppId, n: usize, filter: &Filter) -> Result<Vec<Line>> {
        let query = Query { filter: filter.clone(), last: Some(n), ..Query::default() };
        self.read(app, &query)?.collect_most(n)
    }

    /// The first `max` lines after line `seq` that match, oldest first.
    pub fn after(&self, app: AppId, seq: u64, max: usize, filter: &Filter) -> Result<Vec<Line>> {
        let query = Query { filter: filter.clone(), after: Some(seq), ..Query::default() };
        self.read(app, &query)?.collect_most(max)
    }

    /// The lines matching a query, oldest first, read lazily by the iterator (which does disk IO).
    /// Any number of them needs the memory of a few hundred.
    pub fn read(&self, app: AppId, query: &Query) -> Result<Lines> {
        Lines::new(&self.stream(app), query)
    }

    /// Tails the lines after line `seq`.
    pub fn tail(&self, app: AppId, seq: u64, filter: &Filter) -> Result<Tail> {
        Tail::new(self.stream(app), seq, filter)
    }

    /// Watches the number of the newest line; `u64::MAX` once the log is deleted.
    pub fn subscribe(&self, app: AppId) -> Result<watch::Receiver<u64>> {
        self.stream(app).subscribe()
    }

    /// Counts matching lines and errors in `buckets` equal intervals of `[from, to)`.
    pub fn density(
        &self,
        app: AppId,
        filter: &Filter,
        buckets: usize,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        budget: &Budget,
    ) -> Result<Vec<Bucket>> {
        density::count(&self.stream(app), filter, (from, to), buckets, budget)
    }

    /// The size of an app's log.
    pub fn totals(&self, app: AppId) -> Result<Totals> {
        self.stream(app).totals()
    }

    /// Fsyncs an app's log, so that it survives a power failure.
    pub fn sync(&self, app: AppId) -> Result<()> {
        self.stream(app).sync()
    }

    /// Deletes an app's log. Later lines are dropped, and its tails end.
    pub fn delete(&self, app: AppId) -> Result<()> {
        self.stream(app).delete()
    }

    /// Deletes expired lines from all logs. Call it once a day; active logs do this on their own.
    pub fn expire(&self, now: DateTime<Utc>) -> Result<()> {
        let apps = std::fs::read_dir(&self.dir).context("list the logs")?;
        for app in apps {
            let name = app.context("list the logs")?.file_name();
            let app = name.to_str().and_then(|name| name.parse().ok());
            if let Some(app) = app {
                self.stream(app).expire(now)?;
            }
        }
        Ok(())
    }

    /// The directory of this history.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn stream(&self, app: AppId) -> Arc<Stream> {
        let known = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = known.get(&app) {
            return Arc::clone(stream);
        }
        drop(known);
        let mut known = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(Stream::new(self.dir.join(app.to_string()), self.limits));
        Arc::clone(known.entry(app).or_insert_with(make))
    }
}
