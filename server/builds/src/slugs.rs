//! Slugs: the results of builds, or uploads of clients.

use std::path::Path as FilePath;

use anyhow::Context as _;
use api::ids::{AccountId, SlugId};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base::{
    Error, Result, Subject,
    links::Links,
    web::{Created, Input},
};
use chrono::Utc;
use digest_io::IoWrapper;
use futures::StreamExt as _;
use identity::{
    Actor, Can, app_for, payers,
    quotas::{self, Quota},
    row_limits, signed_urls,
    watch::Watch,
};
use platform::{Platform, formation, slugs::archives, stacks};
use sha2::{Digest as _, Sha256};
use sqlx::types::Json as SqlJson;
use store::slugs::Row;
use uuid::Uuid;

use crate::{
    Builds,
    uploads::{self, Temporary, Upload},
};

/// Heroku's limit for a slug (devcenter "limits").
const MOST_BYTES: u64 = 500 << 20;

fn shown(row: &Row, method: &str, links: &Links) -> api::slugs::Slug {
    let url = links.signed("blobs/slugs", &format!("slug {method}"), row.id).unwrap_or_default();
    api::slugs::Slug {
        id: row.id,
        blob: api::slugs::Blob { method: method.into(), url },
        buildpack_provided_description: row.buildpack_description.clone(),
        checksum: row.checksum.clone(),
        commit: row.commit.clone(),
        commit_description: row.commit_description.clone(),
        process_types: row.process_types.0.clone(),
        size: row.size,
        stack: stacks::stack_ref(&row.stack),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn missing() -> Error {
    Error::not_found("slug", "Couldn't find that slug.")
}

/// `GET /apps/{app}/slugs/{slug}`
pub async fn slug_info(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, slug)): Path<(String, String)>,
) -> Result<Json<api::slugs::Slug>> {
    let app = actor.app(&app, Can::Deploy).await?;
    let id: SlugId = slug.parse().map_err(|_| missing())?;
    let row = store::slugs::slug_info(platform.db(), id).await?.ok_or_else(missing)?;
    let released = || async { Ok::<_, Error>(store::releases::release_has_slug(platform.db(), app.id, id).await?) };
    if row.app_id != app.id && !released().await? {
        return Err(missing());
    }
    Ok(Json(shown(&row, "get", &actor.links())))
}

/// `POST /apps/{app}/slugs`: creates a slug, and a URL to upload its archive to.
pub async fn slug_create(
    actor: Actor,
    Path(app): Path<String>,
    Input(create): Input<api::slugs::SlugCreate>,
) -> Result<Created<api::slugs::Slug>> {
    let app = actor.app(&app, Can::Deploy).await?;
    if create.process_types.is_empty() {
        return Err(Error::invalid("process_types must name at least one process type: {\"web\": \"./server\"}."));
    }
    check_types(&create.process_types)?;
    let now = Utc::now();
    let row = Row {
        id: SlugId::now_v7(),
        app_id: app.id,
        checksum: None,
        size: None,
        process_types: SqlJson(create.process_types),
        buildpack_description: create.buildpack_provided_description,
        commit: create.commit,
        commit_description: create.commit_description,
        stack: stacks::known(create.stack.as_deref().unwrap_or(&app.build_stack))?.into(),
        fault: None,
        refused: false,
        created_at: now,
        updated_at: now,
    };
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    quotas::admit_for_app(&mut tx, app.id, Quota::Uploads, 1).await?;
    row_limits::admit(&mut tx, &row_limits::UNUSED_SLUGS, app.id).await?;
    store::slugs::slug_create(&mut *tx, &row).await?;
    tx.record("slug.create", "Created a slug to upload.", serde_json::json!({ "slug": row.id }));
    tx.commit().await?;
    Ok(Created(shown(&row, "put", &actor.links())))
}

/// The maximum number of process types of a slug, and the maximum size of a command and of all commands together, in
/// bytes. They are stored with the slug.
const MOST_TYPES: usize = 50;
const COMMAND: usize = 4096;
const MOST_TYPES_BYTES: usize = 32 << 10;

