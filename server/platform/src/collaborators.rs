//! Collaborators of an app, and their permissions.

use api::{
    collaborators::CollaboratorRole,
    ids::{AppId, CollaboratorId},
};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{
    Change, Error, Result, Subject,
    names::named_id,
    pages,
    web::{Created, Input},
};
use chrono::Utc;
use identity::{
    Actor, App, Can, Rights, Role, RoleRights as _, accounts, invitation_policy, mails,
    next_steps::{self, Given},
    rights::PERMISSIONS,
    row_limits,
};
use store::{
    collaborators::{LIST, Row},
    mails::About,
};

use crate::{Platform, app_refs};

/// Permissions with their descriptions.
pub(crate) fn described<S: AsRef<str>>(names: &[S]) -> Vec<api::collaborators::Permission> {
    let known = names.iter().filter_map(|name| PERMISSIONS.iter().find(|(n, ..)| *n == name.as_ref()));
    known
        .map(|(name, description, _)| api::collaborators::Permission {
            name: (*name).into(),
            description: (*description).into(),
        })
        .collect()
}

fn shown(row: &Row, app: &App) -> api::collaborators::Collaborator {
    api::collaborators::Collaborator {
        id: row.id,
        app: app_refs::app_ref(app),
        user: api::collaborators::CollaboratorUser {
            id: row.account_id.into(),
            email: row.email.clone(),
            federated: false,
        },
        role: row.role,
        permissions: described(&row.permissions),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// The owner, a person or a team, who has all permissions.
fn owner(app: &App) -> api::collaborators::Collaborator {
    let owner = app_refs::owner_ref(app);
    api::collaborators::Collaborator {
        id: CollaboratorId(named_id(&format!("owner {} {}", app.id, owner.id))),
        app: app_refs::app_ref(app),
        user: api::collaborators::CollaboratorUser { id: owner.id, email: owner.email, federated: false },
        role: CollaboratorRole::Owner,
        permissions: described(Role::Admin.permissions()),
        created_at: app.created_at,
        updated_at: app.created_at,
    }
}

fn missing() -> Error {
    Error::not_found("collaborator", "Couldn't find that collaborator.")
}

/// `GET /apps/{app}/collaborators`
pub async fn collaborator_list(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let app = actor.app(&app, Can::View).await?;
    let range = pages::requested(&headers, &LIST)?;
    let owner = owner(&app);
    let row = store::collaborators::Owner {
        id: owner.id,
        account: owner.user.id,
        email: &owner.user.email,
        permissions: Role::Admin.permissions(),
    };
    let page = store::collaborators::collaborator_list(platform.db(), app.id, &row, &range).await?;
    Ok(pages::respond(&LIST, &range, page.map(|row| shown(&row, &app))))
}

/// `GET /apps/{app}/collaborators/{collaborator}`: by address or id.
pub async fn collaborator_info(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, who)): Path<(String, String)>,
) -> Result<Json<api::collaborators::Collaborator>> {
    let app = actor.app(&app, Can::View).await?;
    let owner = owner(&app);
    if who == owner.user.email || who == owner.id.to_string() || who == owner.user.id.to_string() {
        return Ok(Json(owner));
    }
    let row = store::collaborators::collaborator_info(platform.db(), app.id, &who).await?.ok_or_else(missing)?;
    Ok(Json(shown(&row, &app)))
}

/// `GET /apps/{app}/collaborators/{collaborator}/next-step`: by address or id.
pub async fn collaborator_next_step(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, who)): Path<(String, String)>,
) -> Result<Json<api::next_steps::NextStep>> {
    let app = actor.app(&app, Can::Access).await?;
    let row = store::collaborators::collaborator_info(platform.db(), app.id, &who).await?.ok_or_else(missing)?;
    let path = format!("/apps/{}", app.name);
    let then = "They see the app after signing in.";
    let given = Given { path: &path, then, about: Some(About::Collaborator(row.id)) };
    Ok(Json(next_steps::next_step(&platform, row.account_id, given).await?))
}

