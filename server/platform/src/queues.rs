//! Queues: rows that wait for a slot, and then get a job. Payers take turns.
//!
//! A waiting row holds neither a worker nor anything else. Its job is enqueued when it gets a slot: in the transaction
//! that creates it, if one is free, in the one that ends the row before it, or by the reconciler of its noun, which
//! calls [`Queue::keep`]. A change of waiting rows or slots wakes that reconciler, whichever server makes it; it also
//! runs regularly, because a server that was killed could not publish its change.

use std::{fmt::Display, hash::Hash};

use anyhow::Context as _;
use api::ids::AppId;
use background::Job;
use base::Kind;
use chrono::Utc;
use store::queues::Capacity;
use uuid::Uuid;

use crate::{Platform, running::Running};

/// A queue, and the jobs of the rows that have a slot.
pub struct Queue<J, Id: 'static> {
    /// Its rows.
    pub rows: &'static store::queues::Queue<Id>,
    /// What is published when the rows of an app change.
    pub kind: Kind,
    /// How many have a slot at once.
    pub slots: Capacity,
    /// The job of a row.
    pub job: fn(Id) -> J,
}

impl<J, Id> Queue<J, Id>
where
    J: Job,
    Id: From<Uuid> + Into<Uuid> + Copy + Eq + Hash + Display + Send + Sync,
{
    /// Assigns free slots to the rows whose turn it is, and returns their apps. The caller commits.
    pub async fn start(&self, tx: &mut sqlx::PgConnection) -> sqlx::Result<Vec<AppId>> {
        let mut apps = Vec::new();
        while let Some((id, app)) = self.rows.start_next(&mut *tx, self.slots, Utc::now()).await? {
            background::enqueue(&mut *tx, &(self.job)(id)).await?;
            apps.push(app);
        }
        Ok(apps)
    }

    /// Like [`Self::start`], in its own transaction. Also makes sure that cancelled rows end, that rows of suspended
    /// accounts are cancelled, that rows with a slot have a job, and that a row whose job repeatedly crashed the server
    /// releases its slot. Cancels what has to end in `running`, this process.
    pub async fn keep(&self, platform: &Platform, running: &Running<Id>) -> anyhow::Result<()> {
        let mut tx = platform.db().begin().await?;
        let mut changed = Vec::new();
        self.rows.cancel_suspended(&mut tx, Utc::now()).await.context("cancel entries of suspended accounts")?;
        for lost in self.rows.lost(&mut *tx, J::KIND).await.context("find entries without a job")? {
            if lost.failed {
                tracing::warn!(subject = %lost.id, job.kind = J::KIND, "ended entries without a job");
                self.rows.fail(&mut *tx, lost.id, Utc::now()).await.context("end entries without a job")?;
                changed.push(lost.app_id);
            } else {
                background::enqueue(&mut tx, &(self.job)(lost.id)).await?;
            }
        }
        for id in self.rows.cancelled(&mut *tx).await.context("find cancelled entries")? {
            background::enqueue(&mut tx, &(self.job)(id)).await?;
        }
        changed.extend(self.start(&mut tx).await.context("start the next entries")?);
        tx.commit().await?;
        changed.into_iter().for_each(|app| platform.publish(self.kind, app));
        self.cancel(platform, running).await.context("find cancelled entries while it ran")
    }

    /// Cancels what runs in this process and has to end, with a single query.
    async fn cancel(&self, platform: &Platform, running: &Running<Id>) -> sqlx::Result<()> {
        let ids = running.ids();
        if !ids.is_empty() {
            running.cancel(&self.rows.ended(platform.db(), &ids).await?);
        }
        Ok(())
    }
}