/// Rejects process types that are invalid, or too many.
pub(crate) fn check_types(types: &std::collections::BTreeMap<String, String>) -> Result<()> {
    if types.len() > MOST_TYPES {
        return Err(Error::invalid(format!(
            "A slug can have at most {MOST_TYPES} process types; this one has {}.",
            types.len()
        )));
    }
    let bytes: usize = types.iter().map(|(kind, command)| kind.len() + command.len()).sum();
    if bytes > MOST_TYPES_BYTES {
        return Err(Error::invalid(format!(
            "The process types of a slug can have at most {MOST_TYPES_BYTES} bytes in total; these have {bytes}."
        )));
    }
    types.iter().try_for_each(|(kind, command)| check_type(kind, command))
}

/// Process types name dynos and appear in log lines.
fn check_type(kind: &str, command: &str) -> Result<()> {
    let letters = kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if kind.is_empty() || kind.len() > 30 || !letters {
        let rule = "use up to 30 letters, digits, dashes and underscores";
        return Err(Error::invalid(format!("Invalid process type {kind:?}: {rule}.")));
    }
    formation::check_reserved(kind)?;
    if command.trim().is_empty() || command.contains(['\n', '\r']) || command.len() > COMMAND {
        let rule = format!("must be a single non-empty line of at most {COMMAND} bytes");
        return Err(Error::invalid(format!("Command of {kind} {rule}.")));
    }
    Ok(())
}

/// A slug accessed by a pre-signed URL.
struct Opened {
    slug: SlugId,
    /// The app that it belongs to.
    app: store::apps::Row,
    /// The account that the URL was signed for.
    by: AccountId,
    watch: Watch,
}

/// The slug of a pre-signed URL, if the account that it was signed for can still deploy its app.
async fn opened(platform: &Platform, purpose: &str, secret: &str) -> Result<Opened> {
    let (bearer, id) = platform.secrets().signed_for(purpose, secret).ok_or_else(missing)?;
    let id = SlugId(id);
    let app = store::slugs::slug_info(platform.db(), id).await?.ok_or_else(missing)?.app_id;
    let watch = Watch::begin(platform, bearer.account, Some(bearer.credential), app, Can::Deploy).await?;
    let app = app_for(platform, bearer.account, app, Can::Deploy).await?;
    let (Some(app), Some(watch)) = (app, watch) else { return Err(missing()) };
    Ok(Opened { slug: id, app, by: bearer.account, watch })
}

/// Like [`opened`], for a request to the URL itself.
async fn entered(platform: &Platform, purpose: &str, secret: &str) -> Result<Opened> {
    let (bearer, _) = platform.secrets().signed_for(purpose, secret).ok_or_else(missing)?;
    let _reading = signed_urls::begin(platform, bearer.account).await?;
    opened(platform, purpose, secret).await
}

/// `PUT /blobs/slugs/{secret}`: a tar.gz or tar.zst with everything under `./app`.
pub async fn slug_upload(State(builds): State<Builds>, Path(secret): Path<String>, body: Body) -> Result<StatusCode> {
    let Opened { slug: id, app, by, watch } = entered(&builds, "slug put", &secret).await?;
    // The slots are those of the uploader; the archive counts for the app's owner.
    let payer = payers::of_account(&builds, by).await?;
    let upload = Upload::begin(&builds, id.into(), payer).await?;
    let file = Temporary(builds.config().data.join("tmp").join(format!("slug-{id}-{}", Uuid::now_v7())));
    let received = async {
        let row = store::slugs::slug_info(builds.db(), id).await?.ok_or_else(missing)?;
        if row.checksum.is_some() {
            return Err(uploaded_before());
        }
        let owner = quotas::owner(app.owner_id, app.team_id);
        uploads::receive(&builds, (owner, payer), body, &file.0, MOST_BYTES).await?;
        Ok(row)
    };
    let received = tokio::select! {
        biased;
        () = watch.lost() => Err(missing()),
        received = received => received,
    };
    let outcome = match received {
        Ok(row) => keep_upload(&upload, &builds, payer, &row, &file.0).await,
        Err(err) => Err(err),
    };
    drop(file);
    upload.close().await;
    outcome.map(|()| StatusCode::OK)
}

