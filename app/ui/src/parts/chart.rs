//! Charts that can be rendered on the server: a stretched SVG in data coordinates, with text as HTML around it.

mod scale;
mod view;

pub use self::{
    scale::grid,
    view::{Chart, Frame, Series},
};
