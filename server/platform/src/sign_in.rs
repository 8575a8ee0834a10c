//! Signing in through an identity provider: there, back, and who gets in.
//!
//! Whoever comes back is let in only by an attempt that this browser began, for this provider, a short
//! while ago, and that was not answered yet. Every refusal is a sentence on a page and an event.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use chrono::{Duration, Utc};
use serde::Deserialize;
use store::{
    accounts, identities,
    identity_providers::{self as provided, Row, Rule},
    pages::Range,
};
use tower_sessions::Session;
use uuid::Uuid;

use crate::{
    Platform,
    actor::{self, Actor, Credential},
    error::{Error, Result},
    events,
    identity_providers::{
        self as providers, membership,
        person::{Kept, Person},
        rules::{self, Given},
    },
    secrets, sessions,
    web::Search,
};

/// Whoever takes longer at the provider begins again.
const LIFE: Duration = Duration::minutes(10);
const PURPOSE: &str = "sign-in attempt";
/// So many people of one office may sign in within an hour.
const FREE_BEGINNINGS: u32 = 300;
/// Addresses that nobody can have: an account with one is not a person's, or the first administrator's.
const NOBODYS: [&str; 3] = [".localhost", ".invalid", "@herokumanager.com"];

/// Why somebody is not let in. The word is told to the page, which has the sentence for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    State,
    Denied,
    Provider,
    Answer,
    Address,
    Unknown,
    Suspended,
    Busy,
}

impl Refusal {
    fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Denied => "denied",
            Self::Provider => "provider",
            Self::Answer => "answer",
            Self::Address => "address",
            Self::Unknown => "unknown",
            Self::Suspended => "suspended",
            Self::Busy => "busy",
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::State => "this browser has no sign-in under way that this answers",
            Self::Denied => "the provider was not allowed to tell who it is",
            Self::Provider => "the provider could not be asked",
            Self::Answer => "what the provider answered does not hold",
            Self::Address => "the provider has not verified an address of theirs",
            Self::Unknown => "they have no account, and no rule lets them in",
            Self::Suspended => "the account is suspended",
            Self::Busy => "too much was refused to that address before",
        }
    }
}

enum Stop {
    /// With whoever it claims to be, once that is known.
    Refused(Refusal, Option<String>),
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(err: E) -> Self {
        Self::Failed(err.into())
    }
}

/// Where to go afterwards.
#[derive(Deserialize)]
pub struct StartQuery {
    #[serde(default)]
    next: String,
    /// Set once the browser was sent to the console's own host.
    #[serde(default)]
    here: bool,
}

/// What the provider sends the browser back with.
#[derive(Deserialize)]
pub struct FinishQuery {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// A path of the console, for whoever wants to go on there; anything else is not followed.
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

/// `GET /sign-in-options`: what the page for signing in offers, to anybody.
pub async fn sign_in_options(State(platform): State<Platform>) -> Result<Json<api::sign_in::SignInOptions>> {
    let first = Range::longest(&provided::LIST);
    let rows = provided::identity_provider_list(platform.db(), &first).await?.rows;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let rules = provided::identity_rule_list_of(platform.db(), &ids).await?;
    let mut shown = Vec::new();
    for row in rows {
        let mut domains = row.domains;
        domains.extend(rules.iter().filter(|rule| rule.provider_id == row.id).filter_map(|rule| rule.domain.clone()));
        domains.sort();
        domains.dedup();
        shown.push(api::sign_in::SignInProvider { name: row.name, title: row.title, kind: row.kind, domains });
    }
    let password = crate::passwords::policy::is_on(&platform).await?;
    Ok(Json(api::sign_in::SignInOptions { providers: shown, password }))
}

/// `GET /login/oauth/{provider}`: sends the browser to the provider.
pub async fn sign_in_start(
    State(platform): State<Platform>,
    session: Session,
    headers: HeaderMap,
    Path(name): Path<String>,
    Search(query): Search<StartQuery>,
) -> Result<Response> {
    let next = local(&query.next);
    // The cookie is for one host: the one that the provider sends the browser back to.
    if !query.here && !is_own_host(&platform, &headers) {
        let (url, next) = (platform.config().url(), api::client::segment(next));
        return Ok(see(&format!("{url}/login/oauth/{}?here=true&next={next}", api::client::segment(&name))));
    }
    // Each beginning is kept and asks the provider: nobody begins as many as they like.
    let begun = format!("sign-ins begun from {}", actor::address(&headers).unwrap_or_default());
    if platform.rate_limits().is_locked(&begun) {
        return refuse(&platform, &headers, &name, Refusal::Busy, None).await;
    }
    platform.rate_limits().failed(&begun, FREE_BEGINNINGS);
    let (row, rules) = match providers::find(&platform, &name).await {
        Ok(found) => found,
        Err(Error::Told(_)) => return Ok(Redirect::to("/login").into_response()),
        Err(err) => return Err(err),
    };
    let begun = match providers::provider(&platform, &row, &rules)?.begin().await {
        Ok(begun) => begun,
        Err(err) => {
            tracing::warn!(provider = %row.name, "could not ask an identity provider: {err:#}");
            return refuse(&platform, &headers, &row.name, Refusal::Provider, None).await;
        }
    };
    let (browser, now) = (sessions::browser(&session).await?, Utc::now());
    let kept = serde_json::to_vec(&begun.kept).map_err(anyhow::Error::new)?;
    let attempt = store::sign_in::Row {
        id: Uuid::now_v7(),
        provider_id: row.id,
        state_hash: secrets::hash(&begun.state),
        browser_hash: secrets::hash(&browser),
        secret: platform.secrets().seal(PURPOSE, &kept),
        next: next.to_owned(),
        expires_at: now + LIFE,
        created_at: now,
        updated_at: now,
    };
    store::sign_in::sign_in_attempt_create(platform.db(), &attempt).await?;
    Ok(see(&begun.url))
}

fn is_own_host(platform: &Platform, headers: &HeaderMap) -> bool {
    let base = actor::base(platform, headers);
    let host = base.split_once("://").map_or("", |(_, host)| host);
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |h| h.0);
    name.eq_ignore_ascii_case(&platform.config().domain)
}

