//! Uploads of slugs and sources.
//!
//! An upload has a single writer, a payer has few at once, and the size is limited by the owner's quota and the free
//! disk space: both are checked before the first byte, and again before anything is stored. The writer holds a lease, a
//! row that it renews while it writes, so that the lease of a killed server expires.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use base::{Error, Result, places::Place};
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

/// How often a writer renews its lease, and how long that is valid.
const RENEWAL: Duration = Duration::from_secs(10);
const LEASE: chrono::Duration = chrono::Duration::seconds(40);
/// After so many bytes the disk is looked at again.
const STRIDE: u64 = 32 << 20;
/// Bytes that are written at once.
const BUFFER: usize = 256 << 10;

/// The only upload to an address, until it is [closed](Self::close) or dropped.
pub(crate) struct Upload {
    platform: Platform,
    id: Uuid,
    writer: Uuid,
    renewals: JoinHandle<()>,
    is_closed: bool,
    _place: Place,
}

impl Upload {
    /// Begins one to the slug or source with this id, charged to `payer`. A conflict when there is another.
    pub async fn begin(builds: &Builds, id: Uuid, payer: Uuid) -> Result<Self> {
        let (platform, place) = (builds.platform(), builds.uploads().take_now(payer)?);
        let (writer, now) = (Uuid::now_v7(), Utc::now());
        if !store::uploads::upload_begin(platform.db(), id, writer, now - LEASE, now).await? {
            return Err(taken());
        }
        let renewals = tokio::spawn(renew(platform.clone(), id, writer));
        Ok(Self { platform: platform.clone(), id, writer, renewals, is_closed: false, _place: place })
    }

    /// In the transaction that keeps what was uploaded: a conflict when another one has taken the place meanwhile.
    pub async fn must_be_the_one(&self, tx: &mut PgConnection) -> Result<()> {
        match store::uploads::upload_end(tx, self.id, self.writer).await? {
            true => Ok(()),
            false => Err(taken()),
        }
    }

    /// Lets others upload to the address, before the answer is sent.
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
        // The client went away; it may come again at once.
        tokio::spawn(async move {
            let _ = store::uploads::upload_end(platform.db(), id, writer).await;
        });
    }
}

/// Ends the leases of an earlier server, which is dead, as [`background::take_over`] does with its jobs.
pub(crate) async fn take_over(platform: &Platform) -> sqlx::Result<()> {
    let since = Utc::now() - LEASE - chrono::Duration::seconds(1);
    store::uploads::upload_take_over(platform.db(), since).await
}

/// A file that is removed with this, if it is still there: also when the client goes away.
pub(crate) struct Temporary(pub PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn renew(platform: Platform, id: Uuid, writer: Uuid) {
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

/// Saves a body for which `owner` has enough quota, as far as its size is known, and whose request `payer` pays for. The
/// actual size counts when it is stored.
pub(crate) async fn receive(
    platform: &Platform,
    (owner, payer): (Owner, Uuid),
    body: Body,
    file: &Path,
    most: u64,
) -> Result<u64> {
    let mut tx = platform.begin_for(payer).await?;
    quotas::admit(&mut tx, owner, Quota::Uploads, announced(&body)).await?;
    drop(tx);
    save(body, file, most).await
}

/// Saves a body. Refuses one that is larger than `most` bytes, or than the disk has room for.
async fn save(body: Body, file: &Path, most: u64) -> Result<u64> {
    let too_large = || Error::invalid(format!("The upload is larger than {} MB.", most >> 20));
    let told = body.size_hint().exact().unwrap_or(0);
    if told > most {
        return Err(too_large());
    }
    must_have_room(file, told)?;
    // Chunks can be as short as a byte.
    let mut out = BufWriter::with_capacity(BUFFER, tokio::fs::File::create(file).await?);
    let (mut content, mut size) = (body.into_data_stream(), 0);
    while let Some(chunk) = content.next().await {
        let chunk = chunk.map_err(|_| Error::bad_request("The upload was interrupted. Try again."))?;
        if size / STRIDE != (size + chunk.len() as u64) / STRIDE {
            must_have_room(file, 0)?;
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

/// Refuses to write `bytes` to `file` when the disk would be full then.
fn must_have_room(file: &Path, bytes: u64) -> std::io::Result<()> {
    dyno::disks::must_have_room(file.parent().unwrap_or(file), bytes)
}
