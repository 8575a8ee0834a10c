//! The followed spools.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use uuid::Uuid;

pub(super) type Shared = Arc<Mutex<logs::Follower>>;

/// The spools that are followed, by run.
#[derive(Default)]
pub(crate) struct Ingest {
    pub(super) followers: Mutex<HashMap<Uuid, Shared>>,
}

impl Ingest {
    pub(super) fn all(&self) -> Vec<(Uuid, Shared)> {
        let followers = self.followers.lock();
        followers.map(|f| f.iter().map(|(id, f)| (*id, f.clone())).collect()).unwrap_or_default()
    }

    pub(super) fn take(&self, run: Uuid) -> Option<Shared> {
        self.followers.lock().ok().and_then(|mut f| f.remove(&run))
    }
}
