//! The chain: each event contains the hash of the previous one, and the newest one is sealed with the platform's key.

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use store::events::Row;

use crate::secrets::Secrets;

/// Appends an event. It holds a lock until the end of the transaction, in which nothing else may follow:
/// [`Change`](crate::Change) ensures that.
pub(crate) async fn append(secrets: &Secrets, tx: &mut PgConnection, event: Row) -> anyhow::Result<()> {
    let (seq, previous) = head(secrets, tx).await.context("read the head of the audit log")?;
    let mut row = Row { seq: seq + 1, previous, ..event };
    row.hash = hash(&row);
    store::events::event_create(&mut *tx, &row).await.context("write to the audit log")?;
    let seal = seal(secrets, row.seq, &row.hash);
    store::events::event_seal_update(tx, row.seq, &seal, row.at).await.context("seal the audit log")
}

/// The last event. If that is not the one that was sealed, the next one does not fit to it either, so that the break
/// remains visible instead of being sealed over.
async fn head(secrets: &Secrets, tx: &mut PgConnection) -> sqlx::Result<(i64, Vec<u8>)> {
    let (seq, hash) = store::events::event_head(&mut *tx).await?;
    let (sealed, found) = store::events::event_seal(tx).await?.unwrap_or((0, None));
    if sealed == seq && found.is_some_and(|found| is_seal(secrets, seq, &hash, &found)) {
        return Ok((seq, hash));
    }
    tracing::error!("the audit log was tampered with at event {}", seq.min(sealed) + 1);
    Ok((seq.max(sealed), vec![0; 32]))
}

const PURPOSE: &str = "audit log";

/// The seal of the newest event: a keyed hash. Since each hash includes the one before, it covers the whole log. Someone
/// with write access to the database can compute hashes, but not this.
pub(crate) fn seal(secrets: &Secrets, seq: i64, hash: &[u8]) -> Vec<u8> {
    // In the form that the previous version verifies too, as `secrets/legacy.rs` explains.
    secrets.legacy_mac(PURPOSE, &sealed(seq, hash))
}

/// Whether `found` is the seal of the event `seq` with this hash.
pub(crate) fn is_seal(secrets: &Secrets, seq: i64, hash: &[u8], found: &[u8]) -> bool {
    secrets.is_mac(PURPOSE, &sealed(seq, hash), found)
}

fn sealed(seq: i64, hash: &[u8]) -> Vec<u8> {
    [&seq.to_be_bytes(), hash].concat()
}

pub(crate) fn micros(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

pub(crate) fn hash(row: &Row) -> Vec<u8> {
    let content = serde_json::json!([
        row.seq,
        row.at.timestamp_micros(),
        row.actor_id,
        row.actor,
        row.credential,
        row.address,
        row.action,
        row.subject,
        row.app_id,
        row.summary,
        row.data,
    ]);
    Sha256::new().chain_update(&row.previous).chain_update(content.to_string()).finalize().to_vec()
}
