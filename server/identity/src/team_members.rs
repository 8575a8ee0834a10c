//! Team members and their roles. A team always has an admin.

use api::ids::{AccountId, TeamMemberId};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{
    Base, Error, Result, pages,
    web::{Created, Input},
};
use chrono::Utc;
use store::team_members::{LIST, Row};

use crate::{
    access::{InTeam, Team},
    actor::Actor,
    invitation_policy,
    quotas::{self, Quota},
    rights::Role,
    row_limits, subjects,
};

fn shown(row: &Row) -> api::team_members::TeamMember {
    api::team_members::TeamMember {
        id: row.id,
        email: row.email.clone(),
        role: row.role,
        federated: false,
        two_factor_authentication: false,
        identity_provider: None,
        user: api::team_members::TeamUser { id: row.account_id, email: row.email.clone(), name: row.name.clone() },
        created_at: row.created_at,
        updated_at: row.updated_at,
        service: row.service.is_some(),
        last_login: row.last_login,
        given_by: row.given_by,
    }
}

pub fn missing() -> Error {
    Error::not_found("team_member", "Couldn't find that member of the team.")
}

/// The role of this name.
pub fn role(name: &str) -> Result<Role> {
    Role::named(name)
        .ok_or_else(|| Error::invalid(format!("Role {name:?} does not exist. Valid roles: admin, member, viewer.")))
}

pub async fn find(base: &Base, team: &Team, who: &str) -> Result<Row> {
    store::team_members::team_member_info(base.db(), team.id, who).await?.ok_or_else(missing)
}

/// `GET /teams/{team}/members`
pub async fn team_member_list(
    State(base): State<Base>,
    actor: Actor,
    Path(team): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let team = actor.team(&team, InTeam::See).await?;
    let range = pages::requested(&headers, &LIST)?;
    let page = store::team_members::team_member_list(base.db(), team.id, &range).await?;
    Ok(pages::respond(&LIST, &range, page.map(|row| shown(&row))))
}

/// `POST /teams/{team}/members`
pub async fn team_member_create(
    state: State<Base>,
    actor: Actor,
    team: Path<String>,
    save: Input<api::team_members::TeamMemberSave>,
) -> Result<Created<api::team_members::TeamMember>> {
    Ok(Created(team_member_save(state, actor, team, save).await?.0))
}

/// `PUT /teams/{team}/members`: adds a member or changes a role, which providers' rules no longer change. An email
/// address without an account gets one, which cannot be used until somebody proves ownership of the address.
pub async fn team_member_save(
    State(base): State<Base>,
    actor: Actor,
    Path(team): Path<String>,
    Input(save): Input<api::team_members::TeamMemberSave>,
) -> Result<Json<api::team_members::TeamMember>> {
    let team = actor.team(&team, InTeam::Administer).await?;
    let role = role(&save.role)?;
    let now = Utc::now();
    let mut tx = actor.change(subjects::team(team.id, &team.name)).await?;
    let account = invitation_policy::find_or_invite(&mut tx, &actor, Some(team.id), &save.email).await?;
    let old = store::team_members::team_member_info(&mut *tx, team.id, &account.id.to_string()).await?;
    let is_service = store::service_accounts::service_account_exists(&mut *tx, account.id).await?;
    if is_service && (old.is_none() || role == Role::Admin) {
        return Err(Error::invalid("A service account can only be member or viewer of the team that created it."));
    }
    actor.lock_team(&mut tx, team.id).await?;
    if old.is_none() {
        row_limits::admit(&mut tx, &row_limits::TEAM_MEMBERS, team.id).await?;
    }
    store::team_members::team_member_save(&mut *tx, TeamMemberId::now_v7(), team.id, account.id, role, now).await?;
    keeps_an_admin(&mut tx, &team).await?;
    if role != Role::Admin && account.id != actor.account.id {
        take_over(&mut tx, &team, account.id, &actor).await?;
    }
    let (action, summary) = match &old {
        None => ("team_member.create", format!("Added {} to the team as {role}.", account.email)),
        Some(old) => {
            ("team_member.update", format!("Changed the role of {} from {} to {role}.", account.email, old.role))
        }
    };
    let data = serde_json::json!({ "team": team.id, "account": account.id, "role": role });
    tx.record(action, summary, data);
    tx.commit().await?;
    Ok(Json(shown(&find(&base, &team, &account.id.to_string()).await?)))
}

