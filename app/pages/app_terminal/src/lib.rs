//! The terminal of an app.
#![recursion_limit = "512"]

mod terminal;

pub use crate::terminal::TerminalPage;