/// `GET /login/oauth/{provider}/callback`: the browser comes back, and is signed in or refused.
pub async fn sign_in_finish(
    State(platform): State<Platform>,
    session: Session,
    headers: HeaderMap,
    Path(name): Path<String>,
    Search(query): Search<FinishQuery>,
) -> Result<Response> {
    match finish(&platform, &session, &headers, &name, query).await {
        Ok(next) => Ok(see(&next)),
        Err(Stop::Refused(refusal, who)) => refuse(&platform, &headers, &name, refusal, who).await,
        Err(Stop::Failed(err)) => Err(err),
    }
}

/// Says why not: to the visitor, and in the audit log.
async fn refuse(
    platform: &Platform,
    headers: &HeaderMap,
    provider: &str,
    refusal: Refusal,
    who: Option<String>,
) -> Result<Response> {
    let address = actor::address(headers);
    // Who is refused too often is not worth an event each time: the log is for people to read.
    if refusal != Refusal::Busy {
        let summary = format!(
            "Refused to sign in {} through {provider}: {}.",
            who.as_deref().unwrap_or("somebody"),
            refusal.why()
        );
        let data = serde_json::json!({ "reason": refusal.word(), "provider": provider });
        let event = events::New { action: "session.refuse", subject: provider, app: None, summary, data };
        events::event_of_visitor(platform, who.as_deref(), address, event).await?;
    }
    Ok(see(&format!("/login?error={}&provider={}", refusal.word(), api::client::segment(provider))))
}

async fn finish(
    platform: &Platform,
    session: &Session,
    headers: &HeaderMap,
    name: &str,
    query: FinishQuery,
) -> Result<String, Stop> {
    let stop = |refusal| Stop::Refused(refusal, None);
    let tries = format!("sign-in from {}", actor::address(headers).unwrap_or_default());
    if platform.rate_limits().is_locked(&tries) {
        return Err(stop(Refusal::Busy));
    }
    let wrong = || {
        platform.rate_limits().failed(&tries, 20);
        stop(Refusal::State)
    };
    let (row, rules) = match providers::find(platform, name).await {
        Ok(found) => found,
        Err(Error::Told(_)) => return Err(wrong()),
        Err(err) => return Err(err.into()),
    };
    let (Some(state), Some(browser)) = (query.state, sessions::known_browser(session).await) else {
        return Err(wrong());
    };
    let (state, browser) = (secrets::hash(&state), secrets::hash(&browser));
    let attempt = store::sign_in::sign_in_attempt_take(platform.db(), row.id, &state, &browser, Utc::now()).await?;
    let attempt = attempt.ok_or_else(wrong)?;
    if query.error.is_some() {
        return Err(stop(Refusal::Denied));
    }
    // Another provider's answer, brought to this address (RFC 9207).
    if query.iss.is_some_and(|iss| iss.trim_end_matches('/') != row.issuer.trim_end_matches('/')) {
        return Err(stop(Refusal::Answer));
    }
    let code = query.code.ok_or_else(|| stop(Refusal::Answer))?;
    let kept = platform.secrets().open(PURPOSE, &attempt.secret)?;
    let kept: Kept = serde_json::from_slice(&kept).map_err(anyhow::Error::new)?;
    let person = providers::provider(platform, &row, &rules)?.identify(kept, code).await.map_err(|err| {
        tracing::warn!(provider = %row.name, "could not sign somebody in: {err:#}");
        stop(Refusal::Answer)
    })?;
    let id = Uuid::now_v7();
    let account = admit(platform, headers, &row, &rules, &person, id).await?;
    sessions::sign_in(session, account, id, headers).await?;
    Ok(attempt.next)
}

