//! The chain: each event contains the hash of the previous one, and the newest one is sealed with the platform's key.

use anyhow::Context as _;
use api::ids::AppId;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use store::events::Row;

use crate::{SubjectKind, secrets::Secrets};

/// Appends events, with a number of statements that hardly depends on how many they are. It holds a lock until the end
/// of the transaction, in which nothing else may follow: [`Change`](crate::Change) ensures that.
pub(crate) async fn append(secrets: &Secrets, tx: &mut PgConnection, events: Vec<Row>) -> anyhow::Result<()> {
    let Some(at) = events.last().map(|event| event.at) else { return Ok(()) };
    let (mut seq, mut previous) = head(secrets, tx).await.context("read the head of the audit log")?;
    let mut rows = Vec::with_capacity(events.len());
    for event in events {
        let mut row = Row { seq: seq + 1, previous, ..event };
        row.hash = hash(&row).context("hash the event")?;
        (seq, previous) = (row.seq, row.hash.clone());
        rows.push(row);
    }
    store::events::event_create(&mut *tx, &rows).await.context("write to the audit log")?;
    let seal = seal(secrets, seq, &previous);
    store::events::event_seal_update(tx, seq, &seal, at).await.context("seal the audit log")
}

/// The last event. If it is not the sealed one, the next event does not link to it either, so that the break remains
/// visible instead of being sealed over.
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
    // In the form that the previous version can verify too, as `secrets/legacy.rs` explains.
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

/// The version of new events. Changing what their hash covers requires a new version: the hashes of earlier events
/// still have to be verified.
pub(crate) const VERSION: i16 = 2;

/// The hash of an event, over the fields of its version; `None` if this cannot be an event as it was written.
pub(crate) fn hash(row: &Row) -> Option<Vec<u8>> {
    let mut fields = vec![
        json!(row.seq),
        json!(row.at.timestamp_micros()),
        json!(row.actor_id),
        json!(row.actor),
        json!(row.credential),
        json!(row.address),
        json!(row.action),
        json!(row.subject),
        json!(row.app_id),
        json!(row.summary),
        json!(row.data),
    ];
    match row.version {
        1 if subject_follows(row) => {}
        VERSION => fields.extend([json!(row.version), json!(row.subject_kind), json!(row.subject_id)]),
        _ => return None,
    }
    let content = Value::from(fields).to_string();
    Some(Sha256::new().chain_update(&row.previous).chain_update(content).finalize().to_vec())
}

/// Whether kind and id of the subject are those that the migration derived from the app, which the hash of version 1
/// covers. The previous version, which may run next to this one, writes neither.
fn subject_follows(row: &Row) -> bool {
    match row.subject_kind.as_deref() {
        None => row.subject_id.is_none(),
        Some(kind) => {
            kind == SubjectKind::App.as_str() && row.app_id.is_some() && row.subject_id == row.app_id.map(AppId::get)
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const APP: AppId = AppId::from_u128(0x0198_a5b3_7c4e_7d10_8000_0123_4567_89ab);

    fn event(version: i16, subject_kind: Option<&str>, subject_id: Option<Uuid>) -> Row {
        Row {
            seq: 1,
            at: DateTime::from_timestamp_micros(1_764_547_200_000_001).unwrap(),
            actor_id: None,
            actor: "wharf".into(),
            credential: None,
            address: Some("192.0.2.7".into()),
            action: "app.create".into(),
            subject: "dusk".into(),
            app_id: Some(APP),
            subject_kind: subject_kind.map(str::to_owned),
            subject_id,
            summary: "Created the app dusk.".into(),
            data: json!({ "team": null, "stack": "heroku-24" }),
            previous: vec![0; 32],
            hash: Vec::new(),
            version,
        }
    }

    fn check(row: &Row, expected: &str) {
        assert_eq!(hash(row).map(hex::encode).as_deref(), Some(expected), "{row:?}");
    }

    /// As computed by the first version; databases contain such hashes.
    #[test]
    fn the_hash_of_each_version_stays_the_same() {
        let first = "f34e731a6fdc3e38848f34b0f39ab052d1fed0cbc2a83ed7e741693fc1ec85e9";
        check(&event(1, None, None), first);
        check(&event(1, Some("app"), Some(APP.get())), first);
        check(
            &event(2, Some("app"), Some(APP.get())),
            "a06dc4780c70f505d5b869a05e359830ee72242a034ff3e3d07017343a20bd45",
        );
    }

    #[test]
    fn a_hash_covers_the_subject() {
        for (kind, id) in [
            (None, Some(APP.get())),
            (Some("app"), None),
            (Some("team"), Some(APP.get())),
            (Some("app"), Some(Uuid::nil())),
        ] {
            assert_eq!(hash(&event(1, kind, id)), None, "{kind:?} {id:?}");
            assert_ne!(hash(&event(2, kind, id)), hash(&event(2, Some("app"), Some(APP.get()))), "{kind:?} {id:?}");
        }
        let of_no_app = Row { app_id: None, ..event(1, Some("app"), None) };
        assert_eq!(hash(&of_no_app), None);
        assert_eq!(hash(&event(3, None, None)), None, "that of a newer server is not known");
    }
}
