//! Sign-in with an identity provider: the redirects. Admission is in `admit`.
//!
//! A returning browser needs a recent, unused attempt that it started itself, for this provider. Every rejection has
//! a page and an audit event. Requests that any site can trigger in a visitor's browser do not count as attempts.

mod admit;
mod refusal;

use api::ids::{AccountId, IdentityProviderId, SessionId, SignInAttemptId};
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use base::{Base, Error, Result, secrets, web::Search};
use chrono::{Duration, Utc};
use serde::Deserialize;
use store::{identity_providers as provided, pages::Range};
use tower_sessions::Session;

use self::{
    admit::Arrival,
    refusal::{Refusal, Stop, refuse},
};
use crate::{
    identity_providers as providers, identity_providers::person::PendingSignIn, request, session_cookies, sessions,
};

/// Time limit for an attempt.
const LIFE: Duration = Duration::minutes(10);
const PURPOSE: &str = "sign-in attempt";
/// Attempts per address and hour; an office may share one address.
const FREE_BEGINNINGS: u32 = 300;

/// The page to return to.
#[derive(Deserialize)]
pub struct StartQuery {
    #[serde(default)]
    next: String,
    /// Set after the browser was redirected to the console's own host.
    #[serde(default)]
    here: bool,
    /// Links another identity to the signed-in account, instead of signing in.
    #[serde(default)]
    link: bool,
}

/// The parameters of the callback.
#[derive(Deserialize)]
pub struct FinishQuery {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// A path of the console to return to; anything else is ignored.
pub(crate) fn local(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//") && next.len() <= 4000;
    // Browsers read a backslash as a slash, and skip tabs and line breaks.
    match is_path && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
        true => next,
        false => "/apps",
    }
}

fn see(location: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store")]).into_response()
}

/// `GET /sign-in-options`: the sign-in methods; public.
pub async fn sign_in_options(State(base): State<Base>) -> Result<Json<api::sign_in::SignInOptions>> {
    let first = Range::longest(&provided::LIST);
    let rows = provided::identity_provider_list(base.db(), &first).await?.rows;
    let ids: Vec<IdentityProviderId> = rows.iter().map(|row| row.id).collect();
    let rules = provided::identity_rule_list_of(base.db(), &ids).await?;
    let mut shown = Vec::new();
    for row in rows {
        let mut domains = if row.admits { row.domains } else { Vec::new() };
        domains.retain(|domain| domain != "*");
        domains.extend(rules.iter().filter(|rule| rule.provider_id == row.id).filter_map(|rule| rule.domain.clone()));
        domains.sort();
        domains.dedup();
        shown.push(api::sign_in::SignInProvider { name: row.name, title: row.title, kind: row.kind, domains });
    }
    let password = crate::passwords::policy::is_on(&base).await?;
    Ok(Json(api::sign_in::SignInOptions { providers: shown, password }))
}

/// `GET /login/oauth/{provider}`: redirects the browser to the provider.
pub async fn sign_in_start(
    State(base): State<Base>,
    session: Session,
    headers: HeaderMap,
    Path(name): Path<String>,
    Search(query): Search<StartQuery>,
) -> Result<Response> {
    let next = local(&query.next);
    // The cookie belongs to one host: the one that the provider redirects the browser to.
    if !query.here && !is_own_host(&base, &headers) {
        let (url, next) = (base.settings().url(), api::client::segment(next));
        let (name, link) = (api::client::segment(&name), if query.link { "&link=true" } else { "" });
        return Ok(see(&format!("{url}/login/oauth/{name}?here=true{link}&next={next}")));
    }
    if text(&headers, "sec-fetch-mode").is_some_and(|mode| mode != "navigate") {
        return Err(Error::forbidden("This URL can only be opened as a page."));
    }
    let account = session_cookies::signed_in(&session).await.map(|(account, _)| account).filter(|_| query.link);
    if query.link && account.is_none() {
        return Ok(see("/login?next=/account"));
    }
    if !may_begin(&base, &headers) {
        return refuse(&base, &headers, &name, (Refusal::Busy, None), account).await;
    }
    let (row, rules) = match providers::find(&base, &name).await {
        Ok(found) => found,
        Err(Error::Public(_)) => return Ok(Redirect::to("/login").into_response()),
        Err(err) => return Err(err),
    };
    let request = match providers::provider(&base, &row, &rules)?.begin().await {
        Ok(request) => request,
        Err(err) => {
            tracing::warn!(provider = %row.name, "request to an identity provider failed: {err:#}");
            return refuse(&base, &headers, &row.name, (Refusal::Provider, None), account).await;
        }
    };
    let (browser, now) = (session_cookies::browser(&session).await?, Utc::now());
    let pending = serde_json::to_vec(&request.pending).map_err(anyhow::Error::new)?;
    let attempt = store::sign_in::Row {
        id: SignInAttemptId::now_v7(),
        provider_id: row.id,
        state_hash: secrets::hash(&request.state),
        browser_hash: secrets::hash(&browser),
        secret: base.secrets().seal(PURPOSE, &pending),
        next: next.to_owned(),
        account_id: account,
        expires_at: now + LIFE,
        created_at: now,
        updated_at: now,
    };
    store::sign_in::sign_in_attempt_create(base.db(), &attempt).await?;
    Ok(see(&request.url))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Counts an attempt. Each is stored and sends a request to the provider, so they are limited. Those from a page of the
/// console count separately, so that no other site can use them up.
fn may_begin(base: &Base, headers: &HeaderMap) -> bool {
    let is_ours = match text(headers, "sec-fetch-site") {
        Some(site) => ["same-origin", "none"].contains(&site),
        // Pages of the console send the referrer only to the console itself.
        None => text(headers, "referer").is_some_and(|from| {
            from.strip_prefix(&request::origin(base, headers)).is_some_and(|rest| rest.starts_with('/'))
        }),
    };
    let (limits, whence) = (base.rate_limits(), if is_ours { "the console at " } else { "" });
    let attempts = format!("sign-in attempts from {whence}{}", request::client(request::address(headers).as_deref()));
    let may = !limits.is_locked(&attempts);
    if may {
        limits.failed(&attempts, FREE_BEGINNINGS);
    }
    may
}

fn is_own_host(base: &Base, headers: &HeaderMap) -> bool {
    let origin = request::origin(base, headers);
    let host = origin.split_once("://").map_or("", |(_, host)| host);
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |h| h.0);
    name.eq_ignore_ascii_case(&base.settings().domain)
}

