//! One-time sign-in links: creating, showing and using them.
//!
//! Browsers open URLs for many reasons: an image in an app's page, a preview, a restored tab. So the URL of a link is a
//! page that only asks (`app`'s `sign_in_link`), and the secret is consumed by the `POST` of its button, which has to
//! come from that page.

use api::ids::{SessionId, SignInLinkId};
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use base::{Base, Error, Result, Subject, SubjectKind, events::EventActor, secrets, web::Created};
use chrono::{Duration, Utc};
use tower_sessions::Session;

use crate::{actor::Actor, request, row_limits, session_cookies, sessions};

/// Validity of a link.
const LIFE: Duration = Duration::minutes(30);

/// `POST /account/sign-in-links`: for the caller.
pub async fn sign_in_link_create(actor: Actor) -> Result<Created<api::sessions::SignInLink>> {
    actor.must_be_a_person().await?;
    let (secret, now) = (secrets::random(), Utc::now());
    let expires_at = now + LIFE;
    let mut tx = actor.change(actor.subject()).await?;
    let hash = secrets::hash(&secret);
    let (account, by) = (actor.account.id, actor.credential.token());
    store::sessions::sign_in_link_create(&mut *tx, SignInLinkId::now_v7(), account, by, &hash, expires_at, now).await?;
    store::sessions::sign_in_link_trim(&mut *tx, account, row_limits::MOST_KEPT).await?;
    tx.record("sign_in_link.create", "Created a one-time sign-in link.", serde_json::json!({}));
    tx.commit().await?;
    Ok(Created(api::sessions::SignInLink { url: format!("{}/login/{secret}", actor.origin), expires_at }))
}

/// `GET /sign-in-links/{secret}`: the account of the link, and the one that is signed in now. Changes nothing.
pub async fn sign_in_link_info(
    State(base): State<Base>,
    session: Session,
    Path(secret): Path<String>,
) -> Result<Response> {
    let db = base.db();
    let missing =
        || Error::not_found("sign_in_link", "This link is not valid: it has expired or has already been used.");
    let link = store::sessions::sign_in_link_info(db, &secrets::hash(&secret), Utc::now()).await?;
    let (account, expires_at) = link.ok_or_else(missing)?;
    let account = store::accounts::account_info(db, account).await?.ok_or_else(missing)?;
    let signed_in_as = match session_cookies::signed_in(&session).await {
        Some((id, _)) => store::accounts::account_info(db, id).await?.map(|other| other.email),
        None => None,
    };
    let shown = api::sessions::SignInLinkInfo { email: account.email, expires_at, signed_in_as };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(shown)).into_response())
}

/// `POST /login/{secret}`: signs the browser in, once. A plain form, so that it works without scripts.
///
/// Only the link's own page may send it: otherwise any page could sign a visitor in as somebody else.
pub async fn sign_in_link_use(
    State(base): State<Base>,
    session: Session,
    headers: HeaderMap,
    Path(secret): Path<String>,
) -> Result<Response> {
    if !request::same_origin(&headers) {
        return Err(Error::forbidden(
            "This request does not come from the console. Open the link and use the button on its page.",
        ));
    }
    let (now, address) = (Utc::now(), request::address(&headers));
    let mut tx = base
        .change(EventActor::visitor(None, address.clone()), Subject::named(SubjectKind::SignIn, "sign-in link"))
        .await?;
    let account = match store::sessions::sign_in_link_use(&mut *tx, &secrets::hash(&secret), now).await? {
        Some(id) => store::accounts::account_info(&mut *tx, id).await?,
        None => None,
    };
    let Some(account) = account else {
        return Ok(Redirect::to("/login?error=link").into_response());
    };
    store::accounts::account_signed_in(&mut *tx, account.id, now).await?;
    let id = SessionId::now_v7();
    let actor = Actor::signed_in(&base, account, id, address);
    tx.on_behalf_of(actor.originator());
    tx.record_of(actor.subject(), "session.create", "Signed in with a one-time link.", serde_json::json!({}));
    tx.commit().await?;
    sessions::sign_in(&base, &session, actor.account.id, id, &headers).await?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, "/apps"), (header::CACHE_CONTROL, "no-store")]).into_response())
}
