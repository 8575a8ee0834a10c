//! Changes: transactions that write their events last.
//!
//! The audit log is a single chain, so writing an event takes a lock until the end of the transaction. If rows were
//! locked after that, two changes could deadlock. Events are therefore collected, and written when the change is
//! committed: there is no other way to write one.

use std::ops::{Deref, DerefMut};

use anyhow::Context as _;
use sqlx::{PgConnection, Postgres, Transaction};
use store::events::Row;

use crate::{Base, events::chain};

/// A transaction with its audit events. Dropped without [`Change::commit`], it leaves neither.
pub struct Change {
    tx: Transaction<'static, Postgres>,
    events: Vec<Row>,
    base: Base,
}

impl Base {
    /// Begins a change.
    pub async fn change(&self) -> sqlx::Result<Change> {
        Ok(Change { tx: self.db().begin().await?, events: Vec::new(), base: self.clone() })
    }
}

impl Change {
    /// Adds an event, which is written if the change is committed.
    pub fn record(&mut self, event: Row) {
        self.events.push(event);
    }

    /// Writes the events and commits.
    pub async fn commit(self) -> anyhow::Result<()> {
        let Self { mut tx, events, base } = self;
        for event in events {
            chain::append(base.secrets(), &mut tx, event).await?;
        }
        tx.commit().await.context("use the database")
    }
}

impl Deref for Change {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for Change {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}
