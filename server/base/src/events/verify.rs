//! Verifies the audit log: the chain, its seal, and the anchor.

use api::platform::{EventAnchor, EventVerdict};
use sqlx::PgPool;

use super::{
    anchor::{self, Anchor, Known},
    chain::{hash, is_seal},
};
use crate::{Base, error::Result, secrets::Secrets};

fn broken(events: i64, at: i64, what: &str) -> EventVerdict {
    let message = format!("Event {at} {what}: the audit log was tampered with from this event on.");
    EventVerdict { events, broken_at: Some(at), message, anchor: None }
}

/// Reads the whole chain and finds the first broken link; then compares it with the anchor.
pub async fn verify(base: &Base) -> Result<EventVerdict> {
    // Read first, since the log and the anchor may grow meanwhile.
    let known = anchor::read(base);
    let anchored = match &known {
        Known::Anchor(anchor) => Some(anchor),
        _ => None,
    };
    let wanted = anchored.map_or(0, |anchor| anchor.seq);
    let (verdict, at_anchor) = chain(base.db(), base.secrets(), wanted).await?;
    let mut verdict = match (verdict.broken_at, &known) {
        (Some(_), _) => verdict,
        (None, Known::Anchor(anchor)) => against(base, verdict, anchor, &at_anchor),
        (None, Known::Nothing) => with_note(
            verdict,
            &format!(
                " There is no anchor in {}, so removal of the newest events would go unnoticed.",
                base.settings().audit_anchor.display()
            ),
        ),
        (None, Known::Unreadable(why)) => with_note(
            verdict,
            &format!(
                " However, the anchor in {} is unusable: {why}. Find out who changed it; once removed, a new one is created.",
                base.settings().audit_anchor.display()
            ),
        ),
    };
    verdict.anchor = anchored.map(|anchor| EventAnchor {
        file: base.settings().audit_anchor.display().to_string(),
        seq: anchor.seq,
        at: anchor.at,
        since: anchor.since,
    });
    Ok(verdict)
}

/// Verifies the chain and its seal in a copy of the database, which has no anchor.
pub async fn verify_copy(db: &PgPool, secrets: &Secrets) -> Result<EventVerdict> {
    Ok(chain(db, secrets, 0).await?.0)
}

fn with_note(verdict: EventVerdict, more: &str) -> EventVerdict {
    EventVerdict { message: verdict.message + more, ..verdict }
}

/// The result for the chain and its seal, and the hash of event `wanted`.
async fn chain(db: &PgPool, secrets: &Secrets, wanted: i64) -> Result<(EventVerdict, Vec<u8>)> {
    let mut tx = db.begin().await?;
    store::events::event_snapshot(&mut *tx).await?;
    let (mut seq, mut previous) = (0, vec![0; 32]);
    let mut at_wanted = previous.clone();
    loop {
        let rows = store::events::event_after(&mut *tx, seq, 1000).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if row.seq != seq + 1 {
                return Ok((broken(seq, seq + 1, "is missing"), at_wanted));
            }
            if row.previous != previous || hash(&row).as_ref() != Some(&row.hash) {
                return Ok((broken(seq, seq + 1, "was changed"), at_wanted));
            }
            (seq, previous) = (row.seq, row.hash);
            if seq == wanted {
                at_wanted.clone_from(&previous);
            }
        }
    }
    let (sealed, found) = store::events::event_seal(&mut *tx).await?.unwrap_or((0, None));
    if sealed > seq {
        return Ok((broken(seq, seq + 1, "is missing"), at_wanted));
    }
    if sealed < seq || !found.is_some_and(|found| is_seal(secrets, seq, &previous, &found)) {
        return Ok((broken(seq, seq, "does not match its hash"), at_wanted));
    }
    let message = match seq {
        1 => "The only event is unchanged.".to_owned(),
        _ => format!("All {seq} events are unchanged."),
    };
    Ok((EventVerdict { events: seq, broken_at: None, message, anchor: None }, at_wanted))
}

/// Compares an intact log with the anchor. The anchor may lag, but is never ahead.
fn against(base: &Base, verdict: EventVerdict, anchor: &Anchor, at_anchor: &[u8]) -> EventVerdict {
    let (file, events) = (base.settings().audit_anchor.display(), verdict.events);
    let when = anchor.at.format("%Y-%m-%d %H:%M:%S UTC");
    let restored = format!(
        "If the database was restored from a backup, this is expected: remove {file}, and a new anchor is created and \
         recorded as an event. Otherwise, events were removed deliberately."
    );
    if anchor.seq > events {
        let message = format!(
            "Event {} is missing: the log ends with event {events}, but {file} recorded event {} at {when}. The \
             database was reset to an older state. {restored}",
            events + 1,
            anchor.seq
        );
        return EventVerdict { broken_at: Some(events + 1), message, ..verdict };
    }
    if hex::encode(at_anchor) != anchor.hash {
        let message = format!(
            "Event {0} is not the one that {file} recorded at {when}. The database was reset to an older state, \
             and the log continued from there. {restored}",
            anchor.seq
        );
        return EventVerdict { broken_at: Some(anchor.seq), message, ..verdict };
    }
    match anchor.since > 1 {
        true => with_note(
            verdict,
            &format!(
                " The anchor was created at event {}, so removal of earlier events would have gone unnoticed.",
                anchor.since
            ),
        ),
        false => verdict,
    }
}
