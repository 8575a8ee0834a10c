//! The builds or release phases that run in this process.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// Cancellation tokens of what runs in this process, by the ids of their rows.
#[derive(Default)]
pub struct Running<Id>(Mutex<HashMap<Id, CancellationToken>>);

impl<Id: Copy + Eq + Hash> Running<Id> {
    /// The token that cancels one of them; created on first use. Read its row afterwards: the token does not reflect
    /// earlier cancellations.
    pub fn token(&self, id: Id) -> CancellationToken {
        self.all().entry(id).or_default().clone()
    }

    /// Forgets one that has ended.
    pub fn forget(&self, id: Id) {
        self.all().remove(&id);
    }

    /// Those that were not cancelled.
    pub fn ids(&self) -> Vec<Id> {
        self.all().iter().filter(|(_, token)| !token.is_cancelled()).map(|(id, _)| *id).collect()
    }

    /// Cancels those of `ids` that run here.
    pub fn cancel(&self, ids: &[Id]) {
        let all = self.all();
        ids.iter().filter_map(|id| all.get(id)).for_each(CancellationToken::cancel);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Id, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
