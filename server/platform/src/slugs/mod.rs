//! Slugs as they are stored and run: archives, and unpacking them.
//!
//! How they come about, from a build or from an upload, is not here.

pub mod archives;
mod unpack;

pub use unpack::Unpack;
pub(crate) use unpack::Unpacked;
