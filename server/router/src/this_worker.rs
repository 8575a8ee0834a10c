//! The worker of a thread.

use std::cell::Cell;

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(0) };
    static CONNECTIONS: Cell<usize> = const { Cell::new(0) };
}

/// The number of the current thread's worker, from 0.
pub(crate) fn number() -> usize {
    NUMBER.get()
}

/// Makes this thread the worker with this number.
pub(crate) fn set_number(number: usize) {
    NUMBER.set(number);
}

/// Its open connections of clients.
pub(crate) fn connections() -> usize {
    CONNECTIONS.get()
}

/// Counts a connection of a client, which stays on this thread until its end.
pub(crate) fn add_connection() {
    CONNECTIONS.set(CONNECTIONS.get() + 1);
}

/// Counts the end of a connection.
pub(crate) fn remove_connection() {
    CONNECTIONS.set(CONNECTIONS.get().saturating_sub(1));
}
