//! The passwords of accounts: always with codes, and only where an administrator has enabled them.
//!
//! Setting a password shows the secret for an authenticator, and takes effect once a code was entered. From then on,
//! every change needs a code. Sign-in is in `sign_in`, the setting in `policy`.

mod codes;
pub(crate) mod devices;
mod hashing;
pub(crate) mod policy;
pub(crate) mod sign_in;
mod totp;

use axum::{
    Json,
    extract::{Path, State},
};
use base::{
    Base, Change, Error, Result,
    credential::Credential,
    web::{Created, Input},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use store::passwords::Row;

use self::codes::Code;
pub(crate) use self::hashing::{For, Hashing};
use crate::{Identity, accounts, actor::Actor, subjects};
use api::{
    ids::{AccountId, PasswordId},
    passwords::{Password, PasswordCreate, PasswordEnrolment, PasswordProof, PasswordUpdate, RecoveryCodes},
};

/// A new password has to be confirmed with a code within this time.
pub(crate) const PATIENCE: chrono::Duration = chrono::Duration::hours(1);

fn missing() -> Error {
    Error::not_found("password", "This account does not have a password.")
}

async fn in_force(base: &Base, account: AccountId) -> Result<Option<Row>> {
    let row = store::passwords::password_by_account(base.db(), account).await?;
    Ok(row.filter(|row| row.confirmed_at.is_some()))
}

async fn shown(base: &Base, account: AccountId) -> Result<Password> {
    let row = in_force(base, account).await?;
    let recovery_codes = match &row {
        Some(row) => store::passwords::recovery_code_count(base.db(), row.id).await?,
        None => 0,
    };
    Ok(Password {
        enabled: policy::is_on(base).await?,
        set: row.is_some(),
        recovery_codes,
        updated_at: row.map(|row| row.updated_at),
    })
}

/// `GET /account/password`
pub async fn password_info(State(base): State<Base>, actor: Actor) -> Result<Json<Password>> {
    Ok(Json(shown(&base, actor.account.id).await?))
}

/// `POST /account/password`: starts setting one, which takes effect when it is confirmed.
pub async fn password_create(
    State(identity): State<Identity>,
    actor: Actor,
    Input(create): Input<PasswordCreate>,
) -> Result<Created<PasswordEnrolment>> {
    actor.must_be_a_person().await?;
    policy::must_be_on(&identity).await?;
    let (account, now) = (&actor.account, Utc::now());
    let there = || Error::conflict("This account already has a password. Change it, or remove it first.");
    if in_force(&identity, account.id).await?.is_some() {
        return Err(there());
    }
    hashing::check_new(&create.password, &account.email)?;
    let (secret, sealed) = codes::new_secret(&identity, account.id);
    let row = Row {
        id: PasswordId::now_v7(),
        account_id: account.id,
        hash: identity.hashing().make(For::Known(actor.payer), &create.password).await?,
        secret: sealed,
        last_step: 0,
        confirmed_at: None,
        created_at: now,
        updated_at: now,
    };
    let mut tx = actor.change(actor.subject()).await?;
    if !store::passwords::password_create(&mut *tx, &row).await? {
        return Err(there());
    }
    tx.record("password.begin", "Chose a password, pending confirmation with a code.", json!({}));
    tx.commit().await?;
    let uri = totp::uri(&secret, &format!("Wharf {}", identity.settings().domain), &account.email);
    Ok(Created(PasswordEnrolment { secret: totp::base32(&secret), qr: totp::qr(&uri)?, uri }))
}

/// `POST /account/password/actions/confirm`: activates it, and returns the recovery codes.
pub async fn password_confirm(
    State(base): State<Base>,
    actor: Actor,
    Input(proof): Input<PasswordProof>,
) -> Result<Json<RecoveryCodes>> {
    actor.must_be_a_person().await?;
    policy::must_be_on(&base).await?;
    let now = Utc::now();
    let row = store::passwords::password_by_account(base.db(), actor.account.id).await?.ok_or_else(missing)?;
    let done = || Error::conflict("This account already has a password.");
    if row.confirmed_at.is_some() {
        return Err(done());
    }
    if row.created_at < now - PATIENCE {
        return Err(Error::invalid("This attempt has expired. Choose a password again."));
    }
    let Code::Step(step) = codes::of_actor(&actor, &row, &proof.code, now).await? else {
        return Err(missing());
    };
    let (plain, hashes) = codes::new_recovery_codes(&base, row.id);
    let mut tx = actor.change(actor.subject()).await?;
    if !store::passwords::password_confirm(&mut *tx, row.id, step, now).await? {
        return Err(done());
    }
    store::passwords::recovery_codes_replace(&mut tx, row.id, &hashes, now).await?;
    tx.record("password.create", "Set a password with an authenticator app.", json!({}));
    tx.commit().await?;
    codes::right(&actor);
    Ok(Json(RecoveryCodes { codes: plain }))
}

/// `PATCH /account/password`: changes it, with a code. Ends the account's other sessions; tokens stay valid.
pub async fn password_update(
    State(identity): State<Identity>,
    actor: Actor,
    Input(update): Input<PasswordUpdate>,
) -> Result<Json<Password>> {
    actor.must_be_a_person().await?;
    policy::must_be_on(&identity).await?;
    let now = Utc::now();
    let row = in_force(&identity, actor.account.id).await?.ok_or_else(missing)?;
    hashing::check_new(&update.password, &actor.account.email)?;
    let code = codes::of_actor(&actor, &row, &update.code, now).await?;
    let hash = identity.hashing().make(For::Known(actor.payer), &update.password).await?;
    let mut tx = actor.change(actor.subject()).await?;
    codes::take(&actor, &mut tx, &row, &code, now).await?;
    store::passwords::password_update(&mut *tx, row.id, &hash, now).await?;
    let keep = match actor.credential {
        Credential::Session(id) => Some(id),
        Credential::Token(_) => None,
    };
    store::sessions::session_delete_others(&mut tx, actor.account.id, keep).await?;
    tx.record("password.update", "Changed the password, and ended the other sessions.", json!({}));
    tx.commit().await?;
    Ok(Json(shown(&identity, actor.account.id).await?))
}

/// `DELETE /account/password`: with a code, once it is confirmed. Works while passwords are disabled, too.
pub async fn password_delete(
    State(base): State<Base>,
    actor: Actor,
    Input(proof): Input<PasswordProof>,
) -> Result<Json<Password>> {
    actor.must_be_a_person().await?;
    let now = Utc::now();
    let row = store::passwords::password_by_account(base.db(), actor.account.id).await?.ok_or_else(missing)?;
    let code = match row.confirmed_at {
        Some(_) => Some(codes::of_actor(&actor, &row, &proof.code, now).await?),
        None => None,
    };
    let mut tx = actor.change(actor.subject()).await?;
    if let Some(code) = code {
        codes::take(&actor, &mut tx, &row, &code, now).await?;
    }
    remove(&mut tx, row.account_id, &actor.account.email, row.confirmed_at).await?;
    tx.commit().await?;
    Ok(Json(shown(&base, actor.account.id).await?))
}

/// `DELETE /users/{user}/password`: by an administrator, for users who have lost access to their codes.
pub async fn password_delete_of_user(
    State(base): State<Base>,
    actor: Actor,
    Path(user): Path<String>,
) -> Result<Json<serde_json::Value>> {
    actor.must_administer()?;
    let account = accounts::find(&base, &user).await?;
    if account.id == actor.account.id {
        return Err(Error::invalid("Remove your own password on your account page, with a code."));
    }
    let row = in_force(&base, account.id).await?.ok_or_else(missing)?;
    let mut tx = actor.change(subjects::account(&account)).await?;
    remove(&mut tx, account.id, &account.email, row.confirmed_at).await?;
    tx.commit().await?;
    Ok(Json(serde_json::json!({})))
}

async fn remove(tx: &mut Change, account: AccountId, email: &str, in_force_since: Option<DateTime<Utc>>) -> Result<()> {
    if !store::passwords::password_delete(&mut **tx, account).await? {
        return Err(missing());
    }
    // An unconfirmed password cannot have created a session.
    if in_force_since.is_some() {
        tx.record("password.delete", format!("Removed the password of {email}."), json!({}));
    }
    Ok(())
}
