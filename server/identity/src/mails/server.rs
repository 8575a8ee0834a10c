//! The mail server: its settings, for administrators, and the test message.
//!
//! The password is encrypted, never returned, and only sent to the server for which it was entered: whoever changes the
//! server has to enter it again.

use std::time::Duration;

use api::{
    ids::MailId,
    mails::{MailServer, MailServerUpdate, MailTest, MailTested, MailTls},
};
use axum::{Json, extract::State};
use base::{Base, Error, Result, web::Input};
use chrono::{DateTime, Utc};
use store::mails::Server;

use super::texts;
use crate::{accounts, actor::Actor, subjects};

/// What the password is encrypted for.
const PURPOSE: &str = "mail server";
/// The time limit for sending a message.
const PATIENCE: Duration = Duration::from_secs(20);
/// Test messages of an administrator within an hour.
const MOST_TESTS: u32 = 30;
/// The longest user or password, in bytes.
const LONGEST: usize = 500;

fn shown(row: Option<Server>) -> MailServer {
    let Some(row) = row else { return MailServer { tls: MailTls::StartTls, ..MailServer::default() } };
    MailServer {
        configured: true,
        host: row.host,
        port: u16::try_from(row.port).unwrap_or_default(),
        tls: row.tls,
        user: row.username,
        has_password: row.password.is_some(),
        sender: row.sender,
        updated_at: Some(row.updated_at),
    }
}

/// `GET /mail-server`
pub async fn mail_server_info(State(base): State<Base>, actor: Actor) -> Result<Json<MailServer>> {
    actor.must_administer()?;
    Ok(Json(shown(store::mails::mail_server_info(base.db()).await?)))
}

/// `PATCH /mail-server`
pub async fn mail_server_update(
    State(base): State<Base>,
    actor: Actor,
    Input(update): Input<MailServerUpdate>,
) -> Result<Json<MailServer>> {
    actor.must_administer()?;
    let mut tx = actor.change(subjects::setting("mail server")).await?;
    let old = store::mails::mail_server_info(&mut *tx).await?;
    let row = changed(&base, old.as_ref(), update, Utc::now())?;
    store::mails::mail_server_save(&mut *tx, &row).await?;
    let summary =
        format!("Set the mail server to {}:{} ({}), with the sender {}.", row.host, row.port, row.tls, row.sender);
    let data = serde_json::json!({
        "host": row.host, "port": row.port, "tls": row.tls, "user": row.username, "sender": row.sender,
    });
    tx.record("mail_server.update", summary, data);
    tx.commit().await?;
    Ok(Json(shown(Some(row))))
}

/// The settings after a change.
fn changed(base: &Base, old: Option<&Server>, update: MailServerUpdate, now: DateTime<Utc>) -> Result<Server> {
    let host = update.host.map(|host| host.trim().to_owned()).or_else(|| old.map(|old| old.host.clone()));
    let host = host.filter(|host| is_host(host)).ok_or_else(|| {
        Error::invalid("host must be the name or address of an SMTP server, such as smtp.example.com.")
    })?;
    let tls = match update.tls {
        Some(name) => MailTls::named(&name).ok_or_else(|| Error::invalid("tls must be starttls, tls or none."))?,
        None => old.map_or(MailTls::StartTls, |old| old.tls),
    };
    let usual = match tls {
        MailTls::Tls => 465,
        MailTls::None => 25,
        _ => 587,
    };
    // The former port belongs to the former encryption.
    let kept = old.filter(|old| old.tls == tls).map(|old| old.port);
    let port = update.port.map_or_else(|| kept.unwrap_or(usual), i32::from);
    if port == 0 {
        return Err(Error::invalid("port must be between 1 and 65535."));
    }
    let sender = update.sender.map(|sender| sender.trim().to_owned()).or_else(|| old.map(|old| old.sender.clone()));
    let sender = sender.filter(|sender| mail::is_address(sender)).ok_or_else(|| {
        Error::invalid("sender must be the email address that messages are sent from, such as wharf@example.com.")
    })?;
    let username = match update.user {
        Some(user) => Some(user).filter(|user| !user.is_empty()),
        None => old.and_then(|old| old.username.clone()),
    };
    let mut row = Server { host, port, tls, username, password: None, sender, updated_at: now };
    row.password = password(base, old, &row, update.password.filter(|given| !given.is_empty()))?;
    Ok(row)
}

