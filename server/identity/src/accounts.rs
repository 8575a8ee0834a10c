//! Accounts: the caller's own, those of others for administrators, and the first one.

use std::path::Path as FilePath;

use anyhow::Context as _;
use api::{ids::AccountId, team_members::GrantedBy};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{Base, Change, Error, Result, pages, secrets, web::Input};
use chrono::Utc;
use store::accounts::{LIST, Row};

use crate::{actor::Actor, authorizations, subjects};

/// Some clients require a dot in the domain.
const FIRST_ADMIN: &str = "admin@wharf.localhost";

/// The account as its owner sees it.
pub fn shown(row: &Row) -> api::accounts::Account {
    api::accounts::Account {
        id: row.id,
        email: row.email.clone(),
        name: row.name.clone(),
        verified: true,
        two_factor_authentication: false,
        federated: false,
        created_at: row.created_at,
        updated_at: row.updated_at,
        last_login: row.last_login,
        beta: false,
        allow_tracking: false,
        suspended_at: None,
        delinquent_at: None,
        admin: row.admin,
        admin_by: None,
        invited: false,
        retired_at: None,
    }
}

/// `GET /account`
pub async fn account_info(actor: Actor) -> Json<api::accounts::Account> {
    Json(shown(&actor.account))
}

/// `PATCH /account`
pub async fn account_update(
    State(base): State<Base>,
    actor: Actor,
    Input(update): Input<api::accounts::AccountUpdate>,
) -> Result<Json<api::accounts::Account>> {
    if let Some(name) = &update.name {
        if name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(Error::invalid("Name must have at most 100 characters and no control characters."));
        }
        let mut tx = actor.change(actor.subject()).await?;
        store::accounts::account_rename(&mut *tx, actor.account.id, Some(name), Utc::now()).await?;
        let summary = format!("Changed the name of the account to {name}.");
        tx.record("account.rename", summary, serde_json::json!({ "account": actor.account.id, "name": name }));
        tx.commit().await?;
    }
    let row = store::accounts::account_info(base.db(), actor.account.id).await?.ok_or_else(Error::unauthorized)?;
    Ok(Json(shown(&row)))
}

/// `GET /users/{user}`: the caller only.
pub async fn user_info(actor: Actor, Path(user): Path<String>) -> Result<Json<api::accounts::Account>> {
    is_self(&actor, &user)?;
    Ok(Json(shown(&actor.account)))
}

/// Fails unless `user` (`~`, an id or an email address) is the caller.
pub fn is_self(actor: &Actor, user: &str) -> Result<()> {
    let account = &actor.account;
    if user == "~" || user.eq_ignore_ascii_case(&account.email) || user == account.id.to_string() {
        Ok(())
    } else {
        Err(Error::not_found("user", "Couldn't find that user."))
    }
}

/// `GET /users`: the accounts of people, for administrators.
pub async fn user_list(State(base): State<Base>, actor: Actor, headers: HeaderMap) -> Result<Response> {
    actor.must_administer()?;
    let range = pages::requested(&headers, &LIST)?;
    let page = store::accounts::account_list(base.db(), &range).await?.map(|listed| api::accounts::Account {
        suspended_at: listed.suspended_at,
        two_factor_authentication: listed.has_password,
        admin_by: listed.admin_by,
        invited: listed.invited,
        retired_at: listed.retired_at,
        ..shown(&listed.row)
    });
    Ok(pages::respond(&LIST, &range, page))
}

/// `PATCH /users/{user}`: suspends an account, or changes its administrator rights; by an administrator.
pub async fn user_update(
    State(base): State<Base>,
    actor: Actor,
    Path(user): Path<String>,
    Input(update): Input<api::accounts::UserUpdate>,
) -> Result<Json<api::accounts::Account>> {
    actor.must_administer()?;
    let row = find(&base, &user).await?;
    if store::accounts::account_is_retired(base.db(), row.id).await? {
        return Err(Error::invalid(
            "This service account has been removed. Its history is kept, but it can no longer be used.",
        ));
    }
    if row.id == actor.account.id {
        return Err(Error::invalid("You cannot change this for your own account."));
    }
    let mut tx = actor.change(subjects::account(&row)).await?;
    if let Some(suspended) = update.suspended {
        suspend(&mut tx, &row, suspended).await?;
    }
    if let Some(admin) = update.admin {
        administer(&mut tx, &row, admin).await?;
    }
    let changed = store::accounts::account_info_any(&mut *tx, row.id).await?.unwrap_or(row);
    tx.commit().await?;
    Ok(Json(shown(&changed)))
}

