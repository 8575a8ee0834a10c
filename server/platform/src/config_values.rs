//! The values of config vars: encrypted, immutable sets. An app refers to its current set, and each release to the one
//! that it was created with.

use anyhow::Context as _;
use api::ids::{AppId, ConfigSetId, ReleaseId};
use base::{Result, secrets::Secrets};
use chrono::Utc;
use sqlx::{PgConnection, PgExecutor};
use store::config_vars;

use crate::config_layers::{Layers, Vars};

/// The config vars of a new release.
#[derive(Clone, Copy, Debug)]
pub enum Config<'a> {
    /// The current set of its app: the release does not change config vars.
    Keep,
    /// A new set, which becomes the current one of the app.
    Replace(&'a Layers),
    /// The app's own vars from this set, which is that of an earlier release, with the current vars of add-ons and the
    /// pipeline. The result becomes the current set of the app.
    Restore(ConfigSetId),
}

fn seal(secrets: &Secrets, app: AppId, layers: &Layers) -> Vec<u8> {
    secrets.seal(&purpose(app), &layers.to_json())
}

fn open(secrets: &Secrets, app: AppId, sealed: &[u8]) -> anyhow::Result<Layers> {
    let text = secrets.open(&purpose(app), sealed)?;
    Layers::from_json(&text).context("read the config vars")
}

fn purpose(app: AppId) -> String {
    format!("config {app}")
}

/// The environment of a release of an app. `db` is the caller's transaction, if there is one.
pub async fn of_release(secrets: &Secrets, db: impl PgExecutor<'_>, app: AppId, release: ReleaseId) -> Result<Vars> {
    let sealed = config_vars::config_vars_of_release(db, release).await?.context("the release is gone")?;
    Ok(open(secrets, app, &sealed)?.effective())
}

/// The current environment of an app. `db` is the caller's transaction, if there is one.
pub async fn current(secrets: &Secrets, db: impl PgExecutor<'_>, app: AppId) -> Result<Vars> {
    Ok(layers(secrets, db, app).await?.effective())
}

/// The current config vars of an app by source. `db` is the caller's transaction, if there is one. Lock the app before
/// reading values in order to change them.
pub(crate) async fn layers(secrets: &Secrets, db: impl PgExecutor<'_>, app: AppId) -> Result<Layers> {
    let sealed = config_vars::config_vars_of_app(db, app).await?;
    Ok(sealed.map(|s| open(secrets, app, &s)).transpose()?.unwrap_or_default())
}

/// The current config vars of an app, and those of an earlier set.
pub(crate) async fn both(
    secrets: &Secrets,
    db: &mut PgConnection,
    app: AppId,
    set: ConfigSetId,
) -> Result<(Layers, Layers)> {
    let now = layers(secrets, &mut *db, app).await?;
    let sealed = config_vars::config_vars_info(db, set).await?.context("the config vars are gone")?;
    Ok((now, open(secrets, app, &sealed)?))
}

/// The set for a new release of an app, whose row the caller has locked. Stores it if it is new.
pub(crate) async fn settle(
    secrets: &Secrets,
    tx: &mut PgConnection,
    app: AppId,
    config: Config<'_>,
) -> Result<ConfigSetId> {
    let set = match config {
        Config::Keep => {
            let current = config_vars::config_vars_current(tx, app).await?;
            return Ok(current.context("the app does not have config vars yet")?);
        }
        Config::Replace(layers) => create(secrets, tx, app, layers).await?,
        Config::Restore(set) => {
            let (now, earlier) = both(secrets, tx, app, set).await?;
            let restored = now.with_own_of(&earlier);
            if restored == earlier { set } else { create(secrets, tx, app, &restored).await? }
        }
    };
    config_vars::config_vars_choose(tx, app, set).await?;
    Ok(set)
}

async fn create(secrets: &Secrets, tx: &mut PgConnection, app: AppId, layers: &Layers) -> Result<ConfigSetId> {
    let (id, sealed) = (ConfigSetId::now_v7(), seal(secrets, app, layers));
    let new = config_vars::New { id, app, sealed: &sealed, now: Utc::now() };
    config_vars::config_vars_create(tx, &new).await?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_the_first_version_open_for_their_app_only() {
        let dir = tempfile::tempdir().unwrap();
        let (secrets, app) = (Secrets::load(&dir.path().join("key"), None).unwrap(), AppId::now_v7());
        // It encrypted the map directly, with the same purpose.
        let sealed = secrets.seal(&format!("config {app}"), br#"{"A":"1","B":"2"}"#);
        let vars = Vars::from([("A".into(), "1".into()), ("B".into(), "2".into())]);
        assert_eq!(open(&secrets, app, &sealed).unwrap().effective(), vars);
        assert!(open(&secrets, AppId::now_v7(), &sealed).is_err());
    }
}
