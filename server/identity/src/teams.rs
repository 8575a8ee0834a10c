//! Teams: creating, renaming and deleting them, and access of their members to their apps.

use api::ids::{TeamId, TeamMemberId};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{
    Base, Change, Error, Result,
    names::named_id,
    pages,
    recorded::Concerned,
    web::{Created, Input},
};
use chrono::Utc;
use store::team_members::OnApp;

use crate::{
    access::{InTeam, Team},
    actor::Actor,
    invitation_policy,
    quotas::{self, Quota},
    rights::{Role, RoleRights as _, seeing},
    subjects,
};

fn shown(team: &Team) -> api::teams::Team {
    api::teams::Team {
        id: team.id,
        name: team.name.clone(),
        role: team.role(),
        kind: "team".into(),
        created_at: team.created_at,
        updated_at: team.updated_at,
        credit_card_collections: false,
        default: false,
        enterprise_account: None,
        identity_provider: None,
        membership_limit: None,
        provisioned_licenses: false,
        invites: team.invites,
    }
}

/// Names that have another meaning in URLs.
const RESERVED: [&str; 3] = ["apps", "invitations", "permissions"];

fn check_name(name: &str) -> Result<()> {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let good = (2..=30).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(rest)
        && !RESERVED.contains(&name);
    if good {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "Invalid team name {name:?}: use 2 to 30 lower-case letters, digits and dashes, starting with a letter; {} are \
         reserved.",
        RESERVED.join(", ")
    )))
}

fn name_taken(err: sqlx::Error, name: &str) -> Error {
    match store::broken_constraint(&err).as_deref() {
        Some("teams_name_key") => Error::invalid(format!("Name is already taken: {name}")),
        Some("apps_team_fkey") => {
            Error::conflict(format!("Team {name} still has apps. Destroy or transfer them first."))
        }
        _ => err.into(),
    }
}

/// `GET /teams`
pub async fn team_list(actor: Actor, headers: HeaderMap) -> Result<Response> {
    let range = pages::requested(&headers, &store::teams::LIST)?;
    let page = actor.teams(&range).await?;
    Ok(pages::respond(&store::teams::LIST, &range, page.map(|team| shown(&team))))
}

/// `POST /teams`: the creator becomes its admin, and is charged for its usage of the machine.
pub async fn team_create(
    actor: Actor,
    Input(create): Input<api::teams::TeamCreate>,
) -> Result<Created<api::teams::Team>> {
    actor.must_be_a_person().await?;
    check_name(&create.name)?;
    let (id, now, name) = (TeamId::now_v7(), Utc::now(), create.name.as_str());
    let mut tx = actor.change(subjects::team(id, name)).await?;
    quotas::admit(&mut tx, quotas::owner(Some(actor.account.id), None), Quota::Teams, 1).await?;
    store::teams::team_create(&mut *tx, id, name, actor.account.id, now).await.map_err(|err| name_taken(err, name))?;
    let (member, admin) = (TeamMemberId::now_v7(), Role::Admin);
    store::team_members::team_member_save(&mut *tx, member, id, actor.account.id, admin, now).await?;
    note(&mut tx, "team.create", format!("Created the team {name}."), id);
    tx.commit().await?;
    Ok(Created(shown(&actor.team(name, InTeam::See).await?)))
}

fn note(tx: &mut Change, action: &str, summary: String, team: TeamId) {
    tx.record(action, summary, serde_json::json!({ "team": team }));
}

/// `GET /teams/{team}`
pub async fn team_info(actor: Actor, Path(team): Path<String>) -> Result<Json<api::teams::Team>> {
    Ok(Json(shown(&actor.team(&team, InTeam::See).await?)))
}

