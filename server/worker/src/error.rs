//! Errors of workers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a worker failed. This affects only one request.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// The kernel killed one of its processes because they had reached their memory limit.
    #[error("it needed more than {} MB of memory", .bytes >> 20)]
    TooMuchMemory {
        /// The limit.
        bytes: u64,
    },
    /// The kernel killed one of its processes because the machine was out of memory. A retry may succeed.
    #[error("it was killed because the machine ran out of memory; try again")]
    Crowded,
    /// Its supervisor was killed: by the kernel, because the machine was out of memory, or by an administrator. A retry may
    /// succeed.
    #[error("its supervisor was killed; try again")]
    Lost,
    /// It reached a limit of wall-clock or CPU time.
    #[error("it took longer than {} seconds", .limit.as_secs())]
    TooLong {
        /// The limit.
        limit: Duration,
    },
    /// Its output, or a file that it wrote, was too large.
    #[error("it wrote more than {} MB", .bytes >> 20)]
    TooLarge {
        /// The limit.
        bytes: u64,
    },
    /// A signal killed it.
    #[error("it was killed by signal {signal}")]
    Died {
        /// The signal.
        signal: i32,
    },
    /// A task ended without a result.
    #[error("it exited without a result (status {code})")]
    Silent {
        /// Its exit status.
        code: i32,
    },
    /// It could not be started, or did not respond; contains the message.
    #[error("{0}")]
    Host(String),
}

impl Error {
    /// Whether its input exceeded its limits. Anything else is an error of the platform or the host.
    pub fn is_too_much(&self) -> bool {
        matches!(self, Error::TooMuchMemory { .. } | Error::TooLong { .. } | Error::TooLarge { .. })
    }

    /// Turns an IO error into one about the host, with the failed operation: verb and object.
    pub(crate) fn host(what: &str) -> impl FnOnce(std::io::Error) -> Error {
        move |e| Error::Host(format!("Could not {what}: {e}."))
    }
}
