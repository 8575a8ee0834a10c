//! The anchor: a record of the newest event outside the database, in a file.
//!
//! Somebody with write access to the database can restore an older state of it, including the seal of that time. The
//! file is written after the transaction that adds an event has been committed: however the server ends, it may lag,
//! but is never ahead of an intact log. The anchor of a contradicting log is never overwritten.

use std::{io::ErrorKind, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::EventActor;
use crate::{Base, Subject, SubjectKind, error::Result, secrets};

/// How long the file may lag,
const EVERY: Duration = Duration::from_secs(1);
/// and how often it is compared with the log when no event has been recorded.
const CHECK: Duration = Duration::from_secs(10);
/// How often the newest event is recorded in the platform's own log.
const REPORT: Duration = Duration::from_secs(600);

/// The contents of the file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Anchor {
    pub seq: i64,
    pub hash: String,
    pub at: DateTime<Utc>,
    /// The event at which the file was created; 0 for the beginning of the log.
    pub since: i64,
    /// The keyed hash of the other fields.
    mac: String,
}

/// The result of reading the file.
pub enum Known {
    Nothing,
    Unreadable(String),
    Anchor(Anchor),
}

const PURPOSE: &str = "audit anchor";

/// What the keyed hash of an anchor covers.
fn content(anchor: &Anchor) -> String {
    serde_json::json!([anchor.seq, anchor.hash, anchor.at, anchor.since]).to_string()
}

fn is_own(base: &Base, anchor: &Anchor) -> bool {
    let mac = hex::decode(&anchor.mac).unwrap_or_default();
    base.secrets().is_mac(PURPOSE, content(anchor).as_bytes(), &mac)
}

/// Reads the file.
pub fn read(base: &Base) -> Known {
    let text = match std::fs::read_to_string(&base.settings().audit_anchor) {
        Ok(text) => text,
        Err(err) if err.kind() == ErrorKind::NotFound => return Known::Nothing,
        Err(err) => return Known::Unreadable(err.to_string()),
    };
    match serde_json::from_str::<Anchor>(&text) {
        Ok(anchor) if is_own(base, &anchor) => Known::Anchor(anchor),
        Ok(_) => Known::Unreadable("it was not written by this platform".to_owned()),
        Err(err) => Known::Unreadable(err.to_string()),
    }
}

fn write(base: &Base, seq: i64, hash: &[u8], since: i64) -> Result<()> {
    let mut anchor = Anchor { seq, hash: hex::encode(hash), at: Utc::now(), since, mac: String::new() };
    // In the form that the previous version can verify too, as `secrets/legacy.rs` explains.
    anchor.mac = hex::encode(base.secrets().legacy_mac(PURPOSE, content(&anchor).as_bytes()));
    let text = serde_json::to_string(&anchor).map_err(anyhow::Error::new)?;
    secrets::write_private(&base.settings().audit_anchor, &format!("{text}\n"))?;
    Ok(())
}

/// Updates the file, unless it contradicts the log: then the contradiction is returned. Creates a missing file, which
/// is recorded in the log.
pub async fn update(base: &Base) -> Result<Option<String>> {
    let anchor = match read(base) {
        Known::Anchor(anchor) => anchor,
        Known::Unreadable(why) => return Ok(Some(format!("its anchor is unusable: {why}"))),
        Known::Nothing => {
            begin(base).await?;
            return Ok(None);
        }
    };
    let (seq, hash) = store::events::event_tip(base.db()).await?.unwrap_or((0, vec![0; 32]));
    if seq < anchor.seq {
        return Ok(Some(format!("it ends with event {seq}, but event {} existed before", anchor.seq)));
    }
    if seq == anchor.seq && hex::encode(&hash) == anchor.hash {
        return Ok(None);
    }
    let known = match anchor.seq {
        0 => vec![0; 32],
        seq => store::events::event_hash(base.db(), seq).await?.unwrap_or_default(),
    };
    if hex::encode(&known) != anchor.hash {
        return Ok(Some(format!("event {} has changed", anchor.seq)));
    }
    write(base, seq, &hash, anchor.since)?;
    Ok(None)
}

async fn begin(base: &Base) -> Result<()> {
    if store::events::event_tip(base.db()).await?.is_none() {
        return write(base, 0, &[0; 32], 0);
    }
    let mut tx = base.change(EventActor::platform(), Subject::named(SubjectKind::AuditLog, "audit log")).await?;
    let data = serde_json::json!({ "file": base.settings().audit_anchor });
    tx.record("event.anchor", "Created a new audit anchor, because there was none.", data);
    tx.commit().await?;
    let (seq, hash) = store::events::event_tip(base.db()).await?.unwrap_or((0, vec![0; 32]));
    write(base, seq, &hash, seq)
}

/// Keeps the file up to date, and regularly records the newest event in the platform's own log: a third place that an
/// older database contradicts.
pub async fn run(base: Base) {
    let (mut reported, mut wrong, mut last) = (None::<Instant>, None, 0);
    let mut events = base.new_events();
    loop {
        // Those up to now are covered; one that is recorded from here on may not be.
        events = events.resubscribe();
        match update(&base).await {
            Ok(now) => {
                if let Some(why) = now.as_ref().filter(|why| wrong.as_ref() != Some(*why)) {
                    tracing::error!("the audit log was tampered with, or restored to an older state: {why}");
                }
                wrong = now;
            }
            // The platform's data directory has been removed.
            Err(_) if !base.settings().data.exists() => return,
            Err(err) => tracing::warn!("could not update the audit anchor: {err}"),
        }
        if reported.is_none_or(|at| at.elapsed() > REPORT)
            && let Ok(Some((seq, hash))) = store::events::event_tip(base.db()).await
            && seq != last
        {
            tracing::info!("the newest event of the audit log is {seq}, hash {}", hex::encode(hash));
            (reported, last) = (Some(Instant::now()), seq);
        }
        tokio::time::sleep(EVERY).await;
        let _ = tokio::time::timeout(CHECK, events.recv()).await;
    }
}
