//! Archives and the slugs that refer to them.
//!
//! An archive is stored by its checksum, so that several slugs can refer to it. It is removed when none does. Since
//! another slug may be about to refer to it, without storing it again, both take a lock on the checksum.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Platform;

/// Younger archives may be about to be referred to.
const AGE: Duration = Duration::from_secs(3600);
/// Archives that are asked about at once.
const BATCH: usize = 1000;

/// Keeps the archive in `file`, in the transaction that writes the slug that names it.
pub async fn keep(platform: &Platform, tx: &mut PgConnection, checksum: &str, file: &Path) -> anyhow::Result<()> {
    store::slugs::slug_archive_hold(tx, checksum).await.context("hold an archive")?;
    platform.slug_files().put(checksum, file).await
}

/// Removes an archive that was stored for a slug which does not name it after all, unless another one does.
pub async fn discard(platform: &Platform, checksum: &str) {
    if let Err(err) = remove(platform, checksum, None).await {
        // It is removed later, with others that nobody names.
        tracing::warn!("could not remove an archive that was refused: {err:#}");
    }
}

/// Removes the archives that only an app has which is being destroyed.
pub(crate) async fn remove_of_app(platform: &Platform, app: Uuid) -> anyhow::Result<()> {
    for checksum in store::slugs::slug_checksums_of_app_alone(platform.db(), app).await? {
        remove(platform, &checksum, Some(app)).await?;
    }
    Ok(())
}

/// Removes the archives that no slug names, and parts of such. Says which.
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

/// Removes an archive unless a slug names it, of another app than `except`. One that somebody keeps at this moment
/// stays, too: what becomes of it is seen the next time.
async fn remove(platform: &Platform, checksum: &str, except: Option<Uuid>) -> anyhow::Result<bool> {
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
