//! Sources: uploaded archives for builds.

use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use api::ids::{AccountId, SourceId};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base::{Base, Error, Result, web::Created};
use chrono::Utc;
use futures::StreamExt as _;
use identity::{
    Actor, Can, payers,
    quotas::{self, Quota},
    row_limits, signed_urls,
    watch::Watch,
};
use platform::Platform;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use crate::{
    Builds, addresses,
    uploads::{self, Temporary, Upload},
};

/// Heroku takes a checkout of 1 GB (devcenter "limits").
const MOST_BYTES: u64 = 1 << 30;
/// How long an upload is stored.
const LIFE: chrono::Duration = chrono::Duration::days(1);
/// How long a slug with an archive is kept without a release.
const UNRELEASED: chrono::Duration = chrono::Duration::days(30);
/// Files without a row are kept while they are younger than this.
const AGE: Duration = Duration::from_secs(3600);

/// The file with an uploaded archive.
pub(crate) fn file(platform: &Platform, id: SourceId) -> PathBuf {
    platform.config().data.join("sources").join(id.to_string())
}

/// The id in one of the platform's own URLs, whatever its host.
pub(crate) fn own(base: &Base, url: &str) -> Option<SourceId> {
    let secret = url.split_once("/blobs/sources/")?.1;
    if let Some((_, id)) = base.secrets().signed_for("source get", secret) {
        return Some(SourceId(id));
    }
    // URLs with an older form of signature, which waiting builds may have. They no longer grant access.
    let of_account = |(account, rest): (&str, &str)| {
        let account: AccountId = account.parse().ok()?;
        base.secrets().signed(&format!("source get for {account}"), rest)
    };
    let id = secret.split_once('-').and_then(of_account).or_else(|| base.secrets().signed("source get", secret));
    id.map(SourceId)
}

/// A source's URL as shown to users who can deploy: a new pre-signed URL for the reader's own upload, none for uploads
/// of others, and a masked one for other hosts.
pub(crate) fn shown(url: &str, actor: &Actor) -> Option<String> {
    if own(&actor.base, url).is_none() {
        return Some(builder::masked(addresses::without_fragment(url)));
    }
    let (host, secret) = url.split_once("/blobs/sources/")?;
    let (uploader, id) = actor.base.secrets().signed_for("source get", secret)?;
    // Signed again: the token that it was uploaded with may have been revoked.
    let secret = actor.base.secrets().sign_for("source get", actor.bearer(), id);
    (uploader.account == actor.account.id).then(|| format!("{host}/blobs/sources/{secret}"))
}

/// Rejects one of the platform's own URLs that has expired.
pub(crate) async fn must_open(platform: &Platform, url: &str) -> Result<()> {
    let secret = url.split_once("/blobs/sources/").map_or("", |(_, secret)| secret);
    opened(platform, "source get", secret).await.map(drop).map_err(|_| {
        Error::invalid("source_blob.url expired with the token that requested it. POST /sources creates another.")
    })
}

/// The account that the URL was signed for, and its upload, unless it has expired.
async fn opened(platform: &Platform, purpose: &str, secret: &str) -> Result<(AccountId, SourceId, Watch)> {
    let (bearer, id) = platform.secrets().signed_for(purpose, secret).ok_or_else(missing)?;
    Ok((bearer.account, SourceId(id), Watch::of_bearer(platform, bearer).await?.ok_or_else(missing)?))
}

/// Like [`opened`], for a request to the URL itself.
async fn entered(platform: &Platform, purpose: &str, secret: &str) -> Result<(AccountId, SourceId, Watch)> {
    let (bearer, _) = platform.secrets().signed_for(purpose, secret).ok_or_else(missing)?;
    let _reading = signed_urls::begin(platform, bearer.account).await?;
    opened(platform, purpose, secret).await
}

/// `POST /sources`
pub async fn source_create(State(platform): State<Platform>, actor: Actor) -> Result<Created<api::sources::Source>> {
    let id = SourceId::now_v7();
    let mut tx = actor.change(actor.subject()).await?;
    quotas::admit(&mut tx, quotas::owner(Some(actor.account.id), None), Quota::Uploads, 1).await?;
    row_limits::admit(&mut tx, &row_limits::SOURCES, actor.account.id).await?;
    store::sources::source_create(&mut *tx, id, actor.account.id, Utc::now()).await?;
    tx.record("source.create", "Created an upload URL for source code.", serde_json::json!({ "source": id }));
    tx.commit().await?;
    let url = |method: &str| {
        let secret = platform.secrets().sign_for(&format!("source {method}"), actor.bearer(), id);
        format!("{}/blobs/sources/{secret}", actor.origin)
    };
    let source_blob = api::sources::SourceUrls { get_url: url("get"), put_url: url("put") };
    Ok(Created(api::sources::Source { source_blob }))
}