/// `GET /login/oauth/{provider}/callback`: the browser returns, and is signed in or rejected.
pub async fn sign_in_finish(
    State(base): State<Base>,
    session: Session,
    headers: HeaderMap,
    Path(name): Path<String>,
    Search(query): Search<FinishQuery>,
) -> Result<Response> {
    let mut linking = None;
    match finish(&base, &session, &headers, &name, query, &mut linking).await {
        Ok(next) => Ok(see(&next)),
        Err(Stop::Refused(refusal, who)) => refuse(&base, &headers, &name, (refusal, who), linking).await,
        Err(Stop::Failed(err)) => Err(err),
    }
}

/// Returns the next page. `linking` is set to the signed-in account that is adding an identity.
async fn finish(
    base: &Base,
    session: &Session,
    headers: &HeaderMap,
    name: &str,
    query: FinishQuery,
    linking: &mut Option<AccountId>,
) -> Result<String, Stop> {
    let stop = |refusal| Stop::Refused(refusal, None);
    let (row, rules) = match providers::find(base, name).await {
        Ok(found) => found,
        Err(Error::Public(_)) => return Err(stop(Refusal::State)),
        Err(err) => return Err(err.into()),
    };
    let (Some(state), Some(browser)) = (query.state, session_cookies::known_browser(session).await) else {
        return Err(stop(Refusal::State));
    };
    let (state, browser) = (secrets::hash(&state), secrets::hash(&browser));
    let attempt = store::sign_in::sign_in_attempt_take(base.db(), row.id, &state, &browser, Utc::now()).await?;
    let attempt = attempt.ok_or_else(|| stop(Refusal::State))?;
    let here = session_cookies::signed_in(session).await.filter(|(who, _)| attempt.account_id == Some(*who));
    *linking = here.map(|(who, _)| who);
    if query.error.is_some() {
        return Err(stop(Refusal::Denied));
    }
    // The response of another provider, redirected to this URL (RFC 9207).
    if query.iss.is_some_and(|iss| iss.trim_end_matches('/') != row.issuer.trim_end_matches('/')) {
        return Err(stop(Refusal::Answer));
    }
    let code = query.code.ok_or_else(|| stop(Refusal::Answer))?;
    let pending = base.secrets().open(PURPOSE, &attempt.secret)?;
    let pending: PendingSignIn = serde_json::from_slice(&pending).map_err(anyhow::Error::new)?;
    let person = providers::provider(base, &row, &rules)?.identify(pending, code).await.map_err(|err| {
        tracing::warn!(provider = %row.name, "sign-in failed: {err:#}");
        stop(Refusal::Answer)
    })?;
    // Read again: it may have changed during the requests to the provider.
    let (now, rules) = providers::find(base, name).await?;
    if (now.id, &now.issuer) != (row.id, &row.issuer) {
        return Err(stop(Refusal::Answer));
    }
    let arrival = Arrival { base, headers, provider: &now, rules: &rules, person: &person };
    match attempt.account_id {
        None => {
            let id = SessionId::now_v7();
            let account = arrival.admit(id).await?;
            sessions::sign_in(base, session, account, id, headers).await?;
            Ok(attempt.next)
        }
        // The user has signed out or signed in as somebody else since: the current user did not request this.
        Some(_) => {
            let (account, id) = here.ok_or_else(|| stop(Refusal::State))?;
            arrival.propose(account, id).await?;
            Ok("/account".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for path in ["/apps", "/", "/apps/dusk/logs?q=a%20b", "/oauth/authorize?client_id=1&state=https://x.y"] {
            assert_eq!(local(path), path);
        }
        for elsewhere in [
            "",
            "https://evil.com",
            "//evil.com",
            "/\\evil.com",
            "\\\\evil.com",
            "/\t/evil.com",
            "javascript:alert(1)",
            "/a b",
            "/\r\nset-cookie: a=b",
            " /apps",
            "/ä",
        ] {
            assert_eq!(local(elsewhere), "/apps", "{elsewhere:?}");
        }
    }
}