/// The requested permissions, without duplicates. Nobody can grant what they do not have.
fn checked(app: &App, permissions: Vec<String>) -> Result<Vec<String>> {
    let mut permissions = permissions;
    let names = PERMISSIONS.map(|(name, ..)| name);
    permissions.sort_by_key(|p| names.iter().position(|n| n == p));
    permissions.dedup();
    if let Some(odd) = permissions.iter().find(|p| !names.contains(&p.as_str())) {
        return Err(Error::invalid(format!(
            "Permission {odd:?} does not exist. Valid permissions: {}.",
            names.join(", ")
        )));
    }
    if permissions.is_empty() {
        return Err(Error::invalid("Specify at least one permission, or remove the collaborator."));
    }
    app.must_have(Rights::of_permissions(&permissions))?;
    Ok(permissions)
}

/// The default permissions.
fn usual(role: Option<Role>) -> Vec<String> {
    role.unwrap_or(Role::Member).permissions().iter().map(|p| (*p).to_owned()).collect()
}

/// `POST /apps/{app}/collaborators`: adds a collaborator. Members of the team can join an unlocked app by themselves.
/// An address without an account gets one, if the invitation policy allows that; it cannot be used until somebody
/// proves ownership of the address.
pub async fn collaborator_create(
    State(platform): State<Platform>,
    actor: Actor,
    Path(app): Path<String>,
    Input(create): Input<api::collaborators::CollaboratorCreate>,
) -> Result<Created<api::collaborators::Collaborator>> {
    let app = actor.app(&app, Can::View).await?;
    let user = create.user.filter(|u| !u.is_empty()).ok_or_else(|| {
        app.must(Can::Access)
            .err()
            .unwrap_or_else(|| Error::invalid("user is required: {\"user\": \"ada@example.com\"}."))
    })?;
    let is_self = accounts::is_self(&actor, &user).is_ok();
    if !(is_self && app.role().is_some()) {
        app.must(Can::Access)?;
    }
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    let account = if is_self {
        actor.account.clone()
    } else {
        invitation_policy::find_or_invite(&mut tx, &actor, app.team_id, &user).await?
    };
    if app.owner_id == Some(account.id) {
        return Err(Error::invalid(format!("{} owns the app {}.", account.email, app.name)));
    }
    let id = account.id.to_string();
    if store::collaborators::collaborator_info(&mut *tx, app.id, &id).await?.is_some() {
        return Err(Error::invalid(format!("{} is already a collaborator of the app {}.", account.email, app.name)));
    }
    let member = match app.team_id {
        Some(team) => store::team_members::team_member_info(&mut *tx, team, &id).await?,
        None => None,
    };
    if member.is_none() && store::service_accounts::service_account_exists(&mut *tx, account.id).await? {
        return Err(Error::invalid("A service account can only collaborate on apps of its own team."));
    }
    let role = member.as_ref().and_then(|m| m.role.known());
    let permissions = checked(&app, create.permissions.unwrap_or_else(|| usual(role)))?;
    let summary = format!("Added {} as a collaborator with {}.", account.email, permissions.join(", "));
    row_limits::admit(&mut tx, &row_limits::COLLABORATORS, app.id).await?;
    save(&mut tx, app.id, &account, &permissions, ("collaborator.create", summary)).await?;
    let saved = store::collaborators::collaborator_info(&mut *tx, app.id, &id).await?.ok_or_else(missing)?;
    mails::mail_queue(&mut tx, &actor, About::Collaborator(saved.id), &account).await?;
    tx.commit().await?;
    let row = store::collaborators::collaborator_info(platform.db(), app.id, &id).await?.ok_or_else(missing)?;
    Ok(Created(shown(&row, &app)))
}

async fn save(
    tx: &mut Change,
    app: AppId,
    account: &store::accounts::Row,
    permissions: &[String],
    (action, summary): (&str, String),
) -> Result<()> {
    let now = Utc::now();
    store::collaborators::collaborator_save(&mut **tx, CollaboratorId::now_v7(), app, account.id, permissions, now)
        .await?;
    tx.record(action, summary, serde_json::json!({ "account": account.id, "permissions": permissions }));
    Ok(())
}

