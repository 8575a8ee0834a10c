//! Events: the audit log. Every change has an actor, and the log is a hash chain.
//!
//! `Change` writes what `entry` describes; `verify` checks the log, also against the record in `anchor` outside the database.

pub mod anchor;
pub(crate) mod chain;
pub(crate) mod cut;
pub(crate) mod entry;
pub mod verify;

use chrono::Utc;

pub use self::entry::{EventActor, Originator};
use crate::{Base, Result, Subject, SubjectKind};

/// Seals a log that predates seals, and records that in it.
pub async fn seal_first(base: &Base) -> Result<()> {
    let mut tx = base.change(EventActor::platform(), Subject::named(SubjectKind::AuditLog, "audit log")).await?;
    let (seq, hash) = store::events::event_head(&mut tx).await?;
    if store::events::event_seal(&mut *tx).await?.is_some_and(|(_, seal)| seal.is_none()) {
        store::events::event_seal_update(&mut *tx, seq, &chain::seal(base.secrets(), seq, &hash), Utc::now()).await?;
        if seq > 0 {
            let summary = format!("Sealed the audit log at event {seq}.");
            tx.record("event.seal", summary, serde_json::json!({}));
        }
    }
    Ok(tx.commit().await?)
}
