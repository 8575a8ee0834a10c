//! Errors of what the driver does with the functions of this crate.

use std::{fmt, io};

/// Why an operation failed.
#[derive(Debug)]
pub enum Error {
    /// This host lacks a requirement, or a setting is wrong; the message says what to do.
    Host(String),
    /// A file or a system call failed.
    Io {
        /// The failed operation: verb and object.
        doing: String,
        /// The cause.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: an IO error with the failed operation.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let doing = doing.into();
        move |source| Error::Io { doing, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Host(sentence) => f.write_str(sentence),
            Error::Io { doing, .. } => write!(f, "Could not {doing}."),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Host(_) => None,
            Error::Io { source, .. } => Some(source),
        }
    }
}
