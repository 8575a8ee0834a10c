//! The queue of release phases: a limited number runs concurrently, fewer per payer, and those of one app run
//! sequentially, since they run migrations.

use api::ids::{AppId, ReleaseId};
use async_trait::async_trait;
use background::{Reconciler, Report};
use base::{Error, Kind};
use store::queues::{Capacity, RELEASES};

use super::run::Run;
use crate::{Platform, queues};

/// Concurrent release phases, in total and per payer: each may take an hour, but most take seconds.
pub(crate) const SLOTS: Capacity = Capacity { all: 64, each: 4 };
/// Release phases of an app that run or wait.
const MOST_PENDING: i64 = 10;

const QUEUE: queues::Queue<Run, ReleaseId> =
    queues::Queue { rows: &RELEASES, kind: Kind::Release, slots: SLOTS, job: |release| Run { release } };

/// Assigns free slots to the release phases whose turn it is. The caller commits.
pub(super) async fn start(tx: &mut sqlx::PgConnection) -> sqlx::Result<Vec<AppId>> {
    QUEUE.start(tx).await
}

/// Takes the lock for assigning slots, which is needed before a release is ended and its slot assigned to another.
pub(super) async fn lock(tx: &mut sqlx::PgConnection) -> sqlx::Result<()> {
    QUEUE.rows.lock(tx).await
}

/// Rejects another release phase if the maximum number of them runs or waits.
pub async fn admit(db: impl sqlx::PgExecutor<'_>, app: AppId) -> base::error::Result<()> {
    let pending = store::releases::release_pending_count(db, app).await?;
    if pending < MOST_PENDING {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "{pending} releases of this app are running or waiting for their release phase; the maximum is {MOST_PENDING}. \
         Wait until one of them has ended (see wharf releases; the time limit is an hour), or cancel one (wharf \
         releases:cancel), then try again."
    )))
}

/// Starts the release phases whose turn it is, and ends cancelled ones.
pub(crate) struct Queue(pub Platform);

#[async_trait]
impl Reconciler for Queue {
    const NAME: &'static str = "releases";

    async fn run(&mut self) -> anyhow::Result<Report> {
        QUEUE.keep(&self.0, self.0.release_phases()).await?;
        Ok(Report::default())
    }
}
