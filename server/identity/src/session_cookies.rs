//! Session cookies: how sessions are created, stored and looked up.

use std::collections::HashMap;

use api::ids::{AccountId, SessionId};
use async_trait::async_trait;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::Response,
};
use base::{Base, secrets};
use chrono::{DateTime, Utc};
use tower_sessions::{
    Expiry, Session, SessionManagerLayer, SessionStore,
    cookie::SameSite,
    session::{Id, Record},
    session_store,
};

use crate::{cookie_guard, request};

const ACCOUNT: &str = "account";
const SESSION: &str = "session";
const AGENT: &str = "user_agent";
const BROWSER: &str = "browser";
const DAY: &str = "day";
const ADDRESS: &str = "address";
/// A session expires after this long without use.
const LIFE: time::Duration = time::Duration::days(14);

/// Stores tower-sessions' records in the table `sessions`, under a hash of the cookie's value.
#[derive(Clone)]
pub struct Store(pub sqlx::PgPool);

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
        let expires_at = DateTime::from_timestamp(record.expiry_date.unix_timestamp(), 0).unwrap_or_else(Utc::now);
        Ok(store::sessions::Row {
            id: text(SESSION).and_then(|id| id.parse().ok()).unwrap_or_else(SessionId::now_v7),
            key_hash: secrets::hash(&record.id.to_string()),
            account_id: text(ACCOUNT).and_then(|id| id.parse().ok()),
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
pub fn layer(base: &Base) -> SessionManagerLayer<Store> {
    let tls = base.settings().tls;
    SessionManagerLayer::new(Store(base.db().clone()))
        .with_name(cookie_guard::cookie_name(base))
        .with_secure(tls)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(LIFE))
}

/// Marks a request with more than one session cookie: an app has set one for the domain that it shares with the
/// console. With TLS, the cookie's name prevents this.
#[derive(Clone)]
pub struct AmbiguousSession;

/// Middleware that ignores the cookies of such a request, since the visitor's own session cannot be identified.
pub async fn ignore_ambiguous(State(base): State<Base>, mut req: Request, next: Next) -> Response {
    if !cookie_guard::is_ambiguous(&base, req.headers()) {
        return next.run(req).await;
    }
    let from = request::client(request::address(req.headers()).as_deref());
    if base.rate_limits().is_first(&format!("two session cookies from {from}")) {
        tracing::warn!(%from, "a browser sent two session cookies, one of them set by an app");
    }
    let removals = cookie_guard::removals(&base, req.headers(), req.uri().path());
    req.headers_mut().remove(header::COOKIE);
    req.extensions_mut().insert(AmbiguousSession);
    let mut response = next.run(req).await;
    // Only those for the domain are removed; the host's own cookie stays.
    for removal in removals {
        response.headers_mut().append(header::SET_COOKIE, removal);
    }
    response
}

/// The account and the session id, if the session is signed in.
pub async fn signed_in(session: &Session) -> Option<(AccountId, SessionId)> {
    let account = session.get::<AccountId>(ACCOUNT).await.ok().flatten()?;
    let id = session.get::<SessionId>(SESSION).await.ok().flatten()?;
    Some((account, id))
}

/// Extends a session, once a day at most, since that writes to the database.
pub async fn touch(session: &Session) {
    if let Err(err) = session.insert(DAY, Utc::now().date_naive().to_string()).await {
        tracing::warn!("could not extend a session: {err}");
    }
}

/// Signs `session` in to `account`, under a new cookie value, which prevents session fixation. `id` is that of the session in
/// the audit log.
pub async fn begin(session: &Session, account: AccountId, id: SessionId, headers: &HeaderMap) -> anyhow::Result<()> {
    // Earlier contents are removed, too: those of another person, or of an unfinished sign-in.
    session.clear().await;
    session.cycle_id().await?;
    session.set_expiry(Some(Expiry::OnInactivity(LIFE)));
    session.insert(ACCOUNT, account).await?;
    session.insert(SESSION, id).await?;
    let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    session.insert(AGENT, agent.chars().take(300).collect::<String>()).await?;
    session.insert(ADDRESS, request::address(headers)).await?;
    Ok(session.save().await?)
}

/// The value that binds a sign-in in progress to this browser, for 15 minutes.
pub async fn browser(session: &Session) -> anyhow::Result<String> {
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

/// As [`browser`], for a returning browser; `None` if it has not started a sign-in.
pub async fn known_browser(session: &Session) -> Option<String> {
    session.get::<String>(BROWSER).await.ok().flatten()
}
