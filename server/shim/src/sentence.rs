//! Error messages.

use std::io;

/// An error message: a sentence that says what could not be done, and why.
pub(crate) type Sentence = String;

/// Turns an IO error into a message with the failed operation: verb and object.
pub(crate) fn doing(what: impl Into<String>) -> impl FnOnce(io::Error) -> Sentence {
    let what = what.into();
    move |e| format!("Could not {what}: {e}.")
}

/// Ends this process with an error message.
pub(crate) fn fail(sentence: &str) -> ! {
    eprintln!("{sentence}");
    std::process::exit(1)
}
