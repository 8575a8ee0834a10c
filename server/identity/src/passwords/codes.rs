//! Codes of an authenticator, or recovery codes. Each can be used once.

use api::ids::{AccountId, PasswordId, RecoveryCodeId};
use base::{Base, Error, Result};
use chrono::{DateTime, Utc};
use rand::RngCore as _;
use store::passwords::{self, Row};

use super::totp;
use crate::actor::Actor;

/// Number of recovery codes.
const RECOVERY_CODES: usize = 10;
/// 80 bits, which cannot be guessed.
const RECOVERY_BYTES: usize = 10;
/// The number of wrong codes per account before a lockout.
const FREE: u32 = 5;

/// A valid code that was unused when it was checked.
pub(super) enum Code {
    /// An authenticator's code for this step.
    Step(i64),
    /// The hash of a recovery code.
    Recovery(Vec<u8>),
}

/// The encryption purpose: one per account.
fn purpose(account: AccountId) -> String {
    format!("codes of {account}")
}

/// A new secret, and its encrypted form.
pub(super) fn new_secret(base: &Base, account: AccountId) -> (Vec<u8>, Vec<u8>) {
    let mut secret = vec![0; totp::SECRET_BYTES];
    rand::rng().fill_bytes(&mut secret);
    let sealed = base.secrets().seal(&purpose(account), &secret);
    (secret, sealed)
}

/// New recovery codes, `abcd-efgh-ijkl-mnop`, and their ids and hashes.
pub(super) fn new_recovery_codes(base: &Base, password: PasswordId) -> (Vec<String>, Vec<(RecoveryCodeId, Vec<u8>)>) {
    let make = || {
        let mut bytes = [0; RECOVERY_BYTES];
        rand::rng().fill_bytes(&mut bytes);
        let plain = totp::base32(&bytes).to_lowercase();
        let hash = hash(base, password, &plain);
        let parts: Vec<_> = (0..4).map(|n| &plain[n * 4..n * 4 + 4]).collect();
        (parts.join("-"), (RecoveryCodeId::now_v7(), hash))
    };
    (0..RECOVERY_CODES).map(|_| make()).unzip()
}

/// Keyed, so that a copy of the database alone does not even allow guessing.
fn hash(base: &Base, password: PasswordId, plain: &str) -> Vec<u8> {
    base.secrets().mac(&hash_purpose(password), plain.as_bytes())
}

fn hash_purpose(password: PasswordId) -> String {
    format!("recovery codes of {password}")
}

/// The code that `given` is for this password, if it is valid. Takes the same time in all cases, even without a
/// password.
pub(super) async fn recognise(
    base: &Base,
    password: Option<&Row>,
    given: &str,
    now: DateTime<Utc>,
) -> Result<Option<Code>> {
    // As people type them: in groups, in upper case.
    let given: String = given.chars().filter(|c| c.is_ascii_alphanumeric()).take(64).collect();
    let given = given.to_ascii_lowercase();
    let secret = match password {
        Some(row) => base.secrets().open(&purpose(row.account_id), &row.secret)?,
        None => vec![0; totp::SECRET_BYTES],
    };
    let id = password.map_or(PasswordId::nil(), |row| row.id);
    let step = totp::step_of(&secret, &given, totp::step(now));
    let mut recovery = None;
    for hash in [hash(base, id, &given), base.secrets().legacy_mac(&hash_purpose(id), given.as_bytes())] {
        if passwords::recovery_code_exists(base.db(), id, &hash).await? {
            recovery = Some(hash);
        }
    }
    Ok(match (password, step, recovery) {
        (Some(row), Some(step), _) if step > row.last_step => Some(Code::Step(step)),
        (Some(_), None, Some(hash)) => Some(Code::Recovery(hash)),
        _ => None,
    })
}

/// Uses up a code. `false` if that has happened already, or the password was changed meanwhile.
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

/// The counter for codes of a signed-in account.
fn tries(actor: &Actor) -> String {
    format!("codes of {}", actor.account.email)
}

/// Checks the code of a signed-in account; the attempt is counted before the outcome is known.
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

/// Uses up the code of a signed-in account, in the transaction that needs it.
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

/// Undoes the counting.
pub(super) fn right(actor: &Actor) {
    actor.base.rate_limits().succeeded(&tries(actor));
}

const WRONG: &str =
    "The code is wrong or has already been used. Wait for the next one, and check the clock of your device.";

async fn refuse(actor: &Actor) -> Result<Error> {
    let mut tx = actor.change(actor.subject()).await?;
    tx.record("password.refuse", "Rejected a code that is wrong or already used.", serde_json::json!({}));
    tx.commit().await?;
    Ok(Error::invalid(WRONG))
}