/// Revokes all credentials of the account, both when it is suspended and when it is restored: reinstatement restores
/// none of them, not even those being created at that moment. A suspension also cancels its builds and release phases,
/// and those for apps without another responsible account.
async fn suspend(tx: &mut Change, row: &Row, suspended: bool) -> Result<()> {
    store::accounts::account_suspend(&mut **tx, row.id, suspended.then(Utc::now)).await?;
    store::accounts::account_end_credentials(tx, row.id).await?;
    if suspended {
        store::queues::BUILDS.cancel_of(tx, row.id, Utc::now()).await?;
        store::queues::RELEASES.cancel_of(tx, row.id, Utc::now()).await?;
    }
    let summary =
        format!("{} {}.", if suspended { "Suspended the account" } else { "Lifted the suspension of" }, row.email);
    tx.record("account.suspend", summary, serde_json::json!({ "account": row.id, "suspended": suspended }));
    Ok(())
}

async fn administer(tx: &mut Change, row: &Row, admin: bool) -> Result<()> {
    if store::service_accounts::service_account_exists(&mut **tx, row.id).await? {
        return Err(Error::invalid("A service account cannot be an administrator."));
    }
    store::accounts::account_set_admin(&mut **tx, row.id, admin, GrantedBy::Person, Utc::now()).await?;
    let summary = match admin {
        true => format!("Made {} an administrator of the platform.", row.email),
        false => format!("Revoked the administrator rights of {}.", row.email),
    };
    tx.record("account.update", summary, serde_json::json!({ "account": row.id, "admin": admin }));
    Ok(())
}

/// The account with this email address or id, including suspended ones. For administrators.
pub async fn find(base: &Base, user: &str) -> Result<Row> {
    let db = base.db();
    let row = match user.parse::<AccountId>() {
        Ok(id) => store::accounts::account_info_any(db, id).await?,
        Err(_) => store::accounts::account_by_email(db, user).await?,
    };
    row.ok_or_else(|| Error::not_found("user", "Couldn't find that user."))
}

/// Rejects invalid email addresses. Non-ASCII letters are invalid, too: some compare equal to others in the database,
/// or look the same to people, and the address identifies an account.
pub fn check_address(email: &str) -> Result<()> {
    // The names of service accounts and teams have the form of addresses that cannot exist.
    let ours = [".invalid", "@herokumanager.com"];
    let odd = |c: char| !c.is_ascii_graphic() || "<>,;\"/\\".contains(c);
    let parts =
        email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.len() > 1 && !host.contains('@'));
    if parts && email.len() <= 254 && !email.contains(odd) && !ours.iter().any(|o| email.to_lowercase().ends_with(o)) {
        return Ok(());
    }
    Err(Error::invalid(format!("{email:?} is not an email address.")))
}

/// Ends of email addresses that cannot exist: those of service accounts and teams, and of the first administrator.
pub(crate) const NOBODYS: [&str; 3] = [".localhost", ".invalid", "@herokumanager.com"];

/// Whether e-mail to this address can arrive.
pub(crate) fn can_receive(email: &str) -> bool {
    let lower = email.to_lowercase();
    mail::is_address(email) && !NOBODYS.iter().any(|end| lower.ends_with(end))
}

/// Creates the first administrator, with a token in `file`, unless they exist.
pub async fn first_admin(base: &Base, file: &FilePath) -> anyhow::Result<Row> {
    let (db, now) = (base.db(), Utc::now());
    let admin = match store::accounts::account_first_admin(db).await? {
        Some(admin) => admin,
        None => {
            let row = Row {
                id: AccountId::now_v7(),
                email: FIRST_ADMIN.into(),
                name: None,
                admin: true,
                last_login: None,
                created_at: now,
                updated_at: now,
            };
            store::accounts::account_create(db, &row).await.context("create the first account")?;
            row
        }
    };
    let known = match std::fs::read_to_string(file) {
        Ok(token) => {
            store::authorizations::authorization_by_token(db, &secrets::hash(token.trim()), now).await?.is_some()
        }
        Err(_) => false,
    };
    if !known {
        let (row, token) =
            authorizations::make(admin.id, "admin-token of this machine", vec!["global".into()], None, now);
        store::authorizations::authorization_create(db, &row).await?;
        secrets::write_private(file, &format!("{token}\n"))?;
    }
    Ok(admin)
}
