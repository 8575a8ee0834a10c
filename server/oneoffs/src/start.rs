//! Startup of this area: its part in retention, its reconciler, and the rendezvous.

use std::time::Duration;

use chrono::Utc;
use platform::work::{AreaWork, RetentionPart};

use crate::{OneOffs, one_offs::Reconcile, terminals::rendezvous};

/// As many ended one-off dynos of an app are kept, for a week at most: the newest.
const KEPT: i64 = 1000;

impl OneOffs {
    /// The background work of this area, for [`Platform::begin_work`](platform::Platform::begin_work).
    pub fn work(&self) -> AreaWork {
        let old = RetentionPart::new("remove old one-off dynos", self, |one_offs| async move {
            let before = Utc::now() - chrono::Duration::days(7);
            store::one_offs::one_off_sweep(one_offs.db(), before, KEPT).await?;
            Ok(Vec::new())
        });
        AreaWork { retention: vec![old], ..AreaWork::default() }
    }

    /// Starts the reconciler and the rendezvous. The platform has to have begun its work; it stops them when it stops.
    ///
    /// # Errors
    /// If the port or the certificate of the rendezvous cannot be used.
    pub async fn start(&self) -> anyhow::Result<()> {
        let rendezvous = rendezvous::listen(self).await?;
        let reconcile = Reconcile::new(self.platform().clone());
        let reconciler = background::Driver::start(reconcile, Duration::from_secs(5), self.waker().clone());
        self.also_run(vec![reconciler], vec![tokio::spawn(rendezvous)]);
        Ok(())
    }
}
