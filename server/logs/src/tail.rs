//! Tailing a log.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::filter::Matcher;
use crate::line::Line;
use crate::read::Lines;
use crate::stream::Stream;
use crate::{Budget, Filter, Result};

/// Bytes of text that are read at once.
const MOST_BYTES: usize = 64 << 10;

/// Tails an app's log from a given line. Reads from disk: a slow reader costs no memory, and can
/// still read the lines it missed, or skip them and learn how many there were.
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

    /// The next matching lines, at most `max`, and no more than may be held in memory for a reader; empty if there is
    /// nothing new, or nothing within the `budget`: the next call resumes there.
    pub fn read(&mut self, max: usize, budget: &Budget) -> Result<Vec<Line>> {
        let (views, newest) = self.stream.views(&self.matcher)?;
        let mut found = Lines::of(views, Arc::new(self.matcher.clone()), budget.clone());
        let (mut lines, mut bytes): (Vec<Line>, usize) = (Vec::new(), 0);
        while lines.len() < max
            && bytes < MOST_BYTES
            && let Some(line) = found.next()
        {
            bytes += line.text.len();
            lines.push(line);
        }
        let seen = match (lines.last(), found.stopped_at()) {
            (Some(last), _) if lines.len() == max || bytes >= MOST_BYTES => last.seq,
            (last, Some(seen)) => last.map_or(seen, |last| seen.max(last.seq)),
            // Lines that did not match count as read.
            (_, None) => newest,
        };
        self.matcher.after = seen.max(self.matcher.after);
        Ok(lines)
    }

    /// Waits for new lines (which may not match). `false` if the log was deleted. Cancel-safe.
    pub async fn changed(&mut self) -> bool {
        let after = self.matcher.after;
        match self.newest.wait_for(|newest| *newest > after).await {
            Ok(newest) => *newest != u64::MAX,
            Err(_) => false,
        }
    }

    /// The last line read: resume from here after a reconnect.
    pub fn seq(&self) -> u64 {
        self.matcher.after
    }

    /// The number of unread lines, matching or not.
    pub fn lag(&self) -> u64 {
        match *self.newest.borrow() {
            u64::MAX => 0,
            newest => newest.saturating_sub(self.matcher.after),
        }
    }

    /// Skips all but the newest `keep` matching lines, and returns how many were skipped. If finding
    /// them exceeds the `budget`, the newest `keep` lines of any kind remain.
    pub fn skip(&mut self, keep: usize, budget: &Budget) -> Result<u64> {
        if self.matcher.is_open() {
            let skipped = self.lag().saturating_sub(keep as u64);
            self.matcher.after += skipped;
            return Ok(skipped);
        }
        let (views, newest) = self.stream.views(&self.matcher)?;
        let (mut kept, mut skipped, mut after) = (VecDeque::with_capacity(keep + 1), 0, self.matcher.after);
        let mut found = Lines::of(views, Arc::new(self.matcher.clone()), budget.clone());
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
        // Nothing before the first kept line matches; if none is kept, nothing matches.
        self.matcher.after = kept.front().map_or(newest, |first| first - 1).max(after);
        Ok(skipped)
    }
}
