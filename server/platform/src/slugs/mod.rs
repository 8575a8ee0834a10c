//! Slugs as they are stored and run: archives, and unpacking them.
//!
//! Where slugs come from, builds or uploads, is not here.

pub mod archives;
mod unpack;

pub use unpack::Unpack;
pub(crate) use unpack::Unpacked;
