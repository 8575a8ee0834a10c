//! Charts that the server can draw: one stretched SVG in data space, all text as HTML around it.

mod scale;
mod view;

pub use self::{
    scale::{Scale, grid, line_path},
    view::{Chart, Frame, Series},
};
