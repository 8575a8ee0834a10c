//! Why a worker could not start, as the supervisor reports it.

use std::io;

/// A sentence for people.
pub(crate) type Sentence = String;

/// Turns an error into a sentence that names what was being done.
pub(crate) fn doing(what: impl Into<String>) -> impl FnOnce(io::Error) -> Sentence {
    let what = what.into();
    move |e| format!("Could not {what}: {e}.")
}
