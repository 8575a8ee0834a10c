//! Where a job could crash, for [`testing`](crate::testing): a run counts these points and stops at the planned one.

use std::cell::Cell;

use crate::Failure;

thread_local! {
    // Tests run on threads of their own, so that plans of two tests do not mix.
    static PLAN: Cell<Option<usize>> = const { Cell::new(None) };
    static REACHED: Cell<usize> = const { Cell::new(0) };
}

/// Counts crash points, and crashes at the planned one.
pub(crate) struct CrashPoint {
    at: Option<usize>,
    seen: usize,
}

impl CrashPoint {
    pub fn planned() -> Self {
        Self { at: PLAN.take(), seen: 0 }
    }

    pub fn reached(&mut self) -> Result<(), Failure> {
        let here = self.seen;
        self.seen += 1;
        REACHED.set(REACHED.get().max(self.seen));
        if self.at == Some(here) { Err(Failure::Interrupted) } else { Ok(()) }
    }
}

/// Has the next job that this thread runs crash at this point.
pub(crate) fn plan(at: usize) {
    if at == 0 {
        REACHED.set(0);
    }
    PLAN.set(Some(at));
}

/// How many points the jobs of this thread have reached since the first plan.
pub(crate) fn reached() -> usize {
    REACHED.get()
}
