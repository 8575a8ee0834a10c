//! Console sessions: signing out, listing and ending them.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use base::{Base, Error, Result, credential::Credential, events, pages};
use chrono::Utc;
use store::sessions::LIST;
use tower_sessions::Session;
use uuid::Uuid;

use crate::{actor::Actor, request, session_cookies::signed_in};

/// `POST /logout`: ends this browser's session. A plain form, so that it works without scripts.
pub async fn sign_out(State(base): State<Base>, session: Session, headers: HeaderMap) -> Result<Response> {
    if !request::same_origin(&headers) {
        return Err(Error::forbidden("This request does not come from the console."));
    }
    if let Some((account, id)) = signed_in(&session).await {
        note_sign_out(&base, &headers, account, id).await?;
    }
    session.flush().await.map_err(anyhow::Error::new)?;
    base.session_ended();
    Ok(Redirect::to("/login").into_response())
}

async fn note_sign_out(base: &Base, headers: &HeaderMap, account: Uuid, session: Uuid) -> Result<()> {
    let mut tx = base.change().await?;
    let Some(account) = store::accounts::account_info(&mut *tx, account).await? else { return Ok(()) };
    let (address, email) = (request::address(headers), account.email.clone());
    let actor = Actor::signed_in(base, account, session, address);
    let (summary, data) = ("Signed out.".to_owned(), serde_json::json!({ "session": session }));
    let event = events::New { action: "session.delete", subject: &email, app: None, summary, data };
    actor.event(&mut tx, event).await?;
    tx.commit().await?;
    Ok(())
}

/// `GET /account/sessions`
pub async fn session_list(State(base): State<Base>, actor: Actor, headers: HeaderMap) -> Result<Response> {
    let range = pages::asked(&headers, &LIST)?;
    let page = store::sessions::session_list(base.db(), actor.account.id, Utc::now(), &range).await?;
    let page = page.map(|row| api::sessions::Session {
        id: row.id.into(),
        current: actor.credential == Credential::Session(row.id),
        user_agent: row.user_agent,
        address: row.address,
        created_at: row.created_at,
        last_seen_at: row.last_seen_at,
        expires_at: Some(row.expires_at),
    });
    Ok(pages::answer(&LIST, &range, page))
}

/// `DELETE /account/sessions/{session}`
pub async fn session_delete(
    State(base): State<Base>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<serde_json::Value>> {
    let missing = || Error::not_found("session", "Couldn't find that session.");
    let id: Uuid = id.parse().map_err(|_| missing())?;
    let mut tx = base.change().await?;
    if !store::sessions::session_delete(&mut *tx, actor.account.id, id).await? {
        return Err(missing());
    }
    let email = actor.account.email.clone();
    let summary = "Ended a console session.".to_owned();
    let data = serde_json::json!({ "session": id });
    actor.event(&mut tx, events::New { action: "session.delete", subject: &email, app: None, summary, data }).await?;
    tx.commit().await?;
    base.session_ended();
    Ok(Json(serde_json::json!({})))
}

/// `DELETE /account/sessions`: ends all sessions of the caller except the current one, and revokes sign-in links.
pub async fn session_delete_others(State(base): State<Base>, actor: Actor) -> Result<Json<serde_json::Value>> {
    let keep = match actor.credential {
        Credential::Session(id) => Some(id),
        Credential::Token(_) => None,
    };
    let mut tx = base.change().await?;
    store::sessions::session_delete_others(&mut tx, actor.account.id, keep).await?;
    let (email, summary) = (actor.account.email.clone(), "Ended all other console sessions.".to_owned());
    let data = serde_json::json!({ "kept": keep });
    actor.event(&mut tx, events::New { action: "session.delete", subject: &email, app: None, summary, data }).await?;
    tx.commit().await?;
    base.session_ended();
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
