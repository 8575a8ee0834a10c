//! URLs with secrets that are not encrypted yet: rows and queries.

use api::ids::{AppId, BuildId};
use sqlx::PgExecutor;

/// Unmasked credentials or queries, or a pre-signed URL of our own.
const OPEN: &str = r"://(?!\*\*\*@)[^/\\?#\s]*@|\?(?!\*\*\*)|/blobs/sources/(?!\*\*\*)";

/// The URLs of an app, or of a build.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Row<Id> {
    pub id: Id,
    pub app_id: AppId,
    pub buildpacks: Vec<String>,
    /// Only of a build.
    pub source_url: Option<String>,
}

/// The stored replacement.
#[derive(Clone, Debug, Default)]
pub struct Sealed {
    pub buildpacks: Vec<String>,
    pub buildpacks_sealed: Option<Vec<u8>>,
    pub source_url: Option<String>,
    pub source_sealed: Option<Vec<u8>>,
}

/// Apps after `after` whose URLs may need to be encrypted, ordered by id.
pub async fn address_open_of_apps(db: impl PgExecutor<'_>, after: AppId, most: i64) -> sqlx::Result<Vec<Row<AppId>>> {
    sqlx::query_as(
        "select id, id as app_id, buildpacks, null::text as source_url from apps
         where id > $1 and array_to_string(buildpacks, E'\\n') ~ $3 order by id limit $2",
    )
    .bind(after)
    .bind(most)
    .bind(OPEN)
    .fetch_all(db)
    .await
}

/// Builds after `after` whose URLs may need to be encrypted, or have a fragment, ordered by id.
pub async fn address_open_of_builds(
    db: impl PgExecutor<'_>,
    after: BuildId,
    most: i64,
) -> sqlx::Result<Vec<Row<BuildId>>> {
    sqlx::query_as(
        "select id, app_id, buildpacks, source_url from builds
         where id > $1 and (array_to_string(buildpacks, E'\\n') ~ $3 or source_url ~ $3
                            or (source_sealed is null and source_url like '%#%'))
         order by id limit $2",
    )
    .bind(after)
    .bind(most)
    .bind(OPEN)
    .fetch_all(db)
    .await
}

/// Replaces an app's URLs, unless they were changed concurrently.
pub async fn address_seal_of_app(db: impl PgExecutor<'_>, was: &Row<AppId>, now: &Sealed) -> sqlx::Result<bool> {
    let done = sqlx::query("update apps set buildpacks = $3, buildpacks_sealed = $4 where id = $1 and buildpacks = $2")
        .bind(was.id)
        .bind(&was.buildpacks)
        .bind(&now.buildpacks)
        .bind(&now.buildpacks_sealed)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Replaces a build's URLs.
pub async fn address_seal_of_build(db: impl PgExecutor<'_>, was: &Row<BuildId>, now: &Sealed) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "update builds set buildpacks = $4, buildpacks_sealed = $5, source_url = $6, source_sealed = $7
         where id = $1 and buildpacks = $2 and source_url is not distinct from $3",
    )
    .bind(was.id)
    .bind(&was.buildpacks)
    .bind(&was.source_url)
    .bind(&now.buildpacks)
    .bind(&now.buildpacks_sealed)
    .bind(&now.source_url)
    .bind(&now.source_sealed)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}
