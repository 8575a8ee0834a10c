//! The console: what people see in a browser.
//!
//! One crate for both sides: the server renders the pages ([`shell`]), the browser hydrates them
//! ([`App`]). Pages depend only on [`api::Client`]; the server or the browser crate provides it through
//! the context, and in the browser also the connection of [`live`].
#![recursion_limit = "512"]

mod answer;
mod app;
pub mod bundles;
pub mod clock;
pub mod data;
pub mod live;
mod nouns;
mod pace;
mod pages;
mod parts;
pub mod prefetch;
mod shell;
mod words;

pub use crate::{
    answer::Answer,
    app::App,
    shell::{Assets, shell},
};