fn uploaded_before() -> Error {
    Error::conflict("The slug has already been uploaded. Slugs are immutable; create another one.")
}

/// Stores the upload, unless it is not a valid slug or exceeds a limit.
async fn keep_upload(upload: &Upload, builds: &Builds, payer: AccountId, row: &Row, file: &FilePath) -> Result<()> {
    let from = file.to_owned();
    let (checksum, size) = tokio::task::spawn_blocking(move || checksum(&from)).await.context("read the slug")??;
    let slot = builds.slug_checks().take(payer).await?;
    builder::check(builds.workers(), file).await.map_err(|err| match err {
        builder::Error::Failed { why } => {
            let rule = "A slug is a tar archive, compressed with gzip or zstd, with all files under ./app";
            Error::invalid(format!("The upload is not a slug: {why}. {rule}."))
        }
        other => anyhow::Error::from(other).into(),
    })?;
    let mut tx = builds.begin_for(payer).await?;
    quotas::admit_for_app(&mut tx, row.app_id, Quota::Uploads, size).await?;
    drop(tx);
    // Storing it takes long, so the owner's quota is not locked meanwhile.
    builds.slug_files().put(&checksum, file).await?;
    drop(slot);
    let named = name(upload, builds, payer, row, (&checksum, size), file).await;
    if named.is_err() {
        archives::discard(builds, &checksum).await;
    }
    named
}

/// Records the archive of the slug, unless that now exceeds a limit.
async fn name(
    upload: &Upload,
    builds: &Builds,
    payer: AccountId,
    row: &Row,
    (checksum, size): (&str, i64),
    file: &FilePath,
) -> Result<()> {
    let mut tx = builds.begin_for(payer).await?;
    if !store::slugs::slug_uploaded(&mut *tx, row.id, checksum, size, Utc::now()).await? {
        return Err(uploaded_before());
    }
    upload.must_be_the_one(&mut tx).await?;
    quotas::admit_for_app(&mut tx, row.app_id, Quota::Uploads, 0).await?;
    archives::keep(builds, &mut tx, checksum, file).await?;
    Ok(tx.commit().await?)
}

/// The checksum and size of an archive that dynos can unpack.
fn checksum(file: &FilePath) -> Result<(String, i64)> {
    let mut input = std::fs::File::open(file)?;
    let mut head = [0; 4];
    let known = std::io::Read::read_exact(&mut input, &mut head).is_ok()
        && matches!(head, [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd]);
    if !known {
        return Err(Error::invalid("The upload is not a tar archive compressed with gzip or zstd."));
    }
    std::io::Seek::rewind(&mut input)?;
    let mut hash = IoWrapper(Sha256::new());
    let size = std::io::copy(&mut input, &mut hash)?;
    Ok((format!("SHA256:{}", hex::encode(hash.0.finalize())), i64::try_from(size).unwrap_or(i64::MAX)))
}

/// `GET /blobs/slugs/{secret}`
pub async fn slug_download(State(platform): State<Platform>, Path(secret): Path<String>) -> Result<Response> {
    let Opened { slug: id, by, watch, .. } = entered(&platform, "slug get", &secret).await?;
    let slot = platform.stream_slot(by).await?;
    let row = store::slugs::slug_info(platform.db(), id).await?.ok_or_else(missing)?;
    let checksum = row.checksum.ok_or_else(missing)?;
    let (size, content) = platform.slug_files().read(&checksum).await?;
    let headers = [(header::CONTENT_TYPE, "application/zstd".to_owned()), (header::CONTENT_LENGTH, size.to_string())];
    Ok((headers, Body::from_stream(content.take_until(watch.lost().holding(slot)))).into_response())
}
