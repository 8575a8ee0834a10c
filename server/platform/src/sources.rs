//! Sources: a place to upload an archive to, and to build it from.

use std::path::PathBuf;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::Utc;
use futures::StreamExt as _;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use crate::{
    Platform,
    actor::Actor,
    error::{Error, Result},
    events,
    quotas::{self, Quota},
    rights::Can,
    slugs,
    watch::Watch,
    web::Created,
};

/// Heroku takes a checkout of 1 GB (devcenter "limits").
const MOST_BYTES: u64 = 1 << 30;

/// The file with an uploaded archive.
pub(crate) fn file(platform: &Platform, id: Uuid) -> PathBuf {
    platform.config().data.join("sources").join(id.to_string())
}

/// The id of one of our own addresses, whatever host it names.
pub(crate) fn own(platform: &Platform, url: &str) -> Option<Uuid> {
    let secret = url.split_once("/blobs/sources/")?.1;
    if let Some((_, id)) = platform.secrets().signed_for("source get", secret) {
        return Some(id);
    }
    // As they were signed once; builds that wait may have one. They open nothing any more.
    let of_account = |(account, rest): (&str, &str)| {
        let account: Uuid = account.parse().ok()?;
        platform.secrets().signed(&format!("source get for {account}"), rest)
    };
    secret.split_once('-').and_then(of_account).or_else(|| platform.secrets().signed("source get", secret))
}

/// A source's address as it is shown to who may deploy: one's own upload as it opens, nobody else's, and of other
/// hosts no secrets.
pub(crate) fn shown(url: &str, actor: &Actor) -> Option<String> {
    if own(&actor.platform, url).is_none() {
        return Some(builder::masked(url));
    }
    let (host, secret) = url.split_once("/blobs/sources/")?;
    let (uploader, id) = actor.platform.secrets().signed_for("source get", secret)?;
    // Signed anew: the token that it was uploaded with may be gone.
    let secret = actor.platform.secrets().sign_for("source get", actor.bearer(), id);
    (uploader.account == actor.account.id).then(|| format!("{host}/blobs/sources/{secret}"))
}

/// Refuses one of our own addresses that does not open any more.
pub(crate) async fn must_open(platform: &Platform, url: &str) -> Result<()> {
    let secret = url.split_once("/blobs/sources/").map_or("", |(_, secret)| secret);
    opened(platform, "source get", secret).await.map(drop).map_err(|_| {
        Error::invalid("source_blob.url has ended with the token that asked for it. POST /sources gives another.")
    })
}

/// The upload that an address opens, for as long as it does.
async fn opened(platform: &Platform, purpose: &str, secret: &str) -> Result<(Uuid, Watch)> {
    let (bearer, id) = platform.secrets().signed_for(purpose, secret).ok_or_else(missing)?;
    Ok((id, Watch::of_bearer(platform, bearer).await?.ok_or_else(missing)?))
}

/// `POST /sources`
pub async fn source_create(State(platform): State<Platform>, actor: Actor) -> Result<Created<api::sources::Source>> {
    let id = Uuid::now_v7();
    let mut tx = platform.change().await?;
    quotas::admit(&mut tx, quotas::owner(Some(actor.account.id), None), Quota::Uploads, 1).await?;
    store::sources::source_create(&mut *tx, id, actor.account.id, Utc::now()).await?;
    let (subject, summary) = (&actor.account.email, "Made a place for source code to be uploaded to.".to_owned());
    let data = serde_json::json!({ "source": id });
    actor.event(&mut tx, events::New { action: "source.create", subject, app: None, summary, data }).await?;
    tx.commit().await?;
    let url = |method: &str| {
        let secret = platform.secrets().sign_for(&format!("source {method}"), actor.bearer(), id);
        format!("{}/blobs/sources/{secret}", actor.base)
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
pub async fn source_upload(
    State(platform): State<Platform>,
    Path(secret): Path<String>,
    body: Body,
) -> Result<StatusCode> {
    let (id, watch) = opened(&platform, "source put", &secret).await?;
    let file = file(&platform, id);
    let temporary = file.with_extension(Uuid::now_v7().to_string());
    let saved = tokio::select! {
        biased;
        () = watch.lost() => Err(missing()),
        saved = slugs::save(body, &temporary, MOST_BYTES) => saved,
    };
    let size = match saved {
        Ok(size) => size,
        Err(err) => {
            let _ = tokio::fs::remove_file(&temporary).await;
            return Err(err);
        }
    };
    tokio::fs::rename(&temporary, &file).await?;
    store::sources::source_uploaded(platform.db(), id, i64::try_from(size).unwrap_or(i64::MAX)).await?;
    Ok(StatusCode::OK)
}

/// `GET /blobs/sources/{secret}`
pub async fn source_download(State(platform): State<Platform>, Path(secret): Path<String>) -> Result<Response> {
    let (id, watch) = opened(&platform, "source get", &secret).await?;
    let file = tokio::fs::File::open(file(&platform, id)).await.map_err(|_| missing())?;
    // With its length, so that the client notices when it is cut off.
    let length = file.metadata().await?.len().to_string();
    let headers = [(header::CONTENT_TYPE, "application/octet-stream".to_owned()), (header::CONTENT_LENGTH, length)];
    let content = ReaderStream::new(file).take_until(watch.into_lost());
    Ok((headers, Body::from_stream(content)).into_response())
}
