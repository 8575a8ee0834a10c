//! Identities: accounts at providers that sign in to an account here.
//!
//! A provider is trusted about the owner of an address. For an account that already has a sign-in method, its owner
//! decides, here and in a signed-in browser, or an administrator, who unlinks the existing one.

use api::ids::IdentityId;
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use base::{Base, Change, Error, Result, credential::Credential, pages};
use chrono::Utc;
use store::identities::{LIST, Listed, Row};

use crate::{
    accounts,
    actor::Actor,
    identity_providers::{self, membership, rules::is_trusted_for},
    subjects,
};

fn shown(row: Listed) -> api::identities::Identity {
    api::identities::Identity {
        id: row.id,
        provider: row.provider,
        title: row.title,
        email: row.email,
        created_at: row.created_at,
        last_used_at: row.updated_at,
    }
}

fn missing() -> Error {
    Error::not_found("identity", "Couldn't find that identity.")
}

/// `GET /account/identities`
pub async fn identity_list(State(base): State<Base>, actor: Actor, headers: HeaderMap) -> Result<Response> {
    let range = pages::requested(&headers, &LIST)?;
    let page = store::identities::identity_list(base.db(), actor.account.id, &range).await?;
    Ok(pages::respond(&LIST, &range, page.map(shown)))
}

/// `DELETE /account/identities/{identity}`: revokes what its provider's rules granted, and ends other sessions.
pub async fn identity_delete(actor: Actor, Path(id): Path<String>) -> Result<Json<serde_json::Value>> {
    unlink(&actor, &actor.account, &id).await
}

/// `GET /users/{user}/identities`: for administrators.
pub async fn user_identity_list(
    State(base): State<Base>,
    actor: Actor,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Result<Response> {
    actor.must_administer()?;
    let account = accounts::find(&base, &user).await?;
    let range = pages::requested(&headers, &LIST)?;
    let page = store::identities::identity_list(base.db(), account.id, &range).await?;
    Ok(pages::respond(&LIST, &range, page.map(shown)))
}

/// `DELETE /users/{user}/identities/{identity}`: by an administrator. Once the account has no sign-in method left,
/// anyone with its address at a trusted provider can sign in to it.
pub async fn user_identity_delete(
    State(base): State<Base>,
    actor: Actor,
    Path((user, id)): Path<(String, String)>,
) -> Result<Json<serde_json::Value>> {
    actor.must_administer()?;
    let account = accounts::find(&base, &user).await?;
    unlink(&actor, &account, &id).await
}

async fn unlink(actor: &Actor, account: &store::accounts::Row, id: &str) -> Result<Json<serde_json::Value>> {
    let id: IdentityId = id.parse().map_err(|_| missing())?;
    let mut tx = actor.change(subjects::account(account)).await?;
    let listed = store::identities::identity_info(&mut *tx, account.id, id).await?;
    let provider = listed.ok_or_else(missing)?.provider;
    let deleted = store::identities::identity_delete(&mut *tx, account.id, id).await?.ok_or_else(missing)?;
    let summary = format!("Unlinked an account at {provider}, and ended the other sessions.");
    note(&mut tx, "identity.delete", &provider, summary);
    membership::take_back(&mut tx, &deleted).await?;
    membership::sign_out(&mut tx, actor, account.id).await?;
    tx.commit().await?;
    Ok(Json(serde_json::json!({})))
}

fn note(tx: &mut Change, action: &str, provider: &str, summary: String) {
    tx.record(action, summary, serde_json::json!({ "provider": provider }));
}

/// `GET /account/identity-proposals`
pub async fn identity_proposal_list(
    State(base): State<Base>,
    actor: Actor,
) -> Result<Json<Vec<api::identities::IdentityProposal>>> {
    let rows = store::identities::identity_proposal_list(base.db(), actor.account.id, Utc::now()).await?;
    let shown = rows.into_iter().map(|found| api::identities::IdentityProposal {
        id: found.row.id,
        provider: found.provider,
        title: found.title,
        email: found.row.email,
        created_at: found.row.created_at,
        expires_at: found.row.expires_at,
    });
    Ok(Json(shown.collect()))
}

/// Removes and returns the caller's proposal with this id.
async fn take(actor: &Actor, tx: &mut sqlx::PgConnection, id: &str) -> Result<store::identities::Proposed> {
    let gone = || {
        Error::not_found(
            "identity_proposal",
            "Couldn't find that identity. It may have expired; sign in with the provider again.",
        )
    };
    let all = store::identities::identity_proposal_list(&mut *tx, actor.account.id, Utc::now()).await?;
    let found = all.into_iter().find(|found| found.row.id.to_string() == id).ok_or_else(gone)?;
    match store::identities::identity_proposal_delete(&mut *tx, found.row.id).await? {
        true => Ok(found),
        false => Err(gone()),
    }
}

/// `POST /account/identity-proposals/{proposal}/accept`: links it. In a browser only: a token cannot create a sign-in
/// method that outlives it.
pub async fn identity_proposal_accept(actor: Actor, Path(id): Path<String>) -> Result<Json<api::identities::Identity>> {
    if !matches!(actor.credential, Credential::Session(_)) {
        return Err(Error::forbidden("Only a person in a browser can link an identity to their account."));
    }
    let (now, account) = (Utc::now(), &actor.account);
    let mut tx = actor.change(actor.subject()).await?;
    let found = take(&actor, &mut tx, &id).await?;
    let (provider, rules) = identity_providers::find_in(&mut tx, &found.provider).await?;
    let speaks = |email: &str| is_trusted_for(&provider.domains, &rules, email);
    if !speaks(&account.email) || !found.row.email.as_deref().is_some_and(speaks) {
        return Err(Error::invalid(format!("{} is no longer trusted for addresses of this domain.", found.title)));
    }
    let row = Row {
        id: IdentityId::now_v7(),
        account_id: account.id,
        provider_id: found.row.provider_id,
        subject: found.row.subject,
        email: found.row.email,
        given: serde_json::json!({}),
        created_at: now,
        updated_at: now,
    };
    store::identities::identity_create(&mut *tx, &row).await.map_err(|err| {
        match store::broken_constraint(&err).as_deref() {
            Some("identities_subject_key") => {
                Error::conflict(format!("That {} account is already linked to another account.", found.title))
            }
            _ => err.into(),
        }
    })?;
    let summary = format!("Linked an account at {}, and ended the other sessions.", found.title);
    note(&mut tx, "identity.create", &found.provider, summary);
    membership::sign_out(&mut tx, &actor, account.id).await?;
    tx.commit().await?;
    let (id, email) = (row.id, row.email);
    Ok(Json(shown(Listed {
        id,
        email,
        created_at: now,
        updated_at: now,
        provider: found.provider,
        title: found.title,
    })))
}

/// `DELETE /account/identity-proposals/{proposal}`
pub async fn identity_proposal_delete(actor: Actor, Path(id): Path<String>) -> Result<Json<serde_json::Value>> {
    let mut tx = actor.change(actor.subject()).await?;
    let found = take(&actor, &mut tx, &id).await?;
    let summary = format!("Did not link an account at {}.", found.title);
    note(&mut tx, "identity_proposal.delete", &found.provider, summary);
    tx.commit().await?;
    Ok(Json(serde_json::json!({})))
}
