//! What an attacker who has taken over a worker may try, by target.

mod crowd;
mod files;
mod host;
mod memory;
