//! A size that is expensive to measure: measured by one task at a time, and cached.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A size, and when it was measured.
#[derive(Default)]
pub(crate) struct Measured {
    turn: tokio::sync::Mutex<()>,
    last: Mutex<Option<(Instant, u64)>>,
}

impl Measured {
    /// The cached size, if it is not older than `age`.
    pub fn within(&self, age: Duration) -> Option<u64> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.filter(|(at, _)| at.elapsed() < age).map(|(_, size)| size)
    }

    /// The cached size, or a new measurement. [`Duration::ZERO`] always measures.
    pub async fn get(&self, age: Duration, measure: impl FnOnce() -> u64 + Send + 'static) -> u64 {
        if let Some(size) = self.within(age) {
            return size;
        }
        let _turn = self.turn.lock().await;
        // Another task may have measured it while this one waited.
        if let Some(size) = self.within(age) {
            return size;
        }
        let size = tokio::task::spawn_blocking(measure).await.unwrap_or(0);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), size));
        size
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn concurrent_callers_share_one_measurement() {
        let (size, times) = (Arc::new(Measured::default()), Arc::new(AtomicU64::new(0)));
        assert_eq!(size.within(Duration::MAX), None);
        let ask = |age| {
            let (size, times) = (size.clone(), times.clone());
            async move { size.get(age, move || times.fetch_add(1, Ordering::SeqCst) + 7).await }
        };
        let hour = Duration::from_secs(3600);
        let found = futures::future::join_all((0..60).map(|_| ask(hour))).await;
        assert_eq!((found, times.load(Ordering::SeqCst)), (vec![7; 60], 1));
        // A writer needs the current size, and so do all later callers.
        assert_eq!((ask(Duration::ZERO).await, ask(hour).await), (8, 8));
        assert_eq!(times.load(Ordering::SeqCst), 2);
    }
}