/// Fails if the team would be left without an admin.
async fn keeps_an_admin(tx: &mut sqlx::PgConnection, team: &Team) -> Result<()> {
    if store::team_members::team_member_count_admins(tx, team.id).await? > 0 {
        return Ok(());
    }
    let name = &team.name;
    Err(Error::invalid(format!("The team {name} needs at least one admin. Make somebody else an admin first.")))
}

/// Makes the caller responsible for what `maker`, who is no longer an admin, has created. If that includes the team,
/// the caller needs the quota for it.
async fn take_over(tx: &mut sqlx::PgConnection, team: &Team, maker: AccountId, actor: &Actor) -> Result<()> {
    let by = actor.account.id;
    if store::teams::team_take_over(&mut *tx, team.id, maker, by).await? {
        quotas::admit(tx, quotas::owner(Some(by), None), Quota::Teams, 0).await?;
    }
    Ok(())
}

/// `PATCH /teams/{team}/members`: changes a member's role.
pub async fn team_member_update(
    State(base): State<Base>,
    actor: Actor,
    Path(team): Path<String>,
    Input(save): Input<api::team_members::TeamMemberSave>,
) -> Result<Json<api::team_members::TeamMember>> {
    let found = actor.team(&team, InTeam::Administer).await?;
    let member = find(&base, &found, &save.email).await?;
    let save = api::team_members::TeamMemberSave { email: member.email, role: save.role };
    team_member_save(State(base), actor, Path(team), Input(save)).await
}

/// `DELETE /teams/{team}/members/{member}`: by an admin, or by the member. Providers' rules do not add them again.
pub async fn team_member_delete(
    State(base): State<Base>,
    actor: Actor,
    Path((team, who)): Path<(String, String)>,
) -> Result<Json<api::team_members::TeamMember>> {
    let found = actor.team(&team, InTeam::See).await?;
    let who = if who == "~" { actor.account.id.to_string() } else { who };
    let member = find(&base, &found, &who).await;
    let is_self = member.as_ref().is_ok_and(|m| m.account_id == actor.account.id);
    if !is_self {
        actor.team(&team, InTeam::Administer).await?;
    }
    let member = member?;
    if member.service.is_some() {
        return Err(Error::invalid(format!(
            "{} is a service account. Remove it with DELETE /teams/{}/service-accounts/{}.",
            member.email, found.name, member.account_id
        )));
    }
    let mut tx = actor.change(subjects::team(found.id, &found.name)).await?;
    let is_here = invitation_policy::hold(&mut tx, member.account_id).await?;
    actor.lock_team(&mut tx, found.id).await?;
    // It may have been removed concurrently.
    let account = member.account_id.to_string();
    if !is_here || store::team_members::team_member_info(&mut *tx, found.id, &account).await?.is_none() {
        return Err(missing());
    }
    store::team_members::team_member_delete(&mut tx, found.id, member.account_id).await?;
    store::team_members::team_member_block(&mut *tx, TeamMemberId::now_v7(), found.id, member.account_id, Utc::now())
        .await?;
    keeps_an_admin(&mut tx, &found).await?;
    if !is_self {
        take_over(&mut tx, &found, member.account_id, &actor).await?;
    }
    let summary = match is_self {
        true => format!("Left the team {}.", found.name),
        false => format!("Removed {} from the team.", member.email),
    };
    let data = serde_json::json!({ "team": found.id, "account": member.account_id });
    tx.record("team_member.delete", summary, data);
    invitation_policy::release(&mut tx, member.account_id).await?;
    tx.commit().await?;
    Ok(Json(shown(&member)))
}
