//! Adding messages, within limits, and their state for those who caused them.

use api::{ids::MailId, mails::Mail};
use base::{Change, Result};
use chrono::{Duration, Utc};
use store::{
    accounts,
    mails::{About, New, Row},
};

use super::job::SendMail;
use crate::{accounts::can_receive, actor::Actor};

/// Messages within a day: by one account, with its service accounts, and to one address, by anybody. Beyond that,
/// invitations work, but nothing is sent.
const MOST_OF_ACCOUNT: i64 = 100;
const MOST_TO_ADDRESS: i64 = 5;

/// What a route shows of a message.
pub(crate) fn shown(row: Row) -> Mail {
    Mail { state: row.state, error: row.error, updated_at: row.updated_at }
}

/// Adds a message about what `tx` does, if there is a mail server and the recipient can receive one. It is sent after
/// the commit.
pub async fn mail_queue(tx: &mut Change, actor: &Actor, about: About, recipient: &accounts::Row) -> Result<()> {
    if recipient.id == actor.account.id || !can_receive(&recipient.email) {
        return Ok(());
    }
    if store::mails::mail_server_info(&mut **tx).await?.is_none() {
        return Ok(());
    }
    // One that still waits says the same.
    let waits = store::mails::mail_of(&mut **tx, about).await?.is_some_and(|row| !row.state.has_ended());
    let now = Utc::now();
    let (of_account, to_address) =
        store::mails::mail_count(&mut **tx, actor.payer, &recipient.email, now - Duration::days(1)).await?;
    if waits || of_account >= MOST_OF_ACCOUNT || to_address >= MOST_TO_ADDRESS {
        return Ok(());
    }
    let id = MailId::now_v7();
    let new = New { id, about, sent_by: actor.payer, recipient: &recipient.email, now };
    store::mails::mail_create(&mut **tx, &new).await?;
    background::enqueue(tx, &SendMail { mail: id }).await?;
    let data = serde_json::json!({ "mail": id, "kind": about.kind(), "account": recipient.id });
    tx.record("mail.create", format!("Queued an e-mail to {}.", recipient.email), data);
    Ok(())
}
