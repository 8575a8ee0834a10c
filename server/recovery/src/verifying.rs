//! Verifying a backup: it is read again as for a restore, and its database is restored into a temporary one.

use std::{
    collections::BTreeMap,
    io::{Seek as _, SeekFrom},
};

use anyhow::{Context as _, anyhow, bail};
use base::{events::verify::verify_copy, secrets::Secrets};
use sqlx::PgPool;
use tokio::io::AsyncWrite;

use crate::{
    blobs::{Blob, Blobs, Damaged},
    manifest::Manifest,
    plan::Plan,
    postgres::{self, Scratch},
};

/// The folder of the temporary database, in the data directory and in the run directory.
const SCRATCH: &str = "postgres.check";

/// Verifies the backup called `name`: every blob is read, and the restored database has all rows and an intact audit
/// log.
///
/// # Errors
/// What is missing or damaged.
pub async fn verify(plan: &Plan, blobs: &Blobs, name: &str) -> anyhow::Result<()> {
    let secrets = plan.base.secrets();
    let manifest = Manifest::read(&plan.target, secrets, name).await?;
    let all = manifest.entries.len().max(1) as f64;
    for (n, entry) in manifest.entries.iter().enumerate() {
        (plan.progress)(0.65 + 0.2 * n as f64 / all, "reading the backup again");
        let read = read(blobs, &entry.blob, &mut tokio::io::sink()).await;
        read.with_context(|| format!("read {}", entry.path))?;
    }
    (plan.progress)(0.85, "restoring the database into a temporary one");
    let dump = tempfile::tempfile_in(plan.temporary()).context("create a temporary file")?;
    let mut into = tokio::fs::File::from_std(dump.try_clone().context("create a temporary file")?);
    read(blobs, &manifest.database, &mut into).await.context("read the dump")?;
    (&dump).seek(SeekFrom::Start(0)).context("read the dump")?;
    let data = &plan.base.settings().data;
    let scratch = Scratch::start(&data.join(SCRATCH), &plan.run.join(SCRATCH)).await?;
    let outcome = restored(&scratch, dump, &manifest, secrets).await;
    scratch.stop().await?;
    outcome
}

/// Reads a blob. A damaged one is deleted, so that the next backup stores it again.
async fn read(blobs: &Blobs, blob: &Blob, out: &mut (impl AsyncWrite + Unpin)) -> anyhow::Result<()> {
    let read = blobs.read(blob, out).await;
    if read.as_ref().is_err_and(|err| err.downcast_ref::<Damaged>().is_some()) {
        blobs.delete(&blob.name).await?;
    }
    read
}

async fn restored(
    scratch: &Scratch,
    dump: std::fs::File,
    manifest: &Manifest,
    secrets: &Secrets,
) -> anyhow::Result<()> {
    postgres::restore(&scratch.url(), dump).await?;
    let copy = scratch.connect().await?;
    let outcome = check(&copy, manifest, secrets).await;
    copy.close().await;
    outcome
}

/// Checks that a restored database has what the manifest says.
///
/// # Errors
/// What is missing.
pub async fn check(copy: &PgPool, manifest: &Manifest, secrets: &Secrets) -> anyhow::Result<()> {
    let mut db = copy.acquire().await.context("connect to the restored database")?;
    let found = store::backups::backup_row_counts(&mut db).await.context("count the rows")?;
    drop(db);
    let found: BTreeMap<String, i64> = found.into_iter().collect();
    if manifest.rows != found {
        let differs = manifest.rows.iter().find(|(table, rows)| found.get(*table) != Some(*rows));
        let table = differs.map_or("another table", |(table, _)| table.as_str());
        bail!(Damaged(format!("The restored database is incomplete: the number of rows of {table} differs.")));
    }
    let verdict = verify_copy(copy, secrets).await.map_err(|err| anyhow!("verify the restored audit log: {err}"))?;
    match verdict.broken_at {
        None => Ok(()),
        Some(_) => bail!(Damaged(format!("The restored audit log is not intact. {}", verdict.message))),
    }
}
