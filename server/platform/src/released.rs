//! What a release that takes effect changes about its app: its formation, and what is shown of its code.

use api::ids::{AppId, FormationId, ReleaseId};
use base::Result;
use chrono::Utc;
use sqlx::PgConnection;

/// Updates an app to a release with this slug that has succeeded. The releases before it that have not been seen to stay
/// up never will be. Lock the app first.
pub(crate) async fn settle(tx: &mut PgConnection, app: AppId, slug: Option<&store::slugs::Row>) -> Result<()> {
    store::rollouts::rollout_supersede(&mut *tx, app, Utc::now()).await?;
    apply(tx, app, slug).await
}

/// Updates an app to a release that is the current one again, because a newer one has failed. Lock the app first.
pub(crate) async fn restore(tx: &mut PgConnection, app: AppId, release: ReleaseId) -> Result<()> {
    let slug = match store::releases::release_info(&mut *tx, release).await?.and_then(|release| release.slug_id) {
        Some(id) => store::slugs::slug_info(&mut *tx, id).await?,
        None => None,
    };
    apply(tx, app, slug.as_ref()).await
}

async fn apply(tx: &mut PgConnection, app: AppId, slug: Option<&store::slugs::Row>) -> Result<()> {
    let now = Utc::now();
    store::apps::app_released(&mut *tx, app, slug, now).await?;
    let types = slug.map(|s| s.process_types.0.clone()).unwrap_or_default();
    store::formation::formation_replace(tx, app, &types, FormationId::now_v7, now).await?;
    Ok(())
}