/// `POST /apps/{app}/sources`
pub async fn source_create_for_app(
    state: State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
) -> Result<Created<api::sources::Source>> {
    actor.app(&app, Can::Deploy).await?;
    source_create(state, actor).await
}

fn missing() -> Error {
    Error::not_found("source", "Couldn't find that source.")
}

/// `PUT /blobs/sources/{secret}`
pub async fn source_upload(State(builds): State<Builds>, Path(secret): Path<String>, body: Body) -> Result<StatusCode> {
    let (account, id, watch) = entered(&builds, "source put", &secret).await?;
    let payer = payers::of_account(&builds, account).await?;
    let upload = Upload::begin(&builds, id.into(), payer).await?;
    let temporary = Temporary(file(&builds, id).with_extension(Uuid::now_v7().to_string()));
    let owner = quotas::owner(Some(account), None);
    let received = tokio::select! {
        biased;
        () = watch.lost() => Err(missing()),
        received = uploads::receive(&builds, (owner, payer), body, &temporary.0, MOST_BYTES) => received,
    };
    let outcome = match received {
        Ok(size) => keep(&upload, &builds, payer, (id, size), &temporary.0).await,
        Err(err) => Err(err),
    };
    drop(temporary);
    upload.close().await;
    outcome.map(|()| StatusCode::OK)
}

/// Moves an upload into place, unless it exceeds a limit.
async fn keep(
    upload: &Upload,
    platform: &Platform,
    payer: AccountId,
    (id, size): (SourceId, u64),
    temporary: &FilePath,
) -> Result<()> {
    let kept = file(platform, id);
    let mut tx = platform.begin_for(payer).await?;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let account = store::sources::source_uploaded(&mut *tx, id, size).await?.ok_or_else(missing)?;
    upload.must_be_the_one(&mut tx).await?;
    quotas::admit(&mut tx, quotas::owner(Some(account), None), Quota::Uploads, 0).await?;
    tokio::fs::rename(temporary, kept).await?;
    Ok(tx.commit().await?)
}

/// Removes expired uploads, and files without a row. Returns a line for each.
pub(crate) async fn sweep(platform: &Platform) -> anyhow::Result<Vec<String>> {
    let mut done = Vec::new();
    for id in store::sources::source_sweep(platform.db(), Utc::now() - LIFE).await? {
        let _ = tokio::fs::remove_file(file(platform, id)).await;
        done.push(format!("removed the upload {id}"));
    }
    let folder = platform.config().data.join("sources");
    let old = tokio::task::spawn_blocking(move || older_than(&folder, AGE)).await??;
    // A row is created before its upload begins.
    for id in store::sources::source_ids_unknown(platform.db(), &old).await? {
        tokio::fs::remove_file(file(platform, id)).await?;
        done.push(format!("removed the unused upload {id}"));
    }
    let now = Utc::now();
    let slugs = store::slugs::slug_sweep(platform.db(), now - LIFE, now - UNRELEASED).await?;
    if slugs > 0 {
        done.push(format!("removed {slugs} slugs that were never uploaded or never released"));
    }
    store::uploads::upload_sweep(platform.db(), now - LIFE).await?;
    Ok(done)
}

fn older_than(folder: &FilePath, age: Duration) -> std::io::Result<Vec<SourceId>> {
    let mut old = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let changed = entry.metadata().and_then(|meta| meta.modified());
        let is_old = changed.ok().and_then(|at| at.elapsed().ok()).is_some_and(|elapsed| elapsed >= age);
        old.extend(entry.file_name().to_str().and_then(|name| name.parse().ok()).filter(|_: &SourceId| is_old));
    }
    Ok(old)
}

/// `GET /blobs/sources/{secret}`
pub async fn source_download(State(platform): State<Platform>, Path(secret): Path<String>) -> Result<Response> {
    let (account, id, watch) = entered(&platform, "source get", &secret).await?;
    let slot = platform.stream_slot(account).await?;
    let file = tokio::fs::File::open(file(&platform, id)).await.map_err(|_| missing())?;
    // With its length, so that the client notices an incomplete download.
    let length = file.metadata().await?.len().to_string();
    let headers = [(header::CONTENT_TYPE, "application/octet-stream".to_owned()), (header::CONTENT_LENGTH, length)];
    let content = ReaderStream::new(file).take_until(watch.lost().holding(slot));
    Ok((headers, Body::from_stream(content)).into_response())
}
