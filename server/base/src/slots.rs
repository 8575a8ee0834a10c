//! Slots: how many expensive operations can be in progress, per payer and in total.
//!
//! A request beyond that waits for a slot of its payer before it takes one of the total, so that many requests of one
//! payer never precede the first one of another. If too many are waiting, it is rejected. No payer gets more than half
//! of all slots: one person, with all their teams and service accounts, always leaves some to others.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use api::ids::AccountId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// The number of payers without operations that stay in memory.
const REMEMBERED: usize = 10_000;

/// The slots for one kind of operation.
pub struct Slots {
    /// Its name in the plural: `log searches`.
    what: &'static str,
    /// In progress, per payer.
    most: usize,
    /// Waiting, per payer.
    waiting: usize,
    all: Arc<Semaphore>,
    payers: Mutex<HashMap<AccountId, Arc<Payer>>>,
}

struct Payer {
    slots: Arc<Semaphore>,
    /// In progress or waiting.
    count: AtomicUsize,
}

/// Counts an operation until its slot is released or it stops waiting.
struct Admitted(Arc<Payer>);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A slot, released when it is dropped.
pub struct Slot {
    _of_payer: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
    _admitted: Admitted,
    has_waited: bool,
}

impl Slot {
    /// Whether it was waited for.
    pub fn has_waited(&self) -> bool {
        self.has_waited
    }
}

/// A slot with several holders; the first one to release it does so for all.
#[derive(Clone)]
pub struct SharedSlot(Arc<Mutex<Option<Slot>>>);

impl SharedSlot {
    pub fn new(slot: Slot) -> Self {
        Self(Arc::new(Mutex::new(Some(slot))))
    }

    /// Releases the slot, even if others still hold this.
    pub fn release(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Slots {
    /// `most` slots per payer, with `waiting` more in the queue, and `all` together.
    ///
    /// # Panics
    /// If one payer could have more than half of them.
    pub fn new(what: &'static str, most: usize, waiting: usize, all: usize) -> Self {
        assert!(most > 0 && most * 2 <= all, "one payer could have most of all {what}");
        Self { what, most, waiting, all: Arc::new(Semaphore::new(all)), payers: Mutex::default() }
    }

    /// Waits for a slot. Fails if the payer has too many in progress and waiting.
    pub async fn take(&self, payer: AccountId) -> Result<Slot> {
        let admitted = self.admit(payer)?;
        let (of_payer, has_waited_for_own) = acquire(&admitted.0.slots).await?;
        let (of_all, has_waited_for_others) = acquire(&self.all).await?;
        let has_waited = has_waited_for_own || has_waited_for_others;
        Ok(Slot { _of_payer: of_payer, _of_all: of_all, _admitted: admitted, has_waited })
    }

    /// Takes a slot immediately, or fails.
    pub fn try_take(&self, payer: AccountId) -> Result<Slot> {
        let admitted = self.admit(payer)?;
        let of_payer = admitted.0.slots.clone().try_acquire_owned().map_err(|_| self.too_many())?;
        let full = |_| {
            Error::too_many_tries(&format!(
                "The platform has too many {} in progress. Try again in a moment.",
                self.what
            ))
        };
        let of_all = self.all.clone().try_acquire_owned().map_err(full)?;
        Ok(Slot { _of_payer: of_payer, _of_all: of_all, _admitted: admitted, has_waited: false })
    }

    fn admit(&self, payer: AccountId) -> Result<Admitted> {
        let mut payers = self.payers.lock().unwrap_or_else(PoisonError::into_inner);
        if payers.len() > REMEMBERED {
            payers.retain(|_, payer| payer.count.load(Ordering::Relaxed) > 0);
        }
        let new = || Arc::new(Payer { slots: Arc::new(Semaphore::new(self.most)), count: AtomicUsize::new(0) });
        let payer = payers.entry(payer).or_insert_with(new).clone();
        // Counted under the lock, so that it includes all earlier ones.
        if payer.count.fetch_add(1, Ordering::Relaxed) >= self.most + self.waiting {
            drop(Admitted(payer));
            return Err(self.too_many());
        }
        Ok(Admitted(payer))
    }

    fn too_many(&self) -> Error {
        Error::too_many_tries(&format!(
            "You have too many {} in progress: the maximum is {}, for all your tokens and the service accounts that you \
             created together. Wait until one has finished, or try again in a moment.",
            self.what, self.most
        ))
    }
}

/// A permit, and whether it was waited for. Permits that others wait for are not available.
async fn acquire(of: &Arc<Semaphore>) -> Result<(OwnedSemaphorePermit, bool)> {
    match of.clone().try_acquire_owned() {
        Ok(permit) => Ok((permit, false)),
        Err(_) => Ok((of.clone().acquire_owned().await.map_err(anyhow::Error::new)?, true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_payer_has_only_its_own_slots() {
        let slots = Arc::new(Slots::new("searches", 2, 1, 4));
        let (ada, bob) = (AccountId::now_v7(), AccountId::now_v7());
        let first = slots.take(ada).await.unwrap();
        let _second = slots.take(ada).await.unwrap();
        assert!(!first.has_waited());
        let waits = tokio::spawn({
            let slots = slots.clone();
            async move { slots.take(ada).await.is_ok_and(|slot| slot.has_waited()) }
        });
        while slots.payers.lock().unwrap()[&ada].count.load(Ordering::Relaxed) < 3 {
            tokio::task::yield_now().await;
        }
        assert!(slots.take(ada).await.is_err());
        // The waiting one does not precede any other payer's.
        let _other = slots.take(bob).await.unwrap();
        let _another = slots.take(bob).await.unwrap();
        drop(first);
        assert!(waits.await.unwrap());
    }

    #[tokio::test]
    async fn requests_that_must_not_wait_fail_immediately() {
        let slots = Slots::new("streams", 2, 0, 4);
        let (ada, bob, cy) = (AccountId::now_v7(), AccountId::now_v7(), AccountId::now_v7());
        let held = [slots.try_take(ada).unwrap(), slots.try_take(ada).unwrap()];
        assert!(slots.try_take(ada).is_err());
        let _bobs = [slots.try_take(bob).unwrap(), slots.try_take(bob).unwrap()];
        assert!(slots.try_take(cy).is_err(), "all are taken");
        drop(held);
        assert!(slots.try_take(ada).is_ok());
    }

    #[test]
    fn what_is_given_back_is_free_although_somebody_still_holds_it() {
        let slots = Slots::new("pushes", 1, 0, 2);
        let ada = AccountId::now_v7();
        let slot = SharedSlot::new(slots.try_take(ada).unwrap());
        let held = slot.clone();
        assert!(slots.try_take(ada).is_err());
        slot.release();
        assert!(slots.try_take(ada).is_ok());
        held.release();
    }

    #[test]
    fn nobody_can_have_most_of_them() {
        assert!(std::panic::catch_unwind(|| Slots::new("things", 2, 0, 3)).is_err());
    }
}
