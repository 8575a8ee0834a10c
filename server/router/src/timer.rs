//! A timer for deadlines that move with every request and hardly ever expire.

use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use std::time::Instant as StdInstant;

use tokio::time::{Instant, Sleep, sleep_until};

static START: LazyLock<StdInstant> = LazyLock::new(StdInstant::now);

/// Milliseconds since the first call: an instant that fits into an atomic.
pub(crate) fn now_ms() -> u64 {
    START.elapsed().as_millis() as u64
}

/// Moving a tokio timer takes a lock, so this one is not moved when the deadline is, and checks the deadline when it
/// fires. A request then costs no timer operation at all.
#[derive(Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Ready when `deadline` has passed.
    pub(crate) fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}
