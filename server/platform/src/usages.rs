//! The resource usage of dynos, as of the newest sample.

use std::{collections::BTreeMap, sync::RwLock};

use api::{dynos::DynoUsage, ids::RunId};

/// The newest sample of each run of a dyno.
#[derive(Default)]
pub struct Usages(RwLock<BTreeMap<RunId, DynoUsage>>);

impl Usages {
    /// `None` until its CPU usage is known: from the first sample of a new dyno, or the second of one that was already
    /// running when this process started.
    pub(crate) fn of(&self, run: RunId) -> Option<DynoUsage> {
        self.0.read().ok()?.get(&run).copied()
    }

    /// Replaces the samples by newer ones.
    pub fn replace(&self, usages: BTreeMap<RunId, DynoUsage>) {
        if let Ok(mut known) = self.0.write() {
            *known = usages;
        }
    }
}
