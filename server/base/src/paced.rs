//! Transactions of requests that record no event, but wait for locks, such as those of quotas.

use std::ops::{Deref, DerefMut};

use anyhow::Context as _;
use api::ids::AccountId;
use sqlx::{PgConnection, Postgres, Transaction};

use crate::{Base, Result, slots::Slot};

/// A transaction that holds a slot of its payer. Dropped without [`Paced::commit`], it is rolled back.
pub struct Paced {
    tx: Transaction<'static, Postgres>,
    /// Released after the transaction has ended.
    _slot: Slot,
}

impl Base {
    /// Begins a transaction for a request that is charged to `payer`. It takes one of the slots of changes, since it
    /// may have to wait for a lock, and occupies a connection to the database meanwhile.
    pub async fn begin_for(&self, payer: AccountId) -> Result<Paced> {
        let slot = self.change_slots().take(payer).await?;
        Ok(Paced { tx: self.db().begin().await?, _slot: slot })
    }
}

impl Paced {
    /// Commits the transaction.
    pub async fn commit(self) -> anyhow::Result<()> {
        self.tx.commit().await.context("use the database")
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
