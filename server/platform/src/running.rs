//! The builds or release phases that run in this process.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Cancellation tokens of what runs in this process.
#[derive(Default)]
pub struct Running(Mutex<HashMap<Uuid, CancellationToken>>);

impl Running {
    /// The token that cancels one of them; created on first use. Read its row afterwards: the token does not know of
    /// earlier cancellations.
    pub fn token(&self, id: Uuid) -> CancellationToken {
        self.all().entry(id).or_default().clone()
    }

    /// Forgets one that has ended.
    pub fn forget(&self, id: Uuid) {
        self.all().remove(&id);
    }

    /// Those that were not cancelled.
    pub fn ids(&self) -> Vec<Uuid> {
        self.all().iter().filter(|(_, token)| !token.is_cancelled()).map(|(id, _)| *id).collect()
    }

    /// Cancels those of `ids` that run here.
    pub fn cancel(&self, ids: &[Uuid]) {
        let all = self.all();
        ids.iter().filter_map(|id| all.get(id)).for_each(CancellationToken::cancel);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Uuid, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
