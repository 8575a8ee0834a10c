//! The log viewer's machinery: lines in a ring, rows straight in the document, text as markup.

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
