//! The caller of a request. Every route starts here; `rights` has what they can do.
//!
//! A handler that takes an [`Actor`] cannot be reached without credentials.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::anyhow;
use api::ids::{AccountId, SessionId};
use axum::{
    extract::{FromRef, FromRequestParts, OriginalUri},
    http::{header, request::Parts},
};
use base::{
    Base, Error, Result, Subject,
    body_budget::Authenticated,
    credential::Credential,
    events::{EventActor, Originator},
    rate_limits::Budget,
    routes::RequiredScope,
    secrets,
};
use chrono::Utc;
use store::{accounts, payers::AccountAndPayer};
use tower_sessions::Session;
use uuid::Uuid;

use crate::{
    admissions::Admissions,
    in_progress,
    request::{address, client, origin, reads, same_origin, token},
    scopes::CredentialScope,
    session_cookies::{AmbiguousSession, signed_in, touch},
    subjects,
};

/// One page of the console: its first API request authenticates the visitor, also for the following ones. Only
/// in-process requests can carry it.
#[derive(Clone, Default)]
pub struct Visit(Arc<OnceLock<(accounts::Row, SessionId)>>);

/// The authenticated caller.
#[derive(Clone)]
pub struct Actor {
    pub account: accounts::Row,
    /// The account that the request is charged to: see `payers`.
    pub payer: AccountId,
    pub credential: Credential,
    /// The scope of the credential.
    pub scope: CredentialScope,
    /// The client's address, as seen by the router.
    pub address: Option<String>,
    /// Scheme and host of the request, for URLs in the response: `http://localhost:5000`.
    pub origin: String,
    pub base: Base,
    /// `None` for an account that has just signed in.
    pub(crate) admissions: Option<Admissions>,
}

impl Actor {
    /// An account that has just signed in from `address`; the request does nothing else.
    pub(crate) fn signed_in(base: &Base, account: accounts::Row, session: SessionId, address: Option<String>) -> Self {
        Self {
            payer: account.id,
            account,
            credential: Credential::Session(session),
            scope: CredentialScope::session(),
            address,
            origin: String::new(),
            base: base.clone(),
            admissions: None,
        }
    }

    /// The account of this actor, as the subject of a change.
    pub fn subject(&self) -> Subject {
        subjects::account(&self.account)
    }

    /// The originator for later work of the platform.
    pub fn originator(&self) -> Originator {
        Originator {
            account: self.account.id,
            email: self.account.email.clone(),
            credential: Some(self.credential.to_string()),
            token: self.scope.description.clone(),
            address: self.address.clone(),
        }
    }
}

impl<S> FromRequestParts<S> for Actor
where
    Base: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let base = &Base::from_ref(state);
        let (AccountAndPayer { account, payer }, credential, scope) = match token(&parts.headers) {
            Some(token) => by_token(base, &token, address(&parts.headers)).await?,
            None => {
                let (account, credential) = by_session(base, parts).await?;
                // Only people sign in, and they are their own payers.
                let payer = account.id;
                (AccountAndPayer { account, payer }, credential, CredentialScope::session())
            }
        };
        let needs = parts.extensions.get::<RequiredScope>().copied();
        scope.require(
            needs.ok_or_else(|| anyhow!("{} {} does not declare the access it needs", parts.method, path(parts)))?,
        )?;
        base.rate_limits().take(account.id, payer, credential, parts.extensions.get::<Budget>())?;
        in_progress::begin(base, parts, payer).await?;
        parts.extensions.insert(Authenticated);
        Ok(Self {
            account,
            payer,
            credential,
            scope,
            address: address(&parts.headers),
            origin: origin(base, &parts.headers),
            base: base.clone(),
            admissions: Some(Admissions::default()),
        })
    }
}

/// The requested path, whatever router it went through.
fn path(parts: &Parts) -> &str {
    parts.extensions.get::<OriginalUri>().map_or(parts.uri.path(), |uri| uri.path())
}

/// Whether the token or session with this id is still valid.
pub async fn credential_exists(base: &Base, id: Uuid) -> Result<bool> {
    let (db, now) = (base.db(), Utc::now());
    Ok(store::authorizations::authorization_exists(db, id.into(), now).await?
        || store::sessions::session_exists(db, id.into(), now).await?)
}

/// The polling interval for changes without a notification.
const AGAIN: Duration = Duration::from_secs(60);

