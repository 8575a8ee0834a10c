//! The routes of builds.

use anyhow::Context as _;
use api::{
    builds::{BuildStatus, Wait},
    ids::BuildId,
};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
};
use base::{
    Error, Result, Subject, pages,
    web::{Created, Input},
};
use chrono::Utc;
use identity::{Actor, Can};
use platform::{Platform, outputs};
use store::builds::{LIST, Row};

use super::{create, result::Writing, shown_to};
use crate::{Builds, addresses, buildpack_installations, sources};

async fn find(platform: &Platform, app: &store::apps::Row, build: &str) -> Result<Row> {
    let missing = || Error::not_found("build", "Couldn't find that build.");
    let row = match (build.parse::<BuildId>(), build.parse::<i32>()) {
        (Ok(id), _) => store::builds::build_info(platform.db(), id).await?.filter(|b| b.app_id == app.id),
        (_, Ok(number)) => store::builds::build_at(platform.db(), app.id, number).await?,
        _ => None,
    };
    row.ok_or_else(missing)
}

/// `GET /apps/{app}/builds`
pub async fn build_list(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let app = actor.app(&app, Can::View).await?;
    let range = pages::requested(&headers, &LIST)?;
    let page = store::builds::build_list(platform.db(), app.id, &range).await?;
    Ok(pages::respond(&LIST, &range, page.map(|row| shown_to(&actor, &row, &app))))
}

/// `GET /apps/{app}/builds/{build}`: by id or number.
pub async fn build_info(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, build)): Path<(String, String)>,
) -> Result<Json<api::builds::Build>> {
    let app = actor.app(&app, Can::View).await?;
    let row = find(&platform, &app, &build).await?;
    Ok(Json(shown_to(&actor, &row, &app)))
}

/// How long a build is to wait for its release, as it is stored.
pub(super) fn checked_wait(given: Option<&str>) -> Result<Option<String>> {
    let wait = given.map(str::parse::<Wait>).transpose().map_err(Error::invalid)?;
    Ok(wait.and_then(Wait::text))
}

/// `POST /apps/{app}/builds`: builds the archive at a URL.
pub async fn build_create(
    State(builds): State<Builds>,
    actor: Actor,
    Path(app): Path<String>,
    Input(body): Input<api::builds::BuildCreate>,
) -> Result<Created<api::builds::Build>> {
    let app = actor.app(&app, Can::Deploy).await?;
    let url = body.source_blob.url.filter(|u| !u.is_empty());
    let url = url.ok_or_else(|| {
        Error::invalid("source_blob.url must be the URL of the source; POST /sources returns one to upload it to.")
    })?;
    match sources::own(&builds, &url) {
        Some(_) => sources::must_open(&builds, &url).await?,
        None => {
            builds.outbound().check(&url).map_err(|err| Error::invalid(format!("source_blob.url: {err}.")))?;
        }
    }
    let given = body.buildpacks.unwrap_or_default().into_iter().filter_map(|b| b.url.or(b.name));
    let known = addresses::buildpacks(builds.secrets(), &app)?;
    let mut buildpacks =
        given.map(|b| buildpack_installations::checked(&b, &known, &actor)).collect::<Result<Vec<_>>>()?;
    if buildpacks.is_empty() {
        buildpacks = known;
    }
    let wait = checked_wait(body.wait.as_deref())?;
    let new = store::builds::New {
        id: BuildId::now_v7(),
        app: app.id,
        account: actor.account.id,
        stack: app.build_stack.clone(),
        buildpacks,
        buildpacks_sealed: None,
        source_url: Some(url),
        source_sealed: None,
        source_version: body.source_blob.version,
        source_description: body.source_blob.version_description,
        source_checksum: body.source_blob.checksum,
        git: None,
        commit: None,
        wait,
        now: Utc::now(),
    };
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    actor.lock_app(&mut tx, app.id).await?;
    create(&builds, &mut tx, &new).await?;
    let summary = format!("Started a build{}.", actor.originator().with_token());
    tx.record("build.create", summary, serde_json::json!({ "build": new.id }));
    tx.commit().await?;
    builds.said(app.id, "api", &format!("Build started by user {}", actor.account.email));
    let row = store::builds::build_info(builds.db(), new.id).await?.ok_or_else(Error::no_app)?;
    Ok(Created(shown_to(&actor, &row, &app)))
}

/// `DELETE /apps/{app}/builds/{build}`: cancels the build, which ends as failed.
pub async fn build_cancel(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, build)): Path<(String, String)>,
) -> Result<Json<api::builds::Build>> {
    let app = actor.app(&app, Can::Deploy).await?;
    let row = find(&platform, &app, &build).await?;
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    if !store::builds::build_cancel(&mut *tx, row.id, Utc::now()).await? {
        let why = match row.release_id.filter(|_| row.status.is_pending()) {
            Some(_) => {
                "The build has created its release, and waits until that has stayed up. Roll back to replace it."
            }
            None => "The build has already finished or been cancelled.",
        };
        return Err(Error::invalid(why));
    }
    tx.record("build.cancel", format!("Cancelled build {}.", row.number), serde_json::json!({ "build": row.id }));
    tx.commit().await?;
    build_info(State(platform), actor, Path((app.id.to_string(), row.id.to_string()))).await
}

/// `GET /apps/{app}/builds/{build}/result`: the output, or the end of a very long one, for old clients. Streamed.
pub async fn build_result(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, build)): Path<(String, String)>,
) -> Result<Response> {
    let app = actor.app(&app, Can::Logs).await?;
    let row = find(&platform, &app, &build).await?;
    let exit_code = match row.status {
        BuildStatus::Pending => None,
        BuildStatus::Succeeded => Some(0),
        BuildStatus::Failed | BuildStatus::Unknown => Some(1),
    };
    let slot = platform.streams().try_take(actor.payer)?;
    let build = serde_json::to_string(&shown_to(&actor, &row, &app)).map_err(anyhow::Error::new)?;
    let file = outputs::build_file(&platform, app.id, row.id);
    let result = Writing::begin(&build, exit_code, &file, slot).await;
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, Body::from_stream(result.chunks())).into_response())
}

/// `DELETE /apps/{app}/build-cache`
pub async fn build_cache_delete(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
) -> Result<Json<serde_json::Value>> {
    let app = actor.app(&app, Can::Deploy).await?;
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    tx.record("build_cache.delete", "Emptied the build cache.", serde_json::json!({}));
    tx.commit().await?;
    let cache = platform.config().data.join("cache").join(app.id.to_string());
    tokio::task::spawn_blocking(move || trees::remove(&cache)).await.context("empty the build cache")??;
    Ok(Json(serde_json::json!({})))
}
