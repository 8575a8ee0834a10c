//! The writing end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::{Entry, entry, segments};

/// Entries are written out when this many bytes are buffered.
const BUFFER_BYTES: usize = 64 * 1024;
/// After a failed attempt to start a segment, the next one follows when this many bytes have been written.
const RETRY_BYTES: u64 = 256 * 1024;

/// Appends entries to a spool. One writer per directory at a time.
///
/// Entries are buffered until [`Writer::flush`] or until 64 KiB have accumulated; dropping the writer flushes
/// too, but a kill loses the buffer. Callers flush when their input pauses.
pub struct Writer {
    dir: PathBuf,
    segment_bytes: u64,
    /// The length at which the next segment is started: `segment_bytes`, unless that failed.
    rotate_at: u64,
    total_bytes: u64,
    number: u64,
    file: File,
    length: u64,
    buffer: Vec<u8>,
}

impl Writer {
    /// Opens `dir`, which is created if missing, for appending after the last entry. A segment above
    /// `segment_bytes` is followed by a new one. A torn last line is terminated so that it affects no other.
    pub fn open(dir: &Path, segment_bytes: u64) -> io::Result<Writer> {
        std::fs::create_dir_all(dir)?;
        let number = match segments::list(dir)?.last() {
            Some(last) => *last,
            None => first_number(),
        };
        let (mut file, mut length) = open_segment(dir, number)?;
        if length > 0 {
            let mut last = [0];
            file.seek(SeekFrom::Start(length - 1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                length += 1;
            }
        }
        Ok(Writer {
            dir: dir.to_owned(),
            segment_bytes,
            rotate_at: segment_bytes,
            total_bytes: u64::MAX,
            number,
            file,
            length,
            buffer: Vec::new(),
        })
    }

    /// Bounds the spool: when a new segment is started, the oldest ones are deleted, read or not, until about
    /// `bytes` remain. Without a bound, a spool without a reader grows until the disk is full.
    pub fn limited_to(mut self, bytes: u64) -> Writer {
        self.total_bytes = bytes;
        self
    }

    /// Appends one entry. On an error (a full disk), this entry and those not yet flushed are dropped; the
    /// writer stays usable. If no new segment can be started (no open file is left), the current one grows.
    pub fn append(&mut self, entry: &Entry) -> io::Result<()> {
        self.append_parts(entry.at_us, entry.kind, &entry.text)
    }

    /// Like [`Writer::append`], for an entry whose text is elsewhere: its time in microseconds since the epoch, the letter
    /// of its kind, and its text.
    pub fn append_parts(&mut self, at_us: i64, kind: u8, text: &[u8]) -> io::Result<()> {
        if self.length + self.buffer.len() as u64 >= self.rotate_at {
            self.flush()?;
            if self.length > 0 {
                self.rotate_if_possible()?;
            }
        }
        entry::encode(&mut self.buffer, at_us, kind, text);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes all buffered entries, which makes them visible to readers and safe from the death of this
    /// process.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        while written < self.buffer.len() {
            match self.file.write(&self.buffer[written..]) {
                Ok(0) => return self.give_up(written, io::ErrorKind::WriteZero.into()),
                Ok(n) => written += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return self.give_up(written, e),
            }
        }
        self.length += written as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Keeps the complete lines that reached the disk and truncates a partial one after them, so that the next
    /// entry starts on its own line.
    fn give_up(&mut self, written: usize, error: io::Error) -> io::Result<()> {
        let whole = self.buffer[..written].iter().rposition(|b| *b == b'\n');
        self.length += whole.map_or(0, |end| end as u64 + 1);
        self.buffer.clear();
        self.file.set_len(self.length)?;
        Err(error)
    }

    fn rotate_if_possible(&mut self) -> io::Result<()> {
        match self.rotate() {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                self.rotate_at = self.length + RETRY_BYTES;
            }
            rotated => {
                rotated?;
                self.rotate_at = self.segment_bytes;
            }
        }
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let (file, length) = open_segment(&self.dir, self.number + 1)?;
        self.number += 1;
        self.file = file;
        self.length = length;
        self.trim()
    }

    fn trim(&self) -> io::Result<()> {
        if self.total_bytes == u64::MAX {
            return Ok(());
        }
        let mut kept = 0;
        for number in segments::list(&self.dir)?.into_iter().rev() {
            let path = segments::path(&self.dir, number);
            kept += path.metadata().map_or(0, |m| m.len());
            if kept > self.total_bytes && number != self.number {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // There is no caller left to report an error to.
        let _ = self.flush();
    }
}

/// A spool that was deleted and recreated must not reuse numbers: its reader would take new entries for ones
/// already read.
fn first_number() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(1, |since| since.as_millis() as u64)
}

fn open_segment(dir: &Path, number: u64) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().read(true).append(true).create(true).open(segments::path(dir, number))?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// Deletes a file that the reader or writer may already have deleted.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
