//! Events: the audit log. Every change has an actor, and the log is a hash chain.
//!
//! This file writes; `verify` checks the log, also against the record in `anchor` outside the database.

pub mod anchor;
pub(crate) mod chain;
pub mod verify;

use chrono::Utc;
use store::events::Row;
use uuid::Uuid;

use crate::{Base, Change, Result};

/// An event to be written.
pub struct New<'a> {
    /// `release.create`
    pub action: &'a str,
    /// The name of the subject.
    pub subject: &'a str,
    pub app: Option<Uuid>,
    /// One sentence, without secret values.
    pub summary: String,
    /// Details for programs, without secret values.
    pub data: serde_json::Value,
}

/// The originator of work that the platform does later: account, credential, address.
#[derive(Clone, Debug)]
pub struct Asker {
    pub account: Uuid,
    pub email: String,
    pub credential: Option<String>,
    pub address: Option<String>,
}

/// Writes an event for work that `asker` has requested before.
pub async fn event_on_behalf(tx: &mut Change, asker: &Asker, new: New<'_>) -> Result<()> {
    tx.record(row(new, asker.clone().into()));
    Ok(())
}

/// Writes an event of the platform itself.
pub async fn event_of_platform(tx: &mut Change, new: New<'_>) -> Result<()> {
    tx.record(row(new, Who { id: None, name: "wharf".into(), credential: None, address: None }));
    Ok(())
}

/// Writes the rejection of an unauthenticated client; `name` is the account that they claim.
pub async fn event_of_visitor(base: &Base, name: Option<&str>, address: Option<String>, new: New<'_>) -> Result<()> {
    let mut tx = base.change().await?;
    let name = name.unwrap_or("somebody").chars().take(254).filter(|c| !c.is_control()).collect();
    tx.record(row(new, Who { id: None, name, credential: None, address }));
    Ok(tx.commit().await?)
}

struct Who {
    id: Option<Uuid>,
    name: String,
    credential: Option<String>,
    address: Option<String>,
}

impl From<Asker> for Who {
    fn from(asker: Asker) -> Self {
        Self { id: Some(asker.account), name: asker.email, credential: asker.credential, address: asker.address }
    }
}

/// An event before it is appended.
fn row(new: New<'_>, who: Who) -> Row {
    Row {
        seq: 0,
        // The database stores microseconds, and the hash is over stored values.
        at: chain::micros(Utc::now()),
        actor_id: who.id,
        actor: who.name,
        credential: who.credential,
        address: who.address,
        action: new.action.into(),
        subject: new.subject.into(),
        app_id: new.app,
        summary: new.summary,
        data: new.data,
        previous: Vec::new(),
        hash: Vec::new(),
    }
}

/// Polls for new events while anybody subscribes. The code that writes one is in a transaction, and cannot notify.
pub async fn watch(base: Base) {
    let newest = base.newest_event();
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        if newest.receiver_count() > 0
            && let Ok(seq) = store::events::event_newest(base.db()).await
        {
            newest.send_if_modified(|known| std::mem::replace(known, seq) != seq);
        }
    }
}

/// Seals a log from before there were seals, and records that in it.
pub async fn seal_first(base: &Base) -> Result<()> {
    let mut tx = base.change().await?;
    let (seq, hash) = store::events::event_head(&mut tx).await?;
    if store::events::event_seal(&mut *tx).await?.is_some_and(|(_, seal)| seal.is_none()) {
        store::events::event_seal_update(&mut *tx, seq, &chain::seal(base.secrets(), seq, &hash), Utc::now()).await?;
        if seq > 0 {
            let summary = format!("Sealed the audit log at event {seq}.");
            let new =
                New { action: "event.seal", subject: "audit log", app: None, summary, data: serde_json::json!({}) };
            event_of_platform(&mut tx, new).await?;
        }
    }
    Ok(tx.commit().await?)
}
