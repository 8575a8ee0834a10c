//! Turns at what takes much of the machine: few at a time, and fewer for each owner, so that one
//! with a hundred requests does not hold up another with one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// The turns at one thing.
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    each: usize,
    owners: Mutex<HashMap<Uuid, Weak<Semaphore>>>,
}

/// A turn, until it is dropped.
pub(crate) struct Turn {
    _one: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl Turns {
    /// `all` turns at once, `each` of them for one owner.
    pub(crate) fn new(all: usize, each: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), each, owners: Mutex::default() }
    }

    /// Waits for a turn of the owner's.
    pub(crate) async fn turn(&self, owner: Uuid) -> anyhow::Result<Turn> {
        let own = self.of(owner);
        Ok(Turn { _own: own.acquire_owned().await?, _one: self.all.clone().acquire_owned().await? })
    }

    fn of(&self, owner: Uuid) -> Arc<Semaphore> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.retain(|_, own| own.strong_count() > 0);
        if let Some(own) = owners.get(&owner).and_then(Weak::upgrade) {
            return own;
        }
        let own = Arc::new(Semaphore::new(self.each));
        owners.insert(owner, Arc::downgrade(&own));
        own
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn one_owner_leaves_turns_to_others() {
        let turns = Turns::new(3, 2);
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = turns.turn(one).await.unwrap();
        let _second = turns.turn(one).await.unwrap();
        let mut third = Box::pin(turns.turn(one));
        let mut look = Context::from_waker(Waker::noop());
        assert!(third.as_mut().poll(&mut look).is_pending());
        turns.turn(other).await.unwrap();
        drop(first);
        third.await.unwrap();
    }
}
