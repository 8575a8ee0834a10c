//! Untrusted directory trees: read, walked and removed without escaping from them.
//!
//! An untrusted tree may contain anything: links to elsewhere, pipes that block any process that opens them,
//! directories nested a hundred thousand deep. So everything here works on file descriptors: [`Dir`] resolves paths
//! below one directory and through no link, [`Walk`] lists a tree within [`Bounds`], [`remove`] removes any tree, and
//! [`NewTree`] creates one from untrusted names. Nothing here is recursive.

mod dir;
mod new_tree;
mod remove;
mod walk;

pub use dir::Dir;
pub use new_tree::NewTree;
pub use remove::remove;
pub use walk::{Bounds, Excess, Found, Walk};