/// `PATCH /teams/{team}`: admins can rename it, administrators of the platform decide whether it can invite.
pub async fn team_update(
    actor: Actor,
    Path(team): Path<String>,
    Input(update): Input<api::teams::TeamUpdate>,
) -> Result<Json<api::teams::Team>> {
    let team = actor.team(&team, InTeam::Administer).await?;
    if let Some(invites) = update.invites.filter(|invites| *invites != team.invites) {
        actor.must_administer()?;
        let mut tx = actor.change(subjects::team(team.id, &team.name)).await?;
        store::teams::team_invites(&mut *tx, team.id, invites, Utc::now()).await?;
        let word = if invites { "can" } else { "can no longer" };
        let summary = format!("Admins of the team {} {word} invite new users.", team.name);
        note(&mut tx, "team.update", summary, team.id);
        tx.commit().await?;
    }
    if let Some(name) = update.name.filter(|name| *name != team.name) {
        check_name(&name)?;
        let mut tx = actor.change(subjects::team(team.id, &team.name)).await?;
        let renamed = store::teams::team_rename(&mut *tx, team.id, &name, Utc::now()).await;
        renamed.map_err(|err| name_taken(err, &name))?;
        store::identity_providers::identity_rules_follow_team(&mut tx, &team.name, &name).await?;
        let summary = format!("Renamed the team {} to {name}.", team.name);
        note(&mut tx, "team.update", summary, team.id);
        tx.commit().await?;
    }
    Ok(Json(shown(&actor.team(&team.id.to_string(), InTeam::See).await?)))
}

/// `DELETE /teams/{team}`: only when it has no apps.
pub async fn team_delete(actor: Actor, Path(team): Path<String>) -> Result<Json<api::teams::Team>> {
    let team = actor.team(&team, InTeam::Administer).await?;
    let mut tx = actor.change(subjects::team(team.id, &team.name)).await?;
    let named = store::identity_providers::identity_provider_list_by_team(&mut *tx, &team.name).await?;
    if !named.is_empty() {
        return Err(Error::conflict(format!(
            "Rules of {} add people to the team {}. Ask a platform administrator to change them first.",
            named.join(" and "),
            team.name
        )));
    }
    for member in store::team_members::team_member_accounts(&mut *tx, team.id).await? {
        tx.also_concerns(Concerned::Account(member));
    }
    let waiting = invitation_policy::hold_of_team(&mut tx, team.id).await?;
    for bot in store::service_accounts::service_account_retire_all(&mut tx, team.id, Utc::now()).await? {
        tx.publish_end_of(bot);
    }
    if !store::teams::team_delete(&mut *tx, team.id).await.map_err(|err| name_taken(err, &team.name))? {
        return Err(Error::no_team());
    }
    note(&mut tx, "team.delete", format!("Removed the team {}.", team.name), team.id);
    invitation_policy::release_all(&mut tx, &waiting).await?;
    tx.commit().await?;
    Ok(Json(shown(&team)))
}

/// `GET /teams/{team}/features`: access is granted per app.
pub async fn team_feature_list(actor: Actor, Path(team): Path<String>) -> Result<Json<Vec<serde_json::Value>>> {
    let team = actor.team(&team, InTeam::See).await?;
    Ok(Json(vec![serde_json::json!({
        "id": named_id("team feature org-access-controls"),
        "name": "org-access-controls",
        "display_name": "Permissions per app",
        "description": "Members have permissions per app.",
        "doc_url": "",
        "feedback_email": "",
        "enabled": true,
        "state": "general",
        "created_at": team.created_at,
        "updated_at": team.created_at,
    })]))
}

/// `GET /teams/{team}/access`: all members, and all apps that are visible to the caller.
pub async fn team_access_list(
    State(base): State<Base>,
    actor: Actor,
    Path(team): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let team = actor.team(&team, InTeam::See).await?;
    let range = pages::requested(&headers, &store::team_members::ACCESS_LIST)?;
    let permissions = seeing();
    let viewer = actor.viewer(&permissions);
    let page = store::team_members::team_access_list(base.db(), team.id, &viewer, &range).await?;
    Ok(pages::respond(&store::team_members::ACCESS_LIST, &range, page.map(access)))
}

fn access(row: OnApp) -> api::teams::TeamAccess {
    let role = row.role;
    let by_role = match role {
        Some(role) if !row.locked || role == Role::Admin => role.permissions(),
        _ => &[],
    };
    // Permissions granted to an admin have no effect.
    let given = row.permissions.filter(|_| role != Some(Role::Admin));
    api::teams::TeamAccess {
        app: api::refs::Ref { id: row.app_id.into(), name: row.app },
        locked: row.locked,
        user: api::refs::UserRef { id: row.account_id.into(), email: row.email },
        explicit: given.is_some(),
        permissions: given.unwrap_or_else(|| by_role.iter().map(|p| (*p).to_owned()).collect()),
    }
}
