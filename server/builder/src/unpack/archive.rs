//! The decompressed bytes of an archive, up to a limit.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The logarithm of zstd's window size: 8 MB, which every decoder has to support.
const WINDOW: u32 = 23;
/// The size that is always allowed.
const SMALL: u64 = 1 << 30;
/// The maximum compression ratio beyond that.
const RATIO: u64 = 100;

/// The allowed bytes of files in an archive of `packed` bytes, at most `most`: a few kilobytes of zeros must not fill
/// the disk.
pub(crate) fn allowed(packed: u64, most: u64) -> u64 {
    most.min(SMALL.max(packed.saturating_mul(RATIO)))
}

/// The allowed bytes of an archive whose files are limited to `limit`: includes names and padding.
pub(crate) fn with_names(limit: u64) -> u64 {
    limit + (limit / 4).max(64 << 20)
}

/// Why reading stopped before the end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    TooMuch,
    TooLong,
}

/// A tar stream, whatever its compression. All bytes count, including skipped ones.
pub(super) struct Metered {
    inner: Box<dyn Read>,
    left: u64,
    deadline: Instant,
    /// Keeps the reason, which the library wraps.
    pub(super) stop: Rc<Cell<Option<Stop>>>,
}

impl Metered {
    /// Reads `file`, with at most `limit` bytes of files, within `time`.
    pub(super) fn open(mut file: File, limit: u64, time: Duration) -> io::Result<Metered> {
        let mut magic = [0; 4];
        let n = file.read(&mut magic)?;
        file.rewind()?;
        let reader = BufReader::with_capacity(128 << 10, file);
        let inner: Box<dyn Read> = match &magic[..n] {
            [0x28, 0xb5, 0x2f, 0xfd] => {
                let mut decoder = zstd::Decoder::with_buffer(reader)?;
                decoder.window_log_max(WINDOW)?;
                Box::new(decoder)
            }
            [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
            _ => Box::new(reader),
        };
        Ok(Metered { inner, left: with_names(limit), deadline: Instant::now() + time, stop: Rc::default() })
    }
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let late = Instant::now() > self.deadline;
        if late || self.left == 0 {
            self.stop.set(Some(if late { Stop::TooLong } else { Stop::TooMuch }));
            return Err(io::Error::other("stopped"));
        }
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let n = self.inner.read(&mut buffer[..most])?;
        self.left -= n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_archives_do_not_become_full_disks() {
        assert_eq!(allowed(300 << 10, 8 << 30), 1 << 30);
        assert_eq!(allowed(50 << 20, 8 << 30), 5000 << 20);
        assert_eq!(allowed(500 << 20, 8 << 30), 8 << 30);
        assert_eq!(allowed(500 << 20, 1 << 30), 1 << 30);
    }
}
