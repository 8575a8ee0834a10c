//! Work that goes on whether or not somebody polls for its outcome.
//!
//! The stream of a response is polled only as far as its reader reads. If it asks the database itself, a reader who stops
//! in the middle of a query keeps the connection, and a few of them keep all.

use anyhow::Context as _;
use tracing::Instrument as _;

/// The outcome of `work`, which runs in a task of its own, to its end.
pub async fn detached<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> anyhow::Result<T> {
    tokio::spawn(work.in_current_span()).await.context("run a task")
}
