//! Why a worker did not do what it was told.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a worker did not do what it was told. One request fails by it; the server goes on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// The kernel killed one of its processes because they had all the memory that they may have.
    #[error("it needed more than {} MB of memory", .bytes >> 20)]
    TooMuchMemory {
        /// The limit.
        bytes: u64,
    },
    /// The kernel killed one of its processes because all that runs was short of memory. Another time
    /// it may go well.
    #[error("it was killed because the machine ran out of memory; try again")]
    Crowded,
    /// Its time was up, on the clock or on the processor.
    #[error("it took longer than {} seconds", .limit.as_secs())]
    TooLong {
        /// The limit.
        limit: Duration,
    },
    /// It wrote a file that was too large, or said too much.
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
    /// An errand ended without an answer.
    #[error("it exited without a result (status {code})")]
    Silent {
        /// Its exit status.
        code: i32,
    },
    /// It could not be started, or was lost. A sentence.
    #[error("{0}")]
    Host(String),
}

impl Error {
    /// Whether what it was given was too much for it. Anything else is a fault of ours or the host's.
    pub fn is_too_much(&self) -> bool {
        matches!(self, Error::TooMuchMemory { .. } | Error::TooLong { .. } | Error::TooLarge { .. })
    }

    /// Turns an IO error into one about the host, by what was being done: verb and object.
    pub(crate) fn host(what: &str) -> impl FnOnce(std::io::Error) -> Error {
        move |e| Error::Host(format!("Could not {what}: {e}."))
    }
}
