//! Redeploying: the source of the current release is built again, for newer buildpacks, a newer stack or other config
//! vars. No branch moves.

use anyhow::Context as _;
use api::ids::BuildId;
use axum::extract::{Path, State};
use base::{
    Error, Result, Subject,
    web::{Created, Input},
};
use chrono::Utc;
use identity::{Actor, App, Can};
use store::builds::Row;

use super::{create, routes::checked_wait, shown_to};
use crate::{Builds, addresses, sources};

/// `POST /apps/{app}/actions/redeploy`
///
/// Rejected if the app has no code, if its code was not built here, as after a promotion, or if the upload that it was
/// built from has been deleted.
pub async fn build_redeploy(
    State(builds): State<Builds>,
    actor: Actor,
    Path(app): Path<String>,
    Input(body): Input<api::builds::BuildRedeploy>,
) -> Result<Created<api::builds::Build>> {
    let app = actor.app(&app, Can::Deploy).await?;
    let wait = checked_wait(body.wait.as_deref())?;
    let earlier = current(&builds, &app).await?;
    let id = BuildId::now_v7();
    let new = store::builds::New {
        id,
        app: app.id,
        account: actor.account.id,
        stack: app.build_stack.clone(),
        buildpacks: addresses::buildpacks(builds.secrets(), &app)?,
        source_url: earlier.source_url,
        source_version: earlier.source_version,
        source_description: earlier.source_description,
        source_checksum: earlier.source_checksum,
        commit: earlier.git_new,
        wait,
        now: Utc::now(),
        ..store::builds::New::default()
    };
    let originator = actor.originator();
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    actor.lock_app(&mut tx, app.id).await?;
    create(&builds, &mut tx, &new).await?;
    let summary = format!("Started build {} again{}.", earlier.number, originator.with_token());
    tx.record("build.create", summary, serde_json::json!({ "build": id, "again": earlier.id }));
    tx.commit().await?;
    builds.said(app.id, "api", &format!("Build started by user {}", actor.account.email));
    let row = store::builds::build_info(builds.db(), id).await?.ok_or_else(Error::no_app)?;
    Ok(Created(shown_to(&actor, &row, &app)))
}

/// The build of the current release, with its addresses, if its source is still there.
async fn current(builds: &Builds, app: &App) -> Result<Row> {
    let release = store::releases::release_current(builds.db(), app.id).await?;
    let Some(slug) = release.and_then(|release| release.slug_id) else {
        return Err(Error::invalid("The app has no code that could be built again. Deploy it first."));
    };
    let Some(build) = store::builds::build_of_slug(builds.db(), app.id, slug).await? else {
        return Err(Error::invalid(
            "The current code was not built for this app, or its build has been deleted. Deploy it again.",
        ));
    };
    let build = addresses::opened(builds.secrets(), build).context("decrypt the addresses of a build")?;
    let upload = build.source_url.as_deref().and_then(|url| sources::own(builds, url));
    if upload.is_some_and(|id| !sources::file(builds, id).exists()) {
        return Err(Error::invalid(format!(
            "The source of build {} was uploaded, and uploads are deleted after a day. Upload it again: wharf deploy",
            build.number
        )));
    }
    Ok(build)
}
