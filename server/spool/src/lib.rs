//! An on-disk queue of lines between two processes.
//!
//! A spool is a directory of numbered segment files `%020d.spool`. An entry is one line, `<micros since epoch> <kind>
//! <text>\n`. One process writes ([`Writer`]), another reads ([`Reader`]) and stores its position ([`Cursor`]), so
//! neither needs the other to be alive. Code that needs only the entries, wherever the spool is, reads them from a
//! [`Source`].
//!
//! Output that is written to a plain file instead, such as that of a build, is split into lines by [`Lines`].
//!
//! There is no fsync: a spool survives the death of every process, but not a power failure.

mod cursor;
mod entry;
mod lines;
mod pause;
mod reader;
mod segments;
mod source;
mod writer;

pub use cursor::Cursor;
pub use entry::Entry;
pub use lines::{Lines, line_text};
pub use pause::Pause;
pub use reader::Reader;
pub use source::{Batch, Source};
pub use writer::Writer;

#[cfg(test)]
mod tests;
