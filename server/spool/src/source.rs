//! Entries in batches, wherever they come from.

use std::io;

use crate::{Cursor, Entry};

/// Entries in order.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Batch {
    /// Empty if there is nothing new.
    pub entries: Vec<Entry>,
    /// The cursor behind them, from which reading can be resumed.
    pub cursor: Cursor,
    /// Whether there may be more right now.
    pub is_full: bool,
    /// Whether everything has been read and no more will be written. Never together with entries.
    pub is_end: bool,
}

/// Yields entries from a cursor on. It has only one reader, so it can keep state that makes the next read cheap, such
/// as an open file.
///
/// Calls are short but block the thread: async callers wrap them in `spawn_blocking`. None waits for new entries.
pub trait Source: Send {
    /// The next entries: at most `most`, and about 256 KiB of text. After an error, this source may skip entries: open
    /// another one at a stored cursor.
    fn read_batch(&mut self, most: usize) -> io::Result<Batch>;

    /// Whether a read would return nothing; cheaper than a read, and sometimes late by a few calls.
    fn is_idle(&mut self) -> bool;

    /// Allows everything that was read to be deleted. Call it once the cursor is stored durably.
    fn forget_consumed(&self) -> io::Result<()>;

    /// Deletes what has been written so far, except for the newest part, without reading it. The cost does not depend
    /// on its size. Returns whether no more will be written; the next read continues with what is left.
    fn discard(&mut self) -> io::Result<bool>;
}
