//! Archives and the slugs that refer to them.
//!
//! An archive is stored by its checksum, so that several slugs can refer to it, and removed when none does. Since a new
//! slug can refer to an existing archive without storing it again, storing and removing both lock the checksum.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use api::ids::AppId;
use sqlx::PgConnection;

use crate::Platform;

/// A slug may be about to refer to a more recent archive.
const AGE: Duration = Duration::from_secs(3600);
/// The number of archives per query.
const BATCH: usize = 1000;

/// Stores the archive in `file`, in the transaction that writes the slug that refers to it.
pub async fn keep(platform: &Platform, tx: &mut PgConnection, checksum: &str, file: &Path) -> anyhow::Result<()> {
    store::slugs::slug_archive_hold(tx, checksum).await.context("lock an archive")?;
    platform.slug_files().put(checksum, file).await
}

/// Removes an archive that was stored for a slug which was then rejected, unless another slug refers to it.
pub async fn discard(platform: &Platform, checksum: &str) {
    if let Err(err) = remove(platform, checksum, None).await {
        // It is removed later, with other archives without a slug.
        tracing::warn!("could not remove the archive of a rejected slug: {err:#}");
    }
}

/// Removes the archives that belong only to an app that is being destroyed.
pub(crate) async fn remove_of_app(platform: &Platform, app: AppId) -> anyhow::Result<()> {
    for checksum in store::slugs::slug_checksums_of_app_alone(platform.db(), app).await? {
        remove(platform, &checksum, Some(app)).await?;
    }
    Ok(())
}

/// Removes archives that no slug refers to, and incomplete ones. Returns a line for each.
pub(crate) async fn sweep(platform: &Platform) -> anyhow::Result<Vec<String>> {
    let mut done = Vec::new();
    for part in platform.slug_files().remove_parts(AGE).await? {
        done.push(format!("removed the incomplete {}", part.display()));
    }
    for some in platform.slug_files().older_than(AGE).await?.chunks(BATCH) {
        for checksum in store::slugs::slug_checksums_unnamed(platform.db(), some).await? {
            if remove(platform, &checksum, None).await? {
                done.push(format!("removed the unused archive {checksum}"));
            }
        }
    }
    Ok(done)
}

/// Removes an archive unless a slug refers to it, except slugs of `except`. An archive whose lock is taken is kept
/// until the next time.
async fn remove(platform: &Platform, checksum: &str, except: Option<AppId>) -> anyhow::Result<bool> {
    let mut tx = platform.db().begin().await?;
    if !store::slugs::slug_archive_take(&mut *tx, checksum).await?
        || store::slugs::slug_checksum_is_named(&mut *tx, checksum, except).await?
    {
        return Ok(false);
    }
    platform.slug_files().delete(checksum).await?;
    tx.commit().await?;
    Ok(true)
}
