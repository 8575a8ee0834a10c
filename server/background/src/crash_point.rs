//! Where a job could crash, for [`testing`](crate::testing): its runs count these points and stop at the planned one.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use api::ids::JobId;

use crate::Failure;

thread_local! {
    // Thread-local, so that the plans of two tests do not mix.
    static PLAN: RefCell<Option<Arc<Mutex<Plan>>>> = const { RefCell::new(None) };
}

struct Plan {
    job: JobId,
    /// Where to crash; `None` afterwards.
    at: Option<usize>,
    /// The number of points since the job began, or since the crash.
    seen: usize,
    most: usize,
}

/// Counts crash points, and crashes at the planned one.
pub(crate) struct CrashPoint(Option<Arc<Mutex<Plan>>>);

impl CrashPoint {
    /// Continues with the plan for this job, if there is one on this thread.
    pub fn planned(job: JobId) -> Self {
        Self(PLAN.with_borrow(|plan| plan.clone().filter(|plan| lock(plan).job == job)))
    }

    pub fn reached(&mut self) -> Result<(), Failure> {
        let Some(mut plan) = self.0.as_ref().map(lock) else { return Ok(()) };
        let here = plan.seen;
        plan.seen += 1;
        plan.most = plan.most.max(plan.seen);
        if plan.at != Some(here) {
            return Ok(());
        }
        (plan.at, plan.seen) = (None, 0);
        Err(Failure::Interrupted)
    }

    /// The last point will be reached again.
    pub fn not_reached(&mut self) {
        if let Some(mut plan) = self.0.as_ref().map(lock) {
            plan.seen = plan.seen.saturating_sub(1);
        }
    }
}

fn lock(plan: &Arc<Mutex<Plan>>) -> MutexGuard<'_, Plan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes `job` crash at this point when this thread runs it.
pub(crate) fn plan(job: JobId, at: usize) {
    PLAN.set(Some(Arc::new(Mutex::new(Plan { job, at: Some(at), seen: 0, most: 0 }))));
}

/// How many points the job of the last plan has reached in one run.
pub(crate) fn reached() -> usize {
    PLAN.with_borrow(|plan| plan.as_ref().map_or(0, |plan| lock(plan).most))
}