/// Makes the caller a collaborator of a new app, with the permissions of their role in its team.
pub(crate) async fn join(actor: &Actor, tx: &mut Change, app: AppId, role: Role) -> Result<()> {
    let usual = usual(Some(role));
    let said =
        ("collaborator.create", format!("Added {} as a collaborator with {}.", actor.account.email, usual.join(", ")));
    save(tx, app, &actor.account, &usual, said).await
}

/// `PATCH /teams/apps/{app}/collaborators/{collaborator}`: replaces the permissions of a collaborator, or of a member
/// of the team who is not one yet.
pub async fn collaborator_update(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, who)): Path<(String, String)>,
    Input(update): Input<api::collaborators::CollaboratorUpdate>,
) -> Result<Json<api::collaborators::Collaborator>> {
    let app = actor.app(&app, Can::Access).await?;
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    let old = store::collaborators::collaborator_info(&mut *tx, app.id, &who).await?;
    let member = match app.team_id {
        Some(team) => store::team_members::team_member_info(&mut *tx, team, &who).await?,
        None => None,
    };
    let role = member.as_ref().and_then(|m| m.role.known());
    let had = match &old {
        Some(old) => Rights::of_permissions(&old.permissions),
        None => role.map(|role| role.rights(app.locked)).unwrap_or_default(),
    };
    let account = old.as_ref().map(|o| o.account_id).or(member.map(|m| m.account_id)).ok_or_else(missing)?;
    app.must_have(had)?;
    let permissions = checked(&app, update.permissions)?;
    let account = store::accounts::account_info_any(&mut *tx, account).await?.ok_or_else(missing)?;
    let summary = format!("{} may now {}.", account.email, permissions.join(", "));
    if old.is_none() {
        row_limits::admit(&mut tx, &row_limits::COLLABORATORS, app.id).await?;
    }
    save(&mut tx, app.id, &account, &permissions, ("collaborator.update", summary)).await?;
    tx.commit().await?;
    let id = account.id.to_string();
    let row = store::collaborators::collaborator_info(platform.db(), app.id, &id).await?.ok_or_else(missing)?;
    Ok(Json(shown(&row, &app)))
}

/// `DELETE /apps/{app}/collaborators/{collaborator}`: by a user with the right to, or by the collaborator.
pub async fn collaborator_delete(
    State(platform): State<Platform>,
    actor: Actor,
    Path((app, who)): Path<(String, String)>,
) -> Result<Json<api::collaborators::Collaborator>> {
    let app = actor.app(&app, Can::View).await?;
    let who = if who == "~" { actor.account.id.to_string() } else { who };
    let row = store::collaborators::collaborator_info(platform.db(), app.id, &who).await?;
    let is_self = row.as_ref().is_some_and(|row| row.account_id == actor.account.id);
    let left = row.as_ref().and_then(|row| row.role.in_team());
    let left = left.map(|role| role.rights(app.locked)).unwrap_or_default();
    // Leaving an app must not grant rights of the caller's role that their permissions on the app excluded.
    if !(is_self && app.rights().contains(left)) {
        app.must(Can::Access)?;
        app.must_have(left)?;
    }
    let row = row.ok_or_else(missing)?;
    app.must_have(Rights::of_permissions(&row.permissions))?;
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    if !invitation_policy::hold(&mut tx, row.account_id).await?
        || !store::collaborators::collaborator_delete(&mut *tx, app.id, row.account_id).await?
    {
        return Err(missing());
    }
    let summary = match is_self {
        true => "Left the app.".to_owned(),
        false => format!("Removed {} from the app.", row.email),
    };
    tx.record("collaborator.delete", summary, serde_json::json!({ "account": row.account_id }));
    invitation_policy::release(&mut tx, row.account_id).await?;
    tx.commit().await?;
    Ok(Json(shown(&row, &app)))
}

/// `GET /teams/permissions`: the permissions that can be granted to collaborators.
pub async fn permission_list(_: Actor) -> Json<Vec<api::collaborators::Permission>> {
    Json(described(&identity::rights::PERMISSIONS.map(|(name, ..)| name)))
}
