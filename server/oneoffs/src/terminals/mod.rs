//! Terminals: somebody attaches to a process that they have just started, over a websocket or a rendezvous.
//!
//! Whoever starts the process gets a secret, which opens its terminal once, within a minute. `openings` has the secrets,
//! `session` moves the bytes, `socket` and `rendezvous` are the two ways to connect. A session ends with the process,
//! with its client, when its owner loses access, and when nothing is typed or shown for an hour.

pub(crate) mod openings;
pub(crate) mod rendezvous;
mod session;
mod socket;

use api::dynos::Window;
use base::{Error, Result};
use dyno::WindowSize;

pub(crate) use self::openings::{Opening, Target};
pub use self::socket::terminal_attach;
use crate::OneOffs;

/// The largest window.
const MOST_SIZE: u16 = 1000;

/// Checks the size of a window.
pub(crate) fn window_size(window: Window) -> Result<WindowSize> {
    let Window { columns, rows } = window;
    match (1..=MOST_SIZE).contains(&columns) && (1..=MOST_SIZE).contains(&rows) {
        true => Ok(WindowSize { columns, rows }),
        false => Err(Error::invalid(format!("The window must have from 1 to {MOST_SIZE} columns and rows."))),
    }
}

/// Where Heroku's clients attach with a secret, if they can.
pub(crate) fn rendezvous_url(one_offs: &OneOffs, secret: &str) -> Option<String> {
    let port = one_offs.terminals().port()?;
    Some(format!("rendezvous://{}:{port}/{secret}", one_offs.config().domain))
}
