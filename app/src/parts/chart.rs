//! Charts that the server can draw: one stretched SVG in data space, all text as HTML around it.

mod scale;
mod view;

pub use self::{
    scale::grid,
    view::{Chart, Frame, Series},
};
