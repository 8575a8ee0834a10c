//! Attacks by somebody who has taken over a worker, by target.

mod crowd;
mod files;
mod host;
mod memory;
