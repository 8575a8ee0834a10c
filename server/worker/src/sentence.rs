//! Why a worker could not start, as the supervisor reports it.

use std::io;

/// An error message.
pub(crate) type Sentence = String;

/// Turns an error into a message that names the failed operation.
pub(crate) fn doing(what: impl Into<String>) -> impl FnOnce(io::Error) -> Sentence {
    let what = what.into();
    move |e| format!("Could not {what}: {e}.")
}
