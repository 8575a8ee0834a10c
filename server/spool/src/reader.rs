//! The reading end.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::{Batch, Cursor, Entry, Source, segments, writer::remove};

const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of text after which a batch is full.
const BATCH_BYTES: usize = 256 * 1024;

thread_local! {
    /// Bytes that have just been read from a file. Shared by the readers of a thread: there are hundreds of them, and few
    /// have anything to read.
    static CHUNK: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK_BYTES].into_boxed_slice());
}

/// Reads a spool, even while it is being written. Never returns a partial line, and continues with the next
/// segment when one is finished. Lines that are not entries are skipped.
pub struct Reader {
    dir: PathBuf,
    cursor: Cursor,
    file: Option<File>,
    /// Unread bytes of the segment.
    ahead: Vec<u8>,
    /// Number of consecutive reads without new data.
    idle: u32,
}

/// The next segment is looked for once per this many reads of the open one.
const LOOKS: u32 = 8;

impl Reader {
    /// A reader of `dir`, which need not exist yet, starting at `from`.
    pub fn new(dir: &Path, from: Cursor) -> Reader {
        Reader { dir: dir.to_owned(), cursor: from, file: None, ahead: Vec::new(), idle: 0 }
    }

    /// The next entries, at most `max`. Empty if there is nothing new.
    pub fn read(&mut self, max: usize) -> io::Result<Vec<Entry>> {
        let placed = self.read_placed(max)?;
        Ok(placed.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Like [`Reader::read`], each entry with the cursor behind it: storing that cursor acknowledges the entry.
    pub fn read_placed(&mut self, max: usize) -> io::Result<Vec<(Cursor, Entry)>> {
        self.read_most(max, usize::MAX).map(|(entries, _)| entries)
    }

    /// Like [`Reader::read`], but no more than about 256 KiB of text at once.
    pub fn read_batch(&mut self, max: usize) -> io::Result<Batch> {
        let (placed, is_full) = self.read_most(max, BATCH_BYTES)?;
        let entries = placed.into_iter().map(|(_, entry)| entry).collect();
        Ok(Batch { entries, cursor: self.cursor, is_full, is_end: false })
    }

    /// At most `max` entries, and no further one after `bytes` of text; and whether one of these limits was reached.
    fn read_most(&mut self, max: usize, bytes: usize) -> io::Result<(Vec<(Cursor, Entry)>, bool)> {
        let mut entries = Vec::new();
        let (mut position, mut text) = (0, 0);
        while entries.len() < max && text < bytes {
            if let Some(length) = memchr::memchr(b'\n', &self.ahead[position..]) {
                let entry = Entry::decode(&self.ahead[position..position + length]);
                position += length + 1;
                if let Some(entry) = entry {
                    text += entry.text.len();
                    entries.push((self.place(position), entry));
                }
                continue;
            }
            self.consume(&mut position);
            if self.fill()? {
                continue;
            }
            if !self.is_finished()? {
                // The rest is a partial line; its writer may truncate it, so it is read again.
                self.ahead = Vec::new();
                return Ok((entries, false));
            }
            if self.fill()? {
                continue; // written between reading the end and looking for the next segment
            }
            let rest = Entry::decode(&self.ahead);
            entries.extend(rest.map(|entry| (self.place(self.ahead.len()), entry)));
            self.enter(self.cursor.segment + 1);
        }
        self.consume(&mut position);
        Ok((entries, true))
    }

    /// Whether a read would return nothing, at the cost of one system call: hundreds of spools are polled many
    /// times a second. May miss a newly started segment for [`LOOKS`] calls.
    pub fn is_idle(&mut self) -> bool {
        let looks = self.ahead.is_empty() && self.idle < LOOKS;
        let meta = self.file.as_ref().filter(|_| looks).and_then(|file| file.metadata().ok());
        let is_idle = meta.is_some_and(|meta| meta.nlink() > 0 && meta.len() <= self.cursor.offset);
        self.idle = if is_idle { self.idle + 1 } else { 0 };
        is_idle
    }

    /// Where the next [`Reader::read`] starts. Store it together with the results of processing the entries, to
    /// resume after a restart.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Deletes the segments before the cursor's. Call it once the cursor is stored durably.
    pub fn forget_consumed(&self) -> io::Result<()> {
        for number in segments::list(&self.dir)? {
            if number < self.cursor.segment {
                remove(&segments::path(&self.dir, number))?;
            }
        }
        Ok(())
    }

    /// Deletes all segments before the newest one, and continues there.
    pub fn discard(&mut self) -> io::Result<()> {
        if let Some(newest) = segments::list(&self.dir)?.last().filter(|newest| **newest > self.cursor.segment) {
            self.enter(*newest);
        }
        self.forget_consumed()
    }

    fn place(&self, position: usize) -> Cursor {
        Cursor { segment: self.cursor.segment, offset: self.cursor.offset + position as u64 }
    }

    fn consume(&mut self, position: &mut usize) {
        self.ahead.drain(..*position);
        self.cursor.offset += *position as u64;
        *position = 0;
    }

    /// Reads one more chunk; returns whether there was one.
    fn fill(&mut self) -> io::Result<bool> {
        if self.file.is_none() && !self.open()? {
            return Ok(false);
        }
        let file = self.file.as_ref().expect("opened above");
        let from = self.cursor.offset + self.ahead.len() as u64;
        let ahead = &mut self.ahead;
        CHUNK.with_borrow_mut(|chunk| {
            let read = loop {
                match file.read_at(chunk, from) {
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    read => break read?,
                }
            };
            ahead.extend_from_slice(&chunk[..read]);
            Ok(read > 0)
        })
    }

    /// Opens the cursor's segment, or the first one after it if it has been deleted (or never existed, like
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

    /// Whether the writer has started a later segment. It flushes before it does.
    fn is_finished(&self) -> io::Result<bool> {
        if self.file.is_none() {
            return Ok(false);
        }
        if segments::path(&self.dir, self.cursor.segment + 1).exists() {
            return Ok(true);
        }
        // Deleted concurrently: the spool was trimmed past this segment.
        let gone = !segments::path(&self.dir, self.cursor.segment).exists();
        Ok(gone && segments::list(&self.dir)?.last() > Some(&self.cursor.segment))
    }

    fn enter(&mut self, number: u64) {
        self.cursor = Cursor { segment: number, offset: 0 };
        self.file = None;
        self.ahead.clear();
    }
}

/// The spool itself does not know whether its writer has ended, so no batch is the end.
impl Source for Reader {
    fn read_batch(&mut self, most: usize) -> io::Result<Batch> {
        Reader::read_batch(self, most)
    }

    fn is_idle(&mut self) -> bool {
        Reader::is_idle(self)
    }

    fn forget_consumed(&self) -> io::Result<()> {
        Reader::forget_consumed(self)
    }

    fn discard(&mut self) -> io::Result<bool> {
        Reader::discard(self)?;
        Ok(false)
    }
}
