//! The handle that every area holds, and that the handles of the areas deref to.

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
    wakers: Mutex<Vec<Arc<Notify>>>,
}

impl Base {
    /// Reads the master key (or makes one) and connects to the database, whose schema is brought up to date.
    ///
    /// # Errors
    /// A sentence that says what is missing or wrong on this machine.
    pub async fn open(settings: Settings) -> anyhow::Result<Self> {
        let secrets = Secrets::load(&settings.data.join("master.key"), settings.master_key.as_deref())?;
        let db = store::open(&settings.database_url).await.context("open the platform's database")?;
        let rules = outbound::Rules { networks: settings.outbound_networks.clone(), allowed_ports: settings.public_ports() };
        let inner = Inner {
            outbound: outbound::Client::new(rules).context("set up outbound requests")?,
            rate_limits: RateLimits::default(),
            changes: broadcast::channel(1024).0,
            session_ends: broadcast::channel(16).0,
            newest_event: watch::Sender::new(0),
            wakers: Mutex::default(),
            settings,
            db,
            secrets,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// What the platform was told at its start.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub fn db(&self) -> &PgPool {
        &self.0.db
    }

    pub fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// The client for every request to an address that somebody gave.
    pub fn outbound(&self) -> &outbound::Client {
        &self.0.outbound
    }

    pub fn rate_limits(&self) -> &RateLimits {
        &self.0.rate_limits
    }

    /// Tells whoever watches that something about `app` is not what it was.
    pub fn changed(&self, app: Uuid) {
        let _ = self.0.changes.send(app);
    }

    /// Ids of apps, as they change.
    pub fn changes(&self) -> broadcast::Receiver<Uuid> {
        self.0.changes.subscribe()
    }

    /// Has open streams look again whether their session still exists.
    pub fn session_ended(&self) {
        let _ = self.0.session_ends.send(());
    }

    /// Has open streams look again whether their reader may still read, and lists who is in them.
    pub fn rights_changed(&self) {
        self.session_ended();
        self.changed(Uuid::nil());
    }

    /// What wakes a reconciler: by whoever has it, and by [`Self::wake_all`].
    pub fn waker(&self) -> Arc<Notify> {
        let waker = Arc::new(Notify::new());
        self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner).push(waker.clone());
        waker
    }

    /// Has every reconciler look at once, after a change of more than one thing.
    pub fn wake_all(&self) {
        self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|waker| waker.notify_one());
    }

    pub fn session_ends(&self) -> broadcast::Receiver<()> {
        self.0.session_ends.subscribe()
    }

    /// The number of the newest event of the audit log, as it grows.
    pub fn newest_event(&self) -> &watch::Sender<i64> {
        &self.0.newest_event
    }
}
