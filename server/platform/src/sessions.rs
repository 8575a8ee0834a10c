//! Console sessions: what a cookie is worth, signing out, listing and ending sessions.

use std::collections::HashMap;

use async_trait::async_trait;
use axum::{
    Json,
    extract::{Path, Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use chrono::{DateTime, Utc};
use store::sessions::LIST;
use tower_sessions::{
    Expiry, Session, SessionManagerLayer, SessionStore,
    cookie::SameSite,
    session::{Id, Record},
    session_store,
};
use uuid::Uuid;

use crate::{
    Platform,
    actor::{self, Actor, Credential},
    error::{Error, Result},
    events, pages, planted, secrets,
};

const ACCOUNT: &str = "account";
const SESSION: &str = "session";
const AGENT: &str = "user_agent";
const BROWSER: &str = "browser";
const DAY: &str = "day";
const ADDRESS: &str = "address";
/// A browser that is not used for this long has to sign in again.
const LIFE: time::Duration = time::Duration::days(14);

/// Keeps tower-sessions' records in the table `sessions`, under a hash of the cookie's value.
#[derive(Clone)]
pub(crate) struct Store(pub sqlx::PgPool);

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

fn backend(err: impl std::fmt::Display) -> session_store::Error {
    session_store::Error::Backend(err.to_string())
}

impl Store {
    fn row(record: &Record) -> session_store::Result<store::sessions::Row> {
        let text = |key: &str| record.data.get(key).and_then(|v| v.as_str()).map(String::from);
        let id = |key: &str| text(key).and_then(|s| s.parse::<Uuid>().ok());
        let expires_at = DateTime::from_timestamp(record.expiry_date.unix_timestamp(), 0).unwrap_or_else(Utc::now);
        Ok(store::sessions::Row {
            id: id(SESSION).unwrap_or_else(Uuid::now_v7),
            key_hash: secrets::hash(&record.id.to_string()),
            account_id: id(ACCOUNT),
            data: serde_json::to_value(&record.data).map_err(backend)?,
            user_agent: text(AGENT),
            address: text(ADDRESS),
            created_at: Utc::now(),
            last_seen_at: Utc::now(),
            expires_at,
        })
    }
}

#[async_trait]
impl SessionStore for Store {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        // 128 random bits do not collide.
        store::sessions::session_create(&self.0, &Self::row(record)?).await.map_err(backend)
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        store::sessions::session_update(&self.0, &Self::row(record)?).await.map_err(backend)
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let key = secrets::hash(&id.to_string());
        let Some(row) = store::sessions::session_by_key(&self.0, &key, Utc::now()).await.map_err(backend)? else {
            return Ok(None);
        };
        let data: HashMap<String, serde_json::Value> = serde_json::from_value(row.data).map_err(backend)?;
        let expiry_date = time::OffsetDateTime::from_unix_timestamp(row.expires_at.timestamp()).map_err(backend)?;
        Ok(Some(Record { id: *id, data, expiry_date }))
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        let key = secrets::hash(&id.to_string());
        store::sessions::session_delete_key(&self.0, &key).await.map_err(backend)
    }
}

/// The layer that reads the cookie. Host-only always; `__Host-` and Secure with TLS.
pub(crate) fn layer(platform: &Platform) -> SessionManagerLayer<Store> {
    let tls = platform.config().tls;
    SessionManagerLayer::new(Store(platform.db().clone()))
        .with_name(planted::cookie_name(platform))
        .with_secure(tls)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(LIFE))
}

/// More than one cookie of ours came: an app has set one for the domain that it shares with the console.
/// With TLS the name alone prevents this.
#[derive(Clone)]
pub(crate) struct Planted;

/// Takes no cookie rather than the wrong one: which of two is ours cannot be told.
pub(crate) async fn without_planted(State(platform): State<Platform>, mut req: Request, next: Next) -> Response {
    if !planted::is_planted(&platform, req.headers()) {
        return next.run(req).await;
    }
    tracing::warn!(
        address = actor::address(req.headers()),
        "a browser sent two session cookies, one of them set by an app"
    );
    let removals = planted::removals(&platform, req.headers(), req.uri().path());
    req.headers_mut().remove(header::COOKIE);
    req.extensions_mut().insert(Planted);
    let mut response = next.run(req).await;
    // The likely one goes by itself: a cookie for the domain is not the one for the host.
    for removal in removals {
        response.headers_mut().append(header::SET_COOKIE, removal);
    }
    response
}

/// The account and the id of a session that is signed in.
pub(crate) async fn signed_in(session: &Session) -> Option<(Uuid, Uuid)> {
    let account = session.get::<Uuid>(ACCOUNT).await.ok().flatten()?;
    let id = session.get::<Uuid>(SESSION).await.ok().flatten()?;
    Some((account, id))
}

/// Begins the time after which a session is over anew, once a day: more would write each time.
pub(crate) async fn touch(session: &Session) {
    if let Err(err) = session.insert(DAY, Utc::now().date_naive().to_string()).await {
        tracing::warn!("could not extend a session: {err}");
    }
}

