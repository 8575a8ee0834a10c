//! Codes: what somebody types who has an authenticator, or a recovery code instead. Each counts once.

use base::{Base, Error, Result};
use chrono::{DateTime, Utc};
use rand::RngCore as _;
use store::passwords::{self, Row};
use uuid::Uuid;

use super::totp;
use crate::actor::Actor;

/// Recovery codes that somebody gets.
const RECOVERY_CODES: usize = 10;
/// 80 bits, which nobody guesses.
const RECOVERY_BYTES: usize = 10;
/// So many wrong codes of one account are mistakes.
const FREE: u32 = 5;

/// A code that is right, and was not used when it was looked at.
pub(super) enum Code {
    /// Of the authenticator, of this step.
    Step(i64),
    /// The hash of a recovery code.
    Recovery(Vec<u8>),
}

/// A secret opens for its own account only.
fn purpose(account: Uuid) -> String {
    format!("codes of {account}")
}

/// A new secret, and as it is kept.
pub(super) fn new_secret(base: &Base, account: Uuid) -> (Vec<u8>, Vec<u8>) {
    let mut secret = vec![0; totp::SECRET_BYTES];
    rand::rng().fill_bytes(&mut secret);
    let sealed = base.secrets().seal(&purpose(account), &secret);
    (secret, sealed)
}

/// New recovery codes, `abcd-efgh-ijkl-mnop`, and what is kept of them.
pub(super) fn new_recovery_codes(base: &Base, password: Uuid) -> (Vec<String>, Vec<(Uuid, Vec<u8>)>) {
    let make = || {
        let mut bytes = [0; RECOVERY_BYTES];
        rand::rng().fill_bytes(&mut bytes);
        let plain = totp::base32(&bytes).to_lowercase();
        let hash = hash(base, password, &plain);
        let parts: Vec<_> = (0..4).map(|n| &plain[n * 4..n * 4 + 4]).collect();
        (parts.join("-"), (Uuid::now_v7(), hash))
    };
    (0..RECOVERY_CODES).map(|_| make()).unzip()
}

/// Made with the platform's key: a copy of the database alone cannot even be guessed at.
fn hash(base: &Base, password: Uuid, plain: &str) -> Vec<u8> {
    base.secrets().mac(&format!("recovery codes of {password}"), plain.as_bytes())
}

/// What `given` is for this password, if anything. The same work is done whatever it is, and without a
/// password too.
pub(super) async fn recognise(
    base: &Base,
    password: Option<&Row>,
    given: &str,
    now: DateTime<Utc>,
) -> Result<Option<Code>> {
    // As people copy them: in groups, in capitals.
    let given: String = given.chars().filter(|c| c.is_ascii_alphanumeric()).take(64).collect();
    let given = given.to_ascii_lowercase();
    let secret = match password {
        Some(row) => base.secrets().open(&purpose(row.account_id), &row.secret)?,
        None => vec![0; totp::SECRET_BYTES],
    };
    let id = password.map_or(Uuid::nil(), |row| row.id);
    let step = totp::step_of(&secret, &given, totp::step(now));
    let hash = hash(base, id, &given);
    let is_recovery = passwords::recovery_code_exists(base.db(), id, &hash).await?;
    Ok(match (password, step) {
        (Some(row), Some(step)) if step > row.last_step => Some(Code::Step(step)),
        (Some(_), None) if is_recovery => Some(Code::Recovery(hash)),
        _ => None,
    })
}

/// Uses a code up. `false` if somebody else was faster, or the password was changed meanwhile.
pub(super) async fn use_up(
    tx: &mut sqlx::PgConnection,
    password: &Row,
    code: &Code,
    now: DateTime<Utc>,
) -> Result<bool> {
    Ok(match code {
        Code::Step(step) => passwords::password_step_use(tx, password, *step).await?,
        Code::Recovery(hash) => passwords::recovery_code_use(tx, password, hash, now).await?,
    })
}

/// What is counted against whoever is signed in and types codes.
fn tries(actor: &Actor) -> String {
    format!("codes of {}", actor.account.email)
}

/// The code of somebody who is signed in, counted before it is known whether it is right.
pub(super) async fn of_actor(actor: &Actor, password: &Row, given: &str, now: DateTime<Utc>) -> Result<Code> {
    let limits = actor.base.rate_limits();
    if !limits.begin(&tries(actor), FREE) {
        return Err(Error::too_many_tries("Too many wrong codes. Try again later."));
    }
    match recognise(&actor.base, Some(password), given, now).await? {
        Some(code) => Ok(code),
        None => Err(refuse(actor).await?),
    }
}

/// Takes the code of somebody who is signed in, in the transaction of what it is needed for.
pub(super) async fn take(
    actor: &Actor,
    tx: &mut sqlx::PgConnection,
    password: &Row,
    code: &Code,
    now: DateTime<Utc>,
) -> Result<()> {
    if !use_up(tx, password, code, now).await? {
        return Err(Error::conflict(WRONG));
    }
    right(actor);
    Ok(())
}

/// Takes back what was counted.
pub(super) fn right(actor: &Actor) {
    actor.base.rate_limits().was_right(&tries(actor));
}

const WRONG: &str =
    "The code is wrong or has already been used. Wait for the next one, and check the clock of your device.";

async fn refuse(actor: &Actor) -> Result<Error> {
    let mut tx = actor.change(actor.subject()).await?;
    tx.record("password.refuse", "Rejected a code that is wrong or already used.", serde_json::json!({}));
    tx.commit().await?;
    Ok(Error::invalid(WRONG))
}
