//! The in-memory state of one app's open log, and loading it.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use spool::Cursor;

use crate::batch::{Batch, Mark};
use crate::block::{Block, Blocks};
use crate::view::View;
use crate::{Result, segment};

/// Loaded on first use.
pub(crate) struct State {
    /// Oldest first. All but the last are closed.
    pub segments: Vec<Segment>,
    pub next_seq: u64,
    pub cursors: BTreeMap<String, Cursor>,
    pub is_deleted: bool,
}

/// One file of the log.
pub(crate) struct Segment {
    pub first_seq: u64,
    pub path: PathBuf,
    /// The combined metadata of its blocks.
    pub total: Block,
    /// Only for a raw segment; a packed one has them on disk.
    pub raw: Option<Blocks>,
}

impl Segment {
    pub fn raw(dir: &Path, first_seq: u64, blocks: Blocks) -> Segment {
        Segment {
            first_seq,
            path: segment::raw_path(dir, first_seq),
            total: Block::total(&blocks.list),
            raw: Some(blocks),
        }
    }

    pub fn packed(dir: &Path, first_seq: u64, blocks: &[Block]) -> Segment {
        Segment { first_seq, path: segment::packed_path(dir, first_seq), total: Block::total(blocks), raw: None }
    }

    pub fn view(&self) -> std::io::Result<View> {
        Ok(match &self.raw {
            // Opened now, because it may be packed and deleted while it is read.
            Some(blocks) => View::raw(File::open(&self.path)?, blocks.list.clone()),
            None => View::packed(self.path.clone()),
        })
    }
}

impl State {
    pub fn load(dir: &Path) -> anyhow::Result<State> {
        let found = segment::list(dir)?;
        let newest_raw = found.iter().rev().find(|(_, (raw, _))| *raw).map(|(seq, _)| *seq);
        let mut state = State { segments: Vec::new(), next_seq: 1, cursors: BTreeMap::new(), is_deleted: false };
        for (first_seq, (is_raw, is_packed)) in found {
            state.next_seq = state.next_seq.max(first_seq);
            let is_newest = newest_raw == Some(first_seq);
            if is_packed && !is_newest {
                if is_raw {
                    // Crashed between packing and deleting.
                    segment::remove(&segment::raw_path(dir, first_seq))?;
                }
                state.load_packed(dir, first_seq);
            } else {
                state.load_raw(dir, first_seq, is_newest)?;
            }
            if let Some(last) = state.segments.last() {
                state.next_seq = state.next_seq.max(last.total.last_seq + 1);
            }
        }
        Ok(state)
    }

    fn load_packed(&mut self, dir: &Path, first_seq: u64) {
        let path = segment::packed_path(dir, first_seq);
        match segment::read_index(&path) {
            Ok(blocks) => self.segments.push(Segment::packed(dir, first_seq, &blocks)),
            // Better to read the rest of the log than to fail.
            Err(e) => tracing::warn!(path = %path.display(), "could not read a part of a log: {e}"),
        }
    }

    fn load_raw(&mut self, dir: &Path, first_seq: u64, is_newest: bool) -> anyhow::Result<()> {
        let path = segment::raw_path(dir, first_seq);
        let scan = segment::scan(&path)?;
        if is_newest {
            if scan.torn > 0 {
                tracing::info!(path = %path.display(), bytes = scan.torn, "discarded a partial batch");
                segment::open_to_write(&path)?.set_len(scan.blocks.bytes)?;
            }
            self.cursors = scan.cursors;
        }
        self.segments.push(Segment::raw(dir, first_seq, scan.blocks));
        Ok(())
    }

    /// Appends a batch to the last segment, which must be raw.
    pub fn write(&mut self, batch: &Batch) -> Result<()> {
        let segment = self.segments.last_mut().expect("open_segment() saw to it");
        let blocks = segment.raw.as_mut().expect("open_segment() saw to it");
        // A partial write is not valid, and the next one overwrites it.
        segment::open_to_write(&segment.path)
            .and_then(|file| file.write_all_at(batch.bytes(), blocks.bytes))
            .with_context(|| format!("write {}", segment.path.display()))?;
        blocks.push_other(batch.header_bytes());
        for note in &batch.notes {
            blocks.push_line(note);
            self.next_seq = note.seq + 1;
        }
        segment.total = Block::total(&blocks.list);
        Ok(())
    }

    pub fn set_cursor(&mut self, mark: Mark) {
        match mark.cursor {
            Some(cursor) => self.cursors.insert(mark.spool, cursor),
            None => self.cursors.remove(&mark.spool),
        };
    }
}