/// Makes `session` that of `account`, under a new cookie value: one that was planted is worth nothing.
/// `id` is that of the session, as the audit log has it.
pub(crate) async fn sign_in(session: &Session, account: Uuid, id: Uuid, headers: &HeaderMap) -> anyhow::Result<()> {
    // Nothing of what was there before stays, either: not what another person left, not a binding.
    session.clear().await;
    session.cycle_id().await?;
    session.set_expiry(Some(Expiry::OnInactivity(LIFE)));
    session.insert(ACCOUNT, account).await?;
    session.insert(SESSION, id).await?;
    let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    session.insert(AGENT, agent.chars().take(300).collect::<String>()).await?;
    session.insert(ADDRESS, actor::address(headers)).await?;
    session.save().await?;
    Ok(())
}

/// What ties a sign-in that is under way to this browser, for a quarter of an hour.
pub(crate) async fn browser(session: &Session) -> anyhow::Result<String> {
    if let Some(browser) = session.get::<String>(BROWSER).await? {
        return Ok(browser);
    }
    let browser = secrets::random();
    session.insert(BROWSER, &browser).await?;
    if signed_in(session).await.is_none() {
        session.set_expiry(Some(Expiry::OnInactivity(time::Duration::minutes(15))));
    }
    session.save().await?;
    Ok(browser)
}

/// As [`browser`], for a browser that comes back: none if it never began.
pub(crate) async fn known_browser(session: &Session) -> Option<String> {
    session.get::<String>(BROWSER).await.ok().flatten()
}

/// `POST /logout`: ends this browser's session. A plain form, so that it works without scripts.
pub async fn sign_out(State(platform): State<Platform>, session: Session, headers: HeaderMap) -> Result<Response> {
    if !actor::same_origin(&headers) {
        return Err(Error::forbidden("This request does not come from the console."));
    }
    if let Some((account, id)) = signed_in(&session).await {
        note_sign_out(&platform, &headers, account, id).await?;
    }
    session.flush().await.map_err(anyhow::Error::new)?;
    platform.session_ended();
    Ok(Redirect::to("/login").into_response())
}

async fn note_sign_out(platform: &Platform, headers: &HeaderMap, account: Uuid, session: Uuid) -> Result<()> {
    let mut tx = platform.change().await?;
    let Some(account) = store::accounts::account_info(&mut *tx, account).await? else { return Ok(()) };
    let credential = Credential::Session(session);
    let (address, email) = (actor::address(headers), account.email.clone());
    let actor = Actor {
        payer: account.id,
        account,
        credential,
        reach: crate::scopes::Reach::session(),
        address,
        base: String::new(),
        platform: platform.clone(),
    };
    let (summary, data) = ("Signed out.".to_owned(), serde_json::json!({ "session": session }));
    let event = events::New { action: "session.delete", subject: &email, app: None, summary, data };
    actor.event(&mut tx, event).await?;
    tx.commit().await?;
    Ok(())
}

/// `GET /account/sessions`
pub async fn session_list(State(platform): State<Platform>, actor: Actor, headers: HeaderMap) -> Result<Response> {
    let range = pages::asked(&headers, &LIST)?;
    let page = store::sessions::session_list(platform.db(), actor.account.id, Utc::now(), &range).await?;
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
    State(platform): State<Platform>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<Json<serde_json::Value>> {
    let missing = || Error::not_found("session", "Couldn't find that session.");
    let id: Uuid = id.parse().map_err(|_| missing())?;
    let mut tx = platform.change().await?;
    if !store::sessions::session_delete(&mut *tx, actor.account.id, id).await? {
        return Err(missing());
    }
    let email = actor.account.email.clone();
    let summary = "Ended a console session.".to_owned();
    let data = serde_json::json!({ "session": id });
    actor.event(&mut tx, events::New { action: "session.delete", subject: &email, app: None, summary, data }).await?;
    tx.commit().await?;
    platform.session_ended();
    Ok(Json(serde_json::json!({})))
}

/// `DELETE /account/sessions`: ends all of the asker's but the one that asks, and the links that would begin others.
pub async fn session_delete_others(State(platform): State<Platform>, actor: Actor) -> Result<Json<serde_json::Value>> {
    let keep = match actor.credential {
        Credential::Session(id) => Some(id),
        Credential::Token(_) => None,
    };
    let mut tx = platform.change().await?;
    store::sessions::session_delete_others(&mut tx, actor.account.id, keep).await?;
    let (email, summary) = (actor.account.email.clone(), "Ended all other console sessions.".to_owned());
    let data = serde_json::json!({ "kept": keep });
    actor.event(&mut tx, events::New { action: "session.delete", subject: &email, app: None, summary, data }).await?;
    tx.commit().await?;
    platform.session_ended();
    Ok(Json(serde_json::json!({})))
}

/// `DELETE /oauth/sessions/~`: what `heroku logout` asks for. A token is no session.
pub async fn oauth_session_delete(_: Actor) -> Result<Json<serde_json::Value>> {
    Err(Error::not_found("session", "Couldn't find that session."))
}

/// `GET /oauth/sessions`
pub async fn oauth_session_list(_: Actor) -> Result<Json<Vec<serde_json::Value>>> {
    Ok(Json(Vec::new()))
}
