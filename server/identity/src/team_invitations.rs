//! Team invitations, which invitees accept or decline.

use api::ids::{AccountId, TeamId, TeamInvitationId, TeamMemberId};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{Base, Change, Error, Result, pages, web::Input};
use chrono::{Duration, Utc};
use store::{
    mails::About,
    team_invitations::{LIST, New, Row},
};

use crate::{access::InTeam, actor::Actor, invitation_policy, mails, row_limits, subjects, team_members};

/// The validity of an invitation; it can be sent again.
const LIFE: Duration = Duration::days(14);

fn shown(row: Row) -> api::team_invitations::TeamInvitation {
    use api::team_members::TeamUser;
    api::team_invitations::TeamInvitation {
        id: row.id,
        team: api::refs::Ref { id: row.team_id.into(), name: row.team },
        user: TeamUser { id: row.account_id, email: row.email, name: row.name },
        invited_by: TeamUser {
            id: row.invited_by.unwrap_or_default(),
            email: row.inviter_email.unwrap_or_default(),
            name: row.inviter_name,
        },
        role: row.role,
        created_at: row.created_at,
        updated_at: row.updated_at,
        expires_at: row.expires_at,
        mail: row.mail_state.zip(row.mail_updated_at).map(|(state, updated_at)| api::mails::Mail {
            state,
            error: row.mail_error,
            updated_at,
        }),
    }
}

/// As invitees see it: without the answers of the mail server.
fn shown_to_invitee(row: Row) -> api::team_invitations::TeamInvitation {
    api::team_invitations::TeamInvitation { mail: None, ..shown(row) }
}

/// There is no such invitation.
pub(crate) fn missing() -> Error {
    Error::not_found("team_invitation", "Couldn't find that invitation.")
}

/// `GET /teams/{team}/invitations`
pub async fn team_invitation_list(
    State(base): State<Base>,
    actor: Actor,
    Path(team): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let team = actor.team(&team, InTeam::Administer).await?;
    listed(&base, &headers, Some(team.id), None).await
}

/// `GET /account/team-invitations`: those to the caller.
pub async fn team_invitation_list_own(State(base): State<Base>, actor: Actor, headers: HeaderMap) -> Result<Response> {
    listed(&base, &headers, None, Some(actor.account.id)).await
}

async fn listed(
    base: &Base,
    headers: &HeaderMap,
    team: Option<TeamId>,
    account: Option<AccountId>,
) -> Result<Response> {
    let range = pages::requested(headers, &LIST)?;
    let page = store::team_invitations::team_invitation_list(base.db(), team, account, &range).await?;
    Ok(pages::respond(&LIST, &range, page.map(if account.is_some() { shown_to_invitee } else { shown })))
}

/// `PUT /teams/{team}/invitations`: invites, or renews an invitation.
pub async fn team_invitation_save(
    State(base): State<Base>,
    actor: Actor,
    Path(team): Path<String>,
    Input(save): Input<api::team_members::TeamMemberSave>,
) -> Result<Json<api::team_invitations::TeamInvitation>> {
    let team = actor.team(&team, InTeam::Administer).await?;
    let role = team_members::role(&save.role)?;
    let now = Utc::now();
    let mut tx = actor.change(subjects::team(team.id, &team.name)).await?;
    let account = invitation_policy::find_or_invite(&mut tx, &actor, Some(team.id), &save.email).await?;
    let member = store::team_members::team_member_info(&mut *tx, team.id, &account.id.to_string()).await?;
    if let Some(member) = member {
        return Err(Error::invalid(format!("{} is already {} of the team.", account.email, member.role)));
    }
    if store::service_accounts::service_account_exists(&mut *tx, account.id).await? {
        return Err(Error::invalid("A service account can only be in the team that created it."));
    }
    // Renewing an invitation does not add one.
    if store::team_invitations::team_invitation_of(&mut *tx, team.id, &account.id.to_string()).await?.is_none() {
        row_limits::admit(&mut tx, &row_limits::TEAM_INVITATIONS, team.id).await?;
    }
    let new = New {
        id: TeamInvitationId::now_v7(),
        team: team.id,
        account: account.id,
        role,
        invited_by: actor.account.id,
        expires_at: now + LIFE,
        now,
    };
    store::team_invitations::team_invitation_save(&mut *tx, &new).await?;
    let summary = format!("Invited {} as {role}.", account.email);
    note(&mut tx, "team_invitation.create", summary, (team.id, account.id));
    let who = account.id.to_string();
    let saved = store::team_invitations::team_invitation_of(&mut *tx, team.id, &who).await?.ok_or_else(missing)?;
    mails::mail_queue(&mut tx, &actor, About::TeamInvitation(saved.id), &account).await?;
    tx.commit().await?;
    let row = store::team_invitations::team_invitation_of(base.db(), team.id, &who).await?;
    Ok(Json(shown(row.ok_or_else(missing)?)))
}

