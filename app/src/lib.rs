//! The console: what people see in a browser.
//!
//! The same code for both sides: the server renders the pages ([`shell`]), the browser hydrates them
//! ([`App`]). Pages depend only on [`api::Client`]; the server or the browser crate provides it through
//! the context, and in the browser also the connection of [`live`].
//!
//! Routes, bundles and the document are in here; the pages are in a crate for each bundle, and what they share is in
//! [`ui`].
#![recursion_limit = "512"]

mod app;
pub mod bundles;
mod pages;
pub mod prefetch;
mod shell;

pub use ui::{Answer, live};

pub use crate::{
    app::App,
    shell::{Assets, shell},
};
