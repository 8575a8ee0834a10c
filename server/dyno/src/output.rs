//! The output of a dyno whose spool is on this host.

use std::{io, path::Path};

use spool::{Batch, Cursor, Reader, Source};

/// A spool, and whether its dyno has ended.
pub(crate) struct Spooled<F> {
    reader: Reader,
    has_ended: F,
}

impl<F: Fn() -> bool + Send> Spooled<F> {
    /// Reads the spool in `dir`, which need not exist. Once `has_ended` returns true, nothing more is written to it.
    pub fn new(dir: &Path, from: Cursor, has_ended: F) -> Self {
        Self { reader: Reader::new(dir, from), has_ended }
    }
}

impl<F: Fn() -> bool + Send> Source for Spooled<F> {
    fn read_batch(&mut self, most: usize) -> io::Result<Batch> {
        let batch = self.reader.read_batch(most)?;
        if !batch.entries.is_empty() || !(self.has_ended)() {
            return Ok(batch);
        }
        // Entries written between the read and the check.
        let last = self.reader.read_batch(most)?;
        Ok(Batch { is_end: last.entries.is_empty(), ..last })
    }

    fn is_idle(&mut self) -> bool {
        self.reader.is_idle()
    }

    fn forget_consumed(&self) -> io::Result<()> {
        self.reader.forget_consumed()
    }

    fn discard(&mut self) -> io::Result<bool> {
        // Checked first: entries written until then are discarded, too.
        let has_ended = (self.has_ended)();
        self.reader.discard()?;
        Ok(has_ended)
    }
}
