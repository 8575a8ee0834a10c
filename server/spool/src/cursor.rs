//! Positions between entries.

use serde::{Deserialize, Serialize};

/// A position in a spool: everything before it has been read. The default is the start.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Cursor {
    /// Segment number.
    pub segment: u64,
    /// Byte offset within it.
    pub offset: u64,
}
