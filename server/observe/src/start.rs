//! Startup of this area: sampling, retention, and sending changes to pages.

use std::{sync::Arc, time::Duration};

use platform::Platform;
use tokio::sync::Notify;

use crate::{Observe, live::changes, metrics, retention::Retention};

impl Observe {
    /// Starts sampling, retention, and sending changes to pages. `platform` has to have begun its work; it stops them when it stops.
    pub fn start(platform: Platform) -> Self {
        let every = Duration::from_secs(3600);
        let retention = background::Driver::start(Retention(platform.clone()), every, Arc::new(Notify::new()));
        let observe = Self::new(platform);
        let sampling = tokio::spawn(metrics::sample(observe.platform().clone()));
        let sending = tokio::spawn(changes::run(observe.clone(), observe.new_events()));
        observe.platform().also_run(vec![retention], vec![sampling, sending]);
        observe
    }
}
