//! Places: how much of something costly one account may have going on at once, and all together.
//!
//! Whoever asks for more waits for a place of their own before they take one of all, so that one
//! account's many never stand before another's first; and who has too many waiting is told so.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::error::{Error, Result};

/// Places for one kind of thing.
pub(crate) struct Places {
    /// What it is, in the plural: `log searches`.
    what: &'static str,
    /// Going on at once, of one account.
    most: usize,
    /// Waiting besides.
    waiting: usize,
    all: Arc<Semaphore>,
    accounts: Mutex<HashMap<Uuid, Arc<Account>>>,
}

struct Account {
    places: Arc<Semaphore>,
    /// Going on or waiting.
    asked: AtomicUsize,
}

/// Counts as long as somebody has a place or waits for one.
struct Asked(Arc<Account>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.asked.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place that was taken; free again when it is dropped.
pub(crate) struct Place {
    _of_account: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
    _asked: Asked,
}

impl Places {
    /// `most` places for each account, where `waiting` more may wait, and `all` together.
    pub fn new(what: &'static str, most: usize, waiting: usize, all: usize) -> Self {
        Self { what, most, waiting, all: Arc::new(Semaphore::new(all)), accounts: Mutex::default() }
    }

    /// A place, as soon as there is one. An error when the account has too many going on and waiting.
    pub async fn take(&self, account: Uuid) -> Result<Place> {
        let asked = self.ask(account)?;
        let of_account = asked.0.places.clone().acquire_owned().await.map_err(anyhow::Error::new)?;
        let of_all = self.all.clone().acquire_owned().await.map_err(anyhow::Error::new)?;
        Ok(Place { _of_account: of_account, _of_all: of_all, _asked: asked })
    }

    /// A place now, or an error.
    pub fn take_now(&self, account: Uuid) -> Result<Place> {
        let asked = self.ask(account)?;
        let of_account = asked.0.places.clone().try_acquire_owned().map_err(|_| self.too_many())?;
        let full =
            |_| Error::too_many_tries(&format!("The platform has too many {} open. Try again later.", self.what));
        let of_all = self.all.clone().try_acquire_owned().map_err(full)?;
        Ok(Place { _of_account: of_account, _of_all: of_all, _asked: asked })
    }

    fn ask(&self, account: Uuid) -> Result<Asked> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if accounts.len() > 10_000 {
            accounts.retain(|_, account| account.asked.load(Ordering::Relaxed) > 0);
        }
        let new = || Arc::new(Account { places: Arc::new(Semaphore::new(self.most)), asked: AtomicUsize::new(0) });
        let account = accounts.entry(account).or_insert_with(new).clone();
        // Counted under the lock, so that the count is that of all who came before.
        if account.asked.fetch_add(1, Ordering::Relaxed) >= self.most + self.waiting {
            drop(Asked(account));
            return Err(self.too_many());
        }
        Ok(Asked(account))
    }

    fn too_many(&self) -> Error {
        Error::too_many_tries(&format!(
            "Your account has too many {} going on at once: {} is the most. Let one end, or try again in a moment.",
            self.what, self.most
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_account_has_its_places_and_nobody_elses() {
        let places = Arc::new(Places::new("searches", 2, 1, 3));
        let (ada, bob) = (Uuid::now_v7(), Uuid::now_v7());
        let first = places.take(ada).await.unwrap();
        let _second = places.take(ada).await.unwrap();
        let waits = tokio::spawn({
            let places = places.clone();
            async move { places.take(ada).await.is_ok() }
        });
        while places.accounts.lock().unwrap()[&ada].asked.load(Ordering::Relaxed) < 3 {
            tokio::task::yield_now().await;
        }
        assert!(places.take(ada).await.is_err());
        // The one that waits stands before nobody else.
        let _other = places.take(bob).await.unwrap();
        drop(first);
        assert!(waits.await.unwrap());
    }

    #[tokio::test]
    async fn who_does_not_want_to_wait_is_told() {
        let places = Places::new("streams", 2, 0, 3);
        let (ada, bob) = (Uuid::now_v7(), Uuid::now_v7());
        let held = [places.take_now(ada).unwrap(), places.take_now(ada).unwrap()];
        assert!(places.take_now(ada).is_err());
        let _bob = places.take_now(bob).unwrap();
        assert!(places.take_now(bob).is_err(), "all are taken");
        drop(held);
        assert!(places.take_now(ada).is_ok());
    }
}
