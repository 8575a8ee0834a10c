//! Who is asking. Every route begins here; what they may do is in `rights`.
//!
//! A handler that takes an [`Actor`] cannot be reached without credentials.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::anyhow;
use axum::{
    extract::{FromRequestParts, OriginalUri},
    http::{HeaderMap, Method, header, request::Parts},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::Utc;
use store::{accounts, payers::Asker};
use tower_sessions::Session;
use uuid::Uuid;

use crate::{
    Platform,
    change::Change,
    error::{Error, Result},
    events,
    scopes::{Needs, Reach},
    secrets,
    web::Budget,
};

/// With what somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// An API token.
    Token(Uuid),
    /// A browser that signed in.
    Session(Uuid),
}

impl Credential {
    /// The id of the token or session.
    pub fn id(self) -> Uuid {
        match self {
            Self::Token(id) | Self::Session(id) => id,
        }
    }

    /// The id of the token, if it is one.
    pub fn token(self) -> Option<Uuid> {
        match self {
            Self::Token(id) => Some(id),
            Self::Session(_) => None,
        }
    }
}

impl std::fmt::Display for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(id) => write!(f, "token {id}"),
            Self::Session(id) => write!(f, "session {id}"),
        }
    }
}

/// One page of the console: who it is for is found out with the first question that is asked for it, and goes for
/// the others. Only requests in process can carry it.
#[derive(Clone, Default)]
pub struct Visit(Arc<OnceLock<(accounts::Row, Uuid)>>);

/// Whoever asks.
#[derive(Clone)]
pub struct Actor {
    pub account: accounts::Row,
    /// Who pays for what it takes of the machine: see `payers`.
    pub payer: Uuid,
    pub credential: Credential,
    /// How far the credential reaches.
    pub reach: Reach,
    /// Where the request came from, as the router saw it.
    pub address: Option<String>,
    /// Scheme and host of the request, for addresses in the answer: `http://localhost:5000`.
    pub base: String,
    pub platform: Platform,
}

impl Actor {
    /// Writes into the audit log, with the change that it is of.
    pub(crate) async fn event(&self, tx: &mut Change, event: events::New<'_>) -> Result<()> {
        events::event(tx, self, event).await
    }
}

impl FromRequestParts<Platform> for Actor {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, platform: &Platform) -> Result<Self> {
        let (Asker { account, payer }, credential, reach) = match token(&parts.headers) {
            Some(token) => by_token(platform, &token, address(&parts.headers)).await?,
            None => {
                let (account, credential) = by_session(platform, parts).await?;
                // Only people sign in, and people pay for themselves.
                let payer = account.id;
                (Asker { account, payer }, credential, Reach::session())
            }
        };
        let needs = parts.extensions.get::<Needs>().copied();
        reach.must(
            needs.ok_or_else(|| anyhow!("{} {} does not declare the access it needs", parts.method, path(parts)))?,
        )?;
        platform.rate_limits().take(account.id, payer, credential, parts.extensions.get::<Budget>())?;
        Ok(Self {
            account,
            payer,
            credential,
            reach,
            address: address(&parts.headers),
            base: base(platform, &parts.headers),
            platform: platform.clone(),
        })
    }
}

/// The path that was asked for, whatever router it went through.
fn path(parts: &Parts) -> &str {
    parts.extensions.get::<OriginalUri>().map_or(parts.uri.path(), |uri| uri.path())
}

/// Whether the token or session with this id still lets its bearer in.
pub(crate) async fn credential_exists(platform: &Platform, id: Uuid) -> Result<bool> {
    let (db, now) = (platform.db(), Utc::now());
    Ok(store::authorizations::authorization_exists(db, id, now).await?
        || store::sessions::session_exists(db, id, now).await?)
}

/// What changes without anybody saying so is looked at this often.
const AGAIN: Duration = Duration::from_secs(60);

/// For how long a token or session lasts: until it is looked at again, or until it expires, which nobody says.
pub(crate) async fn credential_lasts(platform: &Platform, credential: Option<Uuid>) -> Duration {
    let Some(id) = credential else { return AGAIN };
    let (db, now) = (platform.db(), Utc::now());
    let ends = match store::authorizations::authorization_ends_at(db, id, now).await {
        Ok(Some(ends)) => ends,
        _ => store::sessions::session_ends_at(db, id, now).await.ok().flatten(),
    };
    // A moment more, so that it has ended then.
    let left = ends.and_then(|ends| (ends - now).to_std().ok()).map(|left| left + Duration::from_millis(20));
    left.map_or(AGAIN, |left| left.min(AGAIN))
}

