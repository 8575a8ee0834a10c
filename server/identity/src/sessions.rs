//! Console sessions: signing in and out, listing and ending them.

use api::ids::{AccountId, SessionId};
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use base::{Base, Error, Result, credential::Credential, pages};
use chrono::Utc;
use store::sessions::LIST;
use tower_sessions::Session;

use crate::{
    actor::Actor,
    request, row_limits,
    session_cookies::{self, signed_in},
};

/// Signs `session` in to `account`, under a new cookie value, which prevents session fixation. If the account has too
/// many sessions, those that have been unused for longest end. `id` is that of the session in the audit log.
pub async fn sign_in(
    base: &Base,
    session: &Session,
    account: AccountId,
    id: SessionId,
    headers: &HeaderMap,
) -> Result<()> {
    session_cookies::begin(session, account, id, headers).await?;
    end_unused(base, account, id, headers).await
}

/// Ends the sessions of an account beyond the limit, because it has signed in with the session `id`.
async fn end_unused(base: &Base, account: AccountId, id: SessionId, headers: &HeaderMap) -> Result<()> {
    let Some(account) = store::accounts::account_info(base.db(), account).await? else { return Ok(()) };
    let actor = Actor::signed_in(base, account, id, request::address(headers));
    let mut tx = base.change(actor.originator(), actor.subject()).await?;
    let ended = store::sessions::session_trim(&mut *tx, actor.account.id, row_limits::MOST_KEPT).await?;
    if ended.is_empty() {
        return Ok(());
    }
    let most = row_limits::MOST_KEPT;
    let summary = format!("Ended the console sessions beyond the limit of {most}, unused for longest.");
    tx.record("session.delete", summary, serde_json::json!({ "sessions": ended }));
    Ok(tx.commit().await?)
}

/// `POST /logout`: ends this browser's session. A plain form, so that it works without scripts.
pub async fn sign_out(State(base): State<Base>, session: Session, headers: HeaderMap) -> Result<Response> {
    if !request::same_origin(&headers) {
        return Err(Error::forbidden("This request does not come from the console."));
    }
    if let Some((account, id)) = signed_in(&session).await {
        end(&base, &headers, account, id).await?;
    }
    // Removes the cookie, and the session of an account that is suspended.
    session.flush().await.map_err(anyhow::Error::new)?;
    Ok(Redirect::to("/login").into_response())
}

async fn end(base: &Base, headers: &HeaderMap, account: AccountId, session: SessionId) -> Result<()> {
    let Some(account) = store::accounts::account_info(base.db(), account).await? else { return Ok(()) };
    let actor = Actor::signed_in(base, account, session, request::address(headers));
    let mut tx = actor.change(actor.subject()).await?;
    store::sessions::session_delete(&mut *tx, actor.account.id, session).await?;
    tx.record("session.delete", "Signed out.", serde_json::json!({ "session": session }));
    Ok(tx.commit().await?)
}

/// `GET /account/sessions`
pub async fn session_list(State(base): State<Base>, actor: Actor, headers: HeaderMap) -> Result<Response> {
    let range = pages::requested(&headers, &LIST)?;
    let page = store::sessions::session_list(base.db(), actor.account.id, Utc::now(), &range).await?;
    let page = page.map(|row| api::sessions::Session {
        id: row.id,
        current: actor.credential == Credential::Session(row.id),
        user_agent: row.user_agent,
        address: row.address,
        created_at: row.created_at,
        last_seen_at: row.last_seen_at,
        expires_at: Some(row.expires_at),
    });
    Ok(pages::respond(&LIST, &range, page))
}

/// `DELETE /account/sessions/{session}`
pub async fn session_delete(actor: Actor, Path(id): Path<String>) -> Result<Json<serde_json::Value>> {
    let missing = || Error::not_found("session", "Couldn't find that session.");
    let id: SessionId = id.parse().map_err(|_| missing())?;
    let mut tx = actor.change(actor.subject()).await?;
    if !store::sessions::session_delete(&mut *tx, actor.account.id, id).await? {
        return Err(missing());
    }
    tx.record("session.delete", "Ended a console session.", serde_json::json!({ "session": id }));
    tx.commit().await?;
    Ok(Json(serde_json::json!({})))
}

/// `DELETE /account/sessions`: ends all sessions of the caller except the current one, and revokes sign-in links.
pub async fn session_delete_others(actor: Actor) -> Result<Json<serde_json::Value>> {
    let keep = match actor.credential {
        Credential::Session(id) => Some(id),
        Credential::Token(_) => None,
    };
    let mut tx = actor.change(actor.subject()).await?;
    store::sessions::session_delete_others(&mut tx, actor.account.id, keep).await?;
    tx.record("session.delete", "Ended all other console sessions.", serde_json::json!({ "kept": keep }));
    tx.commit().await?;
    Ok(Json(serde_json::json!({})))
}

/// `DELETE /oauth/sessions/~`: called by `heroku logout`. A token is not a session.
pub async fn oauth_session_delete(_: Actor) -> Result<Json<serde_json::Value>> {
    Err(Error::not_found("session", "Couldn't find that session."))
}

/// `GET /oauth/sessions`
pub async fn oauth_session_list(_: Actor) -> Result<Json<Vec<serde_json::Value>>> {
    Ok(Json(Vec::new()))
}
