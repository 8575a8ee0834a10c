//! The values of config vars: encrypted, a set for each release, and the current one.

use std::collections::BTreeMap;

use anyhow::Context as _;
use base::{Result, secrets::Secrets};
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::Platform;

/// Seals the config of `app`.
pub(crate) fn seal(secrets: &Secrets, app: Uuid, vars: &BTreeMap<String, String>) -> Vec<u8> {
    let text = serde_json::to_vec(vars).expect("a map of strings always serialises");
    secrets.seal(&format!("config {app}"), &text)
}

/// Opens what [`seal`] sealed.
pub(crate) fn open(secrets: &Secrets, app: Uuid, sealed: &[u8]) -> anyhow::Result<BTreeMap<String, String>> {
    let text = secrets.open(&format!("config {app}"), sealed)?;
    serde_json::from_slice(&text).context("read the config vars")
}

/// The config vars of a release of an app. `db` is the caller's transaction, if there is one.
pub async fn of_release(
    secrets: &Secrets,
    db: impl PgExecutor<'_>,
    app: Uuid,
    release: Uuid,
) -> Result<BTreeMap<String, String>> {
    let sealed = store::releases::release_config(db, release).await?;
    let sealed = sealed.context("the release is gone")?;
    Ok(open(secrets, app, &sealed)?)
}

/// Today's config vars of an app. `db` is the caller's transaction, if there is one.
pub async fn current(secrets: &Secrets, db: impl PgExecutor<'_>, app: Uuid) -> Result<BTreeMap<String, String>> {
    let sealed = store::config_vars::config_vars_info(db, app).await?;
    Ok(sealed.map(|s| open(secrets, app, &s)).transpose()?.unwrap_or_default())
}

/// Writes tomorrow's config vars of an app, in the transaction that makes their release.
pub(crate) async fn save(
    platform: &Platform,
    tx: &mut PgConnection,
    app: Uuid,
    vars: &BTreeMap<String, String>,
) -> Result<()> {
    let sealed = seal(platform.secrets(), app, vars);
    store::config_vars::config_vars_save(tx, app, &sealed, chrono::Utc::now()).await?;
    Ok(())
}