fn note(tx: &mut Change, action: &str, summary: String, (team, account): (TeamId, AccountId)) {
    tx.record(action, summary, serde_json::json!({ "team": team, "account": account }));
}

/// Deletes an invitation; fails if that has already happened.
async fn take(tx: &mut sqlx::PgConnection, row: &Row) -> Result<()> {
    match store::team_invitations::team_invitation_delete(tx, row.id).await? {
        true => Ok(()),
        false => Err(missing()),
    }
}

/// `DELETE /teams/{team}/invitations/{invitation}`: by id or address.
pub async fn team_invitation_delete(
    State(base): State<Base>,
    actor: Actor,
    Path((team, which)): Path<(String, String)>,
) -> Result<Json<api::team_invitations::TeamInvitation>> {
    let team = actor.team(&team, InTeam::Administer).await?;
    let row = store::team_invitations::team_invitation_of(base.db(), team.id, &which).await?;
    let row = row.ok_or_else(missing)?;
    let mut tx = actor.change(subjects::team(team.id, &team.name)).await?;
    invitation_policy::hold(&mut tx, row.account_id).await?;
    take(&mut tx, &row).await?;
    let summary = format!("Cancelled the invitation of {}.", row.email);
    note(&mut tx, "team_invitation.delete", summary, (team.id, row.account_id));
    invitation_policy::release(&mut tx, row.account_id).await?;
    tx.commit().await?;
    Ok(Json(shown(row)))
}

/// The invitation with this id, if it is to the caller.
async fn own(base: &Base, actor: &Actor, id: &str) -> Result<Row> {
    let id: TeamInvitationId = id.parse().map_err(|_| missing())?;
    let row = store::team_invitations::team_invitation_info(base.db(), id).await?;
    row.filter(|row| row.account_id == actor.account.id).ok_or_else(missing)
}

/// `GET /teams/invitations/{invitation}`: for the invitee.
pub async fn team_invitation_info(
    State(base): State<Base>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<api::team_invitations::TeamInvitation>> {
    Ok(Json(shown_to_invitee(own(&base, &actor, &id).await?)))
}

/// `POST /teams/invitations/{invitation}/accept`
pub async fn team_invitation_accept(
    State(base): State<Base>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<api::team_invitations::TeamInvitation>> {
    let row = own(&base, &actor, &id).await?;
    let now = Utc::now();
    if row.expires_at < now {
        return Err(Error::gone(format!(
            "This invitation is no longer valid. Ask an admin of {} for another.",
            row.team
        )));
    }
    let mut tx = actor.change(subjects::team(row.team_id, &row.team)).await?;
    invitation_policy::hold(&mut tx, row.account_id).await?;
    actor.lock_team(&mut tx, row.team_id).await?;
    take(&mut tx, &row).await?;
    // A role assigned in the meantime stays: an old invitation neither raises nor lowers it.
    let member = store::team_members::team_member_info(&mut *tx, row.team_id, &row.account_id.to_string()).await?;
    if let Some(member) = member {
        return Err(Error::invalid(format!("You are already {} of the team {}.", member.role, row.team)));
    }
    row_limits::admit(&mut tx, &row_limits::TEAM_MEMBERS, row.team_id).await?;
    store::team_members::team_member_save(&mut *tx, TeamMemberId::now_v7(), row.team_id, row.account_id, row.role, now)
        .await?;
    let summary = format!("Accepted the invitation as {}.", row.role);
    note(&mut tx, "team_invitation.accept", summary, (row.team_id, row.account_id));
    tx.commit().await?;
    Ok(Json(shown_to_invitee(row)))
}

/// `POST /teams/invitations/{invitation}/decline`
pub async fn team_invitation_decline(
    State(base): State<Base>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<api::team_invitations::TeamInvitation>> {
    let row = own(&base, &actor, &id).await?;
    let mut tx = actor.change(subjects::team(row.team_id, &row.team)).await?;
    take(&mut tx, &row).await?;
    let summary = "Declined the invitation.".to_owned();
    note(&mut tx, "team_invitation.decline", summary, (row.team_id, row.account_id));
    tx.commit().await?;
    Ok(Json(shown_to_invitee(row)))
}
