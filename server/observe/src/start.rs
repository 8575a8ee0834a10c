//! Starting this area: what samples the apps, and what forgets.

use std::{sync::Arc, time::Duration};

use platform::Platform;
use tokio::sync::Notify;

use crate::{Observe, metrics, retention::Retention};

impl Observe {
    /// Starts to sample and to forget, over a platform that has started and stops this with itself.
    pub fn start(platform: Platform) -> Self {
        let every = Duration::from_secs(3600);
        let retention = background::Driver::start(Retention(platform.clone()), every, Arc::new(Notify::new()));
        platform.also_run(vec![retention], vec![tokio::spawn(metrics::sample(platform.clone()))]);
        Self::new(platform)
    }
}