/// Whom a token speaks for. Whoever guesses is told to wait, and nobody else is: a token is too long to be guessed,
/// so that one which is right is let in, whatever others behind the same address do.
async fn by_token(platform: &Platform, token: &str, address: Option<String>) -> Result<(Asker, Credential, Reach)> {
    let (db, now, limits) = (platform.db(), Utc::now(), platform.rate_limits());
    let from = address.as_deref().unwrap_or("an unknown address");
    let tries = format!("tokens from {from}");
    let found = store::authorizations::authorization_by_token(db, &secrets::hash(token), now).await?;
    let Some(found) = found else {
        let is_locked = limits.is_locked(&tries);
        if limits.failed(&tries, FREE_TOKENS) {
            let summary = format!("Rejected {} unknown tokens from {from}.", FREE_TOKENS + 1);
            let event =
                events::New { action: "token.refuse", subject: from, app: None, summary, data: serde_json::json!({}) };
            events::event_of_visitor(platform, None, address.clone(), event).await?;
        }
        return Err(if is_locked { Error::too_many_refused() } else { Error::unauthorized() });
    };
    store::authorizations::authorization_used(db, found.id, now).await?;
    let asker = store::payers::payer_and_account(db, found.account_id).await?.ok_or_else(Error::unauthorized)?;
    Ok((asker, Credential::Token(found.id), Reach::token(&found)))
}

/// So many wrong tokens from one address are mistakes.
const FREE_TOKENS: u32 = 30;

async fn by_session(platform: &Platform, parts: &Parts) -> Result<(accounts::Row, Credential)> {
    if parts.extensions.get::<crate::sessions::Planted>().is_some() {
        refused(platform, parts, "cookie", "a request with two session cookies, one of them set by another site")
            .await?;
        return Err(Error::forbidden(
            "Your browser sent two session cookies, so another site has set one for this domain. Close the browser, or \
             delete its cookies for this domain. An administrator can prevent this with TLS or a separate domain for apps.",
        ));
    }
    let reads = matches!(parts.method, Method::GET | Method::HEAD) && !parts.headers.contains_key(header::UPGRADE);
    let visit = parts.extensions.get::<Visit>().filter(|_| reads);
    if let Some((account, id)) = visit.and_then(|visit| visit.0.get()) {
        return Ok((account.clone(), Credential::Session(*id)));
    }
    let session = parts.extensions.get::<Session>().ok_or_else(Error::unauthorized)?;
    let (account, id) = crate::sessions::signed_in(session).await.ok_or_else(Error::unauthorized)?;
    // Apps are on the same site as the console, so that SameSite does not protect: the browser's
    // word on where a write comes from does.
    if !reads && !same_origin(&parts.headers) {
        let origin = parts.headers.get(header::ORIGIN).and_then(|v| v.to_str().ok()).unwrap_or("an unknown origin");
        let summary = format!("a request with the cookie of session {id} from {origin:.100} instead of the console");
        refused(platform, parts, "origin", &summary).await?;
        return Err(Error::forbidden("This request does not come from the console. Reload the page and try again."));
    }
    let db = platform.db();
    store::sessions::session_seen(db, id, Utc::now()).await?;
    crate::sessions::touch(session).await;
    let account = accounts::account_info(db, account).await?.ok_or_else(Error::unauthorized)?;
    if let Some(visit) = visit {
        visit.0.get_or_init(|| (account.clone(), id));
    }
    Ok((account, Credential::Session(id)))
}

/// Notes an attack on whoever has the browser, once an hour for an address: many would fill the log.
async fn refused(platform: &Platform, parts: &Parts, reason: &str, what: &str) -> Result<()> {
    let address = address(&parts.headers);
    let from = address.as_deref().unwrap_or("an unknown address");
    if platform.rate_limits().is_first(&format!("requests of other sites ({reason}) from {from}")) {
        let summary = format!("Rejected {what}.");
        let data = serde_json::json!({ "reason": reason, "method": parts.method.as_str(), "path": path(parts) });
        let event = events::New { action: "session.refuse", subject: from, app: None, summary, data };
        events::event_of_visitor(platform, None, address.clone(), event).await?;
    }
    Ok(())
}

/// Whether `Origin` is the host that is asked.
pub(crate) fn same_origin(headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|v| v.to_str().ok());
    let host = headers.get(header::HOST).and_then(|v| v.to_str().ok());
    match (origin, host) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, o)| o.eq_ignore_ascii_case(host)),
        _ => false,
    }
}

/// The token in `Authorization`: Bearer, or Basic with the token as password or alone as user.
pub(crate) fn token(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
    Some(if password.is_empty() { user.to_owned() } else { password.to_owned() })
}

/// The client's address. The server listens on a Unix socket that only the router can reach, so
/// that the last entry, which the router added, can be trusted.
pub(crate) fn address(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-forwarded-for")?.to_str().ok()?;
    value.rsplit(',').next().map(|a| a.trim().to_owned())
}

/// Scheme and host as the client used them.
pub(crate) fn base(platform: &Platform, headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    match text("host").filter(|h| !h.is_empty()) {
        Some(host) => format!("{}://{host}", text("x-forwarded-proto").unwrap_or("http")),
        None => platform.config().url(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        assert_eq!(token(&headers).as_deref(), expected, "{value}");
    }

    #[test]
    fn tokens_in_every_form_that_clients_use() {
        let basic = |s: &str| format!("Basic {}", BASE64_STANDARD.encode(s));
        check("Bearer abc", Some("abc"));
        check("bearer abc", Some("abc"));
        check(&basic(":abc"), Some("abc"));
        check(&basic("heroku:abc"), Some("abc"));
        check(&basic("abc:"), Some("abc"));
        check("Digest abc", None);
        check("Basic ???", None);
    }
}
