//! The setting for password sign-in: disabled until an administrator enables it.

use axum::{Json, extract::State};
use base::{Base, Error, Result, web::Input};
use chrono::Utc;

use crate::{actor::Actor, subjects};
use api::passwords::{PasswordPolicy, PasswordPolicyUpdate};

async fn shown(base: &Base) -> Result<PasswordPolicy> {
    let (enabled, accounts) = store::passwords::password_policy_info(base.db()).await?;
    Ok(PasswordPolicy { enabled, accounts })
}

/// Whether passwords are enabled.
pub(crate) async fn is_on(base: &Base) -> Result<bool> {
    Ok(shown(base).await?.enabled)
}

/// Fails if passwords are disabled.
pub(super) async fn must_be_on(base: &Base) -> Result<()> {
    match is_on(base).await? {
        true => Ok(()),
        false => Err(Error::invalid("Password sign-in is off on this platform. An administrator can turn it on.")),
    }
}

/// `GET /password-policy`
pub async fn password_policy_info(State(base): State<Base>, actor: Actor) -> Result<Json<PasswordPolicy>> {
    actor.must_administer()?;
    Ok(Json(shown(&base).await?))
}

/// `PATCH /password-policy`: passwords stay stored while they are disabled.
pub async fn password_policy_update(
    State(base): State<Base>,
    actor: Actor,
    Input(update): Input<PasswordPolicyUpdate>,
) -> Result<Json<PasswordPolicy>> {
    actor.must_administer()?;
    let enabled = update.enabled.ok_or_else(|| Error::invalid("enabled is required: true or false."))?;
    let mut tx = actor.change(subjects::setting("passwords")).await?;
    store::passwords::password_policy_update(&mut *tx, enabled, Utc::now()).await?;
    let summary = format!("Turned password sign-in {}.", if enabled { "on" } else { "off" });
    tx.record("password_policy.update", summary, serde_json::json!({ "enabled": enabled }));
    tx.commit().await?;
    Ok(Json(shown(&base).await?))
}
