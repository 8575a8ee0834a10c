//! Startup of this area: sampling and retention.

use std::{sync::Arc, time::Duration};

use platform::Platform;
use tokio::sync::Notify;

use crate::{Observe, metrics, retention::Retention};

impl Observe {
    /// Starts sampling and retention. `platform` has to have begun its work; it stops them when it stops.
    pub fn start(platform: Platform) -> Self {
        let every = Duration::from_secs(3600);
        let retention = background::Driver::start(Retention(platform.clone()), every, Arc::new(Notify::new()));
        platform.also_run(vec![retention], vec![tokio::spawn(metrics::sample(platform.clone()))]);
        Self::new(platform)
    }
}
