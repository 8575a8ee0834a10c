//! The internals of the log viewer: a ring of lines, rows written directly to the document, markup.

mod markup;
mod ring;
pub mod rows;
mod search;

pub use self::{
    markup::{fields, html},
    ring::Ring,
    rows::{ROW_HEIGHT, Rows},
    search::Search,
};
