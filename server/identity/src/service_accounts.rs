//! Service accounts: programs that are members of a team. They cannot sign in; an admin of the team creates their
//! tokens, with a scope and an expiry.

use api::ids::{AccountId, AuthorizationId, TeamMemberId};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{
    Base, Change, Error, Result, pages,
    web::{Created, Input},
};
use chrono::Utc;
use store::{
    authorizations as tokens,
    service_accounts::{LIST, Row},
};

use crate::{
    access::{InTeam, Team},
    actor::Actor,
    authorizations,
    quotas::{self, Quota},
    rights::Role,
    subjects, team_members,
};

fn shown(row: Row) -> api::service_accounts::ServiceAccount {
    api::service_accounts::ServiceAccount {
        id: row.id,
        name: row.name,
        email: row.email,
        role: row.role,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

async fn find(base: &Base, team: &Team, which: &str) -> Result<Row> {
    let row = store::service_accounts::service_account_info(base.db(), team.id, which).await?;
    row.ok_or_else(missing)
}

fn missing() -> Error {
    Error::not_found("service_account", "Couldn't find that service account.")
}

fn note(tx: &mut Change, action: &str, summary: String, team: &Team, account: AccountId) {
    tx.record(action, summary, serde_json::json!({ "team": team.id, "account": account }));
}

/// `GET /teams/{team}/service-accounts`
pub async fn service_account_list(
    State(base): State<Base>,
    actor: Actor,
    Path(team): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    let team = actor.team(&team, InTeam::See).await?;
    let range = pages::requested(&headers, &LIST)?;
    let page = store::service_accounts::service_account_list(base.db(), team.id, &range).await?;
    Ok(pages::respond(&LIST, &range, page.map(shown)))
}

/// `POST /teams/{team}/service-accounts`
pub async fn service_account_create(
    State(base): State<Base>,
    actor: Actor,
    Path(team): Path<String>,
    Input(create): Input<api::service_accounts::ServiceAccountCreate>,
) -> Result<Created<api::service_accounts::ServiceAccount>> {
    let team = actor.team(&team, InTeam::Administer).await?;
    let (id, now, name) = (AccountId::now_v7(), Utc::now(), create.name.as_str());
    let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.is_empty() || name.len() > 30 || !name.bytes().all(letters) {
        return Err(Error::invalid(
            "The name of a service account must have 1 to 30 lower-case letters, digits and dashes.",
        ));
    }
    let role = create.role.as_deref().map_or(Ok(Role::Member), team_members::role)?;
    if role == Role::Admin {
        return Err(Error::invalid("The role of a service account must be member or viewer."));
    }
    let account = store::accounts::Row {
        id,
        // `invalid` never resolves, so nobody can prove ownership of this address and sign in.
        email: format!("{name}@{}.invalid", team.name),
        name: Some(name.into()),
        admin: false,
        last_login: None,
        created_at: now,
        updated_at: now,
    };
    let taken = |err: sqlx::Error| match store::broken_constraint(&err).as_deref() {
        Some("accounts_email_key" | "service_accounts_name_key") => {
            Error::invalid(format!("Name is already taken: {name}"))
        }
        _ => err.into(),
    };
    let mut tx = actor.change(subjects::team(team.id, &team.name)).await?;
    quotas::admit(&mut tx, quotas::owner(None, Some(team.id)), Quota::ServiceAccounts, 1).await?;
    store::accounts::account_create(&mut *tx, &account).await.map_err(taken)?;
    let by = actor.account.id;
    store::service_accounts::service_account_create(&mut *tx, id, team.id, name, by, now).await.map_err(taken)?;
    store::team_members::team_member_save(&mut *tx, TeamMemberId::now_v7(), team.id, id, role, now).await?;
    let summary = format!("Created the service account {name} as {role}.");
    note(&mut tx, "service_account.create", summary, &team, id);
    tx.commit().await?;
    Ok(Created(shown(find(&base, &team, &id.to_string()).await?)))
}

/// `DELETE /teams/{team}/service-accounts/{account}`
pub async fn service_account_delete(
    State(base): State<Base>,
    actor: Actor,
    Path((team, which)): Path<(String, String)>,
) -> Result<Json<api::service_accounts::ServiceAccount>> {
    let team = actor.team(&team, InTeam::Administer).await?;
    let row = find(&base, &team, &which).await?;
    let mut tx = actor.change(subjects::team(team.id, &team.name)).await?;
    if !store::service_accounts::service_account_retire(&mut tx, row.id, Utc::now()).await? {
        return Err(missing());
    }
    let summary = format!("Removed the service account {}.", row.name);
    note(&mut tx, "service_account.delete", summary, &team, row.id);
    tx.publish_end_of(row.id);
    tx.commit().await?;
    Ok(Json(shown(row)))
}

fn owner(row: &Row) -> api::authorizations::AuthorizationUser {
    api::authorizations::AuthorizationUser { id: row.id, email: row.email.clone(), full_name: Some(row.name.clone()) }
}

/// `GET /teams/{team}/service-accounts/{account}/authorizations`
pub async fn authorization_list(
    State(base): State<Base>,
    actor: Actor,
    Path((team, which)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let team = actor.team(&team, InTeam::Administer).await?;
    let account = find(&base, &team, &which).await?;
    let range = pages::requested(&headers, &tokens::LIST)?;
    let page = tokens::authorization_list(base.db(), account.id, Utc::now(), &range).await?;
    let mut page = page.map(|listed| authorizations::shown(listed.row, owner(&account), None));
    authorizations::add_names(&mut page.rows, &actor).await?;
    Ok(pages::respond(&tokens::LIST, &range, page))
}

/// `POST /teams/{team}/service-accounts/{account}/authorizations`: only this response contains the token.
pub async fn authorization_create(
    State(base): State<Base>,
    actor: Actor,
    Path((team, which)): Path<(String, String)>,
    Input(create): Input<api::authorizations::AuthorizationCreate>,
) -> Result<Created<api::authorizations::Authorization>> {
    let team = actor.team(&team, InTeam::Administer).await?;
    let account = find(&base, &team, &which).await?;
    let (row, token) = authorizations::new_token(create, account.id, &actor).await?;
    let mut tx = actor.change(subjects::team(team.id, &team.name)).await?;
    authorizations::admit(&mut tx, account.id, &actor).await?;
    store::authorizations::authorization_create(&mut *tx, &row).await?;
    let summary = format!("Created the token \"{}\" for the service account {}.", row.description, account.name);
    note(&mut tx, "service_account.authorize", summary, &team, account.id);
    tx.commit().await?;
    let mut made = authorizations::shown(row, owner(&account), Some(token));
    authorizations::add_names(std::slice::from_mut(&mut made), &actor).await?;
    Ok(Created(made))
}

/// `DELETE /teams/{team}/service-accounts/{account}/authorizations/{authorization}`
pub async fn authorization_delete(
    State(base): State<Base>,
    actor: Actor,
    Path((team, which, authorization)): Path<(String, String, String)>,
) -> Result<Json<api::authorizations::Authorization>> {
    let team = actor.team(&team, InTeam::Administer).await?;
    let account = find(&base, &team, &which).await?;
    let id: AuthorizationId = authorization.parse().map_err(|_| authorizations::missing())?;
    let found = tokens::authorization_info(base.db(), account.id, id, Utc::now()).await?;
    let row = found.ok_or_else(authorizations::missing)?.row;
    authorizations::must_not_exceed_credential(&row, &actor)?;
    let mut tx = actor.change(subjects::team(team.id, &team.name)).await?;
    if !store::authorizations::authorization_delete(&mut *tx, row.id).await? {
        return Err(authorizations::missing());
    }
    let summary = format!("Revoked the token \"{}\" of the service account {}.", row.description, account.name);
    note(&mut tx, "service_account.revoke", summary, &team, account.id);
    tx.publish_end_of(account.id);
    tx.commit().await?;
    Ok(Json(authorizations::shown(row, owner(&account), None)))
}
