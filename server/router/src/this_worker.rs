//! The worker of a thread.

use std::cell::Cell;

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(0) };
}

/// The number of the current thread's worker, from 0.
pub(crate) fn number() -> usize {
    NUMBER.get()
}

/// Makes this thread the worker with this number.
pub(crate) fn set_number(number: usize) {
    NUMBER.set(number);
}
