//! The limits of a search: time, bytes read, and cancellation.
//!
//! A search runs on a thread that cannot be interrupted, so it checks its limits before each block
//! and regularly within one. At these checks it also yields the processor for a while.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{Error, Result};

/// The clock is checked once per this many lines.
const LINES: u32 = 16;

/// The budget of a search. Clones share what is left.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    until: Option<Instant>,
    bytes: Option<Arc<AtomicU64>>,
    gone: Arc<AtomicBool>,
    breaks: Option<Arc<Breaks>>,
}

/// Periodic breaks in a search.
struct Breaks {
    every: Duration,
    rest: Box<dyn Fn() + Send + Sync>,
    /// The end of the last break, and the total duration of all breaks.
    so_far: Mutex<(Instant, Duration)>,
}

impl std::fmt::Debug for Breaks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "breaks every {:?}", self.every)
    }
}

impl Breaks {
    /// Takes a break if one is due. Returns the total duration of all breaks.
    fn rest(&self) -> Duration {
        let mut so_far = self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = Instant::now();
        if begin.duration_since(so_far.0) >= self.every {
            (self.rest)();
            let end = Instant::now();
            *so_far = (end, so_far.1 + end.duration_since(begin));
        }
        so_far.1
    }
}

impl Budget {
    /// Ends after `time` or this many bytes of lines, whichever comes first. The default is unlimited.
    pub fn of(time: Duration, bytes: u64) -> Budget {
        Budget { until: Some(Instant::now() + time), bytes: Some(Arc::new(AtomicU64::new(bytes))), ..Budget::default() }
    }

    /// The same search, calling `rest` after every period `every` of work. The time spent in it does not count.
    #[must_use]
    pub fn with_breaks(self, every: Duration, rest: impl Fn() + Send + Sync + 'static) -> Budget {
        let so_far = Mutex::new((Instant::now(), Duration::ZERO));
        Budget { breaks: Some(Arc::new(Breaks { every, rest: Box::new(rest), so_far })), ..self }
    }

    /// Cancels the search at its next check.
    pub fn cancel(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// An error if the search has to end.
    pub(crate) fn check(&self) -> Result<()> {
        let rested = self.breaks.as_ref().map_or(Duration::ZERO, |breaks| breaks.rest());
        let late = self.until.is_some_and(|until| Instant::now() > until + rested);
        if late || self.gone.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        Ok(())
    }

    /// Like [`Budget::check`], before reading this many bytes.
    pub(crate) fn spend(&self, bytes: u32) -> Result<()> {
        self.check()?;
        let spent = |left: u64| left.checked_sub(u64::from(bytes));
        match &self.bytes {
            Some(left) => {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent).map(drop).map_err(|_| Error::Stopped)
            }
            None => Ok(()),
        }
    }

    /// Like [`Budget::check`], but sampled: call it for each line of a block.
    pub(crate) fn step(&self, line: &mut u32) -> Result<()> {
        *line = line.wrapping_add(1);
        if line.is_multiple_of(LINES) { self.check() } else { Ok(()) }
    }
}
