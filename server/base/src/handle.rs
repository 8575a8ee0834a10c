//! The handle that the handles of all areas dereference to.

use std::sync::Arc;

use anyhow::Context as _;
use api::ids::ServerId;
use sqlx::PgPool;
use store::servers::ServerHold;
use tokio::sync::Mutex;

use crate::{bus::Bus, rate_limits::RateLimits, secrets::Secrets, servers, settings::Settings, slots::Slots};

/// Concurrent changes by requests per payer, waiting ones, and the total: each has a connection to the database. The
/// other connections are for reads, sign-ins and jobs, which changes cannot block.
const CHANGES: usize = 6;
const CHANGES_WAITING: usize = 250;
const CHANGES_OF_ALL: usize = 14;
const _: () = assert!(CHANGES_OF_ALL + 6 <= store::CONNECTIONS as usize);

/// Concurrent reads by requests per payer, waiting ones, and the total. Connections are assigned in the order of
/// requests, so that without these limits hundreds of concurrent requests of one client would delay everybody else's.
const READS: usize = 16;
const READS_WAITING: usize = 1000;
const READS_OF_ALL: usize = 1000;

/// What every area needs. Cheap to clone.
#[derive(Clone)]
pub struct Base(Arc<Inner>);

struct Inner {
    settings: Settings,
    server_id: ServerId,
    server_hold: Mutex<Option<ServerHold>>,
    db: PgPool,
    secrets: Secrets,
    outbound: outbound::Client,
    rate_limits: RateLimits,
    changes: Slots,
    reads: Slots,
    bus: Bus,
}

impl Base {
    /// Reads or creates the master key, connects to the database, and migrates its schema.
    ///
    /// # Errors
    /// What is missing or wrong on this machine, for the operator.
    pub async fn open(settings: Settings) -> anyhow::Result<Self> {
        let secrets = Secrets::load(&settings.data.join("master.key"), settings.master_key.as_deref())?;
        let db = store::open(&settings.database_url).await.context("open the platform's database")?;
        let (server_id, server_hold) = servers::claim(&settings.data.join("server-id"), &db).await?;
        let rules =
            outbound::Rules { networks: settings.outbound_networks.clone(), allowed_ports: settings.public_ports() };
        let inner = Inner {
            outbound: outbound::Client::new(rules).context("set up outbound requests")?,
            rate_limits: RateLimits::default(),
            changes: Slots::new("changes", CHANGES, CHANGES_WAITING, CHANGES_OF_ALL),
            reads: Slots::new("requests", READS, READS_WAITING, READS_OF_ALL),
            bus: Bus::default(),
            settings,
            server_id,
            server_hold: Mutex::new(Some(server_hold)),
            db,
            secrets,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The settings given at startup.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The id of this server among those of its database. It is the same after a restart, unless another server with a
    /// copy of the data directory is running.
    pub fn server_id(&self) -> ServerId {
        self.0.server_id
    }

    /// What holds this id in the database; none once the server has stopped.
    pub(crate) fn server_hold(&self) -> &Mutex<Option<ServerHold>> {
        &self.0.server_hold
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

    /// Slots for requests that only read.
    pub fn read_slots(&self) -> &Slots {
        &self.0.reads
    }

    /// Slots for changes by requests.
    pub(crate) fn change_slots(&self) -> &Slots {
        &self.0.changes
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.0.bus
    }
}
