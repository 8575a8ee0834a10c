//! What all pages of the console share: its UI components, live data, words and clock.
//!
//! No page is in here, and nothing that only pages of one topic need. Whatever it needs from its surroundings, such as
//! the [`api::Client`], comes through the context.
#![recursion_limit = "512"]

mod answer;
pub mod clock;
pub mod data;
pub mod live;
mod not_found;
pub mod nouns;
mod pace;
pub mod parts;
pub mod words;

pub use crate::{answer::Answer, not_found::NotFoundPage};
