//! What has enqueued a job: the span of a request, of another job or of a reconciler. The job's own span is below it, so that
//! each line of the log shows the request that it goes back to.
//!
//! In memory, for the newest jobs of this process: after a restart, or on another server, only the line that says that
//! the job was enqueued has the ids of both.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use api::ids::JobId;
use tracing::Span;

/// The number of jobs whose cause is remembered. It is not known whether the transaction that enqueues them commits.
const MOST: usize = 1000;

/// Global, since a job is enqueued by whoever has a transaction.
static CAUSES: Mutex<VecDeque<(JobId, Span)>> = Mutex::new(VecDeque::new());

fn causes() -> MutexGuard<'static, VecDeque<(JobId, Span)>> {
    CAUSES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers the current span as the cause of `job`.
pub(crate) fn note(job: JobId) {
    let oldest = {
        let mut causes = causes();
        causes.push_back((job, Span::current()));
        if causes.len() > MOST { causes.pop_front() } else { None }
    };
    // Without the lock: closing a span calls the log.
    drop(oldest);
}

/// The span in which `job` was enqueued; an empty one if that is not known.
pub(crate) fn of(job: JobId) -> Span {
    let causes = causes();
    causes.iter().rev().find(|(caused, _)| *caused == job).map_or_else(Span::none, |(_, span)| span.clone())
}
