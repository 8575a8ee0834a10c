//! Config vars: rows and queries. A set of them is encrypted and never changes; this file never sees plaintext.

use api::ids::{AppId, ConfigSetId, ReleaseId};
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

/// The fields of a new set.
#[derive(Debug)]
pub struct New<'a> {
    pub id: ConfigSetId,
    pub app: AppId,
    pub sealed: &'a [u8],
    pub now: DateTime<Utc>,
}

/// Inserts a set that nothing refers to yet.
pub async fn config_vars_create(db: impl PgExecutor<'_>, new: &New<'_>) -> sqlx::Result<()> {
    sqlx::query("insert into configs (id, app_id, sealed, created_at) values ($1, $2, $3, $4)")
        .bind(new.id)
        .bind(new.app)
        .bind(new.sealed)
        .bind(new.now)
        .execute(db)
        .await?;
    Ok(())
}

/// Makes a set of an app its current one.
pub async fn config_vars_choose(db: impl PgExecutor<'_>, app: AppId, set: ConfigSetId) -> sqlx::Result<()> {
    sqlx::query("update apps set config_id = $2 where id = $1").bind(app).bind(set).execute(db).await?;
    Ok(())
}

/// The id of the current set of an app; `None` before its first release.
pub async fn config_vars_current(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<Option<ConfigSetId>> {
    sqlx::query_scalar("select config_id from apps where id = $1")
        .bind(app)
        .fetch_optional(db)
        .await
        .map(Option::flatten)
}

/// The encrypted set with this id.
pub async fn config_vars_info(db: impl PgExecutor<'_>, set: ConfigSetId) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar("select sealed from configs where id = $1").bind(set).fetch_optional(db).await
}

/// The encrypted current set of an app.
pub async fn config_vars_of_app(db: impl PgExecutor<'_>, app: AppId) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar("select c.sealed from apps a join configs c on c.id = a.config_id where a.id = $1")
        .bind(app)
        .fetch_optional(db)
        .await
}

/// The encrypted set of a release.
pub async fn config_vars_of_release(db: impl PgExecutor<'_>, release: ReleaseId) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar("select c.sealed from releases r join configs c on c.id = r.config_id where r.id = $1")
        .bind(release)
        .fetch_optional(db)
        .await
}
