//! Transactions, and the slots of requests that need one. A change has a transaction of this kind, and events.

use std::ops::{Deref, DerefMut};

use anyhow::Context as _;
use api::ids::AccountId;
use sqlx::{PgConnection, Postgres, Transaction};

use crate::{Base, Result, slots::Slot};

/// A transaction; one of a request holds a slot of its payer. Dropped without [`Paced::commit`], it is rolled back.
pub struct Paced {
    tx: Transaction<'static, Postgres>,
    /// Released after the transaction has ended.
    slot: Option<Slot>,
    has_waited: bool,
}

impl Base {
    /// Begins a transaction without a slot, for the platform's own work.
    pub(crate) async fn begin(&self) -> Result<Paced> {
        Ok(Paced { tx: self.db().begin().await?, slot: None, has_waited: false })
    }

    /// Begins a transaction for a request that is charged to `payer`. Waits for one of the slots of changes first, because
    /// waiting for a lock occupies a connection to the database.
    pub async fn begin_for(&self, payer: AccountId) -> Result<Paced> {
        let slot = self.change_slots().take(payer).await?;
        let has_waited = slot.has_waited() || self.db().num_idle() == 0;
        Ok(Paced { slot: Some(slot), has_waited, ..self.begin().await? })
    }
}

impl Paced {
    /// Whether it had to wait before it began: what its caller has read before may be stale.
    pub fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// Commits the transaction, and releases the slot.
    pub async fn commit(self) -> anyhow::Result<()> {
        let Self { tx, slot, .. } = self;
        tx.commit().await.context("use the database")?;
        drop(slot);
        Ok(())
    }
}

impl Deref for Paced {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for Paced {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}
