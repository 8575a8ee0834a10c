//! The loaded lines, outside the reactive graph.

use std::collections::VecDeque;

use api::log_lines::LogLine;

/// Maximum number of lines. The oldest are dropped first.
pub const CAPACITY: usize = 50_000;

/// Lines in order of their numbers, without duplicates and bounded.
#[derive(Default)]
pub struct Ring {
    lines: VecDeque<LogLine>,
    evicted: u64,
}

impl Ring {
    /// Clears it.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.evicted = 0;
    }

    /// Adds newer lines, skipping duplicates. Returns how many were dropped at the front.
    pub fn push(&mut self, new: Vec<LogLine>) -> usize {
        let last = self.last();
        self.lines.extend(new.into_iter().filter(|line| last.is_none_or(|last| line.seq > last)));
        let over = self.lines.len().saturating_sub(CAPACITY);
        self.lines.drain(..over);
        self.evicted += over as u64;
        over
    }

    /// Adds older lines at the front, as far as there is room. Returns how many were added.
    pub fn push_older(&mut self, older: Vec<LogLine>) -> usize {
        let first = self.first();
        let room = CAPACITY - self.lines.len();
        let mut added = 0;
        for line in older.into_iter().rev().filter(|line| first.is_none_or(|first| line.seq < first)).take(room) {
            self.lines.push_front(line);
            added += 1;
        }
        self.evicted = self.evicted.saturating_sub(added);
        added as usize
    }

    /// The number of the oldest line.
    pub fn first(&self) -> Option<u64> {
        self.lines.front().map(|line| line.seq)
    }

    /// The number of the newest line.
    pub fn last(&self) -> Option<u64> {
        self.lines.back().map(|line| line.seq)
    }

    /// The line at this position, 0 being the oldest.
    pub fn get(&self, place: usize) -> Option<&LogLine> {
        self.lines.get(place)
    }

    /// The position of the line with this number.
    pub fn find(&self, seq: u64) -> Option<usize> {
        self.lines.binary_search_by_key(&seq, |line| line.seq).ok()
    }

    /// The number of lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether it has no lines.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether it is full.
    pub fn is_full(&self) -> bool {
        self.lines.len() >= CAPACITY
    }

    /// The total number of lines dropped at the front: makes positions comparable over time.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// All lines, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &LogLine> + ExactSizeIterator {
        self.lines.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(seqs: impl IntoIterator<Item = u64>) -> Vec<LogLine> {
        let line = |seq| LogLine {
            seq,
            at: Default::default(),
            source: "app".into(),
            dyno: "web.1".into(),
            text: String::new(),
            level: Default::default(),
        };
        seqs.into_iter().map(line).collect()
    }

    #[test]
    fn duplicate_lines_are_dropped() {
        let mut ring = Ring::default();
        ring.push(lines([5, 6]));
        ring.push(lines([6, 7]));
        assert_eq!(ring.push_older(lines([3, 4, 5])), 2);
        let got: Vec<u64> = ring.iter().map(|l| l.seq).collect();
        assert_eq!(got, [3, 4, 5, 6, 7]);
        assert_eq!((ring.find(6), ring.find(9)), (Some(3), None));
    }

    #[test]
    fn memory_is_bounded() {
        let mut ring = Ring::default();
        assert_eq!(ring.push(lines(1..=CAPACITY as u64 + 10)), 10);
        assert_eq!((ring.len(), ring.first(), ring.evicted()), (CAPACITY, Some(11), 10));
        assert_eq!(ring.push_older(lines(1..=10)), 0);
    }
}