/// The account of a person, made or found, with what the rules give it now.
async fn admit(
    platform: &Platform,
    headers: &HeaderMap,
    provider: &Row,
    rules: &[Rule],
    person: &Person,
    session: Uuid,
) -> Result<Uuid, Stop> {
    let now = Utc::now();
    let mut tx = platform.db().begin().await?;
    let known = identities::identity_by_subject(&mut *tx, provider.id, &person.subject).await?;
    let who = person.email.clone().or_else(|| known.as_ref().and_then(|k| k.email.clone()));
    let (account, is_new) = match &known {
        Some(known) => (accounts::account_info(&mut *tx, known.account_id).await?, false),
        None => {
            let found = by_address(&mut tx, provider, rules, person).await?;
            (Some(found.0), found.1)
        }
    };
    let account = account.ok_or_else(|| Stop::Refused(Refusal::Suspended, who))?;
    let actor = Actor {
        credential: Credential::Session(session),
        address: actor::address(headers),
        base: String::new(),
        platform: platform.clone(),
        account,
    };
    if is_new {
        let summary =
            format!("Created the account {} on its first sign-in through {}.", actor.account.email, provider.title);
        note(&actor, &mut tx, "account.create", summary, provider).await?;
    }
    let was = known.as_ref().and_then(|k| serde_json::from_value::<Given>(k.given.clone()).ok()).unwrap_or_default();
    let given = membership::apply(&mut tx, &actor, &actor.account, &was, rules::given(rules, person)).await?;
    let has_changed = given != was;
    let given = serde_json::to_value(&given).map_err(anyhow::Error::new)?;
    match known {
        Some(known) => identities::identity_seen(&mut *tx, known.id, person.email.as_deref(), &given, now).await?,
        None => {
            let row = identities::Row {
                id: Uuid::now_v7(),
                account_id: actor.account.id,
                provider_id: provider.id,
                subject: person.subject.clone(),
                email: person.email.clone(),
                given,
                created_at: now,
                updated_at: now,
            };
            identities::identity_create(&mut *tx, &row).await?;
            let summary = format!("Linked an account at {}, which verified the address.", provider.title);
            note(&actor, &mut tx, "identity.create", summary, provider).await?;
        }
    }
    accounts::account_signed_in(&mut *tx, actor.account.id, now).await?;
    note(&actor, &mut tx, "session.create", format!("Signed in through {}.", provider.title), provider).await?;
    tx.commit().await?;
    // What they have open looks again at what it may show.
    if has_changed {
        platform.rights_changed();
    }
    Ok(actor.account.id)
}

/// The account with the person's verified address; a new one if a rule lets them in.
async fn by_address(
    tx: &mut sqlx::PgConnection,
    provider: &Row,
    rules: &[Rule],
    person: &Person,
) -> Result<(accounts::Row, bool), Stop> {
    let email = person.email.clone().ok_or(Stop::Refused(Refusal::Address, None))?;
    let lower = email.to_lowercase();
    if NOBODYS.iter().any(|end| lower.ends_with(end)) || email.len() > 254 || email.contains(char::is_control) {
        return Err(Stop::Refused(Refusal::Address, Some(email)));
    }
    if let Some(found) = accounts::account_by_email(&mut *tx, &email).await? {
        // Asked once more, because this one knows of those who are suspended.
        let account = accounts::account_info(&mut *tx, found.id).await?;
        return account.map(|account| (account, false)).ok_or(Stop::Refused(Refusal::Suspended, Some(email)));
    }
    if !rules::lets_in(&provider.domains, rules, person) {
        return Err(Stop::Refused(Refusal::Unknown, Some(email)));
    }
    let now = Utc::now();
    let name = person.name.as_ref().map(|name| name.chars().filter(|c| !c.is_control()).take(100).collect());
    let account = accounts::Row {
        id: Uuid::now_v7(),
        email,
        name,
        admin: false,
        last_login: None,
        created_at: now,
        updated_at: now,
    };
    accounts::account_create(tx, &account).await?;
    Ok((account, true))
}

async fn note(actor: &Actor, tx: &mut sqlx::PgConnection, action: &str, summary: String, provider: &Row) -> Result<()> {
    let data = serde_json::json!({ "provider": provider.name });
    let email = &actor.account.email;
    actor.event(tx, events::New { action, subject: email, app: None, summary, data }).await
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
