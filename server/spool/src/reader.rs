//! The reading end.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Entry, segments, writer::remove};

const CHUNK_BYTES: usize = 64 * 1024;

/// A place in a spool: everything before it has been read. The default is the beginning.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Cursor {
    /// Number of the segment.
    pub segment: u64,
    /// Bytes into it.
    pub offset: u64,
}

/// Reads a spool, also while it is being written. Never returns half a line, and goes on to the
/// next segment when one is finished. Lines that are not entries are passed over.
pub struct Reader {
    dir: PathBuf,
    cursor: Cursor,
    file: Option<File>,
    /// Bytes of the segment from the cursor on.
    ahead: Vec<u8>,
    /// How often in a row there was nothing new.
    idle: u32,
}

/// So many looks at the open segment pass before one at the next.
const LOOKS: u32 = 8;

impl Reader {
    /// A reader of `dir`, which need not exist yet, that goes on at `from`.
    pub fn new(dir: &Path, from: Cursor) -> Reader {
        Reader { dir: dir.to_owned(), cursor: from, file: None, ahead: Vec::new(), idle: 0 }
    }

    /// The next entries, at most `max`. None means that there is nothing new now.
    pub fn read(&mut self, max: usize) -> io::Result<Vec<Entry>> {
        let placed = self.read_placed(max)?;
        Ok(placed.into_iter().map(|(_, entry)| entry).collect())
    }

    /// As [`Reader::read`], each entry with the place behind it: who has kept that place has had
    /// the entry.
    pub fn read_placed(&mut self, max: usize) -> io::Result<Vec<(Cursor, Entry)>> {
        let mut entries = Vec::new();
        let mut position = 0;
        while entries.len() < max {
            if let Some(length) = self.ahead[position..].iter().position(|b| *b == b'\n') {
                let entry = Entry::decode(&self.ahead[position..position + length]);
                position += length + 1;
                entries.extend(entry.map(|entry| (self.place(position), entry)));
                continue;
            }
            self.consume(&mut position);
            if self.fill()? {
                continue;
            }
            if !self.is_finished()? {
                // What is left is half a line; its writer may take it back, so it is read anew.
                self.ahead.clear();
                return Ok(entries);
            }
            if self.fill()? {
                continue; // written between the look at the end and the look at the next segment
            }
            let rest = Entry::decode(&self.ahead);
            entries.extend(rest.map(|entry| (self.place(self.ahead.len()), entry)));
            self.enter(self.cursor.segment + 1);
        }
        self.consume(&mut position);
        Ok(entries)
    }

    /// Whether a read would bring nothing, as one call to the kernel can tell: hundreds of spools are asked
    /// many times a second. May be wrong about a segment that was begun just now, for [`LOOKS`] calls.
    pub fn is_idle(&mut self) -> bool {
        let looks = self.ahead.is_empty() && self.idle < LOOKS;
        let meta = self.file.as_ref().filter(|_| looks).and_then(|file| file.metadata().ok());
        let is_idle = meta.is_some_and(|meta| meta.nlink() > 0 && meta.len() <= self.cursor.offset);
        self.idle = if is_idle { self.idle + 1 } else { 0 };
        is_idle
    }

    /// Where the next [`Reader::read`] starts: keep this, together with what was made of the
    /// entries, to go on after a restart.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Deletes the segments before the cursor's. Call it when the cursor is kept safely.
    pub fn forget_consumed(&self) -> io::Result<()> {
        for number in segments::list(&self.dir)? {
            if number < self.cursor.segment {
                remove(&segments::path(&self.dir, number))?;
            }
        }
        Ok(())
    }

    fn place(&self, position: usize) -> Cursor {
        Cursor { segment: self.cursor.segment, offset: self.cursor.offset + position as u64 }
    }

    fn consume(&mut self, position: &mut usize) {
        self.ahead.drain(..*position);
        self.cursor.offset += *position as u64;
        *position = 0;
    }

    /// Reads one chunk further; says whether there was anything.
    fn fill(&mut self) -> io::Result<bool> {
        if self.file.is_none() && !self.open()? {
            return Ok(false);
        }
        let file = self.file.as_ref().expect("opened above");
        let start = self.ahead.len();
        self.ahead.resize(start + CHUNK_BYTES, 0);
        let read = loop {
            match file.read_at(&mut self.ahead[start..], self.cursor.offset + start as u64) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.ahead.truncate(start + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }

    /// Opens the cursor's segment, or the first after it if that one is gone (or never was, as
    /// segment 0 of the default cursor).
    fn open(&mut self) -> io::Result<bool> {
        let next = segments::list(&self.dir)?.into_iter().find(|n| *n >= self.cursor.segment);
        let Some(number) = next else { return Ok(false) };
        if number != self.cursor.segment {
            self.enter(number);
        }
        match segments::open(&self.dir, number) {
            Ok(file) => self.file = Some(file),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        }
        Ok(true)
    }

    /// Whether the writer has gone on to a later segment. It flushes before it does.
    fn is_finished(&self) -> io::Result<bool> {
        if self.file.is_none() {
            return Ok(false);
        }
        if segments::path(&self.dir, self.cursor.segment + 1).exists() {
            return Ok(true);
        }
        // Deleted under us: the spool was trimmed past this segment.
        let gone = !segments::path(&self.dir, self.cursor.segment).exists();
        Ok(gone && segments::list(&self.dir)?.last() > Some(&self.cursor.segment))
    }

    fn enter(&mut self, number: u64) {
        self.cursor = Cursor { segment: number, offset: 0 };
        self.file = None;
        self.ahead.clear();
    }
}
