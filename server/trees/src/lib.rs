//! Trees of files that strangers made: read, walked and removed without being led out of them.
//!
//! A stranger may put anything into a tree: links to elsewhere, pipes that block whoever opens them,
//! directories nested a hundred thousand deep. So everything here goes by descriptors: [`Dir`] resolves
//! paths below one directory and through no link, [`Walk`] lists a tree within [`Bounds`], and
//! [`remove`] takes one away, whatever it looks like; [`NewTree`] makes one of names that a stranger
//! chose. Nothing here is recursive.

mod dir;
mod new_tree;
mod remove;
mod walk;

pub use dir::Dir;
pub use new_tree::NewTree;
pub use remove::remove;
pub use walk::{Bounds, Excess, Found, Walk};
