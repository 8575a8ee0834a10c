//! Lines as they come.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::filter::Matcher;
use crate::line::Line;
use crate::read::Lines;
use crate::stream::Stream;
use crate::{Filter, Patience, Result};

/// Follows an app's log from a line on. Reads what is on disk: a slow reader costs no memory, and
/// what it has missed it can still read, or skip and be told how much.
pub struct Tail {
    stream: Arc<Stream>,
    matcher: Matcher,
    newest: watch::Receiver<u64>,
}

impl Tail {
    pub(crate) fn new(stream: Arc<Stream>, after: u64, filter: &Filter) -> Result<Tail> {
        let mut matcher = Matcher::new(filter)?;
        matcher.after = after;
        let newest = stream.subscribe()?;
        Ok(Tail { stream, matcher, newest })
    }

    /// The next matching lines, at most `max`; none when there is nothing new, or not in so much of
    /// the log as `patience` lasts for: the next call goes on from there.
    pub fn read(&mut self, max: usize, patience: &Patience) -> Result<Vec<Line>> {
        let (views, newest) = self.stream.views(&self.matcher)?;
        let mut found = Lines::of(views, Arc::new(self.matcher.clone()), patience.clone());
        let lines: Vec<Line> = found.by_ref().take(max).collect();
        let seen = match (lines.last(), found.stopped_at()) {
            (Some(last), _) if lines.len() == max => last.seq,
            (last, Some(seen)) => last.map_or(seen, |last| seen.max(last.seq)),
            // Those that did not match have been seen as well.
            (_, None) => newest,
        };
        self.matcher.after = seen.max(self.matcher.after);
        Ok(lines)
    }

    /// Waits until there is something to read (it may turn out not to match). `false` when the log
    /// was deleted. Safe to drop and call again.
    pub async fn changed(&mut self) -> bool {
        let after = self.matcher.after;
        match self.newest.wait_for(|newest| *newest > after).await {
            Ok(newest) => *newest != u64::MAX,
            Err(_) => false,
        }
    }

    /// The line up to which everything has been read: go on from here after a reconnect.
    pub fn seq(&self) -> u64 {
        self.matcher.after
    }

    /// How many lines, matching or not, wait to be read.
    pub fn lag(&self) -> u64 {
        match *self.newest.borrow() {
            u64::MAX => 0,
            newest => newest.saturating_sub(self.matcher.after),
        }
    }

    /// Passes over all but the newest `keep` lines that match, and says how many of them that were. Where
    /// looking for them takes longer than `patience` lasts, the newest `keep` lines of all are what is left.
    pub fn skip(&mut self, keep: usize, patience: &Patience) -> Result<u64> {
        if self.matcher.is_open() {
            let skipped = self.lag().saturating_sub(keep as u64);
            self.matcher.after += skipped;
            return Ok(skipped);
        }
        let (views, newest) = self.stream.views(&self.matcher)?;
        let (mut kept, mut skipped, mut after) = (VecDeque::with_capacity(keep + 1), 0, self.matcher.after);
        let mut found = Lines::of(views, Arc::new(self.matcher.clone()), patience.clone());
        for line in found.by_ref() {
            kept.push_back(line.seq);
            if kept.len() > keep {
                after = kept.pop_front().unwrap_or(after);
                skipped += 1;
            }
        }
        if found.stopped_at().is_some() {
            self.matcher.after = newest.saturating_sub(keep as u64).max(after);
            return Ok(skipped + kept.len() as u64);
        }
        // What lies before the first that is kept does not match; nor does anything when none is.
        self.matcher.after = kept.front().map_or(newest, |first| first - 1).max(after);
        Ok(skipped)
    }
}
