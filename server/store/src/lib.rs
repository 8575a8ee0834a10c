//! Persistence: rows and queries. The only SQL of the platform (except for jobs).
//!
//! One folder per area, and in it one file per noun. The folders are for finding things: a noun is `store::releases`,
//! whichever area it belongs to. A function is one statement, or a few that must go together. Nothing here makes
//! decisions, generates ids or reads the clock: both are arguments. Queries are checked by the tests, which run
//! each of them against a real database.

use std::{borrow::Cow, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

#[path = "base"]
mod of_base {
    pub mod bus;
    pub mod events;
    pub mod pages;
    pub mod servers;
    pub mod text;
}
#[path = "identity"]
mod of_identity {
    pub mod accounts;
    pub mod authorizations;
    pub mod identities;
    pub mod identity_providers;
    pub mod invitation_policy;
    pub mod mails;
    pub mod oauth_clients;
    pub mod passwords;
    pub mod payers;
    pub mod quotas;
    pub mod row_limits;
    pub mod service_accounts;
    pub mod sessions;
    pub mod sign_in;
    pub mod team_invitations;
    pub mod team_members;
    pub mod teams;
}
#[path = "platform"]
mod of_platform {
    pub mod app_transfers;
    pub mod apps;
    pub mod collaborators;
    pub mod config_vars;
    pub mod dynos;
    pub mod formation;
    pub mod jobs;
    pub mod queues;
    pub mod releases;
    #[path = "releases/rollouts.rs"]
    pub mod rollouts;
    pub mod schedules;
    pub mod slugs;
}
#[path = "builds"]
mod of_builds {
    pub mod addresses;
    pub mod builds;
    pub mod sources;
    pub mod uploads;
}
#[path = "oneoffs"]
mod of_oneoffs {
    pub mod one_offs;
}
#[path = "observe"]
mod of_observe {
    pub mod log_drains;
    pub mod log_sessions;
}
#[path = "recovery"]
mod of_recovery {
    pub mod backups;
}
#[cfg(feature = "testing")]
pub mod testing;

pub use crate::{
    of_base::*, of_builds::*, of_identity::*, of_observe::*, of_oneoffs::*, of_platform::*, of_recovery::*,
};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// Connections of a server to its database. Waiting for one while holding another can deadlock: code that has a
/// transaction reads through it.
pub const CONNECTIONS: u32 = 20;

/// Timeouts that Postgres enforces on the connections of a server, whose own timers do not run while its runtime is
/// blocked. An abandoned transaction would hold its locks, and block other servers, until its server ends. A request
/// that has waited for a lock for this long gets an error and should be retried, instead of occupying a connection.
/// Statements have no time limit: the duration of exports, verification and sweeps depends on the number of rows.
const LIMITS: [(&str, &str); 2] = [("idle_in_transaction_session_timeout", "60s"), ("lock_timeout", "60s")];

/// Connects to the database at `url` and migrates its schema.
pub async fn open(url: &str) -> Result<PgPool, sqlx::Error> {
    let options: PgConnectOptions = url.parse()?;
    let connect = |most, options| {
        PgPoolOptions::new().max_connections(most).acquire_timeout(Duration::from_secs(10)).connect_with(options)
    };
    // A migration may have to wait for other servers.
    let unlimited = connect(1, options.clone()).await?;
    migrate(&unlimited).await?;
    unlimited.close().await;
    connect(CONNECTIONS, options.options(LIMITS)).await
}

/// Connects to a copy of the database, with its schema as it is.
pub async fn open_copy(url: &str) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(10)).connect(url).await
}

/// Migrates the schema. Servers that start concurrently do this one at a time.
pub async fn migrate(pool: &PgPool) -> Result<(), sqlx::Error> {
    MIGRATIONS.run(pool).await.map_err(|err| sqlx::Error::Migrate(Box::new(err)))
}

/// The name of the violated constraint, if that is what `err` reports.
pub fn broken_constraint(err: &sqlx::Error) -> Option<Cow<'_, str>> {
    err.as_database_error()?.constraint().map(Cow::Borrowed)
}
