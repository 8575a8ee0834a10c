//! The handle that the handles of all areas deref to.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use sqlx::PgPool;
use tokio::sync::{Notify, broadcast, watch};
use uuid::Uuid;

use crate::{rate_limits::RateLimits, secrets::Secrets, settings::Settings};

/// What every area needs. Cheap to clone.
#[derive(Clone)]
pub struct Base(Arc<Inner>);

struct Inner {
    settings: Settings,
    db: PgPool,
    secrets: Secrets,
    outbound: outbound::Client,
    rate_limits: RateLimits,
    changes: broadcast::Sender<Uuid>,
    session_ends: broadcast::Sender<()>,
    newest_event: watch::Sender<i64>,
    queue_wakers: Mutex<Vec<Arc<Notify>>>,
}

impl Base {
    /// Reads or creates the master key, connects to the database, and migrates its schema.
    ///
    /// # Errors
    /// What is missing or wrong on this machine, for the operator.
    pub async fn open(settings: Settings) -> anyhow::Result<Self> {
        let secrets = Secrets::load(&settings.data.join("master.key"), settings.master_key.as_deref())?;
        let db = store::open(&settings.database_url).await.context("open the platform's database")?;
        let rules =
            outbound::Rules { networks: settings.outbound_networks.clone(), allowed_ports: settings.public_ports() };
        let inner = Inner {
            outbound: outbound::Client::new(rules).context("set up outbound requests")?,
            rate_limits: RateLimits::default(),
            changes: broadcast::channel(1024).0,
            session_ends: broadcast::channel(16).0,
            newest_event: watch::Sender::new(0),
            queue_wakers: Mutex::default(),
            settings,
            db,
            secrets,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The settings given at start-up.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub fn db(&self) -> &PgPool {
        &self.0.db
    }

    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// The client for all requests to user-supplied URLs.
    pub fn outbound(&self) -> &outbound::Client {
        &self.0.outbound
    }

    pub fn rate_limits(&self) -> &RateLimits {
        &self.0.rate_limits
    }

    /// Notifies subscribers that something about `app` has changed.
    pub fn changed(&self, app: Uuid) {
        let _ = self.0.changes.send(app);
    }

    /// The ids of changed apps.
    pub fn changes(&self) -> broadcast::Receiver<Uuid> {
        self.0.changes.subscribe()
    }

    /// Has open streams check whether their session still exists.
    pub fn session_ended(&self) {
        let _ = self.0.session_ends.send(());
    }

    /// Has open streams check whether their reader still has access, and refreshes lists of apps.
    pub fn rights_changed(&self) {
        self.session_ended();
        self.changed(Uuid::nil());
    }

    /// A new waker for the reconciler of a queue; [`Self::wake_queues`] wakes it, too.
    pub fn queue_waker(&self) -> Arc<Notify> {
        let waker = Arc::new(Notify::new());
        self.0.queue_wakers.lock().unwrap_or_else(PoisonError::into_inner).push(waker.clone());
        waker
    }

    /// Has the reconcilers of all queues run at once, since what may be queued has changed.
    pub fn wake_queues(&self) {
        self.0.queue_wakers.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|waker| waker.notify_one());
    }

    pub fn session_ends(&self) -> broadcast::Receiver<()> {
        self.0.session_ends.subscribe()
    }

    /// The number of the newest event of the audit log.
    pub fn newest_event(&self) -> &watch::Sender<i64> {
        &self.0.newest_event
    }
}
