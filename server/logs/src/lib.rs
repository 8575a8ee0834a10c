//! Log history and tails.
//!
//! ```text
//! dynos, router ── spools ──→ Follower ──→ History ──→ Lines (the past) ──→ log sessions, console
//! api, supervisor ────────────────────────→  disk  └─→ Tail  (the present)
//! ```
//!
//! Every function that accesses the disk is synchronous and short; async callers wrap it in
//! `spawn_blocking`. The only exception is [`Tail::changed`], which only waits.
//!
//! **Invariant:** nothing here knows about permissions, or which apps exist.

mod batch;
mod block;
mod budget;
mod density;
mod error;
mod filter;
mod follower;
mod history;
mod level;
mod limits;
mod line;
mod read;
mod router_fields;
mod segment;
mod state;
mod stream;
mod tail;
mod view;

pub use api::log_lines::{LogBucket as Bucket, LogFilter as Filter, LogLevel as Level};
pub use budget::Budget;
pub use error::Error;
pub use follower::{Dyno, Follower, Router};
pub use history::History;
pub use limits::Limits;
pub use line::{Line, NewLine};
pub use read::{Lines, Query};
pub use router_fields::RouterFields;
pub use stream::Totals;
pub use tail::Tail;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;
