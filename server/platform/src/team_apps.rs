//! Apps of teams: creating and locking them, and transferring apps to teams and back.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{
    Error, Result, Subject,
    web::{Created, Input},
};
use chrono::Utc;
use identity::{Actor, App, Can, InTeam, Rights, Role, RoleRights as _, quotas, team_members};
use store::apps::Filter;

use crate::{Platform, app_refs, apps};

/// `GET /teams/{team}/apps`
pub async fn team_app_list(actor: Actor, Path(team): Path<String>, headers: HeaderMap) -> Result<Response> {
    let team = actor.team(&team, InTeam::See).await?;
    apps::listed(&actor, &headers, &Filter { team: Some(team.id), ..Filter::default() }).await
}

/// `POST /teams/apps`
pub async fn team_app_create(
    State(platform): State<Platform>,
    actor: Actor,
    Input(create): Input<api::teams::TeamAppCreate>,
) -> Result<Created<api::apps::App>> {
    let team = match create.team.filter(|_| create.personal != Some(true)) {
        Some(team) => Some(actor.team(&team, InTeam::Create).await?),
        None => {
            actor.must_be_a_person().await?;
            None
        }
    };
    let locked = team.is_some() && create.locked == Some(true);
    apps::make(&platform, &actor, create.app, team.as_ref(), locked).await.map(Created)
}

/// `GET /teams/apps/{app}`
pub async fn team_app_info(actor: Actor, Path(app): Path<String>) -> Result<Json<api::apps::App>> {
    let app = actor.app(&app, Can::View).await?;
    Ok(Json(apps::shown(&app, &actor.links())))
}

/// `PATCH /teams/apps/{app}`: locks an app, or transfers it to a team or, from a team, to the caller.
pub async fn team_app_update(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Input(update): Input<api::teams::TeamAppUpdate>,
) -> Result<Json<api::apps::App>> {
    let app = actor.app(&app, Can::Manage).await?;
    if let Some(locked) = update.locked.filter(|locked| *locked != app.locked) {
        lock(&actor, &app, locked).await?;
    }
    if let Some(owner) = update.owner {
        give(&actor, &app, &owner).await?;
    }
    // The previous owner may no longer see it.
    let row = store::apps::app_info(platform.db(), app.id).await?.ok_or_else(Error::no_app)?;
    Ok(Json(apps::shown(&row, &actor.links())))
}

async fn lock(actor: &Actor, app: &App, locked: bool) -> Result<()> {
    if app.team_id.is_none() {
        return Err(Error::invalid(format!("App {} belongs to a person, so it cannot be locked.", app.name)));
    }
    // Without the lock, members have the rights of their role.
    app.must_have(if locked { Rights::default() } else { Role::Member.rights(false) })?;
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    let mut row = app_refs::locked(&mut tx, actor, app.id).await?;
    row.locked = locked;
    app_refs::concern_everybody(&mut tx, app.id).await?;
    store::apps::app_update(&mut *tx, &row, Utc::now()).await?;
    let summary = format!("{} the app for members of the team.", if locked { "Locked" } else { "Unlocked" });
    tx.record("app.lock", summary, serde_json::json!({ "locked": locked }));
    tx.commit().await?;
    Ok(())
}

async fn give(actor: &Actor, app: &App, owner: &str) -> Result<()> {
    let (account, team, to) = if owner == "~" || owner.contains('@') {
        must_be_new_owner(actor, app, owner).await?;
        (Some(actor.account.id), None, actor.account.email.clone())
    } else {
        let team = actor.team(owner, InTeam::Create).await?;
        (None, Some(team.id), format!("the team {}", team.name))
    };
    if (account, team) == (app.owner_id, app.team_id) {
        return Ok(());
    }
    app.must_have(Rights::ALL)?;
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    let now = app_refs::locked(&mut tx, actor, app.id).await?;
    if (now.owner_id, now.team_id) != (app.owner_id, app.team_id) {
        return Err(Error::conflict(format!("The owner of app {} has just changed.", app.name)));
    }
    app_refs::concern_everybody(&mut tx, app.id).await?;
    store::apps::app_set_owner(&mut *tx, app.id, account, team, Utc::now()).await?;
    quotas::admit_all(&mut tx, quotas::owner(account, team)).await?;
    store::app_transfers::app_transfer_delete_pending(&mut *tx, app.id).await?;
    // Collaborators that a team has added are removed, since the new owner has not added them.
    if app.team_id.is_some() {
        store::collaborators::collaborator_delete_all(&mut *tx, app.id).await?;
    }
    let data = serde_json::json!({ "owner": account, "team": team });
    tx.record("app.transfer", format!("Transferred the app to {to}."), data);
    tx.commit().await?;
    Ok(())
}

/// Fails unless the new owner is the caller, and the app is theirs or belongs to a team. Nobody else gets an app
/// without their consent, since its owner is charged for it and responsible for it.
async fn must_be_new_owner(actor: &Actor, app: &App, owner: &str) -> Result<()> {
    let own = &actor.account.email;
    if owner != "~" && !owner.eq_ignore_ascii_case(own) {
        return Err(Error::invalid(format!(
            "{owner} has to accept app {} first. Offer it with POST /account/app-transfers.",
            app.name
        )));
    }
    if app.team_id.is_none() && app.owner_id != Some(actor.account.id) {
        return Err(Error::invalid(format!(
            "App {} belongs to a person, who has to offer it with POST /account/app-transfers.",
            app.name
        )));
    }
    actor.must_be_a_person().await
}

/// `GET /teams/{team}/members/{member}/apps`: the apps on which a member is a collaborator.
pub async fn team_member_app_list(
    State(platform): State<Platform>,
    actor: Actor,
    Path((team, who)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let team = actor.team(&team, InTeam::See).await?;
    let member = team_members::find(&platform, &team, &who).await?;
    let filter = Filter { team: Some(team.id), collaborator: Some(member.account_id), ids: None };
    apps::listed(&actor, &headers, &filter).await
}