/// How long a token or session is assumed to be valid: until the next check, or until it expires, which causes no
/// notification.
pub async fn credential_time_left(base: &Base, credential: Option<Uuid>) -> Duration {
    let Some(id) = credential else { return AGAIN };
    let (db, now) = (base.db(), Utc::now());
    let ends = match store::authorizations::authorization_ends_at(db, id.into(), now).await {
        Ok(Some(ends)) => ends,
        _ => store::sessions::session_ends_at(db, id.into(), now).await.ok().flatten(),
    };
    // Slightly later, so that it has expired by then.
    let left = ends.and_then(|ends| (ends - now).to_std().ok()).map(|left| left + Duration::from_millis(20));
    left.map_or(AGAIN, |left| left.min(AGAIN))
}

/// The account of a token. Wrong tokens lead to a lockout of the address, but not of valid tokens from there: a token
/// is too long to be guessed.
async fn by_token(
    base: &Base,
    token: &str,
    address: Option<String>,
) -> Result<(AccountAndPayer, Credential, CredentialScope)> {
    let (db, now, limits) = (base.db(), Utc::now(), base.rate_limits());
    let from = &client(address.as_deref());
    let tries = format!("tokens from {from}");
    let found = store::authorizations::authorization_by_token(db, &secrets::hash(token), now).await?;
    let Some(found) = found else {
        let is_locked = limits.is_locked(&tries);
        if limits.failed(&tries, FREE_TOKENS) {
            let summary = format!("Rejected {} unknown tokens from {from}.", FREE_TOKENS + 1);
            let mut change =
                base.change(EventActor::visitor(None, address.clone()), subjects::client_address(from)).await?;
            change.record("token.refuse", summary, serde_json::json!({}));
            change.commit().await?;
        }
        return Err(if is_locked { Error::too_many_refused() } else { Error::unauthorized() });
    };
    store::authorizations::authorization_used(db, found.id, now).await?;
    let account = store::payers::payer_and_account(db, found.account_id).await?.ok_or_else(Error::unauthorized)?;
    Ok((account, Credential::Token(found.id), CredentialScope::token(&found)))
}

/// The number of wrong tokens from one address before a lockout.
const FREE_TOKENS: u32 = 30;

async fn by_session(base: &Base, parts: &Parts) -> Result<(accounts::Row, Credential)> {
    if parts.extensions.get::<AmbiguousSession>().is_some() {
        refused(base, parts, "cookie", "a request with two session cookies, one of them set by another site").await?;
        return Err(Error::forbidden(
            "Your browser sent two session cookies, so another site has set one for this domain. Close the browser, or \
             delete its cookies for this domain. An administrator can prevent this with TLS or a separate domain for apps.",
        ));
    }
    let reads = reads(parts);
    let visit = parts.extensions.get::<Visit>().filter(|_| reads);
    if let Some((account, id)) = visit.and_then(|visit| visit.0.get()) {
        return Ok((account.clone(), Credential::Session(*id)));
    }
    let session = parts.extensions.get::<Session>().ok_or_else(Error::unauthorized)?;
    let (account, id) = signed_in(session).await.ok_or_else(Error::unauthorized)?;
    // Apps are on the same site as the console, so SameSite does not protect: the browser's `Origin` of a write does.
    if !reads && !same_origin(&parts.headers) {
        let origin = parts.headers.get(header::ORIGIN).and_then(|v| v.to_str().ok()).unwrap_or("an unknown origin");
        let summary = format!("a request with the cookie of session {id} from {origin:.100} instead of the console");
        refused(base, parts, "origin", &summary).await?;
        return Err(Error::forbidden("This request does not come from the console. Reload the page and try again."));
    }
    let db = base.db();
    store::sessions::session_seen(db, id, Utc::now()).await?;
    touch(session).await;
    let account = accounts::account_info(db, account).await?.ok_or_else(Error::unauthorized)?;
    if let Some(visit) = visit {
        visit.0.get_or_init(|| (account.clone(), id));
    }
    Ok((account, Credential::Session(id)))
}

/// Records an attack on the user of a browser, at most once an hour per address, so that the log does not fill up.
async fn refused(base: &Base, parts: &Parts, reason: &str, what: &str) -> Result<()> {
    let address = address(&parts.headers);
    let from = &client(address.as_deref());
    if base.rate_limits().is_first(&format!("requests of other sites ({reason}) from {from}")) {
        let summary = format!("Rejected {what}.");
        let data = serde_json::json!({ "reason": reason, "method": parts.method.as_str(), "path": path(parts) });
        let mut change =
            base.change(EventActor::visitor(None, address.clone()), subjects::client_address(from)).await?;
        change.record("session.refuse", summary, data);
        change.commit().await?;
    }
    Ok(())
}
