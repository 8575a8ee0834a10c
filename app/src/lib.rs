//! The console: what people see in a browser.
//!
//! One crate for both sides: the server renders the pages ([`shell`]), the browser takes them up
//! ([`App`]). Pages know [`api::Client`] and nothing else; whoever runs them provides it by
//! context, and with it, in the browser, the connection of [`live`].
#![recursion_limit = "512"]

mod app;
pub mod bundles;
pub mod clock;
pub mod data;
pub mod live;
mod pages;
mod parts;
pub mod prefetch;
mod shell;
mod words;

pub use crate::{
    app::{Answer, App},
    shell::{Assets, shell},
};
