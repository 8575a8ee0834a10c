//! An on-disk queue of lines between two processes.
//!
//! A spool is a directory of numbered segment files `%020d.spool`. An entry is one line, `<micros since epoch>
//! <kind> <text>\n`. One process writes ([`Writer`]), another reads ([`Reader`]) and stores its position
//! ([`Cursor`]), so neither needs the other to be alive.
//!
//! There is no fsync: a spool survives the death of every process, but not a power failure.

mod entry;
mod reader;
mod segments;
mod writer;

pub use entry::Entry;
pub use reader::{Cursor, Reader};
pub use writer::Writer;

#[cfg(test)]
mod tests;
