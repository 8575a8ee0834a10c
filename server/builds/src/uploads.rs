//! Uploads of slugs and sources.
//!
//! An upload has a single writer, each payer can have few at once, and the size is limited by the owner's quota and the
//! free disk space: both are checked before the first byte, and again before anything is stored. The writer holds a
//! lease, a row that it renews while it writes, so that the lease of a killed server expires.

use std::path::{Path, PathBuf};
use std::time::Duration;

use api::ids::{AccountId, UploadId};
use axum::body::{Body, HttpBody as _};
use base::{Error, Result, slots::Slot};
use chrono::Utc;
use futures::StreamExt as _;
use identity::quotas::{self, Quota};
use platform::Platform;
use sqlx::PgConnection;
use store::quotas::Owner;
use tokio::{
    io::{AsyncWriteExt as _, BufWriter},
    task::JoinHandle,
};
use uuid::Uuid;

use crate::Builds;

/// How often a writer renews its lease, and how long it is valid.
const RENEWAL: Duration = Duration::from_secs(10);
const LEASE: chrono::Duration = chrono::Duration::seconds(40);
/// The free disk space is checked again after this many bytes.
const STRIDE: u64 = 32 << 20;
/// Bytes that are written at once.
const BUFFER: usize = 256 << 10;

/// The only upload to a URL, until it is [closed](Self::close) or dropped.
pub(crate) struct Upload {
    platform: Platform,
    id: Uuid,
    writer: UploadId,
    renewals: JoinHandle<()>,
    is_closed: bool,
    _slot: Slot,
}

impl Upload {
    /// Begins an upload to the slug or source with this id, charged to `payer`. A conflict if there is another.
    pub async fn begin(builds: &Builds, id: Uuid, payer: AccountId) -> Result<Self> {
        let (platform, slot) = (builds.platform(), builds.uploads().try_take(payer)?);
        let (writer, now) = (UploadId::now_v7(), Utc::now());
        let by = (platform.server_id(), writer);
        if !store::uploads::upload_begin(platform.db(), id, by, now - LEASE, now).await? {
            return Err(taken());
        }
        let renewals = tokio::spawn(renew(platform.clone(), id, writer));
        Ok(Self { platform: platform.clone(), id, writer, renewals, is_closed: false, _slot: slot })
    }

    /// In the transaction that stores the upload: a conflict if another one has replaced it meanwhile.
    pub async fn must_be_the_one(&self, tx: &mut PgConnection) -> Result<()> {
        match store::uploads::upload_end(tx, self.id, self.writer).await? {
            true => Ok(()),
            false => Err(taken()),
        }
    }

    /// Allows other uploads to the URL, before the response is sent.
    pub async fn close(mut self) {
        self.is_closed = true;
        if let Err(err) = store::uploads::upload_end(self.platform.db(), self.id, self.writer).await {
            tracing::warn!(upload.id = %self.id, "could not end an upload, which will expire soon: {err}");
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.renewals.abort();
        if self.is_closed {
            return;
        }
        let (platform, id, writer) = (self.platform.clone(), self.id, self.writer);
        // The client has disconnected, and may retry immediately.
        tokio::spawn(async move {
            let _ = store::uploads::upload_end(platform.db(), id, writer).await;
        });
    }
}

/// Ends the leases of the previous, dead process of this server, as [`background::take_over`] does for its jobs.
pub(crate) async fn take_over(platform: &Platform) -> sqlx::Result<()> {
    let since = Utc::now() - LEASE - chrono::Duration::seconds(1);
    store::uploads::upload_take_over(platform.db(), platform.server_id(), since).await
}

/// A file that is removed when this is dropped, if it still exists: also if the client disconnects.
pub(crate) struct Temporary(pub PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn renew(platform: Platform, id: Uuid, writer: UploadId) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        if let Err(err) = store::uploads::upload_renew(platform.db(), id, writer, Utc::now()).await {
            tracing::warn!(upload.id = %id, "could not renew an upload: {err}");
        }
    }
}

fn taken() -> Error {
    Error::conflict("Another upload to this URL is in progress. Wait until it has finished, or request another URL.")
}

/// The declared size of a body; 1 without one.
fn announced(body: &Body) -> i64 {
    body.size_hint().exact().and_then(|size| i64::try_from(size).ok()).unwrap_or(1)
}

/// Saves a body that fits into the quota of `owner`, as far as its size is known, charged to `payer`. The actual size
/// is counted when it is stored.
pub(crate) async fn receive(
    platform: &Platform,
    (owner, payer): (Owner, AccountId),
    body: Body,
    file: &Path,
    most: u64,
) -> Result<u64> {
    let mut tx = platform.begin_for(payer).await?;
    quotas::admit(&mut tx, owner, Quota::Uploads, announced(&body)).await?;
    drop(tx);
    save(body, file, most).await
}

/// Saves a body. Rejects one that is larger than `most` bytes, or than the free disk space.
async fn save(body: Body, file: &Path, most: u64) -> Result<u64> {
    let too_large = || Error::invalid(format!("The upload is larger than {} MB.", most >> 20));
    let told = body.size_hint().exact().unwrap_or(0);
    if told > most {
        return Err(too_large());
    }
    must_have_space(file, told)?;
    // Chunks can be as short as a byte.
    let mut out = BufWriter::with_capacity(BUFFER, tokio::fs::File::create(file).await?);
    let (mut content, mut size) = (body.into_data_stream(), 0);
    while let Some(chunk) = content.next().await {
        let chunk = chunk.map_err(|_| Error::bad_request("The upload was interrupted. Try again."))?;
        if size / STRIDE != (size + chunk.len() as u64) / STRIDE {
            must_have_space(file, 0)?;
        }
        size += chunk.len() as u64;
        if size > most {
            return Err(too_large());
        }
        out.write_all(&chunk).await?;
    }
    out.flush().await?;
    Ok(size)
}

/// Rejects writing `bytes` to `file` if that would fill the disk.
fn must_have_space(file: &Path, bytes: u64) -> std::io::Result<()> {
    dyno::disks::must_have_space(file.parent().unwrap_or(file), bytes)
}
