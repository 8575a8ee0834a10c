//! Reads lines from disk, oldest first, a block at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::block::Block;
use crate::filter::Matcher;
use crate::line::{Line, Record};
use crate::stream::Stream;
use crate::view::View;
use crate::{Budget, Error, Filter, Result, segment};

/// Bytes of text that are collected at once: if lines are long, there are fewer of them.
const MOST_TEXT: usize = 8 << 20;

/// Which lines to read. The default is all of them.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The filter.
    pub filter: Filter,
    /// Only lines after this number.
    pub after: Option<u64>,
    /// Only lines before this number.
    pub before: Option<u64>,
    /// Only the last this many matches.
    pub last: Option<usize>,
    /// The budget.
    pub budget: Budget,
}

/// Lines, oldest first. Holds one block of them in memory, however many there are.
pub struct Lines {
    matcher: Arc<Matcher>,
    parts: VecDeque<Part>,
    /// Whether the query asked for the last matches.
    newest: bool,
    /// Number of matches to skip in the first block.
    skip: usize,
    ready: std::vec::IntoIter<Line>,
    budget: Budget,
    /// The last line examined, matching or not.
    seen: u64,
    /// Whether it was stopped before the last line.
    is_stopped: bool,
}

struct Part {
    view: View,
    /// Loaded lazily when this part is reached.
    blocks: Option<VecDeque<Block>>,
}

impl Lines {
    pub(crate) fn new(stream: &Stream, query: &Query) -> Result<Lines> {
        let mut matcher = Matcher::new(&query.filter)?;
        matcher.after = query.after.unwrap_or(0);
        matcher.before = query.before.unwrap_or(u64::MAX);
        let (views, _) = stream.views(&matcher)?;
        let mut lines = Lines::of(views, Arc::new(matcher), query.budget.clone());
        lines.newest = query.last.is_some();
        if let Some(last) = query.last {
            lines.keep_last(last)?;
        }
        Ok(lines)
    }

    pub(crate) fn of(views: Vec<View>, matcher: Arc<Matcher>, budget: Budget) -> Lines {
        let parts = views.into_iter().map(|view| Part { view, blocks: None }).collect();
        Lines {
            matcher,
            parts,
            newest: false,
            skip: 0,
            ready: Vec::new().into_iter(),
            budget,
            seen: 0,
            is_stopped: false,
        }
    }

    /// At most `max` of the remaining lines, and no more text than is collected at once: the newest lines if the query
    /// asked for the last ones, otherwise the oldest. An error if the search is stopped first.
    pub fn collect_most(&mut self, max: usize) -> Result<Vec<Line>> {
        let (mut kept, mut bytes, newest) = (VecDeque::new(), 0, self.newest);
        for line in self.by_ref().take(max) {
            bytes += line.text.len();
            kept.push_back(line);
            while newest && bytes > MOST_TEXT {
                bytes -= kept.pop_front().map_or(bytes, |line| line.text.len());
            }
            if bytes > MOST_TEXT {
                break;
            }
        }
        if self.is_stopped { Err(Error::Stopped) } else { Ok(kept.into()) }
    }

    /// Resumes where it was stopped, if it was, with a new budget.
    pub fn go_on(&mut self, budget: Budget) {
        (self.budget, self.is_stopped) = (budget, false);
    }

    /// Whether it was stopped before the last line.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Whether it was stopped before the last line, and how far it got.
    pub(crate) fn stopped_at(&self) -> Option<u64> {
        self.is_stopped.then_some(self.seen)
    }

    /// Counts backwards until there are enough; blocks that can be counted by their metadata are not read.
    fn keep_last(&mut self, mut wanted: usize) -> Result<()> {
        let mut kept = VecDeque::new();
        while wanted > 0 {
            let Some(mut part) = self.parts.pop_back() else {
                break;
            };
            let mut blocks = VecDeque::new();
            for block in part.view.blocks(&self.matcher).into_iter().rev() {
                let count = self.count_in(&part.view, &block)?;
                if count == 0 {
                    continue;
                }
                blocks.push_front(block);
                self.skip = count.saturating_sub(wanted);
                wanted = wanted.saturating_sub(count);
                if wanted == 0 {
                    break;
                }
            }
            part.blocks = Some(blocks);
            kept.push_front(part);
        }
        self.parts = kept;
        Ok(())
    }

    fn count_in(&self, view: &View, block: &Block) -> Result<usize> {
        if self.matcher.passes_all(block) {
            self.budget.check()?;
            return Ok(block.lines as usize);
        }
        self.budget.spend(block.raw)?;
        let bytes = view.read(block);
        let mut count = 0;
        if self.matcher.may_pass_bytes(&bytes) {
            let mut line = 0;
            for (_, record) in segment::lines(&bytes) {
                self.budget.step(&mut line)?;
                count += usize::from(record.is_some_and(|record| self.matcher.passes(&record)));
            }
        }
        Ok(count)
    }

    /// Reads the next block; `false` at the end, or if the search has to stop.
    fn advance(&mut self) -> bool {
        self.read_block().unwrap_or_else(|_| {
            self.is_stopped = true;
            false
        })
    }

    fn read_block(&mut self) -> Result<bool> {
        while let Some(part) = self.parts.front_mut() {
            let view = &part.view;
            let blocks = part.blocks.get_or_insert_with(|| view.blocks(&self.matcher).into());
            let Some(block) = blocks.front().copied() else {
                self.parts.pop_front();
                continue;
            };
            self.budget.spend(block.raw)?;
            let bytes = view.read(&block);
            let mut lines = Vec::new();
            if self.matcher.may_pass_bytes(&bytes) {
                let mut line = 0;
                for (_, record) in segment::lines(&bytes) {
                    self.budget.step(&mut line)?;
                    lines.extend(record.filter(|record| self.matcher.passes(record)).map(Record::to_line));
                }
            }
            blocks.pop_front();
            self.seen = block.last_seq;
            lines.drain(..self.skip.min(lines.len()));
            self.skip = 0;
            self.ready = lines.into_iter();
            return Ok(true);
        }
        Ok(false)
    }
}

impl Iterator for Lines {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.ready.next() {
                return Some(line);
            }
            if !self.advance() {
                return None;
            }
        }
    }
}
