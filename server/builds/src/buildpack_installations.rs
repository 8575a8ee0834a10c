//! Buildpack installations: the buildpacks of the next build.

use axum::{
    Json,
    extract::{Path, State},
};
use base::{Error, Result, Subject, routes::RequiredScope, web::Input};
use chrono::Utc;
use identity::{Actor, Can};
use platform::{Platform, app_refs};

use crate::addresses;

/// A buildpack in a response: built-in ones as `urn:buildpack:heroku/nodejs`.
pub(crate) fn shown(buildpack: &str) -> api::builds::Buildpack {
    let name = buildpack.trim_start_matches("urn:buildpack:");
    let named = !buildpack.contains("://");
    let url = if named { format!("urn:buildpack:{name}") } else { builder::masked(buildpack) };
    api::builds::Buildpack { url: Some(url), name: Some(builder::masked(name)) }
}

fn listed(row: &store::apps::Row) -> Vec<api::buildpack_installations::BuildpackInstallation> {
    let numbered = row.buildpacks.iter().zip(0..);
    numbered
        .map(|(b, ordinal)| api::buildpack_installations::BuildpackInstallation { ordinal, buildpack: shown(b) })
        .collect()
}

type Listed = Result<Json<Vec<api::buildpack_installations::BuildpackInstallation>>>;

/// `GET /apps/{app}/buildpack-installations`
pub async fn buildpack_installation_list(actor: Actor, Path(app): Path<String>) -> Listed {
    let row = actor.app(&app, Can::View).await?;
    Ok(Json(listed(&row)))
}

/// `PUT /apps/{app}/buildpack-installations`: replaces the list.
pub async fn buildpack_installation_update(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Input(update): Input<api::buildpack_installations::BuildpackInstallationsUpdate>,
) -> Listed {
    let app = actor.app(&app, Can::Deploy).await?;
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    let mut row = app_refs::locked(&mut tx, &actor, app.id).await?;
    let given = update.updates.into_iter().filter_map(|u| u.buildpack);
    let known = addresses::buildpacks(platform.secrets(), &row)?;
    let wanted = given.map(|b| checked(&b, &known, &actor)).collect::<Result<Vec<_>>>()?;
    let kept = addresses::seal(platform.secrets(), row.id, &wanted, None);
    (row.buildpacks, row.buildpacks_sealed) = (kept.buildpacks, kept.buildpacks_sealed);
    let shown = &row.buildpacks;
    store::apps::app_update(&mut *tx, &row, Utc::now()).await?;
    let summary = match row.buildpacks.len() {
        0 => "Cleared the buildpacks; the next build detects one.".to_owned(),
        _ => format!("Set the buildpacks to {}.", shown.join(", ")),
    };
    tx.record("buildpack_installation.update", summary, serde_json::json!({ "buildpacks": shown }));
    tx.commit().await?;
    Ok(Json(listed(&row)))
}

/// The canonical form of a buildpack, or an error that says why it cannot be used. A client that read the list of
/// `known` ones sends back a masked address: it stands for the one with the password.
pub(crate) fn checked(buildpack: &str, known: &[String], actor: &Actor) -> Result<String> {
    let given = buildpack.trim();
    if let Some(known) = known.iter().find(|known| builder::masked(known) == given && *known != given) {
        return Ok(known.clone());
    }
    let buildpack = builder::canonical(given).map_err(Error::invalid)?;
    // What a token of an administrator reaches ends with its scope: the machine is not among the apps that one deploys.
    let is_admin = || actor.account.admin && actor.scope.require(RequiredScope::Global).is_ok();
    // Clients send the whole list. One that is there already was allowed, and each build checks its account again.
    let is_known = known.contains(&buildpack);
    if builder::is_local(&buildpack) && !is_known && !is_admin() {
        return Err(Error::forbidden(
            "Only a platform administrator can use a buildpack in a folder of the machine (file://), in the console or \
             with a token of the scope global. Use the https:// URL of a git repository.",
        ));
    }
    Ok(buildpack)
}
