//! Changes: transactions whose events come last.
//!
//! The audit log is one chain, so that whoever writes into it holds a lock until their transaction is over. Were rows
//! locked after that, two changes could wait for each other. So an event is only kept in mind when it is told, and
//! written when the change is made: there is no other way to write one.

use std::ops::{Deref, DerefMut};

use anyhow::Context as _;
use sqlx::{PgConnection, Postgres, Transaction};
use store::events::Row;

use crate::{Base, events::chain};

/// A transaction, and what the audit log will say of it. Dropped, it has changed nothing and says nothing.
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
    /// Has the audit log say this, if the change is made.
    pub fn say(&mut self, event: Row) {
        self.events.push(event);
    }

    /// Makes the change.
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
