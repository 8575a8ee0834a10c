//! Whether anybody is let in by a password: off, until an administrator turns it on.

use axum::{Json, extract::State};
use chrono::Utc;

use crate::{
    Platform,
    actor::Actor,
    error::{Error, Result},
    events,
    web::Input,
};
use api::passwords::{PasswordPolicy, PasswordPolicyUpdate};

async fn shown(platform: &Platform) -> Result<PasswordPolicy> {
    let (enabled, accounts) = store::passwords::password_policy_info(platform.db()).await?;
    Ok(PasswordPolicy { enabled, accounts })
}

/// Whether passwords are taken.
pub(crate) async fn is_on(platform: &Platform) -> Result<bool> {
    Ok(shown(platform).await?.enabled)
}

/// An error where passwords are off.
pub(super) async fn must_be_on(platform: &Platform) -> Result<()> {
    match is_on(platform).await? {
        true => Ok(()),
        false => Err(Error::invalid("Password sign-in is off on this platform. An administrator can turn it on.")),
    }
}

/// `GET /password-policy`
pub async fn password_policy_info(State(platform): State<Platform>, actor: Actor) -> Result<Json<PasswordPolicy>> {
    actor.must_administer()?;
    Ok(Json(shown(&platform).await?))
}

/// `PATCH /password-policy`: passwords stay stored while they are off, and let nobody in.
pub async fn password_policy_update(
    State(platform): State<Platform>,
    actor: Actor,
    Input(update): Input<PasswordPolicyUpdate>,
) -> Result<Json<PasswordPolicy>> {
    actor.must_administer()?;
    let enabled = update.enabled.ok_or_else(|| Error::invalid("enabled is required: true or false."))?;
    let mut tx = platform.change().await?;
    store::passwords::password_policy_update(&mut *tx, enabled, Utc::now()).await?;
    let summary = format!("Turned password sign-in {}.", if enabled { "on" } else { "off" });
    let data = serde_json::json!({ "enabled": enabled });
    let event = events::New { action: "password_policy.update", subject: "passwords", app: None, summary, data };
    actor.event(&mut tx, event).await?;
    tx.commit().await?;
    Ok(Json(shown(&platform).await?))
}
