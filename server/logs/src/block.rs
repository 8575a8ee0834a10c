//! Blocks: ranges of a segment that are read as a whole, with their metadata. They are the sparse
//! index of a segment, and the unit of compression.

use crate::Level;
use crate::batch::Note;

/// A block ends with the line that reaches this size.
const BLOCK_BYTES: u32 = 64 * 1024;

/// Metadata of a range of lines. Also used for the totals of a whole segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Its offset in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub stored: u32,
    /// Uncompressed bytes of its lines and headers.
    pub raw: u32,
    /// Number of the first line; `u64::MAX` without lines.
    pub first_seq: u64,
    pub last_seq: u64,
    pub lines: u32,
    pub errors: u32,
    /// The oldest line; `i64::MAX` without lines.
    pub min_us: i64,
    pub max_us: i64,
}

impl Block {
    pub const ENCODED_BYTES: usize = 56;

    pub fn empty(offset: u64) -> Block {
        Block {
            offset,
            stored: 0,
            raw: 0,
            first_seq: u64::MAX,
            last_seq: 0,
            lines: 0,
            errors: 0,
            min_us: i64::MAX,
            max_us: i64::MIN,
        }
    }

    /// The combined metadata of all `blocks`.
    pub fn total(blocks: &[Block]) -> Block {
        let mut total = Block::empty(0);
        for block in blocks {
            total.stored = total.stored.saturating_add(block.stored);
            total.raw = total.raw.saturating_add(block.raw);
            total.first_seq = total.first_seq.min(block.first_seq);
            total.last_seq = total.last_seq.max(block.last_seq);
            total.lines += block.lines;
            total.errors += block.errors;
            total.min_us = total.min_us.min(block.min_us);
            total.max_us = total.max_us.max(block.max_us);
        }
        total
    }

    pub fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.extend(self.offset.to_le_bytes());
        buffer.extend(self.stored.to_le_bytes());
        buffer.extend(self.raw.to_le_bytes());
        buffer.extend(self.first_seq.to_le_bytes());
        buffer.extend(self.last_seq.to_le_bytes());
        buffer.extend(self.lines.to_le_bytes());
        buffer.extend(self.errors.to_le_bytes());
        buffer.extend(self.min_us.to_le_bytes());
        buffer.extend(self.max_us.to_le_bytes());
    }

    pub fn decode(bytes: &[u8; Block::ENCODED_BYTES]) -> Block {
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let short = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Block {
            offset: long(0),
            stored: short(8),
            raw: short(12),
            first_seq: long(16),
            last_seq: long(24),
            lines: short(32),
            errors: short(36),
            min_us: long(40) as i64,
            max_us: long(48) as i64,
        }
    }
}

/// The blocks of the segment being written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks {
    pub list: Vec<Block>,
    /// Bytes of the segment.
    pub bytes: u64,
}

impl Blocks {
    /// Adds bytes that are not a line: a header, or corruption.
    pub fn push_other(&mut self, bytes: usize) {
        self.grow(bytes);
    }

    pub fn push_line(&mut self, note: &Note) {
        let block = self.grow(note.bytes);
        block.first_seq = block.first_seq.min(note.seq);
        block.last_seq = block.last_seq.max(note.seq);
        block.lines += 1;
        block.errors += u32::from(note.level == Level::Error);
        block.min_us = block.min_us.min(note.at_us);
        block.max_us = block.max_us.max(note.at_us);
    }

    fn grow(&mut self, bytes: usize) -> &mut Block {
        if self.list.last().is_none_or(|block| block.raw >= BLOCK_BYTES) {
            self.list.push(Block::empty(self.bytes));
        }
        self.bytes += bytes as u64;
        let block = self.list.last_mut().expect("one was pushed above");
        block.raw += bytes as u32;
        block.stored = block.raw;
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_go_to_disk_and_back() {
        let mut blocks = Blocks::default();
        for seq in 1..2_000 {
            blocks.push_other(10);
            blocks.push_line(&Note {
                bytes: 100,
                seq,
                at_us: -(seq as i64),
                level: if seq % 2 == 0 { Level::Error } else { Level::Info },
            });
        }
        let total = Block::total(&blocks.list);
        assert_eq!((total.first_seq, total.last_seq, total.lines, total.errors), (1, 1999, 1999, 999));
        assert_eq!((total.min_us, total.max_us), (-1999, -1));
        assert_eq!(u64::from(total.raw), blocks.bytes);
        assert!(blocks.list.len() > 2);
        for block in &blocks.list {
            let mut bytes = Vec::new();
            block.encode(&mut bytes);
            assert_eq!(Block::decode(&bytes.try_into().expect("its length is fixed")), *block);
        }
    }
}
