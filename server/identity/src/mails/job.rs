//! The job that sends a message, for up to a day.
//!
//! If the server dies after the message was accepted and before that is recorded, it is sent again, with the same
//! message id, which lets mail programs show it once.

use std::time::Duration;

use anyhow::anyhow;
use api::{ids::MailId, mails::MailState};
use async_trait::async_trait;
use background::{Cancel, Failure, Job, Steps};
use base::{Subject, events::EventActor};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use store::mails::Row;
use uuid::Uuid;

use super::{server, texts};
use crate::{Identity, sign_in_ways, subjects};

/// A message is given up this long after it was added.
const PATIENCE: chrono::Duration = chrono::Duration::days(1);
/// The first pause between attempts; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Sends a message.
#[derive(Serialize, Deserialize)]
pub struct SendMail {
    pub mail: MailId,
}

#[async_trait]
impl Job for SendMail {
    const KIND: &'static str = "mails.send";
    const CANCEL: Cancel = Cancel::Allowed;
    type Context = Identity;

    fn subject(&self) -> Uuid {
        self.mail.get()
    }

    async fn run(&self, identity: &Identity, steps: &mut Steps) -> Result<(), Failure> {
        steps.once("send the message", attempt(identity, self.mail)).await
    }

    async fn give_up(&self, identity: &Identity, why: &anyhow::Error) -> anyhow::Result<()> {
        end(identity, self.mail, MailState::Failed, Some(&format!("{why:#}"))).await
    }
}

/// The pause after this many failed attempts.
fn pause(attempts: i32) -> Duration {
    let doublings = attempts.clamp(0, 10).unsigned_abs();
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

/// Whether there is nothing to say any more.
fn is_over(row: &Row, now: DateTime<Utc>) -> bool {
    let is_same = row.account_email.as_ref().is_some_and(|email| email.eq_ignore_ascii_case(&row.recipient));
    !is_same || row.is_sender_suspended || row.expires_at.is_some_and(|until| until < now)
}

async fn attempt(identity: &Identity, id: MailId) -> Result<(), Failure> {
    let db = identity.db();
    let Some(row) = store::mails::mail_info(db, id).await? else { return Ok(()) };
    if row.state.has_ended() {
        return Ok(());
    }
    let now = Utc::now();
    let Some(text) = text(identity, &row, now).await? else {
        return Ok(end(identity, id, MailState::Cancelled, None).await?);
    };
    let Some((server, sender)) = server::current(identity).await? else {
        return Err(Failure::Final(anyhow!("The mail server was removed.")));
    };
    let message = text.message(identity, id, &sender, &row.recipient);
    let err = match mail::send(&server, &message).await {
        Ok(_) => return Ok(end(identity, id, MailState::Sent, None).await?),
        Err(err) => err,
    };
    if !err.is_temporary() {
        return Err(Failure::Final(anyhow!("{err}")));
    }
    let pause = pause(row.attempts);
    if now + pause > row.created_at + PATIENCE {
        return Err(Failure::Final(anyhow!("Given up after a day. {err}")));
    }
    store::mails::mail_retry(db, id, &err.to_string(), now).await?;
    Err(Failure::wait(pause, "the mail server"))
}

/// The text; `None` if there is nothing to say any more.
async fn text(identity: &Identity, row: &Row, now: DateTime<Utc>) -> anyhow::Result<Option<texts::Text>> {
    let Some(account) = row.account_id.filter(|_| !is_over(row, now)) else { return Ok(None) };
    let ways = sign_in_ways::of_account(identity, account).await?;
    // A suspended account has nothing to answer.
    let Some(ways) = ways.filter(|ways| !ways.is_suspended) else { return Ok(None) };
    let path = match &row.app {
        Some(app) if row.kind == api::mails::MailKind::Collaborator => format!("/apps/{app}"),
        _ => "/teams".to_owned(),
    };
    let url = sign_in_ways::link(identity, &path);
    Ok(texts::of(row, (identity.settings().domain.as_str(), url), &ways.for_the_person()))
}

/// Ends the message, unless it has ended.
async fn end(identity: &Identity, id: MailId, state: MailState, error: Option<&str>) -> anyhow::Result<()> {
    let Some(row) = store::mails::mail_info(identity.db(), id).await? else { return Ok(()) };
    let subject = match (&row.app_id, &row.app, row.team_id, &row.team) {
        (Some(id), Some(name), ..) => Subject::app(*id, name),
        (.., Some(id), Some(name)) => subjects::team(id, name),
        _ => subjects::setting("mail server"),
    };
    let began = identity.change(EventActor::platform(), subject).await;
    let mut tx = began.map_err(|err| anyhow!("end a message: {err}"))?;
    if !store::mails::mail_end(&mut *tx, id, state, error, Utc::now()).await? {
        return Ok(());
    }
    let to = &row.recipient;
    let data = serde_json::json!({ "mail": id, "kind": row.kind });
    match state {
        MailState::Sent => tx.record("mail.send", format!("Sent an e-mail to {to}."), data),
        MailState::Failed => {
            tx.record("mail.fail", format!("Could not send an e-mail to {to}: {}", error.unwrap_or_default()), data);
        }
        _ => {}
    }
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_an_hour() {
        let pauses: Vec<u64> = [0, 1, 2, 5, 6, 100, i32::MAX].map(|n| pause(n).as_secs()).into();
        assert_eq!(pauses, [60, 120, 240, 1920, 3600, 3600, 3600]);
    }
}
