//! App transfers: an app of a person or a team is offered to a person, who accepts or declines.

use api::{
    app_transfers::TransferState,
    ids::{AccountId, AppTransferId, CollaboratorId},
};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{
    Change, Error, Result, Subject, pages,
    web::{Created, Input},
};
use chrono::Utc;
use identity::{
    Actor, App, Can, Rights, Role, RoleRights as _, mails,
    next_steps::{self, Given},
    quotas, row_limits,
};
use sqlx::PgConnection;
use store::{
    app_transfers::{LIST, Row},
    mails::About,
};

use crate::{Platform, app_refs};

fn shown(row: Row) -> api::app_transfers::AppTransfer {
    api::app_transfers::AppTransfer {
        id: row.id,
        app: api::refs::Ref { id: row.app_id.into(), name: row.app },
        owner: api::refs::UserRef { id: row.owner_id.into(), email: row.owner_email },
        recipient: api::refs::UserRef { id: row.recipient_id.into(), email: row.recipient_email },
        state: row.state,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn missing() -> Error {
    Error::not_found("app_transfer", "Couldn't find that app transfer.")
}

/// The transfer with this id, or the open one of the app with this name, if the caller is involved.
async fn find(platform: &Platform, actor: &Actor, which: &str) -> Result<Row> {
    store::app_transfers::app_transfer_info(platform.db(), actor.account.id, which).await?.ok_or_else(missing)
}

fn note(tx: &mut Change, action: &str, row: &Row, summary: String) {
    let data = serde_json::json!({ "app_transfer": row.id, "owner": row.owner_id, "recipient": row.recipient_id });
    tx.record(action, summary, data);
}

/// `GET /account/app-transfers`: those to and from the caller.
pub async fn app_transfer_list(State(platform): State<Platform>, actor: Actor, headers: HeaderMap) -> Result<Response> {
    let range = pages::requested(&headers, &LIST)?;
    let page = store::app_transfers::app_transfer_list(platform.db(), actor.account.id, &range).await?;
    Ok(pages::respond(&LIST, &range, page.map(shown)))
}

/// `POST /account/app-transfers`; some clients `PUT`.
pub async fn app_transfer_create(
    actor: Actor,
    Input(create): Input<api::app_transfers::AppTransferCreate>,
) -> Result<Created<api::app_transfers::AppTransfer>> {
    let (Some(app), Some(recipient)) = (create.app, create.recipient) else {
        return Err(Error::invalid("app and recipient are required."));
    };
    let app = actor.app(&app, Can::Manage).await?;
    if app.team_id.is_some() {
        must_speak_for_team(&actor, &app)?;
    }
    let owner = app.owner_id.unwrap_or(actor.account.id);
    let mut tx = actor.change(Subject::app(app.id, &app.name)).await?;
    let person = match recipient.parse::<AccountId>() {
        Ok(id) => store::accounts::account_info(&mut *tx, id).await?,
        Err(_) => store::accounts::account_by_email(&mut *tx, &recipient).await?,
    };
    let unknown = || Error::invalid(format!("There is no account {recipient} on this platform."));
    let person = person.ok_or_else(unknown)?;
    // A user who has never signed in cannot accept, and an offer must not keep their account from being removed.
    let has_come = store::accounts::account_is_invited(&mut *tx, person.id).await? == Some(false);
    if !has_come || store::service_accounts::service_account_exists(&mut *tx, person.id).await? {
        return Err(unknown());
    }
    if app.owner_id == Some(person.id) {
        return Err(Error::invalid(format!("App {} already belongs to {}.", app.name, person.email)));
    }
    if app.team_id.is_some() {
        // An admin may replace another admin's offer.
        app_refs::concern_everybody(&mut tx, app.id).await?;
        store::app_transfers::app_transfer_delete_pending(&mut *tx, app.id).await?;
    }
    let id = AppTransferId::now_v7();
    let made = store::app_transfers::app_transfer_create(&mut *tx, id, app.id, owner, person.id, Utc::now()).await;
    made.map_err(|err| match store::broken_constraint(&err).as_deref() {
        Some("app_transfers_pending_key") => {
            Error::invalid(format!("App {} already has a pending transfer. Cancel it first.", app.name))
        }
        _ => err.into(),
    })?;
    store::app_transfers::app_transfer_trim(&mut *tx, app.id, row_limits::MOST_KEPT).await?;
    let row = store::app_transfers::app_transfer_info(&mut *tx, owner, &id.to_string()).await?.ok_or_else(missing)?;
    note(&mut tx, "app_transfer.create", &row, format!("Offered the app to {}.", person.email));
    mails::mail_queue(&mut tx, &actor, About::AppTransfer(id), &person).await?;
    tx.commit().await?;
    Ok(Created(shown(row)))
}

/// Only an admin of its team, with an unrestricted token, can offer an app of the team to a person.
fn must_speak_for_team(actor: &Actor, app: &App) -> Result<()> {
    app.must_have(Rights::ALL)?;
    if actor.account.admin || app.role() == Some(Role::Admin) {
        return Ok(());
    }
    let team = app.team.as_deref().unwrap_or_default();
    Err(Error::forbidden(format!("Only an admin of the team {team} can offer app {} to somebody.", app.name)))
}

/// Whether the account that offered the app may still transfer it: it is the owner, or an admin of the owning team.
async fn is_still_theirs(tx: &mut PgConnection, row: &Row, app: &store::apps::Row) -> Result<bool> {
    let Some(team) = app.team_id else { return Ok(app.owner_id == Some(row.owner_id)) };
    let Some(by) = store::accounts::account_info(&mut *tx, row.owner_id).await? else { return Ok(false) };
    let member = store::team_members::team_member_info(&mut *tx, team, &by.id.to_string()).await?;
    Ok(by.admin || member.is_some_and(|member| member.role == Role::Admin))
}

/// It has already been accepted or declined, perhaps concurrently.
fn over() -> Error {
    Error::conflict("This transfer has already been accepted or declined.")
}

/// `GET /account/app-transfers/{transfer}`
pub async fn app_transfer_info(
    State(platform): State<Platform>,
    actor: Actor,
    Path(which): Path<String>,
) -> Result<Json<api::app_transfers::AppTransfer>> {
    Ok(Json(shown(find(&platform, &actor, &which).await?)))
}

/// `GET /account/app-transfers/{transfer}/next-step`: for whoever offered the app.
pub async fn app_transfer_next_step(
    State(platform): State<Platform>,
    actor: Actor,
    Path(which): Path<String>,
) -> Result<Json<api::next_steps::NextStep>> {
    let row = find(&platform, &actor, &which).await?;
    if row.owner_id != actor.account.id {
        return Err(Error::forbidden(format!("Only {} can see this.", row.owner_email)));
    }
    let then = "They accept or decline the app on the page Teams.";
    let given = Given { path: "/teams", then, about: Some(About::AppTransfer(row.id)) };
    Ok(Json(next_steps::next_step(&platform, row.recipient_id, given).await?))
}

/// `PATCH /account/app-transfers/{transfer}`: the recipient accepts or declines.
pub async fn app_transfer_update(
    State(platform): State<Platform>,
    actor: Actor,
    Path(which): Path<String>,
    Input(update): Input<api::app_transfers::AppTransferUpdate>,
) -> Result<Json<api::app_transfers::AppTransfer>> {
    let row = find(&platform, &actor, &which).await?;
    if row.recipient_id != actor.account.id {
        return Err(Error::forbidden(format!("Only {} can accept or decline this.", row.recipient_email)));
    }
    let state = match TransferState::named(&update.state) {
        Some(state) if state.has_ended() => state,
        _ => return Err(Error::invalid(format!("state must be accepted or declined, not {:?}.", update.state))),
    };
    let now = Utc::now();
    let mut tx = actor.change(Subject::app(row.app_id, &row.app)).await?;
    // The app is locked before its transfers, as everywhere.
    actor.lock_app(&mut tx, row.app_id).await?;
    if !store::app_transfers::app_transfer_end(&mut *tx, row.id, state, now).await? {
        return Err(over());
    }
    let accepts = state == TransferState::Accepted;
    if accepts {
        app_refs::concern_everybody(&mut tx, row.app_id).await?;
        accept(&mut tx, &row).await?;
    }
    let (action, verb) =
        if accepts { ("app_transfer.accept", "Accepted") } else { ("app_transfer.decline", "Declined") };
    note(&mut tx, action, &row, format!("{verb} the transfer of the app from {}.", row.owner_email));
    tx.commit().await?;
    Ok(Json(shown(find(&platform, &actor, &row.id.to_string()).await?)))
}

/// Transfers the app to the recipient. A person who has given it away remains a collaborator; collaborators that a team
/// has added are removed, since the new owner has not.
async fn accept(tx: &mut PgConnection, row: &Row) -> Result<()> {
    let now = Utc::now();
    let app = store::apps::app_info(&mut *tx, row.app_id).await?.ok_or_else(missing)?;
    if !is_still_theirs(tx, row, &app).await? {
        return Err(Error::conflict(format!("The owner of app {} has changed.", row.app)));
    }
    store::apps::app_set_owner(&mut *tx, row.app_id, Some(row.recipient_id), None, now).await?;
    quotas::admit_all(tx, quotas::owner(Some(row.recipient_id), None)).await?;
    if app.team_id.is_some() {
        store::collaborators::collaborator_delete_all(&mut *tx, row.app_id).await?;
        return Ok(());
    }
    store::collaborators::collaborator_delete(&mut *tx, row.app_id, row.recipient_id).await?;
    let usual: Vec<String> = Role::Member.permissions().iter().map(|p| (*p).to_owned()).collect();
    let id = CollaboratorId::now_v7();
    store::collaborators::collaborator_save(&mut *tx, id, row.app_id, row.owner_id, &usual, now).await?;
    Ok(())
}

/// `DELETE /account/app-transfers/{transfer}`: the sender withdraws it.
pub async fn app_transfer_delete(
    State(platform): State<Platform>,
    actor: Actor,
    Path(which): Path<String>,
) -> Result<Json<api::app_transfers::AppTransfer>> {
    let row = find(&platform, &actor, &which).await?;
    if row.owner_id != actor.account.id {
        return Err(Error::forbidden(format!(
            "Only {} can cancel this transfer. Decline it instead.",
            row.owner_email
        )));
    }
    let mut tx = actor.change(Subject::app(row.app_id, &row.app)).await?;
    if !store::app_transfers::app_transfer_delete(&mut *tx, row.id).await? {
        return Err(over());
    }
    note(&mut tx, "app_transfer.delete", &row, format!("Cancelled the transfer to {}.", row.recipient_email));
    tx.commit().await?;
    Ok(Json(shown(row)))
}
