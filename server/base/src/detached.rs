//! Work that continues whether or not its outcome is polled.
//!
//! The stream of a response is polled only as fast as its client reads. If it queried the database itself, a client
//! that stops reading in the middle of a query would hold the connection, and a few such clients all of them.

use anyhow::Context as _;
use tracing::Instrument as _;

/// The outcome of `work`, which runs to completion in a separate task.
pub async fn detached<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> anyhow::Result<T> {
    tokio::spawn(work.in_current_span()).await.context("run a task")
}