fn is_host(host: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    !host.is_empty() && host.len() <= 253 && host.chars().all(is_plain)
}

/// The encrypted password of the new settings.
fn password(base: &Base, old: Option<&Server>, new: &Server, given: Option<String>) -> Result<Option<Vec<u8>>> {
    let Some(user) = &new.username else {
        return match given {
            Some(_) => Err(Error::invalid("user is required with a password.")),
            None => Ok(None),
        };
    };
    if new.tls == MailTls::None {
        return Err(Error::invalid(
            "A user and password are only sent over an encrypted connection: set tls to starttls or tls.",
        ));
    }
    let is_odd = |text: &str| text.len() > LONGEST || text.chars().any(char::is_control);
    if is_odd(user) || given.as_deref().is_some_and(is_odd) {
        return Err(Error::invalid("user and password must have at most 500 characters and no control characters."));
    }
    if let Some(given) = given {
        return Ok(Some(base.secrets().seal(PURPOSE, given.as_bytes())));
    }
    let same =
        |old: &&Server| (&old.host, old.port, old.tls, &old.username) == (&new.host, new.port, new.tls, &new.username);
    let kept = old.filter(same).and_then(|old| old.password.clone());
    kept.map(Some).ok_or_else(|| {
        Error::invalid(
            "password is required, also when the server, its encryption or the user changes: \
             it is only sent to the server for which it was entered.",
        )
    })
}

/// `DELETE /mail-server`
pub async fn mail_server_delete(actor: Actor) -> Result<Json<MailServer>> {
    actor.must_administer()?;
    let mut tx = actor.change(subjects::setting("mail server")).await?;
    if store::mails::mail_server_delete(&mut *tx).await? {
        tx.record("mail_server.delete", "Removed the mail server.", serde_json::json!({}));
    }
    tx.commit().await?;
    Ok(Json(shown(None)))
}

/// The mail server with its password, and the sender; `None` if there is none.
pub(crate) async fn current(base: &Base) -> anyhow::Result<Option<(mail::Server, String)>> {
    let Some(row) = store::mails::mail_server_info(base.db()).await? else { return Ok(None) };
    let password = match &row.password {
        Some(sealed) => Some(String::from_utf8(base.secrets().open(PURPOSE, sealed)?)?),
        None => None,
    };
    let server = mail::Server {
        host: row.host,
        port: u16::try_from(row.port)?,
        encryption: match row.tls {
            MailTls::Tls => mail::Encryption::Tls,
            MailTls::None => mail::Encryption::None,
            _ => mail::Encryption::StartTls,
        },
        credentials: row.username.zip(password),
        hello: base.settings().domain.clone(),
        patience: PATIENCE,
    };
    Ok(Some((server, row.sender)))
}

/// `POST /mail-server/actions/test`: sends a message now, and returns the server's answer.
pub async fn mail_server_test(
    State(base): State<Base>,
    actor: Actor,
    Input(test): Input<MailTest>,
) -> Result<Json<MailTested>> {
    actor.must_administer()?;
    let to = test.to.map(|to| to.trim().to_owned()).filter(|to| !to.is_empty());
    let to = to.unwrap_or_else(|| actor.account.email.clone());
    if !accounts::can_receive(&to) {
        return Err(Error::invalid(format!(
            "{to:?} cannot receive e-mail. Set \"to\" to the address for the test message."
        )));
    }
    let none = || Error::invalid("There is no mail server. Set one first.");
    let (server, sender) = current(&base).await?.ok_or_else(none)?;
    if !base.rate_limits().is_among_first(&format!("test messages of {}", actor.payer), MOST_TESTS) {
        return Err(Error::too_many_tries("Too many test messages within an hour. Try again later."));
    }
    let message = texts::test(&base.settings().url()).message(&base, MailId::now_v7(), &sender, &to);
    let sent = mail::send(&server, &message).await;
    let ok = sent.is_ok();
    let answer = sent.unwrap_or_else(|err| err.to_string());
    let mut tx = actor.change(subjects::setting("mail server")).await?;
    let verb = if ok { "Sent" } else { "Failed to send" };
    let data = serde_json::json!({ "to": to, "ok": ok, "answer": answer });
    tx.record("mail_server.test", format!("{verb} a test message to {to}: {answer}"), data);
    tx.commit().await?;
    Ok(Json(MailTested { ok, to, answer }))
}
